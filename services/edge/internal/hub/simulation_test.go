package hub_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/services/edge/internal/hub"
)

// failedOnce are seeds that once found something; they are run first, forever.
var failedOnce = []struct {
	seed uint64
	what string
}{
	{1678, "old commits were supplied beyond the head of the room, which then went another way"},
}

// simulated is how many seeds a run takes; TALUS_TEST_SEEDS asks for more.
func simulated(t *testing.T) uint64 {
	t.Helper()
	text := os.Getenv("TALUS_TEST_SEEDS")
	if text == "" {
		return 60
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Whatever the channel and the log do, each client sees the versions of its session one after the other along one
// chain, is told to resync when that chain did not survive, and is at the head soon after the faults end.
func TestSimulatedFaultsNeverBreakAStream(t *testing.T) {
	t.Parallel()
	for _, c := range failedOnce {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			simulate(t, c.seed)
		})
	}
	began := time.Now()
	var all tally
	n := simulated(t)
	for seed := range n {
		all.add(simulate(t, 1000+seed).tally)
	}
	t.Logf("%d seeds in %v: %+v", n, time.Since(began).Round(time.Millisecond), all)
	if min(all.Commits, all.Forks, all.Cuts, all.Outages, all.Trims, all.Flushes, all.Resyncs, all.Resumes, all.Refills) == 0 {
		t.Error("something never happened: the simulation shows less than it should")
	}
}

func TestASeedIsARunThatCanBeRepeated(t *testing.T) {
	t.Parallel()
	for seed := range uint64(8) {
		first, second := simulate(t, seed).story.String(), simulate(t, seed).story.String()
		if first != second {
			t.Fatalf("seed %d tells two stories:\n%s\n%s", seed, first, second)
		}
	}
}

// tally counts what happened, so that a simulation in which nothing happens is found.
type tally struct{ Commits, Forks, Cuts, Outages, Trims, Flushes, Joins, Resyncs, Resumes, Refills int }

func (a *tally) add(b tally) {
	a.Commits, a.Forks, a.Cuts, a.Outages = a.Commits+b.Commits, a.Forks+b.Forks, a.Cuts+b.Cuts, a.Outages+b.Outages
	a.Trims, a.Flushes, a.Joins = a.Trims+b.Trims, a.Flushes+b.Flushes, a.Joins+b.Joins
	a.Resyncs, a.Resumes, a.Refills = a.Resyncs+b.Resyncs, a.Resumes+b.Resumes, a.Refills+b.Refills
}

// simulation is one run: all that happens follows from the seed.
type simulation struct {
	*world
	t     *testing.T
	rng   *rand.Rand
	plans []uuid.UUID
	gone  map[uuid.UUID]bool
	crowd []*visitor
	end   ending
	loss  int // of 100 messages
	tally tally
	story strings.Builder
}

// ending is what must suffice to bring everybody to the head at the end.
type ending int

const (
	byHeadCheck    ending = iota // nothing is heard: the check of idle rooms
	byConfirmation               // there is no such check: the feed comes back and confirms
	byNextCommit                 // nor that: one more commit is heard
	endings
)

// visitor is a person with what the simulation knows of it.
type visitor struct {
	*person
	after hub.After
	left  bool
}

func simulate(t *testing.T, seed uint64) *simulation {
	t.Helper()
	s := &simulation{t: t, rng: rand.New(rand.NewPCG(seed, 5)), gone: map[uuid.UUID]bool{}, end: ending(seed % uint64(endings))}
	cfg := hub.Config{RingFrames: 64, Chunk: 8, InboxBytes: 2000 + s.rng.IntN(10_000), Writers: 1 + int(seed%4), Share: 1}
	defer func() { // a failure in the bubble ends this goroutine
		if t.Failed() {
			t.Logf("seed %d\n%s", seed, s.story.String())
		}
	}()
	if s.end != byHeadCheck {
		cfg.HeadCheck = 100 * time.Hour
	}
	synctest.Test(t, func(t *testing.T) {
		w, end := start(t, cfg)
		defer end()
		s.world, s.t = w, t
		w.set(func(f *redis) { f.fault = s.message })
		for i := range 3 {
			s.plans = append(s.plans, w.create(i+1))
		}
		for range 150 {
			s.act()
			wait(s.span(30 * time.Millisecond))
		}
		s.heal()
		s.check()
	})
	return s
}

