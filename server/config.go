// Package server is the control plane as one program part: New wires keys, store,
// domains and endpoints together, Run serves until it is told to stop. It is the
// only place where they meet. It never sees the bytes of a blob, a file key or a
// name.
package server

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"holdfast/server/internal/fleet"
	"holdfast/server/internal/store"
	"holdfast/server/internal/upload"
)

var (
	// ErrConfig: the server cannot run with these settings.
	ErrConfig = errors.New("server settings")
	// ErrAway: the database cannot be reached.
	ErrAway = store.ErrAway
)

// Data is where the servers of one service keep their state.
type Data struct {
	// Dir holds a server's keys and, unless Database names another, its database.
	Dir string
	// Database is the address of a PostgreSQL database that servers share,
	// postgres://USER:PASSWORD@HOST/NAME, or "".
	Database string
}

// database is what store.Open takes.
func (d Data) database() string {
	if d.Database != "" {
		return d.Database
	}
	return filepath.Join(d.Dir, databaseFile)
}

// Limits of sends without an account, and of accounts.
type Limits struct {
	// SendBytes is the greatest send, in bytes of ciphertext.
	SendBytes int64
	// DefaultDays and MaxDays are the life of a link.
	DefaultDays, MaxDays int
	// Downloads is the greatest download limit that a link may have.
	Downloads int64
	// ReservedBytes is what open uploads may reserve together.
	ReservedBytes int64
	// OpensPerMinute is how many sends may begin in a minute, by all together; 0
	// stands for the default.
	OpensPerMinute int
	// AccountBytes is what an account's drive may hold, in bytes of ciphertext; 0 stands
	// for the default.
	AccountBytes int64
}

// DefaultLimits are what a server allows unless it is told otherwise.
var DefaultLimits = Limits{
	SendBytes: 64 << 30, DefaultDays: 7, MaxDays: 30, Downloads: 1_000_000, ReservedBytes: 1 << 40, OpensPerMinute: 300,
	AccountBytes: 20_000_000_000,
}

// Config is what a server needs. DataDir is required.
type Config struct {
	// WebDir serves the web app from a folder instead of the one built in.
	WebDir string
	// DataDir holds the keys and, unless Database names another, the database; one
	// server works on it at a time.
	DataDir string
	// Database is a PostgreSQL that servers share (Data.Database).
	Database string
	// Listen is an address, on loopback unless there is a certificate; port 0 chooses
	// one.
	Listen string
	// PublicURL is how people reach the service, where that is not Listen.
	PublicURL string
	// TLSCert and TLSKey are files in PEM form; without them plain HTTP is served.
	TLSCert, TLSKey string
	Limits          Limits
	// SweepEvery is the pause between rounds of background work.
	SweepEvery time.Duration
	// NodeTimeout is how long a node counts as live after a heartbeat.
	NodeTimeout time.Duration
	// Software is the program's name and version, which anyone may know.
	Software string
	// NodeZones are sources such as https://*.nodes.example, which the pages' policy
	// names in place of the nodes when these are more than fit into it.
	NodeZones []string
	// Ready is called with the server's URL once it serves.
	Ready func(base string)
	Now   func() time.Time
	Log   *slog.Logger
}

// DefaultListen and DefaultSweep are used where nothing else is said.
const (
	DefaultListen = "127.0.0.1:8080"
	DefaultSweep  = time.Minute
	// maxDays bounds the life of links whatever the operator says: a century.
	maxDays = 36500
)

