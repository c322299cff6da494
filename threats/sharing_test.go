package threats

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"holdfast/api"
	"holdfast/client/drive"
	"holdfast/client/home"
	"holdfast/format/descriptor"
	"holdfast/format/id"
	"holdfast/format/invite"
	"holdfast/format/journal"
)

// sharer is a person with a drive.
type sharer struct {
	person
	*drive.Drive
	t *testing.T
}

func newSharer(t *testing.T, name string) sharer {
	t.Helper()
	p := newPerson(t, name)
	return sharer{p, p.device(t), t}
}

// device opens the account's drive on a machine that knows nothing of it.
func (p person) device(t *testing.T) *drive.Drive { return p.deviceAt(t, t.TempDir()) }

func (p person) deviceAt(t *testing.T, at string) *drive.Drive {
	t.Helper()
	dir, err := home.Open(at)
	if err != nil {
		t.Fatal(err)
	}
	d, err := drive.Open(p.Access, dir, people().Caller())
	if err != nil {
		t.Fatal(err)
	}
	if d.Member, err = p.Members(); err != nil {
		t.Fatal(err)
	}
	d.Renewals = p.invitations
	return d
}

// invitations are what contacts invited the person to.
func (p person) invitations(ctx context.Context) (all []drive.Renewal, err error) {
	box, err := p.Receive(ctx)
	for _, l := range box.Letters {
		if i, ok := l.Text.(*invite.Invitation); ok {
			all = append(all, drive.Renewal{From: l.From.Identity.Account, Invitation: i})
		}
	}
	return all, err
}

func (s sharer) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s sharer) mkdir(paths ...string) {
	s.t.Helper()
	_, err := s.Drive.Mkdir(limited(s.t), paths, true)
	s.must(err)
}

// gives invites somebody and lets them accept.
func (s sharer) gives(to sharer, path, name string, role journal.Role) string {
	s.t.Helper()
	i, err := s.Grant(limited(s.t), path, to.Root.Account, role)
	s.must(err)
	s.must(s.Send(limited(s.t), name, i))
	all, err := to.invitations(limited(s.t))
	s.must(err)
	at, err := to.Accept(limited(s.t), all[len(all)-1])
	s.must(err)
	return at
}

// revokes takes somebody's role away and sends those who stay the new keys.
func (s sharer) revokes(from sharer, path string, names map[id.Account]string) {
	s.t.Helper()
	stay, err := s.Revoke(limited(s.t), path, from.Root.Account)
	s.must(err)
	for _, r := range stay {
		s.must(s.Send(limited(s.t), names[r.Account], r.Invitation))
	}
}

func (s sharer) sees(path string) string {
	s.t.Helper()
	return s.seesOn(s.Drive, path)
}

func (s sharer) seesOn(d *drive.Drive, path string) string {
	s.t.Helper()
	all, err := d.List(limited(s.t), path)
	s.must(err)
	var names []string
	for _, i := range all {
		names = append(names, i.Path[strings.LastIndex(i.Path, "/")+1:])
	}
	return strings.Join(names, " ")
}

// three people: ada owns, bob writes, cleo reads; all know each other.
func three(t *testing.T, about string) (ada, bob, cleo sharer, names map[id.Account]string) {
	ada, bob, cleo = newSharer(t, about+" ada"), newSharer(t, about+" bob"), newSharer(t, about+" cleo")
	for _, a := range []sharer{ada, bob, cleo} {
		for name, b := range map[string]sharer{"Ada": ada, "Bob": bob, "Cleo": cleo} {
			if a.Root.Account != b.Root.Account {
				a.knows(t, b.person, name)
			}
		}
		var err error
		if a.Drive.Member, err = a.Book.Members(); err != nil {
			t.Fatal(err)
		}
	}
	return ada, bob, cleo, map[id.Account]string{ada.Root.Account: "Ada", bob.Root.Account: "Bob", cleo.Root.Account: "Cleo"}
}

