package upload

import (
	"fmt"
	"io"
	"net/http"
	"strconv"

	"holdfast/api"
	"holdfast/format/blob"
	"holdfast/format/id"
	"holdfast/format/ticket"
	"holdfast/node/gate"
	"holdfast/node/peer"
	"holdfast/node/store"
)

// incoming is a POST /blobs whose headers hold.
type incoming struct {
	grant  gate.Grant
	key    store.Key
	size   int64
	copies int
}

// job hands the blob on until there are enough copies besides the own one.
func (in incoming) job(open func() (io.ReadCloser, error)) peer.Job {
	return peer.Job{Ticket: in.grant.Ticket, Chain: in.grant.Chain, Upload: in.key.Upload, Name: in.key.Name,
		Size: in.size, Nodes: in.grant.Others, Copies: in.copies - 1, Open: open}
}

// held is job for a blob that is here already: so it may be at the others.
func (in incoming) held(open func() (io.ReadCloser, error)) peer.Job {
	job := in.job(open)
	job.Held = true
	return job
}

func (h *Handler) parse(r *http.Request) (in incoming, err error) {
	if err := api.CheckVersion(r); err != nil {
		return in, err
	}
	if r.ContentLength < 1 {
		return in, api.NewProblem(api.BadRequest, "Content-Length must be given: a blob has 1 to %d bytes.", blob.MaxSize)
	}
	if r.ContentLength > blob.MaxSize {
		return in, api.NewProblem(api.BodyTooLarge, "A blob has at most %d bytes.", blob.MaxSize)
	}
	in.size = r.ContentLength
	if in.key.Name, err = id.Parse32(r.Header.Get(api.HeaderBlob)); err != nil {
		return in, api.NewProblem(api.BadRequest, "%s must be the blob's name: 43 characters of base64url.", api.HeaderBlob)
	}
	chain, err := number(r.Header, api.HeaderChain, 0, ticket.MaxChains-1)
	if err != nil {
		return in, err
	}
	if in.copies, err = number(r.Header, api.HeaderCopies, 1, ticket.MaxChain); err != nil {
		return in, err
	}
	if in.grant, err = h.Gate.Upload(r.Header.Get(api.HeaderTicket), chain); err != nil {
		return in, err
	}
	in.key.Upload = in.grant.Upload
	return in, checkCopies(in.copies, in.grant)
}

func number(header http.Header, name string, least, most int) (int, error) {
	n, err := strconv.Atoi(header.Get(name))
	if err != nil || n < least || n > most {
		return 0, api.NewProblem(api.BadRequest, "%s must be a number from %d to %d.", name, least, most)
	}
	return n, nil
}

func checkCopies(copies int, grant gate.Grant) error {
	if most := len(grant.Others) + 1; copies < 1 || copies > most {
		return api.NewProblem(api.BadRequest, "%s", fmt.Sprintf("Copies must be 1 to %d: the chain has no more nodes.", most))
	}
	return nil
}
