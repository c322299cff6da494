package keys

import (
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"holdfast/format/password"

	"github.com/tyler-smith/go-bip39"
	"golang.org/x/text/secure/precis"
	"golang.org/x/text/unicode/norm"
)

// ErrName is returned for a text that cannot be an account's name.
var ErrName = errors.New("account-name: a name is 1 to 64 letters, digits and signs such as . or -, in words parted by single spaces")

const (
	// MaxName is the greatest length of a prepared name in characters.
	MaxName = 64
	// maxTypedName bounds typed names in bytes: preparing shortens a text at most to a
	// third (package password), and 64 characters have 256 bytes at most.
	maxTypedName = 4 * 4 * MaxName
)

// nameWord is UsernameCaseMapped (RFC 8265, §3.3) without the Bidi Rule, which is for
// names that others are shown; precis lowers letters without regard to their place.
var nameWord = precis.NewIdentifier(precis.FoldWidth, precis.LowerCase(), precis.Norm(norm.NFC))

// finalSigma is a place in a word and no other letter.
var finalSigma = strings.NewReplacer("ς", "σ")

// PrepareName returns an account's name as it is hashed and compared: names that
// differ by case, width or composition are one. It fails with ErrName, and quotes
// nothing.
func PrepareName(text string) (string, error) {
	if len(text) > maxTypedName {
		return "", fmt.Errorf("%w (%d bytes)", ErrName, len(text))
	}
	if !utf8.ValidString(text) || password.ManyMarks(text) {
		return "", ErrName
	}
	words := strings.Split(text, " ")
	for i, word := range words {
		prepared, err := nameWord.String(word)
		if err != nil || prepared == "" {
			return "", ErrName
		}
		words[i] = finalSigma.Replace(prepared)
	}
	name := strings.Join(words, " ")
	if n := utf8.RuneCountInString(name); n > MaxName {
		return "", fmt.Errorf("%w (%d characters)", ErrName, n)
	}
	return name, nil
}

// NameWords is how many words an offered name has: 44 bits of chance, so that names
// that are taken already are hardly ever offered.
const NameWords = 4

// OfferName draws a name for an account: four words of the list of recovery phrases.
func OfferName() string {
	list := bip39.GetWordList()
	var drawn [2 * NameWords]byte
	rand.Read(drawn[:])
	words := make([]string, NameWords)
	for i := range words {
		n := int(drawn[2*i])<<8 | int(drawn[2*i+1])
		words[i] = list[n%len(list)] // 65,536 is a multiple of 2,048: every word is as likely
	}
	return strings.Join(words, " ")
}
