package drive

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"holdfast/api"
	"holdfast/format/id"
	"holdfast/format/journal"
)

// maxTries bounds how often a change is adapted to what others did at the same time. One
// of those who write at once always comes through.
const maxTries = 32

// commit does a change: all of it at once, on what the folders are by now.
func (d *Drive) commit(ctx context.Context, c *change) (Result, error) {
	var out Result
	if c.empty() {
		return out, nil
	}
	c.sweep()
	intents, err := c.intents()
	if err != nil {
		return out, err
	}
	if err := c.found(); err != nil {
		return out, err
	}
	for try := range maxTries {
		w := &written{change: c}
		err := w.all(ctx, intents, try == 0)
		if err == nil && len(w.entries) == 0 {
			return out, nil // others did all of it
		}
		if err == nil {
			out.Copies, err = d.send(ctx, w)
		}
		if err == nil {
			return out, w.done(ctx)
		}
		w.undo()
		if !errors.Is(err, api.HeadMoved) {
			return out, err
		}
		if err := yield(ctx, try); err != nil {
			return out, err
		}
		var notices []journal.Notice
		if intents, notices, err = c.rebase(ctx, intents); err != nil {
			return out, err
		}
		for _, n := range notices {
			out.Notices = append(out.Notices, Notice{d.byID(n.Folder).path, n})
		}
	}
	return out, ErrBusy
}

func (c *change) intents() (all []journal.Intent, err error) {
	for _, f := range c.order {
		if len(c.ops[f]) == 0 {
			continue
		}
		in, err := f.state.Intend(c.ops[f]...)
		if errors.Is(err, journal.ErrTooLarge) {
			err = fmt.Errorf("%w (%d changes in one folder)", ErrTooMany, len(c.ops[f]))
		}
		if err != nil {
			return nil, f.refused(err)
		}
		all = append(all, in)
	}
	return all, nil
}

// found writes the journals of new folders, which nobody else can change.
func (c *change) found() error {
	for _, f := range c.made {
		pen := c.d.pen(f)
		f.state, f.fresh = journal.Begin(f.anchor), nil
		for i, ops := range parts(c.ops[f]) {
			raw, err := []byte(nil), error(nil)
			if i == 0 {
				raw, err = journal.Found(f.anchor, pen, ops...)
			} else {
				raw, err = f.state.Write(pen, ops...)
			}
			if err != nil {
				return f.refused(err)
			}
			if _, err := f.state.Apply(raw, f.opener); err != nil {
				return f.named(err)
			}
			f.fresh = append(f.fresh, raw)
		}
	}
	return nil
}

// pen is what is written with. In heads, which nobody else reads, nobody signs.
func (d *Drive) pen(f *folder) journal.Pen {
	p := journal.Pen{Keys: f.place.Keys}
	if f != d.heads {
		p.Signer = &journal.Signer{Account: d.access.Root.Account, Key: d.signing}
	}
	return p
}

// written are the entries of one try.
type written struct {
	*change
	entries [][]byte
	heads   []journal.Head // of all folders that change
	unheld  []api.FolderHead
	pending map[*folder][][]byte // written, and not in the state yet
	ahead   []*folder            // whose state has entries already that nobody took
	fresh   []*folder            // new folders that are in it
}

// all writes the entries of all folders, and what heads are told of them.
func (w *written) all(ctx context.Context, intents []journal.Intent, first bool) error {
	w.pending = map[*folder][][]byte{}
	children := map[id.Folder]bool{}
	for _, in := range intents {
		if len(in.Ops) == 0 {
			continue
		}
		f := w.d.folders[in.Folder]
		if w.d.behind(f) {
			return api.HeadMoved // others changed it since it was read, and heads were read since
		}
		if err := w.folder(ctx, f, in.Ops, first); err != nil {
			return f.refused(err)
		}
		noteChildren(children, in.Ops)
	}
	for _, f := range w.made { // a parent stands before what is in it
		if !children[f.id] {
			continue // it has become void
		}
		noteChildren(children, w.ops[f])
		w.entries = append(w.entries, f.fresh...)
		w.heads = append(w.heads, f.state.Head())
		w.fresh = append(w.fresh, f)
	}
	if len(w.entries) == 0 {
		return nil
	}
	for _, f := range w.still() {
		if _, changes := w.pending[f]; !changes {
			h := f.state.Head()
			w.unheld = append(w.unheld, api.FolderHead{Folder: h.Folder, Seq: h.Seq, Hash: id.Bytes32(h.Hash)})
		}
	}
	return w.folder(ctx, w.d.heads, w.headOps(), first)
}

