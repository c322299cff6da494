package store

import (
	"testing"

	"holdfast/server/internal/storetest"
)

// constructors are the databases on which every contract suite runs.
var constructors = map[string]func(*testing.T) storetest.Store{
	"sqlite": func(t *testing.T) storetest.Store { return open(t) },
}

func TestContracts(t *testing.T) {
	for name, open := range constructors {
		t.Run(name, func(t *testing.T) {
			t.Run("uploads", func(t *testing.T) { storetest.Uploads(t, open) })
			t.Run("links", func(t *testing.T) { storetest.Links(t, open) })
			t.Run("leases", func(t *testing.T) { storetest.Leases(t, open) })
		})
	}
}
