package workload

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/eventlog"
	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/tests/chaos/history"
)

// LogReader reads the log of a session.
type LogReader interface {
	// ReadLog calls each for every commit after a position, in order; the zero position is the beginning. It returns the
	// head, and whether the log begins later than version 1 though it was read from the beginning. It returns
	// ErrOffBranch when the log no longer leads on from the position.
	ReadLog(ctx context.Context, session string, after wire.Position, each func(history.Line)) (head wire.Position, trimmed bool, err error)
	// Oldest is the oldest version that a log still has; one more than the head's if it has none.
	Oldest(ctx context.Context, session string) (uint64, error)
}

// ErrOffBranch says that a log does not lead on from a position: it was trimmed or lost, and must be read again.
var ErrOffBranch = errors.New("the log does not lead on from there")

// followLogs reads the logs again and again while the run lasts, so that what is trimmed is in the history all the same.
// What cannot be read now is read later.
func (w *workload) followLogs(ctx context.Context) {
	for pause(ctx, w.LogEvery) {
		for _, s := range w.sessions {
			_, _, _ = w.readLog(ctx, s)
		}
	}
}

// readLogs reads the logs to their ends.
func (w *workload) readLogs(ctx context.Context) {
	for _, s := range w.sessions {
		end := history.Line{Kind: history.Note, F: history.LogEnd, Session: s.id}
		head, trimmed, err := w.readLog(ctx, s)
		if end.Position = head.String(); trimmed {
			end.Reason = "trimmed"
		}
		if err == nil { // what is trimmed later was there now, so this is no earlier than what anybody was told
			end.Oldest, err = w.Logs.Oldest(ctx, s.id)
		}
		if err != nil {
			end.Position, end.Text = "", err.Error()
		}
		w.Recorder.Record(end)
	}
}

// readLog puts what is new in a log into the history, or all of it when that does not follow from what is known.
func (w *workload) readLog(ctx context.Context, s *session) (head wire.Position, trimmed bool, err error) {
	record := func(l history.Line) {
		w.Recorder.Record(l)
		s.logged, _ = wire.ParsePosition(l.Position)
	}
	head, trimmed, err = w.Logs.ReadLog(ctx, s.id, s.logged, record)
	if errors.Is(err, ErrOffBranch) {
		head, trimmed, err = w.Logs.ReadLog(ctx, s.id, wire.Position{}, record)
	}
	return head, trimmed, err
}

// logLine is a line for one commit, from its frame.
func logLine(session string, raw []byte) (history.Line, error) {
	var f struct {
		frame
		Actor       string `json:"actor"`
		CommandType string `json:"command_type"`
	}
	if err := json.Unmarshal(raw, &f); err != nil {
		return history.Line{}, fmt.Errorf("commit: %w", err)
	}
	return history.Line{Kind: history.Note, F: history.Log, Session: session, Position: f.Position, Prev: f.Prev, Payload: history.Fingerprint(raw),
		Command: f.CommandID, CommandType: f.CommandType, Actor: f.Actor, Raw: raw}, nil
}

const page = 500 // commits that are read at once

// restLogs reads through the command instances.
type restLogs struct{ w *workload }

// logPage is an answer with a part of a log, or the reason why there is none.
type logPage struct {
	Position string            `json:"position"`
	Commits  []json.RawMessage `json:"commits"`
	Error    struct {
		Code    string
		Details struct {
			Oldest uint64 `json:"oldest_version"`
		}
	} `json:"error"`
}

// ReadLog implements LogReader.
func (r *restLogs) ReadLog(ctx context.Context, session string, from wire.Position, each func(history.Line)) (head wire.Position, trimmed bool, err error) {
	after := from.String()
	if from.IsZero() {
		after = "0"
	}
	for {
		var answer logPage
		path := fmt.Sprintf("/sessions/%s/events?after=%s&limit=%d", session, after, page)
		status, err := r.get(ctx, path, &answer)
		switch oldest := answer.Error.Details.Oldest; {
		case status == http.StatusGone && after == "0" && oldest > 1:
			after, trimmed = strconv.FormatUint(oldest-1, 10), true
			continue
		case status == http.StatusGone && !from.IsZero():
			return head, trimmed, ErrOffBranch
		case err != nil || status != http.StatusOK:
			return head, trimmed, fmt.Errorf("GET %s: status %d %s: %w", path, status, answer.Error.Code, err)
		}
		last := wire.Position{}
		for _, raw := range answer.Commits {
			line, err := logLine(session, raw)
			if err != nil {
				return head, trimmed, err
			}
			each(line)
			after = line.Position
			last, _ = wire.ParsePosition(line.Position) // what is none ends the reading
		}
		if head, err = wire.ParsePosition(answer.Position); err != nil || last.Version == 0 || last.Version >= head.Version {
			return head, trimmed, err
		}
	}
}

