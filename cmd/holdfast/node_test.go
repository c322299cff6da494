package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// parseNode parses a command line of "holdfast node".
func parseNode(t *testing.T, args ...string) (*nodeCmd, error) {
	t.Helper()
	var c struct {
		Node nodeCmd `cmd:""`
	}
	parser, err := kong.New(&c, kong.Exit(func(int) { t.Error("parsing ended the program") }))
	if err != nil {
		t.Fatal(err)
	}
	_, err = parser.Parse(append([]string{"node"}, args...))
	return &c.Node, err
}

func TestNodeUsage(t *testing.T) {
	good := map[string]string{"--data": t.TempDir(), "--server": "https://example.org", "--operator": "Example", "--jurisdiction": "NZ", "--capacity": "100GB"}
	for _, c := range []struct{ name, flag, value, want string }{
		{"good", "--listen", "127.0.0.1:0", ""},
		{"good, with a reserve", "--reserve", "1GiB", ""},
		{"jurisdiction in small letters", "--jurisdiction", "nz", "jurisdiction"},
		{"no such jurisdiction", "--jurisdiction", "ZZ", "jurisdiction"},
		{"capacity without number", "--capacity", "lots", "size"},
		{"no capacity", "--capacity", "0B", "capacity"},
		{"server in the clear", "--server", "http://example.org", "https://"},
		{"listens in the clear", "--listen", "0.0.0.0:443", "--tls-cert"},
		{"certificate without key", "--tls-cert", "cert.pem", "together"},
		{"trash", "--trash-days", "-1", "days"},
		{"no operator", "--operator", "", "operator"},
	} {
		t.Run(c.name, func(t *testing.T) {
			args := []string{"run", c.flag + "=" + c.value}
			for flag, value := range good {
				if flag != c.flag {
					args = append(args, flag+"="+value)
				}
			}
			_, err := parseNode(t, args...)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Fatalf("have %v, want something about %q", err, c.want)
			}
		})
	}
}

func TestNodeEnvironment(t *testing.T) {
	for name, value := range map[string]string{"DATA": t.TempDir(), "SERVER": "https://example.org", "OPERATOR": "Example",
		"JURISDICTION": "DE", "CAPACITY": "1TB", "INVITE": "code", "HEARTBEAT": "1s", "TRASH_DAYS": "3"} {
		t.Setenv("HOLDFAST_NODE_"+name, value)
	}
	c, err := parseNode(t, "run")
	if err != nil {
		t.Fatal(err)
	}
	if cfg := c.Run.config(); cfg.Invite != "code" || cfg.Capacity != 1e12 || cfg.TrashDays != 3 || cfg.Jurisdiction != "DE" || cfg.Reserve != -1 {
		t.Fatalf("%+v", cfg)
	}
}

func TestNodeInviteFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "invite")
	c := nodeRunCmd{InviteFile: path}
	cfg := c.config()
	if err := c.readInvite(&cfg); err != nil || cfg.Invite != "" {
		t.Fatalf("a member's file may be gone: %q, %v", cfg.Invite, err)
	}
	if err := os.WriteFile(path, []byte("code\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := c.readInvite(&cfg); err != nil || cfg.Invite != "code" {
		t.Fatalf("%q, %v", cfg.Invite, err)
	}
	c.InviteFile = filepath.Dir(path)
	if err := c.readInvite(&cfg); err == nil {
		t.Fatal("read a directory")
	}
}
