package transfer

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"holdfast/api"
	"holdfast/format/descriptor"
	"holdfast/format/id"
	"holdfast/format/journal"
)

// ErrEmpty: a link to a folder in which nothing is yet.
var ErrEmpty = errors.New("the folder that the link opens is empty")

// maxLinkFolders bounds the folders that a link is followed into, as a bundle's are.
const maxLinkFolders = 1 << 18

// unanswered is the error of a call, which says nothing of what was shared.
type unanswered struct{ error }

// Unwrap is the call's error.
func (u unanswered) Unwrap() error { return u.error }

// maxWaiting bounds what is held of a journal that cannot be applied yet, in bytes: those
// who write a folder make checkpoints long before.
const maxWaiting = 256 << 20

// shelf is a folder below a link, or the link's own.
type shelf struct {
	path   string // below the link's folder; "" is that
	anchor journal.Anchor
	opener *journal.Opener
	state  *journal.State
	seen   journal.Head // that the sharer saw; zero for those below
	// Of a folder whose keys were changed nothing can be applied before all that has no
	// checkpoint yet is there: the keys of earlier epochs stand in later entries.
	waiting [][]byte
	held    int // bytes of those
	pages   []id.Bytes32
}

// Folder tells whether the link opens a folder, of which Entries are empty until Start
// was called and Tree has read it.
func (s *Share) Folder() bool { return s.folderOf != nil }

// Tree reads the folder of a link, and all below it, as they are now. The download must
// have been started. Every journal is verified against the keys that came with the link
// or in its parent's journal.
func (s *Share) Tree(ctx context.Context) error {
	if s.folderOf == nil {
		return nil
	}
	for try := 1; ; try++ {
		err := s.tree(ctx)
		moved := errors.Is(err, journal.Missing) || errors.Is(err, journal.ErrLocked)
		if !moved || try == treeTries {
			return err
		}
	}
}

// treeTries is how often the tree is read: a folder that was moved away, or got other
// keys, after its parent was read is not there any more, and nobody lied.
const treeTries = 3

func (s *Share) tree(ctx context.Context) error {
	f := s.folderOf
	root := &shelf{
		anchor: journal.Anchor{Folder: f.ID, Epoch: f.Epoch, Public: journal.Public{Write: journal.PublicKey(f.Write), Admin: journal.PublicKey(f.Admin)}},
		opener: journal.NewOpener(f.Epoch, journal.ReadKey(f.Read)),
		seen:   journal.Head{Folder: f.ID, Seq: f.Seq, Hash: journal.Hash(f.Hash)},
	}
	var entries []descriptor.Descriptor
	met := map[id.Folder]bool{f.ID: true}
	for level := []*shelf{root}; len(level) > 0; {
		n := min(len(level), api.MaxFolders)
		if err := s.readShelves(ctx, level[:n]); err != nil {
			return err
		}
		next := level[n:]
		for _, at := range level[:n] {
			below, err := at.list(&entries)
			if err != nil {
				return err
			}
			for _, b := range below {
				if met[b.anchor.Folder] || len(met) >= maxLinkFolders {
					return integrity(fmt.Errorf("a folder that lies in two, or more than %d", maxLinkFolders))
				}
				met[b.anchor.Folder] = true
			}
			next = append(next, below...)
		}
		level = next
	}
	if len(entries) == 0 {
		return ErrEmpty
	}
	b, err := descriptor.NewBundle(f.Name, entries)
	if err != nil {
		return fmt.Errorf("the folder cannot be received as a whole: %w", err)
	}
	s.Entries, s.Title, s.Bundle = b.Entries, b.Title, true
	return nil
}

// list adds what the folder has to entries, and finds the folders in it.
func (f *shelf) list(entries *[]descriptor.Descriptor) (below []*shelf, err error) {
	for _, e := range f.state.List() {
		about := *e.Descriptor
		about.Versions = nil
		if f.path != "" {
			about.Path = f.path + "/" + about.Path
		}
		*entries = append(*entries, about)
		if e.Child == nil {
			continue
		}
		key, err := f.opener.Key(e.Child.Parent)
		if err != nil {
			return nil, integrity(err)
		}
		keys, err := e.Child.Open(journal.Place{Folder: f.anchor.Folder, Epoch: e.Child.Parent, Keys: journal.Keys{Read: key}})
		if err != nil {
			return nil, integrity(err)
		}
		below = append(below, &shelf{path: about.Path, anchor: e.Child.Anchor(), opener: journal.NewOpener(e.Child.Epoch, keys.Read)})
	}
	return below, nil
}

