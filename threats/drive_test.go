package threats

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"holdfast/api"
	"holdfast/client/account"
	"holdfast/client/drive"
	"holdfast/client/home"
	"holdfast/format/descriptor"
	"holdfast/format/id"
	"holdfast/format/journal"
)

// device is a drive with a home of its own.
type device struct {
	*drive.Drive
	t    *testing.T
	home string
}

func newDevice(t *testing.T, a account.Access) *device { return deviceAt(t, a, t.TempDir()) }

func deviceAt(t *testing.T, a account.Access, path string) *device {
	t.Helper()
	dir, err := home.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	web := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(web.CloseIdleConnections)
	d, err := drive.Open(a, dir, api.Caller{Base: service.front.url, HTTP: web})
	if err != nil {
		t.Fatal(err)
	}
	return &device{d, t, path}
}

// again is the device after a restart; without its cache it has its pins only.
func (d *device) again(a account.Access, cache bool) *device {
	d.t.Helper()
	if !cache {
		paths, err := filepath.Glob(filepath.Join(d.home, "drive", "*", "cache", "*"))
		if err != nil || len(paths) == 0 {
			d.t.Fatalf("no cache: %v", err)
		}
		for _, path := range paths {
			if err := os.Remove(path); err != nil {
				d.t.Fatal(err)
			}
		}
	}
	return deviceAt(d.t, a, d.home)
}

func (d *device) mkdir(paths ...string) {
	d.t.Helper()
	if _, err := d.Mkdir(limited(d.t), paths, true); err != nil {
		d.t.Fatal(err)
	}
}

func (d *device) id(path string) id.Folder {
	d.t.Helper()
	i, err := d.Resolve(limited(d.t), path)
	if err != nil {
		d.t.Fatal(err)
	}
	return i.Self
}

// names lists a folder.
func (d *device) names(path string) (names []string, err error) {
	items, err := d.List(limited(d.t), path)
	for _, i := range items {
		names = append(names, i.Entry.Name())
	}
	return names, err
}

// alarmed wants an alarm that names the folder and the kind, and nothing to be shown.
func (d *device) alarmed(path, folder string, kind journal.Kind) {
	d.t.Helper()
	names, err := d.names(path)
	var a *drive.Alarm
	if !errors.As(err, &a) || a.Kind != kind || a.Path != folder || len(names) != 0 {
		d.t.Fatalf("%s: have %v and %v, want the alarm %q of %s", path, names, err, string(kind), folder)
	}
}

// lying changes what readFolders answers until the test ends. change sees the parts, and
// what was asked.
func lying(t *testing.T, change func(asked []api.FolderPoint, parts []api.FolderPart)) *tape {
	play(t, evil{answer: func(x *exchange) {
		if !x.is(api.ReadFolders.Info) {
			return
		}
		var req api.ReadFoldersRequest
		if err := json.Unmarshal(x.sent, &req); err != nil {
			panic(err)
		}
		rewrite(x, func(res *api.ReadFoldersResponse) { change(req.Folders, res.Folders) })
	}})
	return taped(t)
}

// back makes a part what it was n entries before, as far as the caller sees.
func back(t *testing.T, part *api.FolderPart, n int) {
	if len(part.Entries) <= n {
		return
	}
	part.Entries = part.Entries[:len(part.Entries)-n]
	raw, err := id.Encoding.DecodeString(part.Entries[len(part.Entries)-1])
	if err != nil {
		t.Error(err)
	}
	part.Seq -= int64(n)
	part.Hash = id.Bytes32(hashOf(raw))
}

