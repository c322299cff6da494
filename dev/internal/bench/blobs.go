//go:build linux

package bench

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"holdfast/format/blob"
	"holdfast/format/id"
)

// load is what is put on the stores: ops blobs in all, of size bytes, by clients at once.
type load struct {
	size    int64
	clients int
	ops     int
}

func (l load) String() string {
	size := fmt.Sprintf("%d KiB", l.size/kib)
	if l.size >= mib {
		size = fmt.Sprintf("%d MiB", l.size/mib)
	}
	return fmt.Sprintf("%s, %d clients", size, l.clients)
}

// each is how many blobs a client handles.
func (l load) each() int { return l.ops / l.clients }

var loads = func() (all []load) {
	for _, size := range []struct {
		bytes int64
		ops   int
	}{{4 * kib, 2048}, {mib, 256}, {8 * mib, 64}} {
		for _, clients := range []int{1, 8, 32} {
			all = append(all, load{size.bytes, clients, size.ops})
		}
	}
	return all
}()

const (
	storesCase = "store "
	readsCase  = "read "
)

// storage puts load on two nodes, which sync two copies before they answer, and on
// MinIO, which syncs one; then reads it back. Both get it from the same clients:
// plain HTTP, no signatures at MinIO, names and tickets made beforehand.
func storage(ctx context.Context, b *Bench, r *record) error {
	for _, l := range loads {
		if err := b.oneLoad(ctx, r, l); err != nil {
			return fmt.Errorf("%s: %w", l, err)
		}
	}
	return nil
}

func (b *Bench) oneLoad(ctx context.Context, r *record, l load) error {
	d, err := b.demo(ctx, "holdfast-"+strings.ReplaceAll(l.String(), " ", "-"), "DE,NZ")
	if err != nil {
		return err
	}
	defer d.finish()
	store, err := b.minio(ctx)
	if err != nil {
		return err
	}
	defer store.finish()
	if err := store.anonymous(ctx); err != nil {
		return err
	}
	stock := newStock(l)
	for round := range Rounds + 1 {
		stock.renew(round)
		if err := d.storeAndRead(ctx, r, round, l, stock); err != nil {
			return fmt.Errorf("holdfast: %w", err)
		}
		if err := store.storeAndRead(ctx, r, round, l, stock); err != nil {
			return fmt.Errorf("minio: %w", err)
		}
	}
	return nil
}

// stock are the blobs of a round, made before it is timed.
type stock struct {
	data  [][]byte
	names []id.Name
}

func newStock(l load) *stock {
	s := &stock{data: make([][]byte, l.ops), names: make([]id.Name, l.ops)}
	one := make([]byte, l.size)
	io.ReadFull(noise(3), one) // never fails
	for i := range s.data {
		s.data[i] = bytes.Clone(one)
	}
	return s
}

// renew makes all blobs different from those of other rounds.
func (s *stock) renew(round int) {
	for i, data := range s.data {
		binary.BigEndian.PutUint64(data, uint64(round)<<32|uint64(i))
		s.names[i] = blob.Name(data)
	}
}

// web is a client that keeps enough connections.
var web = &http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: 64, WriteBufferSize: 128 * kib, ReadBufferSize: 128 * kib, DisableCompression: true}}

// together runs f for each blob of the load, clients at once, and tells how long it took.
func (l load) together(ctx context.Context, f func(ctx context.Context, client, i int) error) (time.Duration, error) {
	g, ctx := errgroup.WithContext(ctx)
	begin := time.Now()
	for client := range l.clients {
		g.Go(func() error {
			for n := range l.each() {
				if err := f(ctx, client, client*l.each()+n); err != nil {
					return err
				}
			}
			return nil
		})
	}
	err := g.Wait()
	return time.Since(begin), err
}

func (l load) sample(what, subject string, round int, took time.Duration) sample {
	return sample{Case: what + l.String(), Subject: subject, Round: round, Ops: l.each() * l.clients, Bytes: int64(l.each()*l.clients) * l.size, Seconds: took.Seconds()}
}

func (s *s3) storeAndRead(ctx context.Context, r *record, round int, l load, stock *stock) error {
	object := func(i int) string { return fmt.Sprintf("%s/%s/round-%d/%d", s.url, bucket, round, i) }
	took, err := l.together(ctx, func(ctx context.Context, _, i int) error {
		return s.exchange(ctx, http.MethodPut, object(i), stock.data[i], nil)
	})
	if err != nil {
		return err
	}
	r.add(l.sample(storesCase, s.name, round, took))
	var read atomic.Int64
	took, err = l.together(ctx, func(ctx context.Context, _, i int) error {
		return s.exchange(ctx, http.MethodGet, object(i), nil, &read)
	})
	if err == nil && read.Load() != l.size*int64(l.each()*l.clients) {
		err = fmt.Errorf("%d bytes came back", read.Load())
	}
	if err != nil {
		return err
	}
	r.add(l.sample(readsCase, s.name, round, took))
	_, err = l.together(ctx, func(ctx context.Context, _, i int) error {
		return s.exchange(ctx, http.MethodDelete, object(i), nil, nil)
	})
	return err
}

func (s *s3) exchange(ctx context.Context, method, url string, body []byte, read *atomic.Int64) error {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	return answered(req, read)
}

// answered sends a request, drops the body of its answer, and counts it.
func answered(req *http.Request, read *atomic.Int64) error {
	res, err := web.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode >= http.StatusMultipleChoices {
		text, err := io.ReadAll(io.LimitReader(res.Body, 4*kib))
		return errors.Join(fmt.Errorf("%s %s: %s: %s", req.Method, req.URL.Path, res.Status, text), err)
	}
	n, err := io.Copy(io.Discard, res.Body)
	if read != nil {
		read.Add(n)
	}
	return err
}

func (d *demo) storeAndRead(ctx context.Context, r *record, round int, l load, stock *stock) error {
	f, err := d.open(ctx, l)
	if err != nil {
		return err
	}
	took, err := f.put(ctx, stock)
	if err != nil {
		return err
	}
	r.add(l.sample(storesCase, holdfast, round, took))
	if err := f.publish(ctx); err != nil {
		return err
	}
	if took, err = f.get(ctx); err != nil {
		return err
	}
	r.add(l.sample(readsCase, holdfast, round, took))
	return f.revoke(ctx)
}

// receipts reads the events of a node's answer; there must be two copies.
func receipts(body io.Reader) (texts []string, err error) {
	dec := json.NewDecoder(body)
	for {
		var e struct {
			Receipt string
			Problem json.RawMessage
		}
		if err := dec.Decode(&e); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		if e.Problem != nil {
			return nil, fmt.Errorf("the node says: %s", e.Problem)
		}
		if e.Receipt != "" {
			texts = append(texts, e.Receipt)
		}
	}
	if len(texts) != 2 {
		return nil, fmt.Errorf("%d receipts instead of 2", len(texts))
	}
	return texts, nil
}
