package hub_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/services/edge/internal/hub"
)

func TestAJoinIsRefusedWhenRedisStaysAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, end := start(t, hub.Config{})
		defer end()
		plan := w.create(1)
		w.set(func(f *redis) { f.down = true })

		ann := w.joins(t, plan, hub.After{})
		wait(12 * time.Second)

		ann.endedWith(hub.ErrUnavailable)
	})
}

func TestARoomCatchesUpWhenTheLogIsBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, end := start(t, hub.Config{})
		defer end()
		plan := w.create(1)
		ann := w.joins(t, plan, hub.After{})
		wait(time.Second)

		w.set(func(f *redis) { f.down, f.deaf = true, true })
		w.commits(plan, 700)
		w.reconnect()
		wait(5 * time.Second)
		ann.saw(1, 0)
		w.set(func(f *redis) { f.down = false })
		wait(2 * time.Second)

		ann.saw(1, 700)
	})
}

func TestAHubThatHasEndedRefuses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, end := start(t, hub.Config{})
		plan := w.create(1)
		w.joins(t, plan, hub.After{})
		wait(time.Second)
		end()

		ann := w.joins(t, plan, hub.After{})
		ben := w.joins(t, uuid.UUID{9}, hub.After{})
		w.commits(plan, 1)
		wait(time.Second)

		ann.endedWith(hub.ErrUnavailable)
		ben.endedWith(hub.ErrUnavailable)
	})
}
