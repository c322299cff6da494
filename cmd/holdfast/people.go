package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"text/tabwriter"

	"holdfast/client/contacts"
	"holdfast/client/drive"
	"holdfast/format/descriptor"
	"holdfast/format/id"
	"holdfast/format/invite"
	"holdfast/format/journal"
)

// known gives the signing keys of contacts. Where the list cannot be read nobody is
// known: that is said, and stops nobody from reading folders.
func known(book *contacts.Book) func(id.Account) ed25519.PublicKey {
	members := sync.OnceValue(func() func(id.Account) ed25519.PublicKey {
		all, err := book.Members()
		if err != nil {
			note("Who wrote what in shared folders is not checked: %v.", err)
		}
		return all
	})
	return func(a id.Account) ed25519.PublicKey { return members()(a) }
}

// renewals are the invitations that wait for the account.
func renewals(ctx context.Context, book *contacts.Book) (all []drive.Renewal, err error) {
	box, err := book.Receive(ctx)
	for _, l := range box.Letters {
		if i, ok := l.Text.(*invite.Invitation); ok {
			all = append(all, drive.Renewal{From: l.From.Identity.Account, Invitation: i})
		}
	}
	return all, err
}

// roleWords are the roles by their names on the command line.
var roleWords = map[string]journal.Role{"reader": journal.Reads, "writer": journal.Writes, "admin": journal.Admins}

func roleWord(role journal.Role) string {
	for word, r := range roleWords {
		if r == role {
			return word
		}
	}
	return "nobody"
}

type inviteCmd struct {
	driveFlags
	Path    string `arg:"" help:"A folder of the drive."`
	Contact string `arg:"" help:"A contact's name."`
	Role    string `help:"What they may do: read, write too, or share and remove others too." enum:"reader,writer,admin" default:"reader"`
}

// Help says what an invitation is.
func (inviteCmd) Help() string {
	return "The folder's keys go to the contact's key, which must be the one that was pinned; the service learns which accounts share a folder, and no more. Inviting again changes the role, and renews the keys of somebody who missed them."
}

// Run shares a folder.
func (c *inviteCmd) Run(ctx context.Context) error {
	d, book, _, err := c.withPeople()
	if err != nil {
		return err
	}
	to, err := book.Current(ctx, c.Contact)
	if err != nil {
		return err
	}
	if !to.Verified {
		note("%s is %s: 'holdfast verify' tells whether the contact code was theirs.", descriptor.Display(to.Name), unverifiedText)
	}
	i, err := d.Grant(ctx, c.Path, to.Identity.Account, roleWords[c.Role])
	if err != nil {
		return err
	}
	if err := book.Send(ctx, to.Name, i); err != nil {
		return fmt.Errorf("%w\nThe invitation was not sent; the same command sends it again", err)
	}
	if c.JSON {
		return printJSON(memberJSON{Name: to.Name, Account: to.Identity.Account.String(), Role: c.Role, Verified: to.Verified})
	}
	note("%s is invited as %s.", descriptor.Display(to.Name), c.Role)
	return nil
}

// memberJSON is who may open a folder.
type memberJSON struct {
	Name     string `json:"name,omitempty"` // empty: no contact
	Account  string `json:"account"`
	Role     string `json:"role"`
	Verified bool   `json:"verified"`
}

type membersCmd struct {
	driveFlags
	Path string `arg:"" help:"A folder of the drive, or one that somebody shares."`
}

// Help says who is not listed.
func (membersCmd) Help() string {
	return "Besides its owner. Those who are members of a folder above it have what they have there, and are not listed."
}

