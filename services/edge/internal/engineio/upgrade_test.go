package engineio_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/talus-tally/talus/services/edge/internal/engineio"
	"github.com/talus-tally/talus/services/edge/internal/engineio/engineiotest"
	"github.com/talus-tally/talus/services/edge/internal/socket"
	"github.com/talus-tally/talus/services/edge/internal/socket/sockettest"
)

func TestASessionMovesToAWebSocket(t *testing.T) {
	t.Parallel()
	for name, blocking := range map[string]bool{"that is polled": false, "with goroutines of its own": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHost()
			p := engineiotest.Serve(t, socket.Config{Blocking: blocking}, engineio.Config{}, h).Opens()
			s := <-h.sessions
			packets, texts := numbers(40)
			says(s, texts...) // nobody polls for them
			p.Wants(p.Get(), 200, strings.Join(packets[:16], "\x1e"))

			w := p.Probes()
			w.Says("5")

			w.Hears(packets[16:]...)
			w.Says("4one", "4two")
			w.Hears("4one", "4two")
			w.SaysBinary("\x01\x02")
			w.HearsBinary("\x01\x02")
			p.Wants(p.Get(), 400, engineiotest.Bad)
			p.Wants(p.Post("4x"), 400, engineiotest.Bad)
			if n := p.Stats().Upgraded; n != 1 {
				t.Errorf("%d upgrades are counted", n)
			}
			_ = w.NC.Close()
			<-h.ends
		})
	}
}

func TestThePendingPollEndsWhenTheProbeIsAnswered(t *testing.T) {
	t.Parallel()
	p := serve(t, engineio.Config{}, echo()).Opens()
	pending := p.Polls()

	p.Probes()

	p.Wants(<-pending, 200, "6")
}

func TestEveryPollDuringAnUpgradeEndsSoon(t *testing.T) {
	t.Parallel()
	h := newHost()
	p := serve(t, engineio.Config{}, h).Opens()
	w := p.Probes()

	for range 3 {
		p.Wants(p.Get(), 200, "6")
	}
	says(<-h.sessions, "hello")
	p.Wants(p.Get(), 200, "4hello")
	p.Says("4posted")
	p.Hears("4posted")

	w.Says("5", "4moved")
	w.Hears("4moved")
}

func TestAPollThatIsPendingWhenTheUpgradeIsCompleteIsRefused(t *testing.T) {
	t.Parallel()
	sys := serve(t, engineio.Config{}, echo())

	for try := range 50 {
		p := sys.Opens()
		w := p.Probes()
		pending := p.Polls() // it waits for 100 ms, unless this machine is slower
		w.Says("5", "4moved")
		w.Hears("4moved")
		a := <-pending
		if a.Status == 400 && a.Body == engineiotest.Bad {
			return
		}
		p.Wants(a, 200, "6")
		t.Logf("try %d came too late", try)
	}
	t.Error("a pending poll was never refused")
}

func TestAProbeThatSaysAnythingElseIsClosedAndPollingGoesOn(t *testing.T) {
	t.Parallel()
	sys := serve(t, engineio.Config{}, echo())

	for name, say := range map[string]func(w *engineiotest.Wire){
		"a message":               func(w *engineiotest.Wire) { w.Says("4hello") },
		"a plain ping":            func(w *engineiotest.Wire) { w.Says("2") },
		"an upgrade too early":    func(w *engineiotest.Wire) { w.Says("5") },
		"a binary message":        func(w *engineiotest.Wire) { w.SaysBinary("2probe") },
		"a second probe":          func(w *engineiotest.Wire) { w.Says("2probe"); w.Hears("3probe"); w.Says("2probe") },
		"a message after a probe": func(w *engineiotest.Wire) { w.Says("2probe"); w.Hears("3probe"); w.Says("4x") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := sys.In(t).Opens()
			w := p.Dials("EIO=4&transport=websocket&sid=" + p.ID)

			say(w)

			w.IsClosed(engineiotest.NoStatus)
			p.Says("4still here")
			p.Hears("4still here")
			p.Moves()
		})
	}
}

func TestASecondWebSocketIsSwitchedAndClosed(t *testing.T) {
	t.Parallel()
	p := serve(t, engineio.Config{}, echo()).Opens()
	w := p.Probes()
	second := func() {
		t.Helper()
		p.Dials("EIO=4&transport=websocket&sid=" + p.ID).IsClosed(engineiotest.NoStatus)
	}

	second()
	w.Says("5", "4one")
	w.Hears("4one")
	second()
	w.Says("4two")
	w.Hears("4two")
}

func TestAWebSocketSessionTakesNoSecondWebSocket(t *testing.T) {
	t.Parallel()
	h := newHost()
	sys := serve(t, engineio.Config{}, h)
	w := sys.OpensWebSocket()

	sys.Dials("EIO=4&transport=websocket&sid=" + (<-h.sessions).ID()).IsClosed(engineiotest.NoStatus)

	w.Says("4still here")
	w.Hears("4still here")
}

