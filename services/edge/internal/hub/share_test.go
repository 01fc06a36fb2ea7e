package hub_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/services/edge/internal/hub"
)

// holder is a client that keeps the frames of commits as they are, not copies. Only the room's goroutine writes it.
type holder struct {
	format hub.Format
	start  hub.Start
	frames map[uint64][]byte
}

func (h *holder) Start(s hub.Start)                    { h.start = s }
func (h *holder) Deliver(version uint64, frame []byte) { h.frames[version] = frame }
func (h *holder) Event([]byte, hub.State)              {}
func (h *holder) Own([]byte, hub.State)                {}
func (h *holder) ID() uuid.UUID                        { return uuid.Nil }
func (h *holder) Ended(error)                          {}

// where is the place of a frame in memory.
func where(frame []byte) string {
	return fmt.Sprintf("%d bytes at %p", len(frame), unsafe.SliceData(frame))
}

func TestTheFrameOfACommitIsBuiltOncePerFormatAndSharedByAllClients(t *testing.T) {
	t.Parallel()
	formats := []hub.Format{hub.Native, hub.EventStream, hub.Planned, hub.Shipped, hub.PlannedOffsets, hub.ShippedOffsets}
	const each, commits = 50, 3
	synctest.Test(t, func(t *testing.T) {
		w, end := start(t, hub.Config{})
		defer end()
		plan := w.create(1)
		var clients []*holder
		for range each {
			for _, f := range formats {
				h := &holder{format: f, frames: map[uint64][]byte{}}
				w.Join(plan, hub.After{}, f, h)
				clients = append(clients, h)
			}
		}
		wait(time.Second)
		for range commits {
			w.commits(plan, 1)
			wait(time.Second)
		}

		places := map[string]bool{}
		for v := clients[0].start.Position.Version + 1; v <= clients[0].start.Ring.Head(); v++ {
			for i, h := range clients {
				first := clients[i%len(formats)]
				frame := h.frames[v]
				if len(frame) == 0 || where(frame) != where(first.frames[v]) {
					t.Fatalf("version %d: client %d of format %d has %s, the first has %s", v, i, h.format, where(frame), where(first.frames[v]))
				}
				if ring := h.start.Ring.FrameAs(h.format, v); where(ring) != where(frame) {
					t.Fatalf("version %d, format %d: the ring has %s, delivered was %s", v, h.format, where(ring), where(frame))
				}
				places[where(frame)] = true
			}
		}
		if want := commits * len(formats); len(places) != want {
			t.Errorf("%d frames, want %d", len(places), want)
		}
	})
}
