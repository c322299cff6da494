package api

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
)

// ErrUntrusted: the other side could not show that it is who it should be. It
// comes inside ErrUnreachable, because nothing was said to it; asking again at
// once does not help.
var ErrUntrusted = errors.New("its certificate cannot be trusted")

// maxRoots bounds a file of authorities: all that browsers know are 250 KB.
const maxRoots = 4 << 20

// Trust is how every caller checks servers and nodes: TLS 1.3 or later, by the
// system's authorities and those in a file of certificates in PEM form, where one
// is named.
func Trust(file string) (*tls.Config, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS13}
	if file == "" {
		return conf, nil
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("certificate authorities: %w", err)
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxRoots))
	if err != nil {
		return nil, fmt.Errorf("certificate authorities: %w", err)
	}
	if conf.RootCAs, err = x509.SystemCertPool(); err != nil {
		return nil, fmt.Errorf("the system's certificate authorities: %w", err)
	}
	if !conf.RootCAs.AppendCertsFromPEM(raw) {
		return nil, fmt.Errorf("certificate authorities: %s has no certificate in PEM form", file)
	}
	return conf, nil
}

// Unreachable is ErrUnreachable with its cause, in words that a person can act on
// where a certificate is it.
func Unreachable(cause error) error {
	if why := distrust(cause); why != "" {
		return fmt.Errorf("%w: %w: %s", ErrUnreachable, ErrUntrusted, why)
	}
	return fmt.Errorf("%w: %w", ErrUnreachable, cause)
}

// day is how dates are written for people.
const day = "2 January 2006, 15:04 MST"

// distrust says why a certificate was not taken; "" where none is the cause. What
// stands in it comes from a stranger.
func distrust(err error) string {
	var invalid x509.CertificateInvalidError
	var name x509.HostnameError
	var unknown x509.UnknownAuthorityError
	var other *tls.CertificateVerificationError
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return untimely(invalid.Cert, time.Now())
	case errors.As(err, &name):
		return fmt.Sprintf("it is for %q, and not for %q", hosts(name.Certificate), name.Host)
	case errors.As(err, &unknown):
		return fmt.Sprintf("it is signed by %q, which this machine does not know as an authority; if you do, name its certificate with --ca", clip(unknown.Cert.Issuer.String()))
	case errors.As(err, &other):
		return clip(other.Err.Error())
	}
	return ""
}

// untimely is for one that has ended or not begun; its authority's, perhaps.
func untimely(c *x509.Certificate, now time.Time) string {
	if now.Before(c.NotBefore) {
		return fmt.Sprintf("it begins on %s, and this machine's clock says %s", c.NotBefore.UTC().Format(day), now.UTC().Format(day))
	}
	return fmt.Sprintf("it ended on %s, and this machine's clock says %s", c.NotAfter.UTC().Format(day), now.UTC().Format(day))
}

// hosts are those that a certificate is for.
func hosts(c *x509.Certificate) string {
	all := slices.Clone(c.DNSNames)
	for _, ip := range c.IPAddresses {
		all = append(all, ip.String())
	}
	return clip(strings.Join(all, ", "))
}

// clip shortens what a stranger wrote.
func clip(text string) string {
	const most = 200
	if len(text) > most {
		return strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}
