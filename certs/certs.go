// Package certs holds the certificate of a server or node, which somebody else
// renews: the files are read again every minute. It promises that what is served
// was valid for its host when it was loaded and belongs to its key, that a renewal
// needs no restart, that one which went wrong leaves the last good pair in place,
// and that whoever reads the log hears of it daily. Nothing but TLS 1.3 is spoken.
package certs

import (
	"context"
	"crypto/tls"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// lookEvery is how often the files are read, tellEvery how often the same thing
	// is said of them.
	lookEvery = time.Minute
	tellEvery = 24 * time.Hour
)

// Options of Open. Cert, Key and Host are required.
type Options struct {
	// Cert is a file with the certificate and what leads to its authority, Key one
	// with its private key, both in PEM form.
	Cert, Key string
	// Host is the name or address that the certificate has to be for.
	Host string
	Now  func() time.Time
	Log  *slog.Logger
}

// Holder holds the pair that is served.
type Holder struct {
	opt     Options
	current atomic.Pointer[pair]

	mu   sync.Mutex // guards what follows
	bad  bool       // the files could not be used at the last look
	told map[string]time.Time
}

// Open reads the files. What is wrong with them is an error that names the file
// and says what to do.
func Open(opt Options) (*Holder, error) {
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	h := &Holder{opt: opt, told: map[string]time.Time{}}
	p, err := read(opt.Cert, opt.Key)
	if err == nil {
		err = p.check(opt.Host, opt.Now())
	}
	if err != nil {
		return nil, err
	}
	h.use(p)
	return h, nil
}

// Config is for a server. Strangers who connect make it read no file.
func (h *Holder) Config() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS13,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &h.current.Load().tls, nil },
	}
}

// Watch looks at the files until ctx ends.
func (h *Holder) Watch(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			h.Look()
		}
	}
}

// Look reads the files once, serves them from now on if they are new and good,
// and says what is wrong. Two files are not renewed in one moment, so that what is
// wrong with them counts when it still is at the next look.
func (h *Holder) Look() {
	h.mu.Lock()
	defer h.mu.Unlock()
	p, err := read(h.opt.Cert, h.opt.Key)
	if err == nil && !p.same(h.current.Load()) {
		if err = p.check(h.opt.Host, h.opt.Now()); err == nil {
			h.opt.Log.Info("a renewed certificate is served from now on", "file", h.opt.Cert, "until", p.tls.Leaf.NotAfter.UTC())
			h.use(p)
		}
	}
	if err != nil && h.bad {
		h.tell(slog.LevelError, "the files of the certificate cannot be used, and the last good ones are served", err)
	}
	h.bad = err != nil
	h.age()
}

// use serves the pair from now on.
func (h *Holder) use(p *pair) {
	h.current.Store(p)
	if p.shared {
		h.opt.Log.Warn("the key can be read by a group; chmod 600 it unless the group is the service's own", "file", h.opt.Key)
	}
}

// age says when what is served ends soon, or has ended. It is called with mu held.
func (h *Holder) age() {
	now, leaf := h.opt.Now(), h.current.Load().tls.Leaf
	switch left := leaf.NotAfter.Sub(now); {
	case left <= 0:
		h.tell(slog.LevelError, "the certificate has ended, and nobody can reach this service any more", untimely(h.opt.Cert, leaf, now))
	case left < leaf.NotAfter.Sub(leaf.NotBefore)/10:
		h.tell(slog.LevelWarn, "the certificate ends soon and was not renewed", untimely(h.opt.Cert, leaf, now))
	}
}

// tell logs the same thing once a day. It is called with mu held.
func (h *Holder) tell(level slog.Level, what string, err error) {
	now := h.opt.Now()
	if at, said := h.told[what]; said && now.Sub(at) < tellEvery {
		return
	}
	h.told[what] = now
	h.opt.Log.Log(context.Background(), level, what, "error", err)
}
