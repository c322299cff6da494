package main

import (
	"context"
	"fmt"
	"strings"

	"rsc.io/qr"

	"holdfast/client/account"
)

// factorCmd is about the second factor.
type factorCmd struct {
	Enable  factorEnableCmd  `cmd:"" help:"Ask for a code at every login from now on, also for the recovery phrase."`
	Disable factorDisableCmd `cmd:"" help:"Ask for no codes any more."`
	Codes   factorCodesCmd   `cmd:"" help:"Print other recovery codes; the old ones end."`
}

type factorEnableCmd struct {
	accountFlags
	passwordFlag
	SecretFile string `help:"File that holds the device's secret (32 letters and digits), which some other program drew; with --new-code-file nothing is asked." type:"existingfile"`
	NewCode    string `name:"new-code-file" help:"File that holds a code of that secret." type:"existingfile"`
}

// Help says what is shown.
func (factorEnableCmd) Help() string {
	return "Shows a secret, as a picture and as text, for a program on another device that calculates codes from it (TOTP), asks for one code, and prints ten recovery codes for the day when the device is gone. Each works once."
}

// Run enables it.
func (c *factorEnableCmd) Run(ctx context.Context) error {
	client, owner, err := c.owner(ctx, c.passwordFlag)
	if err != nil {
		return err
	}
	secret, code, err := c.device(ctx, owner)
	if err != nil {
		return err
	}
	codes, err := client.SetFactor(ctx, owner, secret, code)
	if err != nil {
		return err
	}
	return c.print(codes)
}

// device brings the secret to a device and a code of it back.
func (c *factorEnableCmd) device(ctx context.Context, owner account.Owner) (secret account.FactorSecret, code string, err error) {
	if (c.SecretFile == "") != (c.NewCode == "") {
		return secret, "", usagef("--secret-file and --new-code-file go together")
	}
	if c.SecretFile != "" {
		text, err := secretFrom(ctx, c.SecretFile, "--secret-file", "")
		if err == nil {
			secret, err = account.ParseFactorSecret(text)
		}
		if err == nil {
			code, err = secretFrom(ctx, c.NewCode, "--new-code-file", "")
		}
		return secret, code, err
	}
	missing := usagef("the secret is shown on the terminal, and there is none; use --secret-file and --new-code-file")
	secret = account.NewFactorSecret()
	picture, err := picture(secret.URL(owner.Name))
	if err != nil {
		return secret, "", err
	}
	if show("\n%s\nLet a program for codes look at this, or type the secret into it: %s\n\n", picture, secret.Text()) != nil {
		return secret, "", missing
	}
	code, err = askOpen(ctx, "The code that it shows now: ", missing)
	return secret, code, err
}

// print prints recovery codes.
func (f *accountFlags) print(codes []string) error {
	if f.JSON {
		return printJSON(struct {
			Codes []string `json:"codes"`
		}{codes})
	}
	note("Recovery codes, each good once. They are shown now and never again: keep them where the device is not.")
	for _, code := range codes {
		if _, err := fmt.Println(code); err != nil {
			return fmt.Errorf("print the codes: %w (holdfast 2fa codes makes others)", err)
		}
	}
	return nil
}

type factorDisableCmd struct {
	accountFlags
	passwordFlag
}

// Run takes the second factor away.
func (c *factorDisableCmd) Run(ctx context.Context) error {
	client, owner, err := c.owner(ctx, c.passwordFlag)
	if err != nil {
		return err
	}
	if err := client.DropFactor(ctx, owner); err != nil {
		return err
	}
	return c.did("disabled", owner.Name, "No code is asked for any more.")
}

type factorCodesCmd struct {
	accountFlags
	passwordFlag
}

// Run replaces the recovery codes.
func (c *factorCodesCmd) Run(ctx context.Context) error {
	client, owner, err := c.owner(ctx, c.passwordFlag)
	if err != nil {
		return err
	}
	codes, err := client.SetCodes(ctx, owner)
	if err != nil {
		return err
	}
	return c.print(codes)
}

// Colours and half blocks of a QR code: black on white whatever the terminal's colours
// are, because some cameras see no other way round.
const (
	blackOnWhite = "\x1b[30;47m"
	plainColours = "\x1b[0m"
	quietZone    = 4 // modules around a code, ISO/IEC 18004
)

// picture is a QR code for a terminal, two rows of modules to a line.
func picture(text string) (string, error) {
	code, err := qr.Encode(text, qr.M)
	if err != nil {
		return "", fmt.Errorf("picture: %w", err)
	}
	blocks := [...]string{" ", "▀", "▄", "█"}
	var out strings.Builder
	for y := -quietZone; y < code.Size+quietZone; y += 2 {
		out.WriteString(blackOnWhite)
		for x := -quietZone; x < code.Size+quietZone; x++ {
			at := 0
			if code.Black(x, y) {
				at |= 1
			}
			if code.Black(x, y+1) {
				at |= 2
			}
			out.WriteString(blocks[at])
		}
		out.WriteString(plainColours + "\n")
	}
	return out.String(), nil
}
