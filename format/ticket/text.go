package ticket

import (
	_ "embed"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// MaxURL bounds base URLs in bytes.
const MaxURL = 256

// assigned are the officially assigned alpha-2 codes of ISO 3166-1, one a line.
// User-assigned codes (XK and the like) are not among them: two fleets could
// mean different laws by one.
//
//go:embed jurisdictions.txt
var assigned string

var jurisdictions = func() map[string]bool {
	set := map[string]bool{}
	for code := range strings.FieldsSeq(assigned) {
		set[code] = true
	}
	return set
}()

// CheckJurisdiction tells whether code is assigned in ISO 3166-1 alpha-2, in
// upper case.
func CheckJurisdiction(code string) error {
	if !jurisdictions[code] {
		return refuse("jurisdiction %.16q: expected two capital letters of ISO 3166-1, such as DE", code)
	}
	return nil
}

// baseURL: scheme in lower case, a host name, IPv4 or bracketed IPv6 address, a
// port, a path; all ASCII, without user, query, fragment and backslash. It is
// spelled out because URL parsers of different languages disagree beyond it.
var baseURL = regexp.MustCompile(`^https?://(?:[A-Za-z0-9.-]+|\[([0-9A-Fa-f:.]+)\])(?::([0-9]{1,5}))?(?:/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*)?$`)

const maxPort = 65535

// CheckURL tells whether text may be the base URL of a node.
func CheckURL(text string) error {
	if len(text) > MaxURL {
		return refuse("base URL of %d bytes, at most %d allowed", len(text), MaxURL)
	}
	match := baseURL.FindStringSubmatch(text)
	if match == nil {
		return refuse("base URL %q: expected http(s)://host[:port][/path] without user, query and fragment", text)
	}
	if match[1] != "" {
		if ip, err := netip.ParseAddr(match[1]); err != nil || !ip.Is6() {
			return refuse("base URL %q: no IPv6 address in the brackets", text)
		}
	}
	if match[2] != "" {
		if port, err := strconv.Atoi(match[2]); err != nil || port < 1 || port > maxPort {
			return refuse("base URL %q: port out of range", text)
		}
	}
	return nil
}

func checkText(what, text string, least, most int) error {
	if len(text) < least || len(text) > most {
		return refuse("%s of %d bytes, %d to %d allowed", what, len(text), least, most)
	}
	if !utf8.ValidString(text) {
		return refuse("%s is not UTF-8", what)
	}
	return nil
}
