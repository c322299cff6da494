package fleet

import (
	"errors"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"holdfast/format/ticket"
)

func TestPlaceOf(t *testing.T) {
	for name, c := range map[string]struct {
		url  string
		want place // zero: refused
	}{
		"https":                        {"https://node.example", place{"https://node.example", "https://node.example", false}},
		"port":                         {"https://node.example:8443", place{"https://node.example:8443", "https://node.example:8443", false}},
		"the default port":             {"https://node.example:443", place{"https://node.example", "https://node.example", false}},
		"a port with zeros":            {"https://node.example:08443", place{"https://node.example:8443", "https://node.example:8443", false}},
		"http's port with https":       {"https://node.example:80", place{"https://node.example:80", "https://node.example:80", false}},
		"upper case":                   {"https://Node.Example", place{"https://node.example", "https://node.example", false}},
		"a path":                       {"https://node.example/Store/1", place{"https://node.example/Store/1", "https://node.example", false}},
		"IPv4":                         {"https://192.0.2.7", place{"https://192.0.2.7", "https://192.0.2.7", false}},
		"IPv6":                         {"https://[2001:DB8:0::7]:9000", place{"https://[2001:db8::7]:9000", "https://[2001:db8::7]:9000", false}},
		"loopback over http":           {"http://127.0.0.1:9001", place{"http://127.0.0.1:9001", "http://127.0.0.1:9001", true}},
		"another loopback":             {"http://127.3.2.1:9001", place{"http://127.3.2.1:9001", "http://127.3.2.1:9001", true}},
		"IPv6 loopback":                {"http://[::1]:9001", place{"http://[::1]:9001", "http://[::1]:9001", true}},
		"localhost is 127.0.0.1":       {"http://LocalHost:9001", place{"http://127.0.0.1:9001", "http://localhost:9001", true}},
		"localhost over https":         {"https://localhost", place{"https://127.0.0.1", "https://localhost", true}},
		"http elsewhere":               {url: "http://node.example"},
		"http on a private network":    {url: "http://10.0.0.1"},
		"a name that looks local":      {url: "http://127.0.0.1.example"},
		"a name under localhost":       {url: "http://node.localhost"},
		"slash at the end":             {url: "https://node.example/"},
		"slash at the end of the path": {url: "https://node.example/a/"},
		"dots in the path":             {url: "https://node.example/a/../b"},
		"escaped dots in the path":     {url: "https://node.example/a/%2e%2e/b"},
		"empty parts":                  {url: "https://node.example//a"},
		"half an escape":               {url: "https://node.example/%4"},
		"unspecified":                  {url: "https://0.0.0.0"},
		"unspecified IPv6":             {url: "http://[::]"},
		"multicast":                    {url: "https://224.0.0.1"},
		"IPv4 inside IPv6":             {url: "http://[::ffff:127.0.0.1]"},
		"IPv4 in short":                {url: "http://127.1"},
		"IPv4 as a number":             {url: "https://2130706433"},
		"IPv4 in hexadecimal":          {url: "https://0x7f000001"},
		"IPv4 with zeros":              {url: "https://127.0.0.001"},
		"empty label":                  {url: "https://node..example"},
		"dot at the end":               {url: "https://node.example."},
		"label with a dash at the end": {url: "https://node-.example"},
		"label too long":               {url: "https://" + strings.Repeat("a", 64) + ".example"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := placeOf(c.url)
			if got != c.want || (err == nil) != (c.want != place{}) || err != nil && !errors.Is(err, ErrDeclaration) {
				t.Errorf("%q: %+v, %v", c.url, got, err)
			}
		})
	}
}

// An origin stands in a header and between other words of the policy: whatever
// a node declares, nothing but scheme, host and port gets there.
func FuzzPlaceOf(f *testing.F) {
	for _, seed := range []string{"https://node.example:8443/a", "http://[::1]:9", "http://127.0.0.1;script-src", "https://a,b", "https://x'unsafe-inline'"} {
		f.Add(seed)
	}
	safe := regexp.MustCompile(`^https?://([a-z0-9.-]+|\[[0-9a-f:.]+\])(:[1-9][0-9]{0,4})?$`)
	f.Fuzz(func(t *testing.T, raw string) {
		if ticket.CheckURL(raw) != nil {
			return
		}
		p, err := placeOf(raw)
		if err != nil {
			return
		}
		if !safe.MatchString(p.origin) {
			t.Errorf("origin %q", p.origin)
		}
		if strings.HasPrefix(raw, "http:") && !p.local {
			t.Errorf("%q is neither https nor local", raw)
		}
		u, err := url.Parse(p.key)
		if err != nil || u.Host == "" {
			t.Errorf("key %q: %v", p.key, err)
		}
		again, err := placeOf(p.key)
		if err != nil || again.key != p.key {
			t.Errorf("key %q becomes %q: %v", p.key, again.key, err)
		}
	})
}
