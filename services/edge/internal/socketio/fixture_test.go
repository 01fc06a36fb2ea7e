package socketio_test

import (
	"encoding/base64"
	"encoding/json"
	"math"
	"net/http"
	"strings"
	"testing"

	"github.com/talus-tally/talus/services/edge/internal/engineio"
	"github.com/talus-tally/talus/services/edge/internal/engineio/engineiotest"
	"github.com/talus-tally/talus/services/edge/internal/socket"
	"github.com/talus-tally/talus/services/edge/internal/socket/sockettest"
	"github.com/talus-tally/talus/services/edge/internal/socketio"
)

// serve runs a server of namespaces until the test ends.
func serve(tb testing.TB, cfg socketio.Config, namespaces map[string]socketio.Namespace) *engineiotest.System {
	tb.Helper()
	return engineiotest.Serve(tb, socket.Config{}, engineio.Config{}, socketio.New(cfg, namespaces))
}

// room is a namespace made of functions; all may be nil. Without connect it accepts everybody.
type room struct {
	connect      func(s *socketio.Socket, auth []byte)
	event        func(s *socketio.Socket, e socketio.Event)
	disconnected func(s *socketio.Socket, err error)
}

func (r room) Connect(s *socketio.Socket, auth []byte) socketio.Client {
	if r.connect == nil {
		s.Accept(nil)
	} else {
		r.connect(s, auth)
	}
	return guest{r, s}
}

// Attachments is as many as the server allows.
func (room) Attachments() int { return math.MaxInt }

type guest struct {
	room
	s *socketio.Socket
}

func (g guest) Event(e socketio.Event) {
	if g.event != nil {
		g.event(g.s, e)
	}
}

func (g guest) Disconnected(err error) {
	if g.disconnected != nil {
		g.disconnected(g.s, err)
	}
}

// echo sends each event back, and acknowledges it with its arguments. It refuses who says {"bad":…}.
func echo() room {
	return room{
		connect: func(s *socketio.Socket, auth []byte) {
			var is struct{ Bad json.RawMessage }
			if _ = json.Unmarshal(auth, &is); is.Bad != nil {
				s.Refuse("bad creds", []byte(`{"code":7}`))
				return
			}
			s.Accept(nil)
		},
		event: func(s *socketio.Socket, e socketio.Event) {
			if e.Ack.Wanted() {
				_ = e.Ack.SendBinary(e.Attachments, e.Args...)
				return
			}
			_ = s.EmitBinary(e.Name, e.Attachments, e.Args...)
		},
	}
}

// peer is a client of any transport. Binary messages are packets as in a body: b and base64.
type peer interface {
	says(packets ...string)
	hears(packets ...string)
	next() string
	isClosed() // by the server
}

type polling struct {
	tb      testing.TB
	p       engineiotest.Poller
	waiting []string
}

func (p *polling) says(packets ...string) {
	p.tb.Helper()
	p.p.Says(packets...)
}

func (p *polling) next() string {
	p.tb.Helper()
	if len(p.waiting) == 0 {
		a := p.p.Get()
		if a.Status != http.StatusOK {
			p.tb.Fatalf("poll answered %d %q", a.Status, a.Body)
		}
		p.waiting = strings.Split(a.Body, "\x1e")
	}
	packet := p.waiting[0]
	p.waiting = p.waiting[1:]
	return packet
}

func (p *polling) hears(packets ...string) { p.tb.Helper(); listen(p.tb, p, packets) }

func (p *polling) isClosed() {
	p.tb.Helper()
	p.hears("1")
	p.p.IsOver()
}

type webSocket struct {
	tb testing.TB
	w  *engineiotest.Wire
}

func (w *webSocket) says(packets ...string) {
	w.tb.Helper()
	var all []byte
	for _, packet := range packets {
		if payload, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(packet, "b")); packet != "" && packet[0] == 'b' && err == nil {
			all = append(all, sockettest.Mask(0x82, string(payload))...)
		} else {
			all = append(all, sockettest.Mask(0x81, packet)...)
		}
	}
	w.w.Sends(all)
}

func (w *webSocket) next() string {
	w.tb.Helper()
	op, payload := w.w.Next()
	switch op {
	case 0x81:
		return payload
	case 0x82:
		return "b" + base64.StdEncoding.EncodeToString([]byte(payload))
	default:
		w.tb.Fatalf("got frame %#x %q", op, payload)
		return ""
	}
}

func (w *webSocket) hears(packets ...string) { w.tb.Helper(); listen(w.tb, w, packets) }

func (w *webSocket) isClosed() {
	w.tb.Helper()
	w.w.IsClosed(engineiotest.NoStatus)
}

func listen(tb testing.TB, p peer, packets []string) {
	tb.Helper()
	for _, want := range packets {
		if got := p.next(); got != want {
			tb.Fatalf("got packet %.200q, want %q", got, want)
		}
	}
}

// transports are the ways to carry a session.
var transports = map[string]func(testing.TB, *engineiotest.System) peer{
	"polling": func(tb testing.TB, sys *engineiotest.System) peer { return &polling{tb: tb, p: sys.Opens()} },
	"WebSocket": func(tb testing.TB, sys *engineiotest.System) peer {
		return &webSocket{tb, sys.OpensWebSocket()}
	},
	"a WebSocket after polling": func(tb testing.TB, sys *engineiotest.System) peer {
		return &webSocket{tb, sys.Opens().Moves()}
	},
}

// over runs a test on each transport, one after the other.
func over(t *testing.T, sys *engineiotest.System, test func(t *testing.T, p peer)) {
	t.Helper()
	for name, dial := range transports {
		t.Run(name, func(t *testing.T) { test(t, dial(t, sys.In(t))) })
	}
}

// connects joins a namespace and returns the id there.
func connects(tb testing.TB, p peer, packet string) string {
	tb.Helper()
	p.says(packet)
	return accepted(tb, p)
}

// accepted reads the answer to a CONNECT.
func accepted(tb testing.TB, p peer) string {
	tb.Helper()
	answer := p.next()
	_, object, found := strings.Cut(answer, "{")
	var is struct{ SID string }
	if err := json.Unmarshal([]byte("{"+object), &is); !found || err != nil || len(is.SID) != 20 || !strings.HasPrefix(answer, "40") {
		tb.Fatalf("CONNECT answered %q", answer)
	}
	return is.SID
}
