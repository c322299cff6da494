package storetest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"holdfast/format/id"
	"holdfast/format/journal"
	"holdfast/server/internal/account"
	"holdfast/server/internal/drive"
	"holdfast/server/internal/placement"
	"holdfast/server/internal/servertest"
	"holdfast/server/internal/share"
	"holdfast/server/internal/upload"
)

// Drives checks drive.Store.
func Drives(t *testing.T, open func(*testing.T) Store) {
	each(t, open, map[string]func(*suite){
		"folders are as they were made":                foldersAsMade,
		"entries come as far as there is room":         entriesInRoom,
		"an id is used once":                           folderOnce,
		"a folder without a root is nobody's":          folderWithoutRoot,
		"heights grow above":                           heights,
		"no way goes round":                            circle,
		"the highest grant above counts":               grantsAbove,
		"a later grant replaces an earlier one":        grantsReplace,
		"a drive is charged once":                      chargedOnce,
		"what is held is held once":                    heldOnce,
		"what nobody holds is destroyed":               destroyedUnheld,
		"a link keeps what no folder holds":            linkKeeps,
		"a folder keeps what its link had":             folderKeeps,
		"who is granted a revision may refer to it":    readable,
		"pages are kept until a checkpoint names them": pagesKept,
		"a checkpoint replaces the one before":         checkpointReplaces,
		"answers are kept":                             answersKept,
		"what was dropped goes in parts":               droppedInParts,
		"an erased account's drive goes":               erasedDrive,
		"an upload is counted in its drive":            uploadInDrive,
		"an upload is closed by its drive":             uploadOfDrive,
		"of many at one head one is in":                raceForHead,
		"of many who hold and release nothing is lost": raceForRevision,
		"a failure leaves nothing":                     failureLeavesNothing,
	})
}

// driver makes an account.
func (s *suite) driver() id.Account {
	s.Helper()
	a := id.New[id.Account]()
	s.must(s.CreateAccount(s.Context(), account.Account{
		ID: a, Name: sha256.Sum256(a[:]), Credential: account.Credential{Record: []byte("record"), Wrap: []byte("wrap"), Epoch: 1},
		PhraseWrap: []byte("wrap"), Identity: []byte("identity"),
	}, account.Session{Hash: id.New32(), Used: someDay}, account.Once{Hash: id.New32(), Expires: now}))
	return a
}

// turn is one transaction on a drive, with the folders that it takes.
type turn struct {
	drive.Tx
	own  int64
	have map[id.Folder]drive.Folder
}

func (s *suite) drive(who id.Account, folders []id.Folder, f func(ctx context.Context, t turn) error) error {
	s.Helper()
	return s.CommitDrive(s.Context(), who, func(tx drive.Tx) error {
		t := turn{Tx: tx}
		var err error
		if t.own, t.have, err = tx.Take(s.Context(), folders); err != nil {
			return err
		}
		return f(s.Context(), t)
	})
}

// chainOf is a chain at that seq.
func chainOf(folder id.Folder, seq int64) journal.Chain {
	text := fmt.Sprint(folder, seq)
	return journal.Chain{
		Folder: folder, Seq: seq, Hash: journal.Hash(hash(text)), Epoch: 1 + seq/100,
		Keys: journal.Public{Write: journal.PublicKey(hash("w" + text)), Admin: journal.PublicKey(hash("a" + text))},
	}
}

// folder adds one to a root or, if parent is not zero, to that folder.
func (s *suite) folder(who id.Account, parent id.Folder) id.Folder {
	s.Helper()
	folder := id.New[id.Folder]()
	s.must(s.drive(who, []id.Folder{parent}, func(ctx context.Context, t turn) error {
		key, err := t.AddFolder(ctx, t.own, folder)
		if err == nil && !parent.IsZero() {
			err = t.PlaceFolder(ctx, key, t.have[parent].Key)
		}
		if err != nil {
			return err
		}
		return t.Append(ctx, key, []byte("entry 1"), chainOf(folder, 1))
	}))
	return folder
}

// at is a folder as an account sees it.
func (s *suite) at(who id.Account, folder id.Folder) (f drive.Folder) {
	s.Helper()
	s.must(s.ReadDrive(s.Context(), who, func(r drive.Reader) (err error) {
		var known bool
		f, known, err = r.Folder(s.Context(), folder)
		if err == nil && !known {
			err = fmt.Errorf("folder %s is not known", folder)
		}
		return err
	}))
	return f
}

