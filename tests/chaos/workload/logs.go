package workload

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/eventlog"
	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/tests/chaos/history"
)

// LogReader reads the log of a session from its beginning.
type LogReader interface {
	// ReadLog calls each for every commit that the log has, in order, and returns the head and whether the log begins
	// later than version 1.
	ReadLog(ctx context.Context, session string, each func(history.Line)) (head wire.Position, trimmed bool, err error)
}

// readLogs puts the logs of all sessions into the history.
func (w *workload) readLogs(ctx context.Context) {
	for _, s := range w.sessions {
		end := history.Line{Kind: history.Note, F: history.LogEnd, Session: s.id}
		head, trimmed, err := w.Logs.ReadLog(ctx, s.id, w.Recorder.Record)
		if end.Position = head.String(); trimmed {
			end.Reason = "trimmed"
		}
		if err != nil {
			end.Position, end.Text = "", err.Error()
		}
		w.Recorder.Record(end)
	}
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

// ReadLog implements LogReader.
func (r *restLogs) ReadLog(ctx context.Context, session string, each func(history.Line)) (head wire.Position, trimmed bool, err error) {
	for after := uint64(0); ; {
		var answer struct {
			Position string            `json:"position"`
			Commits  []json.RawMessage `json:"commits"`
			Error    struct {
				Code    string
				Details struct {
					Oldest uint64 `json:"oldest_version"`
				}
			} `json:"error"`
		}
		path := fmt.Sprintf("/sessions/%s/events?after=%d&limit=%d", session, after, page)
		status, err := r.get(ctx, path, &answer)
		if status == http.StatusGone && after == 0 && answer.Error.Details.Oldest > 1 {
			after, trimmed = answer.Error.Details.Oldest-1, true
			continue
		}
		if err != nil || status != http.StatusOK {
			return head, trimmed, fmt.Errorf("GET %s: status %d %s: %w", path, status, answer.Error.Code, err)
		}
		for _, raw := range answer.Commits {
			line, err := logLine(session, raw)
			if err != nil {
				return head, trimmed, err
			}
			each(line)
			after++
		}
		if head, err = wire.ParsePosition(answer.Position); err != nil || len(answer.Commits) == 0 || after >= head.Version {
			return head, trimmed, err
		}
	}
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
func (r StreamLogs) ReadLog(ctx context.Context, session string, each func(history.Line)) (head wire.Position, trimmed bool, err error) {
	id, err := uuid.Parse(session)
	if err != nil {
		return head, false, err
	}
	h, err := r.Log.Head(ctx, id)
	if err != nil {
		return head, false, err
	}
	for after := uint64(0); after < h.Position.Version; {
		entries, err := r.Log.Read(ctx, id, after, page)
		var cut *eventlog.TrimmedError
		if errors.As(err, &cut) && after == 0 {
			after, trimmed = cut.Oldest-1, true
			continue
		}
		if err != nil {
			return h.Position, trimmed, err
		}
		for _, e := range entries {
			line, err := logLine(session, e.Record.AppendCommitFrame(nil))
			if err != nil {
				return h.Position, trimmed, err
			}
			if !e.Record.VerifyDelta(e.Delta) {
				return h.Position, trimmed, fmt.Errorf("version %d: the private part is not the one that was committed", e.Record.Version)
			}
			line.UID = e.Record.Command.String()
			each(line)
			after = e.Record.Version
		}
	}
	return h.Position, trimmed, nil
}
