package drive

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"time"

	"holdfast/format/id"
	"holdfast/format/journal"
	"holdfast/server/internal/share"
	"holdfast/server/internal/upload"
)

// Service answers for drives. Make one with New.
type Service struct {
	store   Store
	uploads *upload.Service
	fleet   share.Fleet
	key     ed25519.PrivateKey // of read tickets
	quota   int64
	now     func() time.Time
}

// New makes the service; key signs read tickets, quota is what a drive may hold.
func New(store Store, uploads *upload.Service, fleet share.Fleet, key ed25519.PrivateKey, quota int64, now func() time.Time) *Service {
	return &Service{store: store, uploads: uploads, fleet: fleet, key: key, quota: quota, now: now}
}

func (s *Service) today() int64 { return s.now().Unix() / secondsDay }

// journals is what entries and pages of a drive may take.
func (s *Service) journals() int64 { return max(journalLeast, s.quota/journalPart) }

// folder is one that the caller may read: anything else is not found.
func folder(ctx context.Context, r Reader, wanted id.Folder) (Folder, error) {
	f, known, err := r.Folder(ctx, wanted)
	if err == nil && (!known || !f.stands()) {
		err = fmt.Errorf("%w: folder %s", ErrNotFound, wanted)
	}
	return f, err
}

// Point is a folder, and the seq of the last entry that the caller has of it.
type Point struct {
	Folder id.Folder
	After  int64
}

// Part is what Read gives of a folder.
type Part struct {
	Folder  id.Folder
	Missing bool
	Head    journal.Head
	Epoch   int64
	Role    journal.Role
	Pages   []journal.Hash
	Entries [][]byte
	More    bool
}

