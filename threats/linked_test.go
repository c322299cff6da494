package threats

import (
	"errors"
	"slices"
	"testing"

	"holdfast/api"
	"holdfast/client/drive"
	"holdfast/client/transfer"
	"holdfast/format/id"
	"holdfast/format/journal"
	"holdfast/format/link"
)

// lyingToLinks changes what linkFolders answers until the test ends.
func lyingToLinks(t *testing.T, change func(p *api.FolderPart)) {
	play(t, evil{answer: func(x *exchange) {
		if x.is(api.LinkFolders.Info) {
			rewrite(x, func(res *api.ReadFoldersResponse) {
				for i := range res.Folders {
					change(&res.Folders[i])
				}
			})
		}
	}})
}

// opened opens the link of a folder and reads it.
func opened(t *testing.T, l link.Link) (*transfer.Share, error) {
	t.Helper()
	client, _ := newClient(t)
	s, err := client.Open(t.Context(), l, transfer.OpenOptions{})
	if err == nil {
		err = s.Start(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	return s, s.Tree(t.Context())
}

// TestThreat15LinkedFolder: whoever opens a folder's link is shown no less than whoever
// made it saw, nothing that others planted, and no other folder: each is damage.
func TestThreat15LinkedFolder(t *testing.T) {
	a, _ := signedUp(t, "threat fifteen links", "correct horse battery")
	d := newDevice(t, a)
	for _, path := range []string{"/folder/one", "/folder/two", "/folder/three", "/other/four"} {
		d.mkdir(path)
	}
	l, _, err := d.Share(t.Context(), "/folder", drive.LinkOptions{})
	if err != nil {
		t.Fatal(err)
	}
	folder, other := d.id("/folder"), d.id("/other")
	var theirs api.FolderPart
	lying(t, func(_ []api.FolderPoint, parts []api.FolderPart) {
		for _, p := range parts {
			if p.Folder == other {
				theirs = p
			}
		}
	})
	if _, err := newDevice(t, a).names("/other"); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(p *api.FolderPart)
		want   error
	}{
		"the newest entry is hidden":     {func(p *api.FolderPart) { back(t, p, 1) }, journal.Rollback},
		"an entry is left out":           {func(p *api.FolderPart) { p.Entries = slices.Delete(p.Entries, 1, 2) }, journal.Gap},
		"more is said than given":        {func(p *api.FolderPart) { p.Seq++ }, journal.Gap},
		"the last entry is not given":    {func(p *api.FolderPart) { p.Entries = p.Entries[:len(p.Entries)-1] }, journal.Gap},
		"it is said not to be there":     {func(p *api.FolderPart) { *p = api.FolderPart{Folder: p.Folder, Missing: true} }, journal.Missing},
		"another hash is said":           {func(p *api.FolderPart) { p.Hash = id.Bytes32(id.New32()) }, journal.Fork},
		"another folder in its place":    {func(p *api.FolderPart) { theirs.Folder = p.Folder; *p = theirs }, journal.Foreign},
		"an entry of a key of one's own": {func(p *api.FolderPart) { plantedInto(t, p) }, journal.Foreign},
	} {
		t.Run(name, func(t *testing.T) {
			lyingToLinks(t, func(p *api.FolderPart) {
				if p.Folder == folder {
					c.change(p)
				}
			})
			if s, err := opened(t, l); !errors.Is(err, transfer.ErrIntegrity) || !errors.Is(err, c.want) || len(s.Entries) != 0 {
				t.Fatalf("have %v, want %v", err, c.want)
			}
		})
	}
	// What was moved away between two answers is nobody's lie: the tree is read again.
	one, once := d.id("/folder/one"), true
	lyingToLinks(t, func(p *api.FolderPart) {
		if p.Folder == one && once {
			once = false
			*p = api.FolderPart{Folder: p.Folder, Missing: true}
		}
	})
	s, err := opened(t, l)
	if err != nil || len(s.Entries) != 3 || once {
		t.Errorf("after another look: %v", err)
	}
	lyingToLinks(t, func(p *api.FolderPart) {
		if p.Folder == one {
			*p = api.FolderPart{Folder: p.Folder, Missing: true}
		}
	})
	if _, err := opened(t, l); !errors.Is(err, transfer.ErrIntegrity) || !errors.Is(err, journal.Missing) {
		t.Errorf("a folder below is never there: %v", err)
	}
	honest()
	s, err = opened(t, l)
	if err != nil || len(s.Entries) != 3 {
		t.Errorf("unchanged: %v", err)
	}
}

// plantedInto appends an entry that somebody without the folder's keys made.
func plantedInto(t *testing.T, p *api.FolderPart) {
	raw := plantedAfter(t, journal.Pen{Keys: journal.NewKeys()}, p.Folder, p.Seq, journal.Hash(p.Hash))
	p.Entries, p.Seq, p.Hash = append(p.Entries, id.Encoding.EncodeToString(raw)), p.Seq+1, id.Bytes32(hashOf(raw))
}

// TestThreat16UnlinkedFolder: the server gives nothing more of an unlinked folder, to a
// session that has begun either.
func TestThreat16UnlinkedFolder(t *testing.T) {
	a, _ := signedUp(t, "threat sixteen links", "correct horse battery")
	d := newDevice(t, a)
	d.mkdir("/folder/one")
	l, _, err := d.Share(t.Context(), "/folder", drive.LinkOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := opened(t, l)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Unlink(t.Context(), l.Handle); err != nil {
		t.Fatal(err)
	}
	if err := s.Tree(t.Context()); !errors.Is(err, api.LinkRevoked) {
		t.Errorf("have %v", err)
	}
}

// TestThreat13LinkNotes: what the server keeps of an account's links says nothing of
// another link, nor anything that the account did not write.
func TestThreat13LinkNotes(t *testing.T) {
	a, _ := signedUp(t, "threat thirteen links", "correct horse battery")
	d := newDevice(t, a)
	d.mkdir("/one/a")
	d.mkdir("/two/b")
	for _, path := range []string{"/one", "/two"} {
		if _, _, err := d.Share(t.Context(), path, drive.LinkOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	all, err := newDevice(t, a).Links(t.Context())
	if err != nil || len(all) != 2 || all[0].Path != "/two" || all[1].Path != "/one" {
		t.Fatalf("have %+v, %v", all, err)
	}
	for name, change := range map[string]func(links []api.DriveLink){
		"exchanged": func(links []api.DriveLink) { links[0].Own, links[1].Own = links[1].Own, links[0].Own },
		"empty":     func(links []api.DriveLink) { links[1].Own = "" },
	} {
		play(t, evil{answer: func(x *exchange) {
			if x.is(api.ListDriveLinks.Info) {
				rewrite(x, func(res *api.DriveLinks) { change(res.Links) })
			}
		}})
		if all, err := d.Links(t.Context()); err == nil {
			t.Errorf("%s: have %+v", name, all)
		}
	}
	honest()
}
