package webui

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// maxOrigins bounds the nodes that a policy names. It goes with every answer,
// and servers in front limit headers to 8 KiB; 64 origins are 2 to 4.
const maxOrigins = 64

// policy is what the headers of this moment say.
type policy struct {
	version string // of the fleet
	csp     string
	tag     string // changes with the policy and with the fleet's version
	left    int    // origins that found no room
}

// source is the form of an origin or zone. What a node declares was checked
// when it joined; here it is checked once more, because a space or semicolon
// would change the policy.
var source = regexp.MustCompile(`^https?://(\*\.)?([a-z0-9.-]+|\[[0-9a-f:]+\])(:[0-9]{1,5})?$`)

// makePolicy is the policy that lets pages reach these origins.
func makePolicy(version string, origins, zones []string) policy {
	var connect []string
	for _, o := range origins {
		if source.MatchString(o) && !strings.Contains(o, "*") && !slices.Contains(connect, o) {
			connect = append(connect, o)
		}
	}
	p := policy{version: version}
	if len(connect) > maxOrigins && len(zones) > 0 {
		connect = zones
	}
	if len(connect) > maxOrigins {
		p.left = len(connect) - maxOrigins
		connect = connect[:maxOrigins]
	}
	p.csp = strings.Join([]string{
		"default-src 'none'",
		"script-src 'self' 'wasm-unsafe-eval'",
		"style-src 'self'",
		"img-src 'self'",
		strings.Join(append([]string{"connect-src 'self'"}, connect...), " "),
		"worker-src 'self'",
		"frame-src 'self'",
		"manifest-src 'self'",
		"base-uri 'none'",
		"form-action 'none'",
		"frame-ancestors 'none'",
		"require-trusted-types-for 'script'",
		"trusted-types svelte-trusted-html holdfast",
	}, "; ")
	p.tag = digest([]byte(p.csp + "\n" + version))
	return p
}

// checkZones refuses what is no source of that form.
func checkZones(zones []string) error {
	for _, z := range zones {
		if !source.MatchString(z) {
			return fmt.Errorf("webui: node zone %q: expected a form such as https://*.nodes.example", z)
		}
	}
	return nil
}

// digest is a short hash for entity tags.
func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return base64.RawURLEncoding.EncodeToString(sum[:12])
}

// write sets the headers that every answer carries.
func (p policy) write(h http.Header) {
	h.Set("Content-Security-Policy", p.csp)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), magnetometer=(), microphone=(), midi=(), payment=(), usb=()")
}
