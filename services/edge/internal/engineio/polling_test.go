package engineio_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/talus-tally/talus/services/edge/internal/engineio"
	"github.com/talus-tally/talus/services/edge/internal/engineio/engineiotest"
)

// host is a Handler that hands its sessions and their ends to the test.
type host struct {
	guests
	sessions chan *engineio.Session
	ends     chan error
}

func newHost() host {
	h := host{echo(), make(chan *engineio.Session, 10), make(chan error, 10)}
	h.open = func(s *engineio.Session) { h.sessions <- s }
	h.closed = func(_ *engineio.Session, err error) { h.ends <- err }
	return h
}

// says sends text messages in one piece.
func says(s *engineio.Session, texts ...string) {
	var frames []byte
	for _, text := range texts {
		frames = engineio.AppendMessage(frames, []byte(text))
	}
	_ = s.Send(frames)
}

// numbers are packets 40, 41 … as they come and as they are sent.
func numbers(n int) (packets, texts []string) {
	for i := range n {
		texts = append(texts, fmt.Sprint(i))
		packets = append(packets, "4"+fmt.Sprint(i))
	}
	return packets, texts
}

func TestAPollWaitsUntilThereIsSomething(t *testing.T) {
	t.Parallel()
	h := newHost()
	p := serve(t, engineio.Config{}, h).Opens()
	later := p.Polls()

	select {
	case a := <-later:
		t.Fatalf("answered too early: %d %q", a.Status, a.Body)
	default:
	}
	says(<-h.sessions, "hello")

	a := <-later
	p.Wants(a, 200, "4hello")
	if a.Header.Get("Content-Type") != "text/plain; charset=UTF-8" || a.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("headers %v", a.Header)
	}
}

func TestAResponseHas16PacketsAtMost(t *testing.T) {
	t.Parallel()
	packets, texts := numbers(50)

	for name, send := range map[string]func(s *engineio.Session){
		"in one piece": func(s *engineio.Session) { says(s, texts...) },
		"one by one": func(s *engineio.Session) {
			for _, text := range texts {
				says(s, text)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHost()
			p := serve(t, engineio.Config{}, h).Opens()

			send(<-h.sessions)

			for _, want := range [][]string{packets[:16], packets[16:32], packets[32:48], packets[48:]} {
				p.Wants(p.Get(), 200, strings.Join(want, "\x1e"))
			}
		})
	}
}

func TestAResponseIsNotMuchLargerThanMaxPayload(t *testing.T) {
	t.Parallel()
	h := newHost()
	p := serve(t, engineio.Config{MaxPayload: 100}, h).Opens()
	small, large := strings.Repeat("s", 45), strings.Repeat("l", 500)

	says(<-h.sessions, small, small, small, large, small)

	p.Wants(p.Get(), 200, "4"+small+"\x1e4"+small)
	p.Wants(p.Get(), 200, "4"+small)
	p.Wants(p.Get(), 200, "4"+large)
	p.Wants(p.Get(), 200, "4"+small)
}

func TestBinaryMessagesAreBase64OverPolling(t *testing.T) {
	t.Parallel()
	p := serve(t, engineio.Config{}, echo()).Opens()

	p.Says("4text", "bAQIDBA==", "b", "bAQID")

	p.Hears("4text", "bAQIDBA==", "b", "bAQID")
}

func TestAnEventAndItsAttachmentsMayBeSplit(t *testing.T) {
	t.Parallel()
	h := newHost()
	p := serve(t, engineio.Config{}, h).Opens()
	frames := engineio.AppendMessage(nil, []byte("header"))
	want := []string{"4header"}
	for i := range 20 {
		frames = engineio.AppendBinary(frames, []byte{byte(i), 0, 0})
		want = append(want, "b"+[]string{"AAAA", "AQAA", "AgAA", "AwAA", "BAAA", "BQAA", "BgAA", "BwAA", "CAAA", "CQAA",
			"CgAA", "CwAA", "DAAA", "DQAA", "DgAA", "DwAA", "EAAA", "EQAA", "EgAA", "EwAA"}[i])
	}

	s := <-h.sessions
	_ = s.Send(frames)
	says(s, "next")

	p.Wants(p.Get(), 200, strings.Join(want[:16], "\x1e"))
	p.Wants(p.Get(), 200, strings.Join(want[16:], "\x1e")+"\x1e4next")
}

