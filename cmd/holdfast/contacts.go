package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"

	"holdfast/client/account"
	"holdfast/client/contacts"
	"holdfast/format/descriptor"
)

// contactsCmd is about people.
type contactsCmd struct {
	List   contactsListCmd   `cmd:"" default:"withargs" help:"List them."`
	Add    contactsAddCmd    `cmd:"" help:"Add somebody by the contact code that they gave you."`
	Rename contactsRenameCmd `cmd:"" help:"Give a contact another name."`
	Remove contactsRemoveCmd `cmd:"" help:"Forget a contact. What was shared stays shared."`
	Mine   contactsMineCmd   `cmd:"" help:"Show your own contact code, as text and as a picture."`
}

// Help says where people come from.
func (contactsCmd) Help() string {
	return "Nobody is found by name: a contact code goes from person to person, and says which key is theirs. The list is on this machine, sealed; another machine has its own for now."
}

// book is the account's list of contacts.
func (f *accountFlags) book() (*contacts.Book, account.Kept, error) {
	client, kept, err := f.loggedIn()
	if err != nil {
		return nil, kept, err
	}
	dir, err := f.home()
	if err != nil {
		return nil, kept, err
	}
	book, err := contacts.Open(kept.Access, dir, client.Caller())
	return book, kept, err
}

// contactJSON is a contact.
type contactJSON struct {
	Name     string `json:"name"`
	Account  string `json:"account"`
	Contact  string `json:"contact"`
	Verified bool   `json:"verified"`
}

func contactOf(c contacts.Contact) contactJSON {
	return contactJSON{c.Name, c.Identity.Account.String(), c.Identity.Contact().Code(), c.Verified}
}

const (
	verifiedText   = "verified"
	unverifiedText = "unverified"
)

func verifiedWord(c contacts.Contact) string {
	if c.Verified {
		return verifiedText
	}
	return unverifiedText
}

type contactsListCmd struct{ accountFlags }

// Run lists the contacts.
func (c *contactsListCmd) Run() error {
	book, _, err := c.book()
	if err != nil {
		return err
	}
	all, err := book.All()
	if err != nil {
		return err
	}
	if c.JSON {
		out := make([]contactJSON, len(all))
		for i, one := range all {
			out[i] = contactOf(one)
		}
		return printJSON(out)
	}
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	for _, one := range all {
		fmt.Fprintf(table, "%s\t%s\t%s\n", descriptor.Display(one.Name), verifiedWord(one), one.Identity.Contact().Code())
	}
	return table.Flush()
}

type contactsAddCmd struct {
	accountFlags
	Code string `arg:"" help:"Their contact code, or the address with it; - reads it from stdin."`
	Name string `arg:"" help:"What you call them. Nobody else sees it."`
}

// Run adds a contact.
func (c *contactsAddCmd) Run(ctx context.Context) error {
	book, _, err := c.book()
	if err != nil {
		return err
	}
	if c.Code == "-" {
		if c.Code, err = firstLine(os.Stdin); err != nil {
			return fmt.Errorf("read the contact code: %w", err)
		}
	}
	added, err := book.Add(ctx, c.Code, c.Name)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(contactOf(added))
	}
	note("%s is added, %s: compare safety numbers with 'holdfast verify' when you can.", descriptor.Display(added.Name), unverifiedText)
	return nil
}

type contactsRenameCmd struct {
	accountFlags
	Old string `arg:"" help:"The contact's name."`
	New string `arg:"" help:"Another one."`
}

// Run renames a contact.
func (c *contactsRenameCmd) Run() error {
	book, _, err := c.book()
	if err != nil {
		return err
	}
	if err := book.Rename(c.Old, c.New); err != nil {
		return err
	}
	return c.showContact(book, c.New)
}

// showContact prints a contact for programs.
func (f *accountFlags) showContact(book *contacts.Book, name string) error {
	if !f.JSON {
		return nil
	}
	one, err := book.Find(name)
	if err != nil {
		return err
	}
	return printJSON(contactOf(one))
}

