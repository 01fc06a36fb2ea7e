package engineio_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/talus-tally/talus/services/edge/internal/engineio"
	"github.com/talus-tally/talus/services/edge/internal/engineio/engineiotest"
	"github.com/talus-tally/talus/services/edge/internal/socket"
	"github.com/talus-tally/talus/services/edge/internal/socket/sockettest"
)

func TestEveryBadRequestIsAnsweredWithItsError(t *testing.T) {
	t.Parallel()
	sys := serve(t, engineio.Config{}, echo())
	known := "&sid=" + sys.Opens().ID

	for name, want := range map[string]struct {
		method, query string
		status, code  int
		message       string
	}{
		"no transport":                          {"GET", "EIO=4", 400, 0, "Transport unknown"},
		"another transport":                     {"GET", "EIO=4&transport=tcp", 400, 0, "Transport unknown"},
		"another transport goes before the id":  {"GET", "EIO=4&transport=tcp&sid=x", 400, 0, "Transport unknown"},
		"unknown session":                       {"GET", "EIO=4&transport=polling&sid=x", 400, 1, "Session ID unknown"},
		"unknown session in a POST":             {"POST", "EIO=4&transport=polling&sid=x", 400, 1, "Session ID unknown"},
		"a session cannot begin with a POST":    {"POST", "EIO=4&transport=polling", 400, 2, "Bad handshake method"},
		"nor with a PUT":                        {"PUT", "EIO=3&transport=websocket", 400, 2, "Bad handshake method"},
		"a WebSocket needs an upgrade":          {"GET", "EIO=4&transport=websocket", 400, 3, "Bad request"},
		"a session keeps its transport":         {"GET", "EIO=4&transport=websocket" + known, 400, 3, "Bad request"},
		"a session takes no DELETE":             {"DELETE", "EIO=4&transport=polling" + known, 400, 3, "Bad request"},
		"version 3":                             {"GET", "EIO=3&transport=polling", 400, 5, "Unsupported protocol version"},
		"no version":                            {"GET", "transport=polling", 400, 5, "Unsupported protocol version"},
		"the transport goes before the version": {"GET", "EIO=3&transport=websocket", 400, 3, "Bad request"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sys := sys.In(t)
			a := sys.Do(want.method, want.query, "", "Origin", "http://"+sys.Addr)

			body := fmt.Sprintf(`{"code":%d,"message":"%s"}`, want.code, want.message)
			if a.Status != want.status || a.Body != body {
				t.Errorf("answered %d %s, want %d %s", a.Status, a.Body, want.status, body)
			}
			if got := a.Header.Get("Content-Type"); got != "application/json" {
				t.Errorf("Content-Type is %q", got)
			}
			if got := a.Header.Get("Access-Control-Allow-Origin"); got != "http://"+sys.Addr {
				t.Errorf("a browser would hide it: Access-Control-Allow-Origin is %q", got)
			}
			if got := a.Header.Get("Cache-Control"); got != "no-store" {
				t.Errorf("Cache-Control is %q", got)
			}
		})
	}
}

func TestABadUpgradeIsRefusedInPlainTextBeforeItSwitches(t *testing.T) {
	t.Parallel()
	sys := serve(t, engineio.Config{Origins: []string{"https://good.example"}}, echo())

	for name, want := range map[string]struct {
		query, origin string
		status        int
		body          string
	}{
		"unknown session": {"EIO=4&transport=websocket&sid=x", "", 400, "Session ID unknown"},
		"version 3":       {"EIO=3&transport=websocket", "", 400, "Unsupported protocol version"},
		"polling":         {"EIO=4&transport=polling", "", 400, "Bad request"},
		"no transport":    {"EIO=4", "", 400, "Transport unknown"},
		"foreign page":    {"EIO=4&transport=websocket", "https://evil.example", 403, "Forbidden"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sys := sys.In(t)
			var headers []string
			if want.origin != "" {
				headers = []string{"Origin", want.origin}
			}
			a, _ := sys.Upgrades(want.query, headers...)
			sys.Wants(a, want.status, want.body)
		})
	}
}

