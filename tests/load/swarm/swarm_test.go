//go:build linux

package swarm_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/talus-tally/talus/tests/harness"
	"github.com/talus-tally/talus/tests/load/follow"
	"github.com/talus-tally/talus/tests/load/swarm"
)

const patience = 20 * time.Second

func addr(url string) []netip.AddrPort {
	return []netip.AddrPort{netip.MustParseAddrPort(strings.TrimPrefix(url, "http://"))}
}

// gather opens n connections to a session.
func gather(t *testing.T, cfg swarm.Config, edge []netip.AddrPort, d follow.Dialect, session string, n int) *swarm.Swarm {
	t.Helper()
	s, err := swarm.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	seats, err := s.Seats(edge, d, session, n)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := s.Open(ctx, seats); err != nil {
		t.Fatal(err)
	}
	return s
}

func await(t *testing.T, s *swarm.Swarm, session string, version uint64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := s.Await(ctx, map[string]uint64{session: version}); err != nil {
		t.Fatal(err)
	}
}

func TestEveryConnectionOfASwarmSeesEveryCommit(t *testing.T) {
	t.Parallel()
	for _, d := range follow.Dialects() {
		t.Run(d.Name(), func(t *testing.T) {
			t.Parallel()
			sys := harness.Start(t, harness.Shape{Commands: 1, Edges: 1})
			plan := sys.NewPlan()
			ann := sys.Joins("ann", plan, sys.Edge(0))
			s := gather(t, swarm.Config{Workers: 2, Pending: 10}, addr(sys.Edge(0).URL), d, plan.ID, 50)

			ann.Creates("house", "plan")
			last := ann.Creates("roof", "house")

			await(t, s, plan.ID, last.Version)
			if c := s.Counts(); c.Open != 50 || c.Joined != 50 || c.Deliveries != 100 || c.Wrong+c.Lost != 0 {
				t.Errorf("%+v", c)
			}
		})
	}
}

func TestASwarmThatWasCutOffGoesOnFromWhereItWas(t *testing.T) {
	t.Parallel()
	for _, d := range follow.Dialects() {
		if !d.Chained() {
			continue
		}
		t.Run(d.Name(), func(t *testing.T) {
			t.Parallel()
			sys := harness.Start(t, harness.Shape{Commands: 1, Edges: 1})
			plan := sys.NewPlan()
			ann := sys.Joins("ann", plan, sys.Edge(0))
			s := gather(t, swarm.Config{}, addr(sys.Edge(0).URL), d, plan.ID, 20)
			await(t, s, plan.ID, ann.Creates("house", "plan").Version)

			seats := s.Drop()
			last := ann.Creates("roof", "house")
			if err := s.Open(t.Context(), seats); err != nil {
				t.Fatal(err)
			}

			await(t, s, plan.ID, last.Version)
			if c := s.Counts(); c.Resumed != 20 || c.Deliveries != 40 || c.Wrong != 0 {
				t.Errorf("%+v", c)
			}
		})
	}
}

func TestASwarmThatIsToldNoPositionComesBackAtTheHead(t *testing.T) {
	t.Parallel()
	for _, d := range follow.Dialects() {
		if d.Chained() {
			continue
		}
		t.Run(d.Name(), func(t *testing.T) {
			t.Parallel()
			sys := harness.Start(t, harness.Shape{Commands: 1, Edges: 1})
			plan := sys.NewPlan()
			ann := sys.Joins("ann", plan, sys.Edge(0))
			s := gather(t, swarm.Config{}, addr(sys.Edge(0).URL), d, plan.ID, 20)
			await(t, s, plan.ID, ann.Creates("house", "plan").Version)

			seats := s.Drop()
			missed := ann.Creates("roof", "house").Version
			ann.Reaches(missed) // and so does her edge
			s.Tell(map[string]uint64{plan.ID: missed})
			if err := s.Open(t.Context(), seats); err != nil {
				t.Fatal(err)
			}
			await(t, s, plan.ID, ann.Creates("door", "house").Version)

			if c := s.Counts(); c.Joined != 40 || c.Resumed != 0 || c.Deliveries != 40 || c.Wrong != 0 {
				t.Errorf("%+v", c)
			}
		})
	}
}

