package cluster_test

import (
	"bytes"
	"errors"
	"io"
	"path/filepath"
	"testing"

	"holdfast/api"
	"holdfast/client/account"
	"holdfast/client/drive"
	"holdfast/client/transfer"
	"holdfast/cluster"
	"holdfast/format/keys"
	"holdfast/format/link"
)

// sharer is somebody with a drive.
type sharer struct {
	*testing.T
	account.Access
	c     *cluster.Cluster
	paths *drive.Drive
}

func newSharer(t *testing.T, c *cluster.Cluster, name string) *sharer {
	t.Helper()
	a, err := account.New(c.URL, c.HTTP(t)).SignUp(t.Context(), name, theirPassword, "", keys.NewPhrase())
	must(t, err)
	return &sharer{T: t, Access: a, c: c, paths: deviceOf(t, c, a)}
}

// put stores content at a path of the drive.
func (s *sharer) put(path string, content []byte) {
	s.Helper()
	o := &owner{T: s.T, Access: s.Access, client: s.c.Client(s.T)}
	about, stored := o.store(filepath.Base(path), content)
	_, err := s.paths.Put(s.Context(), []drive.NewFile{{Folder: filepath.Dir(path), Descriptor: about}}, &stored.Upload)
	must(s.T, err)
	must(s.T, stored.Done())
}

func (s *sharer) share(path string) link.Link {
	s.Helper()
	l, _, err := s.paths.Share(s.Context(), path, drive.LinkOptions{})
	must(s.T, err)
	return l
}

// TestFolderLink: a link to a folder shows what was added later, also to a session that
// has begun; unlinking ends it at once, for that session too. What was saved from it
// stays when its owner has nothing left of it.
func TestFolderLink(t *testing.T) {
	c := cluster.Start(t, cluster.Config{Limits: withAccounts(200 * mib)})
	ann, bob := newSharer(t, c, "ann of the links"), newSharer(t, c, "bob of the links")
	one, late := content(1, 9000), content(2, 30*mib)
	ann.put("/album/one", one)
	ann.put("/beside", content(3, 100))
	l := ann.share("/album")
	client := c.Client(t)
	first := t.TempDir()
	got, err := client.Receive(t.Context(), l, transfer.ReceiveOptions{Target: first})
	must(t, err)
	if !got.Share.Bundle || got.Share.Title != "album" {
		t.Errorf("received %q", got.Share.Title)
	}
	same(t, first, map[string][]byte{"one": one})

	s, err := client.Open(t.Context(), l, transfer.OpenOptions{})
	must(t, err)
	must(t, s.Start(t.Context()))
	ann.put("/album/deep/late", late)
	must(t, s.Tree(t.Context()))
	if files, size := s.Totals(); files != 2 || size != 9000+30*mib {
		t.Errorf("%d files of %d bytes", files, size)
	}
	second := t.TempDir()
	_, err = client.Receive(t.Context(), l, transfer.ReceiveOptions{Target: second})
	must(t, err)
	same(t, second, map[string][]byte{"one": one, "deep/late": late})

	from := s.Session()
	// Sorted by path: deep, deep/late, one.
	_, err = bob.paths.Save(t.Context(), nil, []drive.NewFile{drive.Saved("/saved", s.Entries[1])}, l.Handle, from)
	must(t, err)
	links, err := ann.paths.Links(t.Context())
	must(t, err)
	if len(links) != 1 || links[0].Path != "/album" || !links[0].Folder || links[0].Downloads != 3 {
		t.Errorf("links %+v", links)
	}
	if err := bob.paths.Unlink(t.Context(), l.Handle); !errors.Is(err, api.NotFound) {
		t.Errorf("somebody else's link: %v", err)
	}
	must(t, ann.paths.Unlink(t.Context(), l.Handle))
	code(t, s.Tree(t.Context()), api.LinkRevoked)
	for i, e := range s.Entries {
		if e.Content != nil {
			code(t, s.Stream(t.Context(), i, io.Discard), api.LinkRevoked)
		}
	}
	_, err = client.Open(t.Context(), l, transfer.OpenOptions{})
	code(t, err, api.LinkRevoked)
	_, err = bob.paths.Save(t.Context(), nil, []drive.NewFile{drive.Saved("/again", s.Entries[2])}, l.Handle, from)
	code(t, err, api.LinkRevoked)

	_, err = ann.paths.Remove(t.Context(), []string{"/album"})
	must(t, err)
	saved, err := bob.paths.Resolve(t.Context(), "/saved/deep/late")
	must(t, err)
	var back bytes.Buffer
	must(t, c.Client(t).Drive(bob.Root.Account, bob.Token).Stream(t.Context(), transfer.Held{Folder: saved.Folder, Descriptor: *saved.Descriptor()}, &back, transfer.Report{}))
	if !bytes.Equal(back.Bytes(), late) {
		t.Error("what was saved is not what was shared")
	}
}

// TestFileLink: a link to a file of the drive opens like a send's, moves with the file,
// and ends with its owner.
func TestFileLink(t *testing.T) {
	c := cluster.Start(t, cluster.Config{Limits: withAccounts(200 * mib)})
	ann := newSharer(t, c, "ann of the file")
	big := content(1, bigFile)
	ann.put("/big", big)
	l := ann.share("/big")
	_, err := ann.paths.Mkdir(t.Context(), []string{"/into"}, false)
	must(t, err)
	_, err = ann.paths.Move(t.Context(), []string{"/big"}, "/into")
	must(t, err)
	s, err := c.Client(t).Open(t.Context(), l, transfer.OpenOptions{})
	must(t, err)
	if s.Expires != 0 || len(s.Nodes) != 2 || s.Entries[0].Path != "big" || s.Folder() {
		t.Errorf("looks like %+v", s.Entries)
	}
	must(t, s.Start(t.Context()))
	var got bytes.Buffer
	must(t, s.Stream(t.Context(), 0, &got))
	if !bytes.Equal(got.Bytes(), big) {
		t.Error("not what was shared")
	}
	people := account.New(c.URL, c.HTTP(t))
	must(t, people.Erase(t.Context(), account.Owner{Access: ann.Access, Name: "ann of the file", Password: theirPassword}))
	_, err = c.Client(t).Open(t.Context(), l, transfer.OpenOptions{})
	code(t, err, api.LinkRevoked)
}
