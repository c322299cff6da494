package server

import (
	"net/http"
	"os"

	"holdfast/server/internal/httpapi"
	"holdfast/server/internal/webui"
	"holdfast/web"
)

// addPages lets the web app answer for everything that is not an endpoint.
func (s *Server) addPages(mux *http.ServeMux) error {
	files := web.Dist()
	if s.cfg.WebDir != "" {
		files = os.DirFS(s.cfg.WebDir)
	}
	pages, err := webui.Handler(webui.Config{Files: files, Fleet: s.fleet.Origins, Zones: s.cfg.NodeZones, Log: s.cfg.Log})
	if err != nil {
		return err
	}
	mux.Handle("/", httpapi.Guard(s.cfg.Log, pages))
	return nil
}
