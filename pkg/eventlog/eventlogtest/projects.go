package eventlogtest

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"github.com/talus-tally/talus/pkg/eventlog"
)

// owns is a session that has the project.
func owns(t testing.TB, log *eventlog.Log, project uuid.UUID) *Writer {
	t.Helper()
	w := Creates(t, log)
	text := project.String()
	c := w.Decides(Image(1, "root"))
	c.Meta.Project = &text
	w.Commits(t, c)
	return w
}

// of are the sessions of a project.
func of(t testing.TB, log *eventlog.Log, project uuid.UUID) map[uuid.UUID]bool {
	t.Helper()
	found, err := log.SessionsOf(t.Context(), project)
	must(t, err)
	ids := map[uuid.UUID]bool{}
	for _, o := range found {
		ids[o.Session] = true
	}
	return ids
}

func (s suite) projects(t *testing.T) {
	log, rdb := s.log(t, eventlog.Config{})
	project, other := uuid.New(), uuid.New()
	a, b, moved := owns(t, log, project), owns(t, log, project), owns(t, log, project)
	text := other.String()
	c := moved.Decides(Image(2, "other"))
	c.Meta.Project = &text
	moved.Commits(t, c)
	deleted := owns(t, log, project)
	must(t, log.Delete(t.Context(), deleted.Session, nil))

	if got := of(t, log, project); len(got) != 2 || !got[a.Session] || !got[b.Session] {
		t.Errorf("sessions %v, want %s and %s", got, a.Session, b.Session)
	}
	if got := of(t, log, other); len(got) != 1 || !got[moved.Session] {
		t.Errorf("sessions of the other project: %v", got)
	}

	key := projectKey(t, rdb, project)
	if n := rdb.ZCard(t.Context(), key).Val(); n != 3 {
		t.Errorf("%d entries, want 3: one that was not deleted and is young stays", n)
	}
	old := float64(time.Now().Add(-time.Hour).UnixMilli())
	must(t, rdb.ZAdd(t.Context(), key, redis.Z{Score: old, Member: moved.Session.String()}, redis.Z{Score: old, Member: "?"}).Err())
	of(t, log, project)
	if n := rdb.ZCard(t.Context(), key).Val(); n != 2 {
		t.Errorf("%d entries, want the two that are true", n)
	}

	must(t, rdb.Del(t.Context(), key).Err())
	all, err := log.Overviews(t.Context(), a.Session, deleted.Session, b.Session)
	must(t, err)
	must(t, log.ListProjects(t.Context(), all...))
	if got := of(t, log, project); len(got) != 2 {
		t.Errorf("%v after they were listed again", got)
	}
}

func projectKey(t testing.TB, rdb redis.UniversalClient, project uuid.UUID) string {
	t.Helper()
	keys, err := rdb.Keys(t.Context(), "talus:*:project:"+project.String()).Result()
	if err != nil || len(keys) != 1 {
		t.Fatalf("keys of the project: %v, %v", keys, err)
	}
	return keys[0]
}

func (s suite) overviews(t *testing.T) {
	log, rdb := s.log(t, eventlog.Config{Lease: time.Hour})
	edge := uuid.NewString()
	must(t, log.BeginLease(t.Context(), edge))
	var sessions []uuid.UUID
	for i := range 130 { // more than one round trip
		w := Creates(t, log)
		w.Writes(t, Image(1, fmt.Sprint(i)))
		sessions = append(sessions, w.Session)
	}
	must(t, log.SetClients(t.Context(), sessions[1], edge, 3))
	must(t, log.SetClients(t.Context(), sessions[1], "an edge that never lived", 5))
	must(t, log.Delete(t.Context(), sessions[2], nil))
	head := Key(t, rdb, sessions[3], "h")
	must(t, rdb.Del(t.Context(), head).Err())
	must(t, rdb.Set(t.Context(), head, "a string", 0).Err())
	sessions = append(sessions, uuid.New())

	all, err := log.Overviews(t.Context(), sessions...)
	must(t, err)

	for i, o := range all {
		clients := 0
		if i == 1 {
			clients = 3
		}
		switch {
		case o.Session != sessions[i]:
			t.Fatalf("%d is %s", i, o.Session)
		case i == 2:
			wants(t, o.Err, eventlog.ErrGone)
		case i == 3:
			wants(t, o.Err, eventlog.ErrTorn)
		case i == 130:
			wants(t, o.Err, eventlog.ErrNoSession)
		case o.Err != nil || o.Head.Position.Version != 1 || o.Clients != clients:
			t.Errorf("%d: %+v", i, o)
		}
	}
}
