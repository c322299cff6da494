package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"holdfast/server"
)

// serverCmd runs the control plane.
type serverCmd struct {
	databaseFlags
	Data              string        `help:"Directory of the keys and, without --database, the database." required:"" type:"path" env:"HOLDFAST_DATA"`
	Listen            string        `help:"Address to listen on; without a certificate on loopback only. Port 0 chooses one." default:"127.0.0.1:8080" env:"HOLDFAST_LISTEN"`
	PublicURL         string        `help:"How people reach the service, where that is not the address above." env:"HOLDFAST_PUBLIC_URL"`
	TLSCert           string        `help:"Certificate in PEM form, with what leads to its authority; read again when it changes." name:"tls-cert" type:"path" env:"HOLDFAST_TLS_CERT"`
	TLSKey            string        `help:"Key of the certificate, which other users of the machine cannot read." name:"tls-key" type:"path" env:"HOLDFAST_TLS_KEY"`
	MaxSendBytes      byteCount     `help:"Greatest send without an account." default:"64GiB" env:"HOLDFAST_MAX_SEND_BYTES"`
	DefaultSendDays   int           `help:"Life of a link, unless the sender says otherwise." default:"7" env:"HOLDFAST_DEFAULT_SEND_DAYS"`
	MaxSendDays       int           `help:"Longest life of a link." default:"30" env:"HOLDFAST_MAX_SEND_DAYS"`
	MaxDownloads      int64         `help:"Greatest download limit of a link." default:"1000000" env:"HOLDFAST_MAX_DOWNLOADS"`
	MaxReservedBytes  byteCount     `help:"What all open uploads may reserve together." default:"1TiB" env:"HOLDFAST_MAX_RESERVED_BYTES"`
	MaxOpensPerMinute int           `help:"How many sends may begin in a minute, by all senders together." default:"300" env:"HOLDFAST_MAX_OPENS_PER_MINUTE"`
	AccountBytes      byteCount     `help:"What the drive of one account may hold." default:"20GB" env:"HOLDFAST_ACCOUNT_BYTES"`
	SweepEvery        time.Duration `help:"Pause between rounds of background work." default:"1m" env:"HOLDFAST_SWEEP_EVERY"`
	NodeTimeout       time.Duration `help:"How long a node counts as live after a heartbeat." default:"45s" env:"HOLDFAST_NODE_TIMEOUT"`
	NodeZones         []string      `help:"Wildcards such as https://*.nodes.example, which the pages' security policy names instead of each node once there are more than 64 nodes." env:"HOLDFAST_NODE_ZONES"`
	Web               string        `help:"Folder with a built web app, instead of the one in the program." type:"path" env:"HOLDFAST_WEB"`
	LogLevel          slog.Level    `help:"Least level that is logged: debug, info, warn or error." default:"info" env:"HOLDFAST_LOG_LEVEL"`
}

// Run serves until ctx ends, which it does when the program is interrupted. Once
// it serves it prints "ready" and its URL on stdout.
func (c *serverCmd) Run(ctx context.Context) error {
	database, err := c.address()
	if err != nil {
		return err
	}
	s, err := server.New(server.Config{
		DataDir: c.Data, Database: database, WebDir: c.Web, NodeZones: c.NodeZones, Listen: c.Listen, PublicURL: c.PublicURL, TLSCert: c.TLSCert, TLSKey: c.TLSKey,
		Limits: server.Limits{
			SendBytes: int64(c.MaxSendBytes), DefaultDays: c.DefaultSendDays, MaxDays: c.MaxSendDays,
			Downloads: c.MaxDownloads, ReservedBytes: int64(c.MaxReservedBytes), OpensPerMinute: c.MaxOpensPerMinute,
			AccountBytes: int64(c.AccountBytes),
		},
		SweepEvery: c.SweepEvery, NodeTimeout: c.NodeTimeout, Software: "holdfast " + programVersion(),
		Ready: func(base string) { fmt.Println("ready", base) },
		Log:   slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: c.LogLevel})),
	})
	if err != nil {
		return err
	}
	return s.Run(ctx)
}