// TestThreat04DriveKeys: a server that chooses a folder's keys, to read what is put into
// it, is refused before anything is sent.
func TestThreat04DriveKeys(t *testing.T) {
	a, _ := signedUp(t, "threat four drive", "correct horse battery")
	d := newDevice(t, a)
	d.mkdir("/target", "/other")
	target := d.id("/target")
	forged := journal.NewKeys()
	anchor := journal.Anchor{Folder: target, Epoch: 1, Public: forged.Public()}
	first, err := journal.Found(anchor, journal.Pen{Keys: forged})
	if err != nil {
		t.Fatal(err)
	}
	tape := lying(t, func(_ []api.FolderPoint, parts []api.FolderPart) {
		for i := range parts {
			if p := &parts[i]; p.Folder == target {
				p.Seq, p.Hash, p.Pages, p.Entries = 1, id.Bytes32(hashOf(first)), nil, []string{id.Encoding.EncodeToString(first)}
			}
		}
	})
	fresh := newDevice(t, a)
	fresh.alarmed("/target", "/target", journal.Foreign)
	file := drive.NewFile{Folder: "/target", Descriptor: someFile("x")}
	var alarm *drive.Alarm
	if _, err := fresh.Put(limited(t), []drive.NewFile{file}, nil); !errors.As(err, &alarm) {
		t.Errorf("put into it: %v", err)
	}
	if n := len(tape.calls(api.CommitDrive.Info)); n != 0 {
		t.Errorf("%d commits were sent", n)
	}
	honest()
	if _, err := fresh.names("/target"); err != nil {
		t.Errorf("unchanged: %v", err)
	}
}

func someFile(name string) descriptor.Descriptor {
	return descriptor.Descriptor{Path: name, Kind: descriptor.File, Content: &descriptor.Content{
		File: id.New[id.File](), Revision: id.New[id.Revision](), Key: descriptor.Key(id.New32()),
	}}
}

// TestThreat13DriveSwaps: siblings' journals and their parts do not pass for each other.
func TestThreat13DriveSwaps(t *testing.T) {
	a, _ := signedUp(t, "threat thirteen drive", "correct horse battery")
	d := newDevice(t, a)
	d.mkdir("/one/a", "/two/b")
	d.mkdir("/one/c", "/two/d")
	one, two := d.id("/one"), d.id("/two")
	fresh := func() *device { return newDevice(t, a) }
	// Whole journals change places.
	var kept map[id.Folder]api.FolderPart
	collect := map[id.Folder]api.FolderPart{}
	lying(t, func(_ []api.FolderPoint, parts []api.FolderPart) {
		for _, p := range parts {
			collect[p.Folder] = p
		}
	})
	for _, path := range []string{"/one", "/two"} {
		if _, err := fresh().names(path); err != nil {
			t.Fatal(err)
		}
	}
	kept = collect
	swap := func(change func(p *api.FolderPart, other api.FolderPart)) {
		lying(t, func(_ []api.FolderPoint, parts []api.FolderPart) {
			for i := range parts {
				if parts[i].Folder == one {
					change(&parts[i], kept[two])
				}
			}
		})
	}
	swap(func(p *api.FolderPart, other api.FolderPart) {
		folder := p.Folder
		*p = other
		p.Folder = folder
	})
	fresh().alarmed("/one", "/one", journal.Foreign)
	swap(func(p *api.FolderPart, other api.FolderPart) { *p = other })
	if names, err := fresh().names("/one"); !errors.Is(err, drive.ErrAnswer) || len(names) != 0 {
		t.Errorf("another folder's part: %v, %v", names, err)
	}
	// One entry comes from the sibling, or from another place.
	swap(func(p *api.FolderPart, other api.FolderPart) { p.Entries[1] = other.Entries[1] })
	fresh().alarmed("/one", "/one", journal.Foreign)
	swap(func(p *api.FolderPart, _ api.FolderPart) { slices.Reverse(p.Entries) })
	fresh().alarmed("/one", "/one", journal.Gap)
	// Any bit of an entry, at places over its whole length.
	size := len(kept[one].Entries[1])
	for at := 3; at < size; at += max(1, size/40) {
		swap(func(p *api.FolderPart, _ api.FolderPart) {
			raw, err := id.Encoding.DecodeString(p.Entries[1])
			if err != nil {
				t.Error(err)
			}
			raw[at*3/4] ^= 1
			p.Entries[1] = id.Encoding.EncodeToString(raw)
		})
		var alarm *drive.Alarm
		if names, err := fresh().names("/one"); !errors.As(err, &alarm) || alarm.Path != "/one" || len(names) != 0 {
			t.Fatalf("byte %d: %v, %v", at*3/4, names, err)
		}
	}
	honest()
	if names, err := fresh().names("/one"); err != nil || strings.Join(names, " ") != "a c" {
		t.Errorf("unchanged: %v, %v", names, err)
	}
}

