package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"holdfast/api"
	"holdfast/client/account"
	"holdfast/client/transfer"
	"holdfast/format/descriptor"
	"holdfast/format/keys"
)

// accountFlags are common to the verbs of accounts.
type accountFlags struct {
	placeFlags
	NoKeyring bool   `help:"Keep the login's keys in a file of mode 0600 instead of the system's keyring." env:"HOLDFAST_NO_KEYRING"`
	CodeFile  string `help:"File that holds a code of the second factor, or a recovery code; - reads it from stdin. Without it you are asked." type:"existingfile"`
}

// serverFlag is where an account is.
type serverFlag struct {
	Server string `help:"Service of the account." default:"http://127.0.0.1:8080" env:"HOLDFAST_SERVER"`
}

// passwordFlag is the account's password.
type passwordFlag struct {
	PasswordFile string `help:"File that holds the account's password; - reads it from stdin. Without it you are asked." type:"existingfile"`
}

// labelFlag is what others of the account's sessions see of this one.
type labelFlag struct {
	Label string `help:"What the list of sessions calls this login. The service reads it." default:"command line"`
}

var (
	errNoPassword = &usageError{errors.New("a password is asked for on the terminal, and there is none; use --password-file")}
	errNoName     = &usageError{errors.New("which name? Give it with --name")}
	errCodeNeeded = api.NewProblem(api.CodeNeeded, "")
)

func (f *accountFlags) keeper() (account.Keeper, error) {
	dir, err := f.home()
	return account.Keeper{Dir: dir, NoKeyring: f.NoKeyring}, err
}

// dial makes the client for a server, which is checked as for transfers.
func (f *accountFlags) dial(server string) (*account.Client, error) {
	flags := clientFlags{placeFlags: f.placeFlags}
	checked, err := flags.client(server)
	if err != nil {
		return nil, err
	}
	conf, err := api.Trust(f.CA)
	if err != nil {
		return nil, usagef("--ca: %w", err)
	}
	c := account.New(checked.Server(), transfer.NewHTTP(conf))
	c.Code = f.code
	c.Clock = func(here, server time.Time) {
		note("This machine's clock says %s, the service's %s. One of them is wrong; codes of a second factor and transfers go by them.",
			here.UTC().Format(clockForm), server.UTC().Format(clockForm))
	}
	return c, nil
}

const clockForm = "2 January 2006, 15:04 MST"

// code finds a code of the second factor.
func (f *accountFlags) code(ctx context.Context, again bool) (string, error) {
	switch {
	case f.CodeFile != "" && again:
		return "", api.NewProblem(api.CodeWrong, "")
	case f.CodeFile == "-":
		return firstLine(os.Stdin)
	case f.CodeFile != "":
		file, err := os.Open(f.CodeFile)
		if err != nil {
			return "", fmt.Errorf("--code-file: %w", err)
		}
		defer file.Close()
		return firstLine(file)
	}
	prompt := "Code of the second factor (or a recovery code): "
	if again {
		prompt = "That code is wrong or was used. " + prompt
	}
	return askOpen(ctx, prompt, errCodeNeeded)
}

// loggedIn is the login of this machine, with a client for its server.
func (f *accountFlags) loggedIn() (*account.Client, account.Kept, error) {
	k, err := f.keeper()
	if err != nil {
		return nil, account.Kept{}, err
	}
	kept, err := k.Load()
	if err != nil {
		return nil, account.Kept{}, err
	}
	c, err := f.dial(kept.Server)
	return c, kept, err
}

// owner is the login with the password, which is asked for anew.
func (f *accountFlags) owner(ctx context.Context, p passwordFlag) (*account.Client, account.Owner, error) {
	c, kept, err := f.loggedIn()
	if err != nil {
		return nil, account.Owner{}, err
	}
	pass, err := secretFrom(ctx, p.PasswordFile, "--password-file", "Password of "+descriptor.Display(kept.Name)+": ")
	return c, account.Owner{Access: kept.Access, Name: kept.Name, Password: pass}, err
}

