package share_test

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"holdfast/format/id"
	"holdfast/format/link"
	"holdfast/server/internal/bucket"
	"holdfast/server/internal/servertest"
	"holdfast/server/internal/share"
)

func TestLook(t *testing.T) {
	r := newRig(t)
	send := r.sent(limited(3), 5000)
	v, err := r.Look(t.Context(), send.Link.Handle, auth(send))
	r.must(err)
	if !bytes.Equal(v.Record, send.Link.Record) || v.Downloads != 0 || v.Listing != nil {
		t.Errorf("view %+v", v)
	}
	if len(v.Copies) != 2 || v.Copies[0].ID != r.fleet.Nodes[0].ID {
		t.Errorf("copies %v", v.Copies)
	}
	if left, ok := v.Left(); !ok || left != 3 {
		t.Errorf("left %d, %v", left, ok)
	}
}

func TestLookAtBundle(t *testing.T) {
	r := newRig(t)
	send := r.sent(func(s *servertest.Send) { s.Link.Listing = s.Page.Revisions[2].ID }, 5000, 30<<20, 20<<20)
	v, err := r.Look(t.Context(), send.Link.Handle, auth(send))
	r.must(err)
	if v.Listing == nil || len(v.Listing.Revisions) != 1 || v.Listing.Revisions[0].ID != send.Link.Listing {
		t.Fatalf("listing %+v", v.Listing)
	}
	r.readable(v.Listing)
	// Fresh tickets for the listing need no session, those for files do.
	p, err := r.Extents(t.Context(), send.Link.Handle, auth(send), send.Link.Listing, 1, 10)
	r.must(err)
	if p.Count != 3 || len(p.Extents) != 2 {
		t.Errorf("extents %+v", p)
	}
	r.readable(&p.Page)
	_, err = r.Extents(t.Context(), send.Link.Handle, auth(send), send.Page.Revisions[0].ID, 0, 1)
	r.want(err, share.ErrSession)
}

func TestNothingWithoutTheKey(t *testing.T) {
	r := newRig(t)
	send, other := r.sent(nil, 5000), r.sent(nil, 5000)
	handle := send.Link.Handle
	_, err := r.Look(t.Context(), id.New[id.Handle](), auth(send))
	r.want(err, share.ErrNotFound)
	_, err = r.Look(t.Context(), handle, auth(other))
	r.want(err, share.ErrWrongKey)
	_, err = r.Look(t.Context(), handle, share.Key{Auth: send.Link.Auth}) // what a thief of the database has
	r.want(err, share.ErrWrongKey)
	_, err = r.Start(t.Context(), handle, drawn(other.Auth))
	r.want(err, share.ErrWrongKey)
	foreign := r.start(other).Session
	for _, session := range []string{"", "x", foreign, send.Auth.String()} {
		_, err = r.Revisions(t.Context(), handle, session, nil, "")
		r.want(err, share.ErrSession)
	}
	_, err = r.Extents(t.Context(), handle, share.Key{Session: foreign}, send.Page.Revisions[0].ID, 0, 1)
	r.want(err, share.ErrSession)
}

func TestSession(t *testing.T) {
	r := newRig(t)
	send := r.sent(nil, 5000)
	started := r.start(send)
	if started.Downloads != 1 || started.Ends != r.clock.Now().Add(24*time.Hour).Unix() {
		t.Errorf("started %+v", started)
	}
	page, err := r.Revisions(t.Context(), send.Link.Handle, started.Session, nil, "")
	r.must(err)
	r.readable(page)
	r.clock.Add(24*time.Hour - time.Second)
	_, err = r.Revisions(t.Context(), send.Link.Handle, started.Session, nil, "")
	r.must(err)
	r.clock.Add(time.Second)
	_, err = r.Revisions(t.Context(), send.Link.Handle, started.Session, nil, "")
	r.want(err, share.ErrSession)
}

