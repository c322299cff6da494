package drive

import (
	"errors"
	"fmt"

	"holdfast/format/id"
	"holdfast/format/journal"
)

// verify checks everything that can be told from the commit and the chains that were
// found: signatures, and that the parts agree among themselves.
func (p *plan) verify() error {
	revisions, folders := 0, map[id.Folder]bool{}
	for _, folder := range p.named {
		folders[folder] = true
	}
	for _, ch := range p.changes {
		if err := p.verifyEntries(ch); err != nil {
			return err
		}
		revisions += len(ch.revisions.order)
		for _, child := range ch.children.order {
			folders[child] = true
		}
	}
	if revisions > maxRevisions || len(folders) > maxFolders {
		return fmt.Errorf("%w: a commit names %d revisions and %d folders, at most %d and %d allowed", ErrOverLimit, revisions, len(folders), maxRevisions, maxFolders)
	}
	if err := p.verifyTree(); err != nil {
		return err
	}
	if err := p.verifyGrants(); err != nil {
		return err
	}
	return p.admit(p.found) // now that it is known who signed
}

func (p *plan) verifyEntries(ch *change) error {
	chain := p.found[ch.folder].Chain
	chain.Folder = ch.folder
	for i := range ch.entries {
		e := &ch.entries[i]
		outer, next, err := chain.Check(e.raw)
		if err != nil {
			return refused(err)
		}
		e.next, chain = next, next
		ch.admin = ch.admin || outer.ByAdmin()
		if err := ch.revisions.note(outer.Added, outer.Dropped); err != nil {
			return err
		}
		if err := ch.children.note(outer.FoldersAdded, outer.FoldersDropped); err != nil {
			return err
		}
		if len(outer.Pages) > 0 {
			ch.checkpoint, ch.pages = outer.Seq, outer.Pages
		}
	}
	ch.after = chain
	return nil
}

// refused tells an entry that came too late, which is rebased and sent again, from one
// that never holds.
func refused(err error) error {
	if errors.Is(err, journal.Rollback) || errors.Is(err, journal.Fork) {
		return fmt.Errorf("%w: %w", ErrHeadMoved, err)
	}
	return fmt.Errorf("%w: %w", ErrEntry, err)
}

// verifyTree finds the place of every folder that gets another one: exactly one.
func (p *plan) verifyTree() error {
	for _, ch := range p.changes {
		for _, child := range ch.children.held() {
			if _, twice := p.dropped[child]; twice {
				return fmt.Errorf("%w: folder %s is taken from two folders", ErrEntry, child)
			}
			p.dropped[child] = ch.folder
		}
		for _, child := range ch.children.order {
			if !ch.children.steps[child].lastAdds {
				continue
			}
			if _, twice := p.parents[child]; twice {
				return fmt.Errorf("%w: folder %s would lie in two folders", ErrMisplaced, child)
			}
			p.parents[child] = ch.folder
		}
	}
	roots := map[id.Folder]bool{}
	for _, root := range p.Roots {
		if _, inside := p.parents[root]; inside || roots[root] {
			return fmt.Errorf("%w: root %s lies in another folder, or is named twice", ErrMisplaced, root)
		}
		roots[root] = true
	}
	for _, ch := range p.changes {
		if _, inside := p.parents[ch.folder]; ch.fresh && !inside && !roots[ch.folder] {
			return fmt.Errorf("%w: new folder %s lies in no other and is no root", ErrMisplaced, ch.folder)
		}
		for _, child := range ch.children.added() {
			from, moved := p.dropped[child]
			fresh := p.of[child] != nil && p.of[child].fresh
			if !fresh && (!moved || from == ch.folder) {
				return fmt.Errorf("%w: folder %s, which no other folder of this commit gives away", ErrFolderExists, child)
			}
		}
	}
	return nil
}

// anchor is the existing folder under which a new one lies, through others that are
// new; none for one that lies in a new root.
func (p *plan) anchor(folder id.Folder) (at id.Folder, exists bool, err error) {
	for range len(p.changes) + 1 {
		if ch := p.of[folder]; ch == nil || !ch.fresh {
			return folder, true, nil
		}
		parent, inside := p.parents[folder]
		if !inside {
			return folder, false, nil
		}
		folder = parent
	}
	return folder, false, fmt.Errorf("%w: new folder %s lies in itself", ErrMisplaced, folder)
}

// verifyGrants checks them under the keys in which the commit leaves the folders. That
// their serials are the newest is seen when they are stored.
func (p *plan) verifyGrants() error {
	for _, g := range p.grants {
		chain := p.found[g.Folder].Chain
		if ch := p.of[g.Folder]; ch != nil {
			chain = ch.after
		}
		if _, err := journal.OpenGrant(g.Raw, chain, func(journal.Subject) int64 { return 0 }); err != nil {
			return fmt.Errorf("%w: %w", ErrGrant, err)
		}
		if g.Account == nil || g.File != nil {
			return fmt.Errorf("%w: this service takes grants of folders to accounts", ErrGrant)
		}
	}
	return nil
}
