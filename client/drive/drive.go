// Package drive is the drive of a logged-in account (docs/protocol.md "Drive",
// docs/format.md §20 to §26): paths over folders whose journals a server keeps and
// cannot forge.
//
// It promises that everything it says of the drive was verified against the account's
// keys, the parents' journals, the account's heads and this machine's pins; that what
// does not hold is an Alarm which names folder and kind; and that a change of several
// folders, with the upload that it refers to, happens whole or not at all, also where
// other devices write at once. It moves no content and prints nothing.
package drive

import (
	"context"
	"crypto/ed25519"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"holdfast/api"
	"holdfast/client/account"
	"holdfast/client/home"
	"holdfast/format/descriptor"
	"holdfast/format/id"
	"holdfast/format/journal"
)

// Item is a file or folder at a path.
type Item struct {
	Path   string         // from the root, without a slash at its end; "/" is the root
	Folder id.Folder      // in which it lies; zero for the root
	Entry  *journal.Entry // nil for the root
	Self   id.Folder      // of a folder: its own id
}

// IsFolder tells whether it is a folder.
func (i Item) IsFolder() bool { return i.Entry == nil || i.Entry.IsFolder() }

// Descriptor describes a file or folder; the root has none.
func (i Item) Descriptor() *descriptor.Descriptor {
	if i.Entry == nil {
		return nil
	}
	return i.Entry.Descriptor
}

// Drive is the drive of one account. Its methods may be called by several goroutines;
// they wait for each other.
type Drive struct {
	// Warn is told what is wrong on this machine and does no harm; may be nil.
	Warn func(text string)
	// Rekeyed is told how many folders have new keys, of how many, where a folder came out
	// of a shared one; may be nil.
	Rekeyed func(path string, done, all int)
	// Patience is how long calls are repeated while no answer comes; 0 is a minute.
	Patience time.Duration

	// Member gives the signing key of an account that is known, nil for others: entries
	// that name a known one must be signed by it. May be nil.
	Member func(id.Account) ed25519.PublicKey
	// Renewals gives invitations that wait for the account, where keys of a folder that
	// somebody shares are no longer the present ones. May be nil.
	Renewals func(context.Context) ([]Renewal, error)

	caller api.Caller
	access account.Access
	store  *store
	now    func() time.Time

	signing ed25519.PrivateKey

	mu      sync.Mutex // guards what follows
	folders map[id.Folder]*folder
	root    *folder
	heads   *folder
	seen    seen
	mounts  []mount
	unsaved bool // seen has more than the disk
	round   int  // each call reads anew what it looks at
}

// Open opens an account's drive. It asks the server nothing.
func Open(a account.Access, dir home.Dir, caller api.Caller) (*Drive, error) {
	s, err := newStore(dir, a.Root)
	if err != nil {
		return nil, err
	}
	d := &Drive{caller: caller, access: a, store: s, now: time.Now, signing: a.Root.SigningKey()}
	d.root, d.heads = derived(a.Root.RootFolder(), "/"), derived(a.Root.Heads(), heading)
	d.folders = map[id.Folder]*folder{d.root.id: d.root, d.heads.id: d.heads}
	mounts, err := s.readShared()
	if err != nil {
		return nil, err
	}
	d.mount(mounts)
	d.seen, err = s.readSeen()
	return d, err
}

// Caller makes calls of the drive's server.
func (d *Drive) Caller() api.Caller { return d.caller }

// do is one call: what it looks at is read anew, and what was seen is kept, also where
// the call fails.
func (d *Drive) do(ctx context.Context, call func() error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.round++
	err := call()
	// Keys were changed between two requests: the parents say them now, one level after
	// another, or an invitation does.
	for tried := map[string]bool{}; errors.Is(err, journal.ErrLocked) && !errors.As(err, new(*Alarm)); {
		var at *Error
		if !errors.As(err, &at) || tried[at.Path] {
			break
		}
		tried[at.Path] = true
		d.round++
		if _, failed := d.renew(ctx); failed != nil {
			return errors.Join(err, failed, d.save())
		}
		err = call()
	}
	return errors.Join(err, d.save())
}

// save keeps on disk what was seen.
func (d *Drive) save() error {
	var changed []*folder
	for _, f := range d.folders {
		if len(f.fresh) > 0 && f.state != nil && f.state.Head() == d.pinned(f) {
			changed = append(changed, f)
		}
	}
	if !d.unsaved && len(changed) == 0 {
		return nil
	}
	return d.store.locked(func() error {
		if err := d.merge(); err != nil {
			return err
		}
		if err := d.store.writeSeen(d.seen); err != nil {
			return err
		}
		d.unsaved = false
		for _, f := range changed {
			if err := d.store.write(f); err != nil {
				return err
			}
		}
		return nil
	})
}

func (d *Drive) pinned(f *folder) journal.Head {
	pin, _ := d.seen.pins.Get(f.id)
	return pin
}

// merge takes in what another process of this machine saw meanwhile. That two of them
// were shown different entries is an alarm as well.
func (d *Drive) merge() error {
	disk, err := d.store.readSeen()
	if err != nil {
		return err
	}
	for theirs := range disk.pins.All() {
		mine, known := d.seen.pins.Get(theirs.Folder)
		if known && mine.Seq > theirs.Seq {
			continue
		}
		if err := d.seen.pins.Set(theirs); err != nil {
			return d.byID(theirs.Folder).named(err)
		}
	}
	for theirs := range disk.held.All() {
		if mine, known := d.seen.held.Get(theirs.Folder); known && mine.Seq >= theirs.Seq {
			continue
		}
		if err := d.seen.held.Set(theirs); err != nil {
			return d.byID(theirs.Folder).named(err)
		}
	}
	return nil
}

func (d *Drive) byID(f id.Folder) *folder {
	if known, ok := d.folders[f]; ok {
		return known
	}
	return &folder{id: f, path: "(a folder that was not looked at)"}
}

// patience of calls that get no answer.
const (
	defaultPatience = time.Minute
	firstWait       = 200 * time.Millisecond
	longestWait     = 5 * time.Second
)

// patient repeats a call that may be repeated while no answer comes.
func patient[T any](ctx context.Context, d *Drive, call func() (T, error)) (T, error) {
	most := d.Patience
	if most == 0 {
		most = defaultPatience
	}
	begun := time.Now()
	for wait := firstWait; ; wait = min(2*wait, longestWait) {
		res, err := call()
		if err == nil || !errors.Is(err, api.ErrUnreachable) && !errors.Is(err, api.Unavailable) || time.Since(begun)+wait > most {
			return res, err
		}
		if err := pause(ctx, wait); err != nil {
			return res, err
		}
	}
}

// pause waits for about that long.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d/2 + rand.N(d))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
