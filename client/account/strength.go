package account

import (
	"fmt"
	"math"
	"strings"

	"github.com/trustelem/zxcvbn"
	"github.com/trustelem/zxcvbn/match"

	"holdfast/format/keys"
)

// leastGuesses that a password has to take, the highest of zxcvbn's steps ("very
// unguessable", Wheeler 2016): with Argon2id at 64 MiB that is 30 years of one processor
// and more, for whoever has the server's database and its key. Online there are 4 a minute.
const leastGuesses = 1e10

// maxJudged bounds what is judged, in bytes: judging takes time that grows with the
// square, and a longer password is strong by what comes first.
const maxJudged = 100

// WeakError: a password that would be guessed.
type WeakError struct {
	Why    string
	Better string // drawn, not weak
}

// Error says why and offers a better one.
func (e *WeakError) Error() string {
	return fmt.Sprintf("this password would be guessed: %s. Take a longer one, such as the words %q, which were drawn just now", e.Why, e.Better)
}

// CheckStrength refuses passwords that whoever has the server's database and key would
// guess: *WeakError. The name is known to guessers.
func CheckStrength(pass, name string) error {
	judged := pass[:min(len(pass), maxJudged)]
	result := zxcvbn.PasswordStrength(strings.ToValidUTF8(judged, ""), append(strings.Fields(name), name, "holdfast"))
	if result.Guesses >= leastGuesses {
		return nil
	}
	return &WeakError{why(result), offered()}
}

// offered are six words that were drawn: 66 bits.
func offered() string {
	return strings.Join(strings.Fields(keys.OfferName() + " " + keys.OfferName())[:6], " ")
}

// why is the reason in words: what makes the password easy.
func why(r zxcvbn.Result) string {
	worst := (*match.Match)(nil)
	for _, m := range r.Sequence {
		if m.Pattern != "bruteforce" && (worst == nil || len(m.Token) > len(worst.Token)) {
			worst = m
		}
	}
	tries := fmt.Sprintf("about 10^%.0f tries suffice", math.Floor(math.Log10(max(r.Guesses, 1))))
	if worst == nil {
		return "it is short; " + tries
	}
	kind := map[string]string{
		"dictionary": "much of it is a word, a name or a common password", "spatial": "much of it is a row of keys on the keyboard",
		"repeat": "it repeats itself", "sequence": "it has a sequence such as abc or 123", "regex": "it has a year", "date": "it has a date",
	}[worst.Pattern]
	if kind == "" {
		kind = "it follows a pattern"
	}
	return kind + "; " + tries
}