// TestThreat16SharedFolder: a writer writes and a reader reads, each no more than that,
// for clients and for the server; two who write at once lose nothing.
func TestThreat16SharedFolder(t *testing.T) {
	ada, bob, cleo, names := three(t, "sharing")
	ada.mkdir("/Photos/2025/May", "/private")
	atBob := ada.gives(bob, "/Photos", "Bob", journal.Writes)
	atCleo := ada.gives(cleo, "/Photos", "Cleo", journal.Reads)
	if atBob != "/Shared/Photos" || ada.sees("/") != "Photos private" || bob.sees("/Shared") != "Photos" || cleo.sees(atCleo+"/2025") != "May" {
		t.Fatalf("%s, %s, %s", atBob, ada.sees("/"), bob.sees("/Shared"))
	}
	bob.mkdir(atBob+"/2026/June", atBob+"/2025/July")
	ada.mkdir("/Photos/2025/August")
	bob.mkdir(atBob + "/2025/September")
	if have := ada.sees("/Photos/2025"); have != "August July May September" || cleo.sees(atCleo+"/2025") != have || cleo.sees(atCleo+"/2026") != "June" {
		t.Errorf("%s", have)
	}
	if _, err := cleo.Drive.Mkdir(limited(t), []string{atCleo + "/2027"}, true); !errors.Is(err, drive.ErrReadOnly) && !errors.Is(err, journal.ErrRight) {
		t.Errorf("a reader writes: %v", err)
	}
	if _, err := bob.Grant(limited(t), atBob, cleo.Root.Account, journal.Writes); !errors.Is(err, drive.ErrNotAdmin) {
		t.Errorf("a writer shares: %v", err)
	}
	if _, err := bob.Revoke(limited(t), atBob, cleo.Root.Account); !errors.Is(err, drive.ErrNotAdmin) {
		t.Errorf("a writer revokes: %v", err)
	}
	members, err := cleo.Drive.Members(limited(t), atCleo)
	cleo.must(err)
	roles := map[string]journal.Role{}
	for _, m := range members {
		roles[names[m.Account]] = m.Role
	}
	if len(roles) != 2 || roles["Bob"] != journal.Writes || roles["Cleo"] != journal.Reads {
		t.Errorf("%v", roles)
	}
	// A machine of bob's that knows nothing, and a new member, read it all the same.
	other := bob.device(t)
	all, err := bob.invitations(limited(t))
	bob.must(err)
	if _, err := other.Accept(limited(t), all[0]); err != nil || bob.seesOn(other, atBob) != "2025 2026" {
		t.Errorf("%v", err)
	}
}

// tapeOf is all that the server has of folders, given by their owner.
func (s sharer) tapeOf(folders ...id.Folder) map[id.Folder][][]byte {
	s.t.Helper()
	out := map[id.Folder][][]byte{}
	for _, f := range folders {
		for more := true; more; {
			res, err := api.ReadFolders.Call(limited(s.t), people().Caller(), api.Args{Secret: s.Token.String()},
				api.ReadFoldersRequest{Folders: []api.FolderPoint{{Folder: f, After: int64(len(out[f]))}}})
			s.must(err)
			for _, text := range res.Folders[0].Entries {
				raw, err := id.Encoding.DecodeString(text)
				s.must(err)
				out[f] = append(out[f], raw)
			}
			more = res.Folders[0].More
		}
	}
	return out
}

// thief is a removed member with all keys that it ever had and all that the server has.
// It tries every key on everything.
type thief struct {
	tape    map[id.Folder][][]byte
	ring    []journal.ReadKey
	anchors map[id.Folder]journal.Anchor
	names   []string
}

// steal opens whatever opens, until nothing more does.
func (th *thief) steal() {
	for keys := 0; keys < len(th.ring); {
		keys, th.names = len(th.ring), nil
		for folder, anchor := range maps.Clone(th.anchors) {
			th.opens(folder, anchor)
		}
	}
}

func (th *thief) opens(folder id.Folder, anchor journal.Anchor) {
	state := journal.Begin(anchor)
	for _, raw := range th.tape[folder] {
		if !slices.ContainsFunc(th.ring, func(key journal.ReadKey) bool {
			o := journal.NewOpener(1, key)
			for epoch := range int64(9) {
				o.Learn(epoch, key)
			}
			_, err := state.Apply(raw, o)
			return err == nil
		}) {
			return
		}
		// Whatever child was ever sealed for keys at hand is opened, not only the last.
		for e := range state.All() {
			th.names = append(th.names, e.Name())
			if e.Child != nil {
				th.child(folder, e.Child)
			}
		}
	}
}

func (th *thief) child(in id.Folder, c *journal.Child) {
	for _, key := range slices.Clone(th.ring) {
		keys, err := c.Open(journal.Place{Folder: in, Epoch: c.Parent, Keys: journal.Keys{Read: key}})
		if err != nil || slices.Contains(th.ring, keys.Read) {
			continue
		}
		th.ring = append(th.ring, keys.Read)
		if _, known := th.anchors[c.Folder]; !known {
			th.anchors[c.Folder] = c.Anchor()
		}
	}
}

