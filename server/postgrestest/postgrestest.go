//go:build linux

// Package postgrestest runs a PostgreSQL of a test's own: a real one, on a folder
// and a port of its own, started as an unprivileged user, with the settings that
// it comes with and a password. It promises that a PostgreSQL that is not
// installed fails the test and names what is missing, and that the database ends
// with the process that started it.
package postgrestest

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver
)

// bin is where Debian's package postgresql puts its programs.
const bin = "/usr/lib/postgresql/15/bin"

const (
	owner = "holdfast"
	// Password of the owner. Tests look for it where it must not be.
	Password     = "correct-horse-%-battery"
	readyTimeout = time.Minute
)

// Server is a running PostgreSQL, or one that was stopped and can start again.
type Server struct {
	dir  string
	port int
	who  *syscall.SysProcAttr
	more []string

	cmd   *exec.Cmd
	ended chan struct{}

	mu  sync.Mutex // guards log
	log []string
}

// Start starts a PostgreSQL for one test, with settings name=value.
func Start(tb testing.TB, settings ...string) *Server {
	tb.Helper()
	s, err := start(settings)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.remove(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

var shared struct {
	once   sync.Once
	server *Server
	err    error
}

// Shared is one PostgreSQL for all tests of a package, whose TestMain calls Main.
func Shared(tb testing.TB) *Server {
	tb.Helper()
	shared.once.Do(func() { shared.server, shared.err = start(nil) })
	if shared.err != nil {
		tb.Fatal(shared.err)
	}
	return shared.server
}

// Main runs a package's tests and ends the shared PostgreSQL, if any test started it.
func Main(m *testing.M) int {
	code := m.Run()
	if shared.server != nil {
		if err := shared.server.remove(); err != nil {
			fmt.Fprintln(os.Stderr, "postgrestest:", err)
			code = max(code, 1)
		}
	}
	return code
}

func start(settings []string) (s *Server, err error) {
	if _, err := os.Stat(filepath.Join(bin, "initdb")); err != nil {
		return nil, fmt.Errorf("PostgreSQL 15 is missing; install the Debian package postgresql: %w", err)
	}
	// Below /tmp and not in a test's folder, which only its owner may enter.
	dir, err := os.MkdirTemp("", "holdfast-postgres-")
	if err != nil {
		return nil, err
	}
	s = &Server{dir: dir}
	for _, setting := range settings {
		s.more = append(s.more, "-c", setting)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.remove())
		}
	}()
	if s.who, err = unprivileged(dir); err != nil {
		return s, err
	}
	if err := s.init(); err != nil {
		return s, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return s, err
	}
	s.port = l.Addr().(*net.TCPAddr).Port
	if err := l.Close(); err != nil {
		return s, err
	}
	return s, s.run()
}

// unprivileged is the user postgres where we are root, whom PostgreSQL refuses.
func unprivileged(dir string) (*syscall.SysProcAttr, error) {
	// It ends at once, as in a power cut, when the thread that started it is gone.
	who := &syscall.SysProcAttr{Pdeathsig: syscall.SIGQUIT, Setpgid: true}
	if os.Geteuid() != 0 {
		return who, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, err
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	who.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return who, os.Chown(dir, int(uid), int(gid))
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

func (s *Server) init() error {
	secret := filepath.Join(s.dir, "password") // in a folder that only its owner enters
	if err := os.WriteFile(secret, []byte(Password+"\n"), 0o644); err != nil {
		return err
	}
	cmd := exec.Command(filepath.Join(bin, "initdb"), "-D", s.data(), "--no-sync", "--locale=C", "--encoding=UTF8",
		"--username="+owner, "--auth=scram-sha-256", "--pwfile="+secret)
	cmd.Dir, cmd.SysProcAttr, cmd.Env = s.dir, s.who, []string{"LC_ALL=C", "PATH=/usr/bin:/bin"}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	return nil
}

// run starts the program and returns once it takes connections.
func (s *Server) run() error {
	args := append([]string{"-D", s.data(), "-p", fmt.Sprint(s.port), "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=",
		"-c", "max_connections=200", "-c", "shared_buffers=32MB", "-c", "log_checkpoints=off"}, s.more...)
	s.cmd = exec.Command(filepath.Join(bin, "postgres"), args...)
	s.cmd.Dir, s.cmd.SysProcAttr, s.cmd.Env = s.dir, s.who, []string{"LC_ALL=C", "PATH=/usr/bin:/bin"}
	messages, err := s.cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := s.cmd.Start(); err != nil {
		return err
	}
	ready := make(chan struct{})
	s.ended = make(chan struct{})
	go s.read(s.cmd, messages, ready, s.ended)
	select {
	case <-ready:
		return nil
	case <-s.ended:
		return fmt.Errorf("PostgreSQL did not start:\n%s", s.Messages())
	case <-time.After(readyTimeout):
		return fmt.Errorf("PostgreSQL was not ready in time:\n%s", s.Messages())
	}
}

func (s *Server) read(cmd *exec.Cmd, messages io.Reader, ready, ended chan struct{}) {
	defer close(ended)
	once := sync.OnceFunc(func() { close(ready) })
	lines := bufio.NewScanner(messages)
	for lines.Scan() {
		s.mu.Lock()
		s.log = append(s.log, lines.Text())
		s.mu.Unlock()
		if strings.Contains(lines.Text(), "database system is ready to accept connections") {
			once()
		}
	}
	cmd.Wait() // how it ended is the test's to cause
}

// Messages are what PostgreSQL logged.
func (s *Server) Messages() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.log, "\n")
}

