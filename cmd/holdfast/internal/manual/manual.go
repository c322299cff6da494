// Package manual writes the program's manual page from the model of all verbs,
// in the macros of man(7).
package manual

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// page collects lines of roff.
type page struct{ strings.Builder }

// macro writes a request with its arguments.
func (p *page) macro(name string, args ...string) {
	p.WriteString("." + name)
	for _, a := range args {
		p.WriteString(` "` + strings.ReplaceAll(escape(a), `"`, `\(dq`) + `"`)
	}
	p.WriteString("\n")
}

// text writes running text, a sentence a line, as roff wants it.
func (p *page) text(format string, args ...any) {
	for sentence := range strings.SplitSeq(strings.ReplaceAll(fmt.Sprintf(format, args...), ". ", ".\n"), "\n") {
		if sentence = escape(strings.TrimSpace(sentence)); sentence == "" {
			p.WriteString(".PP\n")
		} else {
			p.WriteString(guard(sentence) + "\n")
		}
	}
}

var special = strings.NewReplacer(`\`, `\e`, `-`, `\-`, `~`, `\(ti`, `^`, `\(ha`, "`", `\(ga`)

func escape(text string) string { return special.Replace(text) }

// guard keeps a line of text from being read as a request.
func guard(line string) string {
	if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
		return `\&` + line
	}
	return line
}

// bold is a piece of text that is typed as it stands.
func bold(text string) string { return `\fB` + escape(text) + `\fR` }

// exits finds the exit codes within the description: "Exit codes: 0 done, 1 failed."
var exits = regexp.MustCompile(`(\d+) ([^,.]+)`)

// Write writes the page. what says in a few words what the program is.
func Write(w io.Writer, app *kong.Application, what string) error {
	var p page
	description, codes, _ := strings.Cut(app.Help, "Exit codes: ")
	p.WriteString(`.\" Written by "go run ./dev man" from the program's own model.` + "\n")
	p.macro("TH", strings.ToUpper(app.Name), "1", "", "Holdfast", "User Commands")
	p.macro("SH", "NAME")
	p.WriteString(escape(app.Name) + ` \- ` + escape(what) + "\n")
	p.macro("SH", "SYNOPSIS")
	p.WriteString(bold(app.Name) + ` \fIcommand\fR [\fIflags\fR]` + "\n")
	p.macro("SH", "DESCRIPTION")
	p.text("%s", description)
	p.macro("SH", "COMMANDS")
	variables := map[string]string{}
	for _, leaf := range app.Leaves(true) {
		p.verb(leaf, variables)
	}
	p.macro("SH", "EXIT STATUS")
	for _, code := range exits.FindAllStringSubmatch(codes, -1) {
		p.macro("TP")
		p.WriteString(bold(code[1]) + "\n")
		p.text("%s", code[2])
	}
	p.environment(variables)
	_, err := io.WriteString(w, p.String())
	return err
}

// verb writes what one is called with and notes the variables that it reads.
func (p *page) verb(v *kong.Node, variables map[string]string) {
	p.macro("SS", v.FullPath())
	synopsis := bold(v.FullPath())
	for _, a := range v.Positional {
		synopsis += " " + escape(a.Summary())
	}
	p.WriteString(synopsis + ` [\fIflags\fR]` + "\n")
	p.WriteString(".PP\n")
	p.text("%s", v.Help)
	if v.Detail != "" {
		p.text("%s", v.Detail)
	}
	for _, a := range v.Positional {
		p.macro("TP")
		p.WriteString(`\fI` + escape(a.Summary()) + `\fR` + "\n")
		p.text("%s", a.Help)
	}
	for _, group := range v.AllFlags(true) {
		for _, f := range group {
			if f.Name != "help" {
				p.flag(f, variables)
			}
		}
	}
}

func (p *page) flag(f *kong.Flag, variables map[string]string) {
	spelled := bold("--" + f.Name)
	if f.Short != 0 {
		spelled = bold("-"+string(f.Short)) + ", " + spelled
	}
	if !f.IsBool() && !f.IsCounter() {
		value := strings.ToUpper(f.Name[strings.LastIndex(f.Name, "-")+1:])
		spelled += `=\fI` + escape(value) + `\fR`
	}
	p.macro("TP")
	p.WriteString(spelled + "\n")
	p.text("%s", f.Help)
	if f.HasDefault && f.Default != "" {
		p.text("Default: %s.", f.Default)
	}
	if f.Required {
		p.text("Required.")
	}
	for _, name := range f.Envs {
		if !strings.Contains(variables[name], "--"+f.Name) {
			variables[name] = strings.TrimPrefix(variables[name]+", --"+f.Name, ", ")
		}
	}
}

// environment lists the variables that stand for flags.
func (p *page) environment(variables map[string]string) {
	p.macro("SH", "ENVIRONMENT")
	p.text("A variable stands for a flag that is not given.")
	var names []string
	for name := range variables {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		p.macro("TP")
		p.WriteString(bold(name) + "\n")
		p.text("%s", variables[name])
	}
}