// readShelves reads folders to their end.
func (s *Share) readShelves(ctx context.Context, all []*shelf) error {
	for len(all) > 0 {
		parts, err := s.askFolders(ctx, all)
		if err != nil {
			return err
		}
		var more []*shelf
		for i, f := range all {
			if err := s.take(ctx, f, parts[i]); err != nil {
				return err
			}
			if parts[i].More {
				more = append(more, f)
			}
		}
		all = more
	}
	return nil
}

// seq of the last entry that is there.
func (f *shelf) seq() int64 {
	if f.state != nil {
		return f.state.Head().Seq
	}
	if len(f.waiting) == 0 {
		return 0
	}
	_, seq, err := journal.Claimed(f.waiting[len(f.waiting)-1])
	if err != nil {
		return 0 // applying it will say so
	}
	return seq
}

// complete tells whether these entries may be applied, with those that waited.
func (f *shelf) complete(part api.FolderPart, raws [][]byte) ([][]byte, bool) {
	if f.state != nil || f.anchor.Epoch == 1 {
		f.pages = part.Pages
		return raws, true
	}
	if len(f.waiting) == 0 {
		f.pages = part.Pages
	}
	f.waiting = append(f.waiting, raws...)
	for _, raw := range raws {
		f.held += len(raw)
	}
	if part.More {
		return nil, false
	}
	raws, f.waiting = f.waiting, nil
	f.opener.LearnFrom(raws)
	return raws, true
}

func (s *Share) askFolders(ctx context.Context, all []*shelf) ([]api.FolderPart, error) {
	req := api.LinkFoldersRequest{Session: s.Session()}
	for _, f := range all {
		req.Folders = append(req.Folders, api.FolderPoint{Folder: f.anchor.Folder, After: f.seq()})
	}
	res, err := retry(ctx, s.c, s.c.patience(), func(ctx context.Context) (api.ReadFoldersResponse, error) {
		return api.LinkFolders.Call(ctx, s.c.caller(), handleArgs(s.link.Handle), req)
	})
	if err != nil {
		return nil, err
	}
	if len(res.Folders) != len(all) {
		return nil, fmt.Errorf("%w (folders are missing)", ErrAnswer)
	}
	for i, f := range all {
		if res.Folders[i].Folder != f.anchor.Folder {
			return nil, fmt.Errorf("%w (another folder)", ErrAnswer)
		}
	}
	return res.Folders, nil
}

// take verifies and applies what the server gave of a folder.
func (s *Share) take(ctx context.Context, f *shelf, part api.FolderPart) error {
	name := f.path
	if name == "" {
		name = s.folderOf.Name
	}
	bad := func(err error) error {
		if open := (unanswered{}); errors.As(err, &open) {
			return open.error
		}
		if errors.Is(err, journal.ErrLocked) {
			return fmt.Errorf("%s: its keys were changed since the link was made: ask for a new link (%w)", descriptor.Display(name), err)
		}
		return integrity(fmt.Errorf("folder %s: %w", descriptor.Display(name), err))
	}
	if part.Missing {
		return bad(fmt.Errorf("%w: the server says that there is none", journal.Missing))
	}
	raws := make([][]byte, len(part.Entries))
	for i, text := range part.Entries {
		var err error
		if raws[i], err = id.Encoding.DecodeString(text); err != nil {
			return bad(err)
		}
	}
	if part.More && len(raws) == 0 {
		return bad(fmt.Errorf("%w: entries are to follow, and none does", journal.Gap))
	}
	before := f.seq()
	raws, all := f.complete(part, raws)
	if !all {
		if f.seq() <= before || f.held > maxWaiting {
			return bad(fmt.Errorf("%w: entries that lead nowhere", journal.Gap))
		}
		return nil
	}
	if f.state == nil {
		if err := s.beginShelf(ctx, f, f.pages, raws); err != nil {
			return bad(err)
		}
	}
	for _, raw := range raws {
		outer, err := f.state.Apply(raw, f.opener)
		if err != nil {
			return bad(err)
		}
		if outer.Seq == f.seen.Seq {
			if err := f.seen.Against(outer.Head()); err != nil {
				return bad(err)
			}
		}
	}
	if part.More {
		return nil
	}
	now := f.state.Head()
	if err := now.Against(journal.Head{Folder: now.Folder, Seq: part.Seq, Hash: journal.Hash(part.Hash)}); err != nil {
		return bad(err)
	}
	if part.Seq > now.Seq {
		return bad(fmt.Errorf("%w: entry %d is said to be the last", journal.Gap, part.Seq))
	}
	if err := f.state.Hold(f.anchor); err != nil {
		return bad(err)
	}
	if f.seen.Seq > 0 {
		if err := f.seen.Against(now); err != nil {
			return bad(err)
		}
	}
	return nil
}