// TestStartIsIdempotent: a lost answer costs no download, and a token that was
// not drawn is refused before anything is counted.
func TestStartIsIdempotent(t *testing.T) {
	r := newRig(t)
	send := r.sent(limited(1), 5000)
	handle, key := send.Link.Handle, drawn(send.Auth)
	for _, token := range []string{"", "x", id.Bytes32{}.String(), key.Session + "A"} {
		_, err := r.Start(t.Context(), handle, share.Key{Auth: send.Auth, Session: token})
		r.want(err, share.ErrRequest)
	}
	first, err := r.Start(t.Context(), handle, key)
	r.must(err)
	r.clock.Add(time.Hour)
	again, err := r.Start(t.Context(), handle, key)
	r.must(err)
	if first.Downloads != 1 || again.Downloads != 1 || again.Ends != first.Ends {
		t.Errorf("first %+v, again %+v", first, again)
	}
	_, err = r.Start(t.Context(), handle, share.Key{Auth: id.New32(), Session: key.Session})
	r.want(err, share.ErrWrongKey)
	_, err = r.Start(t.Context(), handle, drawn(send.Auth))
	r.want(err, share.ErrUsedUp)
	_, err = r.Revisions(t.Context(), handle, key.Session, nil, "")
	r.must(err)
}

// TestDownloadLimit: any number of receivers at once get no more downloads than
// the sender allowed.
func TestDownloadLimit(t *testing.T) {
	r := newRig(t)
	send := r.sent(limited(7), 5000)
	var wg sync.WaitGroup
	results := make(chan error, 60)
	for range cap(results) {
		wg.Go(func() {
			_, err := r.Start(t.Context(), send.Link.Handle, drawn(send.Auth))
			results <- err
		})
	}
	wg.Wait()
	close(results)
	started := 0
	for err := range results {
		switch {
		case err == nil:
			started++
		case !errors.Is(err, share.ErrUsedUp):
			t.Error(err)
		}
	}
	if started != 7 {
		t.Errorf("%d downloads, 7 are allowed", started)
	}
}

func TestUsedUp(t *testing.T) {
	r := newRig(t)
	send := r.sent(func(s *servertest.Send) { s.Link.MaxDownloads = 1; s.Link.Listing = s.Page.Revisions[0].ID }, 5000, 6000)
	handle := send.Link.Handle
	started := r.start(send)
	if left, ok := started.Left(); !ok || left != 0 {
		t.Errorf("left %d, %v", left, ok)
	}
	_, err := r.Start(t.Context(), handle, drawn(send.Auth))
	r.want(err, share.ErrUsedUp)
	_, err = r.Look(t.Context(), handle, auth(send))
	r.want(err, share.ErrUsedUp)
	_, err = r.Extents(t.Context(), handle, auth(send), send.Link.Listing, 0, 1)
	r.want(err, share.ErrUsedUp)
	_, err = r.Look(t.Context(), handle, share.Key{Auth: id.New32(), Session: started.Session})
	r.want(err, share.ErrWrongKey)
	// Who has the last session goes on.
	_, err = r.Look(t.Context(), handle, share.Key{Auth: send.Auth, Session: started.Session})
	r.must(err)
	_, err = r.Extents(t.Context(), handle, share.Key{Session: started.Session}, send.Link.Listing, 0, 1)
	r.must(err)
	_, err = r.Revisions(t.Context(), handle, started.Session, nil, "")
	r.must(err)
	r.clock.Add(24 * time.Hour)
	_, err = r.Revisions(t.Context(), handle, started.Session, nil, "")
	r.want(err, share.ErrUsedUp)
}

// TestGone: whatever is asked of a link that is gone, and with whatever key, the
// answer is why, whether it was swept or not.
func TestGone(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(*rig, *servertest.Send)
		want error
	}{
		"expired": {func(r *rig, _ *servertest.Send) { r.clock.Add(8 * 24 * time.Hour) }, share.ErrExpired},
		"expired and swept": {func(r *rig, _ *servertest.Send) {
			r.clock.Add(8 * 24 * time.Hour)
			r.swept(r.ExpireLinks, 1)
		}, share.ErrExpired},
		"used up and swept": {func(r *rig, s *servertest.Send) {
			r.start(s)
			r.swept(r.FinishLinks, 0) // a session lives
			r.clock.Add(24 * time.Hour)
			r.swept(r.FinishLinks, 1)
		}, share.ErrUsedUp},
		"revoked": {func(r *rig, s *servertest.Send) {
			r.must(r.Revoke(r.Context(), s.Link.Handle, s.Manage.Reveal()))
		}, share.ErrRevoked},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			send := r.sent(limited(2), 5000)
			session := r.start(send).Session
			c.end(r, send)
			handle := send.Link.Handle
			for _, key := range []id.Bytes32{send.Auth, id.New32()} {
				_, err := r.Look(t.Context(), handle, share.Key{Auth: key, Session: session})
				r.want(err, c.want)
				_, err = r.Start(t.Context(), handle, drawn(key))
				r.want(err, c.want)
			}
			_, err := r.Revisions(t.Context(), handle, session, nil, "")
			r.want(err, c.want)
			_, err = r.Extents(t.Context(), handle, share.Key{Session: session}, send.Page.Revisions[0].ID, 0, 1)
			r.want(err, c.want)
		})
	}
}

