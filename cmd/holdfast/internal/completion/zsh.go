package completion

import (
	"io"
	"strings"

	"github.com/alecthomas/kong"
)

// Zsh writes the script for zsh: a function for each verb. It may be sourced, or
// put into a folder of $fpath as _holdfast.
func Zsh(w io.Writer, app *kong.Application) error {
	var s script
	s.line(`#compdef %s`, app.Name)
	s.line(`# zsh completion for %s: source <(%s completion zsh)`, app.Name, app.Name)
	for _, v := range verbs(app.Node, "") {
		s.line(`%s() {`, zshName(app, v.place))
		names := v.children()
		if len(names) > 0 {
			s.line(`    local curcontext=$curcontext state line`)
			s.line(`    local -A opt_args`)
			s.line(`    local -a verbs=(`)
			for _, child := range v.Children {
				if !child.Hidden {
					s.line(`        %s`, zshQuote(child.Name+":"+brief(child.Help)))
				}
			}
			s.line(`    )`)
		}
		s.line(`    _arguments -C -s \`)
		for _, f := range v.flags() {
			s.line(`        %s \`, zshFlag(f))
		}
		switch {
		case len(names) > 0:
			s.line(`        '1: :->verb' '*:: :->rest'`)
			zshChildren(&s, app, v)
		case len(v.Positional) > 0:
			s.line(`        %s`, zshPositional(v.Positional[0]))
		default:
			s.line(`        && return 0`)
		}
		s.line(`}`)
	}
	s.line(`if [[ ${funcstack[1]} == _%s ]]; then _%s "$@"; else compdef _%s %s; fi`, app.Name, app.Name, app.Name, app.Name)
	return s.writeTo(w)
}

func zshChildren(s *script, app *kong.Application, v verb) {
	s.line(`    case $state in`)
	s.line(`        verb) _describe -t commands command verbs ;;`)
	s.line(`        rest) case ${line[1]} in`)
	for _, name := range v.children() {
		s.line(`            %s) %s ;;`, name, zshName(app, v.place+" "+name))
	}
	s.line(`        esac ;;`)
	s.line(`    esac`)
}

func zshName(app *kong.Application, place string) string {
	return "_" + app.Name + strings.ReplaceAll(place, " ", "_")
}

func zshQuote(text string) string { return `'` + strings.ReplaceAll(text, `'`, `'\''`) + `'` }

var zshSpecial = strings.NewReplacer(`\`, `\\`, `[`, `\[`, `]`, `\]`, `:`, `\:`)

// zshFlag is one flag in the words of _arguments.
func zshFlag(f *kong.Flag) string {
	rest := "[" + zshSpecial.Replace(brief(f.Help)) + "]"
	if takesValue(f) {
		rest += ":" + strings.ToLower(f.Name) + ":" + zshAction(f.Value)
	}
	long := "--" + f.Name
	if takesValue(f) {
		long += "="
	}
	if f.Short == 0 {
		return zshQuote(long + rest)
	}
	short := "-" + string(f.Short)
	return zshQuote("("+short+" --"+f.Name+")"+short+rest) + " " + zshQuote("("+short+" --"+f.Name+")"+long+rest)
}

func zshPositional(v *kong.Positional) string {
	place := "1"
	if v.IsCumulative() {
		place = "*"
	}
	return zshQuote(place + ":" + v.Name + ":" + zshAction(v))
}

func zshAction(v *kong.Value) string {
	switch kindOf(v) {
	case files:
		return "_files"
	case folders:
		return "_files -/"
	case words:
		return "(" + strings.Join(v.EnumSlice(), " ") + ")"
	}
	return " "
}
