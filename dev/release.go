package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"holdfast/dev/internal/archive"
	"holdfast/dev/internal/licence"
)

// releaseDir is where archives and their checksums go; git ignores it.
const releaseDir = "dist-release"

// build is one release: what of, and what for.
type build struct {
	version, commit string
	at              time.Time // of the commit; every file of an archive has it
	targets         []string
}

var semver = regexp.MustCompile(`^v\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$`)

// release builds archives of the last commit, whatever else the work tree
// holds. With --check it does so twice, in two folders, the second time with
// nothing of what was compiled before, and compares the bytes.
func release(ctx context.Context, args []string) error {
	set := flag.NewFlagSet("release", flag.ContinueOnError)
	check := set.Bool("check", false, "build twice and compare")
	only := set.String("targets", strings.Join(targets, ","), "systems to build for")
	if err := set.Parse(args); err != nil {
		return err
	}
	b, err := newBuild(ctx, set.Args(), strings.Split(*only, ","))
	if err != nil {
		return err
	}
	first, err := b.build(ctx, "a", false)
	if err != nil {
		return err
	}
	if *check {
		second, err := b.build(ctx, "second-folder", true)
		if err != nil {
			return err
		}
		if err := same(first, second); err != nil {
			return err
		}
		fmt.Fprintf(os.Stderr, "dev: two builds gave the same %d files\n", len(first))
	}
	return b.write(first)
}

func newBuild(ctx context.Context, args, chosen []string) (*build, error) {
	out, err := exec.CommandContext(ctx, "git", "show", "-s", "--format=%H %ct", "HEAD").Output()
	if err != nil {
		return nil, fmt.Errorf("git show: %w", err)
	}
	commit, seconds, _ := strings.Cut(strings.TrimSpace(string(out)), " ")
	unix, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil || len(commit) < 12 {
		return nil, fmt.Errorf("git show said %q", out)
	}
	b := &build{version: "v0.0.0-" + commit[:12], commit: commit, at: time.Unix(unix, 0).UTC(), targets: chosen}
	switch {
	case len(args) > 1:
		return nil, errUsage
	case len(args) == 1:
		b.version = args[0]
	}
	if !semver.MatchString(b.version) {
		return nil, fmt.Errorf("%s is no version such as v0.1.0; flags come before it", b.version)
	}
	for _, target := range chosen {
		if !slices.Contains(targets, target) {
			return nil, fmt.Errorf("%s is none of %s", target, strings.Join(targets, ", "))
		}
	}
	return b, nil
}

// build makes the archives from a copy of the commit in a folder, anew with a
// build cache of its own; both go away afterwards.
func (b *build) build(ctx context.Context, folder string, anew bool) (map[string][]byte, error) {
	temp, err := os.MkdirTemp("", "holdfast-release-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(temp)
	root := filepath.Join(temp, folder)
	if err := b.export(ctx, root); err != nil {
		return nil, err
	}
	if err := errors.Join(npmCI(ctx, root), b.step(ctx, root+"/web", nil, "npm", "run", "--silent", "build")); err != nil {
		return nil, err
	}
	common, err := b.common(ctx, root)
	if err != nil {
		return nil, err
	}
	var env []string
	if anew {
		env = []string{"GOCACHE=" + filepath.Join(temp, "cache")}
	}
	made := map[string][]byte{}
	for _, target := range b.targets {
		name, packed, err := b.pack(ctx, root, env, target, common)
		if err != nil {
			return nil, err
		}
		made[name] = packed
	}
	return made, nil
}

// export writes the commit's files to root.
func (b *build) export(ctx context.Context, root string) error {
	tarball := root + ".tar"
	return errors.Join(
		os.MkdirAll(root, 0o755),
		step(ctx, ".", "git", "archive", "--format=tar", "-o", tarball, b.commit),
		step(ctx, root, "tar", "-xf", tarball),
	)
}

// step runs a command without what the caller's environment says of builds.
func (b *build) step(ctx context.Context, dir string, env []string, name string, args ...string) error {
	cmd := command(ctx, dir, name, args...)
	cmd.Env = slices.Concat(os.Environ(), []string{"GOFLAGS=", "GOEXPERIMENT=", "GOWORK=off", "GOAMD64=v1", "GOARM64=v8.0", "CGO_ENABLED=0", "SOURCE_DATE_EPOCH=" + strconv.FormatInt(b.at.Unix(), 10)}, env)
	cmd.Stdout = os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %s: %w", name, strings.Join(args, " "), err)
	}
	return nil
}

