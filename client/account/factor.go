package account

import (
	"crypto/rand"
	"encoding/base32"
	"errors"
	"net/url"
	"strings"
)

// FactorSecret is what a device calculates codes from (TOTP, RFC 6238).
type FactorSecret [20]byte

// ErrFactorSecret: a text that is no secret of a second factor.
var ErrFactorSecret = errors.New("a secret of a second factor has 32 letters and digits (base 32)")

// NewFactorSecret draws one.
func NewFactorSecret() (s FactorSecret) {
	rand.Read(s[:]) // never fails since Go 1.24
	return s
}

// ParseFactorSecret reads the text of one; spaces do not count.
func ParseFactorSecret(text string) (FactorSecret, error) {
	raw, err := base32.StdEncoding.DecodeString(strings.ToUpper(strings.Join(strings.Fields(text), "")))
	if err != nil || len(raw) != len(FactorSecret{}) {
		return FactorSecret{}, ErrFactorSecret
	}
	return FactorSecret(raw), nil
}

// Text is what is typed into a device that cannot look.
func (s FactorSecret) Text() string { return base32.StdEncoding.EncodeToString(s[:]) }

// URL is what a device looks at: the form that authenticator programs agree on
// (github.com/google/google-authenticator/wiki/Key-Uri-Format). It names no account but
// as the device shall call it.
func (s FactorSecret) URL(host string) string {
	q := url.Values{"secret": {s.Text()}, "issuer": {"Holdfast"}, "digits": {"6"}, "period": {"30"}, "algorithm": {"SHA1"}}
	return (&url.URL{Scheme: "otpauth", Host: "totp", Path: "/Holdfast:" + host, RawQuery: q.Encode()}).String()
}
