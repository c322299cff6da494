package store

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/pressly/goose/v3"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrate brings the tables up to date, with a lock held that keeps other
// programs from doing so at once. It refuses tables that it does not know.
func (s *Store) migrate(ctx context.Context) error {
	steps, err := s.steps()
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	have, known, err := steps.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	if have > known {
		return fmt.Errorf("%w: its tables are of version %d and this program knows %d; upgrade holdfast on this machine", ErrNewer, have, known)
	}
	if _, err = steps.Up(ctx); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}

func (s *Store) steps() (*goose.Provider, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(s.migrations, s.writer, translated{files, s.words}, goose.WithDisableGlobalRegistry(true))
}

// translated is a file system whose SQL files are in another dialect.
type translated struct {
	fs.FS
	words *strings.Replacer
}

// Open implements fs.FS.
func (t translated) Open(name string) (fs.File, error) {
	file, err := t.FS.Open(name)
	if err != nil || path.Ext(name) != ".sql" {
		return file, err
	}
	text, err := io.ReadAll(file)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return translatedFile{file, bytes.NewReader([]byte(t.words.Replace(string(text))))}, nil
}

// ReadDir implements fs.ReadDirFS.
func (t translated) ReadDir(name string) ([]fs.DirEntry, error) { return fs.ReadDir(t.FS, name) }

type translatedFile struct {
	fs.File
	text *bytes.Reader
}

// Read implements fs.File.
func (f translatedFile) Read(p []byte) (int, error) { return f.text.Read(p) }
