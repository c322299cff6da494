package drive

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"holdfast/client/home"
	"holdfast/format/descriptor"
	"holdfast/format/id"
	"holdfast/format/invite"
	"holdfast/format/journal"
	"holdfast/format/seal"
	"holdfast/format/wire"
)

const (
	// SharedPath is the folder under which folders of others stand.
	SharedPath = "/Shared"
	sharedType = "drive-shared"
	// maxShared bounds the folders of others in a drive.
	maxShared = 512
)

// Errors of sharing.
var (
	// ErrUnshared: the folder of somebody else is not given any more.
	ErrUnshared = errors.New("it is no longer shared with you, or its owner removed it")
	// ErrNotShared: a path that is none of a folder of somebody else.
	ErrNotShared = errors.New("this is no folder that somebody shares with you")
	// ErrShared: the drive takes no more of others.
	ErrShared = fmt.Errorf("at most %d folders of others", maxShared)
	// ErrOther: an invitation that does not fit what was accepted before.
	ErrOther = errors.New("an invitation to a folder that somebody else shares with you already")
)

// Renewal is an invitation, and who wrote it.
type Renewal struct {
	From       id.Account
	Invitation *invite.Invitation
}

// mount is a folder of somebody else at a path of this drive. The keys are those of the
// newest invitation. They are on this machine only, sealed (docs/format.md §28).
type mount struct {
	name string
	from id.Account
	*invite.Invitation
}

// mountRecord is a mount on disk; the text is the invitation's (docs/format.md §27).
type mountRecord struct {
	Name string     `cbor:"1,keyasint"`
	From id.Account `cbor:"2,keyasint"`
	Text []byte     `cbor:"3,keyasint"`
}

type mountList struct {
	Mounts []mountRecord `cbor:"1,keyasint" most:"512"`
}

func (s *store) sharedFile() string { return filepath.Join(s.dir, "shared") }

func (s *store) readShared() ([]mount, error) {
	raw, err := os.ReadFile(s.sharedFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read shared folders: %w", err)
	}
	damaged := func(err error) ([]mount, error) {
		return nil, fmt.Errorf("what this machine keeps of folders that others share is damaged (%s): %w", s.sharedFile(), err)
	}
	plain, err := seal.OpenRecord(s.key, sharedType, s.account[:], raw, seal.MaxRecord)
	if err != nil {
		return damaged(err)
	}
	var l mountList
	if err := wire.Unmarshal(plain, seal.MaxRecord, &l); err != nil {
		return damaged(err)
	}
	all := make([]mount, len(l.Mounts))
	for i, m := range l.Mounts {
		text, err := invite.Decode(m.Text)
		if err != nil {
			return damaged(err)
		}
		invitation, ok := text.(*invite.Invitation)
		if !ok {
			return damaged(wire.ErrEncoding)
		}
		all[i] = mount{m.Name, m.From, invitation}
	}
	return all, nil
}

func (s *store) writeShared(all []mount) error {
	l := mountList{Mounts: make([]mountRecord, len(all))}
	for i, m := range all {
		l.Mounts[i] = mountRecord{m.name, m.from, invite.Encode(m.Invitation)}
	}
	return home.WriteFile(s.sharedFile(), seal.SealRecord(s.key, sharedType, s.account[:], wire.Marshal(l)))
}

// changeMounts replaces what is on disk by what do makes of it, and uses that.
func (d *Drive) changeMounts(do func([]mount) ([]mount, error)) error {
	return d.store.locked(func() error {
		all, err := d.store.readShared()
		if err != nil {
			return err
		}
		if all, err = do(all); err != nil {
			return err
		}
		if err := d.store.writeShared(all); err != nil {
			return err
		}
		d.mount(all)
		return nil
	})
}

// mount puts folders of others into the drive.
func (d *Drive) mount(all []mount) {
	d.mounts = all
	for _, m := range all {
		f, known := d.folders[m.Folder]
		if !known {
			f = &folder{id: m.Folder, shared: true, opener: d.newOpener(m.Epoch, m.Keys.Read)}
			d.folders[m.Folder] = f
		}
		f.path, f.anchor, f.place = join(SharedPath, m.name), m.Anchor(), m.Place()
		f.opener.Learn(m.Epoch, m.Keys.Read)
	}
}

// newOpener opens a folder's entries, and checks the signatures of members that are known.
func (d *Drive) newOpener(epoch int64, key journal.ReadKey) *journal.Opener {
	o := journal.NewOpener(epoch, key)
	o.Member = func(a id.Account) ed25519.PublicKey {
		if d.Member == nil {
			return nil
		}
		return d.Member(a)
	}
	return o
}

// mounted is the folder of somebody else that stands in f under that name.
func (d *Drive) mounted(f *folder, name string) (mount, bool) {
	if !d.holdsMounts(f) {
		return mount{}, false
	}
	at := slices.IndexFunc(d.mounts, func(m mount) bool { return descriptor.Fold(m.name) == descriptor.Fold(name) })
	if at < 0 {
		return mount{}, false
	}
	return d.mounts[at], true
}

