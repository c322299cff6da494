//go:build linux

package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

// browserLine is what a measurement in a browser writes (web/browser).
type browserLine struct {
	Row, Browser, Subject, Direction string
	Round                            int
	Bytes                            int64
	PeakMiB, Seconds                 float64
}

// inBrowser runs one of the browsers' measurements and takes its lines over.
func inBrowser(name string) func(context.Context, *Bench, *record) error {
	return func(ctx context.Context, b *Bench, r *record) error {
		lines := b.path("lines.jsonl")
		cmd := exec.CommandContext(ctx, "npx", "--no-install", "vitest", "run", "--config", "vitest.measure.config.ts", "browser/"+name+".measure.ts")
		cmd.Dir = b.Web
		cmd.Env = append(os.Environ(), "HOLDFAST_RESULTS="+lines, "HOLDFAST_COMMIT="+b.Commit, "HOLDFAST_MEASURE_ROUNDS="+strconv.Itoa(Rounds))
		cmd.Stdout, cmd.Stderr = b.Log, b.Log
		failed := cmd.Run()
		raw, err := os.ReadFile(lines)
		if err != nil {
			return fmt.Errorf("%s measured nothing: %w", filepath.Base(name), failed)
		}
		scan := bufio.NewScanner(bytes.NewReader(raw))
		for scan.Scan() {
			var l browserLine
			if err := json.Unmarshal(scan.Bytes(), &l); err != nil {
				return err
			}
			r.add(l.sample())
		}
		// A bound that does not hold makes the test red: its figures are kept, and the page says so.
		if failed != nil {
			r.add(sample{Case: name, Subject: "web/browser/" + name + ".measure.ts", Problem: "red: " + failed.Error()})
		}
		return scan.Err()
	}
}

func (l browserLine) sample() sample {
	subject := l.Subject
	if subject == "" {
		subject = holdfast
	}
	what := l.Row + " " + l.Browser
	if l.Direction != "" {
		what += " " + l.Direction
	}
	round := l.Round
	if l.Row == "C3" {
		round = 1
	}
	return sample{Case: what, Subject: subject, Round: round, Bytes: l.Bytes, Seconds: l.Seconds, PeakMiB: l.PeakMiB}
}