func TestTheHandshakeIsExact(t *testing.T) {
	t.Parallel()
	sys := serve(t, engineio.Config{}, guests{open: func(s *engineio.Session) { _ = s.Send(engineio.AppendMessage(nil, []byte("hello"))) }})
	const rest = `"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}`

	a := sys.Do("GET", "EIO=4&transport=polling", "")
	id := sid(t, a.Body)
	sys.Wants(a, 200, `0{"sid":"`+id+`","upgrades":["websocket"],`+rest)
	if len(id) != 20 || strings.Trim(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
		t.Errorf("the id is %q", id)
	}
	if got := a.Header.Get("Content-Type"); got != "text/plain; charset=UTF-8" {
		t.Errorf("Content-Type is %q", got)
	}
	engineiotest.Poller{System: sys, ID: id}.Hears("4hello")

	w := sys.Dials("EIO=4&transport=websocket")
	_, text := w.Next()
	if want := `0{"sid":"` + sid(t, text) + `","upgrades":[],` + rest; text != want {
		t.Errorf("the first frame is %q, want %q", text, want)
	}
	w.Hears("4hello")
}

func sid(t *testing.T, packet string) string {
	t.Helper()
	var open struct {
		ID string `json:"sid"`
	}
	if err := json.Unmarshal([]byte(strings.TrimPrefix(packet, "0")), &open); err != nil {
		t.Fatalf("%q: %v", packet, err)
	}
	return open.ID
}

func TestThePathMayEndWithASlashOrNot(t *testing.T) {
	t.Parallel()
	sys := serve(t, engineio.Config{}, echo())

	for _, path := range []string{"/engine.io", "/engine.io/"} {
		resp, err := http.Get("http://" + sys.Addr + path + "?EIO=4&transport=polling")
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %d", path, resp.StatusCode)
		}
	}
}

func TestOriginsAreComparedAsText(t *testing.T) {
	t.Parallel()
	sys := serve(t, engineio.Config{Origins: []string{"tauri://localhost", "null", "https://good.example"}, Credentials: true}, echo())

	for name, want := range map[string]struct {
		origin  string
		allowed bool
	}{
		"a program has none":     {"", true},
		"a listed one":           {"https://good.example", true},
		"a scheme of its own":    {"tauri://localhost", true},
		"the literal null":       {"null", true},
		"the same host":          {"http://" + sys.Addr, true},
		"another":                {"https://evil.example", false},
		"a listed one as a part": {"https://good.example.evil.example", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sys := sys.In(t)
			var headers []string
			if want.origin != "" {
				headers = []string{"Origin", want.origin}
			}
			a := sys.Do("GET", "EIO=4&transport=polling", "", headers...)
			if !want.allowed {
				sys.Wants(a, 403, `{"code":4,"message":"Forbidden"}`)
				if a.Header.Get("Access-Control-Allow-Origin") != "" {
					t.Error("the page may read the answer")
				}
				return
			}
			if a.Status != 200 || a.Header.Get("Access-Control-Allow-Origin") != want.origin {
				t.Errorf("answered %d, allows %q", a.Status, a.Header.Get("Access-Control-Allow-Origin"))
			}
			if want.origin != "" && (a.Header.Get("Access-Control-Allow-Credentials") != "true" || !strings.Contains(a.Header.Get("Vary"), "Origin")) {
				t.Errorf("headers %v", a.Header)
			}
		})
	}
}

func TestASessionIsNotForForeignPages(t *testing.T) {
	t.Parallel()
	sys := serve(t, engineio.Config{}, echo())
	p := sys.Opens()

	a := sys.Do("GET", p.Query(), "", "Origin", "https://evil.example")

	sys.Wants(a, 403, `{"code":4,"message":"Forbidden"}`)
	p.Wants(p.Post("4still here"), 200, "ok")
	p.Hears("4still here")
}

