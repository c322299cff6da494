package transfer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"sort"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"holdfast/api"
	"holdfast/client/resume"
	"holdfast/client/source"
	"holdfast/format/blob"
	"holdfast/format/descriptor"
	"holdfast/format/id"
	"holdfast/format/seal"
)

func fileOf(t *testing.T, number int, size int64) *file {
	t.Helper()
	f, err := newFile(resume.Draw(number, fmt.Sprint(number), source.Stamp{Size: size}), nil, size)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// outlineOf writes units down: files by number, pieces after a dot.
func outlineOf(us []*unit) string {
	var out []string
	for _, u := range us {
		out = append(out, strings.TrimSpace(u.key()))
	}
	return strings.Join(out, " | ")
}

func TestUnitsCutAndPack(t *testing.T) {
	const small, large = 500_000, 9 * mib
	for name, c := range map[string]struct {
		sizes   []int64
		listing int64 // 0: none
		want    string
	}{
		"one small":                  {[]int64{small}, 0, "1.0"},
		"one large":                  {[]int64{large}, 0, "1.0 | 1.1"},
		"small ones share":           {[]int64{small, small}, 100, "1.0 2.0 0.0"},
		"large ones stand alone":     {[]int64{small, large, small}, 100, "2.0 | 2.1 | 1.0 3.0 0.0"},
		"as many as fit":             {slices.Repeat([]int64{1_000_000}, 9), 100, "1.0 2.0 3.0 4.0 5.0 6.0 7.0 8.0 | 9.0 0.0"},
		"a large listing comes last": {[]int64{small}, large, "1.0 | 0.0 | 0.1"},
		"only a listing":             {nil, 100, "0.0"},
	} {
		t.Run(name, func(t *testing.T) {
			var files []*file
			for i, size := range c.sizes {
				files = append(files, fileOf(t, i+1, size))
			}
			var listing *file
			if c.listing > 0 {
				listing = fileOf(t, listingNumber, c.listing)
			}
			us := units(files, listing)
			if have := outlineOf(us); have != c.want {
				t.Errorf("have %s\nwant %s", have, c.want)
			}
			checkUnits(t, us)
		})
	}
}

// checkUnits holds units to docs/format.md §5.
func checkUnits(t *testing.T, us []*unit) {
	t.Helper()
	sums := map[*file]int64{}
	for _, u := range us {
		at := int64(0)
		for _, p := range u.parts {
			if p.offset != at {
				t.Errorf("a gap at %d", at)
			}
			at += p.length
			sums[p.file] += p.length
			if u.packed() != (p.file.length <= blob.PackMax) || len(u.parts) > 1 && !u.packed() {
				t.Errorf("%s: packed %v", u.key(), u.packed())
			}
		}
		if at != u.size || u.size < 1 || u.size > blob.MaxSize {
			t.Errorf("a blob of %d bytes holds %d", u.size, at)
		}
	}
	for f, sum := range sums {
		if sum != f.length {
			t.Errorf("file %d: %d of %d bytes", f.Number, sum, f.length)
		}
	}
}

func TestMatchFindsStrayBlobs(t *testing.T) {
	a, b, c := fileOf(t, 1, 5000), fileOf(t, 2, 6000), fileOf(t, 3, 9*mib)
	us := units([]*file{a, b, c}, nil)
	state := resume.NewState(resume.Head{})
	for _, u := range us {
		r := resume.Blob{Name: id.New32(), Size: int(u.size)}
		for _, p := range u.parts {
			r.Parts = append(r.Parts, resume.Part{File: p.file.Number, Piece: p.piece})
		}
		state.Blobs = append(state.Blobs, r)
	}
	if stray := match(us, state); len(stray) != 0 || us[0].known == nil || us[2].known == nil {
		t.Fatalf("stray: %v", stray)
	}
	// One file less: the pack that both shared is of no use.
	less := units([]*file{a, c}, nil)
	if stray := match(less, state); len(stray) != 2 || !stray[1] || !stray[2] {
		t.Errorf("stray: %v", stray)
	}
	// The same parts in a blob of another size.
	state.Blobs = state.Blobs[:1]
	state.Blobs[0].Size--
	if stray := match(us, state); len(stray) == 0 {
		t.Error("another size was taken for the same blob")
	}
}

func TestPagesStayWithinTheLimit(t *testing.T) {
	s := &send{storing: storing{files: nil}}
	for i := range 3000 {
		s.files = append(s.files, fileOf(t, i+1, mib))
	}
	s.units = units(s.files, nil)
	names := make([]id.Name, len(s.units))
	receipts := slices.Repeat([]string{strings.Repeat("r", 2000)}, 4000)
	pages := s.pages(names, receipts)
	if len(pages) < 3 {
		t.Fatalf("%d pages", len(pages))
	}
	blobs, revisions, got := 0, 0, 0
	for _, p := range pages {
		raw := len(mustJSON(t, p))
		if raw > api.MaxPage-200<<10 {
			t.Errorf("a page of %d bytes", raw)
		}
		blobs, revisions, got = blobs+len(p.Blobs), revisions+len(p.Revisions), got+len(p.Receipts)
	}
	if blobs != len(s.units) || revisions != 3000 || got != 4000 {
		t.Errorf("%d blobs, %d revisions, %d receipts", blobs, revisions, got)
	}
}

func TestRetry(t *testing.T) {
	problem := func(code api.Code, after int) error {
		p := api.NewProblem(code, "x")
		p.RetryAfter = after
		return p
	}
	for name, c := range map[string]struct {
		errs  []error // of the first calls; then it succeeds
		calls int
		least time.Duration
		fails bool
	}{
		"at once":                     {nil, 1, 0, false},
		"after a while":               {[]error{api.ErrUnreachable, problem(api.Unavailable, 0)}, 3, 500 * time.Millisecond, false},
		"when it was asked to":        {[]error{problem(api.RateLimited, 3)}, 2, 3 * time.Second, false},
		"not for what stays as it is": {[]error{problem(api.LinkExpired, 0)}, 1, 0, true},
		"not for its own mistakes":    {[]error{errors.New("bug")}, 1, 0, true},
		"not for longer than it may":  {slices.Repeat([]error{api.ErrUnreachable}, 1000), 0, 0, true},
		"not when the wait is longer": {[]error{problem(api.RateLimited, 60)}, 1, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				calls, begun, waited := 0, time.Now(), 0
				c1 := &Client{server: "https://share.example", Waiting: func(error) { waited++ }}
				_, err := retry(t.Context(), c1, 10*time.Second, func(context.Context) (int, error) {
					if calls++; calls <= len(c.errs) {
						return 0, c.errs[calls-1]
					}
					return 7, nil
				})
				took := time.Since(begun)
				if (err != nil) != c.fails || c.calls > 0 && calls != c.calls || took < c.least || took > 10*time.Second {
					t.Errorf("%v after %d calls in %s", err, calls, took)
				}
				if waited != calls-1 && err == nil {
					t.Errorf("told %d times", waited)
				}
				if err != nil && errors.Is(err, api.ErrUnreachable) && !strings.Contains(err.Error(), "share.example") {
					t.Errorf("which server? %v", err)
				}
			})
		})
	}
}

func TestRetryEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		_, err := retry(ctx, &Client{}, time.Hour, func(context.Context) (int, error) { return 0, api.ErrUnreachable })
		if !errors.Is(err, context.Canceled) {
			t.Errorf("have %v", err)
		}
	})
}

func TestMediaTypes(t *testing.T) {
	for name, want := range map[string]string{"a.png": "image/png", "a.PNG": "image/png", "none": "", "a.no-such-ending": "", ".hidden": ""} {
		if have := mediaType(name); have != want {
			t.Errorf("%s: %q", name, have)
		}
	}
}

func TestSealedTellsTheSealFromTheRest(t *testing.T) {
	for _, err := range []error{seal.ErrSegment, seal.ErrRoot, seal.ErrPadding, &seal.SegmentError{Index: 3}, fmt.Errorf("x: %w", seal.ErrCommitment)} {
		if have := sealed(err); !errors.Is(have, ErrIntegrity) || !errors.Is(have, err) {
			t.Errorf("%v: %v", err, have)
		}
	}
	if err := sealed(integrity(seal.ErrRoot)); strings.Count(err.Error(), ErrIntegrity.Error()) != 1 {
		t.Errorf("said twice: %v", err)
	}
	for _, err := range []error{nil, api.ErrUnreachable, context.Canceled} {
		if errors.Is(sealed(err), ErrIntegrity) {
			t.Errorf("%v is taken for an attack", err)
		}
	}
}

