package completion

import (
	"io"
	"strings"

	"github.com/alecthomas/kong"
)

// Bash writes the script for bash. Bash breaks words at "=", so that a flag and
// its value are two words or three.
func Bash(w io.Writer, app *kong.Application) error {
	all := verbs(app.Node, "")
	var s script
	s.line(`# bash completion for %s: source <(%s completion bash)`, app.Name, app.Name)
	s.line(`_%s() {`, app.Name)
	s.line(`    local cur=${COMP_WORDS[COMP_CWORD]} flag="" place="" word=""`)
	s.line(`    COMPREPLY=()`)
	s.line(`    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do`)
	s.line(`        case "$place $word" in`)
	s.line(`            %s) place+=" $word" ;;`, alternatives(all[1:], func(v verb) string { return v.place }))
	s.line(`            *" -"*) ;;`)
	s.line(`            *) break ;;`)
	s.line(`        esac`)
	s.line(`    done`)
	s.line(`    flag=${COMP_WORDS[COMP_CWORD - 1]}`)
	s.line(`    if [[ $cur == "=" ]]; then cur=""; elif [[ $flag == "=" ]]; then flag=${COMP_WORDS[COMP_CWORD - 2]}; fi`)
	s.line(`    case "$place $flag" in`)
	for _, v := range all {
		for _, f := range v.flags() {
			if takesValue(f) {
				s.line(`        %s) %s; return ;;`, alternatives(spelled(f), func(name string) string { return v.place + " " + name }), bashReply(app, f.Value))
			}
		}
	}
	s.line(`    esac`)
	s.line(`    case "$place" in`)
	for _, v := range all {
		var flags []string
		for _, f := range v.flags() {
			flags = append(flags, spelled(f)...)
		}
		s.line(`        "%s")`, v.place)
		s.line(`            if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W '%s' -- "$cur")); return; fi`, strings.Join(flags, " "))
		if names := v.children(); len(names) > 0 {
			s.line(`            COMPREPLY=($(compgen -W '%s' -- "$cur")) ;;`, strings.Join(names, " "))
			continue
		}
		reply := ":"
		if len(v.Positional) > 0 {
			reply = bashReply(app, v.Positional[0])
		}
		s.line(`            %s ;;`, reply)
	}
	s.line(`    esac`)
	s.line(`}`)
	// Names of files may hold blanks: they are read by lines, as the bash of macOS (3.2) can.
	s.line(`_%s_files() {`, app.Name)
	s.line(`    compopt -o filenames 2>/dev/null`)
	s.line(`    while IFS= read -r word; do COMPREPLY+=("$word"); done < <(compgen "$1" -- "$cur")`)
	s.line(`}`)
	s.line(`complete -F _%s %s`, app.Name, app.Name)
	return s.writeTo(w)
}

// alternatives are patterns for case.
func alternatives[T any](all []T, of func(T) string) string {
	var patterns []string
	for _, one := range all {
		patterns = append(patterns, `"`+of(one)+`"`)
	}
	return strings.Join(patterns, "|")
}

// bashReply is a command that completes a value.
func bashReply(app *kong.Application, v *kong.Value) string {
	switch kindOf(v) {
	case files:
		return `_` + app.Name + `_files -f`
	case folders:
		return `_` + app.Name + `_files -d`
	case words:
		return `COMPREPLY=($(compgen -W '` + strings.Join(v.EnumSlice(), " ") + `' -- "$cur"))`
	}
	return ":"
}