func foldersAsMade(s *suite) {
	ann := s.driver()
	root := s.folder(ann, id.Folder{})
	sub := s.folder(ann, root)
	a, b := s.at(ann, root), s.at(ann, sub)
	want := drive.Folder{Key: b.Key, Drive: a.Drive, Chain: chainOf(sub, 1), Parent: a.Key, Role: journal.Admins, Depth: 2}
	if b != want {
		s.Errorf("have %+v, want %+v", b, want)
	}
	if a.Depth != 1 || a.Parent != 0 || a.Height != 1 {
		s.Errorf("root %+v", a)
	}
	if f := s.at(s.driver(), sub); f.Role != journal.Nobody || f.Depth != 2 {
		s.Errorf("a stranger's %+v", f)
	}
	s.must(s.ReadDrive(s.Context(), ann, func(r drive.Reader) error {
		if f, known, err := r.Folder(s.Context(), id.New[id.Folder]()); known || err != nil {
			s.Errorf("an unknown folder: %+v, %v", f, err)
		}
		if seq, pages, err := r.Checkpoint(s.Context(), a); seq != 0 || len(pages) != 0 || err != nil {
			s.Errorf("no checkpoint: %d, %v, %v", seq, pages, err)
		}
		u, err := r.Usage(s.Context())
		if u != (drive.Usage{}) {
			s.Errorf("usage %+v", u)
		}
		return err
	}))
}

func entriesInRoom(s *suite) {
	ann := s.driver()
	root := s.folder(ann, id.Folder{})
	s.must(s.drive(ann, []id.Folder{root}, func(ctx context.Context, t turn) error {
		for seq := int64(2); seq <= 5; seq++ {
			if err := t.Append(ctx, t.have[root].Key, fmt.Appendf(nil, "entry %d", seq), chainOf(root, seq)); err != nil {
				return err
			}
		}
		return nil
	}))
	f := s.at(ann, root)
	if f.Chain != chainOf(root, 5) {
		s.Errorf("chain %+v", f.Chain)
	}
	for _, c := range []struct {
		after, room int64
		must        bool
		want        []string
	}{
		{0, 100, false, []string{"entry 1", "entry 2", "entry 3", "entry 4", "entry 5"}},
		{3, 100, false, []string{"entry 4", "entry 5"}},
		{0, 14, false, []string{"entry 1", "entry 2"}},
		{0, 13, true, []string{"entry 1", "entry 2"}},
		{0, 0, true, []string{"entry 1"}},
		{0, 6, false, nil},
		{5, 100, true, nil},
	} {
		s.must(s.ReadDrive(s.Context(), ann, func(r drive.Reader) error {
			raws, err := r.Entries(s.Context(), f, c.after, c.room, c.must)
			var have []string
			for _, raw := range raws {
				have = append(have, string(raw))
			}
			if !slices.Equal(have, c.want) {
				s.Errorf("after %d with room for %d: %q", c.after, c.room, have)
			}
			return err
		}))
	}
}

func folderOnce(s *suite) {
	ann, bob := s.driver(), s.driver()
	root := s.folder(ann, id.Folder{})
	again := func(who id.Account) error {
		return s.drive(who, nil, func(ctx context.Context, t turn) error {
			_, err := t.AddFolder(ctx, t.own, root)
			return err
		})
	}
	s.want(again(ann), drive.ErrFolderExists)
	s.want(again(bob), drive.ErrFolderExists)
	s.drop(ann, root)
	s.dropAll()
	s.want(again(ann), drive.ErrFolderExists)
	s.want(s.drive(id.New[id.Account](), nil, func(context.Context, turn) error { return nil }), account.ErrUnknown)
}

func (s *suite) drop(who id.Account, folder id.Folder) {
	s.Helper()
	s.must(s.drive(who, []id.Folder{folder}, func(ctx context.Context, t turn) error { return t.DropFolder(ctx, t.have[folder].Key) }))
}

// dropAll removes what was dropped, a few parts at a time.
func (s *suite) dropAll() {
	s.Helper()
	for {
		n, err := s.DropFolders(s.Context(), someDay, 2)
		s.must(err)
		if n < 2 {
			return
		}
	}
}

func folderWithoutRoot(s *suite) {
	ann, bob := s.driver(), s.driver()
	root := s.folder(ann, id.Folder{})
	sub := s.folder(ann, root)
	deep := s.folder(ann, sub)
	s.grant(ann, deep, bob, journal.Writes, 1)
	s.drop(ann, sub)
	for _, who := range []id.Account{ann, bob} {
		for _, folder := range []id.Folder{sub, deep} {
			if f := s.at(who, folder); f.Depth != 0 || f.Role != journal.Nobody {
				s.Errorf("of a dropped folder: %+v", f)
			}
		}
	}
	s.must(s.ReadDrive(s.Context(), bob, func(r drive.Reader) error {
		granted, err := r.Granted(s.Context(), 10)
		if len(granted) != 0 {
			s.Errorf("granted %v", granted)
		}
		return err
	}))
	if f := s.at(ann, root); f.Depth != 1 {
		s.Errorf("what is above: %+v", f)
	}
}

