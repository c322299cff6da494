package fleet

import (
	"fmt"
	"net/netip"
	"net/url"
	"path"
	"strings"
)

// What the DNS carries at most.
const (
	maxHost  = 253
	maxLabel = 63
)

// place is where a node is reached.
type place struct {
	key    string // the URL in the form in which URLs are compared
	origin string // scheme, host and port as browsers see them
	local  bool   // it is reached from its own machine only
}

// placeOf reads a base URL. Nodes are reached over HTTPS; plain HTTP is for
// loopback. The URL's syntax was checked with the declaration; this is about
// its host and path, for the origin goes into the pages' security policy.
func placeOf(raw string) (place, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return place{}, fmt.Errorf("%w: the URL cannot be parsed", ErrDeclaration)
	}
	if u.Path != "" && (path.Clean(u.Path) != u.Path || u.Path == "/") {
		return place{}, fmt.Errorf("%w: write the URL without a slash at its end, and without empty, . and .. parts", ErrDeclaration)
	}
	host, local, err := hostOf(u.Hostname())
	if err != nil {
		return place{}, err
	}
	if u.Scheme != "https" && !local {
		return place{}, fmt.Errorf("%w: the URL has to begin with https://; http:// is for loopback only", ErrDeclaration)
	}
	port := strings.TrimLeft(u.Port(), "0")
	if port != "" && port != map[string]string{"http": "80", "https": "443"}[u.Scheme] {
		port = ":" + port
	} else {
		port = ""
	}
	p := place{origin: u.Scheme + "://" + host + port, local: local}
	if host == "localhost" {
		host = "127.0.0.1" // one disk must not count as two nodes by two names of one machine
	}
	p.key = u.Scheme + "://" + host + port + u.EscapedPath()
	return p, nil
}

var errHost = fmt.Errorf("%w: the URL's host is neither a name nor an address at which a node can be reached", ErrDeclaration)

// hostOf returns a host in its one spelling and whether it is this machine.
func hostOf(host string) (canonical string, local bool, err error) {
	host = strings.ToLower(host)
	if address, err := netip.ParseAddr(host); err == nil {
		if address.IsUnspecified() || address.IsMulticast() || address.Is4In6() || address.Zone() != "" {
			return "", false, errHost
		}
		if address.Is6() {
			return "[" + address.String() + "]", address.IsLoopback(), nil
		}
		return address.String(), address.IsLoopback(), nil
	}
	labels := strings.Split(host, ".")
	for _, label := range labels {
		if label == "" || len(label) > maxLabel || label[0] == '-' || label[len(label)-1] == '-' || strings.Contains(label, ":") {
			return "", false, errHost
		}
	}
	last := labels[len(labels)-1]
	if len(host) > maxHost || strings.Trim(last, "0123456789") == "" || strings.HasPrefix(last, "0x") {
		return "", false, errHost // browsers read what ends in a number as an IPv4 address in another notation
	}
	return host, host == "localhost", nil
}
