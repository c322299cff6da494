package keys

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/tyler-smith/go-bip39"
	"pgregory.net/rapid"
)

// official are the vectors of BIP-39 with 24 words (github.com/trezor/python-mnemonic, vectors.json).
var official = map[string]string{
	strings.Repeat("00", 32): strings.Repeat("abandon ", 23) + "art",
	strings.Repeat("7f", 32): "legal winner thank year wave sausage worth useful legal winner thank year wave sausage worth useful legal winner thank year wave sausage worth title",
	strings.Repeat("80", 32): "letter advice cage absurd amount doctor acoustic avoid letter advice cage absurd amount doctor acoustic avoid letter advice cage absurd amount doctor acoustic bless",
	strings.Repeat("ff", 32): strings.Repeat("zoo ", 23) + "vote",
	"68a79eaca2324873eacc50cb9c6eca8cc68ea5d936f98787c60c7ebc74e6ce7c": "hamster diagram private dutch cause delay private meat slide toddler razor book happy fancy gospel tennis maple dilemma loan word shrug inflict delay length",
	"9f6a2878b2520799a44ef18bc7df394e7061a224d2c33cd015b157d746869863": "panda eyebrow bullet gorilla call smoke muffin taste mesh discover soft ostrich alcohol speed nation flash devote level hobby quick inner drive ghost inside",
}

func TestOfficialPhrases(t *testing.T) {
	for entropy, text := range official {
		b, err := hex.DecodeString(entropy)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(Phrase(b).Words(), " "); got != text {
			t.Errorf("%s: %s", entropy, got)
		}
		if got, err := ParsePhrase(text); err != nil || got != Phrase(b) {
			t.Errorf("%s: %x %v", text, got, err)
		}
	}
}

// TestWordList: the list is the one of BIP-39, whatever the library does.
func TestWordList(t *testing.T) {
	list := bip39.GetWordList()
	sum := sha256.Sum256([]byte(strings.Join(list, "\n") + "\n"))
	if got := hex.EncodeToString(sum[:]); len(list) != 2048 || got != "2f5eed53a4727b4bf8880d8f3f199efc90e58503646d9ff8eff3a2ed3b24dbda" {
		t.Errorf("%d words, %s", len(list), got)
	}
}

func TestPhrasesAreReadAsPeopleWriteThem(t *testing.T) {
	want := Phrase(run(3, 32))
	words := want.Words()
	for name, text := range map[string]string{
		"capitals":     strings.ToUpper(strings.Join(words, " ")),
		"4,096 bytes":  strings.Join(words, " ") + strings.Repeat(" ", maxPhrase-len(strings.Join(words, " "))),
		"lines":        "\n" + strings.Join(words, "\r\n\t ") + "\n",
		"wide letters": strings.Map(func(r rune) rune { return r - 'a' + 'ａ' }, words[0]) + "\u3000" + strings.Join(words[1:], "\u00a0"),
	} {
		if got, err := ParsePhrase(text); err != nil || got != want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPhrasesAreRefused(t *testing.T) {
	words := Phrase(run(3, 32)).Words()
	swapped := slices.Clone(words)
	swapped[0], swapped[1] = swapped[1], swapped[0]
	for name, c := range map[string]struct {
		text string
		want error
	}{
		"nothing":      {"", ErrPhraseWords},
		"one too few":  {strings.Join(words[1:], " "), ErrPhraseWords},
		"one too many": {strings.Join(words, " ") + " zoo", ErrPhraseWords},
		"twelve words": {strings.Repeat("abandon ", 11) + "about", ErrPhraseWords},
		"without end":  {strings.Repeat("zoo ", 2000), ErrPhraseWords},
		"exchanged":    {strings.Join(swapped, " "), ErrPhraseChecksum},
		"all the same": {strings.Repeat("zoo ", 24), ErrPhraseChecksum},
	} {
		if got, err := ParsePhrase(c.text); !errors.Is(err, c.want) || got != (Phrase{}) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestTypoNamesTheWord: position, word and what was meant.
func TestTypoNamesTheWord(t *testing.T) {
	for typed, meant := range map[string]string{"abandn": "abandon", "zooo": "zoo", "lettre": "letter", "gorila": "gorilla", "éclair": "clarify"} {
		words := Phrase(run(3, 32)).Words()
		words[6] = typed
		_, err := ParsePhrase(strings.Join(words, " "))
		var wrong *WordError
		if !errors.As(err, &wrong) || wrong.Position != 7 || len(wrong.Nearest) == 0 || len(wrong.Nearest) > 3 {
			t.Fatalf("%s: %v", typed, err)
		}
		if typed != "éclair" && !slices.Contains(wrong.Nearest, meant) {
			t.Errorf("%s: %v", typed, wrong.Nearest)
		}
		if !strings.Contains(err.Error(), "word 7") {
			t.Error(err)
		}
	}
}

func TestPhrasesRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := Phrase(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "entropy"))
		words := p.Words()
		if got, err := ParsePhrase(strings.Join(words, " ")); err != nil || got != p {
			t.Fatalf("%v: %v", words, err)
		}
		// One word replaced by another is noticed but for one time in 256, and never opens the same.
		at, list := rapid.IntRange(0, PhraseWords-1).Draw(t, "at"), bip39.GetWordList()
		words[at] = list[rapid.IntRange(0, len(list)-1).Draw(t, "word")]
		if got, err := ParsePhrase(strings.Join(words, " ")); err == nil && got == p && strings.Join(words, " ") != strings.Join(p.Words(), " ") {
			t.Fatal("another phrase for the same entropy")
		}
	})
}

func FuzzParsePhrase(f *testing.F) {
	for _, text := range official {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if p, err := ParsePhrase(text); err == nil && len(p.Words()) != PhraseWords {
			t.Error(text)
		}
	})
}

// TestPhraseAuth: it is neither entropy nor wrap key.
func TestPhraseAuth(t *testing.T) {
	p, r := Phrase(run(3, 32)), fixed(1, 1)
	a := p.Auth()
	if a != p.Auth() || a == Phrase(run(4, 32)).Auth() || a == p || a == ByPhrase(r.Account, p).purpose {
		t.Error("another one each time, or one that opens more")
	}
	if HashAuth(a) == a || HashAuth(a) == HashAuth(p) {
		t.Error("the hash is none, or one for all")
	}
}

func TestOfferedNames(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		name := OfferName()
		words := strings.Fields(name)
		if len(words) != NameWords || seen[name] {
			t.Fatal(name)
		}
		for _, w := range words {
			if _, known := bip39.GetWordIndex(w); !known {
				t.Error(w)
			}
		}
		seen[name] = true
	}
}