func TestTwoPollsAtATimeEndTheSession(t *testing.T) {
	t.Parallel()
	h := newHost()
	p := serve(t, engineio.Config{}, h).Opens()
	first := p.Polls()

	p.Wants(p.Get(), 400, engineiotest.Bad)

	p.Wants(<-first, 200, "1")
	p.Wants(p.Get(), 400, engineiotest.Unknown)
	if err := <-h.ends; !errors.Is(err, engineio.ErrViolation) {
		t.Errorf("ended with %v", err)
	}
}

func TestAPostOfBytesEndsTheSession(t *testing.T) {
	t.Parallel()
	p := serve(t, engineio.Config{}, echo()).Opens()
	pending := p.Polls()

	p.Wants(p.Do("POST", p.Query(), "4x", "Content-Type", "application/octet-stream"), 400, engineiotest.Bad)

	p.Wants(<-pending, 200, "1")
	p.Wants(p.Post("4x"), 400, engineiotest.Unknown)
}

func TestAPostThatIsTooLargeIsRefusedAndTheSessionGoesOn(t *testing.T) {
	t.Parallel()
	p := serve(t, engineio.Config{MaxPayload: 10}, echo()).Opens()

	p.Wants(p.Post("4"+strings.Repeat("x", 10)), 413, "")

	p.Says("4" + strings.Repeat("x", 9))
	p.Hears("4" + strings.Repeat("x", 9))
}

func TestTwoPostsAtATimeEndTheSession(t *testing.T) {
	t.Parallel()
	h := newHost()
	entered, leave := make(chan struct{}), make(chan struct{})
	h.message = func(*engineio.Session, []byte) { entered <- struct{}{}; <-leave }
	p := serve(t, engineio.Config{}, h).Opens()
	pending := p.Polls()
	first := make(chan engineiotest.Answer, 1)
	go func() { first <- p.Post("4one") }()
	<-entered

	p.Wants(p.Post("4two"), 400, engineiotest.Bad)

	p.Wants(<-pending, 200, "1")
	select {
	case <-h.ends:
		t.Error("the client was told of the end inside a message")
	default:
	}
	close(leave)
	<-first
	<-h.ends
	p.Wants(p.Get(), 400, engineiotest.Unknown)
}

func TestAMalformedPacketEndsTheSession(t *testing.T) {
	t.Parallel()
	sys := serve(t, engineio.Config{}, echo())

	for name, body := range map[string]string{
		"nothing":                    "",
		"an empty packet":            "4a\x1e\x1e4b",
		"an empty packet at the end": "4a\x1e",
		"an unknown type":            "4a\x1e9",
		"a ping":                     "4a\x1e2",
		"a probe":                    "4a\x1e2probe",
		"bad base64":                 "b=AAA",
		"base64 without padding":     "bAQ",
		"what is no UTF-8":           "4\xff",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := sys.In(t).Opens()

			p.Wants(p.Post(body), 400, engineiotest.Bad)

			p.Wants(p.Get(), 400, engineiotest.Unknown)
			p.Wants(p.Post("4x"), 400, engineiotest.Unknown)
		})
	}
}

func TestAPostMayHaveManyPacketsAndTheyKeepTheirOrder(t *testing.T) {
	t.Parallel()
	p := serve(t, engineio.Config{}, echo()).Opens()
	packets, _ := numbers(200)

	p.Says(packets...)

	p.Hears(packets...)
}

func TestPacketsThatMeanNothingAreIgnored(t *testing.T) {
	t.Parallel()
	sys := serve(t, engineio.Config{}, echo())
	p, w := sys.Opens(), sys.OpensWebSocket()

	p.Says("0", "3", "5", "6", "4still here")
	w.Says("0", "3", "5", "6", "4still here")

	p.Hears("4still here")
	w.Hears("4still here")
}