// span is a time up to d, in odd nanoseconds so that no two things happen at once.
func (s *simulation) span(d time.Duration) time.Duration {
	return time.Duration(s.rng.Int64N(int64(d))) | 1
}

// message decides what becomes of one published message: the caller of commit holds the lock of the fake.
func (s *simulation) message() (copies int, delay time.Duration) {
	switch n := s.rng.IntN(100); {
	case n < s.loss:
		return 0, 0
	case n > 90:
		return 2, s.span(60 * time.Millisecond)
	case n > 60:
		return 1, s.span(60 * time.Millisecond)
	default:
		return 1, s.span(2 * time.Millisecond)
	}
}

func (s *simulation) act() {
	plan := s.plans[s.rng.IntN(len(s.plans))]
	switch n := s.rng.IntN(100); {
	case n < 40:
		s.write(plan, 1+s.rng.IntN(4))
	case n < 42:
		s.write(plan, 70+s.rng.IntN(40)) // more than the ring holds
	case n < 60:
		s.enter(plan)
	case n < 66:
		s.loss = s.rng.IntN(3) * 30
	case n < 70:
		s.tally.Cuts++
		s.cut(s.span(300 * time.Millisecond))
	case n < 74 && s.end == byHeadCheck: // which is what finds the end of an outage
		s.outage()
	case n < 80:
		s.fork(plan)
	case n < 83:
		s.cutLog(plan)
	case n < 84 && s.end == byHeadCheck:
		s.flush(plan)
	default:
		s.visit()
	}
}

func (s *simulation) write(plan uuid.UUID, n int) {
	if !s.gone[plan] {
		s.commits(plan, n)
		s.tally.Commits += n
	}
}

// outage takes the log away for a while.
func (s *simulation) outage() {
	s.tally.Outages++
	s.set(func(f *redis) { f.down = true })
	d := s.span(2500 * time.Millisecond)
	s.work.Go(func() {
		time.Sleep(d)
		s.set(func(f *redis) { f.down = false })
	})
}

// fork loses the last commits; other ones may take their versions.
func (s *simulation) fork(plan uuid.UUID) {
	if s.gone[plan] {
		return
	}
	oldest, head := s.reach(plan)
	if head == 0 {
		return
	}
	to := max(oldest, head-min(head, uint64(1+s.rng.IntN(8))))
	s.rollback(plan, to)
	s.tally.Forks++
	if s.rng.IntN(3) > 0 {
		s.write(plan, s.rng.IntN(10))
	}
}

// cutLog forgets old commits, never the newest.
func (s *simulation) cutLog(plan uuid.UUID) {
	if s.gone[plan] {
		return
	}
	if oldest, head := s.reach(plan); head > oldest {
		s.trim(plan, oldest+s.rng.Uint64N(head-oldest))
		s.tally.Trims++
	}
}

// reach are the oldest version of which the log is kept, or 0, and the head.
func (f *redis) reach(plan uuid.UUID) (oldest, head uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	b := f.sessions[plan]
	if len(b.recs) > 0 && b.recs[0].Version > 1 {
		oldest = b.recs[0].Version
	}
	return oldest, b.at.Version
}

// flush loses a session altogether; a new one takes its place in the play.
func (s *simulation) flush(plan uuid.UUID) {
	if s.gone[plan] {
		return
	}
	s.tally.Flushes++
	s.gone[plan] = true
	s.forget(plan)
	s.plans = append(s.plans, s.create(len(s.plans)+1))
}