func (r *rig) swept(step func(context.Context, int) (int, error), want int) {
	r.Helper()
	if n, err := step(r.Context(), 100); err != nil || n != want {
		r.Fatalf("swept %d, %v; want %d", n, err, want)
	}
}

func TestRevoke(t *testing.T) {
	r := newRig(t)
	send, other := r.sent(nil, 5000), r.sent(nil, 5000)
	handle := send.Link.Handle
	r.want(r.Revoke(t.Context(), id.New[id.Handle](), send.Manage.Reveal()), share.ErrNotFound)
	for _, secret := range []string{"", "x", other.Manage.Reveal(), send.Auth.String(), link.NewSecret().Reveal()} {
		r.want(r.Revoke(t.Context(), handle, secret), share.ErrManage)
		_, err := r.Status(t.Context(), handle, secret)
		r.want(err, share.ErrManage)
	}
	r.must(r.Revoke(t.Context(), handle, send.Manage.Reveal()))
	r.must(r.Revoke(t.Context(), handle, send.Manage.Reveal())) // repeating is harmless
	r.want(r.Revoke(t.Context(), handle, other.Manage.Reveal()), share.ErrManage)
	for i, n := range r.fleet.Nodes {
		if last, err := r.store.Issued(t.Context(), n.ID); err != nil || last.Number != 1 {
			t.Errorf("node %d of its chains has orders %+v, %v", i, last, err)
		}
	}
	_, err := r.Look(t.Context(), other.Link.Handle, auth(other))
	r.must(err)
}

func TestStatus(t *testing.T) {
	r := newRig(t)
	send := r.sent(limited(5), 5000)
	r.start(send)
	st, err := r.Status(t.Context(), send.Link.Handle, send.Manage.Reveal())
	r.must(err)
	if st.State != share.Live || st.Downloads != 1 || st.Limit != 5 || st.Bytes != send.Bytes() || len(st.Copies) != 2 {
		t.Errorf("status %+v", st)
	}
	r.clock.Add(8 * 24 * time.Hour)
	st, err = r.Status(t.Context(), send.Link.Handle, send.Manage.Reveal())
	r.must(err)
	if st.State != share.Expired {
		t.Errorf("state %s", st.State)
	}
	r.swept(r.ExpireLinks, 1)
	st, err = r.Status(t.Context(), send.Link.Handle, send.Manage.Reveal())
	r.must(err)
	if st.State != share.Expired || st.Bytes != 0 || len(st.Copies) != 0 {
		t.Errorf("status %+v", st)
	}
}

