package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"holdfast/format/id"
	"holdfast/server/internal/servertest"
	"holdfast/server/internal/share"
	"holdfast/server/internal/upload"
)

var errNoLink = share.ErrNotFound

// Links checks share.Store.
func Links(t *testing.T, open func(*testing.T) Store) {
	each(t, open, map[string]func(*suite){
		"a link is read as it was committed":   linkRead,
		"unknown links":                        unknownLinks,
		"revisions and extents come in order":  revisionsInOrder,
		"revisions of other links":             foreignRevisions,
		"many revisions":                       manyRevisions,
		"tries are counted":                    triesCounted,
		"sessions are counted":                 sessionsCounted,
		"a limit is never exceeded":            limitHolds,
		"too many sessions end the oldest":     sessionsBounded,
		"no session of what has ended":         noSessionAfter,
		"a session that lives is found again":  sessionsFound,
		"an ended link keeps nothing":          endedKeepsNothing,
		"ending twice keeps the first reason":  endedOnce,
		"links to be ended":                    linksToEnd,
		"sessions and tries are dropped again": droppedAgain,
	})
}

func (s *suite) link(handle id.Handle) (l share.Link, err error) {
	err = s.ReadLink(s.Context(), handle, func(have share.Link, _ share.Reader) error {
		l = have
		return nil
	})
	return l, err
}

func (s *suite) read(handle id.Handle, f func(context.Context, share.Link, share.Reader)) {
	s.Helper()
	s.must(s.ReadLink(s.Context(), handle, func(l share.Link, r share.Reader) error {
		f(s.Context(), l, r)
		return nil
	}))
}

func linkRead(s *suite) {
	u, send := s.committed(7)
	s.read(send.Link.Handle, func(ctx context.Context, l share.Link, r share.Reader) {
		want := share.Link{
			Handle: send.Link.Handle, State: share.Live, Upload: u.ID, Auth: send.Link.Auth, Manage: send.Link.Manage,
			Record: send.Link.Record, Expires: l.Expires, Limit: 7, Bytes: send.Bytes(),
		}
		if fmt.Sprint(l) != fmt.Sprint(want) || l.Expires < send.Link.Expires {
			s.Errorf("have %+v, want %+v", l, want)
		}
		holders, err := r.Holders(ctx)
		s.must(err)
		if !servertest.SameNodes(holders, s.fleet.IDs()[:2]...) {
			s.Errorf("holders %v", holders)
		}
		if free, err := r.Tries(ctx); err != nil || free != 0 {
			s.Errorf("tries %d, %v", free, err)
		}
	})
}

func unknownLinks(s *suite) {
	none := id.New[id.Handle]()
	_, err := s.link(none)
	s.want(err, share.ErrNotFound)
	s.want(s.EndLink(s.Context(), none, share.Revoked, someDay), share.ErrNotFound)
	_, _, err = s.StartSession(s.Context(), none, share.Session{}, now, 1)
	s.want(err, share.ErrNotFound)
}

func revisionsInOrder(s *suite) {
	_, send := s.committed(0)
	s.read(send.Link.Handle, func(ctx context.Context, _ share.Link, r share.Reader) {
		all, err := r.Revisions(ctx, 0, 10)
		s.must(err)
		if len(all) != 2 {
			s.Fatalf("%d revisions", len(all))
		}
		for i, rev := range all {
			want := send.Page.Revisions[i]
			if rev.ID != want.ID || rev.ReleaseKey != want.ReleaseKey || rev.Commitment != want.Commitment || rev.Root != want.Root ||
				rev.Salt != want.Salt || rev.Prefix != want.Prefix || rev.Length != want.Length || rev.Count != len(want.Extents) {
				s.Errorf("revision %d: %+v", i, rev)
			}
			one, err := r.RevisionByID(ctx, want.ID)
			if err != nil || one != rev {
				s.Errorf("by id: %+v, %v", one, err)
			}
			s.checkExtents(ctx, r, rev, want.Extents[0].Offset)
		}
		rest, err := r.Revisions(ctx, all[0].Position, 10)
		if err != nil || len(rest) != 1 || rest[0].ID != all[1].ID {
			s.Errorf("after the first: %v, %v", rest, err)
		}
	})
}