// complete fills in what was left out and checks the rest.
func (c *Config) complete() error {
	if c.DataDir == "" {
		return fmt.Errorf("%w: a data directory is needed (--data)", ErrConfig)
	}
	if c.Listen == "" {
		c.Listen = DefaultListen
	}
	if c.Limits == (Limits{}) {
		c.Limits = DefaultLimits
	}
	if c.Limits.OpensPerMinute == 0 {
		c.Limits.OpensPerMinute = DefaultLimits.OpensPerMinute
	}
	if c.Limits.AccountBytes == 0 {
		c.Limits.AccountBytes = DefaultLimits.AccountBytes
	}
	if c.SweepEvery <= 0 {
		c.SweepEvery = DefaultSweep
	}
	if c.NodeTimeout <= 0 {
		c.NodeTimeout = fleet.DefaultNodeTimeout
	}
	if c.Ready == nil {
		c.Ready = func(string) {}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if err := c.Limits.check(); err != nil {
		return err
	}
	if err := checkPublic(c.PublicURL); err != nil {
		return err
	}
	return c.checkListen()
}

func (l Limits) check() error {
	switch {
	case l.SendBytes < 1 || l.ReservedBytes < 1:
		return fmt.Errorf("%w: the greatest send and the reserved bytes have to be above 0", ErrConfig)
	case l.ReservedBytes < l.SendBytes:
		return fmt.Errorf("%w: the reserved bytes (%d) are less than the greatest send (%d), which could never be opened", ErrConfig, l.ReservedBytes, l.SendBytes)
	case l.MaxDays < 1 || l.MaxDays > maxDays:
		return fmt.Errorf("%w: links may live for 1 to %d days at most, not %d", ErrConfig, maxDays, l.MaxDays)
	case l.DefaultDays < 1 || l.DefaultDays > l.MaxDays:
		return fmt.Errorf("%w: the default life of a link has to be 1 to %d days", ErrConfig, l.MaxDays)
	case l.OpensPerMinute < 1:
		return fmt.Errorf("%w: the sends that may begin in a minute have to be above 0", ErrConfig)
	case l.AccountBytes < 1:
		return fmt.Errorf("%w: what an account may store has to be above 0", ErrConfig)
	case l.Downloads < 1:
		return fmt.Errorf("%w: the greatest download limit has to be above 0", ErrConfig)
	}
	return nil
}

func (l Limits) forUploads() upload.Limits {
	return upload.Limits{
		UploadBytes: l.SendBytes, DefaultDays: l.DefaultDays, Days: l.MaxDays, Downloads: l.Downloads, ReservedBytes: l.ReservedBytes,
		OpensPerMinute: l.OpensPerMinute, AccountBytes: l.AccountBytes,
	}
}

// checkListen refuses plain HTTP where others could read along.
func (c *Config) checkListen() error {
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return fmt.Errorf("%w: the address to listen on has to be HOST:PORT, not %q", ErrConfig, c.Listen)
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		return fmt.Errorf("%w: a certificate and its key are given together (--tls-cert and --tls-key)", ErrConfig)
	}
	if c.TLSCert == "" {
		if !loopback(host) {
			return fmt.Errorf("%w: %q is not loopback, and plain HTTP is for loopback only: give a certificate with --tls-cert and --tls-key, "+
				"or listen on 127.0.0.1, put a proxy that speaks HTTPS in front of it, and name its address with --public-url", ErrConfig, c.Listen)
		}
		return nil
	}
	if strings.HasPrefix(c.PublicURL, "http:") {
		return fmt.Errorf("%w: the public URL has to begin with https:// where a certificate is given", ErrConfig)
	}
	if address, err := netip.ParseAddr(host); c.PublicURL == "" && (host == "" || err == nil && address.IsUnspecified()) {
		return fmt.Errorf("%w: %q is every address of this machine and none that people can call: name the service's own with --public-url", ErrConfig, c.Listen)
	}
	return nil
}

func checkPublic(text string) error {
	if text == "" {
		return nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "" {
		return fmt.Errorf("%w: the public URL has to be https://HOST, without a path", ErrConfig)
	}
	if u.Scheme != "https" && !(u.Scheme == "http" && loopback(u.Hostname())) {
		return fmt.Errorf("%w: the public URL has to begin with https://; http:// is for loopback only", ErrConfig)
	}
	return nil
}

// host is that by which others reach the service.
func (c *Config) host() string {
	if u, err := url.Parse(c.PublicURL); err == nil && c.PublicURL != "" {
		return u.Hostname()
	}
	host, _, _ := net.SplitHostPort(c.Listen) // complete has split it before
	return host
}

// public tells whether people reach the service from other machines.
func (c *Config) public() bool { return c.host() != "" && !loopback(c.host()) }

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	address, err := netip.ParseAddr(host)
	return err == nil && address.IsLoopback()
}