// TestThreat16RemovedMember: who was removed sees nothing that is added afterwards, at
// any depth, even with all that the server has; and the server gives it nothing.
func TestThreat16RemovedMember(t *testing.T) {
	ada, bob, cleo, names := three(t, "removed")
	ada.mkdir("/Plans/deep/deeper", "/Plans/other")
	atBob := ada.gives(bob, "/Plans", "Bob", journal.Writes)
	atCleo := ada.gives(cleo, "/Plans", "Cleo", journal.Writes)
	bob.mkdir(atBob + "/deep/of-bob")
	all, err := bob.invitations(limited(t))
	bob.must(err)
	had := all[0].Invitation // all the keys that bob ever had; those below follow from them

	ada.revokes(bob, "/Plans", names)
	ada.mkdir("/Plans/secret-top")
	told := []int{}
	ada.must(ada.Rekey(limited(t), "/Plans", func(done, of int) { told = append(told, done, of) }))
	if !slices.Equal(told, []int{0, 5, 1, 5, 2, 5, 3, 5, 4, 5, 5, 5}) {
		t.Errorf("told %v", told)
	}
	if left, err := ada.Unfinished(limited(t), "/Plans"); err != nil || left {
		t.Errorf("unfinished: %v", err)
	}
	ada.mkdir("/Plans/deep/secret-middle", "/Plans/deep/deeper/secret-low", "/Plans/deep/of-bob/secret-his")

	// By the server: nothing.
	if _, err := bob.List(limited(t), atBob); !errors.Is(err, drive.ErrUnshared) {
		t.Errorf("bob still reads: %v", err)
	}
	if _, err := bob.Drive.Mkdir(limited(t), []string{atBob + "/planted"}, true); !errors.Is(err, drive.ErrUnshared) {
		t.Errorf("bob still writes: %v", err)
	}
	// With the server: nothing either.
	var folders []id.Folder
	ada.must(ada.Walk(limited(t), "/Plans", func(i drive.Item) error {
		if i.IsFolder() {
			folders = append(folders, i.Self)
		}
		return nil
	}))
	th := &thief{tape: ada.tapeOf(folders...), ring: []journal.ReadKey{had.Keys.Read}, anchors: map[id.Folder]journal.Anchor{had.Folder: had.Anchor()}}
	th.steal()
	if !slices.Contains(th.names, "of-bob") {
		t.Error("the thief does not even see what it saw before: the test shows nothing")
	}
	for _, name := range th.names {
		if strings.HasPrefix(name, "secret") {
			t.Errorf("the thief sees %s", name)
		}
	}
	// Who stays has the new keys without doing anything, on an old machine and on a new one.
	if have := cleo.sees(atCleo); have != "deep other secret-top" || cleo.sees(atCleo+"/deep/deeper") != "secret-low" {
		t.Errorf("cleo sees %s", have)
	}
	cleo.mkdir(atCleo + "/deep/deeper/from-cleo")
	if have := ada.seesOn(ada.device(t), "/Plans/deep/deeper"); have != "from-cleo secret-low" {
		t.Errorf("ada sees %s on another machine", have)
	}
	fresh := cleo.device(t)
	invitations, err := cleo.invitations(limited(t))
	cleo.must(err)
	if _, err := fresh.Accept(limited(t), invitations[len(invitations)-1]); err != nil || cleo.seesOn(fresh, atCleo+"/deep") != "deeper of-bob secret-middle" {
		t.Errorf("cleo's new machine: %v", err)
	}
	// Several epochs that a machine missed are no trouble to it.
	for range 2 {
		ada.must(ada.Rekey(limited(t), "/Plans", func(int, int) {}))
	}
	if have := cleo.sees(atCleo + "/deep/deeper"); have != "from-cleo secret-low" {
		t.Errorf("cleo sees %s", have)
	}
	// Invited again, bob is in again, and sees what was there in between.
	again := ada.gives(bob, "/Plans", "Bob", journal.Reads)
	if have := bob.sees(again + "/deep"); have != "deeper of-bob secret-middle" {
		t.Errorf("bob sees %s", have)
	}
}

