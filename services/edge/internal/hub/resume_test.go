package hub_test

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/services/edge/internal/hub"
)

// The session stands at 200; the log reaches back to 51. The room is either cold (its ring is empty) or warm (it saw
// 151…200).
func TestAJoinerResumesOrIsToldWhyNot(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name   string
		after  func(w *world, at func(uint64) wire.Position) hub.After
		start  uint64
		reason hub.Reason
	}{
		{"at the head", func(_ *world, at func(uint64) wire.Position) hub.After { return behind(at(200)) }, 200, ""},
		{"one before the head", func(_ *world, at func(uint64) wire.Position) hub.After { return behind(at(199)) }, 199, ""},
		{"far back", func(_ *world, at func(uint64) wire.Position) hub.After { return behind(at(60)) }, 60, ""},
		{"at the oldest record", func(_ *world, at func(uint64) wire.Position) hub.After { return behind(at(51)) }, 51, ""},
		{"just before the oldest record: its successor proves it", func(_ *world, at func(uint64) wire.Position) hub.After {
			return behind(at(50))
		}, 50, ""},
		{"before the log", func(_ *world, at func(uint64) wire.Position) hub.After { return behind(at(49)) }, 200, hub.Trimmed},
		{"at the beginning of a trimmed log", func(_ *world, at func(uint64) wire.Position) hub.After { return behind(at(0)) }, 200, hub.Trimmed},
		{"ahead", func(_ *world, at func(uint64) wire.Position) hub.After {
			p := at(200)
			p.Version = 201
			return behind(p)
		}, 200, hub.Ahead},
		{"of another incarnation", func(_ *world, at func(uint64) wire.Position) hub.After {
			p := at(199)
			p.Epoch++
			return behind(p)
		}, 200, hub.Epoch},
		{"on another branch, near", func(_ *world, at func(uint64) wire.Position) hub.After {
			p := at(199)
			p.Digest[0]++
			return behind(p)
		}, 200, hub.Fork},
		{"on another branch, at the head", func(_ *world, at func(uint64) wire.Position) hub.After {
			p := at(200)
			p.Digest[0]++
			return behind(p)
		}, 200, hub.Fork},
		{"on another branch, far", func(_ *world, at func(uint64) wire.Position) hub.After {
			p := at(60)
			p.Digest[0]++
			return behind(p)
		}, 200, hub.Fork},
		{"on another branch, proved by the oldest record", func(_ *world, at func(uint64) wire.Position) hub.After {
			p := at(50)
			p.Digest[0]++
			return behind(p)
		}, 200, hub.Fork},
		{"with a bare version", func(_ *world, _ func(uint64) wire.Position) hub.After { return bare(120) }, 120, ""},
		{"with a bare version that is trimmed", func(_ *world, _ func(uint64) wire.Position) hub.After { return bare(10) }, 200, hub.Trimmed},
		{"with a bare version ahead", func(_ *world, _ func(uint64) wire.Position) hub.After { return bare(201) }, 200, hub.Ahead},
		{"with a version and its epoch", func(_ *world, at func(uint64) wire.Position) hub.After {
			return hub.After{Given: true, Position: wire.Position{Epoch: at(120).Epoch, Version: 120}}
		}, 120, ""},
		{"with a version and another epoch", func(_ *world, at func(uint64) wire.Position) hub.After {
			return hub.After{Given: true, Position: wire.Position{Epoch: at(120).Epoch + 1, Version: 120}}
		}, 200, hub.Epoch},
	}
	for _, warm := range []bool{false, true} {
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					w, end := start(t, hub.Config{Chunk: 32})
					defer end()
					plan := w.create(1)
					w.commits(plan, 150)
					if warm {
						w.joins(t, plan, hub.After{})
						wait(time.Second)
					}
					w.commits(plan, 50)
					positions := make([]wire.Position, 201)
					for v := range positions {
						positions[v] = w.position(plan, uint64(v))
					}
					w.trim(plan, 50)
					wait(time.Second)

					ann := w.joins(t, plan, c.after(w, func(v uint64) wire.Position { return positions[v] }))
					wait(time.Second)
					w.commits(plan, 5)
					wait(time.Second)

					s := ann.started(c.start, c.reason == "", c.reason)
					if s.Position != positions[c.start] {
						t.Errorf("starts at %v, want %v", s.Position, positions[c.start])
					}
					ann.saw(c.start+1, 205)
				})
			})
		}
	}
}

