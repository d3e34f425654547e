// Package discover stands in for HashiCorp's go-discover, by which servers of a Vault cluster find each other in fifteen clouds: 380
// packages that a single server compiles and never calls.
package discover

import (
	"errors"
	"log"
)

type Provider interface {
	Addrs(map[string]string, *log.Logger) ([]string, error)
	Help() string
}

type Option func(*Discover) error

type Discover struct{}

var Providers map[string]Provider

func New(...Option) (*Discover, error) { return &Discover{}, nil }

func WithProviders(map[string]Provider) Option { return nil }

func (*Discover) Addrs(string, *log.Logger) ([]string, error) {
	return nil, errors.New("this server knows no clouds")
}
