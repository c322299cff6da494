package seal

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	"holdfast/format/internal/golden"
	"holdfast/format/pad"

	"github.com/tink-crypto/tink-go/v2/streamingaead/subtle"
)

// Tink is the oracle: what it seals we open and the other way round, padded or
// not, at every boundary of segments and pieces.
var tinkSizes = []int{
	1, 2, 1023, 1024, 1025,
	plainFirst - 1, plainFirst, plainFirst + 1,
	plainFirst + plainRest - 1, plainFirst + plainRest, plainFirst + plainRest + 1,
	plainFirst + 2*plainRest, 1 << 20,
	int(PieceStart(1)) - 1, int(PieceStart(1)), int(PieceStart(1)) + 1, 8 << 20,
}

func tink(t testing.TB, k Keys) (*subtle.AESGCMHKDF, []byte) {
	t.Helper()
	d := derive(k, Params{})
	s, err := subtle.NewAESGCMHKDF(d.contentKey[:], "SHA256", 32, SegmentSize, 0)
	if err != nil {
		t.Fatal(err)
	}
	return s, d.aad
}

// sealRaw seals without padding, by segments.
func sealRaw(s *Sealer, plaintext []byte) []byte {
	out := s.AppendHeader(nil)
	for i := uint32(0); ; i++ {
		n := min(plainSize(int64(i)), len(plaintext))
		last := n == len(plaintext)
		out = s.SealSegment(out, plaintext[:n], i, last)
		if plaintext = plaintext[n:]; last {
			return out
		}
	}
}

// openRaw opens a stream of any length, by segments.
func openRaw(o *Opener, stream []byte) ([]byte, error) {
	var out []byte
	length := int64(len(stream))
	for i := range (length + SegmentSize - 1) / SegmentSize {
		from, to := segmentRange(length, i)
		var err error
		if out, err = o.OpenSegment(out, stream[from:to], uint32(i), to == length); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func TestTinkOpensOurs(t *testing.T) {
	k, p := testKeys(1)
	for _, n := range tinkSizes {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			plaintext := golden.Pattern(int64(n))
			stream := sealRaw(NewSealer(k, p), plaintext)
			if StreamLength(int64(n)) != int64(len(stream)) {
				t.Fatalf("%d bytes", len(stream))
			}
			s, aad := tink(t, k)
			r, err := s.NewDecryptingReader(bytes.NewReader(stream), aad)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(r)
			if err != nil || !bytes.Equal(got, plaintext) {
				t.Fatalf("tink reads %d bytes, %v", len(got), err)
			}
		})
	}
}

func TestTinkOpensOursPadded(t *testing.T) {
	k, p := testKeys(2)
	for _, n := range []int{0, 1, 1024, 1025, 262088, 262089, 600000} {
		plaintext := golden.Pattern(int64(n))
		stream, _, err := Seal(nil, k, p, plaintext)
		if err != nil {
			t.Fatal(err)
		}
		s, aad := tink(t, k)
		r, err := s.NewDecryptingReader(bytes.NewReader(stream), aad)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		want := append(plaintext, make([]byte, pad.Length(int64(n))-int64(n))...)
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("tink reads %d bytes of %d, %v", len(got), len(want), err)
		}
	}
}

func TestOursOpensTink(t *testing.T) {
	k, _ := testKeys(3)
	for _, n := range tinkSizes {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			plaintext := golden.Pattern(int64(n))
			s, aad := tink(t, k)
			var stream bytes.Buffer
			w, err := s.NewEncryptingWriter(&stream, aad)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write(plaintext); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			p, err := ParseHeader(stream.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			o, err := NewOpener(k, p, derive(k, p).commitment)
			if err != nil {
				t.Fatal(err)
			}
			got, err := openRaw(o, stream.Bytes())
			if err != nil || !bytes.Equal(got, plaintext) {
				t.Fatalf("%d bytes, %v", len(got), err)
			}
			if !bytes.Equal(sealRaw(NewSealer(k, p), plaintext), stream.Bytes()) {
				t.Fatal("with tink's header we seal other bytes")
			}
		})
	}
}