type contactsRemoveCmd struct {
	accountFlags
	Name string `arg:"" help:"The contact's name."`
}

// Run forgets a contact.
func (c *contactsRemoveCmd) Run() error {
	book, _, err := c.book()
	if err != nil {
		return err
	}
	return book.Remove(c.Name)
}

type contactsMineCmd struct{ accountFlags }

// Help says what it is.
func (contactsMineCmd) Help() string {
	return "Whoever has the code can share with you, and knows that it is your key. It opens nothing and tells no name. The address is for devices that look at the picture."
}

// Run shows the own code; it asks nobody.
func (c *contactsMineCmd) Run() error {
	book, kept, err := c.book()
	if err != nil {
		return err
	}
	address := book.Mine().Address(kept.Server)
	if c.JSON {
		return printJSON(struct {
			Contact string `json:"contact"`
			Address string `json:"address"`
		}{book.Mine().Code(), address})
	}
	if terminal(os.Stdout) {
		picture, err := picture(address)
		if err != nil {
			return err
		}
		fmt.Println(picture)
	}
	_, err = fmt.Printf("%s\n%s\n", book.Mine().Code(), address)
	return err
}

// verifyCmd compares keys with a person.
type verifyCmd struct {
	accountFlags
	Name       string `arg:"" help:"The contact's name."`
	NumberFile string `help:"File with the safety number that the other person sees; - reads it from stdin. Without it you are asked whether it is the same." type:"existingfile"`
}

// Help says how.
func (verifyCmd) Help() string {
	return "Both of you see the same 60 digits if nobody stands between you. Compare them when you meet, or read them to each other where you know the voice; then the contact counts as verified."
}

var errNumbers = errors.New("the safety numbers differ: one of you has another key for the other; do not share until you have given each other your contact codes anew, and not by this service")

// safetyForm is a number in twelve groups of five.
func safetyForm(digits string) string {
	var groups []string
	for ; len(digits) >= 5; digits = digits[5:] {
		groups = append(groups, digits[:5])
	}
	return strings.Join(groups, " ")
}

// Run shows the number and asks about it.
func (c *verifyCmd) Run(ctx context.Context) error {
	book, _, err := c.book()
	if err != nil {
		return err
	}
	one, err := book.Find(c.Name)
	if err != nil {
		return err
	}
	number := book.SafetyNumber(one)
	same, err := c.compared(ctx, one.Name, number)
	if err != nil {
		return err
	}
	if same {
		if err := book.Verify(one); err != nil {
			return err
		}
		one.Verified = true
	}
	if c.JSON {
		return printJSON(struct {
			contactJSON
			Number string `json:"number"`
		}{contactOf(one), number})
	}
	note("%s is %s.", descriptor.Display(one.Name), verifiedWord(one))
	return nil
}

// compared tells whether the other person sees the same number, as far as it is known.
func (c *verifyCmd) compared(ctx context.Context, name, number string) (bool, error) {
	if c.NumberFile != "" {
		theirs, err := secretFrom(ctx, c.NumberFile, "--number-file", "")
		if err != nil {
			return false, err
		}
		if strings.Join(strings.Fields(theirs), "") != number {
			return false, errNumbers
		}
		return true, nil
	}
	if c.JSON {
		return false, nil
	}
	if _, err := fmt.Println(safetyForm(number)); err != nil {
		return false, err
	}
	answer, err := askOpen(ctx, "Does "+descriptor.Display(name)+" see the same number? Type yes or no: ", errUnasked)
	switch {
	case errors.Is(err, errUnasked):
		return false, nil // shown, and not asked
	case err != nil:
		return false, err
	case strings.EqualFold(answer, "yes"):
		return true, nil
	case strings.EqualFold(answer, "no"):
		return false, errNumbers
	}
	return false, usagef("neither yes nor no: nothing was changed")
}

var errUnasked = errors.New("there is no terminal")