// Stop ends it at once, as `pg_ctl stop -m immediate` does: what it had
// acknowledged is in its log, and nothing else is written.
func (s *Server) Stop(tb testing.TB) {
	tb.Helper()
	if err := s.stop(); err != nil {
		tb.Fatal(err)
	}
}

func (s *Server) stop() error {
	if s.cmd == nil || s.cmd.Process == nil {
		return nil
	}
	select {
	case <-s.ended:
		return nil
	default:
	}
	if err := s.cmd.Process.Signal(syscall.SIGQUIT); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-s.ended:
		return nil
	case <-time.After(readyTimeout):
		return errors.Join(errors.New("PostgreSQL did not end"), s.cmd.Process.Kill())
	}
}

// Again starts it on the same data and port.
func (s *Server) Again(tb testing.TB) {
	tb.Helper()
	if err := s.run(); err != nil {
		tb.Fatal(err)
	}
}

func (s *Server) remove() error { return errors.Join(s.stop(), os.RemoveAll(s.dir)) }

// Host is its address.
func (s *Server) Host() string { return fmt.Sprintf("127.0.0.1:%d", s.port) }

// URL is the address of a database in it, with the password.
func (s *Server) URL(database string) string {
	u := url.URL{Scheme: "postgres", User: url.UserPassword(owner, Password), Host: s.Host(), Path: "/" + database, RawQuery: "sslmode=disable"}
	return u.String()
}

// Create makes a database, like template if that is not "", and returns its URL.
func (s *Server) Create(tb testing.TB, database, template string) string {
	tb.Helper()
	query := "CREATE DATABASE " + database
	if template != "" {
		query += " TEMPLATE " + template
	}
	s.Exec(tb, "postgres", query)
	return s.URL(database)
}

// Exec runs statements, one by one, in a database.
func (s *Server) Exec(tb testing.TB, database string, statements ...string) {
	tb.Helper()
	db := s.Open(tb, database)
	for _, statement := range statements {
		if _, err := db.ExecContext(context.WithoutCancel(tb.Context()), statement); err != nil {
			tb.Fatalf("%s: %v", statement, err)
		}
	}
	if err := db.Close(); err != nil {
		tb.Fatal(err)
	}
}

// Tablespace lets tables stand in a folder that it makes, on another disk.
func (s *Server) Tablespace(tb testing.TB, name, folder string) {
	tb.Helper()
	err := os.Mkdir(folder, 0o700)
	if err == nil && s.who.Credential != nil {
		err = os.Chown(folder, int(s.who.Credential.Uid), int(s.who.Credential.Gid))
	}
	if err != nil {
		tb.Fatal(err)
	}
	s.Exec(tb, "postgres", fmt.Sprintf("CREATE TABLESPACE %s LOCATION '%s'", name, folder))
}

// Open opens a database beside the program under test; the test closes it.
func (s *Server) Open(tb testing.TB, database string) *sql.DB {
	tb.Helper()
	db, err := sql.Open("pgx", s.URL(database))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { db.Close() }) // a second time does nothing
	return db
}
