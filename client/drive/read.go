package drive

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"holdfast/api"
	"holdfast/format/id"
	"holdfast/format/journal"
)

// refresh brings folders, and heads, up to date: one request for each api.MaxFolders-1
// of them that were not read in this round. What the server says does not exist is
// marked gone.
func (d *Drive) refresh(ctx context.Context, folders ...*folder) error {
	var stale []*folder
	for _, f := range folders {
		if f.round != d.round && f != d.heads {
			stale = append(stale, f)
		}
	}
	if len(stale) == 0 && d.heads.round != d.round {
		return d.read(ctx, nil)
	}
	for len(stale) > 0 {
		n := min(len(stale), api.MaxFolders-1)
		if err := d.read(ctx, stale[:n]); err != nil {
			return err
		}
		stale = stale[n:]
	}
	return nil
}

// read reads heads and folders until there is no more of them. Heads are those of the
// same moment as what is read of each folder, or older: so nothing honest lies before them.
func (d *Drive) read(ctx context.Context, folders []*folder) error {
	for _, f := range append([]*folder{d.heads}, folders...) {
		if err := d.look(f); err != nil {
			return err
		}
	}
	for {
		parts, err := d.ask(ctx, append([]*folder{d.heads}, folders...))
		if err != nil {
			return err
		}
		if err := d.receive(ctx, d.heads, parts[0]); err != nil {
			return err
		}
		if parts[0].More {
			continue // heads first, to their end; then all from one moment
		}
		var more []*folder
		for i, f := range folders {
			if err := d.receive(ctx, f, parts[i+1]); err != nil {
				return err
			}
			if parts[i+1].More {
				more = append(more, f)
			}
		}
		if folders = more; len(folders) == 0 {
			return nil
		}
	}
}

// receive takes in what the server gave of a folder. After a fault nothing of it is
// kept in memory, nor on disk what it had not verified before.
func (d *Drive) receive(ctx context.Context, f *folder, part api.FolderPart) error {
	err := d.take(ctx, f, part)
	if err == nil && !part.More {
		err = d.settle(ctx, f, part)
	}
	if err != nil {
		f.forget()
	}
	return err
}

// look loads a folder from the cache, once.
func (d *Drive) look(f *folder) error {
	if f.looked || f.state != nil {
		return nil
	}
	f.looked = true
	err := d.store.read(f)
	if err == nil && f.state != nil {
		if pin, known := d.seen.pins.Get(f.id); known && pin.Seq == f.seq() && pin.Hash != f.state.Head().Hash {
			err = errCache
		}
	}
	if err == nil || errors.Is(err, journal.ErrLocked) {
		return nil
	}
	if d.Warn != nil {
		d.Warn(fmt.Sprintf("what was kept of %s on this machine was changed or is damaged, and is not used: %v", f.path, err))
	}
	f.state, f.kept = nil, mark{}
	return d.store.drop(f.id)
}

func (d *Drive) args() api.Args { return api.Args{Secret: d.access.Token.String()} }

// ask sends one request.
func (d *Drive) ask(ctx context.Context, folders []*folder) ([]api.FolderPart, error) {
	var req api.ReadFoldersRequest
	for _, f := range folders {
		req.Folders = append(req.Folders, api.FolderPoint{Folder: f.id, After: f.seq()})
	}
	res, err := patient(ctx, d, func() (api.ReadFoldersResponse, error) {
		return api.ReadFolders.Call(ctx, d.caller, d.args(), req)
	})
	if err != nil {
		return nil, err
	}
	if len(res.Folders) != len(folders) {
		return nil, ErrAnswer
	}
	for i, f := range folders {
		if res.Folders[i].Folder != f.id {
			return nil, ErrAnswer
		}
	}
	return res.Folders, nil
}

// take verifies and applies what the server gave of a folder.
func (d *Drive) take(ctx context.Context, f *folder, part api.FolderPart) error {
	if part.Missing {
		return nil
	}
	raws := make([][]byte, len(part.Entries))
	for i, text := range part.Entries {
		raw, err := id.Encoding.DecodeString(text)
		if err != nil {
			return f.alarm(journal.Encoding, "not base64url text")
		}
		raws[i] = raw
	}
	if part.More && len(raws) == 0 {
		return f.alarm(journal.Gap, "entries are to follow, and none does")
	}
	marks := d.marks(f)
	if err := d.learn(ctx, f, raws, part.More); err != nil {
		return err
	}
	if f.state == nil {
		if err := d.begin(ctx, f, part.Pages, raws, marks); err != nil {
			return f.named(err)
		}
	}
	for _, raw := range raws {
		outer, err := f.state.Apply(raw, f.opener)
		if err != nil {
			return f.named(err)
		}
		f.fresh = append(f.fresh, raw)
		for _, m := range marks {
			if m.Seq == outer.Seq {
				if err := m.Against(outer.Head()); err != nil {
					return f.named(err)
				}
			}
		}
	}
	return nil
}

