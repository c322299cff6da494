package cluster_test

import (
	"fmt"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"holdfast/api"
	"holdfast/client/account"
	"holdfast/client/drive"
	"holdfast/client/home"
	"holdfast/client/source"
	"holdfast/client/transfer"
	"holdfast/cluster"
	"holdfast/format/keys"
)

// BenchmarkListing is row B1 with the real server: a folder of 100,000 entries, listed by
// a client that was just started, with a cache and without; and one entry more. The files
// are copies of one content.
func BenchmarkListing(b *testing.B) {
	const entries = 100_000
	ctx := b.Context()
	c := cluster.Start(b, cluster.Config{Limits: withAccounts(200 * mib)})
	a, err := account.New(c.URL, c.HTTP(b)).SignUp(ctx, "a very large folder", "battery staple one", "", keys.NewPhrase())
	check := func(err error) {
		b.Helper()
		if err != nil {
			b.Fatal(err)
		}
	}
	check(err)
	var sent atomic.Int64
	at := func(path string) *drive.Drive {
		dir, err := home.Open(path)
		check(err)
		web := &http.Client{Transport: &uplink{&http.Transport{}, &sent}}
		b.Cleanup(web.CloseIdleConnections)
		d, err := drive.Open(a, dir, api.Caller{Base: c.URL, HTTP: web})
		check(err)
		return d
	}
	path := filepath.Join(b.TempDir(), "file")
	check(os.WriteFile(path, content(1, 1000), 0o600))
	tree, err := source.Walk(ctx, []string{path})
	check(err)
	stored, err := c.Client(b).Drive(a.Root.Account, a.Token).Store(ctx, transfer.StoreOptions{Files: tree.Entries, Goal: "one"})
	check(err)
	about, kept := stored.Files[0], b.TempDir()
	d := at(kept)
	_, err = d.Put(ctx, []drive.NewFile{{Folder: "/", Descriptor: about}}, &stored.Upload)
	check(err)
	check(stored.Done())
	for n := 0; n < entries; {
		var all []drive.NewFile
		for ; n < entries && len(all) < drive.MaxFiles; n++ {
			about.Path = fmt.Sprintf("holiday photograph %d.jpeg", n)
			all = append(all, drive.NewFile{Folder: "/many", Descriptor: about})
		}
		_, err := d.Put(ctx, all, nil)
		check(err)
	}
	list := func(d *drive.Drive) {
		all, err := d.List(ctx, "/many")
		check(err)
		if len(all) < entries {
			b.Fatalf("%d entries", len(all))
		}
	}
	b.Run("warm", func(b *testing.B) {
		for b.Loop() {
			list(at(kept))
		}
	})
	b.Run("cold", func(b *testing.B) {
		for b.Loop() {
			list(at(b.TempDir()))
		}
	})
	added := 0
	b.Run("add", func(b *testing.B) {
		least := int64(math.MaxInt64)
		for b.Loop() {
			added++
			about.Path = fmt.Sprint("another photograph ", added)
			before := sent.Load()
			_, err := d.Put(ctx, []drive.NewFile{{Folder: "/many", Descriptor: about}}, nil)
			check(err)
			least = min(least, sent.Load()-before) // without the checkpoints that come now and then
		}
		b.ReportMetric(float64(least), "B-sent/op")
	})
}

// uplink counts the bytes of requests' bodies.
type uplink struct {
	*http.Transport
	sent *atomic.Int64
}

// RoundTrip implements http.RoundTripper.
func (u *uplink) RoundTrip(r *http.Request) (*http.Response, error) {
	u.sent.Add(max(0, r.ContentLength))
	return u.Transport.RoundTrip(r)
}