// Oldest implements LogReader.
func (r *restLogs) Oldest(ctx context.Context, session string) (uint64, error) {
	var answer logPage
	path := fmt.Sprintf("/sessions/%s/events?after=0&limit=1", session)
	status, err := r.get(ctx, path, &answer)
	switch {
	case status == http.StatusGone && answer.Error.Details.Oldest > 0:
		return answer.Error.Details.Oldest, nil
	case err != nil || status != http.StatusOK:
		return 0, fmt.Errorf("GET %s: status %d %s: %w", path, status, answer.Error.Code, err)
	}
	return 1, nil
}

// get asks one instance after the other, a few times.
func (r *restLogs) get(ctx context.Context, path string, answer any) (status int, err error) {
	for try := range 5 {
		var body []byte
		status, _, body, err = r.w.exchange(ctx, r.w.Commands[try%len(r.w.Commands)], http.MethodGet, path, nil, nil)
		if err == nil && status < http.StatusInternalServerError {
			return status, json.Unmarshal(body, answer)
		}
		if !pause(ctx, time.Second) {
			break
		}
	}
	return status, err
}

// StreamLogs reads the logs from Redis. It sees what the command instances do not show: a commit's own id, and whether
// the private part of each record is the one that its digest covers.
type StreamLogs struct{ Log *eventlog.Log }

// ReadLog implements LogReader.
func (r StreamLogs) ReadLog(ctx context.Context, session string, from wire.Position, each func(history.Line)) (head wire.Position, trimmed bool, err error) {
	id, err := uuid.Parse(session)
	if err != nil {
		return head, false, err
	}
	if from.IsZero() {
		if from, trimmed, err = r.beginning(ctx, id, each); err != nil {
			return head, trimmed, err
		}
	}
	for {
		tail, err := r.Log.ReadFrom(ctx, id, from, page)
		var cut *eventlog.TrimmedError
		if errors.Is(err, eventlog.ErrForked) || errors.As(err, &cut) {
			return head, trimmed, ErrOffBranch
		}
		if err != nil || len(tail.Records) == 0 {
			return tail.Head, trimmed, err
		}
		if from, err = r.record(session, tail.Records, each); err != nil {
			return tail.Head, trimmed, err
		}
	}
}

// Oldest implements LogReader.
func (r StreamLogs) Oldest(ctx context.Context, session string) (uint64, error) {
	id, err := uuid.Parse(session)
	if err != nil {
		return 0, err
	}
	head, err := r.Log.Head(ctx, id)
	return head.Oldest, err
}

// beginning reads the first page of a log, which need not begin with version 1. It returns where that ends.
func (r StreamLogs) beginning(ctx context.Context, id uuid.UUID, each func(history.Line)) (at wire.Position, trimmed bool, err error) {
	tail, err := r.Log.Read(ctx, id, 0, page)
	var cut *eventlog.TrimmedError
	if errors.As(err, &cut) {
		trimmed = true
		tail, err = r.Log.Read(ctx, id, cut.Oldest-1, page)
	}
	if err != nil {
		return at, trimmed, err
	}
	if len(tail.Records) == 0 {
		head, err := r.Log.Head(ctx, id)
		return head.Position, trimmed, err
	}
	at, err = r.record(id.String(), tail.Records, each)
	return at, trimmed, err
}

// record hands entries on, and returns where they end.
func (r StreamLogs) record(session string, entries []eventlog.LogEntry, each func(history.Line)) (at wire.Position, err error) {
	for _, e := range entries {
		line, err := logLine(session, e.Record.AppendCommitFrame(nil))
		if err != nil {
			return at, err
		}
		if !e.Record.VerifyDelta(e.Delta) {
			return at, fmt.Errorf("version %d: the private part is not the one that was committed", e.Record.Version)
		}
		line.UID = e.Record.Command.String()
		each(line)
		at = e.Record.Position()
	}
	return at, nil
}
