package threats

import (
	"crypto/ed25519"
	"errors"
	"path/filepath"
	"sync"
	"testing"

	"holdfast/api"
	"holdfast/client/account"
	"holdfast/client/source"
	"holdfast/client/transfer"
	"holdfast/format/id"
	"holdfast/format/journal"
	"holdfast/format/journal/journaltest"
	"holdfast/format/keys"
	"holdfast/format/wire"
)

// driver is an account whose client does what it likes: the server alone stands between
// it and others' folders.
type driver struct {
	*testing.T
	account.Access
	call api.Caller
}

func newDriver(t *testing.T) *driver {
	t.Helper()
	web := transfer.NewHTTP(nil)
	t.Cleanup(web.CloseIdleConnections)
	d := &driver{T: t, call: api.Caller{Base: service.front.url, HTTP: web}}
	name := "driver " + id.New[id.Account]().String()
	access, err := people().SignUp(t.Context(), name, "correct horse battery", "", keys.NewPhrase())
	if err != nil {
		t.Fatal(err)
	}
	d.Access = access
	return d
}

func (d *driver) must(err error) {
	d.Helper()
	if err != nil {
		d.Fatal(err)
	}
}

func (d *driver) want(what string, err error, codes ...api.Code) {
	d.Helper()
	for _, code := range codes {
		if errors.Is(err, code) {
			return
		}
	}
	d.Errorf("%s: have %v, want %v", what, err, codes)
}

func (d *driver) in(b *journaltest.Book) api.Args {
	return api.Args{Secret: d.Token.String(), Path: map[string]string{"folder": b.ID().String()}}
}

func texts(raws [][]byte) []string {
	out := []string{}
	for _, raw := range raws {
		out = append(out, id.Encoding.EncodeToString(raw))
	}
	return out
}

func (d *driver) send(req api.CommitDriveRequest) error {
	req.Key = id.New[id.Commit]()
	if req.Entries == nil {
		req.Entries = []string{}
	}
	_, err := api.CommitDrive.Call(d.Context(), d.call, api.Args{Secret: d.Token.String()}, req)
	return err
}

func (d *driver) commit(raws ...[]byte) error {
	return d.send(api.CommitDriveRequest{Entries: texts(raws)})
}

func (d *driver) grant(raws ...[]byte) error {
	return d.send(api.CommitDriveRequest{Grants: texts(raws)})
}

func (d *driver) read(b *journaltest.Book) api.FolderPart {
	d.Helper()
	res, err := api.ReadFolders.Call(d.Context(), d.call, api.Args{Secret: d.Token.String()}, api.ReadFoldersRequest{Folders: []api.FolderPoint{{Folder: b.ID()}}})
	d.must(err)
	return res.Folders[0]
}

func (d *driver) root() *journaltest.Book {
	d.Helper()
	b, first := journaltest.Found(d)
	d.must(d.send(api.CommitDriveRequest{Entries: texts([][]byte{first}), Roots: []id.Folder{b.ID()}}))
	b.Take(first)
	return b
}

// put stores a file at nodes and puts it into the folder.
func (d *driver) put(b *journaltest.Book) id.Revision {
	d.Helper()
	c, _ := newClient(d)
	path := filepath.Join(d.TempDir(), "file")
	writeFile(d, path, noise(5000, 90))
	tree, err := source.Walk(d.Context(), []string{path})
	d.must(err)
	got, err := c.Drive(d.Root.Account, d.Token).Store(d.Context(), transfer.StoreOptions{Files: tree.Entries, Goal: path})
	d.must(err)
	raw := b.Write(journal.PutFile(id.New[id.Entry](), got.Files[0]))
	d.must(d.send(api.CommitDriveRequest{Entries: texts([][]byte{raw}), Upload: &got.Upload}))
	d.must(got.Done())
	b.Take(raw)
	return got.Files[0].Content.Revision
}

func (d *driver) opens(b *journaltest.Book, r id.Revision) error {
	_, err := api.FolderRevisions.Call(d.Context(), d.call, d.in(b), api.FolderRevisionsRequest{Revisions: []id.Revision{r}})
	return err
}

