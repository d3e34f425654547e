// Package k8s is what Vault names of go-discover's Kubernetes provider.
package k8s

import "log"

type Provider struct{}

func (*Provider) Addrs(map[string]string, *log.Logger) ([]string, error) { return nil, nil }

func (*Provider) Help() string { return "" }