// Run lists members.
func (c *membersCmd) Run(ctx context.Context) error {
	d, book, kept, err := c.withPeople()
	if err != nil {
		return err
	}
	members, err := d.Members(ctx, c.Path)
	if err != nil {
		return err
	}
	all := []memberJSON{}
	for _, m := range members {
		one := memberJSON{Account: m.Account.String(), Role: roleWord(m.Role)}
		contact, known, err := book.By(m.Account)
		if err != nil {
			return err
		}
		if known {
			one.Name, one.Verified = contact.Name, contact.Verified
		}
		all = append(all, one)
	}
	if c.JSON {
		return printJSON(all)
	}
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	for _, m := range all {
		who, state := descriptor.Display(m.Name), unverifiedText
		if m.Verified {
			state = verifiedText
		}
		switch {
		case m.Account == kept.Root.Account.String():
			who, state = "(you)", ""
		case m.Name == "":
			who, state = m.Account, "no contact of yours"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\n", who, m.Role, state)
	}
	return table.Flush()
}

type revokeCmd struct {
	driveFlags
	Path    string `arg:"" help:"A folder of the drive."`
	Contact string `arg:"" help:"A contact's name, or the account as 'holdfast members' shows it."`
	Again   bool   `help:"Give all folders below it new keys once more, and send those who stay the present ones."`
}

// Help says what revoking does and what not.
func (revokeCmd) Help() string {
	return "They get nothing any more from this moment on, and the folder has new keys, which they never had. The folders below get theirs one after another; when that is interrupted, the same command goes on. What they have read before they may have kept."
}

// Run removes somebody.
func (c *revokeCmd) Run(ctx context.Context) error {
	d, book, _, err := c.withPeople()
	if err != nil {
		return err
	}
	who, name, err := whom(book, c.Contact)
	if err != nil {
		return err
	}
	stay, err := d.Revoke(ctx, c.Path, who)
	if errors.Is(err, drive.ErrNotMember) {
		left, failed := d.Unfinished(ctx, c.Path)
		if failed != nil {
			return failed
		}
		if !left && !c.Again {
			return err
		}
		stay, err = d.Staying(ctx, c.Path)
	}
	if err != nil {
		return err
	}
	unsent := c.renew(ctx, book, stay)
	folders := 0
	err = d.Rekey(ctx, c.Path, func(done, of int) {
		folders = of
		if of > 0 && !c.JSON {
			note("New keys: %d of %d folders below.", done, of)
		}
	})
	if err = errors.Join(unsent, err); err != nil {
		return fmt.Errorf("%w\n%s is out, and the folder itself has new keys. The same command goes on with the rest", err, descriptor.Display(name))
	}
	if c.JSON {
		return printJSON(struct {
			Revoked string `json:"revoked"`
			Folders int    `json:"folders"`
			Stay    int    `json:"stay"`
		}{who.String(), folders + 1, len(stay)})
	}
	note("%s may not open %s any more.", descriptor.Display(name), descriptor.Display(c.Path))
	return nil
}

// renew sends the folder's present keys to who stays.
func (c *revokeCmd) renew(ctx context.Context, book *contacts.Book, stay []drive.Renewed) error {
	var failed []error
	for _, m := range stay {
		contact, known, err := book.By(m.Account)
		switch {
		case err != nil:
			failed = append(failed, err)
		case !known:
			note("%s is no contact of yours: whoever invited them has to do so again, for the new keys.", m.Account)
		default:
			if err := book.Send(ctx, contact.Name, m.Invitation); err != nil {
				failed = append(failed, fmt.Errorf("the new keys did not go to %s: %w", descriptor.Display(contact.Name), err))
			}
		}
	}
	return errors.Join(failed...)
}

// whom finds an account by a contact's name, or by its handle.
func whom(book *contacts.Book, text string) (id.Account, string, error) {
	contact, err := book.Find(text)
	if err == nil {
		return contact.Identity.Account, contact.Name, nil
	}
	if account, wrong := id.Parse[id.Account](text); wrong == nil && errors.Is(err, contacts.ErrUnknown) {
		return account, text, nil
	}
	return id.Account{}, "", err
}

type leaveCmd struct {
	driveFlags
	Path string `arg:"" help:"The folder, under /Shared."`
}

// Run forgets a folder of somebody else.
func (c *leaveCmd) Run(ctx context.Context) error {
	d, err := c.drive()
	if err != nil {
		return err
	}
	return d.Leave(ctx, c.Path)
}

// invitationsCmd is about folders that others want to share.
type invitationsCmd struct {
	List    invitationsListCmd    `cmd:"" default:"withargs" help:"List them."`
	Accept  invitationsAcceptCmd  `cmd:"" help:"Accept one: the folder stands under /Shared from then on."`
	Decline invitationsDeclineCmd `cmd:"" help:"Decline one."`
}

// Help says who can invite.
func (invitationsCmd) Help() string {
	return "Only contacts can invite: what anybody else sent is not opened. An invitation waits for 30 days, so that other machines of the account can accept it too: which folders are accepted is kept on each machine."
}

var errNoInvitation = errors.New("no invitation of this id or name waits")

// invited is an invitation that waits.
type invited struct {
	contacts.Letter
	*invite.Invitation
	accepted bool
}

type invitationJSON struct {
	ID       string `json:"id"`
	From     string `json:"from"`
	Verified bool   `json:"verified"`
	Folder   string `json:"folder"`
	Role     string `json:"role"`
	Day      string `json:"day"`
	Accepted bool   `json:"accepted"`
}

// waiting are the invitations, the newest of each folder and sender; answers are told and
// forgotten.
func waiting(ctx context.Context, d *drive.Drive, book *contacts.Book) (all []invited, err error) {
	box, err := book.Receive(ctx)
	if err != nil {
		return nil, err
	}
	has := map[id.Folder]bool{}
	for _, i := range d.Shared() {
		has[i.Self] = true
	}
	newest := map[id.Folder]int{}
	for _, l := range box.Letters {
		switch text := l.Text.(type) {
		case *invite.Invitation:
			one := invited{l, text, has[text.Folder]}
			if at, before := newest[text.Folder]; before && all[at].From.Name == l.From.Name {
				all[at] = one
				continue
			}
			newest[text.Folder] = len(all)
			all = append(all, one)
		case *invite.Answer:
			did := "declined"
			if text.Accepted {
				did = "accepted"
			}
			note("%s %s your invitation.", descriptor.Display(l.From.Name), did)
			if err := book.Drop(ctx, l.ID); err != nil {
				return nil, err
			}
		}
	}
	for _, b := range box.Bad {
		note("A message in the name of %s was not opened: %v.", descriptor.Display(b.From), b.Err)
	}
	if box.Strangers > 0 {
		note("%d messages are from nobody among your contacts, and were not opened. If you expect an invitation, add the contact first.", box.Strangers)
	}
	return all, nil
}

type invitationsListCmd struct{ driveFlags }

// Run lists invitations.
func (c *invitationsListCmd) Run(ctx context.Context) error {
	d, book, _, err := c.withPeople()
	if err != nil {
		return err
	}
	all, err := waiting(ctx, d, book)
	if err != nil {
		return err
	}
	if c.JSON {
		out := []invitationJSON{}
		for _, i := range all {
			out = append(out, invitationJSON{i.ID.String(), i.From.Name, i.From.Verified, i.Name, roleWord(i.Role), dayText(i.Day), i.accepted})
		}
		return printJSON(out)
	}
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	for _, i := range all {
		if !i.accepted {
			fmt.Fprintf(table, "%s\t%s\tfrom %s (%s)\tas %s\t%s\n", i.ID.String()[:shortSession], descriptor.Display(i.Name), descriptor.Display(i.From.Name), verifiedWord(i.From), roleWord(i.Role), dayText(i.Day))
		}
	}
	return table.Flush()
}

// chosen is the one invitation of that id, its beginning, or the folder's name.
func chosen(all []invited, which string) (invited, error) {
	var found []invited
	for _, i := range all {
		if i.Name == which || len(which) >= shortSession && strings.HasPrefix(i.ID.String(), which) {
			found = append(found, i)
		}
	}
	switch len(found) {
	case 0:
		return invited{}, fmt.Errorf("%w: %s", errNoInvitation, descriptor.Display(which))
	case 1:
		return found[0], nil
	}
	return invited{}, usagef("several invitations are to a folder of that name: use the id")
}

// invitationFlags name an invitation that waits.
type invitationFlags struct {
	driveFlags
	Which string `arg:"" help:"The invitation's id, or the folder's name."`
}

// chosen finds it.
func (c *invitationFlags) chosen(ctx context.Context) (*drive.Drive, *contacts.Book, invited, error) {
	d, book, _, err := c.withPeople()
	if err != nil {
		return nil, nil, invited{}, err
	}
	all, err := waiting(ctx, d, book)
	if err != nil {
		return nil, nil, invited{}, err
	}
	i, err := chosen(all, c.Which)
	return d, book, i, err
}

type invitationsAcceptCmd struct{ invitationFlags }

// Run accepts an invitation.
func (c *invitationsAcceptCmd) Run(ctx context.Context) error {
	d, book, i, err := c.chosen(ctx)
	if err != nil {
		return err
	}
	path, err := d.Accept(ctx, drive.Renewal{From: i.From.Identity.Account, Invitation: i.Invitation})
	if err != nil {
		return err
	}
	if err := book.Send(ctx, i.From.Name, &invite.Answer{Folder: i.Folder, Accepted: true}); err != nil {
		note("%s was not told: %v.", descriptor.Display(i.From.Name), err)
	}
	if c.JSON {
		return printJSON(struct {
			Path string `json:"path"`
		}{path})
	}
	_, err = fmt.Println(descriptor.Display(path))
	return err
}

type invitationsDeclineCmd struct{ invitationFlags }

// Run declines an invitation.
func (c *invitationsDeclineCmd) Run(ctx context.Context) error {
	_, book, i, err := c.chosen(ctx)
	if err != nil {
		return err
	}
	if err := book.Drop(ctx, i.ID); err != nil {
		return err
	}
	if err := book.Send(ctx, i.From.Name, &invite.Answer{Folder: i.Folder}); err != nil {
		note("%s was not told: %v.", descriptor.Display(i.From.Name), err)
	}
	return nil
}