func (s *suite) place(who id.Account, folder, parent id.Folder) (depth int) {
	s.Helper()
	s.must(s.drive(who, []id.Folder{folder, parent}, func(ctx context.Context, t turn) error {
		err := t.PlaceFolder(ctx, t.have[folder].Key, t.have[parent].Key)
		if err != nil {
			return err
		}
		depth, err = t.Depth(ctx, t.have[folder].Key)
		return err
	}))
	return depth
}

func heights(s *suite) {
	ann := s.driver()
	a := s.folder(ann, id.Folder{})
	b := s.folder(ann, a)
	c := s.folder(ann, b)
	other := s.folder(ann, a)
	d := s.folder(ann, other)
	if depth := s.place(ann, b, d); depth != 4 {
		s.Errorf("depth %d", depth)
	}
	for folder, want := range map[id.Folder][2]int{a: {1, 4}, other: {2, 3}, d: {3, 2}, b: {4, 1}, c: {5, 0}} {
		if f := s.at(ann, folder); f.Depth != want[0] || f.Height != want[1] {
			s.Errorf("depth %d, height %d, want %v", f.Depth, f.Height, want)
		}
	}
}

func circle(s *suite) {
	ann := s.driver()
	a := s.folder(ann, s.folder(ann, id.Folder{}))
	b := s.folder(ann, a)
	stop := errors.New("stop")
	s.want(s.drive(ann, []id.Folder{a, b}, func(ctx context.Context, t turn) error {
		if err := t.PlaceFolder(ctx, t.have[a].Key, t.have[b].Key); err != nil {
			return err
		}
		depth, err := t.Depth(ctx, t.have[a].Key)
		if depth != 0 {
			s.Errorf("a folder in itself has depth %d", depth)
		}
		return errors.Join(err, stop)
	}), stop)
}

// grant stores a grant, by its owner.
func (s *suite) setGrant(owner id.Account, folder id.Folder, to id.Account, role journal.Role, serial int64, most int) error {
	s.Helper()
	return s.drive(owner, []id.Folder{folder}, func(ctx context.Context, t turn) error {
		g := journal.Grant{Folder: folder, Account: &to, Role: role, Epoch: 1, Serial: serial}
		return t.SetGrant(ctx, t.have[folder].Key, drive.Grant{Grant: g, Raw: fmt.Appendf(nil, "grant %d", serial)}, most)
	})
}

func (s *suite) grant(owner id.Account, folder id.Folder, to id.Account, role journal.Role, serial int64) {
	s.Helper()
	s.must(s.setGrant(owner, folder, to, role, serial, 10))
}

func grantsAbove(s *suite) {
	ann, bob := s.driver(), s.driver()
	root := s.folder(ann, id.Folder{})
	sub := s.folder(ann, root)
	deep := s.folder(ann, sub)
	s.grant(ann, sub, bob, journal.Admins, 1)
	s.grant(ann, deep, bob, journal.Reads, 1)
	for folder, want := range map[id.Folder]journal.Role{root: journal.Nobody, sub: journal.Admins, deep: journal.Admins} {
		if f := s.at(bob, folder); f.Role != want {
			s.Errorf("role %d, want %d", f.Role, want)
		}
	}
	s.grant(ann, sub, bob, journal.Nobody, 2)
	for folder, want := range map[id.Folder]journal.Role{sub: journal.Nobody, deep: journal.Reads} {
		if f := s.at(bob, folder); f.Role != want {
			s.Errorf("role %d, want %d", f.Role, want)
		}
	}
	s.must(s.ReadDrive(s.Context(), bob, func(r drive.Reader) error {
		granted, err := r.Granted(s.Context(), 10)
		if want := []drive.Granted{{Folder: deep, Grant: []byte("grant 1")}}; !reflect.DeepEqual(granted, want) {
			s.Errorf("granted %+v", granted)
		}
		return err
	}))
}

func grantsReplace(s *suite) {
	ann, bob := s.driver(), s.driver()
	root := s.folder(ann, id.Folder{})
	s.grant(ann, root, bob, journal.Writes, 2)
	s.want(s.setGrant(ann, root, bob, journal.Admins, 2, 10), drive.ErrGrant)
	s.want(s.setGrant(ann, root, bob, journal.Admins, 1, 10), drive.ErrGrant)
	s.must(s.setGrant(ann, root, bob, journal.Reads, 3, 1))
	s.want(s.setGrant(ann, root, s.driver(), journal.Reads, 1, 1), drive.ErrOverLimit)
	grants := func() (all [][]byte) {
		s.must(s.ReadDrive(s.Context(), ann, func(r drive.Reader) (err error) {
			all, err = r.Grants(s.Context(), s.at(ann, root), 10)
			return err
		}))
		return all
	}
	if all := grants(); len(all) != 1 || string(all[0]) != "grant 3" {
		s.Errorf("grants %q", all)
	}
	s.grant(ann, root, bob, journal.Nobody, 4)
	if all := grants(); len(all) != 0 {
		s.Errorf("revoked grants %q", all)
	}
}

