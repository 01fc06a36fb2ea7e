package eventlog_test

import (
	"fmt"
	"testing"

	"github.com/google/uuid"
	"github.com/talus-tally/talus/pkg/eventlog"
	"github.com/talus-tally/talus/pkg/eventlog/eventlogtest"
	"github.com/talus-tally/talus/pkg/redistest"
)

func TestAFeedThatWasCutConfirmsEverySessionAgain(t *testing.T) {
	t.Parallel()
	server := redistest.Server(t)
	rdb := connects(t, server.URL())
	feed, ear := eventlogtest.Listens(t, rdb)
	sessions := make([]uuid.UUID, 2500)
	for i := range sessions {
		sessions[i] = uuid.New()
		feed.Add(sessions[i])
	}
	confirmed := func(times int) func() bool {
		return func() bool {
			for _, s := range sessions {
				if ear.Confirmations(s) < times {
					return false
				}
			}
			return true
		}
	}
	eventlogtest.Eventually(t, "all sessions confirmed", confirmed(1))

	for round := range 3 {
		if err := rdb.ClientKillByFilter(t.Context(), "TYPE", "pubsub").Err(); err != nil {
			t.Fatal(err)
		}
		eventlogtest.Eventually(t, fmt.Sprint("all confirmed after cut ", round+1), confirmed(round+2))
	}

	if feed.Reconnects() < 3 {
		t.Errorf("%d reconnects counted, want 3", feed.Reconnects())
	}
}

func TestAFeedComesBackWithItsRedis(t *testing.T) {
	t.Parallel()
	server := redistest.Server(t)
	rdb := connects(t, server.URL())
	log := eventlog.New(rdb, eventlog.Config{})
	feed, ear := eventlogtest.Listens(t, rdb)
	w := eventlogtest.Creates(t, log)
	feed.Add(w.Session)
	eventlogtest.Eventually(t, "confirmation", func() bool { return ear.Confirmations(w.Session) == 1 })

	server.Kill()
	late := uuid.New()
	feed.Add(late)
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}

	eventlogtest.Eventually(t, "confirmations after the restart", func() bool {
		return ear.Confirmations(w.Session) >= 2 && ear.Confirmations(late) >= 1
	})
	again := eventlogtest.Creates(t, log)
	feed.Add(again.Session)
	eventlogtest.Eventually(t, "confirmation of a new session", func() bool { return ear.Confirmations(again.Session) >= 1 })
	again.Writes(t, eventlogtest.Image(1, "heard"))
	eventlogtest.Eventually(t, "its message", func() bool { return len(ear.Heard(again.Session)) == 1 })
}

func TestAFeedThatHearsNothingConnectsAgain(t *testing.T) {
	t.Parallel()
	p := newProxy(t, redistest.Real(t))
	feed, ear := eventlogtest.Listens(t, connects(t, p.url()))
	session := uuid.New()
	feed.Add(session)
	eventlogtest.Eventually(t, "confirmation", func() bool { return ear.Confirmations(session) == 1 })

	p.deafen() // every open connection stays open and delivers nothing

	eventlogtest.Eventually(t, "confirmation on a new connection", func() bool { return ear.Confirmations(session) >= 2 })
}
