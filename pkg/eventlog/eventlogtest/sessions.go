package eventlogtest

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/talus-tally/talus/pkg/eventlog"
	"github.com/talus-tally/talus/pkg/wire"
)

func (s suite) created(t *testing.T) {
	log, rdb := s.log(t, eventlog.Config{})
	session, project := uuid.New(), "p"
	n := Fresh()
	n.Meta.Project = &project
	head, err := log.Create(t.Context(), session, n)
	must(t, err)
	if head.Position != (wire.Position{Epoch: n.Epoch, Digest: n.Genesis}) || head.Project != "p" {
		t.Errorf("created %+v", head)
	}

	again, err := log.Create(t.Context(), session, n)
	if err != nil || again.Position != head.Position {
		t.Errorf("the same creation again: %v, want the same answer", err)
	}
	there, err := log.Create(t.Context(), session, Fresh())
	wants(t, err, eventlog.ErrExists)
	if there.Position != head.Position {
		t.Error("the head there is does not come with the refusal")
	}

	must(t, log.Delete(t.Context(), session, nil))
	_, err = log.Create(t.Context(), session, Fresh())
	wants(t, err, eventlog.ErrGone)
	_, err = log.Head(t.Context(), session)
	wants(t, err, eventlog.ErrGone)
	wants(t, log.Delete(t.Context(), session, nil), eventlog.ErrGone)
	w := &Writer{Log: log, Session: session, At: head.Position}
	_, err = log.Commit(t.Context(), w.Decides(Image(1, "one")))
	wants(t, err, eventlog.ErrGone)
	if keys := Keys(t, rdb, session); len(keys) != 1 {
		t.Errorf("a deleted session has the keys %v, want a tombstone", keys)
	}
	_, err = log.Create(t.Context(), uuid.New(), eventlog.NewSession{})
	if err == nil {
		t.Error("a session without an epoch was created")
	}
}

func (s suite) idle(t *testing.T) {
	log, rdb := s.log(t, eventlog.Config{Lease: time.Minute})
	w := furnished(t, log)
	before, now := time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	live, dead := uuid.NewString(), uuid.NewString()
	must(t, log.BeginLease(t.Context(), live))
	must(t, log.SetClients(t.Context(), w.Session, live, 2))
	must(t, log.SetClients(t.Context(), w.Session, dead, 5))

	wants(t, log.Delete(t.Context(), w.Session, &before), eventlog.ErrBusy)
	wants(t, log.Delete(t.Context(), w.Session, &now), eventlog.ErrBusy)
	must(t, log.SetClients(t.Context(), w.Session, live, 0))
	must(t, log.Delete(t.Context(), w.Session, &now))

	if keys := Keys(t, rdb, w.Session); len(keys) != 1 {
		t.Errorf("a deleted session has the keys %v, want a tombstone", keys)
	}
	if err := log.SetClients(t.Context(), w.Session, live, 1); !errors.Is(err, eventlog.ErrGone) {
		t.Errorf("a client in a deleted session: %v", err)
	}
	must(t, log.EndLease(t.Context(), live))
}

func (s suite) index(t *testing.T) {
	log, _ := s.log(t, eventlog.Config{})
	var made []uuid.UUID
	for range 20 {
		made = append(made, Creates(t, log).Session)
	}
	must(t, log.Delete(t.Context(), made[0], nil))

	seen := map[uuid.UUID]int{}
	for cursor, pages := "", 0; ; pages++ {
		ids, next, err := log.Sessions(t.Context(), cursor, 3)
		must(t, err)
		if len(ids) > 3 || pages > 100_000 {
			t.Fatalf("page %d has %d sessions", pages, len(ids))
		}
		for _, id := range ids {
			seen[id]++
		}
		if cursor = next; cursor == "" {
			break
		}
	}

	for i, id := range made {
		if want := min(i, 1); seen[id] != want {
			t.Errorf("session %d is listed %d times, want %d", i, seen[id], want)
		}
	}
	if total, err := log.CountSessions(t.Context()); err != nil || total < 19 {
		t.Errorf("%d sessions, %v", total, err)
	}
	if ids, _, err := log.Sessions(t.Context(), "nonsense", 3); err != nil || len(ids) != 3 {
		t.Errorf("a cursor that is none: %d sessions, %v", len(ids), err)
	}
}

func (s suite) updates(t *testing.T) {
	log, _ := s.log(t, eventlog.Config{})
	w := Creates(t, log)
	w.Writes(t, Image(1, "one"))
	w.Writes(t, Image(1, "two"))
	text, two, one := "a name", uint64(2), uint64(1)

	must(t, log.Update(t.Context(), w.Session, eventlog.HeadChange{Project: &text, Saved: &two,
		Fields: map[string]string{"a": "1", "b": "2"}, Attachments: map[string][]byte{"doc": []byte("text")}}))
	must(t, log.Update(t.Context(), w.Session, eventlog.HeadChange{Saved: &one, Fields: map[string]string{"a": ""}}))

	head, err := log.Head(t.Context(), w.Session)
	must(t, err)
	if head.Position != w.At || head.Project != text || head.SavedVersion != 2 || len(head.Fields) != 1 || head.Fields["b"] != "2" {
		t.Errorf("head is %+v", head)
	}
	document, err := log.Attachment(t.Context(), w.Session, "doc")
	if err != nil || string(document) != "text" {
		t.Errorf("the attachment is %q, %v", document, err)
	}
	must(t, log.Update(t.Context(), w.Session, eventlog.HeadChange{Attachments: map[string][]byte{"doc": nil}}))
	if document, err = log.Attachment(t.Context(), w.Session, "doc"); document != nil || err != nil {
		t.Errorf("the removed attachment is %q, %v", document, err)
	}
}

func (s suite) heads(t *testing.T) {
	log, rdb := s.log(t, eventlog.Config{})
	sessions := make([]uuid.UUID, 600)
	want := make([]wire.Position, len(sessions))
	errs := make([]error, len(sessions))
	for i := range sessions {
		if i%50 != 0 {
			sessions[i], errs[i] = uuid.New(), eventlog.ErrNoSession
			continue
		}
		w := Creates(t, log)
		w.Writes(t, Image(1, "one"))
		sessions[i], want[i] = w.Session, w.At
	}
	must(t, log.Delete(t.Context(), sessions[0], nil))
	want[0], errs[0] = wire.Position{}, eventlog.ErrGone
	must(t, rdb.HSet(t.Context(), Key(t, rdb, sessions[50], "h"), "d", "rubbish").Err())
	want[50], errs[50] = wire.Position{}, eventlog.ErrTorn
	must(t, rdb.Set(t.Context(), Key(t, rdb, sessions[100], "h"), "not a hash", 0).Err())
	want[100], errs[100] = wire.Position{}, eventlog.ErrTorn

	got := log.Heads(t.Context(), sessions)

	for i, head := range got {
		if head.Position != want[i] && errs[i] == nil || !errors.Is(head.Err, errs[i]) {
			t.Errorf("session %d is at %v with error %v, want %v and %v", i, head.Position, head.Err, want[i], errs[i])
		}
	}
}
