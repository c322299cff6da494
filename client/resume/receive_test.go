package resume

import (
	"errors"
	"os"
	"reflect"
	"testing"

	"holdfast/client/home"
)

func TestReceiveRemembers(t *testing.T) {
	path := t.TempDir() + "/r"
	r, err := OpenReceive(path)
	if err != nil || r.Session != "" || len(r.Arrived) != 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	if _, err := OpenReceive(path); !errors.Is(err, home.ErrBusy) {
		t.Fatalf("opened twice: %v", err)
	}
	a, b := Arrived{1, 2, 3}, Arrived{4, 5, 6}
	if err := errors.Join(r.SetSession("first"), r.Add("x", b), r.Add("x", a), r.Add("a \"b\"\n", b), r.SetSession("second"), r.Close()); err != nil {
		t.Fatal(err)
	}
	again, err := OpenReceive(path)
	if err != nil || again.Session != "second" || !reflect.DeepEqual(again.Arrived, map[string]Arrived{"x": a, "a \"b\"\n": b}) {
		t.Fatalf("%+v, %v", again, err)
	}
	if err := again.Erase(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("still there: %v", err)
	}
	if err := again.Add("y", a); !errors.Is(err, ErrWrite) {
		t.Errorf("after the end: %v", err)
	}
}

func TestReceiveLeavesOutWhatItCannotRead(t *testing.T) {
	path := t.TempDir() + "/r"
	if err := os.WriteFile(path, []byte("{\"session\":\"s\"}\nnonsense\n{\"path\":\"x\",\"size\":5}\n{\"path\":\"torn"), 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := OpenReceive(path)
	if err != nil || r.Session != "s" || !reflect.DeepEqual(r.Arrived, map[string]Arrived{"x": {Size: 5}}) {
		t.Fatalf("%+v, %v", r, err)
	}
	r.Close()
}

func TestTogetherFollowsBlobs(t *testing.T) {
	s := NewState(Head{})
	s.Blobs = []Blob{blobOf(1, 2), blobOf(2, 3), blobOf(4), blobOf(5, 6)}
	for name, c := range map[string]struct {
		from, want []int
	}{
		"a chain of packs": {[]int{1}, []int{1, 2, 3}},
		"from its middle":  {[]int{2}, []int{1, 2, 3}},
		"one alone":        {[]int{4}, []int{4}},
		"two at once":      {[]int{4, 6}, []int{4, 5, 6}},
		"in no blob":       {[]int{9}, []int{9}},
		"none":             {nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			from, want := map[int]bool{}, map[int]bool{}
			for _, n := range c.from {
				from[n] = true
			}
			for _, n := range c.want {
				want[n] = true
			}
			if have := s.Together(from); !reflect.DeepEqual(have, want) {
				t.Errorf("have %v", have)
			}
		})
	}
}

func FuzzOpenReceive(f *testing.F) {
	f.Add([]byte("{\"session\":\"s\"}\n{\"path\":\"x\",\"size\":5,\"mtime\":7,\"ino\":9}\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		path := t.TempDir() + "/r"
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := OpenReceive(path)
		if err != nil {
			return // a line longer than any that is written
		}
		if err := errors.Join(r.Add("p", Arrived{}), r.Close()); err != nil {
			t.Fatal(err)
		}
	})
}
