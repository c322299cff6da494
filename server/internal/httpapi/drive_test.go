package httpapi

import (
	"encoding/json"
	"strings"
	"testing"

	"holdfast/api"
	"holdfast/format/id"
	"holdfast/format/journal"
	"holdfast/format/journal/journaltest"
	"holdfast/server/internal/servertest"
)

func encoded(raws ...[]byte) []string { return texts(raws) }

func (r *rig) commit(p *person, req api.CommitDriveRequest) (api.CommitDriveResponse, error) {
	r.Helper()
	req.Key = id.New[id.Commit]()
	return api.CommitDrive.Call(r.Context(), r.call, p.args(), req)
}

func inFolder(p *person, b *journaltest.Book) api.Args {
	return api.Args{Path: map[string]string{"folder": b.ID().String()}, Secret: p.token.String()}
}

func (r *rig) root(p *person) *journaltest.Book {
	r.Helper()
	b, first := journaltest.Found(r)
	_, err := r.commit(p, api.CommitDriveRequest{Entries: encoded(first), Roots: []id.Folder{b.ID()}})
	r.must(err)
	b.Take(first)
	return b
}

func (r *rig) folder(p *person, b *journaltest.Book, after int64) api.FolderPart {
	r.Helper()
	res, err := api.ReadFolders.Call(r.Context(), r.call, p.args(), api.ReadFoldersRequest{Folders: []api.FolderPoint{{Folder: b.ID(), After: after}}})
	r.must(err)
	return res.Folders[0]
}

// TestDriveJourney: a root, files, a checkpoint, a grant and its end, over HTTP.
func TestDriveJourney(t *testing.T) {
	r := newRig(t)
	ann, bob := r.signedUp("ann", "a password of ann's"), r.signedUp("bob", "a password of bob's")
	root := r.root(ann)

	g, err := api.OpenDriveUpload.Call(t.Context(), r.call, ann.args(), api.OpenDriveUploadRequest{})
	r.must(err)
	if g.Limits.MaxUploadBytes != limits.AccountBytes || g.Closes != r.clock.Now().Unix()+6*86400 {
		t.Errorf("grant of %d bytes until %d", g.Limits.MaxUploadBytes, g.Closes)
	}
	send := servertest.NewSend(t, g.Upload, r.clock.Now(), r.fleet.Nodes[:2], 5000, 6000)
	_, err = api.CommitUpload.Call(t.Context(), r.call, uploadArgs(g), request(send))
	r.want(err, api.BadRequest)
	put := root.Write(root.PutAll(send.Revisions()...)...)
	done, err := r.commit(ann, api.CommitDriveRequest{Entries: encoded(put), Upload: &api.DriveUpload{Upload: g.Upload, Secret: g.Secret, Page: page(send.Page)}})
	r.must(err)
	if len(done.Copies) != 2 {
		t.Errorf("copies %v", done.Copies)
	}
	root.Take(put)

	revision := send.Page.Revisions[1]
	p, err := api.FolderRevisions.Call(t.Context(), r.call, inFolder(ann, root), api.FolderRevisionsRequest{Revisions: []id.Revision{revision.ID}})
	r.must(err)
	if len(p.Revisions) != 1 || p.Revisions[0].ReleaseKey != revision.ReleaseKey || len(p.Tickets) != 1 || p.Blobs[0].Upload != g.Upload {
		t.Errorf("revisions %+v", p)
	}
	_, err = api.FolderExtents.Call(t.Context(), r.call, inFolder(ann, root), api.FolderExtentsRequest{Revision: revision.ID, Count: 1})
	r.must(err)

	pages, named := root.Checkpoint()
	_, err = r.commit(ann, api.CommitDriveRequest{Entries: encoded(named)})
	r.want(err, api.PageMissing)
	_, err = api.KeepCheckpoint.Call(t.Context(), r.call, inFolder(ann, root), api.CheckpointPages{Pages: encoded(pages...)})
	r.must(err)
	_, err = r.commit(ann, api.CommitDriveRequest{Entries: encoded(named)})
	r.must(err)
	root.Take(named)
	part := r.folder(ann, root, 0)
	if len(part.Pages) != 1 || len(part.Entries) != 1 || part.Seq != 3 || part.Role != "admin" || part.Epoch != 1 {
		t.Errorf("with a checkpoint: %+v", part)
	}
	kept, err := api.ReadCheckpoint.Call(t.Context(), r.call, inFolder(ann, root), api.ReadCheckpointRequest{Pages: part.Pages})
	r.must(err)
	if kept.Pages[0] != text(pages[0]) {
		t.Error("another page came back")
	}
	r.shared(ann, bob, root, revision.ID)

	view, err := api.GetDrive.Call(t.Context(), r.call, ann.args(), api.Empty{})
	r.must(err)
	if want := servertest.StreamLength(5000) + servertest.StreamLength(6000); view.Bytes != want || view.Quota != limits.AccountBytes || view.Reserved != 0 {
		t.Errorf("view %+v, want %d bytes", view, want)
	}
}

