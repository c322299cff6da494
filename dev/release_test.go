package main

import (
	"strings"
	"testing"
)

func TestReleaseIsNamed(t *testing.T) {
	for _, c := range []struct {
		args, targets []string
		fails         bool
	}{
		{nil, targets, false},
		{[]string{"v0.1.0"}, targets[:1], false},
		{[]string{"v1.2.3-rc.1"}, targets, false},
		{[]string{"0.1.0"}, targets, true},
		{[]string{"v0.1"}, targets, true},
		{[]string{"v0.1.0 -X main.other=1"}, targets, true},
		{[]string{"v0.1.0", "--check"}, targets, true},
		{nil, []string{"plan9/386"}, true},
	} {
		b, err := newBuild(t.Context(), c.args, c.targets)
		if (err != nil) != c.fails {
			t.Errorf("%v for %v: %v", c.args, c.targets, err)
		}
		if err == nil && (len(b.commit) < 40 || b.at.Year() < 2020 || len(c.args) == 0 && !strings.HasSuffix(b.version, b.commit[:12])) {
			t.Errorf("%+v", b)
		}
	}
}

func TestBuildsAreCompared(t *testing.T) {
	first := map[string][]byte{"a": []byte("1"), "b": []byte("2")}
	if err := same(first, map[string][]byte{"a": []byte("1"), "b": []byte("2")}); err != nil {
		t.Error(err)
	}
	for name, second := range map[string]map[string][]byte{"other bytes": {"a": []byte("1"), "b": []byte("3")}, "one less": {"a": []byte("1")}, "one more": {"a": []byte("1"), "b": []byte("2"), "c": nil}} {
		if same(first, second) == nil {
			t.Errorf("%s: said to be the same", name)
		}
	}
	if have, want := string(sums(first)), "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b  a\n"+
		"d4735e3a265e16eee03f59718b9b5d03019c07d8b6c51f90da3a666eec13ab35  b\n"; have != want {
		t.Error(have)
	}
}
