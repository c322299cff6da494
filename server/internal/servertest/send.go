package servertest

import (
	"bytes"
	"testing"
	"time"

	"holdfast/format/id"
	"holdfast/format/link"
	"holdfast/format/pad"
	"holdfast/server/internal/share"
	"holdfast/server/internal/upload"
)

// Send is what a client would commit, with the secrets of its link.
type Send struct {
	upload.Commit
	Auth   id.Bytes32
	Manage link.Secret
	pack   int // number of the blob that takes small files, and one
}

// StreamLength is the length of the stream over a plaintext of n bytes.
func StreamLength(n int64) int64 {
	padded := pad.Length(n)
	segments := int64(1)
	if padded > 262_088 {
		segments = 1 + (padded-262_088+262_127)/262_128
	}
	return 40 + padded + 16*segments
}

// NewSend makes files of these sizes: small ones share a blob, others are cut
// every 8 MiB. Each blob has receipts of all the nodes given.
func NewSend(t testing.TB, upload id.Upload, now time.Time, nodes []*Node, sizes ...int64) *Send {
	t.Helper()
	s := &Send{Auth: Secret(), Manage: link.NewSecret()}
	for _, size := range sizes {
		s.addFile(StreamLength(size))
	}
	for _, n := range nodes {
		for _, b := range s.Page.Blobs {
			s.Page.Receipts = append(s.Page.Receipts, n.Receipt(t, upload, b))
		}
	}
	handle := id.New[id.Handle]()
	s.Link = share.Spec{
		Handle: handle, Auth: link.AuthHash(link.Secret(s.Auth)), Manage: link.ManageHash(handle, s.Manage),
		Record: bytes.Repeat([]byte{1}, 300), Expires: now.Add(7 * 24 * time.Hour).Unix(),
	}
	return s
}

// Bytes of all blobs.
func (s *Send) Bytes() (sum int64) {
	for _, b := range s.Page.Blobs {
		sum += b.Size
	}
	return sum
}

// Revisions are the ids of what is sent.
func (s *Send) Revisions() (ids []id.Revision) {
	for _, r := range s.Page.Revisions {
		ids = append(ids, r.ID)
	}
	return ids
}

const (
	maxBlob = 8 << 20
	maxPack = 1 << 20
)

func (s *Send) addFile(length int64) {
	r := upload.Revision{
		ID: id.New[id.Revision](), ReleaseKey: id.New32(), Commitment: id.New32(), Root: id.New32(), Salt: id.New32(),
		Prefix: [7]byte{1, 2, 3, 4, 5, 6, 7}, Length: length,
	}
	if length <= maxPack {
		if s.pack == 0 || s.Page.Blobs[s.pack-1].Size+length > maxBlob {
			s.Page.Blobs = append(s.Page.Blobs, upload.Blob{Name: id.New32()})
			s.pack = len(s.Page.Blobs)
		}
		b := &s.Page.Blobs[s.pack-1]
		r.Extents = append(r.Extents, upload.Extent{Blob: int64(s.pack - 1), Offset: b.Size, Length: length})
		b.Size += length
	} else {
		for left := length; left > 0; left -= maxBlob {
			size := min(left, maxBlob)
			r.Extents = append(r.Extents, upload.Extent{Blob: int64(len(s.Page.Blobs)), Length: size})
			s.Page.Blobs = append(s.Page.Blobs, upload.Blob{Name: id.New32(), Size: size})
		}
	}
	s.Page.Revisions = append(s.Page.Revisions, r)
}
