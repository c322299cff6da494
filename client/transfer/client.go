// Package transfer sends files as links and receives them (docs/protocol.md). It
// is the SDK's door: Send seals files, stores them at two independent nodes and
// commits a link; Receive, or Open and then Stream or Range, get them back.
//
// It promises that a key meets each nonce once, whatever crashes in between;
// that nothing is published unless all of it is stored twice; that a received
// file appears under its name only once every check has passed; and that what a
// server or node says is checked before it is used. It prints nothing, and
// knows no terminal.
package transfer

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"holdfast/api"
	"holdfast/client/blobs"
	"holdfast/client/fleet"
	"holdfast/client/home"
)

// ErrServer: the server's address cannot be used.
var ErrServer = errors.New("the server's address cannot be used")

// ErrAnswer: the server's answer contradicts itself or what the link says.
var ErrAnswer = errors.New("the server's answer does not hold together; nothing was written")

const (
	// firstPatience is how long the first call waits for a server that does not
	// answer; laterPatience is for calls in the middle of a transfer.
	firstPatience = 4 * time.Second
	laterPatience = 2 * time.Minute
	// dialTime bounds connecting: a node that is switched off costs this much.
	dialTime = 5 * time.Second
	// ioBuffer of connections: 8 MiB in strides that keep system calls rare.
	ioBuffer = 128 << 10
)

// Client talks to one server. Make one with New.
type Client struct {
	server string
	local  bool
	http   *http.Client
	home   home.Dir
	now    func() time.Time
	// Patience is how long a transfer under way waits for a server or for nodes
	// that do not answer; 0 is two minutes.
	Patience time.Duration
	// Waiting is told why a transfer waits; may be nil.
	Waiting func(err error)
}

// New makes a client for the server at that base URL. client may be nil:
// NewHTTP(nil).
func New(server string, client *http.Client, dir home.Dir) (*Client, error) {
	server = strings.TrimSuffix(server, "/")
	local, err := fleet.IsLocal(server)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrServer, err)
	}
	if client == nil {
		client = NewHTTP(nil)
	}
	return &Client{server: server, local: local, http: client, home: dir, now: time.Now}, nil
}

// NewHTTP makes the HTTP client that transfers like best; conf may be nil,
// and is api.Trust's otherwise.
func NewHTTP(conf *tls.Config) *http.Client {
	var protocols http.Protocols
	if conf == nil {
		conf = &tls.Config{MinVersion: tls.VersionTLS13}
	}
	protocols.SetHTTP1(true) // blobs on connections of their own; HTTP/2 would share one window
	return &http.Client{
		Transport: &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			DialContext:         (&net.Dialer{Timeout: dialTime}).DialContext,
			TLSClientConfig:     conf,
			TLSHandshakeTimeout: 2 * dialTime,
			Protocols:           &protocols,
			DisableCompression:  true,
			MaxIdleConnsPerHost: 2 * inFlight,
			IdleConnTimeout:     30 * time.Second,
			ReadBufferSize:      ioBuffer,
			WriteBufferSize:     ioBuffer,
		},
		// Requests carry secrets and tickets; nobody sends them elsewhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Server is the base URL.
func (c *Client) Server() string { return c.server }

func (c *Client) caller() api.Caller { return api.Caller{Base: c.server, HTTP: c.http} }

func (c *Client) patience() time.Duration {
	if c.Patience > 0 {
		return c.Patience
	}
	return laterPatience
}

// Info asks what the server allows.
func (c *Client) Info(ctx context.Context) (api.ServiceInfo, error) {
	return retry(ctx, c, firstPatience, func(ctx context.Context) (api.ServiceInfo, error) {
		return api.GetInfo.Call(ctx, c.caller(), api.Args{}, api.Empty{})
	})
}

// retry calls f again while the server does not answer or asks for patience.
func retry[T any](ctx context.Context, c *Client, patience time.Duration, f func(context.Context) (T, error)) (T, error) {
	begun := time.Now()
	for pause := 200 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		v, err := f(ctx)
		if err == nil {
			return v, nil
		}
		if cause := context.Cause(ctx); cause != nil {
			return v, cause
		}
		wait, again := waits(err, pause)
		if !again || time.Since(begun)+wait > patience {
			return v, c.named(err)
		}
		if c.Waiting != nil {
			c.Waiting(err)
		}
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			t.Stop()
			return v, context.Cause(ctx)
		case <-t.C:
		}
	}
}

// named says which server did not answer.
func (c *Client) named(err error) error {
	if errors.Is(err, api.ErrUnreachable) {
		return fmt.Errorf("server %s: %w", c.server, err)
	}
	return err
}

// waits tells whether, and after which time, asking again makes sense.
func waits(err error, pause time.Duration) (time.Duration, bool) {
	var p *api.Problem
	if errors.As(err, &p) {
		pause = max(pause, time.Duration(p.RetryAfter)*time.Second)
		return pause, p.Code == api.Unavailable || p.Code == api.RateLimited || p.Code == api.Internal
	}
	return pause, errors.Is(err, api.ErrUnreachable) && !errors.Is(err, api.ErrUntrusted)
}

// Report is how a transfer tells what it does. Every function may be nil, and is
// called by several goroutines.
type Report struct {
	// Progress adds bytes to a stage.
	Progress func(stage Stage, bytes int64)
	// Fault is told of nodes that failed; the transfer goes on without them.
	Fault func(blobs.Fault)
}

// Stage is how far bytes have come.
type Stage int

// Stages of a send count sealed bytes except Read; Written counts those of a
// receive that were fetched, opened and written.
const (
	Read Stage = iota
	Sealed
	Sent // bytes that left, those sent again included
	StoredOne
	StoredTwo
	Written
)

func (r Report) progress(stage Stage, bytes int64) {
	if r.Progress != nil && bytes != 0 {
		r.Progress(stage, bytes)
	}
}

func (r Report) fault(f blobs.Fault) {
	if r.Fault != nil {
		r.Fault(f)
	}
}
