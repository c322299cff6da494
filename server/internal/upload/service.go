package upload

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/time/rate"

	"holdfast/format/id"
	"holdfast/format/ticket"
	"holdfast/server/internal/bucket"
	"holdfast/server/internal/placement"
)

// Fleet chooses and describes nodes.
type Fleet interface {
	// Chains for an upload of so many bytes, or placement.ErrNoPlacement. Nodes
	// have less room by what is reserved there.
	Chains(ctx context.Context, bytes int64, reserved map[id.Node]int64) ([]placement.Chain, error)
	// Members are all nodes that ever were members.
	Members(ctx context.Context) ([]Node, error)
	// Room is the greatest upload that Chains would place now.
	Room(ctx context.Context, reserved map[id.Node]int64) (int64, error)
}

// Service takes uploads. Make one with New.
type Service struct {
	store  Store
	fleet  Fleet
	key    ed25519.PrivateKey // of tickets
	limits Limits
	now    func() time.Time
	// opens is this server's own count, which refuses without asking the store.
	opens *rate.Limiter
	every Opens
	// placing lets one caller of this server wait for Store.Placing at a time.
	placing chan struct{}
}

// New makes the service; key signs upload tickets.
func New(store Store, fleet Fleet, key ed25519.PrivateKey, limits Limits, now func() time.Time) *Service {
	s := &Service{store: store, fleet: fleet, key: key, limits: limits, now: now, placing: make(chan struct{}, 1)}
	if n := limits.OpensPerMinute; n > 0 {
		s.every = Opens{Every: time.Minute / time.Duration(n), Burst: n}
		s.opens = rate.NewLimiter(rate.Every(s.every.Every), n)
	}
	return s
}

// Limits are what the service was made with.
func (s *Service) Limits() Limits { return s.limits }

// Room is what could be reserved now.
func (s *Service) Room(ctx context.Context) (Room, error) {
	reserved, err := s.store.Reserved(ctx)
	if err != nil {
		return Room{}, fmt.Errorf("measure room: %w", err)
	}
	at, err := s.store.ReservedAt(ctx)
	if err != nil {
		return Room{}, fmt.Errorf("measure room: %w", err)
	}
	free, err := s.fleet.Room(ctx, at)
	if err != nil {
		return Room{}, fmt.Errorf("measure room: %w", err)
	}
	bytes := max(min(s.limits.ReservedBytes-reserved, free), 0)
	return Room{Bytes: bytes, Accepting: bytes > 0}, nil
}

// Open opens an upload of so many bytes, 0 where the length is not known yet,
// whose link shall live for so many days.
func (s *Service) Open(ctx context.Context, bytes int64, days int) (Grant, error) {
	switch {
	case bytes < 0 || days < 0:
		return Grant{}, fmt.Errorf("open upload: %w: %d bytes for %d days", ErrRequest, bytes, days)
	case days > s.limits.Days:
		return Grant{}, fmt.Errorf("open upload: %w: %d days, at most %d", ErrOverLimit, days, s.limits.Days)
	case bytes > s.limits.UploadBytes:
		return Grant{}, fmt.Errorf("open upload: %w: %d bytes, at most %d", ErrOverLimit, bytes, s.limits.UploadBytes)
	case bytes == 0:
		bytes = min(firstBudget, s.limits.UploadBytes)
	}
	g, err := s.begin(ctx, Upload{Budget: bytes, Closes: s.now().Add(life).Unix()})
	if err != nil {
		return Grant{}, fmt.Errorf("open upload: %w", err)
	}
	return g, nil
}

// OpenFor opens an upload for an account's drive, which the account's quota bounds.
func (s *Service) OpenFor(ctx context.Context, account id.Account, bytes int64) (Grant, error) {
	switch {
	case bytes < 0:
		return Grant{}, fmt.Errorf("open upload: %w: %d bytes", ErrRequest, bytes)
	case bytes > s.limits.AccountBytes:
		return Grant{}, fmt.Errorf("open upload: %w: %d bytes, %d in all", ErrQuota, bytes, s.limits.AccountBytes)
	case bytes == 0:
		bytes = min(firstBudget, s.limits.AccountBytes)
	}
	g, err := s.begin(ctx, Upload{Account: account, Budget: bytes, Closes: s.now().Add(accountLife).Unix()})
	if err != nil {
		return Grant{}, fmt.Errorf("open upload: %w", err)
	}
	return g, nil
}

