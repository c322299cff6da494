package upload

import (
	"context"
	"sync"
	"time"

	"holdfast/format/id"
)

const (
	// AtOnce bounds the requests that bring blobs to be handed on, and those that
	// other nodes hand on, each. Were there one bound for both, two nodes full of
	// the former would wait for each other. A request takes a buffer and little else.
	AtOnce = 128
	// ofUpload is how many of them one upload has. Clients send 4 blobs at once;
	// who trickles many must open many uploads.
	ofUpload = 16
	// queueTime is how long a request waits for its turn: less than the 10 seconds
	// after which a client gives the node up.
	queueTime = 4 * time.Second
)

// places bounds the requests under way, all of them and those of each upload.
type places struct {
	all chan struct{} // one for each request

	mu      sync.Mutex // guards uploads and users
	uploads map[id.Upload]*share
}

// share is the part of the places that one upload has.
type share struct {
	taken chan struct{}
	users int // in it or waiting
}

func newPlaces() *places {
	return &places{all: make(chan struct{}, AtOnce), uploads: map[id.Upload]*share{}}
}

// enter waits for a place; ok is false if none was free in time.
func (p *places) enter(ctx context.Context, upload id.Upload) (leave func(), ok bool) {
	s := p.join(upload)
	timer := time.NewTimer(queueTime)
	defer timer.Stop()
	for i, turn := range []chan struct{}{s.taken, p.all} {
		select {
		case turn <- struct{}{}:
			continue
		case <-ctx.Done():
		case <-timer.C:
		}
		if i > 0 {
			<-s.taken
		}
		p.part(upload, s)
		return nil, false
	}
	return func() {
		<-p.all
		<-s.taken
		p.part(upload, s)
	}, true
}

func (p *places) join(upload id.Upload) *share {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.uploads[upload]
	if s == nil {
		s = &share{taken: make(chan struct{}, ofUpload)}
		p.uploads[upload] = s
	}
	s.users++
	return s
}

func (p *places) part(upload id.Upload, s *share) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.users--; s.users == 0 {
		delete(p.uploads, upload)
	}
}