// enter lets somebody join: live, or behind some position that somebody saw.
func (s *simulation) enter(plan uuid.UUID) {
	after := hub.After{}
	if n := s.rng.IntN(4); n > 0 && len(s.crowd) > 0 {
		other := s.crowd[s.rng.IntN(len(s.crowd))]
		if at, known := other.stands(); known && other.session == plan {
			if after = behind(at); n == 3 {
				after = bare(at.Version)
			}
		}
	}
	s.tally.Joins++
	s.crowd = append(s.crowd, &visitor{person: s.joins(s.t, plan, after), after: after})
}

// visit has somebody who is there leave, stop or begin to read, or come back at once with its position.
func (s *simulation) visit() {
	if len(s.crowd) == 0 {
		return
	}
	v := s.crowd[s.rng.IntN(len(s.crowd))]
	at, known := v.stands()
	switch n := s.rng.IntN(5); {
	case v.left || v.isOver():
	case n == 0:
		v.left = true
		v.leaves()
	case n == 1 && known:
		v.left = true
		v.leaves()
		s.tally.Joins++
		s.crowd = append(s.crowd, &visitor{person: s.joins(s.t, v.session, behind(at)), after: behind(at)})
	default:
		v.pause(n == 2)
	}
}

// heal ends all faults and lets everybody read. Before that each session is forked without a sound, half of them to
// another state of the same version.
func (s *simulation) heal() {
	wait(3 * time.Second) // outages and cuts end by themselves
	s.set(func(f *redis) { f.deaf = true })
	for _, plan := range s.plans {
		if !s.gone[plan] {
			_, before := s.reach(plan)
			s.fork(plan)
			if _, after := s.reach(plan); after < before && s.rng.IntN(2) == 0 {
				s.write(plan, int(before-after))
			}
		}
	}
	s.set(func(f *redis) { f.deaf = false })
	s.loss = 0
	for _, v := range s.crowd {
		v.pause(false)
	}
	switch s.end {
	case byConfirmation:
		s.cut(time.Millisecond)
	case byNextCommit:
		for _, plan := range s.plans {
			s.write(plan, 1)
		}
	}
	wait(7 * time.Second)
}

func (s *simulation) check() {
	for i, v := range s.crowd {
		v.mu.Lock()
		fmt.Fprintf(&s.story, "%d: in %x, left %v, ended %v, starts", i, v.session[15], v.left, v.err)
		for n, at := range v.starts {
			s.judge(v, n, at)
		}
		fmt.Fprintf(&s.story, ", saw %v\n", v.seen)
		s.tally.Refills += v.refills
		switch {
		case v.left:
		case s.gone[v.session]:
			if !errors.Is(v.err, hub.ErrNoSession) && !errors.Is(v.err, hub.ErrUnavailable) {
				s.t.Errorf("%d: still in a session that is lost", i)
			}
		case v.ended && (!errors.Is(v.err, hub.ErrUnavailable) || len(v.starts) > 0):
			s.t.Errorf("%d: ended with %v after %d starts", i, v.err, len(v.starts))
		case !v.ended && v.at != s.head(v.session):
			s.t.Errorf("%d: at %v, the session is at %v", i, v.at, s.head(v.session))
		}
		v.mu.Unlock()
	}
}

// judge looks at a start: only the first may be resumed, and then exactly where the client was.
func (s *simulation) judge(v *visitor, n int, at hub.Start) {
	fmt.Fprintf(&s.story, " %d %v %s", at.Position.Version, at.Resumed, at.Reason)
	switch {
	case at.Resumed:
		s.tally.Resumes++
		same := at.Position.Version == v.after.Position.Version && (!v.after.Proven || at.Position == v.after.Position)
		if n > 0 || !v.after.Given || !same {
			s.t.Errorf("start %d resumed at %v, asked for %+v", n, at.Position, v.after)
		}
	case at.Reason != "":
		s.tally.Resyncs++
	case n > 0 || v.after.Given:
		s.t.Errorf("start %d at %v is neither resumed nor a resync", n, at.Position)
	}
}
