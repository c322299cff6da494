// Package archive packs files so that equal contents give equal bytes: one time
// for all, no owners, entries in order of their names.
package archive

import (
	"archive/tar"
	"archive/zip"
	"cmp"
	"compress/gzip"
	"fmt"
	"io"
	"slices"
	"time"
)

// File is one entry. Its name has slashes and stands below the archive's folder.
type File struct {
	Name       string
	Executable bool
	Content    []byte
}

func (f File) mode() int64 {
	if f.Executable {
		return 0o755
	}
	return 0o644
}

// ordered are the files by name; two of one name are an error.
func ordered(files []File) ([]File, error) {
	files = slices.SortedFunc(slices.Values(files), func(a, b File) int { return cmp.Compare(a.Name, b.Name) })
	for i := 1; i < len(files); i++ {
		if files[i].Name == files[i-1].Name {
			return nil, fmt.Errorf("archive: %s twice", files[i].Name)
		}
	}
	return files, nil
}

// TarGz writes files below folder, all with the time at, in whole seconds.
func TarGz(w io.Writer, folder string, at time.Time, files []File) error {
	files, err := ordered(files)
	if err != nil {
		return err
	}
	packed, err := gzip.NewWriterLevel(w, gzip.BestCompression)
	if err != nil {
		return err
	}
	t := tar.NewWriter(packed)
	for _, f := range files {
		head := &tar.Header{
			Typeflag: tar.TypeReg, Name: folder + "/" + f.Name, Size: int64(len(f.Content)), Mode: f.mode(),
			ModTime: at.Truncate(time.Second), Format: tar.FormatUSTAR,
		}
		if err := t.WriteHeader(head); err != nil {
			return err
		}
		if _, err := t.Write(f.Content); err != nil {
			return err
		}
	}
	if err := t.Close(); err != nil {
		return err
	}
	return packed.Close()
}

// Zip does the same as a ZIP archive, which knows no time before 1980.
func Zip(w io.Writer, folder string, at time.Time, files []File) error {
	files, err := ordered(files)
	if err != nil {
		return err
	}
	z := zip.NewWriter(w)
	for _, f := range files {
		head := &zip.FileHeader{Name: folder + "/" + f.Name, Method: zip.Deflate, Modified: at.UTC().Truncate(2 * time.Second)}
		head.ExternalAttrs = uint32(0o100000|f.mode()) << 16 // a regular file of Unix
		head.CreatorVersion = 3 << 8                         // which is what makes readers look there
		entry, err := z.CreateHeader(head)
		if err != nil {
			return err
		}
		if _, err := entry.Write(f.Content); err != nil {
			return err
		}
	}
	return z.Close()
}
