package cluster_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"golang.org/x/sync/errgroup"

	"holdfast/api"
	"holdfast/client/transfer"
	"holdfast/cluster"
	"holdfast/format/id"
	"holdfast/format/link"
)

const (
	linearLinks   = 120
	linearLimit   = 4 // downloads of each link
	linearVisits  = 10_000
	linearCallers = 4
)

// visit is what a caller does with a link: look, begin a download, or revoke it.
type visit struct {
	link int
	what string
}

// linkState is a link's: how many downloads began, and whether it was revoked.
type linkState struct {
	begun   int64
	revoked bool
}

// visitStep is the specification: what a look shows is exact, no download too many
// begins, and after a revocation nothing does.
func visitStep(state, input, output any) (bool, any) {
	s, v, o := state.(linkState), input.(visit), output.(string)
	left := fmt.Sprint(linearLimit-s.begun, " left")
	switch {
	case v.what == "revoke":
		return o == "done", linkState{s.begun, true}
	case s.revoked:
		return o == string(api.LinkRevoked), s
	case s.begun == linearLimit:
		return o == string(api.LinkUsedUp), s
	case v.what == "look":
		return o == left, s
	}
	s.begun++
	return o == fmt.Sprint(linearLimit-s.begun, " left"), s
}

var linkModel = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		parts := make([][]porcupine.Operation, linearLinks)
		for _, op := range history {
			n := op.Input.(visit).link
			parts[n] = append(parts[n], op)
		}
		return parts
	},
	Init: func() any { return linkState{} },
	Step: visitStep,
}

// shared is a link with what its two sides know.
type shared struct {
	link   link.Link
	auth   id.Bytes32
	manage string
}

// TestLinksAreLinearizable: several callers look at links, begin downloads and revoke
// them, all at once.
func TestLinksAreLinearizable(t *testing.T) {
	c := cluster.Start(t, cluster.Config{})
	sender := c.Client(t)
	var links []shared
	for n := range linearLinks {
		sent := send(t, sender, content(uint64(n), 100), transfer.SendOptions{Downloads: linearLimit})
		k, err := sent.Link.Keys("")
		must(t, err)
		links = append(links, shared{sent.Link, id.Bytes32(k.Auth), sent.Manage})
	}
	h := &history{begin: time.Now()}
	var left atomic.Int64
	left.Store(linearVisits)
	var g errgroup.Group
	for n := range linearCallers {
		rng, caller := rand.New(rand.NewPCG(uint64(n), 16)), api.Caller{Base: c.URL, HTTP: transfer.NewHTTP(nil)}
		g.Go(func() error {
			for i := left.Add(-1); i >= 0; i = left.Add(-1) {
				// All callers visit the same few links at a time, and go on to the next.
				v := visit{link: int(i * linearLinks / linearVisits), what: "look"}
				switch r := rng.IntN(40); {
				case r == 0:
					v.what = "revoke"
				case r < 6:
					v.what = "begin"
				}
				call := h.now()
				o, err := links[v.link].visit(t, caller, v.what)
				if err != nil {
					return err
				}
				h.note(porcupine.Operation{ClientId: n, Input: v, Call: call, Output: o, Return: h.now()})
			}
			return nil
		})
	}
	must(t, g.Wait())
	seen := map[string]int{}
	for _, op := range h.all {
		seen[op.Input.(visit).what+": "+op.Output.(string)]++
	}
	t.Logf("%d visits in %v: %v", len(h.all), time.Since(h.begin).Round(time.Second), seen)
	if result := porcupine.CheckOperationsTimeout(linkModel, h.all, 2*time.Minute); result != porcupine.Ok {
		t.Fatalf("the history of %d visits is not linearizable: %s", len(h.all), result)
	}
}

// visit returns what the caller was told.
func (s shared) visit(t *testing.T, caller api.Caller, what string) (string, error) {
	args := api.Args{Path: map[string]string{"handle": s.link.Handle.String()}}
	var left *int64
	var err error
	switch what {
	case "revoke":
		args.Secret = s.manage
		_, err = api.RevokeLink.Call(t.Context(), caller, args, api.Empty{})
		return "done", err
	case "look":
		var look api.LinkLook
		look, err = api.LookLink.Call(t.Context(), caller, args, api.LinkAuth{Auth: s.auth})
		left = look.DownloadsLeft
	default:
		var session api.LinkSession
		session, err = api.StartSession.Call(t.Context(), caller, args, api.LinkAuth{Auth: s.auth, Session: id.Bytes32(id.New32()).String()})
		left = session.DownloadsLeft
	}
	for _, code := range []api.Code{api.LinkRevoked, api.LinkUsedUp} {
		if errors.Is(err, code) {
			return string(code), nil
		}
	}
	if err != nil || left == nil {
		return "", fmt.Errorf("%s: %v, %w", what, left, err)
	}
	return fmt.Sprint(*left, " left"), nil
}

// TestModelsRefuseHistories: both specifications refuse what no honest service does.
func TestModelsRefuseHistories(t *testing.T) {
	at := func(from, to int64, in, out any) porcupine.Operation {
		return porcupine.Operation{Input: in, Call: from, Output: out, Return: to}
	}
	made := at(1, 2, act{verb: makes, item: 1, to: "a"}, outcome{done: true})
	gone := at(5, 6, act{verb: removes, item: 1, from: "a"}, outcome{done: true})
	shows := func(from, to int64, names string) porcupine.Operation {
		return at(from, to, act{verb: lists}, outcome{done: true, names: names})
	}
	for name, c := range map[string]struct {
		model   porcupine.Model
		history []porcupine.Operation
		want    bool
	}{
		"listed between":               {folderModel(""), []porcupine.Operation{made, shows(3, 4, "a"), gone, shows(7, 8, "")}, true},
		"listed while it was removed":  {folderModel(""), []porcupine.Operation{made, gone, shows(4, 7, "a"), shows(7, 8, "")}, true},
		"yesterday's list":             {folderModel(""), []porcupine.Operation{made, gone, shows(7, 8, "a")}, false},
		"hidden":                       {folderModel(""), []porcupine.Operation{made, shows(3, 4, "")}, false},
		"there, away and there":        {folderModel(""), []porcupine.Operation{made, shows(3, 4, "a"), shows(4, 5, ""), shows(5, 6, "a")}, false},
		"removed twice":                {folderModel(""), []porcupine.Operation{made, gone, at(7, 8, gone.Input, gone.Output)}, false},
		"revoked, then nothing":        {linkModel, []porcupine.Operation{at(1, 2, visit{0, "begin"}, "3 left"), at(3, 4, visit{0, "revoke"}, "done"), at(5, 6, visit{0, "look"}, "link-revoked")}, true},
		"a download after revoking":    {linkModel, []porcupine.Operation{at(3, 4, visit{0, "revoke"}, "done"), at(5, 6, visit{0, "begin"}, "3 left")}, false},
		"one download counted for two": {linkModel, []porcupine.Operation{at(1, 2, visit{0, "begin"}, "3 left"), at(1, 2, visit{0, "begin"}, "3 left")}, false},
	} {
		if got := porcupine.CheckOperations(c.model, slices.Clone(c.history)); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
