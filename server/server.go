package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"holdfast/certs"
	"holdfast/server/internal/account"
	"holdfast/server/internal/dir"
	"holdfast/server/internal/drive"
	"holdfast/server/internal/fleet"
	"holdfast/server/internal/httpapi"
	"holdfast/server/internal/lock"
	"holdfast/server/internal/loop"
	"holdfast/server/internal/message"
	"holdfast/server/internal/share"
	"holdfast/server/internal/store"
	"holdfast/server/internal/upload"
)

const (
	databaseFile = "holdfast.db"
	lockFile     = "server.lock"
	// openTimeout bounds opening the database, migrations included.
	openTimeout = 5 * time.Minute
	// headerTimeout, headerBytes: requests carry no cookies and no long headers.
	headerTimeout = 10 * time.Second
	headerBytes   = 32 << 10
	idleTimeout   = 2 * time.Minute
	// bodyTimeout bounds a whole request where its endpoint says nothing shorter:
	// that is, pages and their assets.
	bodyTimeout = 5 * time.Minute
	// fleetEvery is how soon others (another server, admin nodes) see at the latest
	// what heartbeats told; it is one small transaction.
	fleetEvery = min(fleet.StepEvery, 5*time.Second)
	// stopTimeout is how long requests may go on once the server was told to stop.
	stopTimeout = 10 * time.Second
)

// Server is the control plane. Make one with New, and Close it if it never ran.
type Server struct {
	cfg     Config
	lock    *lock.Lock
	store   *store.Store
	fleet   *fleet.Fleet
	sweep   *loop.Loop
	handler http.Handler
	certs   *certs.Holder // nil for plain HTTP
	listen  func() (net.Listener, error)
	close   func() error
}

// New opens the data directory, which it makes if need be, and wires everything.
func New(cfg Config) (*Server, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, listen: func() (net.Listener, error) { return net.Listen("tcp", cfg.Listen) }}
	if err := s.open(); err != nil {
		return nil, errors.Join(err, s.closeAll())
	}
	s.close = sync.OnceValue(s.closeAll)
	return s, nil
}

func (s *Server) open() (err error) {
	if err := s.openCertificate(); err != nil {
		return err
	}
	if err := dir.Make(s.cfg.DataDir); err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	if s.lock, err = lock.Try(filepath.Join(s.cfg.DataDir, lockFile)); err != nil {
		return fmt.Errorf("data directory %s: %w", s.cfg.DataDir, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), openTimeout)
	defer cancel()
	data := Data{Dir: s.cfg.DataDir, Database: s.cfg.Database}
	if s.store, err = openStore(ctx, data); err != nil {
		return err
	}
	s.store.Trouble = troubleLog(s.cfg.Log)
	signing, err := identify(ctx, s.store, data)
	if err != nil {
		return err
	}
	if s.fleet, err = newFleet(s.store, signing, &s.cfg); err != nil {
		return err
	}
	uploads := upload.New(s.store, uploadFleet{s.fleet}, signing.Ticket, s.cfg.Limits.forUploads(), s.cfg.Now)
	links := share.New(s.store, shareFleet{s.fleet}, signing.Ticket, s.cfg.Now)
	secret, err := accountsSecret(ctx, s.store, data)
	if err != nil {
		return err
	}
	accounts, err := account.New(s.store, secret, s.cfg.Now)
	if err != nil {
		return err
	}
	messages := message.New(s.store, s.cfg.Now)
	drives := drive.New(s.store, uploads, shareFleet{s.fleet}, signing.Ticket, s.cfg.Limits.AccountBytes, s.cfg.Now)
	s.sweep = s.newSweep(uploads, links, accounts, messages, drives)
	mux := http.NewServeMux()
	mux.Handle("/api/", httpapi.New(httpapi.Config{
		Uploads: uploads, Links: links, Accounts: accounts, Messages: messages, Drives: drives, Fleet: s.fleet, Software: s.cfg.Software, Log: s.cfg.Log,
	}))
	if err := s.addPages(mux); err != nil {
		return err
	}
	s.handler = s.strictly(mux)
	return nil
}