// TestThreat16MovedOut: of a folder that was moved out of a shared one members see nothing
// that is added afterwards, at any depth, even with all that the server has; a move that
// was stopped before all keys were changed goes on with the next one.
func TestThreat16MovedOut(t *testing.T) {
	ada, bob, _, _ := three(t, "moved out")
	ada.mkdir("/Plans/deep/deeper", "/Plans/stays/below", "/private")
	atBob := ada.gives(bob, "/Plans", "Bob", journal.Writes)
	bob.mkdir(atBob + "/deep/of-bob")
	all, err := bob.invitations(limited(t))
	bob.must(err)
	had := all[0].Invitation

	ctx, stop := context.WithCancel(limited(t))
	var told []string
	ada.Rekeyed = func(path string, done, of int) {
		told = append(told, fmt.Sprint(path, " ", done, " of ", of))
		if done == 1 {
			stop() // as if the machine had gone
		}
	}
	if _, err := ada.Move(ctx, []string{"/Plans/deep"}, "/private"); err == nil {
		t.Error("it was not stopped")
	}
	ada.Rekeyed = func(path string, done, of int) { told = append(told, fmt.Sprint(path, " ", done, " of ", of)) }
	if _, err := ada.Move(limited(t), []string{"/Plans/stays/below"}, "/Plans"); err != nil { // within what is shared
		t.Fatal(err)
	}
	want := []string{"/private/deep 0 of 3", "/private/deep 1 of 3", "/private/deep 1 of 3", "/private/deep 2 of 3", "/private/deep 3 of 3"}
	if !slices.Equal(told, want) {
		t.Errorf("told %q", told)
	}
	ada.mkdir("/private/deep/secret-top", "/private/deep/deeper/secret-low", "/private/deep/of-bob/secret-his")
	if have := bob.sees(atBob); have != "below stays" {
		t.Errorf("bob sees %s", have)
	}
	var folders []id.Folder
	ada.must(ada.Walk(limited(t), "/", func(i drive.Item) error {
		if i.Entry != nil && i.IsFolder() {
			folders = append(folders, i.Self)
		}
		return nil
	}))
	th := &thief{tape: ada.tapeOf(folders...), ring: []journal.ReadKey{had.Keys.Read}, anchors: map[id.Folder]journal.Anchor{had.Folder: had.Anchor()}}
	th.steal()
	if !slices.Contains(th.names, "of-bob") {
		t.Error("the thief does not even see what it saw before: the test shows nothing")
	}
	for _, name := range th.names {
		if strings.HasPrefix(name, "secret") {
			t.Errorf("the thief sees %s", name)
		}
	}
	if have := ada.seesOn(ada.device(t), "/private/deep/deeper"); have != "secret-low" {
		t.Errorf("ada sees %s on another machine", have)
	}
}

