//go:build linux

package bench

import (
	"fmt"
	"strings"
)

// figure is a row's number beside its baseline and its target.
type figure struct {
	row, what      string
	ours, baseline string
	value, target  string
	met            bool
}

// rows computes all figures from the raw results, group by group.
func figures(all map[string]*record) (list []figure) {
	t := all["transfer"]
	tuned := rcloneTuned + minioProgram.name
	list = append(list,
		ratio(t, "A1", "send, two synced copies, against rclone crypt at its best to MinIO, one synced copy", caseSend, holdfast, 1.5, tuned),
		ratio(t, "A2", "the same against rclone crypt as it comes", caseSend, holdfast, 4, rcloneFresh+minioProgram.name),
		ratio(t, "A3", "receive against rclone crypt from the fastest store", caseReceive, holdfast, 1, tuned, rcloneTuned+"versitygw"))
	for _, what := range []string{caseSend, caseReceive} {
		list = append(list, bound(t, "A4", "client's processor time, "+what, what, holdfast, cpu, 1.3, "CPU s"),
			share(t, "A4", "the same, as a part of rclone crypt's least", what, 0.35, tuned, rcloneTuned+"versitygw"),
			bound(t, "A4", "server and nodes meanwhile, "+what+" (no target)", what, holdfast, services, 0, "CPU s"),
			bound(t, "A4", "MinIO meanwhile (no target)", what, tuned, services, 0, "CPU s"))
	}
	m := all["memory"]
	for _, one := range []struct {
		what, subject string
		most          float64
	}{{caseMemory, "send", 150}, {caseMemory, "receive", 150}, {caseMemory, "node", 64}, {caseMemory, "server", 128}, {caseParallel, "node", 64}, {caseParallel, "server", 128}} {
		list = append(list, bound(m, "A5", one.subject+", whole process, "+one.what, one.what, one.subject, peak, one.most, "MiB"))
	}
	s := all["sealing"]
	list = append(list,
		ratio(s, "A6", "sealing alone against tink-go", caseDropped, holdfast, 1.5, subjectTink),
		ratio(s, "A6", "sealing alone against bare AES-256-GCM on all cores", caseDropped, holdfast, 0.85, subjectRaw),
		ratio(s, "A6", "sealing to a file against tink-go to a file", caseToFile, holdfast, 1, subjectTink))
	list = append(list, smallFiles(all["folder"])...)
	list = append(list,
		bound(all["range"], "A8", "requests to nodes", caseRange, holdfast, requests, 2, "requests"),
		bound(all["range"], "A8", "fetched from nodes", caseRange, holdfast, fetched, (mib+512*kib)/float64(kib), "KiB"),
		bound(all["range"], "A8", "time to the first byte (no target)", caseRange, holdfast, millis, 0, "ms"),
		delay(all["failover"], "a node killed (SIGKILL)", caseKilled),
		delay(all["failover"], "a node stopped (SIGSTOP)", caseStopped))
	list = append(list, drives(all)...)
	return compact(append(append(list, inBrowsers(all)...), stores(all["blobs"])...))
}

func smallFiles(r *record) []figure {
	return []figure{
		ratio(r, "A7", "send a folder of 2,000 files of 10 KiB against rclone crypt at its best to MinIO", caseFolder, holdfast, 5, rcloneTuned+minioProgram.name),
		ratio(r, "A7", "receive it (no target)", caseBack, holdfast, 0, rcloneTuned+minioProgram.name),
		bound(r, "A7", "blobs", caseRequests, requestsToAPI, func(s sample) float64 { return float64(s.Blobs) }, 4, "blobs"),
		bound(r, "A7", "requests to the server", caseRequests, requestsToAPI, func(s sample) float64 { return float64(s.Calls) }, 3, "requests"),
	}
}

func inBrowsers(all map[string]*record) (list []figure) {
	for _, browser := range []string{"chromium", "firefox"} {
		speed := all["browser"]
		list = append(list,
			ratio(speed, "C1", browser+": encrypt and upload 1 GiB, two synced copies, against a plain upload that stores nothing", "C1 "+browser, holdfast, 0.5, "plain upload"),
			ratio(speed, "C2", browser+": download and decrypt 1 GiB to disk against fetching and dropping", "C2 "+browser, holdfast, 0.5, "raw fetch"),
			ratio(speed, "C2", browser+": the same against the browser's own download to disk (no target)", "C2 "+browser, holdfast, 0, "native download"),
			bound(all["browser-memory"], "C3", browser+", up", "C3 "+browser+" up", holdfast, peak, 300, "MiB"),
			bound(all["browser-memory"], "C3", browser+", down", "C3 "+browser+" down", holdfast, peak, 150, "MiB"),
			ratio(all["browser-sealing"], "C6", browser+": sealing against bare WebCrypto over the same buffers", "C6 "+browser, holdfast, 0.8, "WebCrypto"))
	}
	return list
}

