package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"time"

	"holdfast/node"
)

// nodeCmd is for those who lend storage.
type nodeCmd struct {
	Run     nodeRunCmd     `cmd:"" help:"Keep blobs for a service and serve them."`
	Release nodeReleaseCmd `cmd:"" help:"Let a node carry out deletions that it holds back because they are so many."`
}

// nodeRunCmd runs a storage node.
type nodeRunCmd struct {
	Data       string `help:"Directory for blobs, key and state." required:"" type:"path" env:"HOLDFAST_NODE_DATA"`
	Server     string `help:"URL of the service." required:"" env:"HOLDFAST_NODE_SERVER"`
	Invite     string `help:"Invite of the service's operator, for the first start. Better in the environment or a file: arguments can be seen by other users." env:"HOLDFAST_NODE_INVITE" xor:"invite"`
	InviteFile string `help:"File that holds the invite." type:"path" env:"HOLDFAST_NODE_INVITE_FILE" xor:"invite"`

	Operator         string `help:"Company that runs the node, as people will see it." required:"" env:"HOLDFAST_NODE_OPERATOR"`
	Jurisdiction     string `help:"Country under whose law the operator stands (ISO 3166-1, two capital letters)." required:"" env:"HOLDFAST_NODE_JURISDICTION"`
	ParentCompany    string `help:"Parent company, if there is one." env:"HOLDFAST_NODE_PARENT_COMPANY"`
	SiteJurisdiction string `help:"Country in which the machine stands, if it is another." env:"HOLDFAST_NODE_SITE_JURISDICTION"`
	StorageProvider  string `help:"Company whose disks are used, if it is another." env:"HOLDFAST_NODE_STORAGE_PROVIDER"`

	Listen    string `help:"Address to listen on. Port 0 chooses one." default:"127.0.0.1:8090" env:"HOLDFAST_NODE_LISTEN"`
	PublicURL string `help:"How clients reach the node, where that is not the address above." name:"public-url" env:"HOLDFAST_NODE_PUBLIC_URL"`
	TLSCert   string `help:"Certificate in PEM form; read again when it changes." name:"tls-cert" type:"path" env:"HOLDFAST_NODE_TLS_CERT"`
	TLSKey    string `help:"Key of the certificate." name:"tls-key" type:"path" env:"HOLDFAST_NODE_TLS_KEY"`
	CA        string `help:"Further certificate authorities for the service and other nodes." name:"ca" type:"path" env:"HOLDFAST_NODE_CA"`

	Capacity  byteCount     `help:"How much to keep at most, such as 100GB." required:"" env:"HOLDFAST_NODE_CAPACITY"`
	Reserve   *byteCount    `help:"How much of the disk stays free in any case. Unless given, 256MiB or a fiftieth of the disk." env:"HOLDFAST_NODE_RESERVE"`
	Heartbeat time.Duration `help:"Pause between signs of life." default:"15s" env:"HOLDFAST_NODE_HEARTBEAT"`
	TrashDays int           `help:"How many days deleted blobs stay on the disk." default:"7" env:"HOLDFAST_NODE_TRASH_DAYS"`
	LogLevel  slog.Level    `help:"Least level that is logged: debug, info, warn or error." default:"info" env:"HOLDFAST_NODE_LOG_LEVEL"`
}

// maxInvite bounds what is read of an invite's file.
const maxInvite = 4096

func (c *nodeRunCmd) config() node.Config {
	reserve := int64(-1)
	if c.Reserve != nil {
		reserve = int64(*c.Reserve)
	}
	return node.Config{
		Data: c.Data, Server: c.Server, Invite: c.Invite,
		Operator: c.Operator, Jurisdiction: c.Jurisdiction, Parent: c.ParentCompany, Site: c.SiteJurisdiction, Storage: c.StorageProvider,
		Listen: c.Listen, PublicURL: c.PublicURL, TLSCert: c.TLSCert, TLSKey: c.TLSKey, CA: c.CA,
		Capacity: int64(c.Capacity), Reserve: reserve, Heartbeat: c.Heartbeat, TrashDays: c.TrashDays,
		Version: programVersion(),
		Log:     slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: c.LogLevel})),
	}
}

// Validate makes what cannot be an error of usage.
func (c *nodeRunCmd) Validate() error {
	cfg := c.config()
	return cfg.Check()
}

// Run serves until it is interrupted. Once the node serves and is a member it
// prints "ready" and its URL on stdout.
func (c *nodeRunCmd) Run(ctx context.Context) error {
	cfg := c.config()
	if err := c.readInvite(&cfg); err != nil {
		return err
	}
	n, err := node.New(cfg)
	if err != nil {
		return err
	}
	cfg.Log.Info("node", "id", n.ID(), "url", n.URL())
	go func() {
		select {
		case <-n.Ready():
			fmt.Println("ready", n.URL())
		case <-ctx.Done():
		}
	}()
	return n.Run(ctx)
}

// readInvite takes the invite from its file. A member needs none, so that the
// file may be gone by then; if it is needed after all, joining says so.
func (c *nodeRunCmd) readInvite(cfg *node.Config) error {
	if c.InviteFile == "" {
		return nil
	}
	file, err := os.Open(c.InviteFile)
	if errors.Is(err, fs.ErrNotExist) {
		cfg.Log.Warn("the file with the invite is not there; a node that has joined needs none", "file", c.InviteFile)
		return nil
	}
	if err != nil {
		return fmt.Errorf("invite: %w", err)
	}
	defer file.Close()
	raw, err := io.ReadAll(io.LimitReader(file, maxInvite))
	if err != nil {
		return fmt.Errorf("invite: %w", err)
	}
	cfg.Invite = strings.TrimSpace(string(raw))
	return nil
}

// nodeReleaseCmd is the owner's word.
type nodeReleaseCmd struct {
	Data string `help:"Directory of the node." required:"" type:"existingdir" env:"HOLDFAST_NODE_DATA"`
}

// Run leaves the word in the data directory; a running node finds it there.
func (c *nodeReleaseCmd) Run() error {
	if err := node.Release(c.Data); err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "For a day from the next order on, the node deletes whatever it is ordered to. What it deletes stays in its trash for the days set.")
	return nil
}
