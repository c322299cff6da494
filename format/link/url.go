package link

import (
	"fmt"
	"net"
	"net/url"
	"strings"

	"holdfast/format/id"
)

// maxURL bounds what is looked at; a link to a host name of 253 characters is
// shorter than 400.
const maxURL = 2048

const pathPrefix = "/s/"

// URL is the whole link, key included, at the server with that base URL
// (https://HOST). Print it only to the person whom it is for.
func (l Link) URL(base string) string { return l.Address(base) + "#" + l.Fragment() }

// Address is the link without its key.
func (l Link) Address(base string) string {
	return strings.TrimSuffix(base, "/") + pathPrefix + l.Handle.String()
}

// Parse reads a link as people paste it and returns it with the base URL of its
// server. Plain http is accepted for this machine only. White space around it
// and a query, as messengers append it, are dropped. For a link without key the
// error is ErrNoKey, and base and handle are returned all the same, so that
// ParseFragment can take the key from elsewhere.
func Parse(text string) (l Link, base string, err error) {
	text = strings.TrimSpace(text)
	if len(text) > maxURL {
		return Link{}, "", fmt.Errorf("%w (%d characters)", ErrURL, len(text))
	}
	address, fragment, _ := strings.Cut(text, "#")
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" || u.User != nil {
		return Link{}, "", ErrURL // the parser's own error would quote the text
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())) {
		return Link{}, "", fmt.Errorf("%w (links are https; http only to this machine)", ErrURL)
	}
	name, found := strings.CutPrefix(u.EscapedPath(), pathPrefix)
	if !found {
		return Link{}, "", ErrURL
	}
	handle, err := id.Parse[id.Handle](strings.TrimSuffix(name, "/"))
	if err != nil {
		return Link{}, "", fmt.Errorf("%w (its part before # is damaged)", ErrCut)
	}
	base = u.Scheme + "://" + strings.ToLower(u.Host)
	if fragment == "" {
		return Link{Handle: handle}, base, ErrNoKey
	}
	l, err = ParseFragment(handle, fragment)
	if err != nil {
		return Link{Handle: handle}, base, err
	}
	return l, base, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}
