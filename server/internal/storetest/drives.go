package storetest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"holdfast/format/id"
	"holdfast/format/journal"
	"holdfast/server/internal/account"
	"holdfast/server/internal/drive"
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