// beginShelf is a folder's state before its entries: its newest checkpoint, or nothing. A
// checkpoint that lies after what the sharer saw is held against it.
func (s *Share) beginShelf(ctx context.Context, f *shelf, pages []id.Bytes32, raws [][]byte) error {
	if len(pages) == 0 {
		f.state = journal.Begin(f.anchor)
		return nil
	}
	if len(raws) == 0 {
		return fmt.Errorf("%w: the entry that names the checkpoint", journal.Missing)
	}
	state, err := journal.Load(f.anchor, raws[0], f.opener, func(hash journal.Hash) ([]byte, error) { return s.page(ctx, f, hash) })
	if err != nil {
		return err
	}
	f.state = state
	if f.seen.Seq == 0 || f.seen.Seq >= state.Head().Seq {
		return nil
	}
	return s.bridge(ctx, f, f.seen, state.Head())
}

func (s *Share) page(ctx context.Context, f *shelf, hash journal.Hash) ([]byte, error) {
	args := handleArgs(s.link.Handle)
	args.Path["folder"] = f.anchor.Folder.String()
	res, err := retry(ctx, s.c, s.c.patience(), func(ctx context.Context) (api.CheckpointPages, error) {
		return api.LinkCheckpoint.Call(ctx, s.c.caller(), args, api.LinkCheckpointRequest{Session: s.Session(), Pages: []id.Bytes32{id.Bytes32(hash)}})
	})
	if err != nil {
		return nil, unanswered{err}
	}
	if len(res.Pages) != 1 {
		return nil, fmt.Errorf("%w (a page of the checkpoint)", ErrAnswer)
	}
	return id.Encoding.DecodeString(res.Pages[0])
}

// bridge checks that the journal leads from one entry to a later one.
func (s *Share) bridge(ctx context.Context, f *shelf, from, to journal.Head) error {
	for at := from; at.Seq < to.Seq; {
		req := api.LinkFoldersRequest{Session: s.Session(), Folders: []api.FolderPoint{{Folder: f.anchor.Folder, After: at.Seq}}}
		res, err := retry(ctx, s.c, s.c.patience(), func(ctx context.Context) (api.ReadFoldersResponse, error) {
			return api.LinkFolders.Call(ctx, s.c.caller(), handleArgs(s.link.Handle), req)
		})
		if err != nil {
			return unanswered{err}
		}
		if len(res.Folders) != 1 || len(res.Folders[0].Entries) == 0 {
			return fmt.Errorf("%w: the entries from %d to %d", journal.Gap, from.Seq, to.Seq)
		}
		var raws [][]byte
		for _, text := range res.Folders[0].Entries {
			raw, err := id.Encoding.DecodeString(text)
			if err != nil {
				return err
			}
			if raws = append(raws, raw); at.Seq+int64(len(raws)) == to.Seq {
				break
			}
		}
		next := journal.Head{Folder: to.Folder, Seq: at.Seq + int64(len(raws)), Hash: sha256.Sum256(raws[len(raws)-1])}
		if err := journal.Bridge(at, raws, next); err != nil {
			return err
		}
		if next.Seq == to.Seq {
			return to.Against(next)
		}
		at = next
	}
	return nil
}