// leastRatio of stores, by the size of blobs.
var leastRatio = map[int64]float64{4 * kib: 2, mib: 1.2, 8 * mib: 0.8}

func stores(r *record) (list []figure) {
	for _, l := range loads {
		list = append(list, ratio(r, "D1", "store "+l.String()+", two synced copies, against MinIO, one", storesCase+l.String(), holdfast, leastRatio[l.size], minioProgram.name))
	}
	for _, l := range loads {
		list = append(list, ratio(r, "D1", "read "+l.String(), readsCase+l.String(), holdfast, 1, minioProgram.name))
	}
	return list
}

func services(s sample) float64 { return s.Services }
func requests(s sample) float64 { return float64(s.Requests) }
func fetched(s sample) float64  { return float64(s.Fetched) / kib }
func millis(s sample) float64   { return s.Seconds * 1000 }

// ratio is how many times as fast as the fastest baseline; a target of 0 is none.
func ratio(r *record, row, what, in, subject string, target float64, baselines ...string) figure {
	ours, ok := r.of(in, subject, seconds)
	base, name, found := fastest(r, in, seconds, baselines)
	if !ok || !found {
		return figure{}
	}
	value := base.median / ours.median
	f := figure{row: row, what: what, ours: show(ours, "s"), baseline: show(base, "s") + " " + name, value: fmt.Sprintf("%.2f ×", value), met: value >= target}
	if target > 0 {
		f.target = fmt.Sprintf("≥ %g ×", target)
	}
	return f
}

// share is the client's processor time as a part of the baseline that takes least.
func share(r *record, row, what, in string, most float64, baselines ...string) figure {
	ours, ok := r.of(in, holdfast, cpu)
	base, name, found := fastest(r, in, cpu, baselines)
	if !ok || !found {
		return figure{}
	}
	value := ours.median / base.median
	return figure{row, what, show(ours, "CPU s"), show(base, "CPU s") + " " + name, fmt.Sprintf("%.2f", value), fmt.Sprintf("≤ %g", most), value <= most}
}

// bound is a value that may not be exceeded in any run; a bound of 0 is none.
func bound(r *record, row, what, in, subject string, value func(sample) float64, most float64, unit string) figure {
	v, ok := r.of(in, subject, value)
	if !ok {
		return figure{}
	}
	f := figure{row: row, what: what, ours: show(v, unit), value: fmt.Sprintf("%s %s at most", number(v.high), unit), met: most == 0 || v.high <= most}
	if unit == "CPU s" { // time varies with the machine's mood: its median counts
		f.value, f.met = number(v.median)+" "+unit, most == 0 || v.median <= most
	}
	if most > 0 {
		f.target = fmt.Sprintf("≤ %g %s", most, unit)
	}
	return f
}

// delay is what a node's end adds to the longest pause at the reader.
func delay(r *record, what, in string) figure {
	gap := func(s sample) float64 { return s.Gap }
	calm, ok := r.of(caseUndisturbed, holdfast, gap)
	hit, found := r.of(in, holdfast, gap)
	if !ok || !found {
		return figure{}
	}
	added := hit.high - calm.median
	return figure{"A9", "longest pause at the reader, " + what, show(hit, "s"), show(calm, "s") + " undisturbed", fmt.Sprintf("%.2f s more at most", added), "≤ 1.5 s", added <= 1.5}
}

func fastest(r *record, in string, value func(sample) float64, subjects []string) (best spread, name string, ok bool) {
	for _, subject := range subjects {
		if s, found := r.of(in, subject, value); found && (!ok || s.median < best.median) {
			best, name, ok = s, subject, true
		}
	}
	return best, name, ok
}

func show(s spread, unit string) string {
	if s.low == s.high {
		return number(s.median) + " " + unit
	}
	return fmt.Sprintf("%s %s (%s–%s)", number(s.median), unit, number(s.low), number(s.high))
}

func number(v float64) string {
	switch {
	case v >= 100 || v == float64(int64(v)):
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// compact leaves out what was not measured.
func compact(list []figure) (kept []figure) {
	for _, f := range list {
		if strings.TrimSpace(f.row) != "" {
			kept = append(kept, f)
		}
	}
	return kept
}