func TestAnUpgradeThatIsLostLeavesTheSessionPolling(t *testing.T) {
	t.Parallel()
	h := newHost()
	p := serve(t, engineio.Config{}, h).Opens()
	s := <-h.sessions

	for range 3 {
		w := p.Probes()
		_ = w.NC.Close()
		sockettest.Eventually(t, "a poll waits again", func() bool {
			pending := p.Polls()
			select {
			case a := <-pending:
				p.Wants(a, 200, "6")
				return false
			case <-time.After(200 * time.Millisecond):
				says(s, "hello")
				a := <-pending
				if a.Body == "6" { // the loss was noticed only now
					a = <-p.Polls()
				}
				p.Wants(a, 200, "4hello")
				return true
			}
		})
	}
}

func TestAnUpgradeHasItsTime(t *testing.T) {
	t.Parallel()
	p := serve(t, engineio.Config{UpgradeTimeout: 500 * time.Millisecond}, echo()).Opens()

	p.Dials("EIO=4&transport=websocket&sid=" + p.ID).IsClosed(engineiotest.NoStatus)
	p.Probes().IsClosed(engineiotest.NoStatus)

	p.Says("4still here")
	p.Hears("4still here")
}

func TestAnUpgradeDuringAPostEndsTheSession(t *testing.T) {
	t.Parallel()
	h := newHost()
	entered, leave := make(chan struct{}), make(chan struct{})
	h.message = func(*engineio.Session, []byte) { entered <- struct{}{}; <-leave }
	p := serve(t, engineio.Config{}, h).Opens()
	w := p.Probes()
	posted := make(chan engineiotest.Answer, 1)
	go func() { posted <- p.Post("4one") }()
	<-entered

	w.Says("5")

	w.IsClosed(engineiotest.NoStatus)
	close(leave)
	<-posted
	<-h.ends
}

// All that a session sends arrives once and in order, whatever it sends while it moves.
func TestNothingIsLostOrReorderedByAnUpgrade(t *testing.T) {
	const messages = 400
	h := newHost()
	sys := serve(t, engineio.Config{}, h)

	for round := range 10 {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			p := sys.In(t).Opens()
			s := <-h.sessions
			sent := make(chan struct{})
			go func() {
				defer close(sent)
				for i := range messages {
					for says(s, fmt.Sprint(i)); i%10 == 0 && len(h.ends) > 0; {
						return
					}
					<-time.After(time.Duration(i%3) * 100 * time.Microsecond)
				}
			}()
			var got []string
			poll := func() {
				a := p.Get()
				if a.Status != 200 {
					t.Fatalf("poll answered %d %q", a.Status, a.Body)
				}
				for packet := range strings.SplitSeq(a.Body, "\x1e") {
					if packet != "6" {
						got = append(got, packet)
					}
				}
			}
			for range round {
				poll()
			}
			pending := p.Polls()
			w := p.Probes()
			for packet := range strings.SplitSeq((<-pending).Body, "\x1e") {
				if packet != "6" {
					got = append(got, packet)
				}
			}
			w.Says("5")
			for len(got) < messages {
				_, text := w.Next()
				got = append(got, text)
			}
			<-sent

			for i, packet := range got {
				if packet != "4"+fmt.Sprint(i) {
					t.Fatalf("message %d is %q", i, packet)
				}
			}
			_ = w.NC.Close()
			<-h.ends
		})
	}
}

func TestAPeerThatCannotTakeBinaryGetsBase64(t *testing.T) {
	t.Parallel()
	sys := serve(t, engineio.Config{}, echo())

	p := sys.Opens("&b64=1")
	p.Says("4a", "bAQID")
	p.Hears("4a", "bAQID")
	w := p.Moves()
	w.Says("4a", "bAQID")
	w.Hears("4a", "bAQID")

	w = sys.OpensWebSocket("&b64=1")
	w.Says("4a", "bAQID")
	w.Hears("4a", "bAQID")
}

func TestAMessageThatIsTooLargeClosesTheWebSocket(t *testing.T) {
	t.Parallel()
	sys := serve(t, engineio.Config{MaxPayload: 1000}, echo())

	for name, w := range map[string]*engineiotest.Wire{"direct": sys.OpensWebSocket(), "after polling": sys.Opens().Moves()} {
		most := "4" + strings.Repeat("x", 999)
		w.Says(most)
		w.Hears(most)
		w.Says(most + "x")
		w.IsClosed(1009)
		t.Log(name)
	}
}

func TestAPingOfTheWebSocketIsAnswered(t *testing.T) {
	t.Parallel()
	sys := serve(t, engineio.Config{}, echo())

	for _, w := range []*engineiotest.Wire{sys.OpensWebSocket(), sys.Opens().Moves()} {
		w.Sends(sockettest.Mask(0x89, "hi"))
		if op, payload := w.Next(); op != 0x8A || payload != "hi" {
			t.Errorf("got %#x %q", op, payload)
		}
	}
}