// filled is an upload of the account's in a folder: a file of one blob, one of three.
func (s *suite) filled(who id.Account, folder id.Folder) (id.Upload, []id.Revision) {
	s.Helper()
	u := s.openFor(who, 1<<30)
	send := servertest.NewSend(s.T, u.ID, time.Unix(now, 0), nil, 5000, 20<<20)
	var all []id.Revision
	for _, r := range send.Page.Revisions {
		all = append(all, r.ID)
	}
	s.must(s.drive(who, []id.Folder{folder}, func(ctx context.Context, t turn) error {
		have, tx, err := t.Upload(ctx, u.ID)
		if err != nil {
			return err
		}
		if have.Account != who || have.State != upload.Open || len(have.Chains) != 1 {
			s.Errorf("upload %+v", have)
		}
		holders := s.fleet.IDs()[:2]
		for n, b := range send.Page.Blobs {
			if err := errors.Join(tx.AddBlob(ctx, b), tx.AddCopies(ctx, n, holders, 1)); err != nil {
				return err
			}
		}
		for i := range send.Page.Revisions {
			if err := tx.AddRevision(ctx, &send.Page.Revisions[i]); err != nil {
				return err
			}
		}
		if err := tx.Close(ctx, someDay, []byte("digest"), nil, holders); err != nil {
			return err
		}
		return t.holdAll(ctx, folder, all)
	}))
	return u.ID, all
}

func (t turn) holdAll(ctx context.Context, folder id.Folder, revisions []id.Revision) error {
	f := t.have[folder]
	bytes, err := t.Hold(ctx, f.Drive, f.Key, revisions)
	if err != nil {
		return err
	}
	return t.Charge(ctx, f.Drive, bytes, 0, plenty, plenty)
}

func (t turn) releaseAll(ctx context.Context, folder id.Folder, revisions []id.Revision) error {
	f := t.have[folder]
	bytes, err := t.Release(ctx, f.Drive, f.Key, revisions, someDay)
	if err != nil {
		return err
	}
	return t.Charge(ctx, f.Drive, -bytes, 0, plenty, plenty)
}

func (s *suite) hold(who id.Account, folder id.Folder, revisions ...id.Revision) error {
	s.Helper()
	return s.drive(who, []id.Folder{folder}, func(ctx context.Context, t turn) error { return t.holdAll(ctx, folder, revisions) })
}

func (s *suite) release(who id.Account, folder id.Folder, revisions ...id.Revision) error {
	s.Helper()
	return s.drive(who, []id.Folder{folder}, func(ctx context.Context, t turn) error { return t.releaseAll(ctx, folder, revisions) })
}

func (s *suite) usage(who id.Account) (u drive.Usage) {
	s.Helper()
	s.must(s.ReadDrive(s.Context(), who, func(r drive.Reader) (err error) {
		u, err = r.Usage(s.Context())
		return err
	}))
	return u
}

// holds tells whether a revision can be read in a folder.
func (s *suite) holds(who id.Account, folder id.Folder, revision id.Revision) bool {
	s.Helper()
	f := s.at(who, folder)
	err := s.ReadDrive(s.Context(), who, func(r drive.Reader) error {
		src := r.Revisions(f)
		rev, err := src.RevisionByID(s.Context(), revision)
		if err != nil {
			return err
		}
		extents, err := src.Extents(s.Context(), rev, 0, 10)
		if err == nil && (len(extents) != rev.Count || extents[0].Blob.Upload.IsZero()) {
			err = fmt.Errorf("extents %+v of %+v", extents, rev)
		}
		return err
	})
	if err != nil && !errors.Is(err, drive.ErrNotFound) {
		s.Fatal(err)
	}
	return err == nil
}

var (
	small = servertest.StreamLength(5000)
	large = servertest.StreamLength(20 << 20)
)

