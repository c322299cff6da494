package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"golang.org/x/term"

	"holdfast/api"
	"holdfast/client/home"
	"holdfast/client/transfer"
	"holdfast/format/link"
)

// memoryLimit makes the collector work harder before a transfer takes more: the
// buffers of 8 MiB are most of what it needs.
const memoryLimit = 110 << 20

// placeFlags are common to all of the client's verbs.
type placeFlags struct {
	Home string `help:"Folder for what this machine remembers of its transfers and its login." type:"path" env:"HOLDFAST_HOME"`
	CA   string `name:"ca" help:"Further certificate authorities, in PEM form." type:"existingfile" env:"HOLDFAST_CA"`
	JSON bool   `name:"json" help:"Print JSON on stdout."`
}

// clientFlags are common to the verbs that transfer.
type clientFlags struct {
	placeFlags
	Patience time.Duration `help:"How long a transfer waits for a server or for nodes that do not answer." default:"2m" env:"HOLDFAST_PATIENCE"`
}

func (f *placeFlags) home() (home.Dir, error) { return home.Open(f.Home) }

// client makes the client for a server.
func (f *clientFlags) client(server string) (*transfer.Client, error) {
	debug.SetMemoryLimit(memoryLimit)
	dir, err := f.home()
	if err != nil {
		return nil, err
	}
	conf, err := api.Trust(f.CA)
	if err != nil {
		return nil, usagef("--ca: %w", err)
	}
	client, err := transfer.New(server, transfer.NewHTTP(conf), dir)
	if err != nil {
		return nil, err
	}
	if linkBase(client.Server()) == "" {
		return nil, fmt.Errorf("%w: %s has a path, and links to it could not be opened; use https://HOST", transfer.ErrServer, client.Server())
	}
	client.Patience = f.Patience
	return client, nil
}

// linkBase is a server's base URL as it comes out of the links to it; "" if no
// link to it can be read.
func linkBase(server string) string {
	_, base, err := link.Parse(link.Link{}.Address(server))
	if !errors.Is(err, link.ErrNoKey) {
		return ""
	}
	return base
}

func printJSON(v any) error { return encodeJSON(os.Stdout, v) }

func encodeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}

func terminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// maxLine bounds what is read of a line or file that holds a link or password.
const maxLine = 16 << 10

// firstLine reads the first line without its end.
func firstLine(r io.Reader) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(r, maxLine)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	return strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r"), nil
}

// passwordFrom reads a password file: all of it, but for one newline at its end.
func passwordFrom(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("--password-file: %w", err)
	}
	defer file.Close()
	text, err := passwordIn(file)
	if err != nil {
		return "", fmt.Errorf("--password-file: %w", err)
	}
	return text, nil
}

func passwordIn(r io.Reader) (string, error) {
	raw, err := io.ReadAll(io.LimitReader(r, maxLine))
	if err != nil {
		return "", err
	}
	text := strings.TrimSuffix(string(raw), "\n")
	if text = strings.TrimSuffix(text, "\r"); text == "" {
		return "", link.ErrPasswordNeeded
	}
	return text, nil
}

// ask asks on the terminal for something that is not to be seen. missing is the
// error where there is no terminal.
func ask(ctx context.Context, prompt string, missing error) (string, error) {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return "", missing
	}
	defer tty.Close()
	before, err := term.GetState(int(tty.Fd()))
	if err != nil {
		return "", missing
	}
	fmt.Fprint(tty, prompt)
	type answer struct {
		text []byte
		err  error
	}
	answers := make(chan answer, 1)
	go func() {
		text, err := term.ReadPassword(int(tty.Fd()))
		answers <- answer{text, err}
	}()
	select {
	case a := <-answers:
		fmt.Fprintln(tty)
		if a.err != nil {
			return "", fmt.Errorf("read from the terminal: %w", a.err)
		}
		return string(a.text), nil
	case <-ctx.Done():
		return "", errors.Join(context.Cause(ctx), term.Restore(int(tty.Fd()), before))
	}
}
