package account

import (
	"errors"
	"strings"
	"testing"
)

func TestWeakPasswords(t *testing.T) {
	for pass, why := range map[string]string{
		"password1": "common password", "qwertyuiop": "common password", "aaaaaaaaaaaaaaaaaaaa": "repeats", "abcdefghijklmnop": "sequence",
		"x7Kq": "short", "correct horse": "word", "somebody else": "word", "mnbvgfdsx": "keys on the keyboard", "17.04.1983": "date",
	} {
		var weak *WeakError
		err := CheckStrength(pass, "somebody else")
		if !errors.As(err, &weak) || !strings.Contains(weak.Why, why) {
			t.Errorf("%s: %v, want %q", pass, err, why)
			continue
		}
		if strings.Contains(err.Error(), pass) {
			t.Errorf("the error quotes the password: %v", err)
		}
		if CheckStrength(weak.Better, "somebody else") != nil || len(strings.Fields(weak.Better)) != 6 {
			t.Errorf("what is offered is weak: %q", weak.Better)
		}
	}
	for _, pass := range []string{"correct horse battery staple", "jR7#kq!mW2zp", strings.Repeat("lang genug, und noch viel länger ", 30), "пароль из многих разных слов"} {
		if err := CheckStrength(pass, "ada"); err != nil {
			t.Errorf("%s: %v", pass, err)
		}
	}
}

func TestFactorSecrets(t *testing.T) {
	s := NewFactorSecret()
	if got, err := ParseFactorSecret(" " + strings.ToLower(s.Text()[:4]) + " " + s.Text()[4:] + "\n"); err != nil || got != s {
		t.Errorf("%v", err)
	}
	for _, text := range []string{"", "abc", s.Text() + "A", strings.Repeat("1", 32)} {
		if _, err := ParseFactorSecret(text); !errors.Is(err, ErrFactorSecret) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if url := s.URL("share.example"); !strings.HasPrefix(url, "otpauth://totp/Holdfast:share.example?") || !strings.Contains(url, "secret="+s.Text()) {
		t.Error(url)
	}
}