// manyRevisions: more than any store writes or reads at once come back in their
// order, each with its extents.
func manyRevisions(s *suite) {
	u := s.opened(1<<30, now+1000)
	var sizes []int64
	for n := range int64(123) {
		sizes = append(sizes, 1000+n*300_000) // up to five blobs
	}
	send := servertest.NewSend(s.T, u.ID, time.Unix(now, 0), nil, sizes...)
	s.must(s.CommitUpload(s.Context(), u.ID, func(_ upload.Upload, tx upload.Tx) error { return s.bring(tx, u, send) }))
	s.read(send.Link.Handle, func(ctx context.Context, _ share.Link, r share.Reader) {
		all, err := r.Revisions(ctx, 0, 1000)
		s.must(err)
		if len(all) != len(sizes) {
			s.Fatalf("%d revisions", len(all))
		}
		for n, rev := range all {
			want := send.Page.Revisions[n]
			if rev.ID != want.ID || rev.ReleaseKey != want.ReleaseKey || rev.Count != len(want.Extents) {
				s.Errorf("revision %d: %+v", n, rev)
			}
			extents, err := r.Extents(ctx, rev, 0, 1000)
			s.must(err)
			for i, e := range extents {
				w := want.Extents[i]
				if e.Blob.Name != send.Page.Blobs[w.Blob].Name || e.Offset != w.Offset || e.Length != w.Length {
					s.Errorf("extent %d of revision %d: %+v", i, n, e)
				}
			}
			if len(extents) != rev.Count {
				s.Errorf("%d extents of revision %d", len(extents), n)
			}
		}
	})
}

func (s *suite) checkExtents(ctx context.Context, r share.Reader, rev share.Revision, offset int64) {
	s.Helper()
	extents, err := r.Extents(ctx, rev, 0, 100)
	s.must(err)
	var sum int64
	for _, e := range extents {
		sum += e.Length
		nodes, err := r.Copies(ctx, e.Blob)
		s.must(err)
		if !servertest.SameNodes(nodes, s.fleet.IDs()[:2]...) {
			s.Errorf("copies %v", nodes)
		}
	}
	if sum != rev.Length || len(extents) != rev.Count || extents[0].Offset != offset {
		s.Errorf("extents %+v of %+v", extents, rev)
	}
	if rev.Count > 1 {
		part, err := r.Extents(ctx, rev, 1, 1)
		if err != nil || len(part) != 1 || part[0] != extents[1] {
			s.Errorf("from 1 on: %+v, %v", part, err)
		}
	}
}

func foreignRevisions(s *suite) {
	_, mine := s.committed(0)
	_, other := s.committed(0)
	s.read(mine.Link.Handle, func(ctx context.Context, _ share.Link, r share.Reader) {
		_, err := r.RevisionByID(ctx, other.Page.Revisions[0].ID)
		s.want(err, share.ErrNotFound)
	})
}

func triesCounted(s *suite) {
	_, send := s.committed(0)
	ctx, handle := s.Context(), send.Link.Handle
	add := func(n int64) func(int64) (int64, error) {
		return func(free int64) (int64, error) { return free + n, nil }
	}
	s.must(s.FailLink(ctx, handle, add(5)))
	s.must(s.FailLink(ctx, handle, add(2)))
	stop := errors.New("stop")
	s.want(s.FailLink(ctx, handle, func(int64) (int64, error) { return 99, stop }), stop)
	s.read(handle, func(ctx context.Context, _ share.Link, r share.Reader) {
		if free, err := r.Tries(ctx); err != nil || free != 7 {
			s.Errorf("tries %d, %v", free, err)
		}
	})
}

func (s *suite) start(handle id.Handle, ends int64) (share.Session, error) {
	session := share.Session{Hash: id.New32(), Expires: ends}
	_, _, err := s.StartSession(s.Context(), handle, session, now, 100)
	return session, err
}

func sessionsCounted(s *suite) {
	_, send := s.committed(2)
	_, other := s.committed(0)
	first, err := s.start(send.Link.Handle, now+50)
	s.must(err)
	l, ends, err := s.StartSession(s.Context(), send.Link.Handle, share.Session{Hash: id.New32(), Expires: now + 60}, now, 100)
	s.must(err)
	if l.Downloads != 2 || ends != now+60 {
		s.Errorf("downloads %d, ends %d", l.Downloads, ends)
	}
	_, err = s.start(send.Link.Handle, now+50)
	s.want(err, share.ErrUsedUp)
	s.read(send.Link.Handle, func(ctx context.Context, l share.Link, r share.Reader) {
		if ends, err := r.Session(ctx, first.Hash); err != nil || ends != now+50 || l.Downloads != 2 {
			s.Errorf("ends %d, %v; downloads %d", ends, err, l.Downloads)
		}
	})
	s.read(other.Link.Handle, func(ctx context.Context, _ share.Link, r share.Reader) {
		if ends, err := r.Session(ctx, first.Hash); err != nil || ends != 0 {
			s.Errorf("another link's session: %d, %v", ends, err)
		}
	})
}

