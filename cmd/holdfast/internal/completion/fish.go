package completion

import (
	"io"
	"strings"

	"github.com/alecthomas/kong"
)

// Fish writes the script for fish.
func Fish(w io.Writer, app *kong.Application) error {
	all := verbs(app.Node, "")
	var s script
	s.line(`# fish completion for %s: %s completion fish | source`, app.Name, app.Name)
	s.line(`function __%s_at --description 'whether the verb that was typed is this one'`, app.Name)
	s.line(`    set -l place ''`)
	s.line(`    for word in (commandline -opc)[2..]`)
	s.line(`        switch "$place $word"`)
	var places []string
	for _, v := range all[1:] {
		places = append(places, fishQuote(v.place))
	}
	s.line(`            case %s`, strings.Join(places, " "))
	s.line(`                set place "$place $word"`)
	s.line(`            case '* -*'`)
	s.line(`            case '*'`)
	s.line(`                break`)
	s.line(`        end`)
	s.line(`    end`)
	s.line(`    test "$place" = "$argv[1]"`)
	s.line(`end`)
	s.line(`complete -c %s -f`, app.Name)
	for _, v := range all {
		at := `complete -c ` + app.Name + ` -n ` + fishQuote(`__`+app.Name+`_at "`+v.place+`"`)
		for _, child := range v.Children {
			if !child.Hidden {
				s.line(`%s -a %s -d %s`, at, child.Name, fishQuote(brief(child.Help)))
			}
		}
		for _, f := range v.flags() {
			short := ""
			if f.Short != 0 {
				short = " -s " + string(f.Short)
			}
			s.line(`%s -l %s%s%s -d %s`, at, f.Name, short, fishValue(f), fishQuote(brief(f.Help)))
		}
		if len(v.Positional) > 0 {
			if more := fishWords(v.Positional[0]); more != "" {
				s.line(`%s%s`, at, more)
			}
		}
	}
	return s.writeTo(w)
}

var fishSpecial = strings.NewReplacer(`\`, `\\`, `'`, `\'`)

func fishQuote(text string) string { return `'` + fishSpecial.Replace(text) + `'` }

// fishValue says that a flag takes a value and which.
func fishValue(f *kong.Flag) string {
	if !takesValue(f) {
		return ""
	}
	if kindOf(f.Value) == files {
		return " -r -F"
	}
	return " -x" + fishWords(f.Value)
}

func fishWords(v *kong.Value) string {
	switch kindOf(v) {
	case files:
		return " -F"
	case folders:
		return " -a '(__fish_complete_directories)'"
	case words:
		return " -a " + fishQuote(strings.Join(v.EnumSlice(), " "))
	}
	return ""
}
