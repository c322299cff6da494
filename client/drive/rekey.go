package drive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"holdfast/api"
	"holdfast/client/home"
	"holdfast/format/id"
	"holdfast/format/journal"
	"holdfast/format/seal"
	"holdfast/format/wire"
)

// Giving folders other keys. A folder's new epoch seals the present keys of its children
// anew in the same commit: so whoever has the present keys has all below them, at any
// moment, and no other. The children get epochs of their own after that, from the top
// down, one commit each; what is left of that stands in a file, until it is done.

// newEpoch begins the next epoch of a folder, with grants that are made for it.
func (d *Drive) newEpoch(ctx context.Context, f *folder, grants func(journal.Place) ([][]byte, error)) error {
	for try := range maxTries {
		w := &written{change: d.change(), pending: map[*folder][][]byte{}}
		next, anchor, err := w.epoch(ctx, f)
		if err == nil && grants != nil {
			w.grants, err = grants(next)
		}
		if err == nil {
			_, err = d.send(ctx, w)
		}
		if err == nil {
			err = w.done(ctx)
			f.place, f.anchor = next, anchor
			return err
		}
		w.undo()
		if !errors.Is(err, api.HeadMoved) {
			return err
		}
		if err := yield(ctx, try); err != nil {
			return err
		}
		if err := d.catchUp(ctx, chain(f)); err != nil {
			return err
		}
	}
	return ErrBusy
}

// epoch writes the entries of a folder's next epoch, of its parent and of heads.
func (w *written) epoch(ctx context.Context, f *folder) (next journal.Place, anchor journal.Anchor, err error) {
	d := w.d
	present, err := f.present()
	if err != nil {
		return next, anchor, err
	}
	entry, there := f.parent.state.Child(f.id)
	if present.Keys.Admin.IsZero() || f.parent.place.Keys.Admin.IsZero() {
		return next, anchor, &Error{f.path, ErrNotAdmin}
	}
	if !there {
		return next, anchor, &Error{f.path, ErrNotFound}
	}
	next = journal.Place{Folder: f.id, Epoch: present.Epoch + 1, Keys: journal.NewKeys()}
	ops, err := d.resealed(f, next)
	if err != nil {
		return next, anchor, err
	}
	child, err := journal.SealChild(f.parent.place, f.parent.state.Anchor().Public.Admin, next)
	if err != nil {
		return next, anchor, f.named(err)
	}
	f.opener.Learn(next.Epoch, next.Keys.Read)
	if err := w.begin(f, next, ops); err != nil {
		return next, anchor, f.named(err)
	}
	if err := w.folder(ctx, f.parent, []journal.Operation{journal.RekeyChild(entry.ID, child)}, false); err != nil {
		return next, anchor, f.parent.named(err)
	}
	return next, child.Anchor(), w.folder(ctx, d.heads, w.headOps(), false)
}

// resealed are the children of f with their present keys, sealed by its next epoch.
func (d *Drive) resealed(f *folder, next journal.Place) (ops []journal.Operation, err error) {
	admin := next.Keys.Public().Admin
	for _, e := range f.children() {
		c, err := d.child(f, e)
		if err != nil {
			return nil, err
		}
		if c.place.Keys.Admin.IsZero() {
			return nil, &Error{c.path, ErrNotAdmin}
		}
		sealed, err := journal.SealChild(next, admin, c.place)
		if err != nil {
			return nil, c.named(err)
		}
		ops = append(ops, journal.RekeyChild(e.ID, sealed))
	}
	return ops, nil
}

// begin writes the entry that begins the epoch, and others where one does not hold all.
func (w *written) begin(f *folder, next journal.Place, ops []journal.Operation) error {
	pen, chain := w.d.pen(f), f.state.Chain()
	for i, part := range parts(ops) {
		var raw []byte
		var err error
		if i == 0 {
			raw, err = f.state.WriteEpoch(pen, next.Keys, part...)
		} else if err = w.advance(f); err == nil {
			raw, err = f.state.Write(pen, part...)
		}
		if err == nil {
			_, chain, err = chain.Check(raw)
		}
		if err != nil {
			return err
		}
		pen.Keys = next.Keys
		w.pending[f] = append(w.pending[f], raw)
		w.entries = append(w.entries, raw)
	}
	w.heads = append(w.heads, chain.Head())
	return nil
}

