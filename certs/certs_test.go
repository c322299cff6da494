package certs_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"holdfast/certs"
	"holdfast/certs/certtest"
)

// rig is a holder with files, a clock and a log of its own.
type rig struct {
	*testing.T
	ca   *certtest.Authority
	now  time.Time
	log  bytes.Buffer
	cert string
	key  string
}

const host = "files.example"

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{T: t, ca: certtest.New(t), now: time.Now()}
	r.cert, r.key = r.ca.Issue(t, t.TempDir(), certtest.For(host))
	return r
}

func (r *rig) open() (*certs.Holder, error) {
	return certs.Open(certs.Options{Cert: r.cert, Key: r.key, Host: host, Now: func() time.Time { return r.now }, Log: slog.New(slog.NewTextHandler(&r.log, nil))})
}

func (r *rig) mustOpen() *certs.Holder {
	r.Helper()
	h, err := r.open()
	if err != nil {
		r.Fatal(err)
	}
	return h
}

// renew writes another pair over the files.
func (r *rig) renew(spec certtest.Spec) {
	r.Helper()
	cert, key := r.ca.Issue(r.T, r.TempDir(), spec)
	r.move(cert, r.cert)
	r.move(key, r.key)
}

func (r *rig) move(from, to string) {
	r.Helper()
	if err := os.Rename(from, to); err != nil {
		r.Fatal(err)
	}
}

// said is how often the log holds a text.
func (r *rig) said(text string, times int) {
	r.Helper()
	if n := strings.Count(r.log.String(), text); n != times {
		r.Errorf("%q was said %d times, want %d:\n%s", text, n, times, &r.log)
	}
}

// serial is that of the certificate that a handshake shows.
func (r *rig) serial(h *certs.Holder, client *tls.Config) (string, error) {
	r.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		r.Fatal(err)
	}
	defer listener.Close()
	go func() {
		far, err := listener.Accept()
		if err != nil {
			return // the caller has gone already, and says why
		}
		defer far.Close()
		_ = tls.Server(far, h.Config()).HandshakeContext(r.Context()) // the caller sees the other half
		_, _ = io.Copy(io.Discard, far)
	}()
	near, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		r.Fatal(err)
	}
	defer near.Close()
	c := tls.Client(near, client)
	if err := c.HandshakeContext(r.Context()); err != nil {
		return "", err
	}
	return c.ConnectionState().PeerCertificates[0].SerialNumber.String(), nil
}

func (r *rig) serves(h *certs.Holder) string {
	r.Helper()
	s, err := r.serial(h, &tls.Config{RootCAs: r.ca.Pool(), ServerName: host, Time: func() time.Time { return r.now }})
	if err != nil {
		r.Fatal(err)
	}
	return s
}

// TestOnlyTLS13: nothing older is spoken.
func TestOnlyTLS13(t *testing.T) {
	r := newRig(t)
	h := r.mustOpen()
	r.serves(h)
	if _, err := r.serial(h, &tls.Config{RootCAs: r.ca.Pool(), ServerName: host, MaxVersion: tls.VersionTLS12}); err == nil || !strings.Contains(err.Error(), "protocol version") {
		t.Errorf("TLS 1.2 was spoken: %v", err)
	}
}

// TestRenewal: new files are served without a restart, and half of them, or bad
// ones, do no harm.
func TestRenewal(t *testing.T) {
	r := newRig(t)
	h := r.mustOpen()
	first := r.serves(h)
	h.Look()
	if r.serves(h) != first {
		t.Fatal("another certificate out of nothing")
	}
	r.renew(certtest.For(host))
	h.Look()
	second := r.serves(h)
	if second == first {
		t.Fatal("the renewed certificate is not served")
	}
	r.said("renewed certificate", 1)

	cert, key := r.ca.Issue(t, t.TempDir(), certtest.For(host))
	r.move(cert, r.cert) // and the key follows a moment later
	h.Look()
	r.said("cannot be used", 0)
	r.move(key, r.key)
	h.Look()
	third := r.serves(h)
	if third == second {
		t.Fatal("the certificate that came in two steps is not served")
	}
	for what, spoil := range map[string]func(){
		"another name": func() { r.renew(certtest.For("other.example")) },
		"ended already": func() {
			r.renew(certtest.Spec{Hosts: []string{host}, From: r.now.Add(-2 * time.Hour), Until: r.now.Add(-time.Hour)})
		},
		"cut":  func() { r.write(r.cert, "-----BEGIN CERT") },
		"gone": func() { r.remove(r.key) },
	} {
		before := strings.Count(r.log.String(), "cannot be used")
		r.now = r.now.Add(25 * time.Hour) // what was said the day before is said again
		spoil()
		h.Look()
		h.Look()
		h.Look()
		if n := strings.Count(r.log.String(), "cannot be used"); n != before+1 {
			t.Errorf("%s: said %d times", what, n-before)
		}
		if r.serves(h) != third {
			t.Errorf("%s: the last good certificate is not served any more", what)
		}
		r.renew(certtest.For(host))
		h.Look()
		third = r.serves(h)
	}
}

