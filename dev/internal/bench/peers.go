//go:build linux

package bench

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// program of somebody else, at the version that is measured.
type program struct{ name, module, version string }

var (
	minioProgram  = program{"minio", "github.com/minio/minio", "v0.0.0-20260212201848-7aac2a2c5b7c"}
	gatewayAtDisk = program{"versitygw", "github.com/versity/versitygw/cmd/versitygw", "v1.8.0"}
	rcloneProgram = program{"rclone", "github.com/rclone/rclone", "v1.75.1"}
)

const installTime = 20 * time.Minute

// install builds a program once and returns its path. Peers are never linked
// into Holdfast: each is built by its own module.
func (b *Bench) install(ctx context.Context, p program) (string, error) {
	dir, err := filepath.Abs(filepath.Join(b.Peers, p.version))
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, p.name)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	fmt.Fprintf(b.Log, "building %s %s\n", p.name, p.version)
	ctx, cancel := context.WithTimeout(ctx, installTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "install", p.module+"@"+p.version)
	cmd.Env, cmd.Dir = append(os.Environ(), "GOBIN="+dir, "CGO_ENABLED=0", "GOFLAGS="), os.TempDir()
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%s %s does not build: %w: %s", p.name, p.version, err, tail(string(out)))
	}
	return path, nil
}

// s3 is a running object store with one bucket.
type s3 struct {
	*service
	name, url string
	folder    string
}

const (
	s3User   = "benchmark"
	s3Secret = "benchmark-secret"
	bucket   = "bench"
	// s3Start is how long a store may take until it answers.
	s3Start = 30 * time.Second
)

// minio starts MinIO with one drive: one copy, synced before the answer.
func (b *Bench) minio(ctx context.Context) (*s3, error) {
	return b.store(ctx, minioProgram, func(address, folder string) job {
		return job{args: []string{"server", "--quiet", "--address", address, folder},
			env: []string{"MINIO_ROOT_USER=" + s3User, "MINIO_ROOT_PASSWORD=" + s3Secret, "MINIO_UPDATE=off", "MINIO_BROWSER=off"}}
	})
}

// gateway starts versitygw over a folder: one copy, not synced.
func (b *Bench) gateway(ctx context.Context) (*s3, error) {
	return b.store(ctx, gatewayAtDisk, func(address, folder string) job {
		return job{args: []string{"--port", address, "--quiet", "posix", folder},
			env: []string{"ROOT_ACCESS_KEY=" + s3User, "ROOT_SECRET_KEY=" + s3Secret}}
	})
}

func (b *Bench) store(ctx context.Context, p program, command func(address, folder string) job) (*s3, error) {
	path, err := b.install(ctx, p)
	if err != nil {
		return nil, err
	}
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	s := &s3{name: p.name, url: "http://" + address, folder: b.path(p.name)}
	made := s.folder
	if p == minioProgram { // takes a folder for a bucket; the other one wants to make its own
		made = filepath.Join(s.folder, bucket)
	}
	if err := os.MkdirAll(made, 0o755); err != nil {
		return nil, err
	}
	j := command(address, s.folder)
	j.name = path
	if s.service, err = start(ctx, j, nil); err != nil {
		return nil, err
	}
	if err := s.await(ctx); err != nil {
		s.finish()
		return nil, fmt.Errorf("%s: %w: %s", p.name, err, tail(s.messages.String()))
	}
	return s, nil
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// await asks until the store answers anything but that it is still starting.
func (s *s3) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s3Start)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, "GET", s.url+"/", nil)
		if err != nil {
			return err
		}
		res, err := http.DefaultClient.Do(req)
		if err == nil {
			res.Body.Close()
			if res.StatusCode < http.StatusInternalServerError {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return errors.Join(errors.New("does not answer"), err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// runTime is enough for whatever is not measured: making and emptying.
const runTime = 2 * time.Minute

// rclone calls rclone with a store as remote "s" and crypt over its bucket as
// remote "c", set up in the environment.
type rclone struct {
	path string
	env  []string
}

func (b *Bench) rclone(ctx context.Context, s *s3) (*rclone, error) {
	path, err := b.install(ctx, rcloneProgram)
	if err != nil {
		return nil, err
	}
	obscured, err := exec.CommandContext(ctx, path, "obscure", "a benchmark's password").Output()
	if err != nil {
		return nil, fmt.Errorf("rclone obscure: %w", err)
	}
	provider := map[string]string{"minio": "Minio"}[s.name]
	if provider == "" {
		provider = "Other"
	}
	r := &rclone{path: path, env: []string{
		"RCLONE_CONFIG=" + os.DevNull,
		"RCLONE_CONFIG_S_TYPE=s3", "RCLONE_CONFIG_S_PROVIDER=" + provider, "RCLONE_CONFIG_S_ENDPOINT=" + s.url,
		"RCLONE_CONFIG_S_ACCESS_KEY_ID=" + s3User, "RCLONE_CONFIG_S_SECRET_ACCESS_KEY=" + s3Secret, "RCLONE_CONFIG_S_REGION=us-east-1", "RCLONE_CONFIG_S_FORCE_PATH_STYLE=true",
		"RCLONE_CONFIG_C_TYPE=crypt", "RCLONE_CONFIG_C_REMOTE=s:" + bucket, "RCLONE_CONFIG_C_PASSWORD=" + string(bytes.TrimSpace(obscured)),
	}}
	return r, r.run(ctx, "mkdir", "s:"+bucket)
}

func (r *rclone) job(args ...string) job {
	return job{name: r.path, args: args, env: r.env}
}

func (r *rclone) run(ctx context.Context, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, runTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, r.path, args...)
	cmd.Env = append(os.Environ(), r.env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("rclone %s: %w: %s", strings.Join(args, " "), err, tail(string(out)))
	}
	return nil
}

// anonymous lets everybody read and write a bucket of MinIO, so that load without
// signatures, the fastest there is, can be put on it.
func (s *s3) anonymous(ctx context.Context) error {
	policy := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":["*"]},"Action":["s3:GetObject","s3:PutObject","s3:DeleteObject"],"Resource":["arn:aws:s3:::` + bucket + `/*"]}]}`
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, s.url+"/"+bucket+"?policy=", strings.NewReader(policy))
	if err != nil {
		return err
	}
	sign(req, []byte(policy), time.Now().UTC())
	return answered(req, nil)
}

// sign signs a request of a store's owner: AWS Signature Version 4, for a path
// and a query that need no escaping.
func sign(req *http.Request, body []byte, now time.Time) {
	sum := sha256.Sum256(body)
	hash, stamp := hex.EncodeToString(sum[:]), now.Format("20060102T150405Z")
	scope := stamp[:8] + "/us-east-1/s3/aws4_request"
	req.Header.Set("X-Amz-Date", stamp)
	req.Header.Set("X-Amz-Content-Sha256", hash)
	const signed = "host;x-amz-content-sha256;x-amz-date"
	canonical := strings.Join([]string{req.Method, req.URL.Path, req.URL.RawQuery, "host:" + req.URL.Host, "x-amz-content-sha256:" + hash, "x-amz-date:" + stamp, "", signed, hash}, "\n")
	digest := sha256.Sum256([]byte(canonical))
	key := []byte("AWS4" + s3Secret)
	for _, part := range append(strings.Split(scope, "/"), strings.Join([]string{"AWS4-HMAC-SHA256", stamp, scope, hex.EncodeToString(digest[:])}, "\n")) {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(part))
		key = mac.Sum(nil)
	}
	req.Header.Set("Authorization", fmt.Sprintf("AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%x", s3User, scope, signed, key))
}