// children are the entries of folders in f, live and in the trash.
func (f *folder) children() (all []*journal.Entry) {
	for e := range f.state.All() {
		if e.Child != nil {
			all = append(all, e)
		}
	}
	slices.SortFunc(all, func(a, b *journal.Entry) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	return all
}

const rekeyType = "drive-rekey"

// rekeyed is a job: the folders below one that got their new epochs.
type rekeyed struct {
	Done []id.Folder `cbor:"1,keyasint"`
	// Moved is where a folder was put that came out of a shared one: then it needs a new
	// epoch itself, and is among those that are done once it has one.
	Moved string `cbor:"2,keyasint,omitempty"`
}

const rekeyPrefix = "rekey-"

func (s *store) rekeyFile(f id.Folder) string { return filepath.Join(s.dir, rekeyPrefix+f.String()) }

func (s *store) forgetRekey(f id.Folder) error { return home.Remove(s.rekeyFile(f)) }

func (s *store) readRekey(f id.Folder) (job rekeyed, there bool, err error) {
	raw, err := os.ReadFile(s.rekeyFile(f))
	if errors.Is(err, fs.ErrNotExist) {
		return job, false, nil
	}
	if err == nil {
		raw, err = seal.OpenRecord(s.key, rekeyType, f[:], raw, journal.MaxPinBytes)
	}
	if err == nil {
		err = wire.Unmarshal(raw, journal.MaxPinBytes, &job)
	}
	if err != nil {
		return job, false, fmt.Errorf("what is left to do for a removed member cannot be read (%s; without it all of it is done again): %w", s.rekeyFile(f), err)
	}
	return job, true, nil
}

func (s *store) writeRekey(f id.Folder, job rekeyed) error {
	if job.Done == nil {
		job.Done = []id.Folder{}
	}
	return home.WriteFile(s.rekeyFile(f), seal.SealRecord(s.key, rekeyType, f[:], wire.Marshal(job)))
}

// Rekey goes on with what Revoke has begun, or does it again: every folder below a path
// gets keys that nobody had before, from the top down. Progress is told how many have
// them, of how many.
func (d *Drive) Rekey(ctx context.Context, path string, progress func(done, all int)) error {
	return d.do(ctx, func() error {
		f, err := d.shareable(ctx, path)
		if err != nil {
			return err
		}
		return d.rekey(ctx, f, progress)
	})
}

func (d *Drive) rekey(ctx context.Context, f *folder, progress func(done, all int)) error {
	job, _, err := d.store.readRekey(f.id)
	if err != nil {
		return err
	}
	if err := d.store.writeRekey(f.id, job); err != nil {
		return err
	}
	all, err := d.below(ctx, f)
	if err != nil {
		return err
	}
	if job.Moved != "" {
		all = slices.Insert(all, 0, f)
	}
	left := slices.DeleteFunc(slices.Clone(all), func(c *folder) bool { return slices.Contains(job.Done, c.id) })
	for n, c := range left {
		progress(len(all)-len(left)+n, len(all))
		if err := d.newEpoch(ctx, c, nil); err != nil {
			return err
		}
		job.Done = append(job.Done, c.id)
		if err := d.store.writeRekey(f.id, job); err != nil {
			return err
		}
	}
	progress(len(all), len(all))
	return d.store.forgetRekey(f.id)
}

// below are all folders below one, those in the trash too, a parent before what is in it.
func (d *Drive) below(ctx context.Context, f *folder) (all []*folder, err error) {
	for level := []*folder{f}; len(level) > 0; {
		var next []*folder
		for _, at := range level {
			for _, e := range at.children() {
				c, err := d.child(at, e)
				if err != nil {
					return nil, err
				}
				next = append(next, c)
			}
		}
		if err := d.refresh(ctx, next...); err != nil {
			return nil, err
		}
		next = slices.DeleteFunc(next, func(c *folder) bool { return c.gone })
		all = append(all, next...)
		level = next
	}
	return all, nil
}

// Unfinished tells whether folders below a path still have keys that a removed member knew.
func (d *Drive) Unfinished(ctx context.Context, path string) (left bool, err error) {
	err = d.do(ctx, func() error {
		f, err := d.shareable(ctx, path)
		if err == nil {
			_, left, err = d.store.readRekey(f.id)
		}
		return err
	})
	return left, err
}