// vacant fails where this machine is logged in: one login at a time.
func (f *accountFlags) vacant() error {
	k, err := f.keeper()
	if err != nil {
		return err
	}
	kept, err := k.Load()
	switch {
	case errors.Is(err, account.ErrLoggedOut):
		return nil
	case err != nil:
		return err
	}
	return usagef("this machine is logged in as %q at %s: run 'holdfast logout' first, or name another --home", kept.Name, kept.Server)
}

// keep keeps a login and says where.
func (f *accountFlags) keep(c string, name string, a account.Access) (where string, err error) {
	k, err := f.keeper()
	if err != nil {
		return "", err
	}
	where, fell, err := k.Save(account.Kept{Access: a, Server: c, Name: name})
	if err != nil {
		return "", err
	}
	if fell != nil {
		note("This system's keyring takes nothing (%s): the login is kept in %s, and whoever reads that file has the account.", oneLine(fell), where)
	}
	return where, nil
}

// oneLine is an error of a library in a sentence.
func oneLine(err error) string {
	text, _, _ := strings.Cut(err.Error(), "\n")
	return strings.TrimSuffix(text, ".")
}

// secretFrom reads a secret from a file, from stdin, or asks for it.
func secretFrom(ctx context.Context, path, flag, prompt string) (string, error) {
	if path == "" {
		return ask(ctx, prompt, errNoPassword)
	}
	in := io.ReadCloser(os.Stdin)
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return "", fmt.Errorf("%s: %w", flag, err)
		}
		defer file.Close()
		in = file
	}
	text, err := passwordIn(in)
	if err != nil {
		return "", fmt.Errorf("%s: %w", flag, err)
	}
	return text, nil
}

// newSecret is a new password, which is asked for twice and must not be weak.
func newSecret(ctx context.Context, path, flag, name string) (string, error) {
	pass, err := secretFrom(ctx, path, flag, "New password: ")
	if err != nil {
		return "", err
	}
	if err := account.CheckStrength(pass, name); err != nil || path != "" {
		return pass, err
	}
	again, err := ask(ctx, "Once more: ", errNoPassword)
	if err == nil && again != pass {
		err = errors.New("the two passwords differ; nothing was changed")
	}
	return pass, err
}

// askOpen asks on the terminal for something that may be seen.
func askOpen(ctx context.Context, prompt string, missing error) (string, error) {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return "", missing
	}
	defer tty.Close()
	fmt.Fprint(tty, prompt)
	type answer struct {
		text string
		err  error
	}
	answers := make(chan answer, 1)
	go func() {
		text, err := bufio.NewReader(io.LimitReader(tty, maxLine)).ReadString('\n')
		answers <- answer{text, err}
	}()
	select {
	case a := <-answers:
		if a.err != nil {
			return "", fmt.Errorf("read from the terminal: %w", a.err)
		}
		return strings.TrimSpace(a.text), nil
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

// show writes on the terminal alone: stderr may go into a file.
func show(format string, args ...any) error {
	tty, err := os.OpenFile("/dev/tty", os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(tty, format, args...)
	return errors.Join(err, tty.Close())
}

// whoJSON is who is logged in.
type whoJSON struct {
	Server  string `json:"server"`
	Name    string `json:"name"`
	Account string `json:"account"`
	Contact string `json:"contact"`
	// Kept is where the login's keys are; only where they were just put there.
	Kept string `json:"kept,omitempty"`
}

func whoOf(k account.Kept, where string) whoJSON {
	return whoJSON{k.Server, k.Name, k.Root.Account.String(), k.Root.Identity().Contact().Code(), where}
}

// named is a name as it is kept: prepared, so that it reads as the service compares it.
func named(ctx context.Context, given, prompt string) (string, error) {
	if given == "" {
		var err error
		if given, err = askOpen(ctx, prompt, errNoName); err != nil {
			return "", err
		}
	}
	return keys.PrepareName(given)
}
