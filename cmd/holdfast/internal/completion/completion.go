// Package completion writes scripts by which shells complete a command line,
// from the model of all verbs. The scripts hold everything and ask no program.
package completion

import (
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"
)

// Shells are those that scripts can be written for.
var Shells = map[string]func(io.Writer, *kong.Application) error{"bash": Bash, "zsh": Zsh, "fish": Fish}

// completes is the key in a field's tag that says what completes it, where its
// type does not: complete:"file".
const completes = "complete"

// kind is what completes a value.
type kind int

const (
	nothing kind = iota
	files
	folders
	words // of the value's own list
)

func kindOf(v *kong.Value) kind {
	switch {
	case v.Enum != "":
		return words
	case v.Tag.Type == "existingdir":
		return folders
	case v.Tag.Type == "path", v.Tag.Type == "existingfile", v.Tag.Get(completes) == "file":
		return files
	}
	return nothing
}

// verb is a node of the model as the scripts need it: its place is "" for the
// program and " node run" for a verb of a verb.
type verb struct {
	place string
	*kong.Node
}

// verbs lists all that are not hidden, the program first.
func verbs(node *kong.Node, place string) []verb {
	all := []verb{{place, node}}
	for _, child := range node.Children {
		if !child.Hidden {
			all = append(all, verbs(child, place+" "+child.Name)...)
		}
	}
	return all
}

// flags are those of a verb and of what it belongs to.
func (v verb) flags() []*kong.Flag {
	var all []*kong.Flag
	for _, group := range v.AllFlags(true) {
		all = append(all, group...)
	}
	return all
}

// children are the names of the verb's verbs.
func (v verb) children() []string {
	var names []string
	for _, child := range v.Children {
		if !child.Hidden {
			names = append(names, child.Name)
		}
	}
	return names
}

// spelled are the ways to write a flag.
func spelled(f *kong.Flag) []string {
	all := []string{"--" + f.Name}
	if f.Short != 0 {
		all = append(all, "-"+string(f.Short))
	}
	return all
}

func takesValue(f *kong.Flag) bool { return !f.IsBool() && !f.IsCounter() }

// brief is a help text up to its first stop.
func brief(help string) string {
	first, _, _ := strings.Cut(help, ". ")
	return strings.TrimSuffix(first, ".")
}

// script collects lines.
type script struct{ strings.Builder }

func (s *script) line(format string, args ...any) { fmt.Fprintf(s, format+"\n", args...) }

func (s *script) writeTo(w io.Writer) error {
	_, err := io.WriteString(w, s.String())
	return err
}
