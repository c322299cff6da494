package drive

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"slices"

	"holdfast/format/id"
	"holdfast/format/journal"
	"holdfast/format/wire"
	"holdfast/server/internal/upload"
)

// Commit is one change of a drive.
type Commit struct {
	Key       id.Commit      `cbor:"1,keyasint"`
	Unchanged []journal.Head `cbor:"2,keyasint"`
	// Entries are envelopes, those of one folder in their sequence.
	Entries [][]byte    `cbor:"3,keyasint"`
	Roots   []id.Folder `cbor:"4,keyasint"`
	Grants  [][]byte    `cbor:"5,keyasint"`
	Upload  *Upload     `cbor:"6,keyasint"`
	// From are links whose revisions entries may refer to.
	From []Source `cbor:"7,keyasint,omitempty"`
}

// Upload is the upload that a commit closes: Pages staged pages, and the last one.
type Upload struct {
	ID     id.Upload   `cbor:"1,keyasint"`
	Secret string      `cbor:"2,keyasint"`
	Pages  int         `cbor:"3,keyasint"`
	Page   upload.Page `cbor:"4,keyasint"`
}

// Done is the answer to a commit.
type Done struct {
	// Holders are the nodes that hold the upload's blobs.
	Holders []id.Node `cbor:"1,keyasint"`
}

// maxDone bounds a stored answer: 64 nodes take little more than a kilobyte.
const maxDone = 4 << 10

func (c *Commit) digest() []byte {
	sum := sha256.Sum256(wire.Marshal(c))
	return sum[:]
}

// Commit makes the whole change visible, or nothing of it. The same commit again gets
// the same answer. It returns the members that hold the upload's blobs.
func (s *Service) Commit(ctx context.Context, account id.Account, c *Commit) ([]upload.Node, error) {
	done, err := s.commit(ctx, account, c)
	if err != nil {
		return nil, fmt.Errorf("commit: %w", err)
	}
	nodes, err := s.uploads.Named(ctx, done.Holders)
	if err != nil {
		return nil, fmt.Errorf("commit: %w", err)
	}
	return nodes, nil
}

func (s *Service) commit(ctx context.Context, account id.Account, c *Commit) (Done, error) {
	if c.Key.IsZero() || len(c.Entries)+len(c.Grants) == 0 {
		return Done{}, fmt.Errorf("%w: a commit without a key, or of nothing", ErrRequest)
	}
	p, err := c.plan()
	if err != nil {
		return Done{}, err
	}
	// Signatures are checked before the transaction, which holds up every other writer
	// of the drive: against chains that it then finds as they were, or fails.
	a, answered, err := s.look(ctx, account, p)
	if err != nil {
		return Done{}, err
	}
	if answered {
		return p.answered(a)
	}
	if err := p.verify(); err != nil {
		return Done{}, err
	}
	var closing *upload.Closing
	if u := c.Upload; u != nil {
		if closing, err = s.uploads.Closing(ctx, account, u.ID, u.Secret, u.Pages, &u.Page); err != nil {
			return Done{}, err
		}
	}
	var done Done
	err = s.store.CommitDrive(ctx, account, func(tx Tx) error {
		t := &turn{tx: tx, plan: p, day: s.today(), now: s.now().Unix(), quota: s.quota, journals: s.journals()}
		done, err = t.run(ctx, closing)
		return err
	})
	return done, err
}

// look reads what the commit is about, as it stands now.
func (s *Service) look(ctx context.Context, account id.Account, p *plan) (a Answer, answered bool, err error) {
	err = s.store.ReadDrive(ctx, account, func(r Reader) error {
		if a, answered, err = r.Answer(ctx, p.Key); err != nil || answered {
			return err
		}
		have := make(map[id.Folder]Folder, len(p.named))
		for _, wanted := range p.named {
			f, known, err := r.Folder(ctx, wanted)
			if err != nil {
				return err
			}
			if known {
				have[wanted] = f
			}
		}
		p.found = have
		return p.admit(have)
	})
	return a, answered, err
}

// plan is a commit whose parts were read. After verify it is not changed any more.
type plan struct {
	*Commit
	digest []byte
	// named are all folders that the commit is about, in the order of their ids.
	named []id.Folder
	// changes are the folders that get entries, in the order in which those came.
	changes []*change
	of      map[id.Folder]*change
	grants  []Grant
	// parents are the folders into which others are put, dropped those taken from one.
	parents map[id.Folder]id.Folder
	dropped map[id.Folder]id.Folder
	// found are the folders as they stood before; a chain that moved since fails.
	found map[id.Folder]Folder
}

