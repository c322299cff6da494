package share

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"sync"
	"time"

	"holdfast/format/id"
	"holdfast/format/link"
	"holdfast/server/internal/bucket"
)

const (
	// sessionLife is how long a started download goes on (docs/protocol.md).
	sessionLife = 24 * time.Hour
	// ticketLife is how long a read ticket is good; clients renew it before.
	ticketLife = 5 * time.Minute
	// maxSessions of one link at once: who has the key could fill the database
	// otherwise. Beyond it the oldest ends, so that nobody can keep others out.
	maxSessions = 10_000
)

// Node is a member of the fleet as readers need it.
type Node struct {
	ID               id.Node
	URL, Declaration string
	// Health orders nodes by how well they can be read: less is better.
	Health int
}

// Fleet tells of nodes.
type Fleet interface {
	// Members are all nodes that may hold blobs, also those that are silent now.
	Members(ctx context.Context) ([]Node, error)
}

// Service gives out links. Make one with New.
type Service struct {
	store Store
	fleet Fleet
	key   ed25519.PrivateKey // of tickets
	now   func() time.Time
	gate  gate
}

// New makes the service; key signs read tickets.
func New(store Store, fleet Fleet, key ed25519.PrivateKey, now func() time.Time) *Service {
	return &Service{store: store, fleet: fleet, key: key, now: now}
}

// Key is what a caller shows: the link's auth value, a session's token, or both.
type Key struct {
	Auth    id.Bytes32
	Session string
}

// View is what looking shows.
type View struct {
	Link
	// Listing is there for a bundle.
	Listing *Page
	Copies  []Node
}

// Look opens the link's record without counting a download. When no download
// is left, only those with a session may look.
func (s *Service) Look(ctx context.Context, handle id.Handle, key Key) (View, error) {
	desk, err := s.desk(ctx)
	if err != nil {
		return View{}, fmt.Errorf("look at link: %w", err)
	}
	var v View
	err = s.withAuth(ctx, handle, key.Auth, func(l Link, r Reader) error {
		if err := s.lookable(ctx, l, r, key); err != nil {
			return err
		}
		v.Link = l
		holders, err := r.Holders(ctx)
		if err != nil {
			return err
		}
		v.Copies = known(desk.members, holders)
		if l.Listing.IsZero() {
			return nil
		}
		v.Listing, err = desk.named(ctx, r, []id.Revision{l.Listing}, 0)
		return err
	})
	if err != nil {
		return View{}, fmt.Errorf("look at link: %w", err)
	}
	return v, nil
}

func (s *Service) lookable(ctx context.Context, l Link, r Reader, key Key) error {
	if left, limited := l.Left(); !limited || left > 0 {
		return nil
	}
	if key.Session == "" {
		return ErrUsedUp
	}
	return checkSession(ctx, l, r, key.Session, s.now().Unix())
}

// Started is a session that runs.
type Started struct {
	Link
	Ends int64
}

// Start counts a download and starts the session whose token the caller drew.
// The same again, when the answer was lost, say, counts nothing.
func (s *Service) Start(ctx context.Context, handle id.Handle, key Key) (Started, error) {
	token, err := id.Parse32(key.Session)
	if err != nil || id.Bytes32(token) == (id.Bytes32{}) {
		return Started{}, fmt.Errorf("start download: %w: the session's token is not 32 random bytes", ErrRequest)
	}
	err = s.withAuth(ctx, handle, key.Auth, func(Link, Reader) error { return nil })
	if err != nil {
		return Started{}, fmt.Errorf("start download: %w", err)
	}
	now := s.now()
	session := Session{Hash: sessionHash(handle, token), Expires: now.Add(sessionLife).Unix()}
	l, ends, err := s.store.StartSession(ctx, handle, session, now.Unix(), maxSessions)
	if err != nil {
		return Started{}, fmt.Errorf("start download: %w", err)
	}
	return Started{Link: l, Ends: ends}, nil
}