func chargedOnce(s *suite) {
	ann, bob := s.driver(), s.driver()
	root := s.folder(ann, id.Folder{})
	other, his := s.folder(ann, root), s.folder(bob, id.Folder{})
	_, files := s.filled(ann, root)
	check := func(a, b int64) {
		s.Helper()
		if x, y := s.usage(ann).Bytes, s.usage(bob).Bytes; x != a || y != b {
			s.Errorf("usage %d and %d, want %d and %d", x, y, a, b)
		}
	}
	check(small+large, 0)
	s.must(s.hold(ann, other, files...))
	s.must(s.hold(bob, his, files[0]))
	check(small+large, small)
	s.must(s.release(ann, root, files...))
	check(small+large, small)
	s.must(s.release(ann, other, files...))
	check(0, small)
	if s.holds(ann, root, files[0]) || s.holds(bob, his, files[1]) || !s.holds(bob, his, files[0]) {
		s.Error("a folder holds what it released, or not what it holds")
	}
	s.must(s.drive(ann, nil, func(ctx context.Context, t turn) error { return t.Charge(ctx, t.own, 10, 5, 10, 5) }))
	s.want(s.drive(ann, nil, func(ctx context.Context, t turn) error { return t.Charge(ctx, t.own, 1, 0, 10, 5) }), drive.ErrQuota)
	s.want(s.drive(ann, nil, func(ctx context.Context, t turn) error { return t.Charge(ctx, t.own, 0, 1, 10, 5) }), drive.ErrOverLimit)
	s.must(s.drive(ann, nil, func(ctx context.Context, t turn) error { return t.Charge(ctx, t.own, -10, -5, 0, 0) }))
}

func heldOnce(s *suite) {
	ann := s.driver()
	root := s.folder(ann, id.Folder{})
	_, files := s.filled(ann, root)
	s.want(s.hold(ann, root, files[0]), drive.ErrEntry)
	s.want(s.hold(ann, root, id.New[id.Revision]()), drive.ErrRevisionUnknown)
	s.want(s.release(ann, root, files[0], id.New[id.Revision]()), drive.ErrEntry)
	s.must(s.drive(ann, []id.Folder{root}, func(ctx context.Context, t turn) error {
		all, err := t.Holds(ctx, t.have[root].Key, files)
		more, err2 := t.Holds(ctx, t.have[root].Key, append(files, id.New[id.Revision]()))
		if !all || more {
			s.Errorf("holds all: %v, and one more: %v", all, more)
		}
		return errors.Join(err, err2)
	}))
	if s.usage(ann).Bytes != small+large {
		s.Errorf("usage %+v", s.usage(ann))
	}
}

func destroyedUnheld(s *suite) {
	ann := s.driver()
	root := s.folder(ann, id.Folder{})
	other := s.folder(ann, root)
	u, files := s.filled(ann, root)
	s.must(s.release(ann, root, files[0]))
	s.want(s.hold(ann, other, files[0]), drive.ErrRevisionUnknown)
	s.ordered(0, 0, 0, 0)
	s.must(s.release(ann, root, files[1]))
	s.ordered(1, 1, 1, 0)
	_, err := s.Upload(s.Context(), u)
	s.want(err, upload.ErrUnknown)
}

// linkKeeps: revisions of a link's upload that a folder held as well stay when the
// folder releases them, and go with the link.
func linkKeeps(s *suite) {
	ann := s.driver()
	root := s.folder(ann, id.Folder{})
	u, send := s.committed(0)
	first := send.Page.Revisions[0].ID
	s.must(s.hold(ann, root, first))
	s.must(s.release(ann, root, first))
	s.read(send.Link.Handle, func(ctx context.Context, _ share.Link, r share.Reader) {
		_, err := r.RevisionByID(ctx, first)
		s.must(err)
	})
	s.ordered(0, 0, 0, 0)
	s.must(s.EndLink(s.Context(), send.Link.Handle, share.Revoked, someDay))
	s.ordered(1, 1, 1, 0)
	_, err := s.Upload(s.Context(), u.ID)
	s.want(err, upload.ErrUnknown)
}

// folderKeeps: the end of a link destroys what no folder holds, and the rest goes when
// the last folder releases it.
func folderKeeps(s *suite) {
	ann := s.driver()
	root := s.folder(ann, id.Folder{})
	_, send := s.committed(0)
	kept, lost := send.Page.Revisions[1].ID, send.Page.Revisions[0].ID
	s.must(s.hold(ann, root, kept))
	s.must(s.EndLink(s.Context(), send.Link.Handle, share.Expired, someDay))
	s.ordered(0, 0, 0, 0)
	if !s.holds(ann, root, kept) {
		s.Error("the end of the link destroyed what a folder holds")
	}
	s.want(s.hold(ann, root, lost), drive.ErrRevisionUnknown)
	s.must(s.release(ann, root, kept))
	s.ordered(1, 1, 1, 0)
}