// marks are what the folder is held against: the pin, and what heads know.
func (d *Drive) marks(f *folder) (all []journal.Head) {
	if pin, known := d.seen.pins.Get(f.id); known {
		all = append(all, pin)
	}
	if f == d.heads || d.heads.state == nil {
		return all
	}
	if h, known := d.heads.state.HeadOf(f.id); known {
		all = append(all, h)
	}
	return all
}

// learn finds the read keys of earlier epochs, for who was let in later or missed some:
// each entry that begins an epoch has the one before.
func (d *Drive) learn(ctx context.Context, f *folder, raws [][]byte, more bool) error {
	have := int64(0)
	if f.state != nil {
		have = f.state.Epoch()
	}
	if f.place.Epoch <= have+1 || len(raws) == 0 {
		return nil
	}
	for all := raws; ; {
		if !more {
			f.opener.LearnFrom(all)
			return nil
		}
		_, seq, err := journal.Claimed(all[len(all)-1])
		if err != nil {
			return f.named(err)
		}
		part, err := d.after(ctx, f, seq)
		if err != nil {
			return err
		}
		for _, text := range part.Entries {
			raw, err := id.Encoding.DecodeString(text)
			if err != nil {
				return f.alarm(journal.Encoding, "not base64url text")
			}
			all = append(all, raw)
		}
		more = part.More && len(part.Entries) > 0
	}
}

// after is what the server gives of a folder behind an entry.
func (d *Drive) after(ctx context.Context, f *folder, seq int64) (api.FolderPart, error) {
	res, err := patient(ctx, d, func() (api.ReadFoldersResponse, error) {
		return api.ReadFolders.Call(ctx, d.caller, d.args(), api.ReadFoldersRequest{Folders: []api.FolderPoint{{Folder: f.id, After: seq}}})
	})
	if err == nil && len(res.Folders) != 1 {
		err = ErrAnswer
	}
	if err != nil {
		return api.FolderPart{}, err
	}
	return res.Folders[0], nil
}

// begin is the state of a folder of which nothing is known: from its newest checkpoint,
// or from nothing. A checkpoint beyond what was seen is held against it.
func (d *Drive) begin(ctx context.Context, f *folder, pages []id.Bytes32, raws [][]byte, marks []journal.Head) error {
	if len(pages) == 0 {
		f.state = journal.Begin(f.anchor)
		return nil
	}
	if len(raws) == 0 {
		return f.alarm(journal.Missing, "the entry that names the checkpoint")
	}
	fetched := map[journal.Hash][]byte{}
	state, err := journal.Load(f.anchor, raws[0], f.opener, func(hash journal.Hash) ([]byte, error) {
		if _, here := fetched[hash]; !here {
			if err := d.fetch(ctx, f, pages, hash, fetched); err != nil {
				return nil, err
			}
		}
		page := fetched[hash]
		delete(fetched, hash)
		return page, nil
	})
	if err != nil {
		return err
	}
	for _, m := range marks {
		if m.Seq < state.Head().Seq {
			if err := d.bridge(ctx, f, m, state.Head()); err != nil {
				return err
			}
		}
	}
	f.state = state
	return nil
}

// fetch fetches the page of that hash and the ones behind it, as many as one request gives.
func (d *Drive) fetch(ctx context.Context, f *folder, pages []id.Bytes32, hash journal.Hash, into map[journal.Hash][]byte) error {
	from := 0
	for from < len(pages) && journal.Hash(pages[from]) != hash {
		from++
	}
	if from == len(pages) {
		return f.alarm(journal.BadCheckpoint, "the server names other pages than the entry")
	}
	want := pages[from:min(len(pages), from+api.MaxCheckpointPages)]
	args := d.args()
	args.Path = map[string]string{"folder": f.id.String()}
	res, err := patient(ctx, d, func() (api.CheckpointPages, error) {
		return api.ReadCheckpoint.Call(ctx, d.caller, args, api.ReadCheckpointRequest{Pages: want})
	})
	switch {
	case errors.Is(err, api.NotFound):
		return f.alarm(journal.Missing, "pages of the checkpoint")
	case err != nil:
		return err
	case len(res.Pages) != len(want):
		return ErrAnswer
	}
	for i, text := range res.Pages {
		page, err := id.Encoding.DecodeString(text)
		if err != nil {
			return f.alarm(journal.BadCheckpoint, "not base64url text")
		}
		into[journal.Hash(want[i])] = page
	}
	return nil
}

