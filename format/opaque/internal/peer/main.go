// Peer speaks OPAQUE over its standard input and output, a line of JSON for each
// message, so that the twin in TypeScript can register and log in with this half and
// this half with another server (web/src/format/opaque.test.ts). It is for tests.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	"holdfast/format/opaque"
)

// maxLine bounds a line in bytes.
const maxLine = 64 << 10

type line struct {
	Do         string `json:"do"`
	Password   string `json:"password"`
	Credential string `json:"credential"`
	Message    []byte `json:"message"` // standard base64
	Record     []byte `json:"record"`
}

type answer struct {
	Message []byte `json:"message,omitempty"`
	Export  []byte `json:"export,omitempty"`
	Error   string `json:"error,omitempty"`
}

// peer holds what goes from one line to the next.
type peer struct {
	server       *opaque.Server
	registration *opaque.Registration
	login        *opaque.Login
	expected     []byte
}

func main() {
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve() error {
	server, err := opaque.NewServer(opaque.NewSecret())
	if err != nil {
		return err
	}
	p := &peer{server: server}
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, maxLine)
	out := json.NewEncoder(os.Stdout)
	for in.Scan() {
		var l line
		if err := json.Unmarshal(in.Bytes(), &l); err != nil {
			return err
		}
		a, err := p.do(l)
		if err != nil {
			a = answer{Error: err.Error()}
		}
		if err := out.Encode(a); err != nil {
			return err
		}
	}
	return in.Err()
}

func (p *peer) do(l line) (a answer, err error) {
	var export [opaque.ExportSize]byte
	switch l.Do {
	case "server: register":
		a.Message, err = p.server.Register(l.Message, []byte(l.Credential))
	case "server: begin":
		a.Message, p.expected, err = p.server.Begin(l.Message, []byte(l.Credential), l.Record)
	case "server: finish":
		err = p.server.Finish(l.Message, p.expected)
	case "client: register":
		p.registration, a.Message, err = opaque.NewRegistration([]byte(l.Password))
	case "client: registered":
		a.Message, export, err = p.registration.Finish(l.Message)
		a.Export = export[:]
	case "client: begin":
		p.login, a.Message, err = opaque.NewLogin([]byte(l.Password))
	case "client: finish":
		a.Message, export, err = p.login.Finish(l.Message)
		a.Export = export[:]
	default:
		err = fmt.Errorf("peer: nothing known to do as %q", l.Do)
	}
	return a, err
}
