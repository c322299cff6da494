package certs

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// ErrFiles: the certificate or its key cannot be served.
var ErrFiles = errors.New("certificate")

func wrong(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrFiles, fmt.Sprintf(format, args...))
}

// maxFile bounds what is read of a file: a certificate with what leads to its
// authority takes a few kilobytes.
const maxFile = 1 << 20

// pair is a certificate with its key, and the bytes of which it was made.
type pair struct {
	tls       tls.Certificate // with Leaf
	cert, key []byte
	name      string // of the certificate's file
	shared    bool   // a group may read the key
}

func (p *pair) same(other *pair) bool {
	return bytes.Equal(p.cert, other.cert) && bytes.Equal(p.key, other.key)
}

// read reads both files and sees that they belong together.
func read(certFile, keyFile string) (*pair, error) {
	p := &pair{name: certFile}
	var err error
	if p.cert, _, err = readFile(certFile); err != nil {
		return nil, err
	}
	var mode os.FileMode
	if p.key, mode, err = readFile(keyFile); err != nil {
		return nil, err
	}
	if runtime.GOOS != "windows" { // which has no such bits
		if mode&0o007 != 0 {
			return nil, wrong("every user of this machine can read the key in %s or change it (mode %04o): chmod 600 it, and renew the certificate with a new key if others had access", keyFile, mode)
		}
		p.shared = mode&0o070 != 0
	}
	if !holds(p.cert, "CERTIFICATE") {
		return nil, wrong("%s holds no certificate in PEM form", certFile)
	}
	if !holds(p.key, "PRIVATE KEY") {
		return nil, wrong("%s holds no private key in PEM form, or one that is locked with a passphrase", keyFile)
	}
	if p.tls, err = tls.X509KeyPair(p.cert, p.key); err != nil {
		return nil, wrong("%s and %s do not belong together or are damaged (%s): name the two files that were made for each other", certFile, keyFile, err)
	}
	return p, nil
}

// readFile returns the permissions, too.
func readFile(name string) (raw []byte, mode os.FileMode, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, 0, fmt.Errorf("%w: %w", ErrFiles, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, 0, fmt.Errorf("%w: %w", ErrFiles, err)
	}
	if raw, err = io.ReadAll(io.LimitReader(f, maxFile)); err != nil {
		return nil, 0, fmt.Errorf("%w: %w", ErrFiles, err)
	}
	return raw, info.Mode().Perm(), nil
}

// holds tells whether there is a block of that kind, such as "PRIVATE KEY" or "EC
// PRIVATE KEY", that can be read as it is.
func holds(raw []byte, kind string) bool {
	for block, rest := pem.Decode(raw); block != nil; block, rest = pem.Decode(rest) {
		locked := strings.HasPrefix(block.Type, "ENCRYPTED") || block.Headers["DEK-Info"] != ""
		if strings.HasSuffix(block.Type, kind) && !locked {
			return true
		}
	}
	return false
}

// check holds the certificate against the time and the host.
func (p *pair) check(host string, now time.Time) error {
	leaf := p.tls.Leaf
	if now.Before(leaf.NotBefore) || !now.Before(leaf.NotAfter) {
		return untimely(p.name, leaf, now)
	}
	if err := leaf.VerifyHostname(host); err != nil {
		return wrong("%s is for %s, and not for %s, by which others reach this service: name the right file, or the right address with --public-url", p.name, names(leaf), host)
	}
	return nil
}

// names are the hosts that a certificate is for.
func names(leaf *x509.Certificate) string {
	all := slices.Clone(leaf.DNSNames)
	for _, ip := range leaf.IPAddresses {
		all = append(all, ip.String())
	}
	if len(all) == 0 {
		return "no host"
	}
	return strings.Join(all, ", ")
}

// untimely says from when to when a certificate is valid.
func untimely(name string, leaf *x509.Certificate, now time.Time) error {
	const day = "2 January 2006, 15:04 MST"
	if now.Before(leaf.NotBefore) {
		return wrong("%s is valid only from %s on, and this machine's clock says %s: correct the clock, or wait", name, leaf.NotBefore.UTC().Format(day), now.UTC().Format(day))
	}
	verb := "ends"
	if !now.Before(leaf.NotAfter) {
		verb = "ended"
	}
	return wrong("%s %s on %s, and this machine's clock says %s: renew it; the files are read again every minute, without a restart", name, verb, leaf.NotAfter.UTC().Format(day), now.UTC().Format(day))
}
