package hub_test

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/services/edge/internal/hub"
)

func TestEveryClientOfABigRoomSeesEveryCommitOnceInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, end := start(t, hub.Config{Writers: 4, Share: 3})
		defer end()
		plan := w.create(1)
		var crowd []*person
		for range 50 {
			crowd = append(crowd, w.joins(t, plan, hub.After{}))
		}
		wait(time.Second)

		w.commits(plan, 200)
		wait(time.Second)

		for _, p := range crowd {
			p.saw(1, 200)
		}
	})
}

// meeting is a client whose frames come only while another client's do: each waits for the other.
type meeting struct {
	client
	others *sync.WaitGroup
}

func (m *meeting) Deliver(uint64, []byte) {
	m.others.Done()
	m.others.Wait()
}

// A room that served one after the other would wait for ever, which synctest reports.
func TestABigRoomServesSeveralClientsAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, end := start(t, hub.Config{Writers: 2, Share: 1})
		defer end()
		plan := w.create(1)
		var both sync.WaitGroup
		both.Add(2)
		for range 2 {
			w.Join(plan, hub.After{}, hub.Native, &meeting{others: &both})
		}
		wait(time.Second)

		w.commits(plan, 1)
		wait(time.Second)
		both.Wait()
	})
}

// client does nothing.
type client struct{}

func (client) Start(hub.Start)         {}
func (client) Event([]byte, hub.State) {}
func (client) Own([]byte, hub.State)   {}
func (client) ID() uuid.UUID           { return uuid.Nil }
func (client) Ended(error)             {}
