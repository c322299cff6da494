package main

import "testing"

// TestMutantsFollowTheCode: each mutant's text stands once in its file, so that a
// change of the code that leaves one behind is noticed at once.
func TestMutantsFollowTheCode(t *testing.T) {
	t.Chdir("..")
	all, err := readMutants()
	if err != nil || len(all) < 100 {
		t.Fatalf("%d mutants, %v", len(all), err)
	}
	for _, m := range all {
		if _, err := m.mutate(); err != nil {
			t.Errorf("%s: %v", m.name, err)
		}
	}
}
