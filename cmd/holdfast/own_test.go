package main

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"holdfast/client/home"
	"holdfast/format/id"
	"holdfast/format/link"
)

// listener is a server that counts what it is asked, and who showed it a secret.
type listener struct {
	url            string
	asked, secrets atomic.Int32
}

func listen(t *testing.T) *listener {
	t.Helper()
	l := &listener{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l.asked.Add(1)
		if r.Header.Get("Authorization") != "" {
			l.secrets.Add(1)
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(s.Close)
	l.url = s.URL
	return l
}

// remembered is a home that remembers one send, made with server.
func remembered(t *testing.T, server string) (home.Dir, clientFlags, home.Send) {
	t.Helper()
	flags := clientFlags{placeFlags: placeFlags{Home: t.TempDir()}, Patience: time.Second}
	dir, err := flags.home()
	if err != nil {
		t.Fatal(err)
	}
	sent := home.Send{Server: server, Handle: id.New[id.Handle](), Manage: link.NewSecret().Reveal(), Name: "file"}
	if err := dir.SaveSend(sent); err != nil {
		t.Fatal(err)
	}
	return dir, flags, sent
}

// TestSecretsGoToTheirServerOnly: an address that names another server gets
// nothing of this machine's, and the send is not forgotten.
func TestSecretsGoToTheirServerOnly(t *testing.T) {
	good, evil := listen(t), listen(t)
	dir, flags, sent := remembered(t, good.url)
	address := link.Link{Handle: sent.Handle}.Address(evil.url)
	for name, run := range map[string]func() error{
		"unsend": func() error {
			return (&unsendCmd{clientFlags: flags, linkFlags: linkFlags{Link: address}}).Run(t.Context())
		},
		"where": func() error {
			return (&whereCmd{clientFlags: flags, openFlags: openFlags{linkFlags: linkFlags{Link: address}}}).Run(t.Context())
		},
	} {
		err := run()
		if exitCode(err) != exitUsage || !strings.Contains(explain(err), evil.url) || !strings.Contains(explain(err), good.url) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if evil.asked.Load() != 0 || good.asked.Load() != 0 {
		t.Errorf("%d requests to the address, %d to the server", evil.asked.Load(), good.asked.Load())
	}
	if _, err := dir.FindSend(sent.Handle); err != nil {
		t.Errorf("the send is forgotten: %v", err)
	}
}

// TestUnsendAtItsServer: spelled otherwise the address is the same server, and
// what was revoked is forgotten.
func TestUnsendAtItsServer(t *testing.T) {
	good := listen(t)
	dir, flags, sent := remembered(t, good.url+"/")
	address := strings.Replace(link.Link{Handle: sent.Handle}.Address(good.url), "http://", "HTTP://", 1)
	if err := (&unsendCmd{clientFlags: flags, linkFlags: linkFlags{Link: address}}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if good.secrets.Load() != 1 {
		t.Errorf("%d requests with a secret", good.secrets.Load())
	}
	if _, err := dir.FindSend(sent.Handle); !errors.Is(err, home.ErrUnknownSend) {
		t.Errorf("still remembered: %v", err)
	}
}

// TestGivenSecretsGoWhereToldTo: with --manage-file a person says where to; what
// this machine remembers of another server is not forgotten for that.
func TestGivenSecretsGoWhereToldTo(t *testing.T) {
	good, moved := listen(t), listen(t)
	dir, flags, sent := remembered(t, good.url)
	path := filepath.Join(t.TempDir(), "manage")
	if err := os.WriteFile(path, []byte(sent.Manage+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		at        *listener
		forgotten bool
	}{{moved, false}, {good, true}} {
		address := link.Link{Handle: sent.Handle}.Address(c.at.url)
		if err := (&unsendCmd{clientFlags: flags, linkFlags: linkFlags{Link: address}, ManageFile: path}).Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if c.at.secrets.Load() != 1 {
			t.Errorf("%d requests with the secret", c.at.secrets.Load())
		}
		if _, err := dir.FindSend(sent.Handle); errors.Is(err, home.ErrUnknownSend) != c.forgotten {
			t.Errorf("forgotten %v: %v", !c.forgotten, err)
		}
	}
}