// Read gives heads of folders, and what their journals have beyond the points.
func (s *Service) Read(ctx context.Context, account id.Account, points []Point) ([]Part, error) {
	if err := checkPoints(points); err != nil {
		return nil, fmt.Errorf("read folders: %w", err)
	}
	var parts []Part
	err := s.store.ReadDrive(ctx, account, func(r Reader) (err error) {
		parts, err = readParts(ctx, r, points)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read folders: %w", err)
	}
	return parts, nil
}

func checkPoints(points []Point) error {
	seen := map[id.Folder]bool{}
	for _, p := range points {
		if seen[p.Folder] || p.After < 0 {
			return fmt.Errorf("%w: folder %s twice, or after entry %d", ErrRequest, p.Folder, p.After)
		}
		seen[p.Folder] = true
	}
	return nil
}

func readParts(ctx context.Context, r Reader, points []Point) ([]Part, error) {
	parts := make([]Part, 0, len(points))
	room, first := int64(answerBytes), true
	for _, p := range points {
		part, err := readPart(ctx, r, p, room, first)
		if err != nil {
			return nil, err
		}
		for _, e := range part.Entries {
			if first {
				first = false
				continue
			}
			room -= int64(len(e))
		}
		parts = append(parts, part)
	}
	return parts, nil
}

func readPart(ctx context.Context, r Reader, p Point, room int64, first bool) (Part, error) {
	f, known, err := r.Folder(ctx, p.Folder)
	if err != nil {
		return Part{}, err
	}
	if !known || !f.stands() {
		return Part{Folder: p.Folder, Missing: true}, nil
	}
	part := Part{Folder: p.Folder, Head: f.Chain.Head(), Epoch: f.Chain.Epoch, Role: f.Role}
	after := p.After
	if after == 0 {
		seq, pages, err := r.Checkpoint(ctx, f)
		if err != nil {
			return Part{}, err
		}
		if seq > 0 {
			after, part.Pages = seq-1, pages
		}
	}
	if after >= f.Chain.Seq {
		return part, nil
	}
	if part.Entries, err = r.Entries(ctx, f, after, room, first); err != nil {
		return Part{}, err
	}
	part.More = after+int64(len(part.Entries)) < f.Chain.Seq
	return part, nil
}

// Checkpoint gives pages of a folder's newest checkpoint, by their hashes.
func (s *Service) Checkpoint(ctx context.Context, account id.Account, wanted id.Folder, hashes []journal.Hash) ([][]byte, error) {
	var pages [][]byte
	err := s.store.ReadDrive(ctx, account, func(r Reader) (err error) {
		pages, err = readPages(ctx, r, wanted, hashes)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read checkpoint: %w", err)
	}
	return pages, nil
}

func readPages(ctx context.Context, r Reader, wanted id.Folder, hashes []journal.Hash) ([][]byte, error) {
	f, err := folder(ctx, r, wanted)
	if err != nil {
		return nil, err
	}
	pages := [][]byte{}
	for _, hash := range hashes {
		page, err := r.Page(ctx, f, hash)
		if err != nil {
			return nil, err
		}
		pages = append(pages, page)
	}
	return pages, nil
}

// KeepCheckpoint keeps pages for a checkpoint that an entry is going to name.
func (s *Service) KeepCheckpoint(ctx context.Context, account id.Account, wanted id.Folder, pages [][]byte) error {
	byHash := map[journal.Hash][]byte{}
	for _, page := range pages {
		if len(page) == 0 || len(page) > maxPage {
			return fmt.Errorf("keep checkpoint: %w: a page of %d bytes, at most %d", ErrOverLimit, len(page), maxPage)
		}
		byHash[sha256.Sum256(page)] = page
	}
	err := s.store.CommitDrive(ctx, account, func(tx Tx) error {
		_, found, err := tx.Take(ctx, []id.Folder{wanted})
		if err != nil {
			return err
		}
		f := found[wanted]
		if err := may(f, journal.Writes, wanted); err != nil {
			return err
		}
		added, err := tx.KeepPages(ctx, f.Key, byHash, s.today(), keptPages)
		if err != nil {
			return err
		}
		return tx.Charge(ctx, f.Drive, 0, added, s.quota, s.journals())
	})
	if err != nil {
		return fmt.Errorf("keep checkpoint: %w", err)
	}
	return nil
}

// may tells whether the caller has at least that role in f.
func may(f Folder, role journal.Role, wanted id.Folder) error {
	switch {
	case !f.stands():
		return fmt.Errorf("%w: folder %s", ErrNotFound, wanted)
	case f.Role < role:
		return fmt.Errorf("%w: folder %s", ErrRole, wanted)
	}
	return nil
}

// Revisions gives revisions that a folder holds, with places and tickets.
func (s *Service) Revisions(ctx context.Context, account id.Account, wanted id.Folder, ids []id.Revision, cursor string) (page *share.Page, err error) {
	err = s.reading(ctx, account, wanted, func(desk *share.Desk, src share.Source) (err error) {
		page, err = desk.Named(ctx, src, ids, cursor)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read revisions: %w", err)
	}
	return page, nil
}

// Extents gives count extents of a revision that a folder holds, from number from on.
func (s *Service) Extents(ctx context.Context, account id.Account, wanted id.Folder, revision id.Revision, from, count int) (page *share.ExtentsPage, err error) {
	err = s.reading(ctx, account, wanted, func(desk *share.Desk, src share.Source) (err error) {
		page, err = desk.Extents(ctx, src, revision, from, count)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read extents: %w", err)
	}
	return page, nil
}

func (s *Service) reading(ctx context.Context, account id.Account, wanted id.Folder, f func(*share.Desk, share.Source) error) error {
	desk, err := share.OpenDesk(ctx, s.fleet, s.key, s.now)
	if err != nil {
		return err
	}
	return s.store.ReadDrive(ctx, account, func(r Reader) error {
		have, err := folder(ctx, r, wanted)
		if err != nil {
			return err
		}
		return f(desk, r.Revisions(have))
	})
}

// View is what is counted of an account's drive.
type View struct {
	Usage
	Quota   int64
	Granted []Granted
}

// View tells what an account takes, and what it was granted by others.
func (s *Service) View(ctx context.Context, account id.Account) (View, error) {
	v := View{Quota: s.quota}
	err := s.store.ReadDrive(ctx, account, func(r Reader) (err error) {
		if v.Usage, err = r.Usage(ctx); err != nil {
			return err
		}
		v.Granted, err = r.Granted(ctx, maxGrants)
		return err
	})
	if err != nil {
		return View{}, fmt.Errorf("view drive: %w", err)
	}
	return v, nil
}

// Grants are those that stand on a folder itself.
func (s *Service) Grants(ctx context.Context, account id.Account, wanted id.Folder) (grants [][]byte, err error) {
	err = s.store.ReadDrive(ctx, account, func(r Reader) error {
		f, err := folder(ctx, r, wanted)
		if err != nil {
			return err
		}
		grants, err = r.Grants(ctx, f, maxGrants)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read grants: %w", err)
	}
	return grants, nil
}

// DropFolders removes by and by what lay in folders that were dropped.
func (s *Service) DropFolders(ctx context.Context, limit int) (int, error) {
	return s.store.DropFolders(ctx, s.today(), limit)
}

// DropPages forgets pages of checkpoints that no entry came to name.
func (s *Service) DropPages(ctx context.Context, limit int) (int, error) {
	return s.store.DropPages(ctx, s.today()-keepPages, limit)
}

// ForgetAnswers drops what was kept of commits for retries.
func (s *Service) ForgetAnswers(ctx context.Context, limit int) (int, error) {
	return s.store.ForgetAnswers(ctx, s.today()-keepAnswers, limit)
}
