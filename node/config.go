package node

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"time"

	"holdfast/certs"
	"holdfast/format/ticket"
)

// ErrConfig: something in the configuration cannot be.
var ErrConfig = errors.New("node: configuration")

// Config is what a node is told.
type Config struct {
	// Data is the directory for blobs, key and state.
	Data string
	// Server is the service's URL; Invite the code with which a new node joins.
	Server, Invite string
	// What the node declares of itself; the last three may be empty.
	Operator, Jurisdiction, Parent, Site, Storage string
	// Listen is the address to serve on. PublicURL is where clients reach it; empty
	// stands for the address itself.
	Listen, PublicURL string
	// Listener is used instead of Listen where it is not nil.
	Listener net.Listener
	// TLSCert and TLSKey are files; CA has further roots for server and peers.
	TLSCert, TLSKey, CA string
	// Capacity is the most to be kept; Reserve what stays free on the disk in any
	// case (negative: a default, see store.Options).
	Capacity, Reserve int64
	// Heartbeat is the time between signs of life; 0 stands for 15 seconds.
	Heartbeat time.Duration
	// TrashDays is how long deleted blobs are kept; 0 keeps none.
	TrashDays int
	// Stall is when a peer counts as stalled; 0 stands for 5 seconds.
	Stall time.Duration
	// Version of the program.
	Version string
	Now     func() time.Time
	Log     *slog.Logger
}

const (
	defaultHeartbeat = 15 * time.Second
	// DefaultTrashDays is the protocol's (docs/protocol.md, "Orders").
	DefaultTrashDays = 7
	mostTrashDays    = 365
	// leastCapacity: a node with less room than one blob is a mistake.
	leastCapacity = 16 << 20
)

func wrong(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrConfig, fmt.Sprintf(format, args...))
}

// Check refuses what cannot be and fills in the defaults. New calls it.
func (c *Config) Check() error {
	c.Server, c.PublicURL = strings.TrimRight(c.Server, "/"), strings.TrimRight(c.PublicURL, "/")
	switch {
	case c.Data == "":
		return wrong("no data directory is named")
	case c.Capacity < leastCapacity:
		return wrong("the capacity must be at least 16MiB, such as 100GB")
	case c.Heartbeat < 0 || c.Heartbeat > time.Hour:
		return wrong("the time between heartbeats must be between 0 and an hour")
	case c.TrashDays < 0 || c.TrashDays > mostTrashDays:
		return wrong("deleted blobs are kept for 0 to %d days", mostTrashDays)
	case (c.TLSCert == "") != (c.TLSKey == ""):
		return wrong("a certificate and its key are given together")
	}
	if err := c.checkDeclared(); err != nil {
		return err
	}
	if err := c.checkAddresses(); err != nil {
		return err
	}
	if c.Heartbeat == 0 {
		c.Heartbeat = defaultHeartbeat
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return nil
}

func (c *Config) checkDeclared() error {
	for _, text := range []*string{&c.Operator, &c.Parent, &c.Storage} {
		*text = strings.TrimSpace(*text)
	}
	if c.Operator == "" || len(c.Operator) > ticket.MaxOperator {
		return wrong("the operator's name must have 1 to %d bytes", ticket.MaxOperator)
	}
	if len(c.Parent) > ticket.MaxText || len(c.Storage) > ticket.MaxText {
		return wrong("names of companies have at most %d bytes", ticket.MaxText)
	}
	if err := ticket.CheckJurisdiction(c.Jurisdiction); err != nil {
		return wrong("%v", err)
	}
	if c.Site != "" {
		if err := ticket.CheckJurisdiction(c.Site); err != nil {
			return wrong("%v", err)
		}
	}
	return nil
}

func (c *Config) checkAddresses() error {
	if err := checkBase("the server", c.Server); err != nil {
		return err
	}
	if c.PublicURL != "" {
		if err := ticket.CheckURL(c.PublicURL); err != nil {
			return wrong("the public URL: %v", err)
		}
		if err := checkBase("this node", c.PublicURL); err != nil {
			return err
		}
	}
	if c.TLSCert != "" && strings.HasPrefix(c.PublicURL, "http:") {
		return wrong("the public URL must begin with https:// where a certificate is given")
	}
	if c.Listener != nil {
		return nil
	}
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return wrong("the address to listen on must be host:port: %v", err)
	}
	if c.TLSCert != "" {
		return c.checkNamed(host)
	}
	if !loopback(host) {
		return wrong("plain HTTP on %s would show tickets to everybody on the way: give a certificate with --tls-cert and --tls-key, "+
			"or listen on 127.0.0.1 behind a TLS proxy and name its address with --public-url", c.Listen)
	}
	return nil
}

// checkNamed wants an address by which others find the node.
func (c *Config) checkNamed(host string) error {
	if ip := net.ParseIP(host); c.PublicURL == "" && (host == "" || ip != nil && ip.IsUnspecified()) {
		return wrong("%q is every address of this machine and none that clients can call: name the node's own with --public-url", c.Listen)
	}
	return nil
}

// host is that by which others reach the node.
func (c *Config) host() (string, error) {
	if c.PublicURL != "" {
		u, err := url.Parse(c.PublicURL)
		if err != nil {
			return "", wrong("the public URL: %v", err)
		}
		return u.Hostname(), nil
	}
	address := c.Listen
	if c.Listener != nil {
		address = c.Listener.Addr().String()
	}
	host, _, err := net.SplitHostPort(address)
	return host, err
}

// certs opens the node's certificate; nil stands for plain HTTP.
func (c *Config) certs() (*certs.Holder, error) {
	if c.TLSCert == "" {
		return nil, nil
	}
	host, err := c.host()
	if err != nil {
		return nil, err
	}
	held, err := certs.Open(certs.Options{Cert: c.TLSCert, Key: c.TLSKey, Host: host, Now: c.Now, Log: c.Log})
	if err != nil {
		return nil, fmt.Errorf("node: %w", err)
	}
	return held, nil
}

// checkBase wants https, or http on this machine.
func checkBase(what, base string) error {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return wrong("the URL of %s must look like https://example.org", what)
	}
	if u.Scheme == "http" && !loopback(u.Hostname()) {
		return wrong("the URL of %s must begin with https:// beyond this machine", what)
	}
	return nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