// TestThreat14DrivePlanted: an entry that a server invents is found by its signature, also
// where it stands behind what a device knows already, and where it was made with the read key.
func TestThreat14DrivePlanted(t *testing.T) {
	a, _ := signedUp(t, "threat fourteen drive", "correct horse battery")
	d := newDevice(t, a)
	d.mkdir("/folder/inside")
	folder := d.id("/folder")
	keys := journal.NewKeys()
	for name, pen := range map[string]journal.Pen{"strange keys": {Keys: keys}} {
		lying(t, func(asked []api.FolderPoint, parts []api.FolderPart) {
			for i := range parts {
				p := &parts[i]
				if p.Folder != folder {
					continue
				}
				raw := plantedAfter(t, pen, p.Folder, p.Seq, journal.Hash(p.Hash))
				p.Seq++
				p.Hash = id.Bytes32(hashOf(raw))
				p.Entries = append(p.Entries, id.Encoding.EncodeToString(raw))
			}
		})
		t.Log(name)
		newDevice(t, a).alarmed("/folder", "/folder", journal.Foreign)
		d.again(a, true).alarmed("/folder", "/folder", journal.Foreign)
	}
}

// plantedAfter is an entry that would be the next one, signed with keys of the server's own.
func plantedAfter(t *testing.T, pen journal.Pen, folder id.Folder, seq int64, hash journal.Hash) []byte {
	t.Helper()
	anchor := journal.Anchor{Folder: folder, Epoch: 1, Public: pen.Keys.Public()}
	opener := journal.NewOpener(1, pen.Keys.Read)
	s := journal.Begin(anchor)
	raw, err := journal.Found(anchor, pen)
	if err != nil {
		t.Fatal(err)
	}
	for n := range seq {
		if _, err := s.Apply(raw, opener); err != nil {
			t.Fatal(err)
		}
		if raw, err = s.Write(pen, journal.PutFile(id.New[id.Entry](), someFile("planted "+string(rune('a'+n))))); err != nil {
			t.Fatal(err)
		}
	}
	return raw
}

