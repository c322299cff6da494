package cluster_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"holdfast/api"
	"holdfast/client/account"
	"holdfast/client/drive"
	"holdfast/client/home"
	"holdfast/cluster"
	"holdfast/format/keys"
)

// deviceOf is a device of an account, with a home of its own.
func deviceOf(t *testing.T, c *cluster.Cluster, a account.Access) *drive.Drive {
	t.Helper()
	dir, err := home.Open(t.TempDir())
	must(t, err)
	web := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(web.CloseIdleConnections)
	d, err := drive.Open(a, dir, api.Caller{Base: c.URL, HTTP: web})
	must(t, err)
	return d
}

func pathsOf(t *testing.T, d *drive.Drive) (all []string) {
	t.Helper()
	must(t, d.Walk(t.Context(), "/", func(i drive.Item) error {
		all = append(all, i.Path)
		return nil
	}))
	slices.Sort(all)
	return all
}

// TestDevicesAtOnce: three devices of one account make, rename and move folders at once.
// Nothing that was made is lost, all agree in the end, and a new device sees the same.
func TestDevicesAtOnce(t *testing.T) {
	c := cluster.Start(t, cluster.Config{Nodes: []cluster.NodeSpec{}})
	a, err := account.New(c.URL, c.HTTP(t)).SignUp(t.Context(), "three devices", "battery staple one", "", keys.NewPhrase())
	must(t, err)
	_, err = deviceOf(t, c, a).Mkdir(t.Context(), []string{"/common", "/other"}, false)
	must(t, err)
	const devices, rounds = 3, 6
	var wait sync.WaitGroup
	for n := range devices {
		d := deviceOf(t, c, a)
		wait.Go(func() {
			for i := range rounds {
				name := fmt.Sprintf("%d-%d", n, i)
				_, made := d.Mkdir(t.Context(), []string{"/common/" + name, "/common/same"}, true)
				_, moved := d.Move(t.Context(), []string{"/common/" + name}, "/other/moved "+name)
				_, removed := d.Remove(t.Context(), []string{"/other/moved " + name})
				_, _, back := d.Restore(t.Context(), []string{"/other/moved " + name})
				if err := errors.Join(made, moved, removed, back); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	one, two := pathsOf(t, deviceOf(t, c, a)), pathsOf(t, deviceOf(t, c, a))
	if !slices.Equal(one, two) {
		t.Errorf("%v and %v", one, two)
	}
	moved := 0
	for _, path := range one {
		if strings.HasPrefix(path, "/other/moved ") {
			moved++
		}
	}
	if moved != devices*rounds || !slices.Contains(one, "/common/same") {
		t.Errorf("%d of %d folders are there: %v", moved, devices*rounds, one)
	}
}