func readable(s *suite) {
	ann, bob := s.driver(), s.driver()
	root := s.folder(ann, id.Folder{})
	sub := s.folder(ann, root)
	deep := s.folder(ann, sub)
	_, files := s.filled(ann, deep)
	check := func(who id.Account, want bool) {
		s.Helper()
		s.must(s.drive(who, nil, func(ctx context.Context, t turn) error {
			have, err := t.Readable(ctx, files[0])
			if have != want {
				s.Errorf("readable: %v, want %v", have, want)
			}
			return err
		}))
	}
	check(ann, true)
	check(bob, false)
	s.grant(ann, sub, bob, journal.Reads, 1)
	check(bob, true)
	s.grant(ann, sub, bob, journal.Nobody, 2)
	check(bob, false)
	s.grant(ann, sub, bob, journal.Reads, 3)
	s.drop(ann, sub)
	check(bob, false)
	check(ann, false)
}

func pageOf(text string) map[journal.Hash][]byte {
	return map[journal.Hash][]byte{journal.Hash(hash(text)): []byte(text)}
}

func (s *suite) keep(who id.Account, folder id.Folder, text string, day, most int64) (added int64, err error) {
	s.Helper()
	err = s.drive(who, []id.Folder{folder}, func(ctx context.Context, t turn) (err error) {
		added, err = t.KeepPages(ctx, t.have[folder].Key, pageOf(text), day, most)
		return err
	})
	return added, err
}

func pagesKept(s *suite) {
	ann := s.driver()
	root := s.folder(ann, id.Folder{})
	added, err := s.keep(ann, root, "one", someDay, plenty)
	s.must(err)
	if added < 3 {
		s.Errorf("%d bytes", added)
	}
	if again, err := s.keep(ann, root, "one", someDay+1, plenty); err != nil || again != 0 {
		s.Errorf("kept again: %d bytes, %v", again, err)
	}
	_, err = s.keep(ann, root, "two", someDay, added)
	s.want(err, drive.ErrOverLimit)
	_, err = s.keep(ann, root, "two", someDay, plenty)
	s.must(err)
	if n, err := s.DropPages(s.Context(), someDay+1, 10); err != nil || n != 1 {
		s.Errorf("%d pages dropped, %v", n, err)
	}
	name := func(texts ...string) error {
		return s.drive(ann, []id.Folder{root}, func(ctx context.Context, t turn) error {
			var hashes []journal.Hash
			for _, text := range texts {
				hashes = append(hashes, journal.Hash(hash(text)))
			}
			_, err := t.NameCheckpoint(ctx, t.have[root].Key, 2, hashes)
			return err
		})
	}
	s.want(name("one", "two"), drive.ErrPageMissing)
	s.must(name("one"))
	if n, err := s.DropPages(s.Context(), someDay+100, 10); err != nil || n != 0 {
		s.Errorf("%d pages dropped, %v", n, err)
	}
}

func checkpointReplaces(s *suite) {
	ann := s.driver()
	root := s.folder(ann, id.Folder{})
	a, b, c := journal.Hash(hash("a")), journal.Hash(hash("b")), journal.Hash(hash("c"))
	sizes := map[string]int64{}
	for _, text := range []string{"a", "b", "c"} {
		n, err := s.keep(ann, root, text, someDay, plenty)
		s.must(err)
		sizes[text] = n
	}
	for _, step := range []struct {
		seq   int64
		pages []journal.Hash
		gone  int64
	}{{2, []journal.Hash{b, a}, 0}, {3, []journal.Hash{c, b}, sizes["a"]}} {
		s.must(s.drive(ann, []id.Folder{root}, func(ctx context.Context, t turn) error {
			gone, err := t.NameCheckpoint(ctx, t.have[root].Key, step.seq, step.pages)
			if gone != step.gone {
				s.Errorf("%d bytes gone, want %d", gone, step.gone)
			}
			return err
		}))
	}
	f := s.at(ann, root)
	s.must(s.ReadDrive(s.Context(), ann, func(r drive.Reader) error {
		seq, pages, err := r.Checkpoint(s.Context(), f)
		if seq != 3 || !slices.Equal(pages, []journal.Hash{c, b}) {
			s.Errorf("checkpoint of entry %d: %x", seq, pages)
		}
		page, err2 := r.Page(s.Context(), f, b)
		if string(page) != "b" {
			s.Errorf("page %q", page)
		}
		_, gone := r.Page(s.Context(), f, a)
		s.want(gone, drive.ErrNotFound)
		return errors.Join(err, err2)
	}))
}

