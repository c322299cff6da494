// Package faults breaks the built program on purpose: kill -9 at many seeded
// points, power cuts, failing and full disks, stalls and lossy networks. After
// each, what was acknowledged must be there, byte for byte, and nothing else.
// It drives real processes on loopback or in network namespaces of its own and
// knows the programs' command line only. All of that is Linux's.
package faults
