package history

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"strings"
)

// Source is a history that can be read again and again, from its beginning. The line numbers count from 1; a line is the
// caller's to keep. After an error there is nothing more.
type Source interface {
	Lines() iter.Seq2[int, Entry]
}

// Entry is one line, or the reason why there is none.
type Entry struct {
	Line *Line
	Err  error
}

// Slice is a history in memory.
type Slice []Line

// Lines reads the history.
func (s Slice) Lines() iter.Seq2[int, Entry] {
	return func(yield func(int, Entry) bool) {
		for i := range s {
			if !yield(i+1, Entry{Line: &s[i]}) {
				return
			}
		}
	}
}

// File is the path of a history; it is compressed if it ends in ".gz".
type File string

// Lines reads the history.
func (f File) Lines() iter.Seq2[int, Entry] {
	return func(yield func(int, Entry) bool) {
		file, err := os.Open(string(f))
		if err != nil {
			yield(0, Entry{Err: err})
			return
		}
		defer file.Close()
		var in io.Reader = file
		if strings.HasSuffix(string(f), ".gz") {
			if in, err = gzip.NewReader(file); err != nil {
				yield(0, Entry{Err: fmt.Errorf("%s: %w", string(f), err)})
				return
			}
		}
		read(in, yield)
	}
}

func read(in io.Reader, yield func(int, Entry) bool) {
	lines := bufio.NewReaderSize(in, 1<<20)
	for number := 1; ; number++ {
		text, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) && len(text) == 0 {
			return
		}
		if err != nil && !errors.Is(err, io.EOF) {
			yield(number, Entry{Err: fmt.Errorf("line %d: %w", number, err)})
			return
		}
		l := new(Line)
		if err := json.Unmarshal(text, l); err != nil {
			yield(number, Entry{Err: fmt.Errorf("line %d: %w", number, err)})
			return
		}
		if !yield(number, Entry{Line: l}) {
			return
		}
	}
}

// Create makes the file of a history, compressed if its name ends in ".gz". Close flushes everything.
func Create(path string) (io.WriteCloser, error) {
	file, err := os.Create(path)
	if err != nil || !strings.HasSuffix(path, ".gz") {
		return file, err
	}
	z, err := gzip.NewWriterLevel(file, gzip.BestSpeed)
	return &zipped{z, file}, err
}

type zipped struct {
	*gzip.Writer
	file *os.File
}

// Close ends the compressed stream and the file.
func (z *zipped) Close() error { return errors.Join(z.Writer.Close(), z.file.Close()) }