// withAuth runs f if auth opens the link. Links that are gone say so to any
// auth; a wrong one uses up a try.
func (s *Service) withAuth(ctx context.Context, handle id.Handle, auth id.Bytes32, f func(Link, Reader) error) error {
	leave := sync.OnceFunc(s.gate.enter(handle))
	defer leave()
	wrong := false
	err := s.store.ReadLink(ctx, handle, func(l Link, r Reader) error {
		now := s.now().Unix()
		if err := l.Stands(now); err != nil {
			return err
		}
		free, err := r.Tries(ctx)
		if err != nil {
			return err
		}
		if w := tries.Wait(free, now); w > 0 {
			return &bucket.LimitedError{Wait: w}
		}
		if wrong = !link.SameHash(link.AuthHash(link.Secret(auth)), l.Auth); wrong {
			return ErrWrongKey
		}
		leave() // only the trying has to be one at a time
		return f(l, r)
	})
	if !wrong {
		return err
	}
	if err := s.store.FailLink(ctx, handle, s.useTry); err != nil {
		return err
	}
	return ErrWrongKey
}

// useTry takes one try, unless another server took the last one meanwhile.
func (s *Service) useTry(free int64) (int64, error) {
	now := s.now().Unix()
	if w := tries.Wait(free, now); w > 0 {
		return free, &bucket.LimitedError{Wait: w}
	}
	return tries.Used(free, now), nil
}

// withSession runs f if the session is the link's and still lives.
func (s *Service) withSession(ctx context.Context, handle id.Handle, session string, f func(Link, Reader) error) error {
	return s.store.ReadLink(ctx, handle, func(l Link, r Reader) error {
		if err := Admit(ctx, l, r, session, s.now().Unix()); err != nil {
			return err
		}
		return f(l, r)
	})
}

// Admit tells whether a link stands and the session is one of its own that lives.
func Admit(ctx context.Context, l Link, r Reader, session string, now int64) error {
	if err := l.Stands(now); err != nil {
		return err
	}
	return checkSession(ctx, l, r, session, now)
}

func checkSession(ctx context.Context, l Link, r Reader, session string, now int64) error {
	token, err := id.Parse32(session)
	if err != nil {
		return ErrSession
	}
	ends, err := r.Session(ctx, sessionHash(l.Handle, token))
	if err != nil {
		return err
	}
	if ends > now {
		return nil
	}
	if left, limited := l.Left(); limited && left == 0 {
		return ErrUsedUp // no new session can be had: say that
	}
	return ErrSession
}

// sessionHash is what is stored of a session's token: a thief of the database
// cannot go on with a download.
func sessionHash(handle id.Handle, token id.Bytes32) [32]byte {
	return sha256.Sum256(append(append([]byte("holdfast/v1/session-hash\x00"), handle[:]...), token[:]...))
}

// Status is what the sender may know.
type Status struct {
	Link
	Copies []Node
}

// Status tells the sender about a link, also when it has ended.
func (s *Service) Status(ctx context.Context, handle id.Handle, secret string) (Status, error) {
	members, err := s.fleet.Members(ctx)
	if err != nil {
		return Status{}, fmt.Errorf("link status: %w", err)
	}
	var st Status
	err = s.managed(ctx, handle, secret, func(l Link, r Reader) error {
		st.Link = l
		if l.State != Live {
			return nil
		}
		if l.Expires <= s.now().Unix() {
			st.State = Expired
		}
		holders, err := r.Holders(ctx)
		st.Copies = known(members, holders)
		return err
	})
	if err != nil {
		return Status{}, fmt.Errorf("link status: %w", err)
	}
	return st, nil
}

// Revoke ends a link for good. Revoking one that has ended is harmless.
func (s *Service) Revoke(ctx context.Context, handle id.Handle, secret string) error {
	err := s.managed(ctx, handle, secret, func(Link, Reader) error { return nil })
	if err == nil {
		err = s.store.EndLink(ctx, handle, Revoked, s.now().Unix()/day)
	}
	if err != nil {
		return fmt.Errorf("revoke link: %w", err)
	}
	return nil
}

func (s *Service) managed(ctx context.Context, handle id.Handle, secret string, f func(Link, Reader) error) error {
	return s.store.ReadLink(ctx, handle, func(l Link, r Reader) error {
		given, err := link.ParseSecret(secret)
		if err != nil || l.Manage == [32]byte{} { // an account's, which is managed by it
			return ErrManage
		}
		if !link.SameHash(link.ManageHash(handle, given), l.Manage) {
			return ErrManage
		}
		return f(l, r)
	})
}

func known(members []Node, ids []id.Node) []Node {
	out := []Node{}
	for _, m := range members {
		for _, n := range ids {
			if m.ID == n {
				out = append(out, m)
			}
		}
	}
	return out
}