func (d *Drive) holdsMounts(f *folder) bool {
	return f.parent == d.root && descriptor.Fold(f.path) == descriptor.Fold(SharedPath)
}

// entry is a mount as something in a folder. No journal has it.
func (m mount) entry() *journal.Entry {
	return &journal.Entry{
		ID: id.Entry(m.Folder), Descriptor: &descriptor.Descriptor{Path: m.name, Kind: descriptor.Folder},
		Child: &journal.Child{Folder: m.Folder, Epoch: m.Epoch, Write: m.Public.Write, Admin: m.Public.Admin},
	}
}

// Shared are the folders that others share, by their paths.
func (d *Drive) Shared() []Item {
	d.mu.Lock()
	defer d.mu.Unlock()
	var all []Item
	for _, m := range d.mounts {
		all = append(all, Item{Path: join(SharedPath, m.name), Entry: m.entry(), Self: m.Folder})
	}
	return all
}

// Accept takes an invitation: the folder stands under SharedPath from then on. One to a
// folder that stands there already renews its keys, if it is from the same account.
func (d *Drive) Accept(ctx context.Context, r Renewal) (path string, err error) {
	if _, err := d.Mkdir(ctx, []string{SharedPath}, true); err != nil {
		return "", err
	}
	err = d.do(ctx, func() error {
		p, _, err := d.resolve(ctx, SharedPath, true)
		if err != nil {
			return err
		}
		before := slices.Clone(d.mounts)
		if err := d.changeMounts(func(all []mount) ([]mount, error) { return accepted(all, r, p.last().state) }); err != nil {
			return err
		}
		f := d.folders[r.Invitation.Folder]
		path = f.path
		err = d.refresh(ctx, f)
		if err == nil && f.gone {
			err = &Error{f.path, ErrUnshared}
		}
		if err == nil {
			return nil
		}
		if slices.ContainsFunc(before, func(m mount) bool { return m.Folder == f.id }) { // with the keys that it had
			return errors.Join(err, d.changeMounts(func([]mount) ([]mount, error) { return before, nil }))
		}
		return errors.Join(err, d.unmount(f))
	})
	return path, err
}

// accepted is the list with one more, or with later keys of one.
func accepted(all []mount, r Renewal, in *journal.State) ([]mount, error) {
	at := slices.IndexFunc(all, func(m mount) bool { return m.Folder == r.Invitation.Folder })
	switch {
	case at >= 0 && all[at].from != r.From:
		return nil, ErrOther
	case at >= 0 && all[at].Epoch > r.Invitation.Epoch:
		return all, nil
	case at >= 0:
		all[at].Invitation = r.Invitation
		return all, nil
	case len(all) >= maxShared:
		return nil, ErrShared
	}
	taken := func(name string) bool {
		return in.Clashes(name) || slices.ContainsFunc(all, func(m mount) bool { return descriptor.Fold(m.name) == descriptor.Fold(name) })
	}
	name := r.Invitation.Name
	for n := 2; taken(name); n++ {
		name = descriptor.Numbered(r.Invitation.Name, n)
	}
	return append(all, mount{name, r.From, r.Invitation}), nil
}

// Leave forgets a folder that somebody else shares. Whoever invited still may, and can
// invite again.
func (d *Drive) Leave(ctx context.Context, path string) error {
	return d.do(ctx, func() error {
		names, err := split(path)
		if err != nil {
			return err
		}
		for _, m := range d.mounts {
			if descriptor.Fold(whole(names)) == descriptor.Fold(join(SharedPath, m.name)) {
				return d.unmount(d.folders[m.Folder])
			}
		}
		return &Error{whole(names), ErrNotShared}
	})
}

func (d *Drive) unmount(f *folder) error {
	delete(d.folders, f.id)
	return errors.Join(d.store.drop(f.id), d.changeMounts(func(all []mount) ([]mount, error) {
		return slices.DeleteFunc(all, func(m mount) bool { return m.Folder == f.id }), nil
	}))
}

// renew looks for keys of later epochs of folders that others share: whether it found some.
func (d *Drive) renew(ctx context.Context) (found bool, err error) {
	if d.Renewals == nil || len(d.mounts) == 0 {
		return false, nil
	}
	all, err := d.Renewals(ctx)
	if err != nil {
		return false, err
	}
	err = d.changeMounts(func(mounts []mount) ([]mount, error) {
		for _, r := range all {
			for i, m := range mounts {
				if m.Folder == r.Invitation.Folder && m.from == r.From && m.Epoch < r.Invitation.Epoch {
					mounts[i].Invitation, found = r.Invitation, true
				}
			}
		}
		return mounts, nil
	})
	return found, err
}