func answersKept(s *suite) {
	ann, bob := s.driver(), s.driver()
	key := id.New[id.Commit]()
	answer := drive.Answer{Digest: []byte("digest"), Answer: []byte("answer")}
	s.must(s.drive(ann, nil, func(ctx context.Context, t turn) error { return t.Done(ctx, key, answer, someDay) }))
	check := func(who id.Account, want bool) {
		s.Helper()
		s.must(s.ReadDrive(s.Context(), who, func(r drive.Reader) error {
			a, known, err := r.Answer(s.Context(), key)
			if known != want || known && !reflect.DeepEqual(a, answer) {
				s.Errorf("answer %+v, %v", a, known)
			}
			return err
		}))
	}
	check(ann, true)
	check(bob, false)
	if n, err := s.ForgetAnswers(s.Context(), someDay, 10); err != nil || n != 0 {
		s.Errorf("%d forgotten, %v", n, err)
	}
	if n, err := s.ForgetAnswers(s.Context(), someDay+1, 10); err != nil || n != 1 {
		s.Errorf("%d forgotten, %v", n, err)
	}
	check(ann, false)
}

func droppedInParts(s *suite) {
	ann, bob := s.driver(), s.driver()
	root := s.folder(ann, id.Folder{})
	top := s.folder(ann, root)
	his := s.folder(bob, id.Folder{})
	var shared []id.Revision
	for range 3 {
		sub := s.folder(ann, top)
		_, files := s.filled(ann, sub)
		shared = files
	}
	s.must(s.hold(bob, his, shared[0]))
	s.grant(ann, top, bob, journal.Reads, 1)
	_, err := s.keep(ann, top, "page", someDay, plenty)
	s.must(err)
	s.drop(ann, top)
	if n, err := s.DropFolders(s.Context(), someDay, 2); err != nil || n != 2 {
		s.Errorf("%d parts, %v", n, err)
	}
	s.dropAll()
	if u := s.usage(ann); u.Bytes != 0 {
		s.Errorf("usage %+v", u)
	}
	s.ordered(2, 2, 2, 0) // of the third upload a revision is left
	if !s.holds(bob, his, shared[0]) {
		s.Error("what others hold went as well")
	}
	s.must(s.release(bob, his, shared[0]))
	s.ordered(3, 3, 3, 0)
}

func erasedDrive(s *suite) {
	ann, bob := s.driver(), s.driver()
	root := s.folder(ann, id.Folder{})
	his := s.folder(bob, id.Folder{})
	s.grant(bob, his, ann, journal.Writes, 1)
	_, mine := s.filled(ann, root)
	_, there := s.filled(ann, his)
	open := s.openFor(ann, 1000)
	s.must(s.EraseAccount(s.Context(), ann))
	if f := s.at(ann, root); f.Depth != 0 {
		s.Errorf("an erased account's root: %+v", f)
	}
	if f := s.at(ann, his); f.Role != journal.Nobody {
		s.Errorf("an erased account's grant: %+v", f)
	}
	s.want(s.hold(bob, his, mine[0], id.New[id.Revision]()), drive.ErrRevisionUnknown)
	overdue, err := s.OverdueUploads(s.Context(), now, 10)
	if err != nil || len(overdue) != 1 || overdue[0] != open.ID {
		s.Errorf("overdue %v, %v", overdue, err)
	}
	s.must(s.AbandonUpload(s.Context(), open.ID, someDay))
	s.ordered(1, 1, 1, 0)
	s.dropAll()
	s.ordered(2, 2, 2, 0)
	if !s.holds(bob, his, there[0]) {
		s.Error("what an erased account put into another's folder went with it")
	}
}

// openFor opens an upload for an account's drive.
func (s *suite) openFor(who id.Account, budget int64) upload.Upload {
	s.Helper()
	u := upload.Upload{
		ID: id.New[id.Upload](), State: upload.Open, Secret: id.New32(), Budget: budget, Closes: now + 1000, Account: who,
		Chains: []placement.Chain{s.fleet.IDs()[:3]},
	}
	s.must(s.OpenUpload(s.Context(), u, plenty, anyNumber, plenty))
	return u
}

func uploadInDrive(s *suite) {
	ann := s.driver()
	u := s.openFor(ann, 1000)
	if have, err := s.Upload(s.Context(), u.ID); err != nil || have.Account != ann {
		s.Errorf("upload %+v, %v", have, err)
	}
	if s.usage(ann).Reserved != 1000 {
		s.Errorf("usage %+v", s.usage(ann))
	}
	s.want(s.OpenUpload(s.Context(), upload.Upload{ID: id.New[id.Upload](), Budget: 1001, Account: ann}, plenty, anyNumber, 2000), upload.ErrQuota)
	s.want(s.OpenUpload(s.Context(), upload.Upload{ID: id.New[id.Upload](), Budget: 1, Account: id.New[id.Account]()}, plenty, anyNumber, 2000), account.ErrUnknown)
	s.want(s.ExtendUpload(s.Context(), u.ID, 2001, plenty, 2000), upload.ErrQuota)
	s.must(s.ExtendUpload(s.Context(), u.ID, 2000, plenty, 2000))
	if s.usage(ann).Reserved != 2000 {
		s.Errorf("usage %+v", s.usage(ann))
	}
	s.must(s.AbandonUpload(s.Context(), u.ID, someDay))
	if s.usage(ann).Reserved != 0 {
		s.Errorf("usage %+v", s.usage(ann))
	}
}