// bridge checks that the journal leads from a place that was seen to a later one that
// the folder's state stands at. It keeps nothing of what it reads.
func (d *Drive) bridge(ctx context.Context, f *folder, from, to journal.Head) error {
	at := from
	for at.Seq < to.Seq {
		res, err := patient(ctx, d, func() (api.ReadFoldersResponse, error) {
			return api.ReadFolders.Call(ctx, d.caller, d.args(), api.ReadFoldersRequest{Folders: []api.FolderPoint{{Folder: f.id, After: at.Seq}}})
		})
		if err != nil {
			return err
		}
		if len(res.Folders) != 1 || len(res.Folders[0].Entries) == 0 {
			return f.alarm(journal.Gap, "the entries from %d on, which was seen, to %d", from.Seq, to.Seq)
		}
		var raws [][]byte
		for _, text := range res.Folders[0].Entries {
			raw, err := id.Encoding.DecodeString(text)
			if err != nil {
				return f.alarm(journal.Encoding, "not base64url text")
			}
			if raws = append(raws, raw); at.Seq+int64(len(raws)) == to.Seq {
				break
			}
		}
		next := journal.Head{Folder: f.id, Seq: at.Seq + int64(len(raws)), Hash: sha256.Sum256(raws[len(raws)-1])}
		if err := journal.Bridge(at, raws, next); err != nil {
			return err
		}
		at = next
	}
	return to.Against(at)
}

// settle holds a folder, of which the server has given all that it says it has, against
// what the server says, the parent's journal, the pin and the heads; then it is pinned.
func (d *Drive) settle(ctx context.Context, f *folder, part api.FolderPart) error {
	f.round, f.gone = d.round, part.Missing
	if f != d.heads && !part.Missing && d.heads.gone {
		return d.heads.alarm(journal.Missing, "%s is there", f.path)
	}
	if part.Missing {
		if f.shared {
			return nil // it is taken back at any time
		}
		if f.state != nil && f.parent == nil {
			return f.alarm(journal.Missing, "entry %d was seen", f.seq())
		}
		for _, m := range d.marks(f) {
			if f.parent == nil {
				return f.alarm(journal.Missing, "entry %d was seen", m.Seq)
			}
		}
		return nil // of others, the parent tells
	}
	if f.state == nil {
		return f.alarm(journal.Missing, "there is no entry")
	}
	now := f.state.Head()
	switch claimed := (journal.Head{Folder: f.id, Seq: part.Seq, Hash: journal.Hash(part.Hash)}); {
	case claimed.Seq > now.Seq:
		return f.alarm(journal.Gap, "entry %d is said to be the last, and is not given", claimed.Seq)
	default:
		if err := now.Against(claimed); err != nil {
			return f.named(err)
		}
	}
	if err := f.state.Hold(f.anchor); err != nil {
		return f.named(err)
	}
	for _, m := range d.marks(f) {
		if err := m.Against(now); err != nil {
			return f.named(err)
		}
	}
	return d.pin(ctx, f)
}

// pin notes what was seen of a folder. Heads that lie before it, and that it was never
// held against, are bridged: a state of this machine's own says nothing of them.
func (d *Drive) pin(ctx context.Context, f *folder) error {
	now := f.state.Head()
	if f != d.heads && d.heads.state != nil {
		if h, known := d.heads.state.HeadOf(f.id); known {
			held, was := d.seen.held.Get(f.id)
			if h != held && h.Seq < now.Seq && !f.passed(h) {
				if err := d.bridge(ctx, f, h, now); err != nil {
					return f.named(err)
				}
			}
			if !was || h.Seq > held.Seq {
				if err := d.seen.held.Set(h); err != nil {
					return f.named(err)
				}
			}
		}
	}
	if pin, known := d.seen.pins.Get(f.id); !known || pin != now {
		if err := d.seen.pins.Set(now); err != nil {
			return f.named(err)
		}
		d.unsaved = true
	}
	return nil
}

// passed tells whether h is a place that the state was led through since it was loaded:
// it was compared there.
func (f *folder) passed(h journal.Head) bool {
	return h.Seq > f.seq()-int64(len(f.fresh))
}
