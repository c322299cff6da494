package server

import (
	"io"
	"log"
	"net"
	"net/http"
	"time"

	"holdfast/certs"
)

const (
	// streamsMost is how many requests a connection may have under way: browsers ask
	// for the page's assets and at most a few calls at once.
	streamsMost = 64
	// streamBytes is what a caller may send ahead of what is read of it, by each
	// request and by all of a connection. The largest bodies are pages of 4 MiB, which
	// then take a second with a round trip of 60 ms; and what all connections can
	// make the server keep stays within 256 MiB.
	streamBytes = 256 << 10
	// stuckTimeout ends a connection that takes nothing.
	stuckTimeout = 30 * time.Second
	// strict tells browsers to speak to this host by HTTPS alone from now on (RFC
	// 6797): 180 days, this host only.
	strict = "max-age=15552000"
)

// openCertificate reads the certificate, if there is one.
func (s *Server) openCertificate() (err error) {
	if s.cfg.TLSCert == "" {
		return nil
	}
	s.certs, err = certs.Open(certs.Options{Cert: s.cfg.TLSCert, Key: s.cfg.TLSKey, Host: s.cfg.host(), Now: s.cfg.Now, Log: s.cfg.Log})
	return err
}

// strictly is for answers by TLS that the server itself speaks, to people on other
// machines. A developer's loopback would be bound for all its ports.
func (s *Server) strictly(next http.Handler) http.Handler {
	if s.certs == nil || !s.cfg.public() {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Strict-Transport-Security", strict)
		next.ServeHTTP(w, r)
	})
}

// httpServer has a time-out for everything, handshakes included: those take no
// longer than headers.
func (s *Server) httpServer(doors *doors) *http.Server {
	server := &http.Server{
		ConnState: doors.state, Handler: s.handler, ReadHeaderTimeout: headerTimeout, ReadTimeout: bodyTimeout, WriteTimeout: bodyTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: headerBytes,
		ErrorLog: log.New(io.Discard, "", 0), // its lines name the callers' addresses
	}
	if s.certs != nil {
		server.TLSConfig = s.certs.Config()
		server.HTTP2 = &http.HTTP2Config{
			MaxConcurrentStreams: streamsMost, MaxReceiveBufferPerConnection: streamBytes, MaxReceiveBufferPerStream: streamBytes,
			WriteByteTimeout: stuckTimeout,
		}
	}
	return server
}

// serve speaks HTTP/2 or HTTP/1.1 by TLS, or HTTP/1.1 in the clear.
func (s *Server) serve(server *http.Server, doors *doors) error {
	if s.certs != nil {
		return server.ServeTLS(doors, "", "")
	}
	return server.Serve(doors)
}

// base is the URL that is told when the server is ready.
func (s *Server) base(address net.Addr) string {
	switch {
	case s.certs == nil:
		return "http://" + address.String()
	case s.cfg.PublicURL != "":
		return s.cfg.PublicURL
	}
	return "https://" + address.String()
}
