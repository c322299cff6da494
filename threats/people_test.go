package threats

import (
	"errors"
	"strings"
	"testing"

	"holdfast/api"
	"holdfast/client/account"
	"holdfast/client/contacts"
	"holdfast/client/home"
	"holdfast/format/id"
	"holdfast/format/invite"
	"holdfast/format/journal"
	"holdfast/format/keys"
	"holdfast/format/wire"
)

// person is an account of the service with its list of contacts.
type person struct {
	account.Access
	*contacts.Book
}

func newPerson(t *testing.T, name string) person {
	t.Helper()
	a, _ := signedUp(t, name, "correct horse battery")
	dir, err := home.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	book, err := contacts.Open(a, dir, people().Caller())
	if err != nil {
		t.Fatal(err)
	}
	return person{a, book}
}

// knows adds another person under a name.
func (p person) knows(t *testing.T, other person, name string) contacts.Contact {
	t.Helper()
	c, err := p.Add(limited(t), other.Mine().Code(), name)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func anInvitation(t *testing.T) *invite.Invitation {
	t.Helper()
	drawn := journal.NewKeys()
	i, err := invite.For(journal.Place{Folder: id.New[id.Folder](), Epoch: 1, Keys: drawn}, drawn.Public(), journal.Writes, "Photos")
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// others are identities that a server could show for somebody, and what they are.
func others(p person) map[string]keys.Identity {
	return map[string]keys.Identity{
		"a key of the server's under the same handle": keys.Root{Account: p.Root.Account, Epoch: p.Root.Epoch, Key: id.New32()}.Identity(),
		"a later epoch of the same handle":            keys.Root{Account: p.Root.Account, Epoch: p.Root.Epoch + 1, Key: id.New32()}.Identity(),
		"another account":                             keys.NewRoot().Identity(),
	}
}

// TestThreat05KeySwappedAtFirst: a server that shows another key than the one of the
// contact code gets it pinned by nobody.
func TestThreat05KeySwappedAtFirst(t *testing.T) {
	ada, bob := newPerson(t, "threat five ada"), newPerson(t, "threat five bob")
	for what, shown := range others(bob) {
		play(t, evil{answer: func(x *exchange) {
			if x.is(api.GetIdentity.Info) {
				rewrite(x, func(v *api.IdentityView) { v.Identity = id.Encoding.EncodeToString(shown.Envelope()) })
			}
		}})
		_, err := ada.Add(limited(t), bob.Mine().Code(), "Bob")
		if !errors.Is(err, keys.ErrContact) {
			t.Errorf("%s: %v", what, err)
		}
		if all, err := ada.All(); err != nil || len(all) != 0 {
			t.Errorf("%s: pinned %+v, %v", what, all, err)
		}
	}
	honest()
	if c := ada.knows(t, bob, "Bob"); c.Verified {
		t.Error("verified before anybody compared")
	}
}

// TestThreat05KeySwappedLater: a key that changes once it was pinned is an error that
// names the contact; nothing is sent, whatever the safety numbers said before.
func TestThreat05KeySwappedLater(t *testing.T) {
	ada, bob := newPerson(t, "threat five ada again"), newPerson(t, "threat five bob again")
	c := ada.knows(t, bob, "Bob")
	bob.knows(t, ada, "Ada")
	if err := ada.Verify(c); err != nil {
		t.Fatal(err)
	}
	sent := 0
	for what, shown := range others(bob) {
		play(t, evil{answer: func(x *exchange) {
			if x.is(api.GetIdentity.Info) {
				rewrite(x, func(v *api.IdentityView) { v.Identity = id.Encoding.EncodeToString(shown.Envelope()) })
			}
			if x.is(api.SendMessage.Info) {
				sent++
			}
		}})
		err := ada.Send(limited(t), "bob", anInvitation(t))
		var changed *contacts.ChangedError
		if !errors.As(err, &changed) || changed.Name != "Bob" || !strings.Contains(err.Error(), "nothing was sent") {
			t.Errorf("%s: %v", what, err)
		}
	}
	honest()
	if box, err := bob.Receive(limited(t)); err != nil || sent != 0 || len(box.Letters)+box.Strangers+len(box.Bad) != 0 {
		t.Errorf("%d sent, %+v, %v", sent, box, err)
	}
	if err := ada.Send(limited(t), "bob", anInvitation(t)); err != nil {
		t.Error(err)
	}
}

// TestThreat06ForgedInvitation: HPKE to the right key proves nothing. A server that makes
// up an invitation, signs it with other keys or not at all, gives out one to somebody
// else, or puts one person's words under another's name, gets none of them opened.
func TestThreat06ForgedInvitation(t *testing.T) {
	ada, bob, cleo := newPerson(t, "threat six ada"), newPerson(t, "threat six bob"), newPerson(t, "threat six cleo")
	ada.knows(t, bob, "Bob")
	ada.knows(t, cleo, "Cleo")
	bob.knows(t, ada, "Ada")
	i := anInvitation(t)
	text := invite.Encode(i)
	eve := keys.NewRoot()
	unsigned := bob.Root.Send(ada.Root.Identity(), invite.Purpose, text)
	for at := len(unsigned) - 64; at < len(unsigned); at++ {
		unsigned[at] = 0
	}
	under := eve.Send(ada.Root.Identity(), invite.Purpose, text) // names Eve's key
	for what, c := range map[string]struct {
		sealed    []byte
		strangers int
		of        string
		why       error
	}{
		"made up by the server":          {eve.Send(ada.Root.Identity(), invite.Purpose, text), 1, "", nil},
		"under another key's name":       {renamed(t, under, bob.Root), 0, "Bob", contacts.ErrForged},
		"without a signature":            {unsigned, 0, "Bob", contacts.ErrForged},
		"to somebody else":               {bob.Root.Send(cleo.Root.Identity(), invite.Purpose, text), 0, "Bob", keys.ErrRecipient},
		"for another purpose":            {bob.Root.Send(ada.Root.Identity(), "grant", text), 0, "Bob", keys.ErrPurpose},
		"one's own, sent back":           {ada.Root.Send(ada.Root.Identity(), invite.Purpose, text), 1, "", nil},
		"of a key that was ada's before": {keys.Root{Account: bob.Root.Account, Epoch: 1, Key: id.New32()}.Send(ada.Root.Identity(), invite.Purpose, text), 1, "", nil},
	} {
		play(t, evil{answer: func(x *exchange) {
			if x.is(api.ListMessages.Info) {
				rewrite(x, func(v *api.MessageList) {
					v.Messages = []api.WaitingMessage{{Message: id.New[id.Message](), Sealed: id.Encoding.EncodeToString(c.sealed)}}
				})
			}
		}})
		box, err := ada.Receive(limited(t))
		if err != nil || len(box.Letters) != 0 || box.Strangers != c.strangers {
			t.Errorf("%s: %+v, %v", what, box, err)
			continue
		}
		if c.of != "" && (len(box.Bad) != 1 || box.Bad[0].From != c.of || !errors.Is(box.Bad[0].Err, contacts.ErrForged) || !errors.Is(box.Bad[0].Err, c.why)) {
			t.Errorf("%s: %+v", what, box.Bad)
		}
	}
	honest()
	if err := bob.Send(limited(t), "Ada", i); err != nil {
		t.Fatal(err)
	}
	box, err := ada.Receive(limited(t))
	if err != nil || len(box.Letters) != 1 || box.Letters[0].From.Name != "Bob" {
		t.Fatalf("%+v, %v", box, err)
	}
	if got, ok := box.Letters[0].Text.(*invite.Invitation); !ok || got.Keys != i.Keys {
		t.Error("another invitation")
	}
}

// renamed is an envelope that names the key of another account.
func renamed(t *testing.T, b []byte, as keys.Root) []byte {
	t.Helper()
	e, err := wire.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	e.Key = wire.KeyID(as.Identity().Signing)
	return wire.Marshal(e)
}
