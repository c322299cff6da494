package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"holdfast/api"
)

// limited is a server that allows so much and opens no upload; asked gets the
// days that senders want.
func limited(t *testing.T, limits api.Limits) (url string, asked chan int) {
	t.Helper()
	asked = make(chan int, 10)
	mux := http.NewServeMux()
	failed := func(_ string, err error) { t.Error(err) }
	api.GetInfo.Handle(mux, failed, func(context.Context, api.Request, api.Empty) (api.ServiceInfo, error) {
		return api.ServiceInfo{Protocol: api.Version, Limits: limits, Accepting: true}, nil
	})
	api.OpenUpload.Handle(mux, failed, func(_ context.Context, _ api.Request, req api.OpenUploadRequest) (api.UploadGrant, error) {
		asked <- req.Days
		return api.UploadGrant{}, api.NewProblem(api.OverLimit, "")
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL, asked
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestExpiryIsTheServers: without --expires a link lives as long as the server
// has it.
func TestExpiryIsTheServers(t *testing.T) {
	for name, c := range map[string]struct{ standard, most, want int }{
		"its default":                {3, 30, 3},
		"shorter than a week at all": {1, 2, 1},
	} {
		t.Run(name, func(t *testing.T) {
			url, asked := limited(t, api.Limits{MaxUploadBytes: 1 << 30, DefaultDays: c.standard, MaxDays: c.most, MaxDownloads: 1})
			r := program(t, "send", "--server", url, write(t, "file", "x"))
			if r.code != exitLimit {
				t.Fatalf("exit %d: %s", r.code, r.stderr)
			}
			select {
			case days := <-asked:
				if days != c.want {
					t.Errorf("%d days were asked for", days)
				}
			default:
				t.Errorf("nothing was asked for: %s", r.stderr)
			}
		})
	}
}
