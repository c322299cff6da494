package descriptor

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Joiners shape letters and emoji and are not escaped: Persian words and many
// emoji cannot be written without them.
const (
	nonJoiner = '\u200c'
	joiner    = '\u200d'
)

// Display is name as it may be shown on a terminal or a page: control
// characters, those that turn the direction of text, line separators and
// invisible ones are written as \u{202E}, bytes that are not UTF-8 as \x{FF}.
// Different names are shown differently; a backslash that would read as such an
// escape is escaped itself.
func Display(name string) string {
	var b strings.Builder
	for i := 0; i < len(name); {
		r, size := utf8.DecodeRuneInString(name[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x{%02X}`, name[i])
		case hidden(r) || r == '\\' && readsAsEscape(name[i:]):
			fmt.Fprintf(&b, `\u{%02X}`, r)
		default:
			b.WriteString(name[i : i+size])
		}
		i += size
	}
	return b.String()
}

func readsAsEscape(s string) bool {
	return strings.HasPrefix(s, `\u{`) || strings.HasPrefix(s, `\x{`)
}

// hidden tells whether a character has no shape of its own, or changes that of others.
func hidden(r rune) bool {
	if r == joiner || r == nonJoiner {
		return false
	}
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
}

// turns tells whether a character changes the direction of text, or ends a line.
func turns(r rune) bool {
	return unicode.Is(unicode.Bidi_Control, r) || unicode.In(r, unicode.Zl, unicode.Zp)
}