func TestASwarmThatComesTooLateFindsThatItMissedSomething(t *testing.T) {
	t.Parallel()
	for _, d := range follow.Dialects() {
		if d.Chained() {
			continue
		}
		t.Run(d.Name(), func(t *testing.T) {
			t.Parallel()
			sys := harness.Start(t, harness.Shape{Commands: 1, Edges: 1})
			plan := sys.NewPlan()
			ann := sys.Joins("ann", plan, sys.Edge(0))
			s := gather(t, swarm.Config{}, addr(sys.Edge(0).URL), d, plan.ID, 3)
			house := ann.Creates("house", "plan").Version
			await(t, s, plan.ID, house)

			seats := s.Drop()
			ann.Reaches(ann.Creates("roof", "house").Version) // so does her edge, and nobody told them
			s.Tell(map[string]uint64{plan.ID: house})
			if err := s.Open(t.Context(), seats); err != nil {
				t.Fatal(err)
			}
			ann.Creates("door", "house")

			harness.Eventually(t, "all see the hole", func() bool { return s.Counts().Wrong == 3 })
		})
	}
}

func TestNothingIsLeftOfASwarmThatSaidGoodBye(t *testing.T) {
	t.Parallel()
	for _, d := range follow.Dialects() {
		t.Run(d.Name(), func(t *testing.T) {
			t.Parallel()
			sys := harness.Start(t, harness.Shape{Commands: 1, Edges: 1})
			plan := sys.NewPlan()
			ann := sys.Joins("ann", plan, sys.Edge(0))
			s := gather(t, swarm.Config{Workers: 2}, addr(sys.Edge(0).URL), d, plan.ID, 30)
			ann.Counts(31)

			if err := s.Leave(t.Context()); err != nil {
				t.Fatal(err)
			}

			ann.Counts(1)
			if c := s.Counts(); c.Open != 0 || c.Wrong+c.Lost != 0 || len(s.Lost()) != 0 {
				t.Errorf("%+v", c)
			}
		})
	}
}

func TestConnectionsThatTheServerEndsAreCountedAndCanComeBack(t *testing.T) {
	t.Parallel()
	for _, d := range follow.Dialects() {
		t.Run(d.Name(), func(t *testing.T) {
			t.Parallel()
			sys := harness.Start(t, harness.Shape{Commands: 1, Edges: 1, Settings: map[string]string{"TALUS_DRAIN": "1s"}})
			plan := sys.NewPlan()
			s := gather(t, swarm.Config{}, addr(sys.Edge(0).URL), d, plan.ID, 5)

			sys.Edge(0).Stop()

			harness.Eventually(t, "all are sent away", func() bool { return s.Counts().Lost == 5 })
			said := 0
			for _, n := range s.Counts().Farewells {
				said += n
			}
			if c := s.Counts(); said != 5 || c.Wrong != 0 {
				t.Errorf("%+v", c)
			}
			if seats := s.Lost(); len(seats) != 5 {
				t.Errorf("%d seats", len(seats))
			}
		})
	}
}

// liar answers every connection with one text and ends it.
func liar(t *testing.T, text string) []netip.AddrPort {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = c.Read(make([]byte, 1024))
			_, _ = c.Write([]byte(text))
			_ = c.Close()
		}
	}()
	return []netip.AddrPort{netip.MustParseAddrPort(ln.Addr().String())}
}

func TestAServerThatSpeaksWronglyIsFoundOut(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"refuses":       "HTTP/1.1 503 Service Unavailable\r\n\r\nbusy",
		"is no HTTP":    "hello, hello, hello\r\n\r\n",
		"sends garbage": "HTTP/1.1 101 Switching Protocols\r\n\r\n\xff\xff\xff",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := gather(t, swarm.Config{}, liar(t, text), follow.Native{}, "s", 3)
			if c := s.Counts(); c.Wrong != 3 || c.Open != 0 || len(c.Errors) == 0 {
				t.Errorf("%+v", c)
			}
		})
	}
}

func TestASwarmThatCannotJoinSaysWhy(t *testing.T) {
	t.Parallel()
	s, err := swarm.New(swarm.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	seats, err := s.Seats(liar(t, "HTTP/1.1 101 Switching Protocols\r\n"), follow.Native{}, "s", 1)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := s.Open(ctx, seats); err != nil {
		t.Fatal(err)
	}
	if c := s.Counts(); c.Lost != 1 || !strings.Contains(strings.Join(c.Errors, " "), "before it had joined") {
		t.Errorf("%+v", c)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if err := s.Open(ended, seats); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if _, err := s.Seats(nil, follow.Native{}, "s", swarm.MaxConnections+1); err == nil {
		t.Error("more connections than a process may hold")
	}
}
