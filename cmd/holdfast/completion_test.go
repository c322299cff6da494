package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"holdfast/cmd/holdfast/internal/completion"
)

// model is that of all verbs.
func model(t *testing.T) *kong.Application {
	t.Helper()
	var c cli
	parser, err := kong.New(&c, options...)
	if err != nil {
		t.Fatal(err)
	}
	return parser.Model
}

// askers are scripts that print what the shell offers for command lines, one
// candidate a line and "==" after each command line. The first argument is the
// completion script, the others are the command lines.
var askers = map[string]string{
	"bash": `source "$1"
for line in "${@:2}"; do
	read -ra COMP_WORDS <<<"${line//=/ = }"
	[[ $line == *[\ =] ]] && COMP_WORDS+=("")
	COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
	_holdfast
	printf '%s\n' "${COMPREPLY[@]}" ==
done`,
	"fish": `source $argv[1]
for line in $argv[2..]
	complete -C $line | string replace -r '\t.*' ''
	echo '=='
end`,
	// In a terminal of its own; what would be inserted is caught where it is added.
	"zsh": `zmodload zsh/zpty
zpty shell zsh -f -i
ask() { zpty -w shell "$1" }
ask 'PS1= PS2=; unsetopt zle_bracketed_paste; autoload -Uz compinit; compinit -u -D; source '"${(q)1}"
ask 'caught() { local -a hits; builtin compadd -A hits "$@"; (( $#hits )) && print -rl -- "<"$^hits">" }'
ask 'compadd() { if [[ ${@[(I)-[OAD]]} -gt 0 ]]; then builtin compadd "$@"; else caught "$@"; fi }'
ask 'offer() { compstate[list]= compstate[insert]=; _main_complete; print; print END-OF-OFFERS }'
ask 'zle -C offer complete-word offer; bindkey "^X" offer; bindkey "^U" kill-whole-line'
ask 'print READY-''NOW'
zpty -r shell out '*READY-NOW*'
for line in "${@:2}"; do
	zpty -w -n shell $'\x15'"$line"$'\x18'
	zpty -r shell out '*END-OF-OFFERS*'
	print -r -- ${out//$'\r'/} | sed -n 's/^.*<\(.*\)>$/\1/p'
	print -r -- '=='
done
zpty -d shell`,
}

// offers asks a shell for what may follow each command line.
func offers(t *testing.T, shell, dir string, lines []string) []string {
	t.Helper()
	path, err := exec.LookPath(shell)
	if err != nil {
		t.Fatalf("%v: go run ./dev test installs it", err)
	}
	ask := filepath.Join(dir, "ask."+shell)
	if err := os.WriteFile(ask, []byte(askers[shell]), 0o600); err != nil {
		t.Fatal(err)
	}
	args := map[string][]string{"bash": {"--norc"}, "zsh": {"-f"}, "fish": {"--no-config"}}[shell]
	cmd := exec.CommandContext(t.Context(), path, slices.Concat(args, []string{ask, filepath.Join(dir, "script."+shell)}, lines)...)
	cmd.Dir = filepath.Join(dir, "here")
	cmd.Env = append(os.Environ(), "HOME="+dir, "TERM=dumb", "XDG_CONFIG_HOME="+dir, "XDG_DATA_HOME="+dir)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil || stderr.Len() > 0 {
		t.Fatalf("%s: %v: %s", shell, err, &stderr)
	}
	var all []string
	for answer := range strings.SplitSeq(strings.TrimSuffix(string(out), "==\n"), "==\n") {
		have := strings.Fields(answer)
		for i, word := range have {
			have[i] = strings.TrimSuffix(word, "=")
		}
		slices.Sort(have)
		all = append(all, fmt.Sprint(slices.Compact(have)))
	}
	if len(all) != len(lines) {
		t.Fatalf("%s answered %q", shell, out)
	}
	return all
}

// offered are command lines and what may follow.
var offered = []struct{ line, want string }{
	{"holdfast se", "[send sends server sessions]"},
	{"holdfast node ", "[release run]"},
	{"holdfast admin in", "[invite]"},
	{"holdfast completion ", "[bash fish zsh]"},
	{"holdfast receive --f", "[--force]"},
	{"holdfast receive --o", "[--output]"},
	{"holdfast node run --site", "[--site-jurisdiction]"},
	{"holdfast send fi", "[file.txt]"},
	{"holdfast send node fi", "[file.txt]"},
	{"holdfast send --password-file fi", "[file.txt]"},
	{"holdfast receive -o fi", "[file.txt]"},
	{"holdfast send --name fi", "[]"},
	{"holdfast receive fi", "[]"},
}

func TestCompletion(t *testing.T) {
	app := model(t)
	for shell, write := range completion.Shells {
		t.Run(shell, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := os.MkdirAll(filepath.Join(dir, "here", "folder"), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "here", "file.txt"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			var script bytes.Buffer
			if err := write(&script, app); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "script."+shell), script.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
			var lines []string
			for _, c := range offered {
				lines = append(lines, c.line)
			}
			for i, have := range offers(t, shell, dir, lines) {
				if have != offered[i].want {
					t.Errorf("%q: %s instead of %s", offered[i].line, have, offered[i].want)
				}
			}
		})
	}
}
