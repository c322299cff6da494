package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"holdfast/format/descriptor"
	"holdfast/format/keys"
)

// passwdCmd changes the password.
type passwdCmd struct {
	accountFlags
	passwordFlag
	NewPasswordFile string `help:"File that holds the new password; - reads it from stdin. Without it you are asked." type:"existingfile"`
	EndOthers       bool   `help:"End all other logins of the account."`
}

// Run asks for the old password and the new one.
func (c *passwdCmd) Run(ctx context.Context) error {
	if c.PasswordFile == "-" && c.NewPasswordFile == "-" {
		return usagef("stdin holds one of the two passwords, not both")
	}
	client, owner, err := c.owner(ctx, c.passwordFlag)
	if err != nil {
		return err
	}
	pass, err := newSecret(ctx, c.NewPasswordFile, "--new-password-file", owner.Name)
	if err != nil {
		return err
	}
	if err := client.ChangePassword(ctx, owner, pass, c.EndOthers); err != nil {
		return err
	}
	return c.did("changed", owner.Name, "The password is changed. The recovery phrase stays as it is.")
}

// did tells of something that was done to the account.
func (f *accountFlags) did(what, name, said string) error {
	if f.JSON {
		return printJSON(map[string]string{what: name})
	}
	note("%s", said)
	return nil
}

// accountCmd is about the account as a whole.
type accountCmd struct {
	Rename accountRenameCmd `cmd:"" help:"Log in with another name from now on. The password stays."`
	Export accountExportCmd `cmd:"" help:"Write all that the service keeps of the account as JSON."`
	Erase  accountEraseCmd  `cmd:"" help:"Erase the account for good."`
}

type accountRenameCmd struct {
	accountFlags
	passwordFlag
	Name string `arg:"" help:"The new name."`
}

// Run renames the account, here too.
func (c *accountRenameCmd) Run(ctx context.Context) error {
	name, err := keys.PrepareName(c.Name)
	if err != nil {
		return err
	}
	client, owner, err := c.owner(ctx, c.passwordFlag)
	if err != nil {
		return err
	}
	note("Renaming the account; this takes some seconds.")
	if err := client.Rename(ctx, owner, name); err != nil {
		return err
	}
	_, kept, err := c.loggedIn()
	if err != nil {
		return err
	}
	if _, err := c.keep(kept.Server, name, kept.Access); err != nil {
		return fmt.Errorf("the account is renamed, but this machine cannot note it: %w", err)
	}
	return c.did("renamed", name, fmt.Sprintf("Renamed: log in as %q.", name))
}

type accountExportCmd struct {
	accountFlags
	passwordFlag
	Output string `short:"o" help:"New file to write instead of stdout." type:"path"`
}

// Help says what stands in it.
func (accountExportCmd) Help() string {
	return "What stands there is what a thief of the service's database would have of the account: hashes, and keys wrapped under password and phrase. It opens nothing by itself."
}

// Run writes what the service stores.
func (c *accountExportCmd) Run(ctx context.Context) error {
	client, owner, err := c.owner(ctx, c.passwordFlag)
	if err != nil {
		return err
	}
	all, err := client.Export(ctx, owner)
	if err != nil {
		return err
	}
	if c.Output == "" {
		return printJSON(all)
	}
	file, err := os.OpenFile(c.Output, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(encodeJSON(file, all), file.Close())
}

type accountEraseCmd struct {
	accountFlags
	passwordFlag
	Name string `help:"The account's name, to confirm. Without it you are asked."`
}

// Run asks for the name once more.
func (c *accountEraseCmd) Run(ctx context.Context) error {
	_, kept, err := c.loggedIn()
	if err != nil {
		return err
	}
	name, err := named(ctx, c.Name, fmt.Sprintf("This erases the account for good; nobody can bring it back. Type its name (%s): ", descriptor.Display(kept.Name)))
	if err != nil {
		return err
	}
	if name != kept.Name {
		return usagef("this machine is logged in as %q, not as %q: nothing was erased", kept.Name, name)
	}
	client, owner, err := c.owner(ctx, c.passwordFlag)
	if err != nil {
		return err
	}
	if err := client.Erase(ctx, owner); err != nil {
		return err
	}
	k, err := c.keeper()
	if err == nil {
		err = k.Forget()
	}
	if err != nil {
		return fmt.Errorf("the account is erased, but this machine still has its login: %w", err)
	}
	return c.did("erased", name, "Erased.")
}