func (s *Server) newSweep(uploads *upload.Service, links *share.Service, accounts *account.Service, messages *message.Service, drives *drive.Service) *loop.Loop {
	return loop.New("sweep", s.store, s.cfg.Now, s.cfg.Log,
		loop.Step{Name: "expire links", Run: links.ExpireLinks},
		loop.Step{Name: "finish used-up links", Run: links.FinishLinks},
		loop.Step{Name: "abandon overdue uploads", Run: uploads.AbandonOverdue},
		loop.Step{Name: "release uploads", Run: uploads.Release},
		loop.Step{Name: "drop sessions", Run: links.DropSessions},
		loop.Step{Name: "drop tries", Run: links.DropTries},
		loop.Step{Name: "drop leftovers of accounts", Run: accounts.DropLeftovers},
		loop.Step{Name: "drop old messages", Run: messages.DropOld},
		loop.Step{Name: "remove what lay in dropped folders", Run: drives.DropFolders},
		loop.Step{Name: "forget pages that no entry names", Run: drives.DropPages},
		loop.Step{Name: "forget answers to commits", Run: drives.ForgetAnswers},
		loop.Step{Name: "forget closed uploads", Run: uploads.Forget},
		loop.Step{Name: "forget orders that are done", Run: s.fleet.ForgetOrders},
		loop.Step{Name: "empty the write-ahead log", Run: func(ctx context.Context, _ int) (int, error) { return 0, s.store.Scrub(ctx) }},
	)
}

// Handler answers everything: pages and endpoints.
func (s *Server) Handler() http.Handler { return s.handler }

// Step does one round of the background work, for tests and for Run.
func (s *Server) Step(ctx context.Context) error {
	return errors.Join(s.sweep.Step(ctx), s.fleet.Step(ctx))
}

// Run serves until ctx ends, then lets requests finish and closes the server.
func (s *Server) Run(ctx context.Context) (err error) {
	defer func() { err = errors.Join(err, s.Close()) }()
	listener, err := s.listen()
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	doors := newDoors(listener, connectionsMost)
	server := s.httpServer(doors)
	ctx, stop := context.WithCancel(ctx)
	var work sync.WaitGroup
	defer work.Wait()
	defer stop()
	work.Go(func() { s.sweep.Run(ctx, s.cfg.SweepEvery) })
	work.Go(func() { s.watchFleet(ctx) })
	if s.certs != nil {
		work.Go(func() { s.certs.Watch(ctx) })
	}

	served := make(chan error, 1)
	go func() { served <- s.serve(server, doors) }()
	s.cfg.Ready(s.base(listener.Addr()))
	select {
	case err := <-served:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	if err := server.Shutdown(grace); err != nil {
		return errors.Join(fmt.Errorf("some requests did not finish in time: %w", err), server.Close())
	}
	return nil
}

// watchFleet stores what heartbeats told, now and then and at the end.
func (s *Server) watchFleet(ctx context.Context) {
	// Another server has to see a heartbeat before the node counts as silent.
	tick := time.NewTicker(min(fleetEvery, s.cfg.NodeTimeout/3))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return // Close stores the rest, when no request comes any more
		case <-tick.C:
		}
		if err := s.fleet.Step(ctx); err != nil && ctx.Err() == nil {
			s.cfg.Log.Error("fleet state not stored; it is tried again", "error", err)
		}
	}
}

// Close stores what is only in memory and closes the data directory. Run does so
// itself; closing twice does nothing.
func (s *Server) Close() error { return s.close() }

func (s *Server) closeAll() error {
	var failed []error
	if s.fleet != nil {
		ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
		failed = append(failed, s.fleet.Step(ctx))
		cancel()
	}
	if s.store != nil {
		failed = append(failed, s.store.Close())
	}
	if s.lock != nil {
		failed = append(failed, s.lock.Release())
	}
	return errors.Join(failed...)
}
