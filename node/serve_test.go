package node_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"holdfast/api"
	"holdfast/format/id"
	"holdfast/node"
	"holdfast/node/store/storetest"
)

// writeCert makes a certificate for loopback and returns its files.
func writeCert(t *testing.T, dir string, serial int64) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "test"}, IsCA: true,
		BasicConstraintsValid: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	must(t, err)
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	must(t, err)
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	must(t, os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	must(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}), 0o600))
	return cert, key
}

func trusting(t *testing.T, cert string) *http.Client {
	t.Helper()
	raw, err := os.ReadFile(cert)
	must(t, err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(raw)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func askHealth(t *testing.T, n *node.Node, client *http.Client) error {
	t.Helper()
	_, err := api.GetHealth.Call(t.Context(), api.Caller{Base: n.URL(), HTTP: client}, api.Args{}, api.Empty{})
	return err
}

// TestTLS: nodes talk to each other over TLS, and a renewed certificate is used
// without a restart.
func TestTLS(t *testing.T) {
	f := newFleet(t, 0)
	certDir := t.TempDir()
	cert, key := writeCert(t, certDir, 1)
	start := func() *node.Node {
		cfg := f.config(t.TempDir())
		cfg.TLSCert, cfg.TLSKey, cfg.CA = cert, key, cert
		f.set(func() { f.invites["good"] = true })
		n, stop := run(t, cfg)
		<-n.Ready()
		t.Cleanup(func() { must(t, stop()) })
		f.nodes = append(f.nodes, n)
		return n
	}
	p, s := start(), start()
	client := trusting(t, cert)
	must(t, askHealth(t, p, client))
	b := storetest.Make(id.New[id.Upload](), 1, 300_000)
	http.DefaultClient = client
	defer func() { http.DefaultClient = &http.Client{} }()
	f.wantCopies(f.put(p, f.ticket(b.Key.Upload, budget, f.places()...), 2, b), p, s)

	later := time.Now().Add(time.Minute)
	cert, _ = writeCert(t, certDir, 2)
	must(t, os.Chtimes(cert, later, later))
	renewed := trusting(t, cert)
	if err := askHealth(t, p, renewed); err == nil {
		t.Fatal("looked at the file with every connection")
	}
	f.clock.add(2 * time.Minute)
	must(t, askHealth(t, p, renewed))
	must(t, os.WriteFile(cert, []byte("half written"), 0o600)) // goes on with the last good one
	must(t, os.Chtimes(cert, later.Add(time.Minute), later.Add(time.Minute)))
	f.clock.add(2 * time.Minute)
	renewed.CloseIdleConnections()
	must(t, askHealth(t, p, renewed))
}

func TestBadCertificates(t *testing.T) {
	f := newFleet(t, 0)
	cert, key := writeCert(t, t.TempDir(), 1)
	empty := filepath.Join(t.TempDir(), "empty.pem")
	must(t, os.WriteFile(empty, nil, 0o600))
	for name, change := range map[string]func(*node.Config){
		"no certificate":    func(c *node.Config) { c.TLSCert, c.TLSKey = "missing", key },
		"empty certificate": func(c *node.Config) { c.TLSCert, c.TLSKey = empty, key },
		"key for cert":      func(c *node.Config) { c.TLSCert, c.TLSKey = cert, cert },
		"no roots":          func(c *node.Config) { c.CA = empty },
	} {
		cfg := f.config(t.TempDir())
		change(&cfg)
		if n, err := node.New(cfg); err == nil {
			n.Close()
			t.Errorf("%s: no error", name)
		}
	}
}

// TestMissedOrdersComeFirst: a node that was away deletes what it should have
// deleted before it gives out or takes anything.
func TestMissedOrdersComeFirst(t *testing.T) {
	f := newFleet(t, 0)
	dir := t.TempDir()
	n, stop := f.add(dir, nil)
	b := storetest.Make(id.New[id.Upload](), 1, 5000)
	must(t, storetest.Put(n.Store(), b, budget))
	stop()
	hold := make(chan struct{})
	f.set(func() {
		f.answer = api.HeartbeatResponse{Orders: []string{f.order(n, 1, 1, b.Key.Upload)}, Time: f.clock.now().Unix()}
		f.slow = hold
	})
	n, stopRun := run(t, f.config(dir))
	f.nodes[0] = n
	q := query(b.Key.Upload, f.reads(b.Key.Upload, whole(b)))
	_, _, err := get(t, n, "GET", b.Key.Name, q)
	want(t, err, api.Unavailable)
	want(t, f.put(n, f.ticket(b.Key.Upload, budget, placeOf(n), nowhere), 1, b).err, api.Unavailable)
	if h := health(t, n); h.State != "serving" {
		t.Errorf("health %+v", h)
	}
	close(hold)
	<-n.Ready()
	_, _, err = get(t, n, "GET", b.Key.Name, q)
	want(t, err, api.BlobUnknown)
	must(t, stopRun())
}