func uploadOfDrive(s *suite) {
	ann := s.driver()
	root := s.folder(ann, id.Folder{})
	u, files := s.filled(ann, root)
	if s.usage(ann) != (drive.Usage{Bytes: small + large}) {
		s.Errorf("usage %+v", s.usage(ann))
	}
	s.want(s.drive(ann, nil, func(ctx context.Context, t turn) error {
		_, _, err := t.Upload(ctx, u)
		return err
	}), upload.ErrClosed)
	s.want(s.drive(ann, nil, func(ctx context.Context, t turn) error {
		_, _, err := t.Upload(ctx, id.New[id.Upload]())
		return err
	}), upload.ErrUnknown)
	if n, err := s.ForgetUploads(s.Context(), someDay+1, 10); err != nil || n != 1 {
		s.Errorf("%d forgotten, %v", n, err)
	}
	if !s.holds(ann, root, files[1]) {
		s.Error("what is held was forgotten")
	}
}

// raceForHead: of many who append at once as the second entry, one does.
func raceForHead(s *suite) {
	ann := s.driver()
	root := s.folder(ann, id.Folder{})
	moved := errors.New("moved")
	results := make(chan error, 12)
	var wg sync.WaitGroup
	for range cap(results) {
		wg.Go(func() {
			results <- s.drive(ann, []id.Folder{root}, func(ctx context.Context, t turn) error {
				f := t.have[root]
				if f.Chain.Seq != 1 {
					return moved
				}
				return t.Append(ctx, f.Key, []byte("entry 2"), chainOf(root, 2))
			})
		})
	}
	wg.Wait()
	close(results)
	in := 0
	for err := range results {
		if err == nil {
			in++
		} else if !errors.Is(err, moved) {
			s.Error(err)
		}
	}
	if in != 1 {
		s.Errorf("%d of them are in", in)
	}
}

// raceForRevision: while some drives release a revision, others hold it, and its link
// ends. Who holds it in the end can read it; when nobody does it is gone.
func raceForRevision(s *suite) {
	const drivers = 4
	for range 6 {
		_, send := s.committed(0)
		both := []id.Revision{send.Page.Revisions[0].ID, send.Page.Revisions[1].ID}
		var who [drivers]id.Account
		var root [drivers]id.Folder
		for i := range who {
			who[i] = s.driver()
			root[i] = s.folder(who[i], id.Folder{})
			if i < drivers/2 {
				s.must(s.hold(who[i], root[i], both[i]))
			}
		}
		var held [drivers]bool
		var wg sync.WaitGroup
		for i := range who {
			wg.Go(func() {
				if i < drivers/2 {
					if err := s.release(who[i], root[i], both[i]); err != nil {
						s.Error(err)
					}
					return
				}
				err := s.hold(who[i], root[i], both[i-drivers/2])
				if held[i] = err == nil; !held[i] && !errors.Is(err, drive.ErrRevisionUnknown) {
					s.Error(err)
				}
			})
		}
		wg.Go(func() {
			if err := s.EndLink(s.Context(), send.Link.Handle, share.Revoked, someDay); err != nil {
				s.Error(err)
			}
		})
		wg.Wait()
		for i := drivers / 2; i < drivers; i++ {
			if held[i] != s.holds(who[i], root[i], both[i-drivers/2]) {
				s.Errorf("told that it holds the revision: %v", held[i])
			}
			if held[i] {
				s.must(s.release(who[i], root[i], both[i-drivers/2]))
			}
		}
	}
	s.ordered(6, 6, 6, 0)
}

func failureLeavesNothing(s *suite) {
	ann := s.driver()
	root := s.folder(ann, id.Folder{})
	_, files := s.filled(ann, root)
	stop := errors.New("stop")
	s.want(s.drive(ann, []id.Folder{root}, func(ctx context.Context, t turn) error {
		key := t.have[root].Key
		_, err := t.AddFolder(ctx, t.own, id.New[id.Folder]())
		return errors.Join(err, t.Append(ctx, key, []byte("entry 2"), chainOf(root, 2)), t.releaseAll(ctx, root, files), stop)
	}), stop)
	if f := s.at(ann, root); f.Chain.Seq != 1 || !s.holds(ann, root, files[0]) || s.usage(ann).Bytes != small+large {
		s.Errorf("after a failure: %+v, %+v", f, s.usage(ann))
	}
	s.ordered(0, 0, 0, 0)
}