// stands fails unless the folder's head is still the book's.
func (d *driver) stands(b *journaltest.Book) {
	d.Helper()
	if p := d.read(b); journal.Hash(p.Hash) != b.Head().Hash || p.Seq != b.Head().Seq {
		d.Errorf("the journal ends with entry %d, want %d", p.Seq, b.Head().Seq)
	}
}

// resigned is an entry under another signature.
func resigned(t testing.TB, raw []byte, key ed25519.PrivateKey) []byte {
	t.Helper()
	e, err := wire.ParseMax(raw, journal.MaxEntry)
	if err != nil {
		t.Fatal(err)
	}
	return wire.Seal(e.Type, key, e.Payload)
}

// TestThreat14PlantedEntries: entries that the folder's keys did not sign are refused by
// the server as well, whoever sends them: here the owner's own stolen session does.
func TestThreat14PlantedEntries(t *testing.T) {
	d := newDriver(t)
	b, other := d.root(), d.root()
	r := d.put(b)
	good := b.Write(b.Put("planted", r))
	flipped := append([]byte{}, good...)
	flipped[len(flipped)-1] ^= 1
	claims := resigned(t, good, strangerKey())
	stolen, err := wire.ParseMax(good, journal.MaxEntry)
	d.must(err)
	stolen.Signature = ed25519.Sign(strangerKey(), stolen.Payload)
	for what, raw := range map[string][]byte{
		"a stranger's signature": claims, "a flipped signature": flipped, "a stranger's under the folder's key": wire.Marshal(stolen),
		"another folder's signature": resigned(t, good, ed25519.NewKeyFromSeed(other.Place.Keys.Write[:])),
		"cut short":                  good[:len(good)-10], "a grant": b.Grant(id.New[id.Account](), journal.Admins, 1),
	} {
		d.want(what, d.commit(raw), api.EntryInvalid)
	}
	d.stands(b)
	d.must(d.commit(good))
}

// TestThreat15OneHistory: the server appends to the end of a journal, and nowhere else:
// of entries that follow one and the same, one is taken, also when all come at once.
func TestThreat15OneHistory(t *testing.T) {
	d := newDriver(t)
	b := d.root()
	r := d.put(b)
	fork := b.Write(b.Put("another third", r))
	third := b.Write(b.Put("third", r))
	d.must(d.commit(third))
	b.Take(third)
	d.want("an entry in place of the last", d.commit(fork), api.HeadMoved)
	d.want("the last again", d.commit(third), api.HeadMoved)
	fourth := b.Write(b.Put("fourth", r))
	b.Take(fourth)
	fifth := b.Write(b.Put("fifth", r))
	d.want("an entry after one that is left out", d.commit(fifth), api.EntryInvalid)
	d.must(d.commit(fourth, fifth))
	b.Take(fifth)
	raws := make([][]byte, 8)
	for i := range raws {
		raws[i] = b.Write(b.Put(id.New[id.File]().String(), r))
	}
	var wg sync.WaitGroup
	results := make([]error, len(raws))
	for i, raw := range raws {
		wg.Go(func() { results[i] = d.commit(raw) })
	}
	wg.Wait()
	in := 0
	for i, err := range results {
		if err == nil {
			in++
			b.Take(raws[i])
			continue
		}
		d.want("another at once", err, api.HeadMoved)
	}
	if in != 1 {
		t.Fatalf("%d entries are in one place", in)
	}
	d.stands(b)
}

// TestThreat16ReaderWrites: who may read writes nothing, who may write gives no grants
// and begins no epoch, whatever keys they came by.
func TestThreat16ReaderWrites(t *testing.T) {
	ann, bob := newDriver(t), newDriver(t)
	b := ann.root()
	r := ann.put(b)
	ann.must(ann.grant(b.Grant(bob.Root.Account, journal.Reads, 1)))
	bob.must(bob.opens(b, r))
	bob.want("a reader's entry", bob.commit(b.Write(b.Put("mine", r))), api.RoleTooLow)
	_, err := api.KeepCheckpoint.Call(t.Context(), bob.call, bob.in(b), api.CheckpointPages{Pages: []string{"AAAA"}})
	bob.want("a reader's checkpoint", err, api.RoleTooLow)
	bob.want("a reader's grant", bob.grant(b.Grant(bob.Root.Account, journal.Admins, 2)), api.RoleTooLow)
	ann.must(ann.grant(b.Grant(bob.Root.Account, journal.Writes, 2)))
	bob.want("a writer's grant", bob.grant(b.Grant(bob.Root.Account, journal.Admins, 3)), api.RoleTooLow)
	bob.want("an old grant", ann.grant(b.Grant(bob.Root.Account, journal.Admins, 2)), api.GrantInvalid)
	ann.stands(b)
	entry := b.Write(b.Put("mine", r))
	bob.must(bob.commit(entry))
	b.Take(entry)
	epoch := b.Epoch()
	bob.want("a writer's epoch", bob.commit(epoch), api.RoleTooLow)
	ann.must(ann.commit(epoch))
	ann.stands(b)
}

