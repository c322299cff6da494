package drive

import (
	"context"
	"fmt"

	"holdfast/format/id"
	"holdfast/format/journal"
	"holdfast/format/wire"
	"holdfast/server/internal/share"
	"holdfast/server/internal/upload"
)

// turn carries a verified plan out, in one transaction.
type turn struct {
	tx    Tx
	plan  *plan
	day   int64
	now   int64 // in Unix seconds
	quota int64
	// journals is what entries and pages of a drive may take.
	journals int64

	own  int64 // the caller's drive
	have map[id.Folder]Folder
	// brought are the revisions of the upload; true once an entry refers to one.
	brought map[id.Revision]bool
	charges map[int64]*charge
	sources []share.Reader
}

// charge is what becomes more or less in a drive.
type charge struct{ bytes, journals int64 }

func (t *turn) run(ctx context.Context, closing *upload.Closing) (Done, error) {
	var err error
	if t.own, t.have, err = t.tx.Take(ctx, t.plan.all()); err != nil {
		return Done{}, err
	}
	if a, answered, err := t.tx.Answer(ctx, t.plan.Key); err != nil || answered {
		if err != nil {
			return Done{}, err
		}
		return t.plan.answered(a)
	}
	if err := t.settled(); err != nil {
		return Done{}, err
	}
	done, err := t.bring(ctx, closing)
	if err != nil {
		return Done{}, err
	}
	if err := t.openSources(ctx); err != nil {
		return Done{}, err
	}
	t.charges = map[int64]*charge{}
	for _, step := range []func(context.Context) error{t.makeFolders, t.placeFolders, t.hold, t.release, t.append, t.grant, t.charge} {
		if err := step(ctx); err != nil {
			return Done{}, err
		}
	}
	return done, t.tx.Done(ctx, t.plan.Key, Answer{Digest: t.plan.digest, Answer: wire.Marshal(done)}, t.day)
}

// all are the folders of the plan and those that it moves.
func (p *plan) all() []id.Folder {
	all := append([]id.Folder{}, p.named...)
	for child := range p.dropped {
		if p.of[child] == nil {
			all = append(all, child)
		}
	}
	return all
}

// settled fails if anything that was verified is otherwise now.
func (t *turn) settled() error {
	if err := t.plan.admit(t.have); err != nil {
		return err
	}
	for _, folder := range t.plan.named {
		if t.have[folder].Chain != t.plan.found[folder].Chain {
			return fmt.Errorf("%w: folder %s", ErrHeadMoved, folder)
		}
	}
	return nil
}

func (t *turn) of(drive int64) *charge {
	if t.charges[drive] == nil {
		t.charges[drive] = &charge{}
	}
	return t.charges[drive]
}

// bring puts the upload together.
func (t *turn) bring(ctx context.Context, closing *upload.Closing) (Done, error) {
	done := Done{Holders: []id.Node{}}
	t.brought = map[id.Revision]bool{}
	if closing == nil {
		return done, nil
	}
	u, tx, err := t.tx.Upload(ctx, t.plan.Upload.ID)
	if err != nil {
		return Done{}, err
	}
	b, err := closing.Assemble(ctx, u, tx)
	if err != nil {
		return Done{}, err
	}
	done.Holders = b.Holders
	for _, r := range b.Revisions {
		t.brought[r] = false
	}
	return done, tx.Close(ctx, t.day, t.plan.digest, nil, b.Holders)
}

// makeFolders adds the new folders to the drives in which they are going to lie, for
// who may write at the place, or administer it where the plan's part takes that.
func (t *turn) makeFolders(ctx context.Context) error {
	for _, ch := range t.plan.changes {
		if !ch.fresh {
			continue
		}
		at, exists, err := t.plan.anchor(ch.folder)
		if err != nil {
			return err
		}
		f := Folder{Drive: t.own, Role: journal.Admins}
		if exists {
			above := t.have[at]
			role := journal.Writes
			if ch.admin || t.plan.hasGrants(ch.folder) {
				role = journal.Admins
			}
			if err := may(above, role, at); err != nil {
				return err
			}
			f.Drive, f.Role = above.Drive, above.Role
		}
		if f.Key, err = t.tx.AddFolder(ctx, f.Drive, ch.folder); err != nil {
			return err
		}
		t.have[ch.folder] = f
	}
	return nil
}

func (p *plan) hasGrants(folder id.Folder) bool {
	for _, g := range p.grants {
		if g.Folder == folder {
			return true
		}
	}
	return false
}

