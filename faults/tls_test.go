//go:build linux

package faults

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"holdfast/certs/certtest"
)

// secureFleet is a fleet of which every part, the fronts too, speaks TLS only, and
// whose authority clients know.
func secureFleet(t *testing.T) (*fleet, *fronts) {
	t.Helper()
	ca := certtest.New(t)
	cert, key := ca.Issue(t, t.TempDir(), certtest.For("127.0.0.1"))
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("HOLDFAST_CA", ca.File)
	f, fr := newFleet(t), &fronts{tls: &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: ca.Pool()}}
	f.secure, f.trust = []string{"--tls-cert", cert, "--tls-key", key}, []string{"--ca", ca.File}
	f.startServer()
	for _, j := range []string{"DE", "NZ", "IS"} {
		f.front[j] = fr.before(t, j, fmt.Sprintf("https://127.0.0.1:%d", f.port(j)))
		f.startNode(j)
	}
	return f, fr
}

// TestJourneyByTLS: what is sent over TLS comes back, while nodes die and when
// they are dead, until it is revoked; and who does not know the authority sends
// nothing.
func TestJourneyByTLS(t *testing.T) {
	f, fr := secureFleet(t)
	if !strings.HasPrefix(f.server.url, "https://") {
		t.Fatalf("the server is at %s", f.server.url)
	}
	path, want := f.file(44*mib, 9)
	var link string
	for _, at := range []moment{{"2", 2, atHalf}, {"1", 2, atHalf}} {
		fr.arm(at, func(node string) { f.nodes[node].kill() })
		link = f.send("sender", path)
		victim, _ := fr.outcome()
		fr.arm(moment{}, nil)
		if victim == "" {
			t.Fatal("the moment never came")
		}
		if got := f.receive("receiver", link); !bytes.Equal(got, want) {
			t.Error("what came back is not what was acknowledged")
		}
		f.startNode(victim)
	}
	for _, j := range []string{"DE", "NZ", "IS"} {
		f.nodes[j].kill()
		if got := f.receive("receiver-"+j, link); !bytes.Equal(got, want) {
			t.Errorf("what came back without %s is not what was acknowledged", j)
		}
		f.startNode(j)
	}
	if r, err := client(f.context(), f.home("sender"), "unsend", link); err != nil || r.code != 0 {
		t.Errorf("unsend: %v, exit %d\n%s", err, r.code, r.stderr)
	}
	if r, err := client(f.context(), f.home("late"), "receive", link, "-o", filepath.Join(t.TempDir(), "x")); err != nil || r.code != 5 {
		t.Errorf("received what was revoked: %v, exit %d\n%s", err, r.code, r.stderr)
	}

	if err := os.Unsetenv("HOLDFAST_CA"); err != nil { // Setenv above puts back what was there
		t.Fatal(err)
	}
	r, err := client(f.context(), f.home("stranger"), "send", "--server", f.server.url, path)
	if err != nil || r.code != 8 || !strings.Contains(r.stderr, certtest.Name) || !strings.Contains(r.stderr, "--ca") {
		t.Errorf("sent to a server of an unknown authority: %v, exit %d\n%s", err, r.code, r.stderr)
	}
	if r.took > 3*time.Second {
		t.Errorf("waited %s for a certificate to get better", r.took)
	}
}

// TestClientsCheckCertificates: each reason is named, nothing is asked, and the
// exit code is that of what cannot be reached.
func TestClientsCheckCertificates(t *testing.T) {
	ca := certtest.New(t)
	t.Setenv("HOLDFAST_CA", ca.File)
	f := newFleet(t)
	path, _ := f.file(1000, 1)
	ended := time.Now().Add(-48 * time.Hour)
	for what, c := range map[string]struct {
		ca   *certtest.Authority
		spec certtest.Spec
		want string
	}{
		"ended":        {ca, certtest.Spec{Hosts: []string{"127.0.0.1"}, From: ended.Add(-time.Hour), Until: ended}, "ended on " + ended.UTC().Format("2 January 2006")},
		"another name": {ca, certtest.For("files.example"), `for "files.example"`},
		"unknown":      {certtest.New(t), certtest.For("127.0.0.1"), "does not know"},
	} {
		url, asked := showing(t, c.ca, c.spec)
		r, err := client(f.context(), f.home("sender"), "send", "--server", url, path)
		if err != nil || r.code != 8 || !strings.Contains(r.stderr, "certificate") || !strings.Contains(r.stderr, c.want) || asked() {
			t.Errorf("%s: %v, exit %d\n%s", what, err, r.code, r.stderr)
		}
	}
}

// showing is a server with that certificate; asked tells whether anything was.
func showing(t *testing.T, ca *certtest.Authority, spec certtest.Spec) (url string, asked func() bool) {
	t.Helper()
	cert, key := ca.Issue(t, t.TempDir(), spec)
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}})
	if err != nil {
		t.Fatal(err)
	}
	requests := make(chan struct{}, 100)
	server := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { requests <- struct{}{} }), ErrorLog: quiet}
	go server.Serve(l) // ends with Close
	t.Cleanup(func() { server.Close() })
	return "https://" + l.Addr().String(), func() bool { return len(requests) > 0 }
}

// TestBadCertificatesAtStart: server and node do not start with what nobody would
// believe, and say which file it is and why.
func TestBadCertificatesAtStart(t *testing.T) {
	ca := certtest.New(t)
	issue := func(spec certtest.Spec) (cert, key string) { return ca.Issue(t, t.TempDir(), spec) }
	good, goodKey := issue(certtest.For("127.0.0.1"))
	other, otherKey := issue(certtest.For("other.example"))
	ended := time.Now().Add(-48 * time.Hour)
	old, oldKey := issue(certtest.Spec{Hosts: []string{"127.0.0.1"}, From: ended.Add(-time.Hour), Until: ended})
	open, openKey := issue(certtest.For("127.0.0.1"))
	if err := os.Chmod(openKey, 0o644); err != nil {
		t.Fatal(err)
	}
	starts := map[string][]string{
		"server": {"server", "--data", filepath.Join(t.TempDir(), "server"), "--listen", "127.0.0.1:0"},
		"node": {"node", "run", "--data", filepath.Join(t.TempDir(), "node"), "--listen", "127.0.0.1:0", "--server", "https://127.0.0.1:1",
			"--operator", "O", "--jurisdiction", "DE", "--capacity", "1GB"},
	}
	for what, c := range map[string]struct {
		cert, key string
		want      []string
	}{
		"ended":        {old, oldKey, []string{old, "ended on " + ended.UTC().Format("2 January 2006"), "renew"}},
		"another name": {other, otherKey, []string{other, "other.example", "127.0.0.1", "--public-url"}},
		"another key":  {good, otherKey, []string{good, otherKey, "do not belong together"}},
		"open key":     {open, openKey, []string{openKey, "chmod 600"}},
		"no file":      {good + ".not", goodKey, []string{good + ".not", "no such file"}},
	} {
		for name, flags := range starts {
			out, err := exec.CommandContext(t.Context(), programs.holdfast, append(append([]string{}, flags...), "--tls-cert", c.cert, "--tls-key", c.key)...).CombinedOutput()
			if err == nil {
				t.Errorf("%s, %s: it started", name, what)
			}
			for _, want := range c.want {
				if !strings.Contains(string(out), want) {
					t.Errorf("%s, %s: %q lacks %q", name, what, out, want)
				}
			}
		}
	}
}
