package edge_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/eventlog"
	"github.com/talus-tally/talus/pkg/redistest"
	"github.com/talus-tally/talus/services/edge"
)

// returns is auth of a client that comes back with what it has.
func (s *session) returns(pid, offset string) string {
	return s.named(fmt.Sprintf(`,"recover":true,"pid":"%s","offset":"%s"`, pid, offset))
}

// goesAway connects a client that wants to recover, and cuts it off at its first offset.
func (s *session) goesAway(e *edge.Edge) (was *peer, offset string) {
	s.t.Helper()
	was = connects(s.t, e, s.named(`,"recover":true`))
	offset = was.event("session:position").Offset
	_ = was.conn.CloseNow()
	return was, offset
}

// recovers comes back on an edge and reads the events of the versions from … to, of n events each, of which skip of the first
// are known, and then the answer to CONNECT. It returns the last offset.
func (s *session) recovers(e *edge.Edge, was *peer, offset string, from, to uint64, n, skip int) (*peer, string) {
	s.t.Helper()
	p := meets(s.t, e, "")
	p.hears("0{")
	p.says("40/graph," + s.returns(was.pid, offset))
	for v := from; v <= to; v++ {
		for i := skip + 1; i <= n; i++ {
			got := p.event("graph:node-created")
			if got.Version != v || got.Number != i {
				s.t.Fatalf("got %+v, want event %d of version %d", got, i, v)
			}
			offset = got.Offset
		}
		skip = 0
	}
	p.connected()
	if p.id != was.id || p.pid != was.pid {
		s.t.Errorf("came back as %s %s, was %s %s", p.id, p.pid, was.id, was.pid)
	}
	return p, offset
}

func TestAClientRecoversOnAnyEdgeAndGetsEachEventOnce(t *testing.T) {
	t.Parallel()
	a, stop := serve(t, edge.Config{Drain: time.Millisecond})
	b, _ := serve(t, edge.Config{})
	plan := creates(t, redistest.URL(t))
	ann := connects(t, a, plan.named(`,"recover":true`))
	start := ann.event("session:position").Offset
	ann.event("session:connected")
	var offsets []string
	plan.commitsEvents(3)
	for range 3 {
		offsets = append(offsets, ann.event("graph:node-created").Offset)
	}
	stop()
	plan.commitsEvents(3)
	plan.commitsEvents(3)

	plan.recovers(b, ann, start, 1, 3, 3, 0)      // nothing was received
	plan.recovers(b, ann, offsets[0], 1, 3, 3, 1) // a part of a commit was
	plan.recovers(b, ann, offsets[1], 1, 3, 3, 2)
	ann, last := plan.recovers(b, ann, offsets[2], 2, 3, 3, 0)
	ann, _ = plan.recovers(b, ann, last, 4, 3, 3, 0) // nothing was missed
	plan.commitsEvents(3)
	for { // who comes and goes may be told first
		text, err := ann.next()
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(text, `["session:`) {
			if !strings.HasPrefix(text, `42/graph,["graph:node-created",`) || !strings.Contains(text, `"version":4,"n":1}`) {
				t.Errorf("after the recovery: %s", text)
			}
			break
		}
	}
}

func TestAClientOfTheShippedDialectRecoversWhatItHadJoined(t *testing.T) {
	t.Parallel()
	e, _ := serve(t, edge.Config{})
	plan := creates(t, redistest.URL(t))
	ann := connects(t, e, `{"recover":true}`)
	ann.says(fmt.Sprintf(`42/graph,["join_session",{"session_id":"%s"}]`, plan.id))
	offset := ann.event("session-position").Offset
	ann.event("session-connected")
	ann.event("joined")
	ann.says(fmt.Sprintf(`42/graph,["join_session",{"session_id":"%s"}]`, creates(t, redistest.URL(t)).id))
	if got := ann.event("error"); !strings.Contains(got.Message, "too many sessions") {
		t.Errorf("a second session: %+v", got)
	}
	plan.commitsEvents(2)
	for range 2 {
		ann.event("node-created")
	}

	p := meets(t, e, "")
	p.hears("0{")
	p.says(fmt.Sprintf(`40/graph,{"recover":true,"pid":"%s","offset":"%s"}`, ann.pid, offset))

	for range 2 {
		p.event("node-created") // again: it came back with the offset before
	}
	if p.connected(); p.id != ann.id || p.pid != ann.pid {
		t.Errorf("came back as %s %s", p.id, p.pid)
	}
}

func TestWhoMissedMoreThanTheRingHoldsRecoversFromTheLog(t *testing.T) {
	t.Parallel()
	e, _ := serve(t, edge.Config{})
	plan := creates(t, redistest.URL(t))
	ann, start := plan.goesAway(e)
	for range 1500 {
		plan.commitsEvents(1)
	}

	plan.recovers(e, ann, start, 1, 1500, 1, 0)
}