// common are the files that every archive has besides the program.
func (b *build) common(ctx context.Context, root string) ([]archive.File, error) {
	var files []archive.File
	for _, name := range []string{"LICENSE", "LICENSES/AGPL-3.0-only.txt", "LICENSES/Apache-2.0.txt", "README.md", "CHANGELOG.md", "SECURITY.md", "docs/holdfast.1"} {
		raw, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			return nil, err
		}
		files = append(files, archive.File{Name: name, Content: raw})
	}
	others, err := dependencies(ctx, root)
	if err != nil {
		return nil, err
	}
	var notices bytes.Buffer
	if err := licence.Notices(&notices, others); err != nil {
		return nil, err
	}
	files = append(files, archive.File{Name: "THIRD-PARTY.txt", Content: notices.Bytes()})
	for _, shell := range []string{"bash", "zsh", "fish"} {
		cmd := command(ctx, root, "go", "run", "./cmd/holdfast", "completion", shell)
		script, err := cmd.Output()
		if err != nil {
			return nil, fmt.Errorf("completion of %s: %w", shell, err)
		}
		files = append(files, archive.File{Name: "completion/holdfast." + shell, Content: script})
	}
	return files, nil
}

// pack builds the program for one target and packs it.
func (b *build) pack(ctx context.Context, root string, env []string, target string, common []archive.File) (string, []byte, error) {
	goos, goarch, _ := strings.Cut(target, "/")
	program := "holdfast"
	if goos == "windows" {
		program += ".exe"
	}
	built := filepath.Join(root, cacheDir, program)
	flags := fmt.Sprintf("-s -w -X main.releaseVersion=%s -X main.releaseCommit=%s", b.version, b.commit)
	if err := b.step(ctx, root, append(slices.Clone(env), "GOOS="+goos, "GOARCH="+goarch),
		"go", "build", "-trimpath", "-buildvcs=false", "-ldflags", flags, "-o", built, "./cmd/holdfast"); err != nil {
		return "", nil, err
	}
	raw, err := os.ReadFile(built)
	if err != nil {
		return "", nil, err
	}
	files := append(slices.Clone(common), archive.File{Name: program, Executable: true, Content: raw})
	folder := fmt.Sprintf("holdfast-%s-%s-%s", b.version, goos, goarch)
	name, write := folder+".tar.gz", archive.TarGz
	if goos == "windows" {
		name, write = folder+".zip", archive.Zip
	}
	var packed bytes.Buffer
	if err := write(&packed, folder, b.at, files); err != nil {
		return "", nil, err
	}
	fmt.Fprintf(os.Stderr, "dev: %s, %.1f MiB\n", name, float64(packed.Len())/(1<<20))
	return name, packed.Bytes(), nil
}

// same compares two builds and names what differs.
func same(first, second map[string][]byte) error {
	var differ []string
	for name, content := range first {
		if !bytes.Equal(content, second[name]) {
			differ = append(differ, name)
		}
	}
	if slices.Sort(differ); len(differ) > 0 || len(first) != len(second) {
		return fmt.Errorf("two builds of one commit differ: %s", strings.Join(differ, ", "))
	}
	return nil
}

// write puts the archives and SHA256SUMS into releaseDir, in place of what is there.
func (b *build) write(made map[string][]byte) error {
	if err := errors.Join(os.RemoveAll(releaseDir), os.MkdirAll(releaseDir, 0o755)); err != nil {
		return err
	}
	for name, content := range made {
		if err := os.WriteFile(filepath.Join(releaseDir, name), content, 0o644); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(releaseDir, "SHA256SUMS"), sums(made), 0o644)
}

// sums are lines that sha256sum -c reads.
func sums(made map[string][]byte) []byte {
	var lines []string
	for name, content := range made {
		sum := sha256.Sum256(content)
		lines = append(lines, hex.EncodeToString(sum[:])+"  "+name+"\n")
	}
	slices.SortFunc(lines, func(a, b string) int { return strings.Compare(a[66:], b[66:]) })
	return []byte(strings.Join(lines, ""))
}