func (r *rig) write(name, text string) {
	r.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		r.Fatal(err)
	}
}

func (r *rig) remove(name string) {
	r.Helper()
	if err := os.Remove(name); err != nil {
		r.Fatal(err)
	}
}

// TestOldAge: the log tells of a certificate that ends, once a day, louder when
// it has ended; and the service goes on.
func TestOldAge(t *testing.T) {
	r := newRig(t)
	r.renew(certtest.Spec{Hosts: []string{host}, From: r.now.Add(-time.Hour), Until: r.now.Add(90 * 24 * time.Hour)})
	h := r.mustOpen()
	h.Look()
	r.now = r.now.Add(80 * 24 * time.Hour)
	h.Look()
	r.said("ends soon", 0)
	r.now = r.now.Add(2 * 24 * time.Hour)
	h.Look()
	h.Look()
	r.said("ends soon", 1)
	r.now = r.now.Add(25 * time.Hour)
	h.Look()
	r.said("ends soon", 2)
	r.now = r.now.Add(8 * 24 * time.Hour)
	for range 49 { // two days
		h.Look()
		r.now = r.now.Add(time.Hour)
	}
	r.said("has ended", 3)
	r.said("level=ERROR", 3)
	r.renew(certtest.Spec{Hosts: []string{host}, From: r.now.Add(-time.Hour), Until: r.now.Add(90 * 24 * time.Hour)})
	h.Look()
	r.serves(h)
	r.said("level=ERROR", 3)
}

// TestBadFiles: each message names the file and says what to do.
func TestBadFiles(t *testing.T) {
	r := newRig(t)
	good, goodKey := r.cert, r.key
	other, otherKey := r.ca.Issue(t, t.TempDir(), certtest.For("other.example", "third.example"))
	old, oldKey := r.ca.Issue(t, t.TempDir(), certtest.Spec{Hosts: []string{host}, From: r.now.Add(-48 * time.Hour), Until: r.now.Add(-24 * time.Hour)})
	young, youngKey := r.ca.Issue(t, t.TempDir(), certtest.Spec{Hosts: []string{host}, From: r.now.Add(24 * time.Hour), Until: r.now.Add(48 * time.Hour)})
	empty := t.TempDir() + "/empty.pem"
	r.write(empty, "")
	locked := t.TempDir() + "/locked.pem"
	r.write(locked, "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n")
	date := func(d time.Duration) string { return r.now.Add(d).UTC().Format("2 January 2006") }
	for what, c := range map[string]struct {
		cert, key string
		want      []string
	}{
		"no file":        {"missing.pem", goodKey, []string{"missing.pem", "no such file"}},
		"no key file":    {good, "missing.pem", []string{"missing.pem", "no such file"}},
		"empty":          {empty, goodKey, []string{empty, "no certificate in PEM form"}},
		"key twice":      {goodKey, goodKey, []string{goodKey, "no certificate in PEM form"}},
		"cert twice":     {good, good, []string{good, "no private key in PEM form"}},
		"locked key":     {good, locked, []string{locked, "passphrase"}},
		"another's key":  {good, otherKey, []string{good, otherKey, "do not belong together", "made for each other"}},
		"another's name": {other, otherKey, []string{other, "for other.example, third.example, and not for " + host, "--public-url"}},
		"ended":          {old, oldKey, []string{old, "ended on " + date(-24*time.Hour), "clock says " + date(0), "renew it"}},
		"not begun":      {young, youngKey, []string{young, "only from " + date(24*time.Hour), "clock"}},
	} {
		r.cert, r.key = c.cert, c.key
		_, err := r.open()
		if !errors.Is(err, certs.ErrFiles) {
			t.Errorf("%s: %v", what, err)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q lacks %q", what, err, want)
			}
		}
	}
}

// TestKeyForOthers: a key that any user can read is none; a group's is pointed out.
func TestKeyForOthers(t *testing.T) {
	r := newRig(t)
	for mode, refused := range map[os.FileMode]bool{0o600: false, 0o400: false, 0o640: false, 0o644: true, 0o604: true, 0o602: true} {
		if err := os.Chmod(r.key, mode); err != nil {
			t.Fatal(err)
		}
		r.log.Reset()
		_, err := r.open()
		if refused != (err != nil) || refused && !strings.Contains(err.Error(), r.key) {
			t.Errorf("%o: %v", mode, err)
		}
		if warned := strings.Contains(r.log.String(), "by a group"); warned != (mode == 0o640) {
			t.Errorf("%o: %s", mode, &r.log)
		}
	}
}

// TestHandshakesReadNoFiles, so that strangers cannot make it wait for a disk.
func TestHandshakesReadNoFiles(t *testing.T) {
	r := newRig(t)
	h := r.mustOpen()
	r.remove(r.cert)
	r.serves(h)
}
