//go:build linux

package bench

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// runs are samples of one subject with these seconds, after a warm-up that would
// spoil every figure.
func runs(what, subject string, times ...float64) (list []sample) {
	list = append(list, sample{Case: what, Subject: subject, Seconds: 1000, CPU: 1000, PeakMiB: 1e6, Gap: 1000})
	for i, t := range times {
		list = append(list, sample{Case: what, Subject: subject, Round: i + 1, Seconds: t, CPU: t / 4, PeakMiB: 10 * t, Gap: t / 10})
	}
	return list
}

func recordOf(parts ...[]sample) *record {
	r := &record{log: io.Discard}
	for _, p := range parts {
		r.samples = append(r.samples, p...)
	}
	return r
}

func TestRatioTakesMediansOfTheFastestBaseline(t *testing.T) {
	r := recordOf(runs("x", holdfast, 3, 1, 2), runs("x", "slow", 9, 9, 9), runs("x", "fast", 5, 4, 100))
	f := ratio(r, "A1", "", "x", holdfast, 2.5, "slow", "fast")
	if f.value != "2.50 ×" || !f.met || !strings.Contains(f.baseline, "fast") {
		t.Errorf("5 s against 2 s: %+v", f)
	}
	if f := ratio(r, "A1", "", "x", holdfast, 2.51, "fast"); f.met {
		t.Errorf("a missed target counts as met: %+v", f)
	}
	if f := ratio(r, "A1", "", "x", holdfast, 1, "absent"); f.row != "" {
		t.Errorf("a figure without a baseline: %+v", f)
	}
}

func TestLeastTakesTheMedian(t *testing.T) {
	r := recordOf(runs("x", holdfast, 4, 1, 2))
	rate := func(s sample) float64 { return 8 / s.Seconds }
	if f := least(r, "B4", "", "x", holdfast, rate, 4, "a second"); !f.met || !strings.Contains(f.value, "4 a second") {
		t.Errorf("4 a second, with a target of 4: %+v", f)
	}
	if f := least(r, "B4", "", "x", holdfast, rate, 4.1, "a second"); f.met {
		t.Errorf("a missed target counts as met: %+v", f)
	}
}

func TestBoundTakesTheGreatest(t *testing.T) {
	r := recordOf(runs("x", holdfast, 3, 1, 2))
	if f := bound(r, "A5", "", "x", holdfast, peak, 29, "MiB"); f.met || !strings.Contains(f.value, "30 MiB") {
		t.Errorf("30 MiB once, with a bound of 29: %+v", f)
	}
	if f := bound(r, "A5", "", "x", holdfast, peak, 30, "MiB"); !f.met {
		t.Errorf("%+v", f)
	}
	if f := bound(r, "A4", "", "x", holdfast, cpu, 0.5, "CPU s"); !f.met {
		t.Errorf("processor time counts by its median: %+v", f)
	}
}

func TestDelayAgainstAnUndisturbedRun(t *testing.T) {
	r := recordOf(runs(caseUndisturbed, holdfast, 1, 2, 3), runs(caseKilled, holdfast, 4, 18, 5))
	f := delay(r, "killed", caseKilled)
	if f.value != "1.60 s more at most" || f.met {
		t.Errorf("1.8 s against 0.2 s: %+v", f)
	}
}

func TestRecordSurvivesItsFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.jsonl")
	r := recordOf(runs("x", "a & b", 1, 2))
	r.meta = meta{Group: "x", Commit: "abc", Cores: 2}
	if err := r.save(path); err != nil {
		t.Fatal(err)
	}
	got, err := reload(path)
	if err != nil || got.meta != r.meta || len(got.samples) != 3 || got.samples[2] != r.samples[2] {
		t.Fatalf("%+v, %v", got, err)
	}
	if err := os.WriteFile(path, []byte("{}\n{\"case\""), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := reload(path); err == nil {
		t.Error("half a line is taken for a result")
	}
	if got, err := reload(path + ".absent"); got != nil || err != nil {
		t.Error(got, err)
	}
}