// shared grants bob the root, and takes it back.
func (r *rig) shared(ann, bob *person, root *journaltest.Book, revision id.Revision) {
	r.Helper()
	see := func() error {
		_, err := api.FolderRevisions.Call(r.Context(), r.call, inFolder(bob, root), api.FolderRevisionsRequest{Revisions: []id.Revision{revision}})
		return err
	}
	r.want(see(), api.NotFound)
	grant := root.Grant(bob.root.Account, journal.Reads, 1)
	_, err := r.commit(ann, api.CommitDriveRequest{Entries: []string{}, Grants: encoded(grant)})
	r.must(err)
	r.must(see())
	if part := r.folder(bob, root, 2); part.Role != "reader" || len(part.Entries) != 1 {
		r.Errorf("a reader sees %+v", part)
	}
	view, err := api.GetDrive.Call(r.Context(), r.call, bob.args(), api.Empty{})
	r.must(err)
	if len(view.Granted) != 1 || view.Granted[0].Folder != root.ID() || view.Granted[0].Grant != text(grant) {
		r.Errorf("granted %+v", view.Granted)
	}
	grants, err := api.FolderGrants.Call(r.Context(), r.call, inFolder(bob, root), api.Empty{})
	r.must(err)
	if len(grants.Grants) != 1 {
		r.Errorf("grants %+v", grants)
	}
	_, err = r.commit(ann, api.CommitDriveRequest{Entries: []string{}, Grants: encoded(root.Grant(bob.root.Account, journal.Nobody, 2))})
	r.must(err)
	r.want(see(), api.NotFound)
	if part := r.folder(bob, root, 0); !part.Missing || part.Seq != 0 {
		r.Errorf("who was revoked sees %+v", part)
	}
	_, err = r.commit(ann, api.CommitDriveRequest{Entries: []string{}, Grants: encoded(grant)})
	r.want(err, api.GrantInvalid)
}

