package drive

import (
	"errors"
	"os"
	"strings"
	"testing"

	"holdfast/client/home"
	"holdfast/format/id"
	"holdfast/format/invite"
	"holdfast/format/journal"
)

// shares is an invitation to a folder of a device, as it stands.
func (d *device) shares(path string, role journal.Role, from id.Account) Renewal {
	d.t.Helper()
	f, err := d.shareable(d.t.Context(), path)
	must(d.t, err)
	i, err := f.invitation(role)
	must(d.t, err)
	return Renewal{from, i}
}

func (d *device) accept(r Renewal) string {
	d.t.Helper()
	path, err := d.Accept(d.t.Context(), r)
	must(d.t, err)
	return path
}

func (d *device) listed(path string) string {
	d.t.Helper()
	all, err := d.List(d.t.Context(), path)
	must(d.t, err)
	var names []string
	for _, i := range all {
		names = append(names, i.Path)
	}
	return strings.Join(names, " ")
}

// TestFoldersOfOthers: they stand under names of their own, on this machine until it
// leaves them, and take only what their sender says of them.
func TestFoldersOfOthers(t *testing.T) {
	f := newFake(t)
	ctx := t.Context()
	ada, bob := someAccount(), someAccount()
	owner, guest := f.device(ada), f.device(bob)
	owner.mkdir("/Photos/2031", "/x/photos", "/x/Shared")
	guest.mkdir("/Shared/Music", "/mine/deep")
	from := ada.Root.Account
	photos := owner.shares("/Photos", journal.Writes, from)
	if path := guest.accept(photos); path != "/Shared/Photos" {
		t.Errorf("%s", path)
	}
	if path := guest.accept(photos); path != "/Shared/Photos" { // once more
		t.Errorf("%s", path)
	}
	if path := guest.accept(owner.shares("/x/photos", journal.Reads, from)); path != "/Shared/photos (2)" {
		t.Errorf("%s", path)
	}
	music := owner.shares("/x/Shared", journal.Reads, from)
	music.Invitation.Name = "MUSIC"
	if path := guest.accept(music); path != "/Shared/MUSIC (2)" {
		t.Errorf("%s", path)
	}
	guest.mkdir("/Shared/Photos/2032")
	guest.put("/Shared/Photos/2031/file")
	want := "/Shared/Music /Shared/Photos /Shared/photos (2) /Shared/MUSIC (2)"
	again := f.deviceAt(bob, guest.home) // another process
	if have := again.listed("/SHARED"); have != want || again.listed("/shared/PHOTOS") != "/Shared/Photos/2031 /Shared/Photos/2032" {
		t.Errorf("%s", have)
	}
	if have := owner.listed("/Photos/2031"); have != "/Photos/2031/file" {
		t.Errorf("%s", have)
	}
	// Nothing goes from one owner to another, and what stands there is no entry of one's own.
	_, err := guest.Move(ctx, []string{"/Shared/Photos/2031"}, "/mine")
	is(t, err, ErrOwner)
	_, err = guest.Move(ctx, []string{"/mine/deep"}, "/Shared/Photos")
	is(t, err, ErrOwner)
	for what, do := range map[string]func() error{
		"removed": func() error { _, err := guest.Remove(ctx, []string{"/Shared/Photos"}); return err },
		"moved":   func() error { _, err := guest.Move(ctx, []string{"/Shared/Photos"}, "/mine"); return err },
		"renamed": func() error { _, err := guest.Move(ctx, []string{"/Shared/Photos"}, "/Shared/P"); return err },
	} {
		if do() == nil {
			t.Errorf("a folder of somebody else is %s", what)
		}
	}
	// Another person cannot change what it is, nor can older keys come back.
	_, err = guest.Accept(ctx, Renewal{id.New[id.Account](), photos.Invitation})
	is(t, err, ErrOther)
	stranger := f.device(someAccount())
	stranger.mkdir("/evil")
	wrong := stranger.shares("/evil", journal.Writes, from)
	wrong.Invitation.Folder = photos.Invitation.Folder // other keys under that id
	if _, err := guest.Accept(ctx, wrong); err == nil {
		t.Error("other keys of the folder are taken")
	}
	if have := f.deviceAt(bob, guest.home).listed("/Shared/Photos"); have != "/Shared/Photos/2031 /Shared/Photos/2032" {
		t.Errorf("after that: %s", have)
	}
	is(t, guest.Leave(ctx, "/Shared/nothing"), ErrNotShared)
	is(t, guest.Leave(ctx, "/mine"), ErrNotShared)
	must(t, guest.Leave(ctx, "/shared/photos (2)"))
	if have := f.deviceAt(bob, guest.home).listed("/Shared"); have != "/Shared/Music /Shared/Photos /Shared/MUSIC (2)" {
		t.Errorf("%s", have)
	}
}

// TestSharedOnDisk: what is kept of others' folders is sealed, and damage is said.
func TestSharedOnDisk(t *testing.T) {
	f := newFake(t)
	ada, bob := someAccount(), someAccount()
	owner, guest := f.device(ada), f.device(bob)
	owner.mkdir("/Photos")
	guest.accept(owner.shares("/Photos", journal.Reads, ada.Root.Account))
	path := guest.store.sharedFile()
	raw, err := os.ReadFile(path)
	must(t, err)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 || strings.Contains(string(raw), "Photos") {
		t.Errorf("%v, %v", info, err)
	}
	dir, err := home.Open(guest.home)
	must(t, err)
	for _, at := range []int{0, 40, 70, len(raw) - 1} {
		b := append([]byte{}, raw...)
		b[at] ^= 1
		must(t, os.WriteFile(path, b, 0o600))
		if _, err := Open(bob, dir, guest.caller); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("byte %d: %v", at, err)
		}
	}
}

// TestWhoMayShare: the root is nobody's to share, and who does not administer shares
// nothing on and takes nothing from anybody.
func TestWhoMayShare(t *testing.T) {
	f := newFake(t)
	ctx := t.Context()
	ada, bob := someAccount(), someAccount()
	owner, guest := f.device(ada), f.device(bob)
	owner.mkdir("/Photos/2031")
	owner.put("/Photos/file")
	_, err := owner.Grant(ctx, "/", bob.Root.Account, journal.Reads)
	is(t, err, ErrSharedRoot)
	_, err = owner.Grant(ctx, "/Photos/file", bob.Root.Account, journal.Reads)
	is(t, err, ErrNotFolder)
	_, err = owner.Grant(ctx, "/Nothing", bob.Root.Account, journal.Reads)
	is(t, err, ErrNotFound)
	guest.accept(owner.shares("/Photos", journal.Writes, ada.Root.Account))
	_, err = guest.Grant(ctx, "/Shared/Photos", id.New[id.Account](), journal.Reads)
	is(t, err, ErrNotAdmin)
	_, err = guest.Grant(ctx, "/Shared/Photos/2031", id.New[id.Account](), journal.Admins)
	is(t, err, journal.ErrRight)
	_, err = guest.Revoke(ctx, "/Shared/Photos", ada.Root.Account)
	is(t, err, ErrNotAdmin)
	if err := guest.Rekey(ctx, "/Shared/Photos", func(int, int) {}); !errors.Is(err, ErrNotAdmin) {
		t.Errorf("a writer gives new keys: %v", err)
	}
	if i := owner.shares("/Photos", journal.Reads, ada.Root.Account).Invitation; !i.Keys.Write.IsZero() || !i.Keys.Admin.IsZero() {
		t.Error("a reader is given more")
	}
	invite.Encode(owner.shares("/Photos", journal.Admins, ada.Root.Account).Invitation)
}
