package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"

	"holdfast/api"
	"holdfast/client/home"
	"holdfast/format/descriptor"
)

// exportCmd takes everything along.
type exportCmd struct {
	contentFlags
	passwordFlag
	CodeFile string `help:"File that holds a code of the second factor, or a recovery code; - reads it from stdin. Without it you are asked." type:"existingfile"`
	Folder   string `arg:"" help:"New folder, or that of an export which was interrupted." type:"path"`
}

// Help says what comes.
func (exportCmd) Help() string {
	return "In the folder there will be files/, everything in the drive as it is now (without trash and older versions, and without what others share), and stored.json, all that the service keeps of the account: what a thief of its database would have. " +
		"What is there already is left alone, so that an export which was interrupted goes on."
}

// stored is what the service keeps of an account.
type stored struct {
	Account api.AccountExport `json:"account"`
	Drive   api.DriveView     `json:"drive"`
	Links   []linkJSON        `json:"links"`
}

// Run exports.
func (c *exportCmd) Run(ctx context.Context) error {
	flags := accountFlags{placeFlags: c.placeFlags, NoKeyring: c.NoKeyring, CodeFile: c.CodeFile}
	client, owner, err := flags.owner(ctx, c.passwordFlag)
	if err != nil {
		return err
	}
	var all stored
	if all.Account, err = client.Export(ctx, owner); err != nil {
		return err
	}
	d, kept, err := c.open()
	if err != nil {
		return err
	}
	if all.Drive, err = d.Space(ctx); err != nil {
		return err
	}
	links, err := d.Links(ctx)
	if err != nil {
		return err
	}
	all.Links = []linkJSON{}
	for _, l := range links {
		all.Links = append(all.Links, linkOf(kept.Server, l))
	}
	var text bytes.Buffer
	if err := encodeJSON(&text, all); err != nil {
		return err
	}
	if err := os.MkdirAll(c.Folder, 0o700); err != nil {
		return err
	}
	if err := home.WriteFile(filepath.Join(c.Folder, "stored.json"), text.Bytes()); err != nil {
		return err
	}
	get := getCmd{contentFlags: c.contentFlags, Paths: []string{"/"}, Output: filepath.Join(c.Folder, "files")}
	if err := get.Run(ctx); err != nil {
		return err
	}
	note("Everything is in %s.", descriptor.Display(c.Folder))
	return nil
}