// TestDriveHostile: what no client of ours sends.
func TestDriveHostile(t *testing.T) {
	r := newRig(t)
	ann := r.signedUp("ann", "a password of ann's")
	root := r.root(ann)
	token, at := ann.token.String(), "/api/v1/drive/folders/"+root.ID().String()
	many := func(n int, one string) string { return strings.TrimSuffix(strings.Repeat(one+",", n), ",") }
	for name, c := range map[string]struct {
		method, path, secret, body string
		code                       api.Code
	}{
		"no session":              {"POST", "/api/v1/drive/folders", "", `{"folders":[]}`, api.Unauthorized},
		"a session of nobody":     {"POST", "/api/v1/drive/folders", anotherSecret(), `{"folders":[]}`, api.AccountSessionOver},
		"a token that is none":    {"POST", "/api/v1/drive/commits", "token", `{"key":""}`, api.AccountSessionOver},
		"no key":                  {"POST", "/api/v1/drive/commits", token, `{"entries":["AAAA"]}`, api.BadRequest},
		"a key of zeros":          {"POST", "/api/v1/drive/commits", token, `{"key":"AAAAAAAAAAAAAAAAAAAAAA","entries":["AAAA"]}`, api.BadRequest},
		"not base64":              {"POST", "/api/v1/drive/commits", token, `{"key":"AAAAAAAAAAAAAAAAAAAAAQ","entries":["?"]}`, api.BadRequest},
		"no entry":                {"POST", "/api/v1/drive/commits", token, `{"key":"AAAAAAAAAAAAAAAAAAAAAQ","entries":["AAAA"]}`, api.EntryInvalid},
		"no grant":                {"POST", "/api/v1/drive/commits", token, `{"key":"AAAAAAAAAAAAAAAAAAAAAQ","entries":[],"grants":["AAAA"]}`, api.GrantInvalid},
		"many roots":              {"POST", "/api/v1/drive/commits", token, `{"key":"AAAAAAAAAAAAAAAAAAAAAQ","entries":["` + text(root.Write(root.Put("a", id.Revision{1}))) + `"],"roots":[` + many(17, `"AAAAAAAAAAAAAAAAAAAAAQ"`) + `]}`, api.OverLimit},
		"a body of 13 MiB":        {"POST", "/api/v1/drive/commits", token, `{"key":"` + strings.Repeat("A", 13<<20) + `"}`, api.BodyTooLarge},
		"too many folders":        {"POST", "/api/v1/drive/folders", token, `{"folders":[` + many(257, `{"folder":"AAAAAAAAAAAAAAAAAAAAAQ","after":0}`) + `]}`, api.BodyTooLarge},
		"before the first":        {"POST", "/api/v1/drive/folders", token, `{"folders":[{"folder":"AAAAAAAAAAAAAAAAAAAAAQ","after":-1}]}`, api.BadRequest},
		"a folder twice":          {"POST", "/api/v1/drive/folders", token, `{"folders":[` + many(2, `{"folder":"AAAAAAAAAAAAAAAAAAAAAQ","after":0}`) + `]}`, api.BadRequest},
		"a path without id":       {"POST", "/api/v1/drive/folders/x/revisions", token, `{"revisions":[]}`, api.NotFound},
		"no revision named":       {"POST", at + "/revisions", token, `{"revisions":[]}`, api.BadRequest},
		"a revision not held":     {"POST", at + "/revisions", token, `{"revisions":["AAAAAAAAAAAAAAAAAAAAAQ"]}`, api.NotFound},
		"a cursor from elsewhere": {"POST", at + "/revisions", token, `{"revisions":["AAAAAAAAAAAAAAAAAAAAAQ"],"cursor":"9"}`, api.BadRequest},
		"extents of nothing":      {"POST", at + "/extents", token, `{"revision":"AAAAAAAAAAAAAAAAAAAAAQ","from":0,"count":0}`, api.BadRequest},
		"five pages":              {"POST", at + "/checkpoint", token, `{"pages":[` + many(5, `"`+strings.Repeat("A", 43)+`"`) + `]}`, api.BodyTooLarge},
		"a page not kept":         {"POST", at + "/checkpoint", token, `{"pages":["` + strings.Repeat("A", 43) + `"]}`, api.NotFound},
		"an empty page":           {"PUT", at + "/checkpoint", token, `{"pages":[""]}`, api.OverLimit},
		"a page too large":        {"PUT", at + "/checkpoint", token, `{"pages":["` + strings.Repeat("AAAA", 1<<20) + `"]}`, api.OverLimit},
		"bytes below nothing":     {"POST", "/api/v1/drive/uploads", token, `{"bytes":-1}`, api.BadRequest},
		"more than the quota":     {"POST", "/api/v1/drive/uploads", token, `{"bytes":1073741825}`, api.OverQuota},
	} {
		t.Run(name, func(t *testing.T) {
			if _, code, body := r.raw(c.method, c.path, c.secret, c.body); code != c.code {
				t.Errorf("have %s, want %s: %.200s", code, c.code, body)
			}
		})
	}
	if text := r.log.String(); strings.Contains(text, "request failed") {
		t.Errorf("an error that callers were not told: %s", text)
	}
}

// TestEntryKinds: what is wrong with an entry is told by its kind.
func TestEntryKinds(t *testing.T) {
	r := newRig(t)
	ann := r.signedUp("ann", "a password of ann's")
	root := r.root(ann)
	raw := root.Write(root.Put("a", id.Revision{1}))
	spoilt := append([]byte{}, raw...)
	spoilt[len(spoilt)-1] ^= 1
	for says, c := range map[string]struct {
		raw  []byte
		code api.Code
	}{
		"planted":          {spoilt, api.EntryInvalid},
		"encoding":         {raw[:20], api.EntryInvalid},
		root.ID().String(): {firstOf(r, ann, root), api.FolderExists},
	} {
		if _, code, body := r.raw("POST", "/api/v1/drive/commits", ann.token.String(), commitBody(t, c.raw)); code != c.code || !strings.Contains(body, says) {
			t.Errorf("%s: have %s: %s", says, code, body)
		}
	}
}

func firstOf(r *rig, p *person, b *journaltest.Book) []byte {
	r.Helper()
	part := r.folder(p, b, 0)
	raw, err := id.Encoding.DecodeString(part.Entries[0])
	r.must(err)
	return raw
}

func commitBody(t *testing.T, raws ...[]byte) string {
	t.Helper()
	body, err := json.Marshal(api.CommitDriveRequest{Key: id.New[id.Commit](), Entries: texts(raws)})
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
