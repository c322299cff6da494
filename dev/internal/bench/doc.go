// Package bench measures Holdfast against what people would use instead, and
// writes docs/performance.md from the raw lines that it keeps in docs/results.
//
// It promises that a figure is a ratio within one run, runs alternating and
// medians given, or a bound on memory, bytes or requests; that every command line
// of a peer stands beside its figures; and that a peer that cannot be had is
// named instead of left out. It starts programs and browsers and knows the
// product only by its commands and its SDK. It runs on Linux, whose /proc it reads.
package bench