// begin opens u under a fresh id and secret.
func (s *Service) begin(ctx context.Context, u Upload) (Grant, error) {
	if err := s.takeOpen(ctx); err != nil {
		return Grant{}, err
	}
	secret := id.Bytes32(id.New32())
	u.ID, u.State = id.New[id.Upload](), Open
	u.Secret = secretHash(u.ID, secret)
	u, err := s.place(ctx, u)
	if err != nil {
		return Grant{}, err
	}
	g, err := s.grant(ctx, u, u.Chains)
	if err != nil {
		return Grant{}, err
	}
	g.Secret = secret.String()
	return g, nil
}

// most is the greatest budget of u.
func (s *Service) most(u Upload) int64 {
	if u.Account.IsZero() {
		return s.limits.UploadBytes
	}
	return s.limits.AccountBytes
}

// takeOpen counts an upload that is opened. An upload that brings nothing still
// leaves orders for its nodes in the database, so that opening as such is limited.
func (s *Service) takeOpen(ctx context.Context) error {
	if s.opens == nil {
		return nil
	}
	now := s.now()
	taken := s.opens.ReserveN(now, 1)
	if wait := taken.DelayFrom(now); wait > 0 {
		taken.CancelAt(now)
		return &bucket.LimitedError{Wait: wait}
	}
	wait, err := s.store.TakeOpen(ctx, now, s.every)
	if err == nil && wait > 0 {
		err = &bucket.LimitedError{Wait: wait}
	}
	return err
}

// place chooses chains for a new upload and opens it.
func (s *Service) place(ctx context.Context, u Upload) (Upload, error) {
	leave, err := s.enterPlacing(ctx)
	if err != nil {
		return Upload{}, err
	}
	defer leave()
	reserved, err := s.store.ReservedAt(ctx)
	if err != nil {
		return Upload{}, err
	}
	if u.Chains, err = s.fleet.Chains(ctx, u.Budget, reserved); err != nil {
		return Upload{}, err
	}
	return u, s.store.OpenUpload(ctx, u, s.limits.ReservedBytes, maxOpen, s.limits.AccountBytes)
}