// TestRekeyGoesOn: what gives folders new keys goes on where it was stopped, and others
// who write meanwhile lose nothing.
func TestRekeyGoesOn(t *testing.T) {
	ada, bob, cleo, names := three(t, "rekey")
	at := t.TempDir()
	ada.Drive = ada.deviceAt(t, at)
	ada.mkdir("/Plans/a", "/Plans/b", "/Plans/c/d")
	ada.gives(bob, "/Plans", "Bob", journal.Writes)
	atCleo := ada.gives(cleo, "/Plans", "Cleo", journal.Writes)

	// Cleo writes just before the new epoch does.
	raced := false
	play(t, evil{request: func(x *exchange) bool {
		if !raced && x.is(api.CommitDrive.Info) && strings.Contains(x.req.Header.Get("Authorization"), ada.Token.String()) {
			raced = true
			cleo.mkdir(atCleo + "/meanwhile")
		}
		return false
	}})
	ada.revokes(bob, "/Plans", names)
	honest()
	if have := ada.sees("/Plans"); have != "a b c meanwhile" || !raced {
		t.Errorf("%s", have)
	}
	ctx, stop := context.WithCancel(limited(t))
	err := ada.Rekey(ctx, "/Plans", func(done, _ int) {
		if done == 2 {
			stop()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	ada.Drive = ada.deviceAt(t, at) // another process, later
	if left, err := ada.Unfinished(limited(t), "/Plans"); err != nil || !left {
		t.Errorf("unfinished: %v, %v", left, err)
	}
	cleo.mkdir(atCleo+"/c/d/by-cleo", atCleo+"/a/by-cleo")
	first := -1
	ada.must(ada.Rekey(limited(t), "/Plans", func(done, of int) {
		if first < 0 {
			first = done
		}
		if of != 7 {
			t.Errorf("%d of %d", done, of)
		}
	}))
	if left, err := ada.Unfinished(limited(t), "/Plans"); err != nil || left || first != 2 {
		t.Errorf("from %d, unfinished: %v", first, err)
	}
	cleo.mkdir(atCleo + "/c/d/again")
	if have := ada.sees("/Plans/c/d"); have != "again by-cleo" {
		t.Errorf("%s", have)
	}
}

// TestThreat16WordsUnderAnothersName: a writer who signs an entry as somebody else raises
// an alarm with everybody who knows that person.
func TestThreat16WordsUnderAnothersName(t *testing.T) {
	ada, bob, cleo, _ := three(t, "author")
	ada.mkdir("/Plans")
	ada.gives(bob, "/Plans", "Bob", journal.Writes)
	atCleo := ada.gives(cleo, "/Plans", "Cleo", journal.Reads)
	all, err := bob.invitations(limited(t))
	bob.must(err)
	plans := all[0].Invitation

	state, opener := journal.Begin(plans.Anchor()), journal.NewOpener(1, plans.Keys.Read)
	for _, raw := range bob.tapeOf(plans.Folder)[plans.Folder] {
		_, err := state.Apply(raw, opener)
		bob.must(err)
	}
	pen := journal.Pen{Keys: plans.Keys, Signer: &journal.Signer{Account: ada.Root.Account, Key: bob.Root.SigningKey()}}
	child := journal.Place{Folder: id.New[id.Folder](), Epoch: 1, Keys: journal.NewKeys()}
	child.Keys.Admin = journal.AdminSeed{}
	sealed, err := journal.SealChild(plans.Place(), plans.Public.Admin, child)
	bob.must(err)
	forged, err := state.Write(pen, journal.PutFolder(id.New[id.Entry](), descriptor.Descriptor{Path: "by Ada, they say", Kind: descriptor.Folder}, sealed))
	bob.must(err)
	first, err := journal.Found(sealed.Anchor(), journal.Pen{Keys: child.Keys})
	bob.must(err)
	_, err = api.CommitDrive.Call(limited(t), people().Caller(), api.Args{Secret: bob.Token.String()}, api.CommitDriveRequest{
		Key: id.New[id.Commit](), Entries: []string{id.Encoding.EncodeToString(forged), id.Encoding.EncodeToString(first)},
	})
	bob.must(err) // the server cannot tell
	for who, d := range map[string]*drive.Drive{"Ada": ada.Drive, "Cleo": cleo.Drive} {
		path := map[string]string{"Ada": "/Plans", "Cleo": atCleo}[who]
		var alarm *drive.Alarm
		if all, err := d.List(limited(t), path); !errors.As(err, &alarm) || alarm.Kind != journal.BadAuthor || alarm.Path != path {
			t.Errorf("%s: %v, %v", who, all, err)
		}
	}
}

// TestThreat14PlantedMember: a server that lists members which no administrator made, or
// with more than they were given, is found out.
func TestThreat14PlantedMember(t *testing.T) {
	ada, bob, cleo, names := three(t, "members")
	ada.mkdir("/Plans", "/Other")
	ada.gives(bob, "/Plans", "Bob", journal.Reads)
	ada.gives(cleo, "/Plans", "Cleo", journal.Reads)
	item, err := ada.Resolve(limited(t), "/Plans")
	ada.must(err)
	other, err := ada.Resolve(limited(t), "/Other")
	ada.must(err)
	account := bob.Root.Account
	made := journal.NewKeys().Admin
	grant := func(g journal.Grant, by journal.AdminSeed) string {
		raw, err := g.Seal(by)
		ada.must(err)
		return id.Encoding.EncodeToString(raw)
	}
	for what, list := range map[string]func(real []string) []string{
		"by a key of the server's": func([]string) []string {
			return []string{grant(journal.Grant{Folder: item.Self, Account: &account, Role: journal.Admins, Epoch: 1, Serial: 1}, made)}
		},
		"in an epoch to come": func([]string) []string {
			return []string{grant(journal.Grant{Folder: item.Self, Account: &account, Role: journal.Admins, Epoch: 2, Serial: 1}, made)}
		},
		"of another folder": func([]string) []string {
			return []string{grant(journal.Grant{Folder: other.Self, Account: &account, Role: journal.Admins, Epoch: 1, Serial: 1}, made)}
		},
		"changed": func(real []string) []string {
			raw, err := id.Encoding.DecodeString(real[0])
			ada.must(err)
			raw[len(raw)-1] ^= 1
			return []string{id.Encoding.EncodeToString(raw)}
		},
		"nothing": func([]string) []string { return []string{""} },
	} {
		play(t, evil{answer: func(x *exchange) {
			if x.is(api.FolderGrants.Info) {
				rewrite(x, func(v *api.FolderGrantsResponse) { v.Grants = list(v.Grants) })
			}
		}})
		var alarm *drive.Alarm
		if all, err := ada.Drive.Members(limited(t), "/Plans"); !errors.As(err, &alarm) || alarm.Path != "/Plans" {
			t.Errorf("%s: %v, %v", what, all, err)
		}
	}
	honest()
	all, err := ada.Drive.Members(limited(t), "/Plans")
	if err != nil || len(all) != 2 || names[all[0].Account] == "" {
		t.Errorf("%v, %v", all, err)
	}
}
