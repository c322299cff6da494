//go:build linux

package store

import (
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"holdfast/format/id"
	"holdfast/format/journal/journaltest"
	"holdfast/server/internal/account"
	"holdfast/server/internal/drive"
	"holdfast/server/internal/servertest"
	"holdfast/server/internal/storetest"
	"holdfast/server/internal/upload"
)

// driving is the drive's service on a store, with an account.
type driving struct {
	*testing.T
	*drive.Service
	uploads *upload.Service
	fleet   *servertest.Fleet
	clock   *servertest.Clock
	ann     id.Account
}

func newDriving(t *testing.T, s *Store) *driving {
	t.Helper()
	d := &driving{T: t, fleet: servertest.NewFleet(t, 3), clock: servertest.NewClock(), ann: id.New[id.Account]()}
	storetest.Admit(t, s, d.fleet.Nodes...)
	key := ed25519.NewKeyFromSeed(make([]byte, 32))
	d.uploads = upload.New(s, d.fleet.Uploads(), key, upload.Limits{ReservedBytes: 1 << 40, AccountBytes: 1 << 40}, d.clock.Now)
	d.Service = drive.New(s, d.uploads, d.fleet.Links(), key, 1<<40, d.clock.Now)
	d.must(s.CreateAccount(t.Context(), account.Account{
		ID: d.ann, Name: sha256.Sum256(nil), Credential: account.Credential{Record: []byte("r"), Wrap: []byte("w")}, PhraseWrap: []byte("p"), Identity: []byte("i"),
	}, account.Session{Hash: id.New32()}, account.Once{Hash: id.New32()}))
	return d
}

func (d *driving) must(err error) {
	d.Helper()
	if err != nil {
		d.Fatal(err)
	}
}

func (d *driving) do(b *journaltest.Book, c drive.Commit, raw []byte) {
	d.Helper()
	c.Key, c.Entries = id.New[id.Commit](), [][]byte{raw}
	_, err := d.Commit(d.Context(), d.ann, &c)
	d.must(err)
	b.Take(raw)
}

func (d *driving) root() *journaltest.Book {
	d.Helper()
	b, first := journaltest.Found(d)
	d.do(b, drive.Commit{Roots: []id.Folder{b.ID()}}, first)
	return b
}

func (d *driving) put(b *journaltest.Book, sizes ...int64) *servertest.Send {
	d.Helper()
	g, err := d.uploads.OpenFor(d.Context(), d.ann, 1<<30)
	d.must(err)
	send := servertest.NewSend(d, g.Upload, d.clock.Now(), d.fleet.Nodes[:2], sizes...)
	d.do(b, drive.Commit{Upload: &drive.Upload{ID: g.Upload, Secret: g.Secret, Page: send.Page}}, b.Write(b.PutAll(send.Revisions()...)...))
	return send
}

// TestOneMoreEntry: an entry is added to a folder that has many by the same statements as
// to one that has none, and none of them reads a table whole (TestNoStatementReadsTablesWhole).
func TestOneMoreEntry(t *testing.T) {
	s, err := openSQLite(t.Context(), "recording", filepath.Join(t.TempDir(), "holdfast.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	d := newDriving(t, s)
	full, empty := d.root(), d.root()
	for range 3 {
		d.put(full, slices.Repeat([]int64{4096}, 1000)...)
	}
	for n := range 300 {
		d.do(full, drive.Commit{}, full.Write(full.Put(fmt.Sprint("file ", n), d.held(full))))
	}
	var sent [2][]string
	for i, b := range []*journaltest.Book{full, empty} {
		recorded.take()
		d.put(b, 5000)
		sent[i] = recorded.take()
	}
	if !slices.Equal(sent[0], sent[1]) || len(sent[0]) < 20 {
		t.Errorf("%d statements for a full folder, %d for an empty one:\n%q\n%q", len(sent[0]), len(sent[1]), sent[0], sent[1])
	}
}

// held is some revision that the folder holds.
func (d *driving) held(b *journaltest.Book) id.Revision {
	d.Helper()
	for e := range b.State.All() {
		return e.Descriptor.Content.Revision
	}
	d.Fatal("the folder is empty")
	return id.Revision{}
}

// TestReleasedKeysAreGone: once no folder holds a revision and the log was emptied, no
// file of the database holds its release key any more; others' are there.
func TestReleasedKeysAreGone(t *testing.T) {
	dir := t.TempDir()
	s := openAt(t, filepath.Join(dir, "holdfast.db"))
	d := newDriving(t, s)
	root := d.root()
	send := d.put(root, 5000, 6000)
	gone, kept := send.Page.Revisions[0], send.Page.Revisions[1]
	d.must(s.Scrub(t.Context()))
	if !onDisk(t, dir, gone.ReleaseKey[:]) {
		t.Fatal("the release key is not there while a folder holds it: this test sees nothing")
	}
	d.do(root, drive.Commit{}, root.Write(root.Purge(gone.ID.String())...))
	d.must(s.Scrub(t.Context()))
	if onDisk(t, dir, gone.ReleaseKey[:]) {
		t.Error("the release key is still on disk")
	}
	if !onDisk(t, dir, kept.ReleaseKey[:]) {
		t.Error("another one's release key went with it")
	}
}
