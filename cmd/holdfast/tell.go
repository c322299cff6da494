package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"

	"holdfast/format/descriptor"
)

// note tells people something on stderr.
func note(format string, args ...any) { tell(fmt.Sprintf(format, args...)) }

// tell is the one way by which the client's verbs write text on stderr.
func tell(text string) { fmt.Fprintln(os.Stderr, harmless(text)) }

// keyTexts are what opens a link: the part after #, or one that stands alone
// (version 1 with or without password, docs/format.md §11). Command lines that are
// not understood are quoted in errors, links in them too.
var keyTexts = regexp.MustCompile(`#[A-Za-z0-9_-]{20,}|AQ[A-H][A-Za-z0-9_-]{48}`)

// harmless is a text without keys and without what steers a terminal: servers,
// nodes and files of strangers have a say in most texts. Names in it were
// escaped before; a backslash stays what it is, so that this is not done twice.
func harmless(text string) string {
	text = keyTexts.ReplaceAllStringFunc(text, func(key string) string {
		if strings.HasPrefix(key, "#") {
			return "#…"
		}
		return "…"
	})
	return apart(text, "\n", func(line string) string { return apart(line, `\`, descriptor.Display) })
}

// apart changes what stands between separators.
func apart(text, separator string, change func(string) string) string {
	parts := strings.Split(text, separator)
	for i, part := range parts {
		parts[i] = change(part)
	}
	return strings.Join(parts, separator)
}
