package contacts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"holdfast/api"
	"holdfast/client/account"
	"holdfast/client/home"
	"holdfast/format/id"
	"holdfast/format/invite"
	"holdfast/format/journal"
	"holdfast/format/keys"
)

// post is a server that shows identities and keeps messages as it is told.
type post struct {
	*testing.T
	call  api.Caller
	shows map[id.Account][]byte
	boxes map[id.Account][]api.WaitingMessage
	whose map[string]id.Account // by token
}

func newPost(t *testing.T) *post {
	p := &post{T: t, shows: map[id.Account][]byte{}, boxes: map[id.Account][]api.WaitingMessage{}, whose: map[string]id.Account{}}
	mux := http.NewServeMux()
	failed := func(endpoint string, err error) { t.Errorf("%s: %v", endpoint, err) }
	api.GetIdentity.Handle(mux, failed, func(_ context.Context, r api.Request, _ api.Empty) (api.IdentityView, error) {
		of, err := id.Parse[id.Account](r.PathValue("account"))
		if shown, ok := p.shows[of]; ok && err == nil {
			return api.IdentityView{Identity: id.Encoding.EncodeToString(shown)}, nil
		}
		return api.IdentityView{}, api.NewProblem(api.NotFound, "")
	})
	api.SendMessage.Handle(mux, failed, func(_ context.Context, _ api.Request, m api.SendMessageRequest) (api.Empty, error) {
		p.boxes[m.To] = append(p.boxes[m.To], api.WaitingMessage{Message: m.Message, Sealed: m.Sealed})
		return api.Empty{}, nil
	})
	api.ListMessages.Handle(mux, failed, func(_ context.Context, r api.Request, _ api.Empty) (api.MessageList, error) {
		return api.MessageList{Messages: append([]api.WaitingMessage{}, p.boxes[p.whose[r.Secret]]...)}, nil
	})
	api.DropMessage.Handle(mux, failed, func(_ context.Context, r api.Request, _ api.Empty) (api.Empty, error) {
		p.boxes[p.whose[r.Secret]] = nil
		return api.Empty{}, nil
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	p.call = api.Caller{Base: server.URL, HTTP: server.Client()}
	return p
}

// person is an account with its list.
type person struct {
	account.Access
	*Book
	home home.Dir
	path string
}

func (p *post) person() *person {
	p.Helper()
	a := account.Access{Root: keys.NewRoot(), Token: id.New32()}
	path := p.TempDir()
	dir, err := home.Open(path)
	p.must(err)
	book, err := Open(a, dir, p.call)
	p.must(err)
	p.shows[a.Root.Account] = a.Root.Identity().Envelope()
	p.whose[a.Token.String()] = a.Root.Account
	return &person{a, book, dir, filepath.Join(path, "contacts", a.Root.Account.String())}
}

func (p *post) must(err error) {
	p.Helper()
	if err != nil {
		p.Fatal(err)
	}
}

func (p *post) want(err, target error) {
	p.Helper()
	if !errors.Is(err, target) {
		p.Fatalf("have %v, want %v", err, target)
	}
}

func (p *person) code() string { return p.Mine().Code() }

func (p *post) names(of *person) string {
	p.Helper()
	all, err := of.All()
	p.must(err)
	var names []string
	for _, c := range all {
		names = append(names, fmt.Sprintf("%s %v", c.Name, c.Verified))
	}
	return strings.Join(names, ", ")
}

// TestListOfContacts is a list's life.
func TestListOfContacts(t *testing.T) {
	p := newPost(t)
	ctx := t.Context()
	ada, bob, cleo := p.person(), p.person(), p.person()
	_, err := ada.Add(ctx, "https://elsewhere.example/c#"+strings.ToLower(bob.code()), "Bob")
	p.must(err)
	c, err := ada.Add(ctx, cleo.code(), "cleo at work")
	p.must(err)
	_, err = ada.Add(ctx, bob.code(), "another")
	p.want(err, ErrKnown)
	for _, name := range []string{"bob", "BOB", "Bo\u200db", "Bob"} {
		_, err = ada.Add(ctx, p.person().code(), name)
		p.want(err, ErrTaken)
	}
	for _, name := range []string{"", " x", "x ", "a\nb", "a\u202eb", strings.Repeat("x", 65), "\x1b[31m"} {
		_, err = ada.Add(ctx, cleo.code(), name)
		p.want(err, ErrName)
		p.want(ada.Rename("Bob", name), ErrName)
	}
	if SafetyDigits := ada.SafetyNumber(c); len(SafetyDigits) != 60 || SafetyDigits != keys.SafetyNumber(cleo.Root.Identity(), ada.Root.Identity()) {
		t.Errorf("safety number %q", SafetyDigits)
	}
	p.must(ada.Verify(c))
	p.must(ada.Rename("CLEO at work", "Cleo"))
	p.must(ada.Rename("Cleo", "cleo"))
	p.want(ada.Rename("cleo", "bob"), ErrTaken)
	again, err := Open(ada.Access, ada.home, p.call) // on the same machine, later
	p.must(err)
	ada.Book = again
	if names := p.names(ada); names != "Bob false, cleo true" {
		t.Errorf("%s", names)
	}
	if found, err := ada.Find("CLEO"); err != nil || found.Identity.Fingerprint != cleo.Root.Identity().Fingerprint {
		t.Errorf("%+v, %v", found, err)
	}
	by, known, err := ada.By(bob.Root.Account)
	if err != nil || !known || by.Name != "Bob" {
		t.Errorf("%+v, %v, %v", by, known, err)
	}
	members, err := ada.Members()
	if err != nil || !bytes.Equal(members(ada.Root.Account), ada.self.Signing) || !bytes.Equal(members(bob.Root.Account), bob.self.Signing) || members(id.New[id.Account]()) != nil {
		t.Errorf("members: %v", err)
	}
	p.must(ada.Remove("BOB"))
	p.want(ada.Remove("Bob"), ErrUnknown)
	if _, known, err := ada.By(bob.Root.Account); known || err != nil {
		t.Error("still there", err)
	}
	if names := p.names(ada); names != "cleo true" {
		t.Errorf("%s", names)
	}
}

// TestWrongCodes: nobody is pinned by a code that is mistyped, one's own, of nobody,
// or of another key than the server shows.
func TestWrongCodes(t *testing.T) {
	p := newPost(t)
	ctx := t.Context()
	ada, bob, eve := p.person(), p.person(), p.person()
	add := func(code string, target error) {
		t.Helper()
		_, err := ada.Add(ctx, code, "Bob")
		p.want(err, target)
		if names := p.names(ada); names != "" {
			t.Errorf("pinned: %s", names)
		}
	}
	last := map[bool]string{true: "2", false: "3"}[!strings.HasSuffix(bob.code(), "2")]
	add(bob.code()[:len(bob.code())-1]+last, keys.ErrContactChecksum)
	add(bob.code()[:30], keys.ErrContactCut)
	add(ada.code(), ErrSelf)
	delete(p.shows, eve.Root.Account)
	add(eve.code(), ErrNobody)
	for what, shown := range map[string][]byte{
		"another account's": ada.Root.Identity().Envelope(), "another key of this account": keys.Root{Account: bob.Root.Account, Epoch: 1, Key: id.New32()}.Identity().Envelope(),
		"a new root": bob.Root.Next().Identity().Envelope(), "nothing": {}, "damage": append([]byte{1}, bob.Root.Identity().Envelope()...),
	} {
		p.shows[bob.Root.Account] = shown
		t.Log(what)
		add(bob.code(), keys.ErrContact)
	}
}

// TestSwappedKey: once pinned, another key is an error that names the contact, and
// nothing is sent.
func TestSwappedKey(t *testing.T) {
	p := newPost(t)
	ctx := t.Context()
	ada, bob := p.person(), p.person()
	_, err := ada.Add(ctx, bob.code(), "Bob")
	p.must(err)
	p.must(ada.Send(ctx, "bob", &invite.Answer{}))
	for what, shown := range map[string][]byte{
		"another key": keys.Root{Account: bob.Root.Account, Epoch: 1, Key: id.New32()}.Identity().Envelope(), "a new root": bob.Root.Next().Identity().Envelope(),
		"another's": ada.Root.Identity().Envelope(), "nothing": {},
	} {
		p.shows[bob.Root.Account] = shown
		err := ada.Send(ctx, "bob", &invite.Answer{})
		if p.want(err, ErrChanged); !strings.HasPrefix(err.Error(), "Bob: ") {
			t.Errorf("%s: %v", what, err)
		}
	}
	delete(p.shows, bob.Root.Account)
	p.want(ada.Send(ctx, "bob", &invite.Answer{}), ErrNobody)
	p.want(ada.Send(ctx, "nobody", &invite.Answer{}), ErrUnknown)
	if n := len(p.boxes[bob.Root.Account]); n != 1 {
		t.Errorf("%d messages were sent", n)
	}
	// Somebody who hands out a new code under the old handle is told apart, too.
	next := bob.Root.Next().Identity()
	p.shows[bob.Root.Account] = next.Envelope()
	_, err = ada.Add(ctx, next.Contact().Code(), "Bob again")
	p.want(err, ErrKnown)
}

// TestLetters: what a contact wrote is read, what strangers wrote is not opened, and
// what is forged is named.
func TestLetters(t *testing.T) {
	p := newPost(t)
	ctx := t.Context()
	ada, bob, eve := p.person(), p.person(), p.person()
	_, err := ada.Add(ctx, bob.code(), "Bob")
	p.must(err)
	_, err = bob.Add(ctx, ada.code(), "Ada")
	p.must(err)
	keys4 := journal.NewKeys()
	invitation, err := invite.For(journal.Place{Folder: id.New[id.Folder](), Epoch: 1, Keys: keys4}, keys4.Public(), journal.Writes, "Photos")
	p.must(err)
	p.must(bob.Send(ctx, "Ada", invitation))
	deliver := func(b []byte) {
		p.boxes[ada.Root.Account] = append(p.boxes[ada.Root.Account], api.WaitingMessage{Message: id.New[id.Message](), Sealed: id.Encoding.EncodeToString(b)})
	}
	good := invite.Encode(invitation)
	deliver(eve.Root.Send(ada.self, invite.Purpose, good))     // a stranger
	deliver([]byte("nothing"))                                 // nothing at all
	deliver(bob.Root.Send(eve.self, invite.Purpose, good))     // to somebody else
	deliver(bob.Root.Send(ada.self, "other", good))            // for something else
	deliver(bob.Root.Send(ada.self, invite.Purpose, good[1:])) // not a text
	flipped := bob.Root.Send(ada.self, invite.Purpose, good)
	flipped[len(flipped)-1] ^= 1
	deliver(flipped)
	box, err := ada.Receive(ctx)
	p.must(err)
	if len(box.Letters) != 1 || box.Strangers != 2 || len(box.Bad) != 4 {
		t.Fatalf("%d letters, %d of strangers, %d bad", len(box.Letters), box.Strangers, len(box.Bad))
	}
	got, isInvitation := box.Letters[0].Text.(*invite.Invitation)
	if !isInvitation || got.Keys != invitation.Keys || box.Letters[0].From.Name != "Bob" {
		t.Errorf("%+v", box.Letters[0])
	}
	for i, want := range []error{keys.ErrRecipient, keys.ErrPurpose, invite.ErrPadding, nil} {
		if b := box.Bad[i]; b.From != "Bob" || !errors.Is(b.Err, ErrForged) || want != nil && !errors.Is(b.Err, want) {
			t.Errorf("%d: %+v", i, b)
		}
	}
	p.must(ada.Drop(ctx, box.Letters[0].ID))
}

// TestListOnDisk: the list is its owner's alone, and damage is said.
func TestListOnDisk(t *testing.T) {
	p := newPost(t)
	ada, bob := p.person(), p.person()
	_, err := ada.Add(t.Context(), bob.code(), "Bob the builder")
	p.must(err)
	raw, err := os.ReadFile(ada.path)
	p.must(err)
	if info, err := os.Stat(ada.path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if bytes.Contains(raw, []byte("builder")) || bytes.Contains(raw, bob.self.Signing) {
		t.Error("the list can be read")
	}
	damaged := func(b []byte) {
		t.Helper()
		p.must(os.WriteFile(ada.path, b, 0o600))
		_, err := ada.All()
		p.want(err, ErrDamaged)
		_, err = ada.Add(t.Context(), p.person().code(), "x")
		p.want(err, ErrDamaged) // what is damaged is not written over
		if now, err := os.ReadFile(ada.path); err != nil || !bytes.Equal(now, b) {
			t.Error("changed", err)
		}
	}
	for _, at := range []int{0, 1, 40, 100, len(raw) - 1} {
		b := bytes.Clone(raw)
		b[at] ^= 1
		damaged(b)
	}
	damaged(raw[:len(raw)-1])
	damaged(nil)
	damaged(make([]byte, 1<<20+1))
	p.must(os.WriteFile(bob.path, raw, 0o600)) // another account's list
	_, err = bob.All()
	p.want(err, ErrDamaged)
	p.must(os.WriteFile(ada.path, raw, 0o600))
	if names := p.names(ada); names != "Bob the builder false" {
		t.Error(names)
	}
}

// TestManyContacts: two processes at once lose nobody, and a list has an end.
func TestManyContacts(t *testing.T) {
	p := newPost(t)
	ada := p.person()
	people := make([]*person, 4)
	for i := range people {
		people[i] = p.person()
	}
	var group sync.WaitGroup
	for i, one := range people {
		group.Go(func() {
			for {
				book, err := Open(ada.Access, ada.home, p.call)
				if err == nil {
					_, err = book.Add(t.Context(), one.code(), fmt.Sprintf("person %d", i))
				}
				if errors.Is(err, home.ErrBusy) {
					continue
				}
				if err != nil {
					t.Error(err)
				}
				return
			}
		})
	}
	group.Wait()
	if names := p.names(ada); names != "person 0 false, person 1 false, person 2 false, person 3 false" {
		t.Error(names)
	}
	full := ada.Root.Identity()
	p.must(ada.file.change(func([]Contact) ([]Contact, error) {
		all := make([]Contact, MaxContacts)
		for i := range all {
			all[i] = Contact{Name: strings.Repeat("n", 60) + fmt.Sprint(i), Identity: full}
		}
		return all, nil
	}))
	all, err := ada.All()
	if p.must(err); len(all) != MaxContacts {
		t.Errorf("%d", len(all))
	}
	_, err = ada.Add(t.Context(), p.person().code(), "one more")
	p.want(err, ErrFull)
}
