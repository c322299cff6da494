package drive

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"holdfast/api"
	"holdfast/client/account"
	"holdfast/client/home"
	"holdfast/format/id"
	"holdfast/format/journal"
	"holdfast/format/keys"
)

// fake is a server of journals in memory: it checks chains, compares and swaps. What
// revisions, roles and quota are it does not know.
type fake struct {
	t   testing.TB
	url string

	mu       sync.Mutex // guards what follows
	folders  map[id.Folder]*fakeFolder
	answers  map[id.Commit]bool
	requests []string
	commits  int
	sizes    []int // of entries, the last commit's
	// before is called before a commit is looked at, lies may change what is read.
	before func()
	lies   func(*api.ReadFoldersResponse)
	lose   int // so many answers to commits are lost
	links  []api.DriveLink
}

type fakeFolder struct {
	chain  journal.Chain
	raws   [][]byte
	pages  map[id.Bytes32]string
	named  []id.Bytes32
	naming int // index of the entry that names the checkpoint
}

func newFake(t testing.TB) *fake {
	f := &fake{t: t, folders: map[id.Folder]*fakeFolder{}, answers: map[id.Commit]bool{}, links: []api.DriveLink{}}
	mux := http.NewServeMux()
	onError := func(id string, err error) { t.Errorf("%s: %v", id, err) }
	api.ReadFolders.Handle(mux, onError, f.read)
	api.CommitDrive.Handle(mux, onError, f.commit)
	api.KeepCheckpoint.Handle(mux, onError, f.keep)
	api.ReadCheckpoint.Handle(mux, onError, f.checkpoint)
	api.FolderGrants.Handle(mux, onError, func(context.Context, api.Request, api.Empty) (api.FolderGrantsResponse, error) {
		return api.FolderGrantsResponse{Grants: []string{}}, nil
	})
	api.ListDriveLinks.Handle(mux, onError, func(context.Context, api.Request, api.Empty) (api.DriveLinks, error) {
		f.mu.Lock()
		defer f.mu.Unlock()
		return api.DriveLinks{Links: f.links}, nil
	})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		f.requests = append(f.requests, r.URL.Path)
		lost := f.lose > 0 && r.URL.Path == api.CommitDrive.Path
		if lost {
			f.lose--
		}
		f.mu.Unlock()
		if lost {
			mux.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	f.url = s.URL
	return f
}

func (f *fake) took() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	r := f.requests
	f.requests = nil
	return r
}

func (f *fake) read(_ context.Context, _ api.Request, req api.ReadFoldersRequest) (res api.ReadFoldersResponse, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range req.Folders {
		j, ok := f.folders[p.Folder]
		if !ok {
			res.Folders = append(res.Folders, api.FolderPart{Folder: p.Folder, Missing: true})
			continue
		}
		part := api.FolderPart{Folder: p.Folder, Seq: j.chain.Seq, Hash: id.Bytes32(j.chain.Hash), Epoch: j.chain.Epoch, Role: "admin"}
		from := int(p.After)
		if from == 0 && j.named != nil {
			from, part.Pages = j.naming, j.named
		}
		for _, raw := range j.raws[min(from, len(j.raws)):] {
			part.Entries = append(part.Entries, id.Encoding.EncodeToString(raw))
		}
		res.Folders = append(res.Folders, part)
	}
	if f.lies != nil {
		f.lies(&res)
	}
	return res, nil
}

func (f *fake) keep(_ context.Context, r api.Request, req api.CheckpointPages) (api.Empty, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	folder, err := id.Parse[id.Folder](r.PathValue("folder"))
	j := f.folders[folder]
	if err != nil || j == nil {
		return api.Empty{}, api.NewProblem(api.NotFound, "")
	}
	for _, page := range req.Pages {
		raw, err := id.Encoding.DecodeString(page)
		if err != nil {
			return api.Empty{}, err
		}
		j.pages[sha256.Sum256(raw)] = page
	}
	return api.Empty{}, nil
}

func (f *fake) checkpoint(_ context.Context, r api.Request, req api.ReadCheckpointRequest) (res api.CheckpointPages, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	folder, err := id.Parse[id.Folder](r.PathValue("folder"))
	for _, hash := range req.Pages {
		page, ok := f.folders[folder].pages[hash]
		if !ok {
			return res, api.NewProblem(api.NotFound, "")
		}
		res.Pages = append(res.Pages, page)
	}
	return res, err
}

