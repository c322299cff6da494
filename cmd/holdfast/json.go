package main

import (
	"holdfast/client/fleet"
	"holdfast/client/transfer"
	"holdfast/format/descriptor"
)

// What --json prints. Fields are added, never changed.

type copyJSON struct {
	Operator     string `json:"operator"`
	Jurisdiction string `json:"jurisdiction"`
	// Site is a further jurisdiction, of the machine; Parent and Storage are further
	// companies. All of them are the node's own declaration.
	Site    string `json:"site,omitempty"`
	Parent  string `json:"parent,omitempty"`
	Storage string `json:"storage,omitempty"`
	Node    string `json:"node"`
	URL     string `json:"url"`
	// State is whether the node answers: serving, read-only or unreachable; only where it was asked.
	State string `json:"state,omitempty"`
}

func copiesJSON(nodes []fleet.Node) []copyJSON {
	out := []copyJSON{}
	for _, n := range nodes {
		out = append(out, copyJSON{
			Operator: n.Operator, Jurisdiction: n.Jurisdiction, Site: n.Site, Parent: n.Parent, Storage: n.Storage, Node: n.ID.String(), URL: n.URL,
		})
	}
	return out
}

type sentJSON struct {
	Link string `json:"link"`
	// Manage revokes the link: it is as secret as the link itself.
	Manage    string     `json:"manage"`
	Server    string     `json:"server"`
	Handle    string     `json:"handle"`
	Name      string     `json:"name"`
	Files     int64      `json:"files"`
	Bytes     int64      `json:"bytes"`
	Created   int64      `json:"created"`
	Expires   int64      `json:"expires"`
	Downloads int64      `json:"downloads"`
	Copies    []copyJSON `json:"copies"`
}

type fileJSON struct {
	Path       string `json:"path"`
	Local      string `json:"local,omitempty"`
	Kind       string `json:"kind"`
	Bytes      int64  `json:"bytes"`
	MediaType  string `json:"mediaType,omitempty"`
	ModTime    *int64 `json:"mtime,omitempty"`
	Executable bool   `json:"executable,omitempty"`
}

func entryJSON(d descriptor.Descriptor) fileJSON {
	f := fileJSON{Path: d.Path, Kind: "folder", MediaType: d.MediaType, ModTime: d.ModTime, Executable: d.Executable}
	if d.Kind == descriptor.File {
		f.Kind, f.Bytes = "file", d.Content.Size
	}
	return f
}

// placedJSON is where the copies of a send are.
type placedJSON struct {
	Files []placedFile `json:"files"`
	// Copies are the nodes of the whole send, by the server's word: every part of it
	// is at two of them, which need not be two for each file.
	Copies   []copyJSON `json:"copies"`
	CopiesOf string     `json:"copiesOf"` // always "send"
}

type placedFile struct {
	Path  string `json:"path"`
	Bytes int64  `json:"bytes"`
}

type gotJSON struct {
	Files         []fileJSON `json:"files"`
	Title         string     `json:"title,omitempty"`
	Kept          int64      `json:"kept"`
	DownloadsLeft *int64     `json:"downloadsLeft,omitempty"`
}

func receivedJSON(got *transfer.Received) gotJSON {
	out := gotJSON{Files: []fileJSON{}, Title: got.Share.Title, Kept: got.Kept, DownloadsLeft: got.Share.Left}
	for i, d := range got.Share.Entries {
		f := entryJSON(d)
		f.Local = got.Paths[i]
		out.Files = append(out.Files, f)
	}
	return out
}
