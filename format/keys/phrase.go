package keys

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"

	"holdfast/format/id"
	"holdfast/format/kdf"

	"github.com/tyler-smith/go-bip39"
	"golang.org/x/text/unicode/norm"
)

// PhraseWords is how many words a recovery phrase has.
const PhraseWords = 24

// maxPhrase bounds typed phrases in bytes: 24 words of eight letters are 215.
const maxPhrase = 4096

// Errors of ParsePhrase, besides *WordError.
var (
	ErrPhraseWords    = errors.New("words: a recovery phrase has 24 words")
	ErrPhraseChecksum = errors.New("checksum: every word is one of the list, but together they are no recovery phrase; look for two that were exchanged, and for one that was read as another")
)

// WordError names a word that is not in the list.
type WordError struct {
	Position int    // from 1
	Word     string // as it was typed, in lower case
	Nearest  []string
}

// Error names the word and what may have been meant.
func (e *WordError) Error() string {
	return fmt.Sprintf("word: word %d, %.20q, is none of a recovery phrase; perhaps %s", e.Position, e.Word, strings.Join(e.Nearest, " or "))
}

// Phrase is the entropy of a recovery phrase: a second way to the root key.
type Phrase [32]byte

// NewPhrase draws a phrase.
func NewPhrase() Phrase { return Phrase(id.New32()) }

// Words are the 24 words (BIP-39, English).
func (p Phrase) Words() []string {
	text, err := bip39.NewMnemonic(p[:])
	if err != nil {
		panic("keys: " + err.Error()) // only entropy of another length fails
	}
	return strings.Fields(text)
}

// ParsePhrase reads what a person typed. It fails with ErrPhraseWords, a
// *WordError or ErrPhraseChecksum.
func ParsePhrase(text string) (Phrase, error) {
	if len(text) > maxPhrase {
		return Phrase{}, fmt.Errorf("%w, not %d bytes", ErrPhraseWords, len(text))
	}
	words := strings.FieldsFunc(lower(norm.NFKD.String(text)), space)
	if len(words) != PhraseWords {
		return Phrase{}, fmt.Errorf("%w, not %d", ErrPhraseWords, len(words))
	}
	for i, word := range words {
		if _, known := bip39.GetWordIndex(word); !known {
			return Phrase{}, &WordError{i + 1, word, nearest(word)}
		}
	}
	entropy, err := bip39.EntropyFromMnemonic(strings.Join(words, " "))
	if err != nil || len(entropy) != len(Phrase{}) {
		return Phrase{}, ErrPhraseChecksum
	}
	return Phrase(entropy), nil
}

// lower and space know ASCII alone, after NFKD: so every program reads a phrase alike.
func lower(text string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r - 'A' + 'a'
		}
		return r
	}, text)
}

func space(r rune) bool { return r == ' ' || '\t' <= r && r <= '\r' }

// nearest are the words of the list with the least distance, at most three.
func nearest(word string) []string {
	list := bip39.GetWordList()
	least, near := 1<<30, []string(nil)
	for _, w := range list {
		switch d := distance(word, w); {
		case d < least:
			least, near = d, []string{w}
		case d == least && len(near) < 3:
			near = append(near, w)
		}
	}
	return near
}

// distance is how many letters have to be put in, left out or exchanged
// (Levenshtein, 1966).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0]++
		for j := range len(b) {
			change := before
			if a[i] != b[j] {
				change++
			}
			before = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// Auth is what a server asks for before it gives out the phrase's wrap. It is bound to
// nothing else: who recovers an account knows its name and phrase, and no handle.
func (p Phrase) Auth() [32]byte { return kdf.Key32(p[:], kdf.PhraseAuth) }

// HashAuth is what a server stores of a phrase's Auth.
func HashAuth(auth [32]byte) [32]byte {
	return sha256.Sum256(kdf.Info("holdfast/v1/phrase-auth-hash", auth[:]))
}
