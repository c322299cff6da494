package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// seat is a run of the program by a person at a terminal: stdin and stderr are
// the terminal, stdout is a pipe.
type seat struct {
	t      *testing.T
	master *os.File
	cmd    *exec.Cmd
	dir    string
	stdout bytes.Buffer
	screen lockedBuffer
	over   chan struct{} // closed when nothing more comes to the screen
}

// sit starts the program at a terminal of its own.
func sit(t *testing.T, home string, args ...string) *seat {
	t.Helper()
	master, slave := openTerminal(t)
	s := &seat{t: t, master: master, dir: t.TempDir(), over: make(chan struct{})}
	s.cmd = exec.CommandContext(t.Context(), filepath.Join(bin, "holdfast"), args...)
	s.cmd.Dir, s.cmd.Stdin, s.cmd.Stdout, s.cmd.Stderr = s.dir, slave, &s.stdout, slave
	s.cmd.Env = append(os.Environ(), "HOLDFAST_HOME="+home, "HOLDFAST_SERVER="+shared.url, "TERM=xterm")
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := slave.Close(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(s.over)
		buf := make([]byte, 4096)
		for {
			n, err := master.Read(buf)
			_, _ = s.screen.Write(buf[:n]) // into memory
			if err != nil {
				return // EIO: the program has let go of the terminal
			}
		}
	}()
	return s
}

func openTerminal(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = master.Close() }) // the run is over
	fd := int(master.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 120}); err != nil {
		t.Fatal(err)
	}
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return master, slave
}

// echoes tells whether the terminal shows what is typed.
func (s *seat) echoes() bool {
	s.t.Helper()
	state, err := unix.IoctlGetTermios(int(s.master.Fd()), unix.TCGETS)
	if err != nil {
		s.t.Fatal(err)
	}
	return state.Lflag&unix.ECHO != 0
}

// prompted waits for a prompt that lets nobody read along, and answers it.
func (s *seat) prompted(prompt, answer string) {
	s.t.Helper()
	s.await(prompt, func() bool { return strings.HasSuffix(s.screen.String(), prompt) && !s.echoes() })
	if _, err := s.master.WriteString(answer); err != nil {
		s.t.Fatal(err)
	}
}

// await polls: a terminal tells nobody when its modes change.
func (s *seat) await(what string, done func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !done(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("waited in vain for %q; on the screen:\n%s", what, s.screen.String())
		}
	}
}

// leave waits for the end and returns the exit code with all that came.
func (s *seat) leave() ran {
	s.t.Helper()
	if err := s.cmd.Wait(); err != nil && s.cmd.ProcessState == nil {
		s.t.Fatal(err)
	}
	<-s.over
	return ran{s.cmd.ProcessState.ExitCode(), s.stdout.String(), s.screen.String()}
}

var linkAlone = regexp.MustCompile(`^http://[0-9.:]+/s/[A-Za-z0-9_-]{22}#[A-Za-z0-9_-]{51}\n$`)

// TestSendAtATerminal: a person sees what the service allows and how far the send
// is, and types a password that nobody reads along; stdout has the link.
func TestSendAtATerminal(t *testing.T) {
	const password = "open sesame 7"
	path := write(t, "file.bin", strings.Repeat("content ", 3<<20))
	s := sit(t, t.TempDir(), "send", "--password", path)
	s.prompted("Password for the link: ", password+"\n")
	s.prompted("Once more: ", password+"\n")
	r := s.leave()
	if r.code != 0 || !linkAlone.MatchString(r.stdout) {
		t.Fatalf("exit %d, stdout %q\n%s", r.code, r.stdout, r.stderr)
	}
	for _, want := range []string{
		`Sending file\.bin \(1 file, 24\.0 MiB\)`, `takes up to 64\.0 GiB a send for up to 30 days; [0-9.]+ .iB are free`,
		`encrypted +[0-9.]+ MiB / 24\.\d MiB`, `stored 1/2 +[0-9.]+ MiB`, `stored 2/2 +[0-9.]+ MiB`, `stored 2/2 .* [0-9.]+ [KMG]iB/s`,
		`Stored with Demo operator .* and Demo operator .* until \d`,
	} {
		if !regexp.MustCompile(want).MatchString(r.stderr) {
			t.Errorf("not on the screen: %s\n%q", want, r.stderr)
		}
	}
	if strings.Contains(r.stderr, password) {
		t.Error("the password was shown")
	}
	receiveAtATerminal(t, strings.TrimSpace(r.stdout), password)
}

// receiveAtATerminal gives link, key and password when asked for them.
func receiveAtATerminal(t *testing.T, url, password string) {
	bare, key, _ := strings.Cut(url, "#")
	s := sit(t, t.TempDir(), "receive")
	s.prompted("Link: ", bare+"\n")
	s.prompted("Key (the part after #): ", key+"\n")
	s.prompted("Password: ", password+"\n")
	r := s.leave()
	if r.code != 0 || r.stdout != "" {
		t.Fatalf("exit %d, stdout %q\n%s", r.code, r.stdout, r.stderr)
	}
	if strings.Contains(r.stderr, key) || strings.Contains(r.stderr, password) || strings.Contains(r.stderr, bare) {
		t.Errorf("what was typed was shown: %q", r.stderr)
	}
	if !regexp.MustCompile(`received +[0-9.]+ MiB / 24\.0 MiB`).MatchString(r.stderr) || !strings.Contains(r.stderr, "Saved file.bin (24.0 MiB).") {
		t.Errorf("on the screen: %q", r.stderr)
	}
	if info, err := os.Stat(filepath.Join(s.dir, "file.bin")); err != nil || info.Size() != 24<<20 {
		t.Errorf("received %v, %v", info, err)
	}
}

// TestNoProgressInAPipe: where nobody watches, there is the link and nothing else.
func TestNoProgressInAPipe(t *testing.T) {
	r := program(t, "send", "--server", shared.url, write(t, "file.bin", strings.Repeat("content ", 3<<20)))
	if r.code != 0 || !linkAlone.MatchString(r.stdout) || r.stderr != "" {
		t.Errorf("exit %d, stdout %q, stderr %q", r.code, r.stdout, r.stderr)
	}
}

// TestPasswordsMustAgree: one that was mistyped would be a lost link.
func TestPasswordsMustAgree(t *testing.T) {
	s := sit(t, t.TempDir(), "send", "--password", write(t, "file", "x"))
	s.prompted("Password for the link: ", "one\n")
	s.prompted("Once more: ", "two\n")
	if r := s.leave(); r.code != exitFailed || r.stdout != "" || !strings.Contains(r.stderr, "differ") {
		t.Errorf("exit %d, stdout %q\n%s", r.code, r.stdout, r.stderr)
	}
}

// TestCtrlCAtAPrompt: the terminal shows again what is typed.
func TestCtrlCAtAPrompt(t *testing.T) {
	s := sit(t, t.TempDir(), "unsend")
	s.prompted("Link: ", "\x03")
	r := s.leave()
	if r.code != exitFailed || !strings.Contains(r.stderr, "holdfast: stopped") {
		t.Errorf("exit %d\n%s", r.code, r.stderr)
	}
	if !s.echoes() {
		t.Error("the terminal was left without echo")
	}
}
