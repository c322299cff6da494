package server

import "net/http"

// addPages lets the web app answer for everything that is not an endpoint.
func (s *Server) addPages(mux *http.ServeMux) error {
	mux.Handle("/", http.NotFoundHandler())
	return nil
}