func TestByteSource(t *testing.T) {
	src := byteSource("hello")
	for _, c := range []struct {
		off  int64
		n    int
		want string
		end  bool
	}{{0, 5, "hello", false}, {1, 2, "el", false}, {3, 9, "lo", true}, {5, 1, "", true}, {9, 1, "", true}, {-1, 1, "", true}} {
		p := make([]byte, c.n)
		n, err := src.ReadAt(p, c.off)
		if string(p[:n]) != c.want || (err != nil) != c.end {
			t.Errorf("%+v: %q, %v", c, p[:n], err)
		}
	}
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// TestEveryFolderAboveIsSynced: a name that a power cut takes, takes all below it;
// folders that a sender did not list are made, and synced, all the same.
func TestEveryFolderAboveIsSynced(t *testing.T) {
	have := above([]string{"x", "a/b/c/y", "a/b/z", "d/e"})
	slices.Sort(have)
	if want := []string{".", "a", "a/b", "a/b/c", "d"}; !slices.Equal(have, want) {
		t.Errorf("have %v, want %v", have, want)
	}
}

// TestFileThatNoPageDescribes: it is refused before anything of it is sent.
func TestFileThatNoPageDescribes(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.Limits.MaxUploadBytes = 1 << 50
	path := s.write("file", nil)
	if err := os.Truncate(path, 2<<40); err != nil { // a hole
		t.Fatal(err)
	}
	s.Hook(func(w http.ResponseWriter, r *http.Request, serve http.HandlerFunc) {
		if r.Method == http.MethodPost {
			api.WriteProblem(w, api.NewProblem(api.BadRequest, "an upload was opened for it"))
			return
		}
		serve(w, r)
	})
	_, err := s.c.Send(t.Context(), SendOptions{Paths: []string{path}})
	var named *source.Error
	if !errors.Is(err, ErrLimit) || !errors.As(err, &named) || named.Local != path {
		t.Errorf("have %v", err)
	}
	t.Run("of unknown length", func(t *testing.T) {
		most := sort.Search(1<<30, func(n int) bool { return describable(n) != nil }) - 1
		s := &send{storing: storing{units: make([]*unit, most)}, o: SendOptions{Stdin: strings.NewReader("more")}}
		if err := s.pour(t.Context()); !errors.Is(err, ErrLimit) {
			t.Errorf("have %v", err)
		}
	})
}

// TestTooManyFoldersAreRefusedFirst: a listing has no room for them, so that no
// upload is opened and no byte of what is in them leaves.
func TestTooManyFoldersAreRefusedFirst(t *testing.T) {
	t.Parallel()
	stage := newStage(t)
	stage.Hook(func(_ http.ResponseWriter, r *http.Request, _ http.HandlerFunc) {
		t.Errorf("%s %s before the refusal", r.Method, r.URL.Path)
	})
	s := &send{storing: storing{c: stage.c}}
	for i := range descriptor.MaxFolders + 1 {
		s.tree.Entries = append(s.tree.Entries, source.Entry{Path: fmt.Sprintf("%07d", i), Folder: true})
	}
	if err := s.begin(t.Context(), nil); !errors.Is(err, descriptor.ErrBundle) {
		t.Errorf("have %v", err)
	}
}

// TestReadErrorIsNoEnd: a file that cannot be read is not taken for one that ends there.
func TestReadErrorIsNoEnd(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	// Opens, has no length, and fails to be read at its beginning.
	_, err := s.c.Send(t.Context(), SendOptions{Paths: []string{"/proc/self/mem"}})
	if !errors.Is(err, source.ErrUnreadable) || len(s.Links()) != 0 {
		t.Errorf("have %v, %d links", err, len(s.Links()))
	}
}