// sessionsFound: starting a session that lives counts nothing, also when none is
// left; one that has ended is counted like a new one.
func sessionsFound(s *suite) {
	_, send := s.committed(2)
	handle := send.Link.Handle
	first, err := s.start(handle, now+50)
	s.must(err)
	for _, left := range []int64{1, 1} {
		l, ends, err := s.StartSession(s.Context(), handle, share.Session{Hash: first.Hash, Expires: now + 70}, now+20, 1)
		s.must(err)
		if have, _ := l.Left(); have != left || ends != now+50 {
			s.Errorf("left %d, ends %d", have, ends)
		}
	}
	l, ends, err := s.StartSession(s.Context(), handle, share.Session{Hash: first.Hash, Expires: now + 100}, now+50, 100)
	s.must(err)
	if l.Downloads != 2 || ends != now+100 {
		s.Errorf("after its end: %d downloads, ends %d", l.Downloads, ends)
	}
	l, _, err = s.StartSession(s.Context(), handle, share.Session{Hash: first.Hash, Expires: now + 120}, now+60, 100)
	s.must(err)
	if l.Downloads != 2 {
		s.Errorf("again: %d downloads", l.Downloads)
	}
	_, _, err = s.StartSession(s.Context(), handle, share.Session{Hash: first.Hash, Expires: now + 150}, now+100, 100)
	s.want(err, share.ErrUsedUp)
}

func limitHolds(s *suite) {
	_, send := s.committed(5)
	var wg sync.WaitGroup
	results := make(chan error, 40)
	for range cap(results) {
		wg.Go(func() {
			_, err := s.start(send.Link.Handle, now+50)
			results <- err
		})
	}
	wg.Wait()
	close(results)
	started := 0
	for err := range results {
		if err == nil {
			started++
		} else if !errors.Is(err, share.ErrUsedUp) {
			s.Error(err)
		}
	}
	if started != 5 {
		s.Errorf("%d downloads started, the limit is 5", started)
	}
}

func sessionsBounded(s *suite) {
	_, send := s.committed(0)
	_, other := s.committed(0)
	kept, err := s.start(other.Link.Handle, now+1)
	s.must(err)
	var all []share.Session
	for n := range int64(20) {
		session := share.Session{Hash: id.New32(), Expires: now + 50 + n/4} // some end together
		l, _, err := s.StartSession(s.Context(), send.Link.Handle, session, now, 3)
		s.must(err)
		all = append(all, session)
		if l.Downloads != n+1 {
			s.Errorf("%d downloads counted, want %d", l.Downloads, n+1)
		}
		s.read(send.Link.Handle, func(ctx context.Context, _ share.Link, r share.Reader) {
			alive := 0
			for _, known := range all {
				ends, err := r.Session(ctx, known.Hash)
				s.must(err)
				if ends > 0 {
					alive++
				}
			}
			if ends, err := r.Session(ctx, session.Hash); err != nil || ends != session.Expires || alive != min(len(all), 3) {
				s.Errorf("session %d ends %d, %v; %d alive", n, ends, err, alive)
			}
		})
	}
	s.read(send.Link.Handle, func(ctx context.Context, _ share.Link, r share.Reader) {
		if ends, err := r.Session(ctx, all[0].Hash); err != nil || ends != 0 {
			s.Errorf("the oldest is left: %d, %v", ends, err)
		}
	})
	s.read(other.Link.Handle, func(ctx context.Context, _ share.Link, r share.Reader) {
		if ends, err := r.Session(ctx, kept.Hash); err != nil || ends != now+1 {
			s.Errorf("another link's session: %d, %v", ends, err)
		}
	})
}

func noSessionAfter(s *suite) {
	for state, want := range map[share.State]error{share.Expired: share.ErrExpired, share.UsedUp: share.ErrUsedUp, share.Revoked: share.ErrRevoked} {
		_, send := s.committed(0)
		s.must(s.EndLink(s.Context(), send.Link.Handle, state, someDay))
		_, err := s.start(send.Link.Handle, now+50)
		s.want(err, want)
	}
	_, send := s.committed(0)
	l, err := s.link(send.Link.Handle)
	s.must(err)
	_, _, err = s.StartSession(s.Context(), send.Link.Handle, share.Session{}, l.Expires, 1)
	s.want(err, share.ErrExpired)
}

