package main

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"holdfast/client/blobs"
	"holdfast/client/transfer"
	"holdfast/format/id"
)

// progress shows how a transfer goes: bars where stderr is a terminal, nothing in
// a pipe. Faults of nodes are told in the end, once a node.
type progress struct {
	bars   *mpb.Progress // nil in a pipe
	stages map[transfer.Stage]*stageBar

	mu     sync.Mutex // guards faults
	faults map[id.Node]blobs.Fault
	waited atomic.Bool
	// kept tells that something stands at a node or on this disk.
	kept atomic.Bool
}

// stageBar follows one stage; several stages can be one bar's.
type stageBar struct {
	bar   *mpb.Bar
	total int64
	done  atomic.Int64
}

func newProgress() *progress {
	p := &progress{stages: map[transfer.Stage]*stageBar{}, faults: map[id.Node]blobs.Fault{}}
	if terminal(os.Stderr) {
		p.bars = mpb.New(mpb.WithOutput(os.Stderr), mpb.WithWidth(40), mpb.WithRefreshRate(150*time.Millisecond))
	}
	return p
}

// follow shows a bar for a stage of total bytes, or of unknown length below 0.
func (p *progress) follow(stage transfer.Stage, name string, total int64) {
	if p.bars == nil {
		return
	}
	head := mpb.PrependDecorators(decor.Name(name, decor.WCSyncSpaceR), decor.CountersKibiByte("% .1f / % .1f", decor.WCSyncSpace))
	tail := mpb.AppendDecorators(average(time.Now()), decor.Name(" "), decor.AverageETA(decor.ET_STYLE_GO))
	if total < 0 {
		head = mpb.PrependDecorators(decor.Name(name, decor.WCSyncSpaceR), decor.CurrentKibiByte("% .1f", decor.WCSyncSpace))
		tail = mpb.AppendDecorators(average(time.Now()))
	}
	p.stages[stage] = &stageBar{bar: p.bars.AddBar(max(total, 0), head, tail), total: total}
}

// average shows the rate since begun, and that of the whole stage once it is
// done, however short it was.
func average(begun time.Time) decor.Decorator {
	var text string
	var done bool
	return decor.Any(func(s decor.Statistics) string {
		if !done {
			text = size(int64(float64(s.Current)/max(time.Since(begun).Seconds(), 1e-3))) + "/s"
		}
		done = s.Completed || s.Aborted
		return text
	})
}

// add is told of progress by many goroutines.
func (p *progress) add(stage transfer.Stage, bytes int64) {
	if stage == transfer.StoredOne || stage == transfer.StoredTwo || stage == transfer.Written {
		p.kept.Store(true)
	}
	b := p.stages[stage]
	if b == nil {
		return
	}
	done := b.done.Add(bytes)
	if b.total >= 0 {
		done = min(done, b.total) // what is sent again counts once
	}
	b.bar.SetCurrent(done)
}

func (p *progress) fault(f blobs.Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, known := p.faults[f.Node.ID]; !known {
		p.faults[f.Node.ID] = f
	}
}

// waiting tells once that a server does not answer.
func (p *progress) waiting(err error) {
	if !p.waited.Swap(true) {
		note("The server does not answer (%v); trying again. Ctrl-C stops.", err)
	}
}

// end takes the bars away and tells of nodes that failed.
func (p *progress) end() {
	for _, b := range p.stages {
		b.bar.Abort(false)
	}
	if p.bars != nil {
		p.bars.Wait()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, f := range p.faults {
		note("Storage node %s failed and others were used: %v", f.Node.Label(), f.Err)
	}
}

// size writes a number of bytes for people.
func size(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	value, prefix := float64(n), -1
	for value >= unit && prefix < 4 {
		value /= unit
		prefix++
	}
	return fmt.Sprintf("%.1f %ciB", value, "KMGTP"[prefix])
}

// plural writes a count with its noun.
func plural(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
