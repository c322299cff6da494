package cluster_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"holdfast/api"
	"holdfast/client/account"
	"holdfast/client/source"
	"holdfast/client/transfer"
	"holdfast/cluster"
	"holdfast/format/descriptor"
	"holdfast/format/id"
	"holdfast/format/journal"
	"holdfast/format/journal/journaltest"
	"holdfast/format/keys"
	"holdfast/server"
)

// owner is somebody with an account, who writes journals by hand.
type owner struct {
	*testing.T
	account.Access
	name   string
	people *account.Client
	call   api.Caller
	client *transfer.Client
}

const theirPassword = "battery staple one"

func newOwner(t *testing.T, c *cluster.Cluster, name string) *owner {
	t.Helper()
	o := &owner{T: t, name: name, people: account.New(c.URL, c.HTTP(t)), call: api.Caller{Base: c.URL, HTTP: c.HTTP(t)}, client: c.Client(t)}
	access, err := o.people.SignUp(t.Context(), name, theirPassword, "", keys.NewPhrase())
	must(t, err)
	o.Access = access
	return o
}

func (o *owner) args() api.Args { return api.Args{Secret: o.Token.String()} }

func encoded(raws ...[]byte) (texts []string) {
	texts = []string{}
	for _, raw := range raws {
		texts = append(texts, id.Encoding.EncodeToString(raw))
	}
	return texts
}

func (o *owner) commit(req api.CommitDriveRequest) error {
	o.Helper()
	req.Key = id.New[id.Commit]()
	if req.Entries == nil {
		req.Entries = []string{}
	}
	_, err := api.CommitDrive.Call(o.Context(), o.call, o.args(), req)
	return err
}

func (o *owner) root() *journaltest.Book {
	o.Helper()
	b, first := journaltest.Found(o)
	must(o.T, o.commit(api.CommitDriveRequest{Entries: encoded(first), Roots: []id.Folder{b.ID()}}))
	b.Take(first)
	return b
}

// store stores content at nodes; the commit is still to come.
func (o *owner) store(name string, content []byte) (descriptor.Descriptor, *transfer.Stored) {
	o.Helper()
	path := filepath.Join(o.TempDir(), name)
	must(o.T, os.WriteFile(path, content, 0o600))
	tree, err := source.Walk(o.Context(), []string{path})
	must(o.T, err)
	got, err := o.client.Drive(o.Root.Account, o.Token).Store(o.Context(), transfer.StoreOptions{Files: tree.Entries, Goal: name})
	must(o.T, err)
	return got.Files[0], got
}

// put stores content and puts it into a folder.
func (o *owner) put(b *journaltest.Book, name string, content []byte) descriptor.Descriptor {
	o.Helper()
	d, got := o.store(name, content)
	raw := b.Write(journal.PutFile(id.New[id.Entry](), d))
	must(o.T, o.commit(api.CommitDriveRequest{Entries: encoded(raw), Upload: &got.Upload}))
	must(o.T, got.Done())
	b.Take(raw)
	return d
}

func (o *owner) get(folder id.Folder, d descriptor.Descriptor) ([]byte, error) {
	o.Helper()
	var got bytes.Buffer
	err := o.client.Drive(o.Root.Account, o.Token).Stream(o.Context(), transfer.Held{Folder: folder, Descriptor: d}, &got, transfer.Report{})
	return got.Bytes(), err
}

func (o *owner) read(folder id.Folder, after int64) api.FolderPart {
	o.Helper()
	res, err := api.ReadFolders.Call(o.Context(), o.call, o.args(), api.ReadFoldersRequest{Folders: []api.FolderPoint{{Folder: folder, After: after}}})
	must(o.T, err)
	return res.Folders[0]
}

func (o *owner) view() api.DriveView {
	o.Helper()
	v, err := api.GetDrive.Call(o.Context(), o.call, o.args(), api.Empty{})
	must(o.T, err)
	return v
}