// still are the folders from those into which folders move up to the root: that they lie
// there is taken for granted, so that two moves cannot make a circle.
func (c *change) still() (all []*folder) {
	for _, f := range c.into {
		all = append(all, f.above()...)
	}
	return unique(all)
}

// behind tells whether heads know a later state of the folder than the one at hand.
func (d *Drive) behind(f *folder) bool {
	h, known := d.heads.state.HeadOf(f.id)
	return known && h.Seq > f.seq()
}

func noteChildren(children map[id.Folder]bool, ops []journal.Operation) {
	for i := range ops {
		if ops[i].Child != nil && ops[i].What == journal.OpPut {
			children[ops[i].Child.Folder] = true
		}
	}
}

func (w *written) headOps() (ops []journal.Operation) {
	for _, h := range w.heads {
		ops = append(ops, journal.HeadOf(h))
	}
	for _, f := range w.forget {
		if _, known := w.d.heads.state.HeadOf(f); known {
			ops = append(ops, journal.NoHeadOf(f))
		}
	}
	return ops
}

// folder writes the entries of one folder, with a checkpoint where one is due.
func (w *written) folder(ctx context.Context, f *folder, ops []journal.Operation, first bool) error {
	if _, err := f.present(); err != nil {
		return err
	}
	pen, chain := w.d.pen(f), f.state.Chain()
	for i, part := range parts(ops) {
		if i > 0 {
			if err := w.advance(f); err != nil {
				return err
			}
		}
		raw, err := w.entry(ctx, f, pen, part, first && i == 0)
		if err != nil {
			return err
		}
		if _, chain, err = chain.Check(raw); err != nil {
			return err
		}
		w.pending[f] = append(w.pending[f], raw)
		w.entries = append(w.entries, raw)
	}
	if f != w.d.heads {
		w.heads = append(w.heads, chain.Head())
	}
	return nil
}

// advance takes what was written into the state, so that the next entry can follow.
func (w *written) advance(f *folder) error {
	raws := w.pending[f]
	if !slices.Contains(w.ahead, f) {
		w.ahead = append(w.ahead, f)
	}
	_, err := f.state.Apply(raws[len(raws)-1], f.opener)
	return err
}

func (w *written) entry(ctx context.Context, f *folder, pen journal.Pen, ops []journal.Operation, checkpoint bool) ([]byte, error) {
	if !checkpoint || !f.state.WantsCheckpoint() {
		return f.state.Write(pen, ops...)
	}
	c, err := f.state.Checkpoint(f.place.Keys.Read)
	if err != nil {
		return nil, err
	}
	args := w.d.args()
	args.Path = map[string]string{"folder": f.id.String()}
	for pages := range slices.Chunk(c.Pages, api.MaxCheckpointPages) {
		var req api.CheckpointPages
		for _, page := range pages {
			req.Pages = append(req.Pages, id.Encoding.EncodeToString(page))
		}
		if _, err := patient(ctx, w.d, func() (api.Empty, error) { return api.KeepCheckpoint.Call(ctx, w.d.caller, args, req) }); err != nil {
			return nil, err
		}
	}
	return f.state.WriteCheckpoint(pen, c, ops...)
}

// send sends a commit until there is an answer to it: the same request is done once.
func (d *Drive) send(ctx context.Context, w *written) ([]api.Node, error) {
	req := api.CommitDriveRequest{Key: id.New[id.Commit](), Unchanged: w.unheld, Upload: w.upload, From: w.from}
	for _, raw := range w.entries {
		req.Entries = append(req.Entries, id.Encoding.EncodeToString(raw))
	}
	for _, raw := range w.grants {
		req.Grants = append(req.Grants, id.Encoding.EncodeToString(raw))
	}
	res, err := patient(ctx, d, func() (api.CommitDriveResponse, error) {
		return api.CommitDrive.Call(ctx, d.caller, d.args(), req)
	})
	if errors.Is(err, api.ErrUnreachable) {
		err = fmt.Errorf("%w: %w", ErrUnknown, err)
	}
	return res.Copies, err
}

// done takes what the server took into the states, and pins it.
func (w *written) done(ctx context.Context) error {
	for f, raws := range w.pending {
		rest := raws
		if slices.Contains(w.ahead, f) {
			rest = raws[len(raws)-1:]
		}
		for _, raw := range rest {
			if _, err := f.state.Apply(raw, f.opener); err != nil {
				return f.named(err)
			}
		}
		f.fresh = append(f.fresh, raws...)
	}
	for _, f := range w.fresh {
		f.round, f.gone, f.looked = w.d.round, false, true
		w.d.folders[f.id] = f
	}
	for _, gone := range w.forget {
		w.d.seen.pins.Forget(gone)
	}
	all := slices.Concat(w.fresh, []*folder{w.d.heads})
	for f := range w.pending {
		if f != w.d.heads {
			all = append(all, f)
		}
	}
	for _, f := range all {
		if err := w.d.pin(ctx, f); err != nil {
			return err
		}
	}
	return nil
}

