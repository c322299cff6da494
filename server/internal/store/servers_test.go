//go:build linux

package store

import (
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"holdfast/format/id"
	"holdfast/server/internal/fleet"
	"holdfast/server/internal/placement"
	"holdfast/server/internal/servertest"
	"holdfast/server/internal/share"
	"holdfast/server/internal/storetest"
	"holdfast/server/internal/upload"
	"holdfast/server/postgrestest"
)

// three are the stores of three servers on one database.
func three(t *testing.T) [3]*Store {
	address, _ := postgresURL(t, true)
	return [3]*Store{openAt(t, address), openAt(t, address), openAt(t, address)}
}

// TestServersStartTogether: tables are made once, whoever comes first.
func TestServersStartTogether(t *testing.T) {
	address, _ := postgresURL(t, false)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			s, err := Open(t.Context(), address)
			if err != nil {
				t.Error(err)
				return
			}
			if epoch, err := s.Epoch(t.Context()); err != nil || epoch != 1 {
				t.Errorf("epoch %d, %v", epoch, err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// TestDownloadsAcrossServers: threat 16 with three servers: a limit is never
// exceeded, and never missed because servers met.
func TestDownloadsAcrossServers(t *testing.T) {
	servers := three(t)
	fleet := servertest.NewFleet(t, 2)
	storetest.Admit(t, servers[0], fleet.Nodes...)
	send, _ := sent(t, servers[0], fleet.Nodes, 5000)
	if _, err := servers[0].writer.ExecContext(t.Context(), `UPDATE link SET download_limit = 10`); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var started atomic.Int32
	for n := range 60 {
		wg.Go(func() {
			session := share.Session{Hash: id.New32(), Expires: 100}
			_, _, err := servers[n%3].StartSession(t.Context(), send.Link.Handle, session, 1, 100)
			switch {
			case err == nil:
				started.Add(1)
			case !errors.Is(err, share.ErrUsedUp):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if started.Load() != 10 {
		t.Errorf("%d downloads started, the limit is 10", started.Load())
	}
}

// TestLongCommits: a commit that lasts does not lose to the short work of other
// servers, which does not wait for it.
func TestLongCommits(t *testing.T) {
	servers := three(t)
	ctx := t.Context()
	nodes := servertest.NewFleet(t, 2)
	storetest.Admit(t, servers[0], nodes.Nodes...)
	open := func(s *Store) (u upload.Upload, err error) {
		u = upload.Upload{ID: id.New[id.Upload](), State: upload.Open, Budget: 1000, Secret: id.New32(), Chains: []placement.Chain{nodes.IDs()}}
		return u, s.OpenUpload(ctx, u, 1<<40, 1000, 1<<50)
	}
	u, err := open(servers[0])
	if err != nil {
		t.Fatal(err)
	}
	times := 0
	err = servers[0].CommitUpload(ctx, u.ID, func(_ upload.Upload, tx upload.Tx) error {
		times++
		if err := tx.AddBlob(ctx, upload.Blob{Name: id.Name{1}, Size: 1}); err != nil {
			return err
		}
		if _, err := open(servers[1]); err != nil {
			t.Error(err)
		}
		if err := servers[2].SaveBeats(ctx, []fleet.Beat{{Node: nodes.IDs()[0], SeenAt: 5}}, time.Unix(5, 0)); err != nil {
			t.Error(err)
		}
		return tx.Close(ctx, 1, []byte("digest"), []byte("answer"), nodes.IDs())
	})
	if err != nil || times != 1 {
		t.Errorf("tried %d times: %v", times, err)
	}
	if sum, err := servers[1].Reserved(ctx); err != nil || sum != 1000 {
		t.Errorf("%d bytes are reserved, %v", sum, err)
	}
}

// TestOrdersAcrossServers: links end at three servers while the epoch is raised;
// every node is given an order for each, with numbers that have no gaps.
func TestOrdersAcrossServers(t *testing.T) {
	servers := three(t)
	ctx := t.Context()
	nodes := servertest.NewFleet(t, 2)
	storetest.Admit(t, servers[0], nodes.Nodes...)
	var handles []id.Handle
	for range 12 {
		send, _ := sent(t, servers[0], nodes.Nodes, 5000)
		handles = append(handles, send.Link.Handle)
	}
	var wg sync.WaitGroup
	for n, handle := range handles {
		for range 2 { // its owner and the sweep
			wg.Go(func() {
				if err := servers[n%3].EndLink(ctx, handle, share.Revoked, 1); err != nil {
					t.Error(err)
				}
			})
		}
	}
	wg.Go(func() {
		if _, err := servers[1].RaiseEpoch(ctx, 1); err != nil {
			t.Error(err)
		}
	})
	wg.Wait()
	for _, node := range nodes.Nodes {
		last, err := servers[2].Issued(ctx, node.ID)
		if err != nil || last.Epoch != 2 || last.Number != int64(len(handles)) {
			t.Errorf("%d orders in epoch %d, %v; want %d", last.Number, last.Epoch, err, len(handles))
		}
	}
}

// TestPlacingAcrossServers: one server at a time looks at the room of nodes.
func TestPlacingAcrossServers(t *testing.T) {
	servers := three(t)
	leave, err := servers[0].Placing(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var inside atomic.Int32
	var wg sync.WaitGroup
	for _, s := range servers[1:] {
		wg.Go(func() {
			leave, err := s.Placing(t.Context())
			if err != nil {
				t.Error(err)
				return
			}
			defer leave()
			if inside.Add(1) > 1 {
				t.Error("two choose at once")
			}
			if _, err := s.Epoch(t.Context()); err != nil {
				t.Error(err)
			}
			inside.Add(-1)
		})
	}
	waiting := func() (n int) {
		if err := servers[0].reader.QueryRowContext(t.Context(), `SELECT COUNT(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
			AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	for deadline := time.Now().Add(10 * time.Second); waiting() < 2; {
		if time.Now().After(deadline) {
			t.Fatal("the others do not wait")
		}
	}
	leave()
	wg.Wait()
}

// TestAServerThatStandsStill: what it holds it loses after a while, and others go on.
func TestAServerThatStandsStill(t *testing.T) {
	address, _ := postgresURL(t, true)
	still := openAt(t, address+"&idle_in_transaction_session_timeout=100")
	leave, err := still.Placing(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	other, err := openAt(t, address).Placing(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	leave() // it wakes
	other()
	goesOn := openAt(t, address)
	count := func(tx *sql.Tx) error { return exec(t.Context(), tx, "count", `UPDATE total SET reserved = reserved`) }
	err = still.write(t.Context(), func(tx *sql.Tx) error {
		if err := count(tx); err != nil {
			return err
		}
		if err := goesOn.write(t.Context(), count); err != nil { // once the row is let go of
			t.Error(err)
		}
		return count(tx)
	})
	if !errors.Is(err, ErrBusy) && !errors.Is(err, ErrAway) {
		t.Errorf("in the middle: %v", err)
	}
	if _, err := still.TakeLease(t.Context(), "x", id.New32(), 1, 2); err != nil {
		t.Error("afterwards:", err)
	}
}

// TestLockedForLong: who waits too long for another server's rows is told to come back.
func TestLockedForLong(t *testing.T) {
	address, _ := postgresURL(t, true)
	holder, waits := openAt(t, address), openAt(t, address+"&lock_timeout=100")
	release := errors.New("release")
	err := holder.write(t.Context(), func(tx *sql.Tx) error {
		if err := exec(t.Context(), tx, "hold", `UPDATE total SET reserved = reserved`); err != nil {
			return err
		}
		if _, err := waits.TakeOpen(t.Context(), time.Unix(1, 0), upload.Opens{Every: time.Second, Burst: 1}); !errors.Is(err, ErrBusy) {
			t.Errorf("have %v", err)
		}
		return release
	})
	if !errors.Is(err, release) {
		t.Fatal(err)
	}
}

// badAddresses are what cannot be opened, and words that tell why.
func badAddresses(t *testing.T) map[string]struct {
	address string
	want    error
	words   []string
} {
	server := postgrestest.Shared(t)
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := free.Addr().String()
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	secret := url.UserPassword("holdfast", postgrestest.Password).String()
	set := func(setting string) string {
		address, name := postgresURL(t, true)
		server.Exec(t, "postgres", fmt.Sprintf("ALTER DATABASE %s SET %s", name, setting))
		return address
	}
	newer, name := postgresURL(t, true)
	server.Exec(t, name, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, true)`)
	return map[string]struct {
		address string
		want    error
		words   []string
	}{
		"nobody there":     {"postgres://" + secret + "@" + nobody + "/holdfast", ErrAway, []string{nobody}},
		"no such host":     {"postgres://" + secret + "@nowhere.invalid/holdfast", ErrAway, []string{"nowhere.invalid:5432"}},
		"no such database": {server.URL("missing"), nil, []string{server.Host(), "missing", "does not exist"}},
		"wrong password":   {strings.Replace(server.URL("postgres"), secret, "holdfast:"+strings.ToUpper(url.PathEscape(postgrestest.Password)), 1), nil, []string{"password authentication failed"}},
		"no URL":           {"postgres://" + secret + "@host:port/x", ErrAddress, nil},
		"a bad option":     {"postgres://" + secret + "@127.0.0.1/x?sslmode=sometimes", ErrAddress, nil},
		"silent fallback":  {"postgres://" + secret + "@db.example/x?sslmode=prefer", ErrAddress, []string{"verify-full"}},
		"no certificate":   {"postgres://" + secret + "@127.0.0.1/x?sslrootcert=/missing&sslmode=verify-full", ErrAddress, nil},
		"unsafe":           {set("synchronous_commit = off"), ErrSettings, []string{"synchronous_commit"}},
		"read only":        {set("default_transaction_read_only = on"), ErrReadOnly, []string{"default_transaction_read_only"}},
		"newer":            {newer, ErrNewer, []string{"9999", "upgrade holdfast"}},
	}
}

// TestOpenPostgresFails: each says what is the matter and where, and none the password.
func TestOpenPostgresFails(t *testing.T) {
	for name, bad := range badAddresses(t) {
		t.Run(name, func(t *testing.T) {
			s, err := Open(t.Context(), bad.address)
			if err == nil {
				s.Close()
				t.Fatal("it was opened")
			}
			if bad.want != nil && !errors.Is(err, bad.want) || errors.Is(err, ErrAway) != (bad.want == ErrAway) {
				t.Errorf("have %v, want %v", err, bad.want)
			}
			for _, word := range bad.words {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("%q is not in: %v", word, err)
				}
			}
			for _, secret := range []string{postgrestest.Password, url.PathEscape(postgrestest.Password), "battery", "BATTERY"} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("the password is in: %v", err)
				}
			}
		})
	}
}

// TestEncryptedUnlessHere: a database on another machine is reached with TLS and
// a certificate that fits, unless its operator says otherwise in so many words.
func TestEncryptedUnlessHere(t *testing.T) {
	t.Setenv("PGSSLMODE", "")
	t.Setenv("PGHOST", "")
	for address, encrypted := range map[string]bool{
		"postgres://u@db.example/x": true, "postgres://u@192.0.2.1/x": true, "postgres://u@db.example/x?sslmode=disable": false,
		"postgres://u@127.0.0.1/x?sslmode=disable": false, "postgres://u@localhost/x?sslmode=disable": false, "postgres:///x?host=/run/postgresql": false,
		"postgres:///x?host=db.example": true, "postgres://u@a.example:5432,b.example:5433/x?target_session_attrs=read-write": true,
		"postgres://u@127.0.0.1,db.example/x": true,
	} {
		cfg, err := pgConfig(address)
		if err != nil {
			t.Fatal(address, err)
		}
		if (cfg.TLSConfig != nil && !cfg.TLSConfig.InsecureSkipVerify) != encrypted {
			t.Errorf("%s: TLS %+v", address, cfg.TLSConfig)
		}
	}
}

// TestReadOnlyMeanwhile: a database that stops taking writes is named as such, and
// goes on when it takes them again.
func TestReadOnlyMeanwhile(t *testing.T) {
	address, name := postgresURL(t, true)
	s := openAt(t, address)
	server := postgrestest.Shared(t)
	take := func() error {
		_, err := s.TakeLease(t.Context(), "x", id.New32(), 1, 1)
		return err
	}
	if err := take(); err != nil {
		t.Fatal(err)
	}
	server.Exec(t, "postgres", "ALTER DATABASE "+name+" SET default_transaction_read_only = on")
	s.writer.SetMaxIdleConns(0) // new connections meet the new setting
	if err := take(); !errors.Is(err, ErrReadOnly) {
		t.Errorf("have %v", err)
	}
	if _, err := s.Epoch(t.Context()); err != nil {
		t.Error("reading:", err)
	}
	server.Exec(t, "postgres", "ALTER DATABASE "+name+" SET default_transaction_read_only = off")
	if err := take(); err != nil {
		t.Error("afterwards:", err)
	}
}