// A client may know more than this edge: what it heard elsewhere has not come here yet.
func TestAClientThatKnowsMoreThanTheRoomIsNotSentBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, end := start(t, hub.Config{HeadCheck: time.Hour})
		defer end()
		plan := w.create(1)
		w.joins(t, plan, hub.After{})
		wait(time.Second)
		w.set(func(f *redis) { f.deaf = true })
		w.commits(plan, 5)

		ann := w.joins(t, plan, behind(w.head(plan)))
		wait(time.Second)

		ann.started(5, true, "")
	})
}

func TestManyClientsFarBehindShareTheReads(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, end := start(t, hub.Config{RingFrames: 64, Chunk: 100})
		defer end()
		plan := w.create(1)
		w.commits(plan, 1000)
		first := w.joins(t, plan, hub.After{})
		wait(time.Second)
		first.started(1000, false, "")
		before := w.readCount()

		var people []*person
		for i := range 200 {
			people = append(people, w.joins(t, plan, behind(w.position(plan, uint64(5*i)))))
		}
		wait(10 * time.Second)

		for i, p := range people {
			p.started(uint64(5*i), true, "")
			p.saw(uint64(5*i)+1, 1000)
		}
		if n := w.readCount() - before; n > 60 {
			t.Errorf("%d reads of the log for 200 clients", n)
		}
	})
}

// People join at any position, read or stop reading as they like, and the ring is small: each sees its versions once.
func TestALateJoinUnderLoadNeitherMissesNorRepeats(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 3))
			w, end := start(t, hub.Config{RingFrames: 64, Chunk: 50})
			defer end()
			w.set(func(f *redis) {
				faults := rand.New(rand.NewPCG(seed, 4))
				f.fault = func() (int, time.Duration) {
					return min(2, faults.IntN(8)), time.Duration(faults.IntN(10)) * time.Millisecond
				}
			})
			plan := w.create(1)
			w.commits(plan, 300)
			var people []*person
			var from []uint64
			for range 40 {
				v := w.head(plan).Version
				v -= uint64(rng.IntN(int(v)))
				people, from = append(people, w.joins(t, plan, behind(w.position(plan, v)))), append(from, v)
				people[rng.IntN(len(people))].pause(false)
				if p := people[rng.IntN(len(people))]; rng.IntN(2) == 0 {
					p.mu.Lock()
					p.paused = true
					p.mu.Unlock()
				}
				w.commits(plan, rng.IntN(20))
				wait(time.Duration(rng.IntN(10)) * time.Millisecond)
			}
			wait(5 * time.Second)
			for _, p := range people {
				p.pause(false)
			}
			wait(5 * time.Second)

			refills := 0
			for i, p := range people {
				p.saw(from[i]+1, w.head(plan).Version)
				refills += p.refills
			}
			if refills == 0 {
				t.Error("nobody fell off the ring: the test shows nothing")
			}
		})
	}
}

func TestAClientThatFellOffATrimmedLogResyncs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, end := start(t, hub.Config{RingFrames: 64})
		defer end()
		plan := w.create(1)
		ann := w.joins(t, plan, hub.After{})
		wait(time.Second)
		ann.mu.Lock()
		ann.paused = true
		ann.mu.Unlock()
		w.commits(plan, 500)
		wait(time.Second)
		w.trim(plan, 400)

		ann.pause(false)
		wait(time.Second)
		ann.started(500, false, hub.Trimmed)
		w.commits(plan, 2)
		wait(time.Second)

		ann.saw(501, 502)
	})
}

func TestABackfillWaitsForALogThatIsAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, end := start(t, hub.Config{RingFrames: 64})
		defer end()
		plan := w.create(1)
		ann := w.joins(t, plan, hub.After{})
		wait(time.Second)
		ann.pause(true)
		w.commits(plan, 100)
		wait(time.Second)

		w.set(func(f *redis) { f.down = true })
		ann.pause(false)
		wait(3 * time.Second)
		ann.saw(1, 0)
		w.set(func(f *redis) { f.down = false })
		wait(time.Second)

		ann.saw(1, 100)
	})
}

// Records may be so large that a read ends before its number of records.
func TestReadsThatEndEarlyLeaveNothingOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, end := start(t, hub.Config{RingFrames: 4, Chunk: 32, HeadCheck: time.Hour})
		defer end()
		plan := w.create(1)
		w.commits(plan, 50)
		w.set(func(f *redis) { f.brief = true })
		ann := w.joins(t, plan, hub.After{})
		far := w.joins(t, plan, behind(w.position(plan, 1)))
		wait(time.Second)

		w.set(func(f *redis) { f.deaf = true })
		w.commits(plan, 20)
		w.set(func(f *redis) { f.deaf = false })
		w.commits(plan, 1)
		wait(2 * time.Second)

		ann.saw(51, 71)
		far.saw(2, 71)
	})
}