// enterPlacing is Store.Placing, with one connection to the database for all who wait here.
func (s *Service) enterPlacing(ctx context.Context) (leave func(), err error) {
	select {
	case s.placing <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	others, err := s.store.Placing(ctx)
	if err != nil {
		<-s.placing
		return nil, err
	}
	return func() {
		others()
		<-s.placing
	}, nil
}

// Get gives a fresh ticket for an open upload. Chains whose nodes went away are
// replaced, as far as the fleet allows.
func (s *Service) Get(ctx context.Context, upload id.Upload, secret string) (Grant, error) {
	u, err := s.open(ctx, upload, secret)
	if err != nil {
		return Grant{}, fmt.Errorf("get upload: %w", err)
	}
	g, err := s.renew(ctx, u)
	if err != nil {
		return Grant{}, fmt.Errorf("get upload: %w", err)
	}
	return g, nil
}

// Extend raises the budget of an open upload to bytes in all.
func (s *Service) Extend(ctx context.Context, upload id.Upload, secret string, bytes int64) (Grant, error) {
	u, err := s.open(ctx, upload, secret)
	switch {
	case err != nil:
	case bytes < 0:
		err = fmt.Errorf("%w: %d bytes", ErrRequest, bytes)
	case bytes > s.most(u) && u.Account.IsZero():
		err = fmt.Errorf("%w: %d bytes, at most %d", ErrOverLimit, bytes, s.most(u))
	case bytes > s.most(u):
		err = fmt.Errorf("%w: %d bytes, %d in all", ErrQuota, bytes, s.most(u))
	case bytes > u.Budget:
		u, err = s.extend(ctx, u, bytes)
	}
	if err != nil {
		return Grant{}, fmt.Errorf("extend upload: %w", err)
	}
	g, err := s.renew(ctx, u)
	if err != nil {
		return Grant{}, fmt.Errorf("extend upload: %w", err)
	}
	return g, nil
}

// extend reserves what an upload wants more: at the nodes of its chains if two of
// one have room for it, otherwise at others, which it is given as well.
func (s *Service) extend(ctx context.Context, u Upload, bytes int64) (Upload, error) {
	leave, err := s.enterPlacing(ctx)
	if err != nil {
		return Upload{}, err
	}
	defer leave()
	fits, err := s.fits(ctx, u, bytes)
	if err != nil {
		return Upload{}, err
	}
	if !fits {
		added, err := s.addChains(ctx, u, bytes, wantedChains)
		if errors.Is(err, placement.ErrNoPlacement) {
			err = fmt.Errorf("%w: %w", ErrNoCapacity, err)
		}
		if err != nil {
			return Upload{}, err
		}
		u.Chains = append(u.Chains, added...)
	}
	u.Budget = bytes
	return u, s.store.ExtendUpload(ctx, u.ID, bytes, s.limits.ReservedBytes, s.limits.AccountBytes)
}

// fits tells whether the nodes of one of the upload's chains have room for bytes
// of it in all.
func (s *Service) fits(ctx context.Context, u Upload, bytes int64) (bool, error) {
	members, err := s.membersByID(ctx)
	if err != nil {
		return false, err
	}
	reserved, err := s.reservedByOthers(ctx, u)
	if err != nil {
		return false, err
	}
	full := func(n id.Node) bool { return !members[n].Writable || members[n].Free-reserved[n] < bytes }
	return slices.ContainsFunc(u.Chains, func(chain placement.Chain) bool {
		return !slices.ContainsFunc(placement.Expected([]placement.Chain{chain}), full)
	}), nil
}

// reservedByOthers is what is reserved at nodes, the upload's own not counted.
func (s *Service) reservedByOthers(ctx context.Context, u Upload) (map[id.Node]int64, error) {
	reserved, err := s.store.ReservedAt(ctx)
	if err != nil {
		return nil, err
	}
	for _, node := range placement.Expected(u.Chains) {
		reserved[node] -= u.Budget
	}
	return reserved, nil
}

// Abandon gives an open upload up.
func (s *Service) Abandon(ctx context.Context, upload id.Upload, secret string) error {
	u, err := s.known(ctx, upload, secret)
	switch {
	case err != nil:
	case u.State == Abandoned:
		return nil // repeating is harmless
	default:
		err = s.store.AbandonUpload(ctx, upload, s.today())
	}
	if err != nil {
		return fmt.Errorf("abandon upload: %w", err)
	}
	return nil
}

func (s *Service) today() int64 { return s.now().Unix() / secondsDay }

// known returns the caller's upload in whatever state.
func (s *Service) known(ctx context.Context, upload id.Upload, secret string) (Upload, error) {
	u, err := s.store.Upload(ctx, upload)
	if err != nil {
		return Upload{}, err
	}
	if !u.authorised(secret) {
		return Upload{}, ErrSecret
	}
	return u, nil
}

// Admit fails unless secret is the upload's, in whatever state that is.
func (s *Service) Admit(ctx context.Context, upload id.Upload, secret string) error {
	if _, err := s.known(ctx, upload, secret); err != nil {
		return fmt.Errorf("find upload: %w", err)
	}
	return nil
}

// open returns the caller's upload if it is open.
func (s *Service) open(ctx context.Context, upload id.Upload, secret string) (Upload, error) {
	u, err := s.known(ctx, upload, secret)
	if err == nil && !u.openAt(s.now()) {
		err = ErrClosed
	}
	return u, err
}

// renew chooses the chains of a fresh ticket: those of before as far as their
// nodes still take blobs, so that what was stored is found again, and new ones
// in the place of others.
func (s *Service) renew(ctx context.Context, u Upload) (Grant, error) {
	members, err := s.membersByID(ctx)
	if err != nil {
		return Grant{}, err
	}
	// The newest first: if there are too many, the oldest are left out.
	var chains []placement.Chain
	for _, chain := range slices.Backward(u.Chains) {
		writable := slices.DeleteFunc(slices.Clone(chain), func(n id.Node) bool { return !members[n].Writable })
		if len(writable) >= ticket.MinChain && len(chains) < wantedChains {
			chains = append(chains, writable)
		}
	}
	slices.Reverse(chains)
	if len(chains) >= min(wantedChains, len(u.Chains)) {
		return s.grant(ctx, u, chains)
	}
	fresh, err := s.fresh(ctx, u, wantedChains-len(chains))
	if errors.Is(err, placement.ErrNoPlacement) && len(chains) > 0 {
		err = nil // what there is will do
	}
	if err != nil {
		return Grant{}, err
	}
	return s.grant(ctx, u, append(chains, fresh...))
}

// fresh adds up to n chains to the upload.
func (s *Service) fresh(ctx context.Context, u Upload, n int) ([]placement.Chain, error) {
	leave, err := s.enterPlacing(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	return s.addChains(ctx, u, u.Budget, n)
}

// addChains adds up to n chains with room for so many bytes, with placing held.
func (s *Service) addChains(ctx context.Context, u Upload, bytes int64, n int) ([]placement.Chain, error) {
	reserved, err := s.reservedByOthers(ctx, u)
	if err != nil {
		return nil, err
	}
	chains, err := s.fleet.Chains(ctx, bytes, reserved)
	if err != nil {
		return nil, err
	}
	nodes := map[id.Node]bool{}
	for _, node := range slices.Concat(u.Chains...) {
		nodes[node] = true
	}
	known := func(chain placement.Chain) bool {
		return slices.ContainsFunc(u.Chains, func(c placement.Chain) bool { return slices.Equal(c, chain) })
	}
	var added []placement.Chain
	for _, chain := range chains[:min(n, len(chains))] {
		for _, node := range chain {
			nodes[node] = true
		}
		if len(nodes) > maxNodes || len(u.Chains)+len(added) == maxChains {
			break
		}
		if !known(chain) {
			added = append(added, chain)
		}
	}
	if len(added) == 0 {
		return nil, fmt.Errorf("%w: all that could be named were", placement.ErrNoPlacement)
	}
	return added, s.store.AddChains(ctx, u.ID, added)
}

// grant signs a ticket with these chains.
func (s *Service) grant(ctx context.Context, u Upload, chains []placement.Chain) (Grant, error) {
	members, err := s.membersByID(ctx)
	if err != nil {
		return Grant{}, err
	}
	g := Grant{
		Upload: u.ID, Budget: u.Budget, Closes: u.Closes, Nodes: []Node{}, Most: s.most(u),
		Expires: min(s.now().Add(ticketLife).Unix(), u.Closes),
	}
	t := ticket.UploadTicket{Upload: u.ID, Budget: u.Budget, Expires: g.Expires}
	listed := map[id.Node]bool{}
	for _, chain := range chains {
		var places []ticket.Place
		for _, n := range chain {
			m, ok := members[n]
			if !ok {
				return Grant{}, fmt.Errorf("%w: a chosen node has just left", placement.ErrNoPlacement)
			}
			places = append(places, ticket.Place{Node: n, URL: m.URL})
			if !listed[n] {
				listed[n] = true
				g.Nodes = append(g.Nodes, m)
			}
		}
		t.Chains = append(t.Chains, places)
	}
	if g.Ticket, err = ticket.SignText(s.key, t); err != nil {
		return Grant{}, err
	}
	return g, nil
}

func (s *Service) membersByID(ctx context.Context) (map[id.Node]Node, error) {
	members, err := s.fleet.Members(ctx)
	if err != nil {
		return nil, err
	}
	out := make(map[id.Node]Node, len(members))
	for _, m := range members {
		out[m.ID] = m
	}
	return out, nil
}

// AbandonOverdue gives up open uploads whose time is over, at most limit, and
// returns how many.
func (s *Service) AbandonOverdue(ctx context.Context, limit int) (int, error) {
	overdue, err := s.store.OverdueUploads(ctx, s.now().Unix(), limit)
	if err != nil {
		return 0, fmt.Errorf("abandon overdue uploads: %w", err)
	}
	for n, upload := range overdue {
		err := s.store.AbandonUpload(ctx, upload, s.today())
		if err != nil && !errors.Is(err, ErrClosed) && !errors.Is(err, ErrUnknown) { // its owner was faster
			return n, fmt.Errorf("abandon overdue upload: %w", err)
		}
	}
	return len(overdue), nil
}

// Release ends the reservations of uploads that were given up, at most limit,
// once their nodes have deleted what they had of them: until then the room is
// not free. What nodes keep in their trash they count as used.
func (s *Service) Release(ctx context.Context, limit int) (int, error) {
	return s.store.ReleaseUploads(ctx, limit)
}

// Forget drops what was kept of closed uploads for retries, at most limit.
func (s *Service) Forget(ctx context.Context, limit int) (int, error) {
	return s.store.ForgetUploads(ctx, s.today()-keepClosed, limit)
}