// change is what a commit does to one folder.
type change struct {
	folder id.Folder
	// fresh: its first entry is in this commit.
	fresh   bool
	entries []entry
	// admin: a part of it takes the admin role.
	admin      bool
	after      journal.Chain
	revisions  effect[id.Revision]
	children   effect[id.Folder]
	bytes      int64
	checkpoint int64 // seq of the last entry that names one, 0 for none
	pages      []journal.Hash
}

type entry struct {
	raw  []byte
	next journal.Chain // with it as its end
}

// plan reads the parts of a commit. Nothing in them is believed yet.
func (c *Commit) plan() (*plan, error) {
	p := &plan{
		Commit: c, digest: c.digest(), of: map[id.Folder]*change{},
		parents: map[id.Folder]id.Folder{}, dropped: map[id.Folder]id.Folder{},
	}
	for _, raw := range c.Entries {
		folder, seq, err := journal.Claimed(raw)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrEntry, err)
		}
		ch := p.of[folder]
		if ch == nil {
			ch = &change{folder: folder, fresh: seq == 1}
			p.of[folder] = ch
			p.changes = append(p.changes, ch)
		}
		ch.entries = append(ch.entries, entry{raw: raw})
		ch.bytes += int64(len(raw))
	}
	for _, raw := range c.Grants {
		g, err := journal.ClaimedGrant(raw)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrGrant, err)
		}
		p.grants = append(p.grants, Grant{Grant: g, Raw: raw})
	}
	if len(c.Roots) > maxRoots {
		return nil, fmt.Errorf("%w: %d roots, at most %d", ErrOverLimit, len(c.Roots), maxRoots)
	}
	if len(c.From) > maxSources {
		return nil, fmt.Errorf("%w: %d links to save from, at most %d", ErrOverLimit, len(c.From), maxSources)
	}
	return p, p.name()
}

// name lists the folders. Those below are added by verify, which knows them: children
// that are neither new nor dropped here are refused before they are looked up.
func (p *plan) name() error {
	seen := map[id.Folder]bool{}
	for _, ch := range p.changes {
		seen[ch.folder] = true
	}
	for _, g := range p.grants {
		seen[g.Folder] = true
	}
	for _, h := range p.Unchanged {
		seen[h.Folder] = true
	}
	for _, root := range p.Roots {
		if ch := p.of[root]; ch == nil || !ch.fresh {
			return fmt.Errorf("%w: root %s is not begun here", ErrMisplaced, root)
		}
	}
	for folder := range seen {
		p.named = append(p.named, folder)
	}
	slices.SortFunc(p.named, func(a, b id.Folder) int { return bytes.Compare(a[:], b[:]) })
	if len(p.named) > maxFolders {
		return fmt.Errorf("%w: %d folders in one commit, at most %d", ErrOverLimit, len(p.named), maxFolders)
	}
	return nil
}

// admit tells whether the caller may do what the plan does, and whether everything that
// it builds on is still so: have are the folders as they stand.
func (p *plan) admit(have map[id.Folder]Folder) error {
	for _, h := range p.Unchanged {
		f := have[h.Folder]
		if err := may(f, journal.Reads, h.Folder); err != nil {
			return err
		}
		if f.Chain.Head() != h {
			return fmt.Errorf("%w: folder %s", ErrHeadMoved, h.Folder)
		}
	}
	for _, ch := range p.changes {
		f, known := have[ch.folder]
		if ch.fresh {
			if known {
				return fmt.Errorf("%w: folder %s", ErrFolderExists, ch.folder)
			}
			continue // that its place may be written is seen once that is known
		}
		role := journal.Writes
		if ch.admin {
			role = journal.Admins
		}
		if err := may(f, role, ch.folder); err != nil {
			return err
		}
	}
	for _, g := range p.grants {
		if ch := p.of[g.Folder]; ch != nil && ch.fresh {
			continue
		}
		if err := may(have[g.Folder], journal.Admins, g.Folder); err != nil {
			return err
		}
	}
	return nil
}

// answered is the answer to a commit whose key was used.
func (p *plan) answered(a Answer) (Done, error) {
	if !bytes.Equal(a.Digest, p.digest) {
		return Done{}, ErrConflict
	}
	var done Done
	if err := wire.Unmarshal(a.Answer, maxDone, &done); err != nil {
		return Done{}, fmt.Errorf("read answer: %w", err)
	}
	return done, nil
}
