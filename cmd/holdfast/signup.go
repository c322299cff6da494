package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"

	"holdfast/api"
	"holdfast/client/account"
	"holdfast/format/descriptor"
	"holdfast/format/keys"
)

// signupCmd makes an account.
type signupCmd struct {
	accountFlags
	serverFlag
	passwordFlag
	labelFlag
	Name       string `help:"Name to log in with. Without it four random words are offered, which say nothing of you."`
	PhraseFile string `help:"New file that the recovery phrase is written into, instead of showing it and asking for some of its words." type:"path"`
}

// Help says what an account is.
func (signupCmd) Help() string {
	return "Nobody asks who you are. Name and password are for logging in; the 24 words of the recovery phrase are the only other way in, " +
		"and nobody can replace them: write them down on paper. The service sees neither password nor phrase, and keeps a keyed hash of the name. " +
		"Others find you by your contact code (holdfast whoami), never by name."
}

// asked is how many words of the phrase are asked for.
const asked = 3

// Run asks, shows the phrase, and then makes the account.
func (c *signupCmd) Run(ctx context.Context) error {
	if err := c.vacant(); err != nil {
		return err
	}
	client, err := c.dial(c.Server)
	if err != nil {
		return err
	}
	name, err := c.name(ctx)
	if err != nil {
		return err
	}
	pass, err := newSecret(ctx, c.PasswordFile, "--password-file", name)
	if err != nil {
		return err
	}
	phrase := keys.NewPhrase()
	if err := c.confirm(ctx, phrase); err != nil {
		return err
	}
	note("Making the account; this takes some seconds.")
	a, err := client.SignUp(ctx, name, pass, c.Label, phrase)
	for c.Name == "" && errors.Is(err, api.NameTaken) && !terminal(os.Stdin) { // nobody chose it
		name = keys.OfferName()
		a, err = client.SignUp(ctx, name, pass, c.Label, phrase)
	}
	if err != nil {
		return c.failed(err)
	}
	server := strings.TrimSuffix(c.Server, "/")
	where, err := c.keep(server, name, a)
	if err != nil {
		return fmt.Errorf("the account was made, but this machine cannot keep the login: %w", err)
	}
	who := whoOf(account.Kept{Access: a, Server: server, Name: name}, where)
	if c.JSON {
		return printJSON(who)
	}
	note("Signed up. The name to log in with is:")
	fmt.Println(descriptor.Display(name))
	return nil
}

func (c *signupCmd) name(ctx context.Context) (string, error) {
	if c.Name != "" {
		return keys.PrepareName(c.Name)
	}
	offer := keys.OfferName()
	errNobody := errors.New("no terminal")
	typed, err := askOpen(ctx, fmt.Sprintf("Name to log in with [%s]: ", offer), errNobody)
	switch {
	case errors.Is(err, errNobody) || err == nil && typed == "":
		return offer, nil
	case err != nil:
		return "", err
	}
	return keys.PrepareName(typed)
}

// confirm brings the phrase to a person: nothing is made before.
func (c *signupCmd) confirm(ctx context.Context, phrase keys.Phrase) error {
	words := phrase.Words()
	if c.PhraseFile != "" {
		return writeNew(c.PhraseFile, strings.Join(words, " ")+"\n")
	}
	missing := usagef("the recovery phrase is shown on the terminal, and there is none; use --phrase-file")
	var page strings.Builder
	page.WriteString("\nRecovery phrase: write these words down, in this order. They are shown once.\n\n")
	for i := 0; i < len(words); i += 4 {
		for j := i; j < i+4; j++ {
			fmt.Fprintf(&page, "%3d %-10s", j+1, words[j])
		}
		page.WriteString("\n")
	}
	page.WriteString("\n")
	if show("%s", page.String()) != nil {
		return missing
	}
	chosen := rand.Perm(len(words))[:asked]
	slices.Sort(chosen)
	for _, at := range chosen {
		if err := askWord(ctx, at, words[at], missing); err != nil {
			return err
		}
	}
	return nil
}

func askWord(ctx context.Context, at int, word string, missing error) error {
	for {
		typed, err := askOpen(ctx, fmt.Sprintf("Word %d: ", at+1), missing)
		if err != nil {
			return err
		}
		if strings.EqualFold(typed, word) {
			return nil
		}
		if err := show("Word %d is another one; look at what you wrote down.\n", at+1); err != nil {
			return missing
		}
	}
}

// writeNew writes a secret into a file that is not there yet, for its owner alone.
func writeNew(path, text string) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("--phrase-file: %w", err)
	}
	_, err = file.WriteString(text)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return fmt.Errorf("--phrase-file: %w", err)
	}
	return nil
}

// failed takes away the phrase of an account that was certainly not made.
func (c *signupCmd) failed(err error) error {
	if c.PhraseFile == "" {
		return err
	}
	if errors.As(err, new(*api.Problem)) {
		return errors.Join(err, os.Remove(c.PhraseFile))
	}
	return fmt.Errorf("%w (whether the account was made is not known: try to log in; its phrase is in %s)", err, c.PhraseFile)
}
