package api_test

import (
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"holdfast/api"
	"holdfast/certs/certtest"
)

// secure is a server with that certificate, and what it was asked.
func secure(t *testing.T, ca *certtest.Authority, spec certtest.Spec, conf *tls.Config) (url string, asked *int) {
	t.Helper()
	cert, key := ca.Issue(t, t.TempDir(), spec)
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	asked = new(int)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		*asked++
		w.Header().Set("Content-Type", api.TypeJSON)
		_, _ = io.WriteString(w, "{}")
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.TLS = conf
	s.TLS.Certificates = []tls.Certificate{pair}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.URL, asked
}

// TestDistrust: whoever cannot prove who he is is asked nothing, and the error
// says what is wrong with the certificate.
func TestDistrust(t *testing.T) {
	ca := certtest.New(t)
	now := time.Now()
	date := func(d time.Duration) string { return now.Add(d).UTC().Format("2 January 2006") }
	old := certtest.Spec{Hosts: []string{"127.0.0.1"}, From: now.Add(-72 * time.Hour), Until: now.Add(-48 * time.Hour)}
	young := certtest.Spec{Hosts: []string{"127.0.0.1"}, From: now.Add(48 * time.Hour), Until: now.Add(72 * time.Hour)}
	good := certtest.For("127.0.0.1")
	for what, c := range map[string]struct {
		ca   *certtest.Authority
		spec certtest.Spec
		want string
	}{
		"good":              {ca, good, ""},
		"ended":             {ca, old, "it ended on " + date(-48*time.Hour)},
		"not begun":         {ca, young, "it begins on " + date(48*time.Hour)},
		"another name":      {ca, certtest.For("other.example"), `for "other.example", and not for "127.0.0.1"`},
		"unknown authority": {certtest.New(t), good, `signed by "CN=` + certtest.Name + `"`},
	} {
		url, asked := secure(t, c.ca, c.spec, &tls.Config{MinVersion: tls.VersionTLS13})
		err := call(t, url, ca.File)
		if c.want == "" {
			if err != nil || *asked != 1 {
				t.Errorf("%s: %v", what, err)
			}
			continue
		}
		if !errors.Is(err, api.ErrUntrusted) || !errors.Is(err, api.ErrUnreachable) || !strings.Contains(err.Error(), c.want) || *asked != 0 {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestCallersSpeakTLS13: nothing is sent to a server that speaks older ones only.
func TestCallersSpeakTLS13(t *testing.T) {
	ca := certtest.New(t)
	url, asked := secure(t, ca, certtest.For("127.0.0.1"), &tls.Config{MaxVersion: tls.VersionTLS12})
	if err := call(t, url, ca.File); !errors.Is(err, api.ErrUnreachable) || *asked != 0 {
		t.Errorf("asked by TLS 1.2: %v", err)
	}
}

func call(t *testing.T, url, ca string) error {
	t.Helper()
	conf, err := api.Trust(ca)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: conf}
	defer transport.CloseIdleConnections()
	_, err = api.GetInfo.Call(t.Context(), api.Caller{Base: url, HTTP: &http.Client{Transport: transport}}, api.Args{}, api.Empty{})
	return err
}

func TestTrustRefusesFiles(t *testing.T) {
	empty := t.TempDir() + "/empty.pem"
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{empty: "no certificate", "missing.pem": "missing.pem"} {
		if _, err := api.Trust(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
