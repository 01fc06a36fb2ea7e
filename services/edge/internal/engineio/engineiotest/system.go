// Package engineiotest runs an Engine.IO endpoint for tests and speaks to it as clients do, packet by packet and frame by
// frame, so that tests can say what is on the wire. A peer that does not get what a test wants fails it.
package engineiotest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/talus-tally/talus/services/edge/internal/engineio"
	"github.com/talus-tally/talus/services/edge/internal/socket"
	"github.com/talus-tally/talus/services/edge/internal/socket/sockettest"
)

// The bodies of the errors that tests meet most.
const (
	Unknown = `{"code":1,"message":"Session ID unknown"}`
	Bad     = `{"code":3,"message":"Bad request"}`
)

// System is a server with one endpoint, /engine.io.
type System struct {
	*engineio.Server
	Addr    string
	Sockets *socket.Server
	tb      testing.TB
}

// Serve runs a server until the test ends; then all sessions must be over.
func Serve(tb testing.TB, transport socket.Config, cfg engineio.Config, h engineio.Handler) *System {
	tb.Helper()
	if transport.VisitEvery == 0 {
		transport.VisitEvery = 10 * time.Millisecond
	}
	sockets, err := socket.New(transport, nil)
	if err != nil {
		tb.Fatal(err)
	}
	server, err := engineio.New(cfg, sockets, h)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { // after the sockets have ended
		if n := server.Stats().Sessions; n != 0 {
			tb.Errorf("%d sessions are left", n)
		}
	})
	addr := sockettest.Serve(tb, sockets, func(app *fiber.App) { app.All("/engine.io", server.Serve) })
	return &System{server, addr, sockets, tb}
}

// In is the system as a subtest sees it.
func (sys *System) In(tb testing.TB) *System {
	same := *sys
	same.tb = tb
	return &same
}

// Answer is a whole response.
type Answer struct {
	Status int
	Header http.Header
	Body   string
}

// Do sends one request with headers, given as names and values, and waits for its answer.
func (sys *System) Do(method, query, body string, headers ...string) Answer {
	sys.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, "http://"+sys.Addr+"/engine.io/?"+query, strings.NewReader(body))
	if err != nil {
		sys.tb.Error(err)
		return Answer{}
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "text/plain;charset=UTF-8")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		sys.tb.Errorf("%s %s: %v", method, query, err)
		return Answer{}
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		sys.tb.Errorf("%s %s: %v", method, query, err)
	}
	return Answer{resp.StatusCode, resp.Header, string(text)}
}

// Wants compares an answer.
func (sys *System) Wants(a Answer, status int, body string) {
	sys.tb.Helper()
	if a.Status != status || a.Body != body {
		sys.tb.Fatalf("answered %d %q, want %d %q", a.Status, a.Body, status, body)
	}
}

// Poller is a session over polling.
type Poller struct {
	*System
	ID string
}

// Opens makes a session over polling. Extra is more of the query, beginning with &.
func (sys *System) Opens(extra ...string) Poller {
	sys.tb.Helper()
	a := sys.Do(http.MethodGet, "EIO=4&transport=polling"+strings.Join(extra, ""), "")
	var open struct {
		ID string `json:"sid"`
	}
	if a.Status != http.StatusOK || !strings.HasPrefix(a.Body, "0{") || json.Unmarshal([]byte(a.Body[1:]), &open) != nil {
		sys.tb.Fatalf("handshake answered %d %q", a.Status, a.Body)
	}
	return Poller{sys, open.ID}
}

// Query is the query of the session's requests.
func (p Poller) Query() string { return "EIO=4&transport=polling&sid=" + p.ID }

// Get polls.
func (p Poller) Get() Answer {
	p.tb.Helper()
	return p.Do(http.MethodGet, p.Query(), "")
}

// Post sends packets.
func (p Poller) Post(body string) Answer {
	p.tb.Helper()
	return p.Do(http.MethodPost, p.Query(), body)
}

// Says sends packets, which must be accepted.
func (p Poller) Says(packets ...string) {
	p.tb.Helper()
	p.Wants(p.Post(strings.Join(packets, "\x1e")), http.StatusOK, "ok")
}

// Polls begins a GET and returns when the server has it; its answer comes later.
func (p Poller) Polls() <-chan Answer {
	p.tb.Helper()
	before := p.Stats().Polls
	later := make(chan Answer, 1)
	go func() { later <- p.Get() }()
	sockettest.Eventually(p.tb, "the poll arrives", func() bool { return p.Stats().Polls > before })
	return later
}

// Hears reads packets with as many polls as they need.
func (p Poller) Hears(packets ...string) {
	p.tb.Helper()
	var got []string
	for len(got) < len(packets) {
		a := p.Get()
		if a.Status != http.StatusOK {
			p.tb.Fatalf("poll answered %d %q after %q", a.Status, a.Body, got)
		}
		got = append(got, strings.Split(a.Body, "\x1e")...)
	}
	if fmt.Sprint(got) != fmt.Sprint(packets) {
		p.tb.Fatalf("got packets %q, want %q", got, packets)
	}
}

// IsOver waits until the session is unknown.
func (p Poller) IsOver() {
	p.tb.Helper()
	sockettest.Eventually(p.tb, "the session ends", func() bool { return p.Post("6").Body == Unknown })
}

// Probes opens the WebSocket of an upgrade and lets it be answered.
func (p Poller) Probes() *Wire {
	p.tb.Helper()
	w := p.Dials("EIO=4&transport=websocket&sid=" + p.ID)
	w.Says("2probe")
	w.Hears("3probe")
	return w
}

// Moves upgrades the session.
func (p Poller) Moves() *Wire {
	p.tb.Helper()
	w := p.Probes()
	before := p.Stats().Upgraded
	w.Says("5")
	sockettest.Eventually(p.tb, "the session moves", func() bool { return p.Stats().Upgraded > before })
	return w
}
