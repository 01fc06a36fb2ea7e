package history

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// Recorder writes a history. It is safe for concurrent use.
type Recorder struct {
	began time.Time // the clock of all lines

	mu    sync.Mutex
	out   *bufio.Writer
	lines int
	err   error // the first; later lines are refused
}

// NewRecorder writes to w and begins the clock. Lines stand in a buffer until Flush.
func NewRecorder(w io.Writer) *Recorder {
	return &Recorder{began: time.Now(), out: bufio.NewWriterSize(w, 1<<20)}
}

// Now is the time on the history's clock, in nanoseconds.
func (r *Recorder) Now() int64 { return int64(time.Since(r.began)) }

// Record writes one line. A line without a time gets the present one. What goes wrong is told by Flush.
func (r *Recorder) Record(l Line) {
	if l.T == 0 {
		l.T = r.Now()
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false) // what was received stays as it was
	err := encoder.Encode(l)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return
	}
	if err == nil {
		_, err = r.out.Write(text.Bytes())
	}
	if err != nil {
		r.err = fmt.Errorf("history: line %d: %w", r.lines+1, err)
		return
	}
	r.lines++
}

// Mark records a moment of the run; the sessions are those that it concerns, none means all.
func (r *Recorder) Mark(mark, text string, sessions ...string) {
	r.Record(Line{Kind: Note, F: Mark, Mark: mark, Text: text, Sessions: sessions})
}

// Lines is the number of lines recorded.
func (r *Recorder) Lines() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lines
}

// Flush writes the buffer out. An error means that the history is not complete.
func (r *Recorder) Flush() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.out.Flush(); err != nil && !errors.Is(r.err, err) {
		r.err = errors.Join(r.err, fmt.Errorf("history: %w", err))
	}
	return r.err
}