func endedKeepsNothing(s *suite) {
	ctx := s.Context()
	u, send := s.committed(3)
	session, err := s.start(send.Link.Handle, now+50)
	s.must(err)
	s.must(s.FailLink(ctx, send.Link.Handle, func(int64) (int64, error) { return now + 10, nil }))
	s.must(s.EndLink(ctx, send.Link.Handle, share.Revoked, someDay))
	s.ordered(1, 1, 1, 0) // also the one that only stood by
	s.read(send.Link.Handle, func(ctx context.Context, l share.Link, r share.Reader) {
		want := share.Link{Handle: send.Link.Handle, Manage: send.Link.Manage, State: share.Revoked, EndedDay: someDay}
		if fmt.Sprint(l) != fmt.Sprint(want) {
			s.Errorf("left %+v", l)
		}
		revisions, err := r.Revisions(ctx, 0, 10)
		if err != nil || len(revisions) != 0 {
			s.Errorf("revisions left: %v, %v", revisions, err)
		}
		holders, err := r.Holders(ctx)
		if err != nil || len(holders) != 0 {
			s.Errorf("holders left: %v, %v", holders, err)
		}
		if ends, err := r.Session(ctx, session.Hash); err != nil || ends != 0 {
			s.Errorf("session left: %d, %v", ends, err)
		}
		if free, err := r.Tries(ctx); err != nil || free != 0 {
			s.Errorf("tries left: %d, %v", free, err)
		}
	})
	_, err = s.Upload(ctx, u.ID)
	if err == nil {
		s.Error("the upload is left")
	}
}

func endedOnce(s *suite) {
	_, send := s.committed(0)
	s.must(s.EndLink(s.Context(), send.Link.Handle, share.Expired, someDay))
	s.must(s.EndLink(s.Context(), send.Link.Handle, share.Revoked, someDay+1))
	s.ordered(1, 1, 1, 0)
	l, err := s.link(send.Link.Handle)
	s.must(err)
	if l.State != share.Expired || l.EndedDay != someDay {
		s.Errorf("have %+v", l)
	}
}

func linksToEnd(s *suite) {
	ctx := s.Context()
	_, open := s.committed(0)
	_, spent := s.committed(1)
	_, err := s.start(spent.Link.Handle, now+50)
	s.must(err)
	for at, want := range map[int64][]id.Handle{now + 49: nil, now + 50: {spent.Link.Handle}} {
		have, err := s.SpentLinks(ctx, at, 10)
		s.must(err)
		if !slices.Equal(have, want) {
			s.Errorf("used up at %d: %v", at, have)
		}
	}
	l, err := s.link(open.Link.Handle)
	s.must(err)
	for at, want := range map[int64]int{l.Expires - 1: 0, l.Expires: 2} {
		have, err := s.ExpiredLinks(ctx, at, 10)
		s.must(err)
		if len(have) != want {
			s.Errorf("expired at %d: %v", at, have)
		}
	}
	have, err := s.ExpiredLinks(ctx, l.Expires, 1)
	if err != nil || len(have) != 1 {
		s.Errorf("limited: %v, %v", have, err)
	}
	s.must(s.EndLink(ctx, spent.Link.Handle, share.UsedUp, someDay))
	have, err = s.SpentLinks(ctx, now+50, 10)
	if err != nil || len(have) != 0 {
		s.Errorf("after the end: %v, %v", have, err)
	}
}

func droppedAgain(s *suite) {
	ctx := s.Context()
	_, send := s.committed(0)
	for _, ends := range []int64{now + 1, now + 2, now + 9} {
		_, err := s.start(send.Link.Handle, ends)
		s.must(err)
		_, other := s.committed(0)
		s.must(s.FailLink(ctx, other.Link.Handle, func(int64) (int64, error) { return ends, nil }))
	}
	for name, drop := range map[string]func(context.Context, int64, int) (int, error){"sessions": s.DropSessions, "tries": s.DropTries} {
		for _, want := range []int{1, 1, 0} {
			if n, err := drop(ctx, now+2, 1); err != nil || n != want {
				s.Errorf("%s: dropped %d, %v; want %d", name, n, err, want)
			}
		}
	}
}
