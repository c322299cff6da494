package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"holdfast/api"
	"holdfast/client/account"
	"holdfast/format/descriptor"
	"holdfast/format/keys"
)

// loginCmd begins a session.
type loginCmd struct {
	accountFlags
	serverFlag
	passwordFlag
	labelFlag
	Name string `help:"Name of the account. Without it you are asked."`
}

// Run logs in and keeps the login.
func (c *loginCmd) Run(ctx context.Context) error {
	if err := c.vacant(); err != nil {
		return err
	}
	client, err := c.dial(c.Server)
	if err != nil {
		return err
	}
	name, err := named(ctx, c.Name, "Name: ")
	if err != nil {
		return err
	}
	pass, err := secretFrom(ctx, c.PasswordFile, "--password-file", "Password: ")
	if err != nil {
		return err
	}
	a, err := client.LogIn(ctx, name, pass, c.Label)
	if err != nil {
		return err
	}
	return c.welcome(c.Server, name, a)
}

// welcome keeps a login that was just begun and tells of it.
func (f *accountFlags) welcome(server, name string, a account.Access) error {
	server = strings.TrimSuffix(server, "/")
	where, err := f.keep(server, name, a)
	if err != nil {
		return err
	}
	if f.JSON {
		return printJSON(whoOf(account.Kept{Access: a, Server: server, Name: name}, where))
	}
	note("Logged in as %q.", name)
	return nil
}

// logoutCmd ends this machine's session.
type logoutCmd struct {
	accountFlags
	Forget bool `help:"Forget the login here even where the service cannot be told. There it goes on until it is ended from elsewhere, or nobody used it for 90 days."`
}

// Run ends the session and forgets the login.
func (c *logoutCmd) Run(ctx context.Context) error {
	k, err := c.keeper()
	if err != nil {
		return err
	}
	client, kept, err := c.loggedIn()
	switch {
	case errors.Is(err, account.ErrLoggedOut):
		return errors.Join(k.Forget(), c.done(false))
	case err != nil && !c.Forget:
		return err
	case err == nil:
		err = client.LogOut(ctx, kept.Access)
	}
	if errors.Is(err, api.AccountSessionOver) {
		err = nil // it was ended before
	}
	if err != nil && !c.Forget {
		return fmt.Errorf("%w (--forget forgets the login on this machine alone)", err)
	}
	return errors.Join(k.Forget(), c.done(err == nil))
}

func (c *logoutCmd) done(ended bool) error {
	if c.JSON {
		return printJSON(struct {
			Ended bool `json:"ended"`
		}{ended})
	}
	note("Logged out.")
	return nil
}

// whoamiCmd shows the login.
type whoamiCmd struct{ accountFlags }

// Help says what a contact code is.
func (whoamiCmd) Help() string {
	return "The contact code is for others: whoever has it can share with you and knows that it is your key. It opens nothing."
}

// Run asks nobody: all of it is on this machine.
func (c *whoamiCmd) Run() error {
	k, err := c.keeper()
	if err != nil {
		return err
	}
	kept, err := k.Load()
	if err != nil {
		return err
	}
	who := whoOf(kept, "")
	if c.JSON {
		return printJSON(who)
	}
	fmt.Printf("%s at %s\ncontact code %s\n", descriptor.Display(who.Name), descriptor.Display(who.Server), who.Contact)
	return nil
}

// recoverCmd sets a new password with the phrase.
type recoverCmd struct {
	accountFlags
	serverFlag
	labelFlag
	Name            string `help:"Name of the account. Without it you are asked."`
	PhraseFile      string `help:"File that holds the recovery phrase; - reads it from stdin. Without it you are asked." type:"existingfile"`
	NewPasswordFile string `help:"File that holds the new password; - reads it from stdin. Without it you are asked." type:"existingfile"`
}

// Help says what it does to others.
func (recoverCmd) Help() string {
	return "All other logins of the account end. The recovery phrase stays good."
}

// Run recovers and keeps the login.
func (c *recoverCmd) Run(ctx context.Context) error {
	if err := c.vacant(); err != nil {
		return err
	}
	client, err := c.dial(c.Server)
	if err != nil {
		return err
	}
	name, err := named(ctx, c.Name, "Name: ")
	if err != nil {
		return err
	}
	phrase, err := c.phrase(ctx)
	if err != nil {
		return err
	}
	pass, err := newSecret(ctx, c.NewPasswordFile, "--new-password-file", name)
	if err != nil {
		return err
	}
	a, err := client.Recover(ctx, name, phrase, pass, c.Label)
	if err != nil {
		return err
	}
	return c.welcome(c.Server, name, a)
}

func (c *recoverCmd) phrase(ctx context.Context) (keys.Phrase, error) {
	if c.PhraseFile != "" {
		text, err := secretFrom(ctx, c.PhraseFile, "--phrase-file", "")
		if err != nil {
			return keys.Phrase{}, err
		}
		return keys.ParsePhrase(text)
	}
	for {
		text, err := askOpen(ctx, "Recovery phrase, all 24 words: ", usagef("the recovery phrase is asked for on the terminal, and there is none; use --phrase-file"))
		if err != nil {
			return keys.Phrase{}, err
		}
		phrase, err := keys.ParsePhrase(text)
		if err == nil {
			return phrase, nil
		}
		fmt.Fprintln(os.Stderr, harmless(err.Error()))
	}
}
