package hub_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/services/edge/internal/hub"
)

func TestAMessageOfAnotherSessionNeverReachesARoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, end := start(t, hub.Config{})
		defer end()
		plan, secret := w.create(1), w.create(2)
		ann := w.joins(t, plan, hub.After{})
		wait(time.Second)
		rec := w.commit(secret, 40)

		w.Message(plan, rec.Raw)
		w.Message(plan, wire.AppendEphemeral(nil, wire.Ephemeral{Session: secret, Name: wire.ProjectSaved}))
		w.Message(plan, wire.AppendDeleted(nil, wire.Deleted{Session: secret, Epoch: 1001}))
		w.Message(plan, []byte("rubbish"))
		w.commits(plan, 1)
		wait(time.Second)

		ann.saw(1, 1)
		if len(ann.events) > 0 || ann.ended {
			t.Errorf("events %v, ended %v", ann.events, ann.ended)
		}
		if n := w.metric(t, "talus_dropped_messages_total", "isolation"); n != 3 {
			t.Errorf("%v isolation drops, want 3", n)
		}
	})
}

func TestAnEventWithoutVersionComesAfterTheCommitsBeforeIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, end := start(t, hub.Config{})
		defer end()
		plan := w.create(1)
		ann := w.joins(t, plan, hub.After{})
		wait(time.Second)

		w.set(func(f *redis) { f.deaf = true })
		rec := w.commit(plan, 40)
		saved := wire.AppendEphemeral(nil, wire.Ephemeral{
			Session: plan, Name: wire.ProjectSaved, Fields: []byte(`"saved_version":1`),
		})
		w.Message(plan, saved)
		w.Message(plan, rec.Raw)
		w.Message(plan, saved)
		wait(time.Second)

		ann.saw(1, 1)
		if len(ann.events) != 2 || !strings.Contains(ann.events[1], `"event":"project:saved","data":{"saved_version":1}`) {
			t.Fatalf("events %q", ann.events)
		}
		if !slices.Equal(ann.eventsAt, []uint64{0, 1}) {
			t.Errorf("the events came at versions %v, want 0 and 1", ann.eventsAt)
		}
	})
}

func TestACommitTooLargeToPublishIsReadFromTheLog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, end := start(t, hub.Config{HeadCheck: time.Hour})
		defer end()
		plan := w.create(1)
		ann := w.joins(t, plan, hub.After{})
		wait(time.Second)

		w.commit(plan, 40)
		w.commit(plan, 100_000)
		w.commit(plan, 40)
		wait(time.Second)

		ann.saw(1, 3)
	})
}

func TestARecordTooLargeToSendIsAResync(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, end := start(t, hub.Config{HeadCheck: time.Hour})
		defer end()
		plan := w.create(1)
		ann := w.joins(t, plan, hub.After{})
		wait(time.Second)

		w.commit(plan, 1<<20+1)
		wait(time.Second)
		ann.started(1, false, hub.Large)
		w.commits(plan, 2)
		wait(time.Second)
		late := w.joins(t, plan, behind(w.position(plan, 0)))
		wait(time.Second)

		ann.saw(2, 3)
		late.started(3, false, hub.Large)
	})
}
