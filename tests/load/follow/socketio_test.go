package follow_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/talus-tally/talus/tests/load/follow"
)

// peer speaks to one kind of Socket.IO client: its wire makes bytes of packets.
type peer struct {
	follow.Dialect
	names func(string) string // of events
	wire  func(packets ...string) []byte
}

func peers() []peer {
	planned := func(name string) string { return name }
	shipped := func(name string) string {
		return strings.ReplaceAll(strings.TrimPrefix(name, "graph:"), ":", "-")
	}
	messages := func(packets ...string) (b []byte) {
		for _, p := range packets {
			b = append(b, native(1, p)...)
		}
		return b
	}
	body := func(packets ...string) []byte { return []byte(strings.Join(packets, "\x1e")) }
	return []peer{
		{follow.SocketIO{}, planned, messages},
		{follow.SocketIO{Shipped: true}, shipped, messages},
		{follow.Polling{}, planned, body},
	}
}

func (p peer) event(name, members string) string {
	return fmt.Sprintf(`42/graph,["%s",{"session_id":"s"%s}]`, p.names(name), members)
}

// joined are the packets up to joined.
func (p peer) joined() []string {
	all := []string{`0{"sid":"abc","upgrades":[]}`, `40/graph,{"sid":"u"}`, p.event("session:connected", `,"client_count":1`)}
	if p.Name() == "shipped" {
		all = append(all, `42/graph,["joined",{"session_id":"s"}]`)
	}
	return all
}

func (p peer) commit(version int) []string {
	members := fmt.Sprintf(`,"epoch":"aa","version":%d`, version)
	return []string{
		p.event("command:executing", members),
		p.event("graph:property-changed", fmt.Sprintf(`%s,"new_value":"t=%d"`, members, 1000+version)),
		p.event("command:executed", members),
	}
}

func (p peer) commits(versions ...int) (all []string) {
	for _, v := range versions {
		all = append(all, p.commit(v)...)
	}
	return all
}

func (p peer) room(head uint64) *follow.Room {
	r := follow.NewRoom("s", p.Dialect, 4)
	r.Head = head
	return r
}

func TestAFollowerOfEventsSeesEachVersionOnceWhenAllItsEventsHaveCome(t *testing.T) {
	t.Parallel()
	for _, p := range peers() {
		t.Run(p.Name(), func(t *testing.T) {
			t.Parallel()
			r := p.room(3)
			packets := append(p.joined(), p.commits(4, 5, 6)...)
			packets = append(packets, p.event("session:status", `,"status":"live"`), "6")
			for size := 1; size <= len(packets); size++ {
				var f follow.Follower
				var h heard
				for i := 0; i < len(packets); i += size {
					b := p.wire(packets[i:min(i+size, len(packets))]...)
					if n, err := f.Take(r, b, &h); err != nil || n != len(b) {
						t.Fatalf("in pieces of %d: took %d of %d, %v", size, n, len(b), err)
					}
				}
				if h.joined != 1 || fmt.Sprint(h.versions, h.dues) != "[4 5 6] [1004 1005 1006]" || f.Version() != 6 {
					t.Fatalf("in pieces of %d: %+v", size, h)
				}
			}
		})
	}
}

func TestAStreamOfEventsThatIsWrongIsRefusedWithTheReason(t *testing.T) {
	t.Parallel()
	for _, p := range peers() {
		partial := slices.Concat(p.commit(4)[:2], p.commit(5))
		swapped := p.commit(4)
		swapped[1] = p.event("graph:property-changed", `,"epoch":"aa","version":4,"new_value":"other"`)
		for name, c := range map[string]struct {
			packets []string
			want    error
		}{
			"a hole":             {append(p.joined(), p.commits(4, 6)...), follow.ErrGap},
			"a hole at once":     {append(p.joined(), p.commits(5)...), follow.ErrGap},
			"a repeat":           {append(p.joined(), p.commits(4, 4)...), follow.ErrGap},
			"the end is missing": {append(p.joined(), partial...), follow.ErrGap},
			"other bytes":        {append(p.joined(), swapped...), follow.ErrDiffer},
			"before it has come": {p.commits(4), follow.ErrGap},
			"a resync":           {append(p.joined(), p.event("session:resync", `,"epoch":"aa","version":9`)), follow.ErrResync},
			"a refusal":          {[]string{`44/graph,{"message":"no"}`}, follow.ErrGarble},
		} {
			t.Run(p.Name()+"/"+name, func(t *testing.T) {
				t.Parallel()
				r := p.room(3)
				var first, f follow.Follower
				if _, err := first.Take(r, p.wire(append(p.joined(), p.commits(4)...)...), &heard{}); err != nil {
					t.Fatal(err)
				}
				if _, err := f.Take(r, p.wire(c.packets...), &heard{}); !errors.Is(err, c.want) {
					t.Errorf("got %v, want %v", err, c.want)
				}
			})
		}
	}
}

func TestAFollowerSkipsWhatIsInTheGraphItHas(t *testing.T) {
	t.Parallel()
	for _, p := range peers() {
		var f follow.Follower
		var h heard
		if _, err := f.Take(p.room(5), p.wire(append(p.joined(), p.commits(4, 5, 6)...)...), &h); err != nil || fmt.Sprint(h.versions) != "[6]" {
			t.Errorf("%s: %+v, %v", p.Name(), h, err)
		}
	}
}

func TestAFollowerOfEventsSaysWhereItWantsToBeAndAnswersPings(t *testing.T) {
	t.Parallel()
	for _, p := range peers() {
		var h heard
		var f follow.Follower
		want := 2 // CONNECT and a pong
		if p.Name() == "shipped" {
			want++ // join_session
		}
		if _, err := f.Take(p.room(3), p.wire(append(p.joined(), "2")...), &h); err != nil || h.answers != want {
			t.Errorf("%s: %d answers, want %d, %v", p.Name(), h.answers, want, err)
		}
	}
}

func TestABodyIsWholeWhenAsMuchHasComeAsItsHeadSays(t *testing.T) {
	t.Parallel()
	text := "HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 5\r\n\r\n2\x1e4ab"
	for i := range text {
		if body, err := follow.Whole([]byte(text[:i])); err != nil || body.Size != 0 {
			t.Errorf("%d bytes: %+v, %v", i, body, err)
		}
	}
	body, err := follow.Whole([]byte(text + "rest"))
	if err != nil || body.Size != len(text) || body.Status != 200 || string(body.Text) != "2\x1e4ab" {
		t.Errorf("%+v, %v", body, err)
	}
	if _, err := follow.Whole([]byte("HTTP/1.1 200 OK\r\n\r\n")); !errors.Is(err, follow.ErrGarble) {
		t.Errorf("no length: %v", err)
	}
}