// TestThreat16Revoked: from the next call on, who was removed gets no journal, no release
// key, no ticket and no page, and writes nothing; nor does a grant of before come back.
func TestThreat16Revoked(t *testing.T) {
	ann, bob := newDriver(t), newDriver(t)
	b := ann.root()
	r := ann.put(b)
	first := b.Grant(bob.Root.Account, journal.Writes, 1)
	ann.must(ann.grant(first))
	bob.must(bob.opens(b, r))
	pages, named := b.Checkpoint()
	_, err := api.KeepCheckpoint.Call(t.Context(), ann.call, ann.in(b), api.CheckpointPages{Pages: texts(pages)})
	ann.must(err)
	ann.must(ann.commit(named))
	b.Take(named)
	hashes := bob.read(b).Pages
	if len(hashes) != 1 {
		t.Fatalf("pages %v", hashes)
	}
	ann.must(ann.grant(b.Grant(bob.Root.Account, journal.Nobody, 2)))
	if p := bob.read(b); !p.Missing || p.Seq != 0 || len(p.Entries) != 0 {
		t.Errorf("who was removed reads %+v", p)
	}
	bob.want("a release key", bob.opens(b, r), api.NotFound)
	_, err = api.FolderExtents.Call(t.Context(), bob.call, bob.in(b), api.FolderExtentsRequest{Revision: r, Count: 1})
	bob.want("a ticket", err, api.NotFound)
	_, err = api.ReadCheckpoint.Call(t.Context(), bob.call, bob.in(b), api.ReadCheckpointRequest{Pages: hashes})
	bob.want("a page", err, api.NotFound)
	_, err = api.FolderGrants.Call(t.Context(), bob.call, bob.in(b), api.Empty{})
	bob.want("grants", err, api.NotFound)
	bob.want("an entry", bob.commit(b.Write(b.Put("mine", r))), api.NotFound)
	bob.want("the old grant, sent by the removed", bob.grant(first), api.NotFound)
	ann.want("the old grant again", ann.grant(first), api.GrantInvalid)
	bob.want("a release key", bob.opens(b, r), api.NotFound)
}

// TestThreat16KnownRevision: a revision's id, once known, opens nothing from a folder of
// one's own, neither to who never had a role nor to who had one.
func TestThreat16KnownRevision(t *testing.T) {
	ann, bob := newDriver(t), newDriver(t)
	b, his := ann.root(), bob.root()
	r := ann.put(b)
	refers := func(what string) {
		t.Helper()
		bob.want(what, bob.commit(his.Write(his.Put("mine", r))), api.RevisionUnknown)
		bob.want(what, bob.opens(his, r), api.NotFound)
	}
	refers("a stranger")
	ann.must(ann.grant(b.Grant(bob.Root.Account, journal.Reads, 1)))
	ann.must(ann.grant(b.Grant(bob.Root.Account, journal.Nobody, 2)))
	refers("who was removed")
	ann.must(ann.grant(b.Grant(bob.Root.Account, journal.Reads, 3)))
	copied := his.Write(his.Put("copy", r))
	bob.must(bob.commit(copied))
	his.Take(copied)
	ann.must(ann.grant(b.Grant(bob.Root.Account, journal.Nobody, 4)))
	bob.must(bob.opens(his, r)) // what was copied while it was allowed is the copier's own
	bob.want("the shared folder", bob.opens(b, r), api.NotFound)
}