func TestAPollingClientThatMissedMoreThanAQueueHasEntriesRecovers(t *testing.T) {
	t.Parallel()
	const commits = 600
	e, _ := serve(t, edge.Config{})
	plan := creates(t, redistest.URL(t))
	ann, start := plan.goesAway(e)
	for range commits {
		plan.commitsEvents(1)
	}

	sid := polls(t, e)
	request(t, e, http.MethodPost, "&sid="+sid, "40/graph,"+plan.returns(ann.pid, start))
	version, connected := 0, false
	for !connected {
		status, body := request(t, e, http.MethodGet, "&sid="+sid, "")
		if status != http.StatusOK {
			t.Fatalf("after version %d: %d %s", version, status, body)
		}
		for packet := range strings.SplitSeq(body, "\x1e") {
			switch {
			case strings.HasPrefix(packet, "40/graph,"):
				connected = true
			case strings.Contains(packet, "node-created"):
				if version++; !strings.Contains(packet, fmt.Sprintf(`"version":%d,`, version)) {
					t.Fatalf("got %s, want version %d", packet, version)
				}
			}
		}
	}
	if version != commits {
		t.Errorf("connected after %d of %d versions", version, commits)
	}
}

// A client that is told another pid reads the graph anew: nothing is replayed to it.
func TestWhatCannotBeRecoveredBeginsAnew(t *testing.T) {
	t.Parallel()
	e, _ := serve(t, edge.Config{})
	b, _ := serve(t, edge.Config{})
	plan := createsWith(t, redistest.URL(t), eventlog.Config{Retention: 20, MinAge: time.Nanosecond})
	other := creates(t, redistest.URL(t))
	ann := connects(t, e, plan.named(`,"recover":true`))
	start := ann.event("session:position").Offset
	ben := connects(t, e, other.named(`,"recover":true`))
	elsewhere := ben.event("session:position").Offset
	fork := start[:len(start)-16] + "0123456789abcdef"
	for range 400 {
		plan.commitsEvents(1)
	}

	for name, auth := range map[string]string{
		"no offset":                  plan.named(`,"recover":true,"pid":"` + ann.pid + `"`),
		"an offset of another":       plan.returns(ann.pid, elsewhere),
		"another branch":             plan.returns(ann.pid, fork),
		"trimmed":                    plan.returns(ann.pid, start),
		"no pid":                     plan.returns("", start),
		"a forged pid":               plan.returns(ann.pid[:30]+flipped(ann.pid[30])+ann.pid[31:], start),
		"half a pid":                 plan.returns(ann.pid[:20], start),
		"the pid of another dialect": plan.returns(connects(t, e, `{"recover":true}`).pid, start),
		"not asked for":              plan.named(`,"pid":"` + ann.pid + `","offset":"` + start + `"`),
	} {
		p := connects(t, b, auth)
		if p.pid == ann.pid || (p.pid == "") != (name == "not asked for") {
			t.Errorf("%s: pid %q, was %q", name, p.pid, ann.pid)
		}
		if p.id == ann.id {
			t.Errorf("%s: the id is that of before", name)
		}
	}
	p := meets(t, b, "")
	p.hears("0{")
	gone := uuid.NewString()
	p.says(fmt.Sprintf(`40/graph,{"session_id":"%s","recover":true,"pid":"%s","offset":"%s"}`, gone, ann.pid, gone+start[36:]))
	p.hears(`44/graph,{"message":"Session not found`)
}

// Who missed too much to be sent it before CONNECT is answered is one more client under a new id, and live.
func TestWhoMissedMoreThanIsReplayedBeginsAnew(t *testing.T) {
	t.Parallel()
	e, _ := serve(t, edge.Config{})
	plan := creates(t, redistest.URL(t))
	ann, start := plan.goesAway(e)
	for range 40 {
		if err := plan.commit(t.Context(), 100<<10); err != nil {
			t.Fatal(err)
		}
	}

	p := connects(t, e, plan.returns(ann.pid, start))
	at := p.event("session:position")
	for own := p.event("session:connected"); own.Client != p.id; { // who was there before may be told of first
		own = p.event("session:connected")
	}
	plan.commitsEvents(1)
	next := p.event("graph:node-created")

	if p.id == ann.id || p.pid == ann.pid {
		t.Errorf("came back as %s %s, was %s %s", p.id, p.pid, ann.id, ann.pid)
	}
	if at.Version != 40 || next.Version != 41 {
		t.Errorf("told version %d, then got %d", at.Version, next.Version)
	}
}

// flipped is another character of the same kind.
func flipped(c byte) string {
	if c == 'x' {
		return "y"
	}
	return "x"
}

func TestEdgesWithAnotherSecretDoNotTrustEachOther(t *testing.T) {
	t.Parallel()
	a, _ := serve(t, edge.Config{Secret: "one secret of many letters"})
	b, _ := serve(t, edge.Config{Secret: "another one, as long"})
	same, _ := serve(t, edge.Config{Secret: "one secret of many letters"})
	plan := creates(t, redistest.URL(t))
	ann := connects(t, a, plan.named(`,"recover":true`))
	start := ann.event("session:position").Offset
	plan.commitsEvents(1)

	plan.recovers(same, ann, start, 1, 1, 1, 0)
	if p := connects(t, b, plan.returns(ann.pid, start)); p.pid == ann.pid {
		t.Error("a pid that was signed with another secret is accepted")
	}
}
