package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"holdfast/format/id"
	"holdfast/server"
)

// stdout returns a reader of what is printed on stdout until the test ends.
func stdout(t *testing.T) *bufio.Reader {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	real := os.Stdout
	os.Stdout = w
	t.Cleanup(func() {
		os.Stdout = real
		w.Close()
		r.Close()
	})
	return bufio.NewReader(r)
}

func line(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	text, err := r.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(text, "\n")
}

// TestServerVerbs: the server says when it is ready, and the operator's verbs
// work beside it.
func TestServerVerbs(t *testing.T) {
	out := stdout(t)
	data := filepath.Join(t.TempDir(), "data")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- (&serverCmd{
			Data: data, Listen: "127.0.0.1:0", MaxSendBytes: 1 << 30, DefaultSendDays: 7, MaxSendDays: 30, MaxDownloads: 10, MaxReservedBytes: 1 << 40,
		}).Run(ctx)
	}()
	if text := line(t, out); !strings.HasPrefix(text, "ready http://127.0.0.1:") {
		t.Errorf("printed %q", text)
	}
	if err := (&adminInviteCmd{Data: data}).Run(t.Context()); err != nil {
		t.Error(err)
	}
	if text := line(t, out); !strings.HasPrefix(text, "hfi-") || strings.Contains(text, " ") {
		t.Errorf("printed %q", text)
	}
	if err := (&adminNodesCmd{Data: data}).Run(t.Context()); err != nil {
		t.Error(err)
	}
	if text := line(t, out); !strings.HasPrefix(text, "No node has joined yet") {
		t.Errorf("printed %q", text)
	}
	if err := (&adminRaiseEpochCmd{Data: data, Above: 4}).Run(t.Context()); err != nil {
		t.Error(err)
	}
	if text := line(t, out); text != "5" {
		t.Errorf("printed %q", text)
	}
	if err := (&adminRaiseEpochCmd{Data: data, Above: -1}).Run(t.Context()); !errors.Is(err, server.ErrConfig) {
		t.Errorf("raised above -1: %v", err)
	}
	for what, text := range map[string]string{"no id": "n", "a stranger": id.New[id.Node]().String()} {
		if err := (&adminRemoveNodeCmd{Data: data, ID: text}).Run(t.Context()); err == nil || !strings.Contains(err.Error(), "holdfast admin nodes") {
			t.Errorf("removed %s: %v", what, err)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestServerSettings(t *testing.T) {
	if err := (&serverCmd{Data: t.TempDir(), Listen: "0.0.0.0:8080", MaxSendBytes: 1, DefaultSendDays: 1, MaxSendDays: 1, MaxDownloads: 1, MaxReservedBytes: 1}).Run(t.Context()); err == nil || !strings.Contains(err.Error(), "HTTPS") {
		t.Errorf("have %v", err)
	}
	zones := &serverCmd{Data: t.TempDir(), Listen: "127.0.0.1:0", MaxSendBytes: 1, DefaultSendDays: 1, MaxSendDays: 1, MaxDownloads: 1, MaxReservedBytes: 1, NodeZones: []string{"*.nodes.example"}}
	if err := zones.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "https://*.nodes.example") {
		t.Errorf("a zone without https: %v", err)
	}
	if err := (&adminInviteCmd{Data: filepath.Join(t.TempDir(), "missing")}).Run(t.Context()); err == nil {
		t.Error("an invite to nowhere")
	}
}

func TestPrintNodes(t *testing.T) {
	now := time.Unix(1_900_000_000, 0)
	r, w := io.Pipe()
	go func() {
		w.CloseWithError(printNodes(w, []server.NodeState{
			{State: "live", Jurisdiction: "DE", Operator: "One", Capacity: 2e9, LastSeen: now.Add(-3 * time.Second), URL: "https://a"},
			{State: "live", OrdersHeld: true, Jurisdiction: "IS", Operator: "Three", URL: "https://c"},
			{State: "silent", Jurisdiction: "NZ", Operator: "T\u202ewo", URL: "https://b"},
		}, now))
	}()
	raw, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	for _, want := range []string{"3s ago", "never", "2.0 GB", `"T\u202ewo"`, "live, orders held  IS"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in:\n%s", want, text)
		}
	}
}