func (f *fake) commit(_ context.Context, _ api.Request, req api.CommitDriveRequest) (res api.CommitDriveResponse, err error) {
	f.mu.Lock()
	before := f.before
	f.mu.Unlock()
	if before != nil {
		before()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.answers[req.Key] {
		return res, nil
	}
	for _, h := range req.Unchanged {
		if c := f.folders[h.Folder]; c == nil || c.chain.Seq != h.Seq {
			return res, api.NewProblem(api.HeadMoved, "")
		}
	}
	chains := map[id.Folder]journal.Chain{}
	added := map[id.Folder][][]byte{}
	named := map[id.Folder][]id.Bytes32{}
	lies := map[id.Folder]int{}
	for _, folder := range req.Roots {
		lies[folder]++
	}
	f.sizes = nil
	for _, text := range req.Entries {
		raw, err := id.Encoding.DecodeString(text)
		if err != nil {
			return res, err
		}
		f.sizes = append(f.sizes, len(raw))
		folder, err := folderOf(raw)
		if err != nil {
			return res, api.NewProblem(api.EntryInvalid, "%v", err)
		}
		c, begun := chains[folder]
		if !begun {
			c = journal.Chain{Folder: folder}
			if j := f.folders[folder]; j != nil {
				c = j.chain
			} else {
				lies[folder]--
			}
		}
		outer, next, err := c.Check(raw)
		if err != nil {
			var a *journal.Alarm
			if asAlarm(err, &a); a != nil && (a.Kind == journal.Fork || a.Kind == journal.Rollback) {
				return res, api.NewProblem(api.HeadMoved, "")
			}
			return res, api.NewProblem(api.EntryInvalid, "%v", err)
		}
		for _, child := range outer.FoldersAdded {
			lies[child]++
		}
		for _, child := range outer.FoldersDropped {
			lies[child]--
		}
		for _, p := range outer.Pages {
			if f.folders[folder].pages[id.Bytes32(p)] == "" {
				return res, api.NewProblem(api.PageMissing, "")
			}
			named[folder] = append(named[folder], id.Bytes32(p))
		}
		chains[folder], added[folder] = next, append(added[folder], raw)
	}
	for folder, n := range lies {
		if n > 0 || n < 0 && f.folders[folder] == nil {
			return res, api.NewProblem(api.FolderMisplaced, "%s", folder)
		}
	}
	f.take(chains, added, named)
	f.answers[req.Key] = true
	f.commits++
	return res, nil
}

// take takes in what a commit changes.
func (f *fake) take(chains map[id.Folder]journal.Chain, added map[id.Folder][][]byte, named map[id.Folder][]id.Bytes32) {
	for folder, c := range chains {
		j := f.folders[folder]
		if j == nil {
			j = &fakeFolder{pages: map[id.Bytes32]string{}}
			f.folders[folder] = j
		}
		if named[folder] != nil {
			j.named, j.naming = named[folder], len(j.raws)
		}
		j.chain, j.raws = c, append(j.raws, added[folder]...)
	}
}

func asAlarm(err error, to **journal.Alarm) { *to, _ = err.(*journal.Alarm) }

// folderOf finds of which folder an entry is: it tries whether a chain of it takes it.
func folderOf(raw []byte) (id.Folder, error) {
	_, _, err := journal.Chain{}.Check(raw)
	var folder id.Folder
	a, ok := err.(*journal.Alarm)
	if !ok {
		return folder, fmt.Errorf("not refused: %v", err)
	}
	var text string
	if _, err := fmt.Sscanf(a.Cause.Error(), "it is of folder %s", &text); err != nil {
		return folder, a
	}
	return id.Parse[id.Folder](text)
}

// device is a drive with a home of its own.
type device struct {
	*Drive
	t    testing.TB
	home string
}

func someAccount() account.Access { return account.Access{Root: keys.NewRoot(), Token: id.New32()} }

func (f *fake) device(a account.Access) *device {
	f.t.Helper()
	return f.deviceAt(a, f.t.TempDir())
}

func (f *fake) deviceAt(a account.Access, path string) *device {
	f.t.Helper()
	dir, err := home.Open(path)
	if err != nil {
		f.t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{}}
	f.t.Cleanup(client.CloseIdleConnections)
	d, err := Open(a, dir, api.Caller{Base: f.url, HTTP: client})
	if err != nil {
		f.t.Fatal(err)
	}
	d.Warn = func(text string) { f.t.Errorf("warning: %s", text) }
	return &device{d, f.t, path}
}
