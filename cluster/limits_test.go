package cluster_test

import (
	"errors"
	"testing"
	"time"

	"holdfast/api"
	"holdfast/cluster"
)

// opener asks for uploads as anybody may.
type opener struct {
	*testing.T
	c      *cluster.Cluster
	caller api.Caller
}

func newOpener(t *testing.T) *opener {
	c := cluster.Start(t, cluster.Config{})
	return &opener{t, c, api.Caller{Base: c.URL, HTTP: c.HTTP(t)}}
}

func (o *opener) open(bytes int64) (api.UploadGrant, error) {
	return api.OpenUpload.Call(o.Context(), o.caller, api.Args{}, api.OpenUploadRequest{Bytes: bytes, Days: 1})
}

func (o *opener) free() int64 {
	o.Helper()
	info, err := api.GetInfo.Call(o.Context(), o.caller, api.Args{}, api.Empty{})
	must(o.T, err)
	return info.Limits.FreeBytes
}

func args(g api.UploadGrant) api.Args {
	return api.Args{Path: map[string]string{"upload": g.Upload.String()}, Secret: g.Secret}
}

func refused(err error) bool {
	return errors.Is(err, api.NoPlacement) || errors.Is(err, api.NoCapacity)
}

// TestUploadsReserveRoomAtNodes: three nodes of 1 GiB do not promise the same GiB
// to everybody, and what is given up is promised again only when they deleted it.
func TestUploadsReserveRoomAtNodes(t *testing.T) {
	o := newOpener(t)
	all := o.free()
	if all < 512*mib || all > 1024*mib {
		t.Fatalf("%d bytes are free at nodes of 1 GiB", all)
	}
	part := all / 4
	var grants []api.UploadGrant
	for range 40 {
		g, err := o.open(part)
		if refused(err) {
			break
		}
		must(t, err)
		grants = append(grants, g)
	}
	if len(grants) != 4 || o.free() >= part {
		t.Errorf("%d uploads of a quarter were opened, %d bytes are free", len(grants), o.free())
	}
	if _, err := api.ExtendUpload.Call(t.Context(), o.caller, args(grants[0]), api.ExtendUploadRequest{Bytes: 2 * part}); !refused(err) {
		t.Errorf("a quarter grew to a half: %v", err)
	}
	_, err := api.AbandonUpload.Call(t.Context(), o.caller, args(grants[0]), api.Empty{})
	must(t, err)
	if _, err := o.open(part); !refused(err) {
		t.Errorf("before the nodes deleted it: %v", err)
	}
	o.c.Step(t.Context())
	_, err = o.open(part)
	must(t, err)
}

// TestOpeningIsLimited: without an account nobody opens uploads without end.
func TestOpeningIsLimited(t *testing.T) {
	o := newOpener(t)
	var p *api.Problem
	for n := 0; p == nil; n++ {
		g, err := o.open(1)
		if errors.As(err, &p) {
			break
		}
		must(t, err)
		if n > 1000 {
			t.Fatal("a thousand were opened at once")
		}
		_, err = api.AbandonUpload.Call(t.Context(), o.caller, args(g), api.Empty{})
		must(t, err)
	}
	if p.Code != api.RateLimited || p.RetryAfter < 1 {
		t.Errorf("refused with %v, again after %d s", p, p.RetryAfter)
	}
	o.c.Clock.Add(2 * time.Second)
	_, err := o.open(1)
	must(t, err)
}