func TestWrongKeysAreLimited(t *testing.T) {
	r := newRig(t)
	send := r.sent(nil, 5000)
	handle := send.Link.Handle
	try := func(key id.Bytes32) error {
		_, err := r.Look(t.Context(), handle, share.Key{Auth: key})
		return err
	}
	for range 10 {
		r.want(try(id.New32()), share.ErrWrongKey)
		r.must(tryOrNil(try, send.Auth, t))
	}
	limitedFor := func(err error, seconds int) {
		t.Helper()
		var l *bucket.LimitedError
		if !errors.As(err, &l) || l.Seconds() != seconds {
			t.Fatalf("have %v, want a wait of %d seconds", err, seconds)
		}
	}
	limitedFor(try(id.New32()), 10)
	limitedFor(try(send.Auth), 10) // right keys as well
	_, err := r.Start(t.Context(), handle, drawn(send.Auth))
	limitedFor(err, 10)
	r.clock.Add(4 * time.Second)
	limitedFor(try(send.Auth), 6)
	r.clock.Add(6 * time.Second) // one try is free again
	r.must(try(send.Auth))
	r.want(try(id.New32()), share.ErrWrongKey)
	limitedFor(try(send.Auth), 10)
	r.clock.Add(100 * time.Second) // all are
	for range 10 {
		r.want(try(id.New32()), share.ErrWrongKey)
	}
	limitedFor(try(send.Auth), 10)
	// Other links, and who manages this one, do not mind.
	other := r.sent(nil, 5000)
	_, err = r.Look(t.Context(), other.Link.Handle, auth(other))
	r.must(err)
	_, err = r.Status(t.Context(), handle, send.Manage.Reveal())
	r.must(err)
	r.swept(r.DropTries, 0)
	r.clock.Add(100 * time.Second)
	r.swept(r.DropTries, 1)
}

// tryOrNil tries the right key as long as tries are left for it.
func tryOrNil(try func(id.Bytes32) error, key id.Bytes32, t *testing.T) error {
	t.Helper()
	err := try(key)
	var l *bucket.LimitedError
	if errors.As(err, &l) {
		return nil
	}
	return err
}

// TestWrongKeysAtOnce: being many gains nothing.
func TestWrongKeysAtOnce(t *testing.T) {
	r := newRig(t)
	send := r.sent(nil, 5000)
	var wg sync.WaitGroup
	results := make(chan error, 100)
	for range cap(results) {
		wg.Go(func() {
			_, err := r.Look(t.Context(), send.Link.Handle, share.Key{Auth: id.New32()})
			results <- err
		})
	}
	wg.Wait()
	close(results)
	answered := 0
	for err := range results {
		var l *bucket.LimitedError
		switch {
		case errors.Is(err, share.ErrWrongKey):
			answered++
		case !errors.As(err, &l):
			t.Error(err)
		}
	}
	if answered != 10 {
		t.Errorf("%d keys were tried at once, 10 are allowed", answered)
	}
}

// turns notes in which order a link is read and failures are counted.
type turns struct {
	share.Store
	mu     sync.Mutex // guards events
	events []string
}

func (s *turns) note(event string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, event)
}

func (s *turns) ReadLink(ctx context.Context, handle id.Handle, f func(share.Link, share.Reader) error) error {
	s.note("read")
	return s.Store.ReadLink(ctx, handle, f)
}

func (s *turns) FailLink(ctx context.Context, handle id.Handle, change func(int64) (int64, error)) error {
	err := s.Store.FailLink(ctx, handle, change)
	s.note("counted")
	return err
}

// TestOneKeyAtATime: no key is looked at before the failure of the one before it
// was counted; otherwise any number could be tried while tries are left.
func TestOneKeyAtATime(t *testing.T) {
	r := newRig(t)
	send := r.sent(nil, 5000)
	store := &turns{Store: r.store}
	service := share.New(store, r.fleet.Links(), nil, r.clock.Now)
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			_, err := service.Look(t.Context(), send.Link.Handle, share.Key{Auth: id.New32()})
			r.want(err, share.ErrWrongKey)
		})
	}
	wg.Wait()
	for i, event := range store.events {
		if want := []string{"read", "counted"}[i%2]; event != want {
			t.Fatalf("at %d: %v", i, store.events)
		}
	}
}

func TestSweepIsBoundedAndResumes(t *testing.T) {
	r := newRig(t)
	for range 5 {
		r.sent(nil, 100)
	}
	r.clock.Add(8 * 24 * time.Hour)
	for _, want := range []int{2, 2, 1, 0} {
		if n, err := r.ExpireLinks(t.Context(), 2); err != nil || n != want {
			t.Fatalf("ended %d, %v; want %d", n, err, want)
		}
	}
}

func TestSessionsAreDropped(t *testing.T) {
	r := newRig(t)
	send := r.sent(nil, 100)
	r.start(send)
	r.swept(r.DropSessions, 0)
	r.clock.Add(24 * time.Hour)
	r.swept(r.DropSessions, 1)
}