// TestThreat15DriveHidden: what a server leaves out is found: by pins where the whole
// drive is shown as of yesterday, by the account's heads on a device that saw nothing yet,
// by the parent's journal where a folder is said not to be there.
func TestThreat15DriveHidden(t *testing.T) {
	a, _ := signedUp(t, "threat fifteen drive", "correct horse battery")
	d := newDevice(t, a)
	d.mkdir("/folder/one")
	d.mkdir("/folder/two")
	d.mkdir("/folder/three")
	if _, err := d.names("/folder"); err != nil {
		t.Fatal(err)
	}
	folder, heads, root := d.id("/folder"), a.Root.Heads().ID, a.Root.RootFolder().ID
	only := func(which id.Folder, change func(p *api.FolderPart)) {
		lying(t, func(_ []api.FolderPoint, parts []api.FolderPart) {
			for i := range parts {
				if parts[i].Folder == which {
					change(&parts[i])
				}
			}
		})
	}
	// The newest entry of one folder: heads know of it.
	only(folder, func(p *api.FolderPart) { back(t, p, 1) })
	newDevice(t, a).alarmed("/folder", "/folder", journal.Rollback)
	// All of the drive as of yesterday: a new device cannot know, but pins do.
	lying(t, func(_ []api.FolderPoint, parts []api.FolderPart) {
		for i := range parts {
			back(t, &parts[i], 1)
		}
	})
	d.again(a, false).alarmed("/folder", "(heads of all folders)", journal.Rollback)
	// An entry in the middle, and one that is said to be there and is not given.
	only(folder, func(p *api.FolderPart) { p.Entries = slices.Delete(p.Entries, 1, 2) })
	newDevice(t, a).alarmed("/folder", "/folder", journal.Gap)
	only(folder, func(p *api.FolderPart) { p.Seq++ })
	newDevice(t, a).alarmed("/folder", "/folder", journal.Gap)
	only(folder, func(p *api.FolderPart) { p.Entries = p.Entries[:len(p.Entries)-1] })
	newDevice(t, a).alarmed("/folder", "/folder", journal.Gap)
	// Whole folders.
	only(folder, func(p *api.FolderPart) { *p = api.FolderPart{Folder: p.Folder, Missing: true} })
	newDevice(t, a).alarmed("/folder", "/folder", journal.Missing)
	d.again(a, true).alarmed("/folder", "/folder", journal.Missing)
	only(root, func(p *api.FolderPart) { *p = api.FolderPart{Folder: p.Folder, Missing: true} })
	newDevice(t, a).alarmed("/folder", "/", journal.Missing)
	only(heads, func(p *api.FolderPart) { *p = api.FolderPart{Folder: p.Folder, Missing: true} })
	newDevice(t, a).alarmed("/folder", "(heads of all folders)", journal.Missing)
	lying(t, func(_ []api.FolderPoint, parts []api.FolderPart) {
		for i := range parts {
			parts[i] = api.FolderPart{Folder: parts[i].Folder, Missing: true}
		}
	})
	d.again(a, true).alarmed("/folder", "(heads of all folders)", journal.Missing)
	honest()
	for _, after := range []*device{newDevice(t, a), d.again(a, false), d.again(a, true)} {
		if names, err := after.names("/folder"); err != nil || len(names) != 3 {
			t.Errorf("unchanged: %v, %v", names, err)
		}
	}
}

// TestThreat15DriveFork: two devices that are shown two versions find it out when they
// are shown one again.
func TestThreat15DriveFork(t *testing.T) {
	a, _ := signedUp(t, "threat fifteen fork", "correct horse battery")
	one, two := newDevice(t, a), newDevice(t, a)
	one.mkdir("/folder")
	if _, err := two.names("/folder"); err != nil {
		t.Fatal(err)
	}
	play(t, evil{request: func(x *exchange) bool {
		return x.is(api.CommitDrive.Info) && x.reply(http.StatusOK, api.CommitDriveResponse{Copies: []api.Node{}})
	}})
	one.mkdir("/folder/seen by one")
	honest()
	two.mkdir("/folder/seen by two")
	two.mkdir("/folder/and more") // both journals go on: their ends alone would tell nothing
	for _, cache := range []bool{true, false} {
		one.again(a, cache).alarmed("/folder", "(heads of all folders)", journal.Fork)
	}
	// The forked folder alone: the heads agree, the folder does not.
	folder := two.id("/folder")
	keep := map[id.Folder]api.FolderPart{}
	lying(t, func(asked []api.FolderPoint, parts []api.FolderPart) {
		for i, p := range parts {
			if asked[i].After == 0 {
				keep[p.Folder] = p
			}
		}
	})
	if _, err := newDevice(t, a).names("/folder"); err != nil {
		t.Fatal(err)
	}
	lying(t, func(_ []api.FolderPoint, parts []api.FolderPart) {
		for i := range parts {
			if p := &parts[i]; p.Folder == folder {
				p.Hash[0] ^= 1
			}
		}
	})
	newDevice(t, a).alarmed("/folder", "/folder", journal.Fork)
}

func hashOf(raw []byte) journal.Hash { return sha256.Sum256(raw) }