// undo drops states that went ahead of what the server took.
func (w *written) undo() {
	for _, f := range w.ahead {
		f.forget()
	}
}

// rebase reads what others did and adapts what is left to do.
func (c *change) rebase(ctx context.Context, intents []journal.Intent) ([]journal.Intent, []journal.Notice, error) {
	d := c.d
	var all []*folder
	for _, f := range append(slices.Clone(c.order), c.into...) {
		all = append(all, f.above()...)
	}
	slices.Reverse(all) // the root first
	all = unique(all)
	if err := d.catchUp(ctx, all); err != nil {
		return nil, nil, err
	}
	for _, f := range all {
		if f.gone {
			return nil, nil, &Error{f.path, ErrNotFound}
		}
	}
	if err := c.locate(ctx); err != nil {
		return nil, nil, err
	}
	return journal.Rebase(intents, journal.World{
		State:  func(f id.Folder) *journal.State { return d.folders[f].state },
		Parent: d.parent,
		Reseal: c.reseal,
	})
}

// yield waits after a try that others were faster than. The wait does not grow for long:
// whoever waits has the more to read.
func yield(ctx context.Context, try int) error {
	return pause(ctx, time.Duration(min(try+1, 5))*4*time.Millisecond)
}

// maxCatchUps bounds how often a device reads again before it tries again.
const maxCatchUps = 4

// catchUp reads folders until hardly anybody was faster than the reading: whoever has
// many entries to verify first would lose to those who have one, again and again.
func (d *Drive) catchUp(ctx context.Context, all []*folder) error {
	for range maxCatchUps {
		d.round++
		before := d.heads.seq()
		if err := d.refresh(ctx, all...); err != nil {
			return err
		}
		if d.heads.seq()-before <= 2 {
			return nil
		}
	}
	return nil
}

func unique(all []*folder) (out []*folder) {
	seen := map[*folder]bool{}
	for _, f := range all {
		if !seen[f] {
			seen[f] = true
			out = append(out, f)
		}
	}
	return out
}

// locate finds where folders went that others moved, from which on a folder that this
// change moves would hang: the folder itself may be there, and then it must not go.
func (c *change) locate(ctx context.Context) error {
	for _, f := range c.into {
		for ; f.parent != nil; f = f.parent {
			if _, here := f.parent.state.Child(f.id); !here {
				return c.d.treeOf(ctx, c.d.root, true, func(*folder) error { return nil }) // everything learns its parent
			}
		}
	}
	return nil
}

// parent is where a folder lies now, as far as that was read.
func (d *Drive) parent(f id.Folder) (id.Folder, bool) {
	known := d.folders[f]
	if known == nil || known.parent == nil || known.parent.state == nil {
		return id.Folder{}, false
	}
	_, here := known.parent.state.Child(f)
	return known.parent.id, here
}

// reseal seals a child's keys for what the folder is by now.
func (c *change) reseal(state *journal.State, op journal.Operation, present *journal.Child) (journal.Child, error) {
	in := c.d.folders[state.Folder()]
	if i := slices.IndexFunc(c.made, func(f *folder) bool { return f.id == op.Child.Folder }); i >= 0 {
		return c.d.sealFor(in, c.made[i])
	}
	f, known := c.d.folders[op.Child.Folder]
	if !known || present != nil && present.Epoch != f.place.Epoch {
		return journal.Child{}, journal.ErrLocked
	}
	return c.d.sealFor(in, f)
}

// sealFor seals a folder's keys for another parent. Who does not administer both leaves
// the admin key where it is.
func (d *Drive) sealFor(parent, f *folder) (journal.Child, error) {
	place, admin, err := parent.sealing()
	if err != nil {
		return journal.Child{}, err
	}
	if f.place.Keys.Admin.IsZero() || place.Keys.Admin.IsZero() {
		if f.parent != nil && f.parent.state != nil {
			if e, ok := f.parent.state.Child(f.id); ok {
				return e.Child.Reseal(place, f.place.Keys)
			}
		}
		if f.place.Keys.Admin.IsZero() && f.anchor.Public.Admin != admin {
			return journal.Child{}, f.named(journal.ErrRight)
		}
	}
	return journal.SealChild(place, admin, f.place)
}
