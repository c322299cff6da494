package drive_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"path/filepath"
	"testing"

	"holdfast/format/id"
	"holdfast/format/journal"
	"holdfast/format/journal/journaltest"
	"holdfast/server/internal/account"
	"holdfast/server/internal/drive"
	"holdfast/server/internal/servertest"
	"holdfast/server/internal/share"
	"holdfast/server/internal/store"
	"holdfast/server/internal/storetest"
	"holdfast/server/internal/upload"
)

const quota = 1 << 30

// rig is the service on a real database, with nodes and accounts.
type rig struct {
	*testing.T
	*drive.Service
	uploads *upload.Service
	links   *share.Service
	store   *store.Store
	fleet   *servertest.Fleet
	clock   *servertest.Clock
}

func newRig(t *testing.T) *rig {
	t.Helper()
	return newRigAt(t, filepath.Join(t.TempDir(), "holdfast.db"))
}

// newRigAt is one on the database at that place.
func newRigAt(t *testing.T, place string) *rig {
	t.Helper()
	s, err := store.Open(t.Context(), place)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	r := &rig{T: t, store: s, fleet: servertest.NewFleet(t, 3), clock: servertest.NewClock()}
	storetest.Admit(t, s, r.fleet.Nodes...)
	r.serve()
	return r
}

// another is another server on the same database, at that place.
func (r *rig) another(place string) *rig {
	r.Helper()
	s, err := store.Open(r.Context(), place)
	r.must(err)
	r.Cleanup(func() { r.must(s.Close()) })
	other := &rig{T: r.T, store: s, fleet: r.fleet, clock: r.clock}
	other.serve()
	return other
}

func (r *rig) serve() {
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	limits := upload.Limits{UploadBytes: 1 << 30, DefaultDays: 7, Days: 30, Downloads: 100, ReservedBytes: 1 << 40, AccountBytes: quota}
	r.uploads = upload.New(r.store, r.fleet.Uploads(), key, limits, r.clock.Now)
	r.links = share.New(r.store, r.fleet.Links(), key, r.clock.Now)
	r.Service = drive.New(r.store, r.uploads, r.fleet.Links(), key, quota, r.clock.Now)
}

func (r *rig) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

func (r *rig) want(err, target error) {
	r.Helper()
	if !errors.Is(err, target) {
		r.Fatalf("have %v, want %v", err, target)
	}
}

// account makes one.
func (r *rig) account() id.Account {
	r.Helper()
	a := id.New[id.Account]()
	r.must(r.store.CreateAccount(r.Context(), account.Account{
		ID: a, Name: sha256.Sum256(a[:]), Credential: account.Credential{Record: []byte("r"), Wrap: []byte("w"), Epoch: 1}, PhraseWrap: []byte("p"), Identity: []byte("i"),
	}, account.Session{Hash: id.New32()}, account.Once{Hash: id.New32(), Expires: 1}))
	return a
}

// do commits a change under a fresh key.
func (r *rig) do(who id.Account, c drive.Commit) error {
	r.Helper()
	c.Key = id.New[id.Commit]()
	_, err := r.Commit(r.Context(), who, &c)
	return err
}

// root is a new root of the account.
func (r *rig) root(who id.Account) *journaltest.Book {
	r.Helper()
	b, first := journaltest.Found(r)
	r.must(r.do(who, drive.Commit{Entries: [][]byte{first}, Roots: []id.Folder{b.ID()}}))
	b.Take(first)
	return b
}

// below is a new folder in another.
func (r *rig) below(who id.Account, parent *journaltest.Book, name string) *journaltest.Book {
	r.Helper()
	b, first := journaltest.Found(r)
	put := parent.Write(parent.PutFolder(name, b))
	r.must(r.do(who, drive.Commit{Entries: [][]byte{first, put}}))
	b.Take(first)
	parent.Take(put)
	return b
}

// change commits operations on one folder.
func (r *rig) change(who id.Account, b *journaltest.Book, ops ...journal.Operation) error {
	r.Helper()
	raw := b.Write(ops...)
	err := r.do(who, drive.Commit{Entries: [][]byte{raw}})
	if err == nil {
		b.Take(raw)
	}
	return err
}

// brought is an upload that was stored at nodes, ready to be closed.
type brought struct {
	*servertest.Send
	closes *drive.Upload
}

func (r *rig) bring(who id.Account, sizes ...int64) brought {
	r.Helper()
	g, err := r.uploads.OpenFor(r.Context(), who, 0)
	r.must(err)
	send := servertest.NewSend(r.T, g.Upload, r.clock.Now(), r.fleet.Nodes[:2], sizes...)
	return brought{send, &drive.Upload{ID: g.Upload, Secret: g.Secret, Page: send.Page}}
}

// put brings files of these sizes into a folder, named by their revisions.
func (r *rig) put(who id.Account, b *journaltest.Book, sizes ...int64) []id.Revision {
	r.Helper()
	u := r.bring(who, sizes...)
	raw := b.Write(b.PutAll(u.Revisions()...)...)
	r.must(r.do(who, drive.Commit{Entries: [][]byte{raw}, Upload: u.closes}))
	b.Take(raw)
	return u.Revisions()
}

// see reads one folder.
func (r *rig) see(who id.Account, folder id.Folder, after int64) drive.Part {
	r.Helper()
	parts, err := r.Read(r.Context(), who, []drive.Point{{Folder: folder, After: after}})
	r.must(err)
	return parts[0]
}

// opens tells whether the account gets release keys and tickets of a revision.
func (r *rig) opens(who id.Account, folder id.Folder, revision id.Revision) error {
	r.Helper()
	_, err := r.Revisions(r.Context(), who, folder, []id.Revision{revision}, "")
	return err
}

func (r *rig) usage(who id.Account) drive.Usage {
	r.Helper()
	v, err := r.View(r.Context(), who)
	r.must(err)
	return v.Usage
}

// sweep runs the background steps to their end.
func (r *rig) sweep() {
	r.Helper()
	for _, step := range []func(int) (int, error){
		func(n int) (int, error) { return r.DropFolders(r.Context(), n) },
		func(n int) (int, error) { return r.DropPages(r.Context(), n) },
		func(n int) (int, error) { return r.ForgetAnswers(r.Context(), n) },
		func(n int) (int, error) { return r.uploads.AbandonOverdue(r.Context(), n) },
	} {
		for {
			n, err := step(3)
			r.must(err)
			if n < 3 {
				break
			}
		}
	}
}
