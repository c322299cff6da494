package keys

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// TestThreat17KeysAreNeverShown: no verb, logger or encoder writes a root key, what
// derives from it, a phrase, or what a wrap is sealed under.
func TestThreat17KeysAreNeverShown(t *testing.T) {
	secret := [32]byte(bytes.Repeat([]byte{0xab}, 32))
	root := Root{Account: fixed(1, 1).Account, Epoch: 1, Key: secret}
	folder := Folder{Read: secret, WriteSeed: secret, AdminSeed: secret}
	wrapper := Wrapper{account: root.Account, purpose: secret, bound: []byte{1}}
	phrase := Phrase(secret)
	var log bytes.Buffer
	var shown strings.Builder
	for _, v := range []any{root, &root, folder, &folder, wrapper, &wrapper, phrase, &phrase, []any{root, phrase}} {
		slog.New(slog.NewTextHandler(&log, nil)).Info("x", "v", v)
		slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "v", v)
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o", "%b", "%c", "%U"} {
			fmt.Fprintf(&shown, verb, v)
		}
		if b, err := json.Marshal(v); err == nil && string(b) != "{}" {
			t.Errorf("%T is written as JSON: %s", v, b)
		}
	}
	for _, trace := range []string{"abab", "ABAB", "171 171", "171, 171", "171,171", "0xab", "253 253", "10101011", "q6ur", "U+00AB", phrase.Words()[0]} {
		if strings.Contains(shown.String(), trace) || strings.Contains(log.String(), trace) {
			t.Errorf("a secret shows as %q", trace)
		}
	}
}