func TestAPreflightIsAnsweredWhateverTheQuery(t *testing.T) {
	t.Parallel()
	sys := serve(t, engineio.Config{Origins: []string{"https://good.example"}}, echo())

	for _, query := range []string{"", "EIO=4&transport=polling", "transport=what&sid=nobody"} {
		a := sys.Do("OPTIONS", query, "", "Origin", "https://good.example",
			"Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "x-token,content-type")
		sys.Wants(a, 204, "")
		for header, want := range map[string]string{
			"Access-Control-Allow-Origin": "https://good.example", "Access-Control-Allow-Methods": "GET,POST",
			"Access-Control-Allow-Headers": "x-token,content-type", "Access-Control-Max-Age": "600",
		} {
			if got := a.Header.Get(header); got != want {
				t.Errorf("%q: %s is %q, want %q", query, header, got, want)
			}
		}
	}
	if a := sys.Do("OPTIONS", "", "", "Origin", "https://evil.example"); a.Status != 204 || a.Header.Get("Access-Control-Allow-Methods") != "" {
		t.Errorf("a foreign page gets %d %v", a.Status, a.Header)
	}
}

func TestSessionsAreLimitedInAllAndByAddress(t *testing.T) {
	t.Parallel()
	sys := engineiotest.Serve(t, socket.Config{Limits: socket.Limits{Connections: 2}}, engineio.Config{}, echo())
	first := sys.Opens()
	sys.OpensWebSocket()
	a := sys.Do("GET", "EIO=4&transport=polling", "")
	if a.Status != 503 || a.Header.Get("Retry-After") == "" {
		t.Errorf("a third session gets %d, Retry-After %q", a.Status, a.Header.Get("Retry-After"))
	}
	if a, _ := sys.Upgrades("EIO=4&transport=websocket"); a.Status != 503 {
		t.Errorf("a third WebSocket gets %d", a.Status)
	}
	first.Moves() // the WebSocket of a session is no session
	if n := sys.Sockets.Stats().Connections; n != 2 {
		t.Errorf("%d connections are counted", n)
	}

	sys = engineiotest.Serve(t, socket.Config{Limits: socket.Limits{PerAddress: 1}}, engineio.Config{}, echo())
	sys.Opens()
	if a := sys.Do("GET", "EIO=4&transport=polling", ""); a.Status != 429 || a.Header.Get("Retry-After") == "" {
		t.Errorf("a second session gets %d, Retry-After %q", a.Status, a.Header.Get("Retry-After"))
	}
}

func TestAnUnknownSessionMayBeServedElsewhere(t *testing.T) {
	t.Parallel()
	sys := serve(t, engineio.Config{
		NewID: func() string { return "here-" + engineio.RandomID() },
		Unknown: func(c *fiber.Ctx, id string) (bool, error) {
			if !strings.HasPrefix(id, "there-") {
				return false, nil
			}
			return true, c.Status(299).SendString(c.Method() + " of " + id)
		},
	}, echo())

	if p := sys.Opens(); !strings.HasPrefix(p.ID, "here-") {
		t.Errorf("the id is %q", p.ID)
	}
	sys.Wants(sys.Do("GET", "EIO=4&transport=polling&sid=there-1", ""), 299, "GET of there-1")
	sys.Wants(sys.Do("POST", "EIO=4&transport=polling&sid=there-1", "4x"), 299, "POST of there-1")
	if a, _ := sys.Upgrades("EIO=4&transport=websocket&sid=there-1"); a.Status != 299 {
		t.Errorf("an upgrade gets %d %q", a.Status, a.Body)
	}
	sys.Wants(sys.Do("GET", "EIO=4&transport=polling&sid=gone", ""), 400, engineiotest.Unknown)
}

func TestTheWebSocketsOfSessionsAreLimitedApartFromThem(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		limits socket.Limits
		status int
	}{
		"in all":     {socket.Limits{Connections: 1}, 503},
		"by address": {socket.Limits{PerAddress: 1}, 429},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var refused atomic.Int64
			c.limits.Refused = func(socket.Refusal) { refused.Add(1) }
			sys := engineiotest.Serve(t, socket.Config{Limits: c.limits, Linger: time.Minute}, engineio.Config{}, echo())
			p := sys.Opens()
			query := "EIO=4&transport=websocket&sid=" + p.ID
			w := p.Moves()

			late := p.Dials(query)               // it keeps its end open
			late.IsClosed(engineiotest.NoStatus) // so it was counted, which comes after the answer
			a, _ := sys.Upgrades(query)
			if a.Status != c.status || refused.Load() != 1 {
				t.Errorf("a third WebSocket of one session gets %d, %d are refused", a.Status, refused.Load())
			}
			_ = late.NC.Close()
			sockettest.Eventually(t, "there is room again", func() bool { a, _ := sys.Upgrades(query); return a.Status == 101 })
			w.Says("4still here")
			w.Hears("4still here")
		})
	}
}
