package drive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"holdfast/format/id"
	"holdfast/format/journal"
	"holdfast/server/internal/share"
	"holdfast/server/internal/upload"
)

// Limits of docs/protocol.md, "Drive".
const (
	// maxLinks is how many links of an account live at once.
	maxLinks = 4096
	// maxLinkRevisions is how many revisions a link to a file opens: the file, its
	// thumbnail, and some versions.
	maxLinkRevisions = 16
	// maxOwn is what the server keeps of a link for its owner, sealed.
	maxOwn = 4 << 10
	// maxSources is how many links one commit saves from.
	maxSources = 16
)

// NewLink is a link to be added: of Revisions that the folder holds, or, without any, of
// the folder by a grant.
type NewLink struct {
	share.Link
	Revisions  []id.Revision
	Own, Grant []byte
}

// OwnLink is a link as its owner lists it.
type OwnLink struct {
	Handle                    id.Handle
	Folder                    id.Folder
	Own                       []byte
	Expires, Downloads, Limit int64
}

// Source is a link with a session of it, from which a commit saves.
type Source struct {
	Handle  id.Handle `cbor:"1,keyasint"`
	Session string    `cbor:"2,keyasint"`
}

// Share makes a link to what is in a folder, and returns when it ends; 0 for never. The
// same link again is kept once.
func (s *Service) Share(ctx context.Context, account id.Account, folder id.Folder, l NewLink) (expires int64, err error) {
	if l.Link, err = share.ForDrive(l.Link, s.now()); err != nil {
		return 0, fmt.Errorf("share: %w", err)
	}
	if err := l.check(); err != nil {
		return 0, fmt.Errorf("share: %w", err)
	}
	err = s.store.CommitDrive(ctx, account, func(tx Tx) error {
		own, found, err := tx.Take(ctx, []id.Folder{folder})
		if err != nil {
			return err
		}
		f := found[folder]
		if err := l.allowed(ctx, tx, f, folder); err != nil {
			return err
		}
		err = tx.AddLink(ctx, own, f.Key, l, maxLinks)
		if errors.Is(err, upload.ErrLinkExists) {
			expires, err = l.again(ctx, tx, account, folder)
			return err
		}
		expires = l.Expires
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("share: %w", err)
	}
	return expires, nil
}

func (l NewLink) check() error {
	seen := map[id.Revision]bool{}
	for _, r := range l.Revisions {
		if seen[r] {
			return fmt.Errorf("%w: revision %s twice", ErrRequest, r)
		}
		seen[r] = true
	}
	switch {
	case (len(l.Revisions) == 0) != (len(l.Grant) > 0):
		return fmt.Errorf("%w: a link is to revisions, or to a folder with a grant", ErrRequest)
	case len(l.Revisions) > maxLinkRevisions:
		return fmt.Errorf("%w: %d revisions in one link, at most %d", ErrOverLimit, len(l.Revisions), maxLinkRevisions)
	case len(l.Own) > maxOwn:
		return fmt.Errorf("%w: %d bytes for the owner, at most %d", ErrOverLimit, len(l.Own), maxOwn)
	}
	return nil
}

// allowed tells whether the caller may link to that.
func (l NewLink) allowed(ctx context.Context, tx Tx, f Folder, folder id.Folder) error {
	if len(l.Grant) == 0 {
		if err := may(f, journal.Reads, folder); err != nil {
			return err
		}
		held, err := tx.Holds(ctx, f.Key, l.Revisions)
		if err == nil && !held {
			err = fmt.Errorf("%w: folder %s does not hold it", ErrRevisionUnknown, folder)
		}
		return err
	}
	if err := may(f, journal.Admins, folder); err != nil {
		return err
	}
	g, err := journal.OpenGrant(l.Grant, f.Chain, func(journal.Subject) int64 { return 0 })
	if err != nil {
		return fmt.Errorf("%w: %w", ErrGrant, err)
	}
	if g.Link == nil || *g.Link != l.Handle || g.File != nil || g.Role != journal.Reads {
		return fmt.Errorf("%w: it is not one of the folder to this link", ErrGrant)
	}
	return nil
}

// again tells whether the link that has this handle already is this one.
func (l NewLink) again(ctx context.Context, tx Tx, account id.Account, folder id.Folder) (int64, error) {
	have, _, err := tx.Link(ctx, l.Handle)
	if err != nil {
		return 0, err
	}
	d := have.Drive
	if d == nil || d.Owner != account || d.Folder != folder || d.Whole != (len(l.Grant) > 0) || have.Auth != l.Auth || !bytes.Equal(have.Record, l.Record) {
		return 0, upload.ErrLinkExists
	}
	return have.Expires, nil
}

// Links are the account's, the newest first.
func (s *Service) Links(ctx context.Context, account id.Account) (standing []OwnLink, err error) {
	err = s.store.ReadDrive(ctx, account, func(r Reader) error {
		all, err := r.Links(ctx, maxLinks)
		standing = []OwnLink{}
		for _, l := range all {
			if l.Expires == 0 || l.Expires > s.now().Unix() {
				standing = append(standing, l)
			}
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list links: %w", err)
	}
	return standing, nil
}

// Unlink ends a link that the account made. One that has ended stays as it is.
func (s *Service) Unlink(ctx context.Context, account id.Account, handle id.Handle) error {
	err := s.store.ReadLink(ctx, handle, func(l share.Link, _ share.Reader) error {
		if l.State == share.Live && (l.Drive == nil || l.Drive.Owner != account) {
			return share.ErrNotFound
		}
		return nil
	})
	if err == nil {
		err = s.store.EndLink(ctx, handle, share.Revoked, s.today())
	}
	if err != nil {
		return fmt.Errorf("unlink: %w", err)
	}
	return nil
}

// ReadLinked is Read for a session of a folder's link.
func (s *Service) ReadLinked(ctx context.Context, handle id.Handle, session string, points []Point) (parts []Part, err error) {
	if err := checkPoints(points); err != nil {
		return nil, fmt.Errorf("read folders of link: %w", err)
	}
	err = s.linked(ctx, handle, session, func(r Reader) error {
		parts, err = readParts(ctx, r, points)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read folders of link: %w", err)
	}
	return parts, nil
}

// CheckpointLinked is Checkpoint for a session of a folder's link.
func (s *Service) CheckpointLinked(ctx context.Context, handle id.Handle, session string, wanted id.Folder, hashes []journal.Hash) (pages [][]byte, err error) {
	err = s.linked(ctx, handle, session, func(r Reader) error {
		pages, err = readPages(ctx, r, wanted, hashes)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read checkpoint of link: %w", err)
	}
	return pages, nil
}

// linked runs f on the folders of a link that stands, for a session that lives: both are
// looked at in the state that f sees.
func (s *Service) linked(ctx context.Context, handle id.Handle, session string, f func(Reader) error) error {
	return s.store.ReadLinkFolders(ctx, handle, func(l share.Link, lr share.Reader, r Reader) error {
		if err := share.Admit(ctx, l, lr, session, s.now().Unix()); err != nil {
			return err
		}
		if l.Drive == nil || !l.Drive.Whole {
			return fmt.Errorf("%w: it opens no folder", ErrRequest)
		}
		return f(r)
	})
}

// openSources finds the links from which the commit saves, each with its session, in
// one sequence everywhere: they stay as they are until it ends.
func (t *turn) openSources(ctx context.Context) error {
	sources := slices.Clone(t.plan.From)
	slices.SortFunc(sources, func(a, b Source) int { return bytes.Compare(a.Handle[:], b.Handle[:]) })
	for _, from := range sources {
		l, r, err := t.tx.Link(ctx, from.Handle)
		if err != nil {
			return err
		}
		if err := share.Admit(ctx, l, r, from.Session, t.now); err != nil {
			return err
		}
		t.sources = append(t.sources, r)
	}
	return nil
}

// opened tells whether a link from which the commit saves opens the revision.
func (t *turn) opened(ctx context.Context, revision id.Revision) (bool, error) {
	for _, src := range t.sources {
		_, err := src.RevisionByID(ctx, revision)
		if err == nil {
			return true, nil
		}
		if !errors.Is(err, share.ErrNotFound) {
			return false, err
		}
	}
	return false, nil
}
