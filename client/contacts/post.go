package contacts

import (
	"context"
	"errors"
	"fmt"

	"holdfast/api"
	"holdfast/format/id"
	"holdfast/format/invite"
	"holdfast/format/wire"
)

// ErrForged: a message that names a contact and that the contact did not write so, or
// not for this account.
var ErrForged = errors.New("a message is not what the contact wrote to you; it was not opened")

// Letter is a message that a contact signed for this account.
type Letter struct {
	ID   id.Message
	From Contact
	Text invite.Text
	Day  int64 // since 1970-01-01 UTC, by the server's word
}

// Box is what waits for the account.
type Box struct {
	Letters []Letter
	// Strangers are messages whose senders are no contacts: nothing of them was opened.
	Strangers int
	// Bad are messages in contacts' names that do not hold.
	Bad []BadLetter
}

// BadLetter is a message that was not opened, or says nothing that is known.
type BadLetter struct {
	ID   id.Message
	From string // the contact's name
	Err  error  // ErrForged and why
}

// Send seals a text to a contact, whose key is compared with what the server shows
// now: a *ChangedError if it is another, and then nothing was sent.
func (b *Book) Send(ctx context.Context, to string, text invite.Text) error {
	c, err := b.Current(ctx, to)
	if err != nil {
		return err
	}
	_, err = api.SendMessage.Call(ctx, b.caller, api.Args{Secret: b.mine.Token.String()}, api.SendMessageRequest{
		To: c.Identity.Account, Message: id.New[id.Message](),
		Sealed: id.Encoding.EncodeToString(b.mine.Root.Send(c.Identity, invite.Purpose, invite.Encode(text))),
	})
	return err
}

// Receive reads what waits, and leaves it there.
func (b *Book) Receive(ctx context.Context) (Box, error) {
	all, err := b.file.read()
	if err != nil {
		return Box{}, err
	}
	got, err := api.ListMessages.Call(ctx, b.caller, api.Args{Secret: b.mine.Token.String()}, api.Empty{})
	if err != nil {
		return Box{}, err
	}
	senders := map[id.Key]Contact{}
	for _, c := range all {
		senders[wire.KeyID(c.Identity.Signing)] = c
	}
	var box Box
	for _, m := range got.Messages {
		sealed, from, known := sender(m, senders)
		if !known {
			box.Strangers++
			continue
		}
		text, err := b.read(from, sealed)
		if err != nil {
			box.Bad = append(box.Bad, BadLetter{m.Message, from.Name, err})
			continue
		}
		box.Letters = append(box.Letters, Letter{m.Message, from, text, m.Day})
	}
	return box, nil
}

// sender finds the contact that a message names. It proves nothing.
func sender(m api.WaitingMessage, senders map[id.Key]Contact) (sealed []byte, from Contact, known bool) {
	sealed, err := id.Encoding.DecodeString(m.Sealed)
	if err != nil {
		return nil, Contact{}, false
	}
	e, err := wire.Parse(sealed)
	if err != nil {
		return nil, Contact{}, false
	}
	from, known = senders[e.Key]
	return sealed, from, known
}

func (b *Book) read(from Contact, sealed []byte) (invite.Text, error) {
	plain, err := b.mine.Root.Receive(from.Identity, invite.Purpose, sealed)
	if err != nil {
		return nil, fmt.Errorf("%w (%w)", ErrForged, err)
	}
	text, err := invite.Decode(plain)
	if err != nil {
		return nil, fmt.Errorf("%w (%w)", ErrForged, err)
	}
	return text, nil
}

// Drop forgets a message at the server.
func (b *Book) Drop(ctx context.Context, message id.Message) error {
	_, err := api.DropMessage.Call(ctx, b.caller, b.args("message", message.String()), api.Empty{})
	return err
}
