package eventlogtest

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
	"github.com/talus-tally/talus/pkg/eventlog"
	"github.com/talus-tally/talus/pkg/wire"
)

// Ear is a handler of a feed that remembers what it heard.
type Ear struct {
	mu        sync.Mutex
	messages  map[uuid.UUID][][]byte
	confirmed map[uuid.UUID]int
}

// Message remembers a message.
func (e *Ear) Message(session uuid.UUID, payload []byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.messages == nil {
		e.messages = map[uuid.UUID][][]byte{}
	}
	e.messages[session] = append(e.messages[session], payload)
}

// Confirmed counts a confirmation.
func (e *Ear) Confirmed(session uuid.UUID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.confirmed == nil {
		e.confirmed = map[uuid.UUID]int{}
	}
	e.confirmed[session]++
}

// Heard are the messages of a session so far.
func (e *Ear) Heard(session uuid.UUID) [][]byte {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.messages[session]
}

// Confirmations is how often a session was confirmed.
func (e *Ear) Confirmations(session uuid.UUID) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.confirmed[session]
}

// Listens runs a feed until the test ends.
func Listens(t testing.TB, rdb redis.UniversalClient) (*eventlog.Feed, *Ear) {
	t.Helper()
	ear := &Ear{}
	feed := eventlog.NewFeed(rdb, ear)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := feed.Run(ctx); err != nil {
			t.Errorf("feed: %v", err)
		}
	})
	t.Cleanup(func() { cancel(); running.Wait() })
	return feed, ear
}

func (s suite) published(t *testing.T) {
	log, rdb := s.log(t, eventlog.Config{})
	w := Creates(t, log)
	feed, ear := Listens(t, rdb)
	feed.Add(w.Session)
	Eventually(t, "confirmation", func() bool { return ear.Confirmations(w.Session) == 1 })
	small := w.Decides(Image(1, "small"))

	w.Commits(t, small)
	silent := w.Decides(Image(2, "silent"))
	silent.Silent = true
	w.Commits(t, silent)
	large := w.Decides()
	large.Record = Record(w.Session, w.At, large.Delta, strings.Repeat("x", wire.MaxPublished))
	w.Commits(t, large)
	must(t, log.Publish(t.Context(), wire.Ephemeral{Session: w.Session, Name: wire.CommandFailed, Time: 1}))
	must(t, log.Delete(t.Context(), w.Session, nil))

	Eventually(t, "four messages", func() bool { return len(ear.Heard(w.Session)) == 4 })
	heard := ear.Heard(w.Session)
	if !bytes.Equal(heard[0], small.Record.Raw) {
		t.Error("the first message is not the record")
	}
	notice, err := wire.ParseNotice(heard[1])
	if err != nil || notice.Position != large.Record.Position() || int(notice.Size) != len(large.Record.Raw) {
		t.Errorf("the second message is %+v, %v", notice, err)
	}
	if e, err := wire.ParseEphemeral(heard[2]); err != nil || e.Name != wire.CommandFailed {
		t.Errorf("the third message is %+v, %v", e, err)
	}
	if d, err := wire.ParseDeleted(heard[3]); err != nil || d.Epoch != w.At.Epoch || d.Session != w.Session {
		t.Errorf("the fourth message is %+v, %v", d, err)
	}
}

func (s suite) feed(t *testing.T) {
	log, rdb := s.log(t, eventlog.Config{})
	watched, other := Creates(t, log), Creates(t, log)
	feed, ear := Listens(t, rdb)
	feed.Add(watched.Session)
	feed.Add(other.Session)
	Eventually(t, "confirmations", func() bool {
		return ear.Confirmations(watched.Session) == 1 && ear.Confirmations(other.Session) == 1
	})

	watched.Writes(t, Image(1, "heard"))
	feed.Remove(other.Session)
	other.Writes(t, Image(1, "not heard"))
	feed.Add(watched.Session)
	Eventually(t, "a second confirmation", func() bool { return ear.Confirmations(watched.Session) == 2 })
	watched.Writes(t, Image(2, "heard"))

	Eventually(t, "two messages", func() bool { return len(ear.Heard(watched.Session)) == 2 })
	if n := len(ear.Heard(other.Session)); n != 0 {
		t.Errorf("%d messages of a session that was removed", n)
	}
	feed.Add(other.Session)
	Eventually(t, "the removed session again", func() bool { return ear.Confirmations(other.Session) == 2 })
	other.Writes(t, Image(2, "heard again"))
	Eventually(t, "its message", func() bool { return len(ear.Heard(other.Session)) == 1 })
}
