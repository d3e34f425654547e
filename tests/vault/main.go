// A Vault server for the tests: HashiCorp's own core, HTTP handler, audit device, auth methods, database secrets engine and database
// plugins, and nothing of the clouds that the whole program brings along. It keeps its data in memory and is unsealed from the start.
//
// Vault 1.14.1 is under the Mozilla Public License 2.0, as all of it was before 1.15 (since then: Business Source License). The server is built by tests/run
// for the tests alone; nothing of it is linked with Tokenwatch, or shipped.
//
//	vault ADDRESS FILE    listens on ADDRESS and writes the root token into FILE once it does
package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"

	"github.com/hashicorp/go-hclog"
	aead "github.com/hashicorp/go-kms-wrapping/v2/aead"
	"github.com/hashicorp/vault/audit"
	auditfile "github.com/hashicorp/vault/builtin/audit/file"
	"github.com/hashicorp/vault/builtin/credential/approle"
	"github.com/hashicorp/vault/builtin/credential/userpass"
	"github.com/hashicorp/vault/builtin/logical/database"
	vaulthttp "github.com/hashicorp/vault/http"
	"github.com/hashicorp/vault/internalshared/configutil"
	"github.com/hashicorp/vault/plugins/database/mysql"
	"github.com/hashicorp/vault/plugins/database/postgresql"
	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/hashicorp/vault/sdk/physical/inmem"
	"github.com/hashicorp/vault/vault"
	"github.com/hashicorp/vault/vault/seal"
)

// The database plugins, under the names that the whole program gives them.
var plugins = map[string]func() (interface{}, error){
	"postgresql-database-plugin": postgresql.New,
	"mysql-database-plugin":      mysql.New(mysql.DefaultUserNameTemplate),
}

type registry struct{}

func (registry) Contains(name string, kind consts.PluginType) bool {
	return kind == consts.PluginTypeDatabase && plugins[name] != nil
}

func (r registry) Get(name string, kind consts.PluginType) (func() (interface{}, error), bool) {
	return plugins[name], r.Contains(name, kind)
}

func (registry) Keys(kind consts.PluginType) []string {
	var names []string
	for name := range plugins {
		if kind == consts.PluginTypeDatabase {
			names = append(names, name)
		}
	}
	return names
}

func (r registry) DeprecationStatus(name string, kind consts.PluginType) (consts.DeprecationStatus, bool) {
	return consts.Supported, r.Contains(name, kind)
}

func (registry) IsBuiltinEntPlugin(string, consts.PluginType) bool { return false }

func serve(address, file string) error {
	logger := hclog.New(&hclog.LoggerOptions{Level: hclog.Info, Output: os.Stderr, JSONFormat: true})
	storage, err := inmem.NewInmem(nil, logger)
	if err != nil {
		return err
	}
	core, err := vault.NewCore(&vault.CoreConfig{
		BuiltinRegistry:    registry{},
		LogicalBackends:    map[string]logical.Factory{"database": database.Factory},
		CredentialBackends: map[string]logical.Factory{"approle": approle.Factory, "userpass": userpass.Factory},
		AuditBackends:      map[string]audit.Factory{"file": auditfile.Factory},
		Physical:           storage,
		Seal:               vault.NewDefaultSeal(seal.NewAccess(aead.NewShamirWrapper())),
		Logger:             logger,
		DisableMlock:       true,
	})
	if err != nil {
		return err
	}
	shares := &vault.SealConfig{SecretShares: 1, SecretThreshold: 1}
	made, err := core.Initialize(context.Background(), &vault.InitParams{BarrierConfig: shares})
	if err != nil {
		return err
	}
	if open, err := core.Unseal(made.SecretShares[0]); err != nil || !open {
		return fmt.Errorf("not unsealed: %v", err)
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	if err := os.WriteFile(file, []byte(made.RootToken), 0o600); err != nil {
		return err
	}
	handler := vaulthttp.Handler.Handler(&vault.HandlerProperties{
		Core:           core,
		ListenerConfig: &configutil.Listener{Address: address},
		// line breaks in paths come as far as the audit log; by default they are refused before
		DisablePrintableCheck: true,
	})
	return http.Serve(listener, handler)
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: vault ADDRESS FILE")
		os.Exit(2)
	}
	if err := serve(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