// placeFolders moves folders: out of where they were, and into where they are going to
// be, below which none of them may lie.
func (t *turn) placeFolders(ctx context.Context) error {
	for child, from := range t.plan.dropped {
		c, known := t.have[child]
		if !known || c.Parent == 0 || c.Parent != t.have[from].Key {
			return fmt.Errorf("%w: folder %s does not lie in folder %s", ErrEntry, child, from)
		}
		if _, moved := t.plan.parents[child]; !moved {
			if err := t.tx.DropFolder(ctx, c.Key); err != nil {
				return err
			}
		}
	}
	for child, parent := range t.plan.parents {
		c, p := t.have[child], t.have[parent]
		if c.Drive != p.Drive {
			return fmt.Errorf("%w: folder %s is another account's than folder %s", ErrMisplaced, child, parent)
		}
		if c.Parent == p.Key {
			continue // taken out and put back
		}
		if err := t.tx.PlaceFolder(ctx, c.Key, p.Key); err != nil {
			return err
		}
	}
	for child := range t.plan.parents {
		depth, err := t.tx.Depth(ctx, t.have[child].Key)
		if err != nil {
			return err
		}
		if depth == 0 || depth+t.have[child].Height > MaxLevels {
			return fmt.Errorf("%w: folder %s, at most %d levels above one another", ErrMisplaced, child, MaxLevels)
		}
	}
	return nil
}

// hold lets folders hold what their entries add.
func (t *turn) hold(ctx context.Context) error {
	given := map[id.Revision]bool{} // by folders of this commit: release sees that they held it
	for _, ch := range t.plan.changes {
		for _, r := range ch.revisions.held() {
			given[r] = true
		}
	}
	for _, ch := range t.plan.changes {
		added := ch.revisions.added()
		for _, r := range added {
			if _, brought := t.brought[r]; brought {
				t.brought[r] = true
				continue
			}
			if given[r] {
				continue
			}
			readable, err := t.tx.Readable(ctx, r)
			if err == nil && !readable {
				readable, err = t.opened(ctx, r)
			}
			if err != nil {
				return err
			}
			if !readable {
				return fmt.Errorf("%w: revision %s", ErrRevisionUnknown, r)
			}
		}
		f := t.have[ch.folder]
		charged, err := t.tx.Hold(ctx, f.Drive, f.Key, added)
		if err != nil {
			return fmt.Errorf("folder %s: %w", ch.folder, err)
		}
		t.of(f.Drive).bytes += charged
	}
	for r, held := range t.brought {
		if !held {
			return fmt.Errorf("%w: revision %s is in the upload, and no folder gets it", upload.ErrRevision, r)
		}
	}
	return nil
}

// release takes from folders what their entries drop.
func (t *turn) release(ctx context.Context) error {
	for _, ch := range t.plan.changes {
		f := t.have[ch.folder]
		if kept := ch.revisions.kept(); len(kept) > 0 {
			held, err := t.tx.Holds(ctx, f.Key, kept)
			if err != nil {
				return err
			}
			if !held {
				return fmt.Errorf("%w: folder %s does not hold what the entry drops", ErrEntry, ch.folder)
			}
		}
		freed, err := t.tx.Release(ctx, f.Drive, f.Key, ch.revisions.ended(), t.day)
		if err != nil {
			return fmt.Errorf("folder %s: %w", ch.folder, err)
		}
		t.of(f.Drive).bytes -= freed
	}
	return nil
}

// append adds the entries, and the checkpoint that the last of them names.
func (t *turn) append(ctx context.Context) error {
	for _, ch := range t.plan.changes {
		f := t.have[ch.folder]
		for _, e := range ch.entries {
			if err := t.tx.Append(ctx, f.Key, e.raw, e.next); err != nil {
				return err
			}
		}
		c := t.of(f.Drive)
		c.journals += ch.bytes
		if ch.checkpoint == 0 {
			continue
		}
		gone, err := t.tx.NameCheckpoint(ctx, f.Key, ch.checkpoint, ch.pages)
		if err != nil {
			return fmt.Errorf("folder %s: %w", ch.folder, err)
		}
		c.journals -= gone
	}
	return nil
}

func (t *turn) grant(ctx context.Context) error {
	for _, g := range t.plan.grants {
		if err := t.tx.SetGrant(ctx, t.have[g.Folder].Key, g, maxGrants); err != nil {
			return fmt.Errorf("folder %s: %w", g.Folder, err)
		}
	}
	return nil
}

func (t *turn) charge(ctx context.Context) error {
	for drive, c := range t.charges {
		if *c == (charge{}) {
			continue
		}
		if err := t.tx.Charge(ctx, drive, c.bytes, c.journals, t.quota, t.journals); err != nil {
			return err
		}
	}
	return nil
}