// TestDriveJourney: an account's folder and a file in it through real nodes, read back,
// shared with another account and taken back, and at last erased, here and at the nodes.
func TestDriveJourney(t *testing.T) {
	c := cluster.Start(t, cluster.Config{Limits: withAccounts(200 * mib)})
	ann, bob := newOwner(t, c, "ann of the drive"), newOwner(t, c, "bob of the drive")
	root := ann.root()
	big := content(1, bigFile)
	file := ann.put(root, "big", big)
	got, err := ann.get(root.ID(), file)
	must(t, err)
	if !bytes.Equal(got, big) {
		t.Error("what came back is not what was put")
	}
	part := ann.read(root.ID(), 0)
	if part.Seq != 2 || len(part.Entries) != 2 || journal.Hash(part.Hash) != root.Head().Hash {
		t.Errorf("journal %+v", part)
	}
	if v := ann.view(); v.Bytes < bigFile || v.Bytes > bigFile+bigFile/8 || v.Reserved != 0 || v.Quota != 200*mib {
		t.Errorf("usage %+v", v)
	}

	late := root.Write(root.Put("late", file.Content.Revision))
	copied := root.Write(root.Put("copy", file.Content.Revision))
	must(t, ann.commit(api.CommitDriveRequest{Entries: encoded(copied)}))
	if err := ann.commit(api.CommitDriveRequest{Entries: encoded(late)}); !errors.Is(err, api.HeadMoved) {
		t.Errorf("a late entry: %v", err)
	}
	root.Take(copied)

	if _, err := bob.get(root.ID(), file); !errors.Is(err, api.NotFound) {
		t.Errorf("a stranger gets %v", err)
	}
	must(t, ann.commit(api.CommitDriveRequest{Grants: encoded(root.Grant(bob.Root.Account, journal.Reads, 1))}))
	got, err = bob.get(root.ID(), file)
	must(t, err)
	if !bytes.Equal(got, big) || len(bob.view().Granted) != 1 {
		t.Error("a reader got something else")
	}
	epoch := root.Epoch()
	must(t, ann.commit(api.CommitDriveRequest{Entries: encoded(epoch), Grants: encoded(root.Grant(bob.Root.Account, journal.Nobody, 2))}))
	if _, err := bob.get(root.ID(), file); !errors.Is(err, api.NotFound) || !bob.read(root.ID(), 0).Missing {
		t.Errorf("who was revoked gets %v", err)
	}
	allGone(t, c, ann)
}

// allGone erases the account, and sees everything go from the nodes.
func allGone(t *testing.T, c *cluster.Cluster, o *owner) {
	t.Helper()
	must(t, o.people.Erase(t.Context(), account.Owner{Access: o.Access, Name: o.name, Password: theirPassword}))
	for range 3 {
		c.Step(t.Context())
	}
	for _, n := range c.Nodes {
		if held := n.Held(); held.Blobs != 0 {
			t.Errorf("node %s holds %d blobs", n.Spec.Operator, held.Blobs)
		}
	}
	if left := c.Server.Numbers(t.Context(), `SELECT (SELECT COUNT(*) FROM revision) + (SELECT COUNT(*) FROM folder_entry) + (SELECT COUNT(*) FROM drive d WHERE d.bytes > 0)`); left[0] != 0 {
		t.Errorf("%d rows are left", left[0])
	}
}

// TestDriveQuota: what an account may store bounds its uploads and what it holds, and
// what is purged is free again.
func TestDriveQuota(t *testing.T) {
	c := cluster.Start(t, cluster.Config{Limits: withAccounts(20 * mib)})
	ann := newOwner(t, c, "ann with little")
	root := ann.root()
	file := ann.put(root, "first", content(2, 12*mib))
	_, err := api.OpenDriveUpload.Call(t.Context(), ann.call, ann.args(), api.OpenDriveUploadRequest{Bytes: 12 * mib})
	if !errors.Is(err, api.OverQuota) {
		t.Errorf("an upload beyond the quota: %v", err)
	}
	purge := root.Write(root.Purge(file.Path)...)
	must(t, ann.commit(api.CommitDriveRequest{Entries: encoded(purge)}))
	root.Take(purge)
	if v := ann.view(); v.Bytes != 0 {
		t.Errorf("usage %+v", v)
	}
	c.Step(t.Context())
	for _, n := range c.Nodes {
		if held := n.Held(); held.Blobs != 0 {
			t.Errorf("node %s holds %d blobs", n.Spec.Operator, held.Blobs)
		}
	}
	ann.put(root, "second", content(3, 12*mib))
	// An upload that nobody closes is given up after six days, and reserves nothing then.
	_, abandoned := ann.store("third", content(4, mib))
	must(t, abandoned.Keep())
	if v := ann.view(); v.Reserved == 0 {
		t.Errorf("usage %+v", v)
	}
	c.Clock.Add(6*24*time.Hour + time.Minute)
	c.Step(t.Context())
	if v := ann.view(); v.Reserved != 0 {
		t.Errorf("usage %+v", v)
	}
}

// withAccounts are limits with that quota.
func withAccounts(quota int64) server.Limits {
	l := server.DefaultLimits
	l.AccountBytes = quota
	return l
}