func TestPageSaysWhatIsMissed(t *testing.T) {
	dir := t.TempDir()
	r := recordOf(runs(caseSend, holdfast, 3, 3), runs(caseSend, rcloneTuned+"minio", 4, 4))
	r.samples[1].Command = "holdfast send DIR/large.bin"
	r.meta.Commit = "0123abc"
	r.samples = append(r.samples, sample{Case: "speed", Subject: "a browser", Problem: "red: it ended"})
	if err := r.save(filepath.Join(dir, "transfer.jsonl")); err != nil {
		t.Fatal(err)
	}
	b := &Bench{Results: dir, Page: filepath.Join(dir, "page.md"), Log: io.Discard}
	if err := b.write(); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(b.Page)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"| A1 |", "1.33 ×", "≥ 1.5 ×", "**missed**", "0123abc", "`holdfast send DIR/large.bin`", "red: it ended"} {
		if !strings.Contains(string(page), want) {
			t.Errorf("the page does not have %q:\n%s", want, page)
		}
	}
	if strings.Contains(string(page), "| A2 |") {
		t.Error("a figure that nobody measured")
	}
}

func TestUnknownRow(t *testing.T) {
	b := &Bench{Log: io.Discard}
	if err := b.Run(t.Context(), []string{"A1", "Z9"}); err == nil || !strings.Contains(err.Error(), "Z9") {
		t.Error(err)
	}
}

func TestGapsFindTheLongestPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		acted := 0
		g := &gaps{hash: sha256.New(), half: 2, middle: func() error { acted++; return nil }}
		for i, pause := range []time.Duration{time.Hour, time.Second, 3 * time.Second, 2 * time.Second} {
			time.Sleep(pause)
			if _, err := g.Write([]byte{"four"[i]}); err != nil {
				t.Fatal(err)
			}
		}
		want := sha256.Sum256([]byte("four"))
		if g.longest != 3*time.Second || acted != 1 || !bytes.Equal(g.hash.Sum(nil), want[:]) {
			t.Errorf("longest %s, acted %d times", g.longest, acted)
		}
		g.middle = func() error { return errors.New("no such process") }
		if _, err := g.Write([]byte("x")); err == nil {
			t.Error("what fails in the middle is not told")
		}
	})
}

func TestReceiptsMustBeTwo(t *testing.T) {
	for text, ok := range map[string]bool{
		`{"receipt":"a"}` + "\n{}\n" + `{"receipt":"b"}`: true,
		`{"receipt":"a"}`: false,
		`{"receipt":"a"}` + `{"problem":{"code":"x"}}`: false,
		`{"receipt":`: false,
		``:            false,
	} {
		if _, err := receipts(strings.NewReader(text)); (err == nil) != ok {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestCommandsAreShownWithoutFolders(t *testing.T) {
	b := &Bench{Program: "/p/holdfast", Peers: "/peers", dir: "/tmp/x1"}
	j := job{name: "/p/holdfast", args: []string{"send", "/tmp/x1/large.bin"}, env: []string{"HOLDFAST_HOME=/tmp/x1/home"}}
	if line := j.line(b); line != "HOLDFAST_HOME=DIR/home holdfast send DIR/large.bin" {
		t.Error(line)
	}
}

func TestRepeatedEnds(t *testing.T) {
	r := repeated{[]byte("abc")}
	p := make([]byte, 5)
	if n, err := r.ReadAt(p, 2); n != 5 || err != nil || string(p) != "cabca" {
		t.Error(n, err, string(p))
	}
	if n, err := r.ReadAt(p, sealBytes-2); n != 2 || !errors.Is(err, io.EOF) {
		t.Error(n, err)
	}
}

func TestProcessorTimeOfThisProcess(t *testing.T) {
	before, err := processorTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for n, end := 0, time.Now().Add(10*time.Second); ; n++ {
		now, err := processorTime(os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		if now > before {
			break // it works, and this is work
		}
		if time.Now().After(end) {
			t.Fatal("ten seconds of work take no processor time")
		}
	}
	if _, err := processorTime(1 << 30); err == nil {
		t.Error("a process that is not there")
	}
}

func TestEmptyFilesAreNotComplete(t *testing.T) {
	dir := t.TempDir()
	if err := writeFolder(dir, folderFiles, folderSize); err != nil {
		t.Fatal(err)
	}
	if err := complete(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(dir, "file-00007.bin"), 0); err != nil {
		t.Fatal(err)
	}
	if complete(dir) == nil {
		t.Error("an empty file passes for one that came back")
	}
}
