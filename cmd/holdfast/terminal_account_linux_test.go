package main

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
)

// asked waits for a question that may be read along, and answers it.
func (s *seat) asked(prompt, answer string) {
	s.t.Helper()
	s.await(prompt, func() bool { return strings.HasSuffix(s.screen.String(), prompt) && s.echoes() })
	if _, err := s.master.WriteString(answer); err != nil {
		s.t.Fatal(err)
	}
}

// asksWord waits for the next question for a word of the phrase.
func (s *seat) asksWord(seen int) int {
	s.t.Helper()
	word := regexp.MustCompile(`Word (\d+): $`)
	s.await("a word", func() bool { return len(s.screen.String()) > seen && word.MatchString(s.screen.String()) })
	n, err := strconv.Atoi(word.FindStringSubmatch(s.screen.String())[1])
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

var shownWord = regexp.MustCompile(`(?:^|\s)(\d{1,2}) ([a-z]+)\s`)

// TestSignUpAtATerminal: a person takes the name that is offered, types a password that
// nobody reads along, is shown the phrase and asked for three of its words; then sets a
// second factor by a picture.
func TestSignUpAtATerminal(t *testing.T) {
	const password = "a password that nobody guesses so soon"
	t.Setenv("HOLDFAST_NO_KEYRING", "1")
	home := t.TempDir()
	s := sit(t, home, "signup")
	s.await("the offer", func() bool { return strings.HasSuffix(s.screen.String(), "]: ") })
	offer := regexp.MustCompile(`\[([a-z ]+)\]: $`).FindStringSubmatch(s.screen.String())[1]
	s.asked("]: ", "\n")
	s.prompted("New password: ", password+"\n")
	s.prompted("Once more: ", password+"\n")
	first := s.asksWord(0)
	words := map[string]string{}
	for _, m := range shownWord.FindAllStringSubmatch(strings.ReplaceAll(s.screen.String(), "  ", "   "), -1) {
		words[m[1]] = m[2]
	}
	if len(words) != 24 {
		t.Fatalf("%d words on the screen:\n%s", len(words), s.screen.String())
	}
	seen := len(s.screen.String())
	s.asked(": ", "wrong\n")
	for n := range 3 {
		at := s.asksWord(seen)
		if n == 0 && at != first {
			t.Errorf("word %d was wrong, and %d is asked for", first, at)
		}
		seen = len(s.screen.String())
		s.asked(": ", strings.ToUpper(words[strconv.Itoa(at)])+"\n")
	}
	r := s.leave()
	if r.code != 0 || strings.TrimSpace(r.stdout) != offer || strings.Contains(r.stderr, password) {
		t.Fatalf("exit %d, stdout %q\n%s", r.code, r.stdout, r.stderr)
	}

	s = sit(t, home, "2fa", "enable")
	s.prompted("Password of "+offer+": ", password+"\n")
	s.await("the question", func() bool { return strings.HasSuffix(s.screen.String(), "shows now: ") })
	if !strings.Contains(s.screen.String(), "█▀▀▀▀▀█") { // a corner of the code
		t.Errorf("no picture on the screen:\n%s", s.screen.String())
	}
	secret := regexp.MustCompile(`into it: ([A-Z2-7]{32})\s`).FindStringSubmatch(s.screen.String())[1]
	code, err := totp.GenerateCode(secret, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	s.asked("shows now: ", code+"\n")
	r = s.leave()
	codes := strings.Fields(r.stdout)
	if r.code != 0 || len(codes) != 10 {
		t.Fatalf("exit %d, stdout %q\n%s", r.code, r.stdout, r.stderr)
	}
	s = sit(t, home, "2fa", "disable")
	s.prompted("Password of "+offer+": ", password+"\n")
	s.asked("(or a recovery code): ", code+"\n") // used already
	s.asked("That code is wrong or was used. Code of the second factor (or a recovery code): ", codes[0]+"\n")
	if r = s.leave(); r.code != 0 {
		t.Errorf("exit %d\n%s", r.code, r.stderr)
	}
}

// TestWeakPasswordAtATerminal: the reason and an offer, and nothing is made.
func TestWeakPasswordAtATerminal(t *testing.T) {
	s := sit(t, t.TempDir(), "signup", "--name", "somebody with a weak one")
	s.prompted("New password: ", "qwertyuiop\n")
	if r := s.leave(); r.code != exitFailed || !strings.Contains(r.stderr, "would be guessed") || !strings.Contains(r.stderr, "such as the words") || strings.Contains(r.stderr, "qwertyuiop") {
		t.Errorf("exit %d\n%s", r.code, r.stderr)
	}
}
