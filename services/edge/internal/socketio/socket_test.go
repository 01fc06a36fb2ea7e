package socketio_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/talus-tally/talus/services/edge/internal/socketio"
)

func TestTheIDInANamespaceIsNotTheSessions(t *testing.T) {
	t.Parallel()
	sessions := make(chan string, 10)
	in := room{connect: func(s *socketio.Socket, _ []byte) { sessions <- s.Session().ID(); s.Accept(nil) }}
	sys := serve(t, socketio.Config{}, map[string]socketio.Namespace{"/": in, "/chat": in})
	p := transports["WebSocket"](t, sys)

	first, other := connects(t, p, "40"), connects(t, p, "40/chat,{}")
	p.says("41")
	again := connects(t, p, "40")

	if secret := <-sessions; first == secret || other == secret || again == secret || first == other || first == again {
		t.Errorf("ids %q, %q and %q of the session %q", first, other, again, secret)
	}
}

func TestTheAuthIsTheObjectOrNothing(t *testing.T) {
	t.Parallel()
	auths := make(chan string, 10)
	sys := serve(t, socketio.Config{}, map[string]socketio.Namespace{"/": room{connect: func(s *socketio.Socket, auth []byte) {
		auths <- fmt.Sprintf("%v %s", auth == nil, auth)
		s.Refuse("try again", nil)
	}}})
	p := transports["polling"](t, sys)

	for packet, want := range map[string]string{`40`: "true ", `40{}`: "false {}", `40{"token":"x"}`: `false {"token":"x"}`} {
		p.says(packet)
		if got := <-auths; got != want {
			t.Errorf("%s: auth is %q, want %q", packet, got, want)
		}
		p.hears(`44{"message":"try again"}`)
	}
}

func TestAnAnswerToConnectMayCarryMore(t *testing.T) {
	t.Parallel()
	sys := serve(t, socketio.Config{}, map[string]socketio.Namespace{"/chat": room{connect: func(s *socketio.Socket, _ []byte) {
		_ = s.Send(socketio.AppendEvent(nil, s.Namespace(), "missed", []byte(`1`), []byte(`"offset"`)))
		s.AcceptAs("the id of before", []byte(`,"pid":"secret"`))
	}}})
	p := transports["WebSocket"](t, sys)

	p.says("40/chat,")

	p.hears(`42/chat,["missed",1,"offset"]`, `40/chat,{"sid":"the id of before","pid":"secret"}`)
}

func TestPacketsWaitUntilConnectIsAnswered(t *testing.T) {
	asked := make(chan *socketio.Socket, 10)
	ends := make(chan error, 10)
	slow := echo()
	slow.connect = func(s *socketio.Socket, _ []byte) { asked <- s }
	slow.disconnected = func(_ *socketio.Socket, err error) { ends <- err }
	sys := serve(t, socketio.Config{MaxWaiting: 3}, map[string]socketio.Namespace{"/": slow, "/chat": echo()})

	t.Run("and come in their order", func(t *testing.T) {
		over(t, sys, func(t *testing.T, p peer) {
			p.says("40", `42["one"]`, `451-["two",{"_placeholder":true,"num":0}]`, `bAQID`, `42["three"]`)
			connects(t, p, "40/chat,") // others do not wait

			(<-asked).Accept(nil)

			accepted(t, p)
			p.says(`42["four"]`)
			p.hears(`42["one"]`, `451-["two",{"_placeholder":true,"num":0}]`, `bAQID`, `42["three"]`, `42["four"]`)
		})
	})
	t.Run("but not too many", func(t *testing.T) {
		over(t, sys, func(t *testing.T, p peer) {
			p.says("40", `42["one"]`, `42["two"]`, `42["three"]`, `42["four"]`)
			p.isClosed()
			(<-asked).Accept(nil) // too late
			<-ends
		})
	})
	t.Run("and are dropped if it is refused", func(t *testing.T) {
		over(t, sys, func(t *testing.T, p peer) {
			p.says("40", `42["one"]`)
			connects(t, p, "40/chat,") // so the event is there
			s := <-asked
			s.Refuse("no", nil)
			s.Accept(nil) // too late
			p.hears(`44{"message":"no"}`)
			p.says("40")
			(<-asked).Accept(nil)
			accepted(t, p)
			p.says(`42["two"]`)
			p.hears(`42["two"]`)
		})
	})
	t.Run("and the end of the namespace waits with them", func(t *testing.T) {
		over(t, sys, func(t *testing.T, p peer) {
			p.says("40", `42["one"]`, "41")
			(<-asked).Accept(nil)
			accepted(t, p)
			p.hears(`42["one"]`)
			for err := range ends { // sessions of before may end, too
				if errors.Is(err, socketio.ErrLeft) {
					break
				}
			}
		})
	})
}

func TestAPeerThatIsGoneBeforeItIsAcceptedIsDisconnectedOnce(t *testing.T) {
	t.Parallel()
	asked := make(chan *socketio.Socket, 1)
	ends := make(chan error, 10)
	sys := serve(t, socketio.Config{}, map[string]socketio.Namespace{"/": room{
		connect:      func(s *socketio.Socket, _ []byte) { asked <- s },
		event:        func(*socketio.Socket, socketio.Event) { t.Error("an event came after the end") },
		disconnected: func(_ *socketio.Socket, err error) { ends <- err },
	}})
	p := sys.Opens()
	p.Says("40", `42["x"]`)
	s := <-asked

	p.Says("1")

	<-ends
	s.Accept(nil)
	s.Kick()
	if err := s.Emit("x"); !errors.Is(err, socketio.ErrDisconnected) {
		t.Errorf("Emit: %v", err)
	}
	if len(ends) > 0 {
		t.Error("disconnected twice")
	}
}

func TestASessionThatJoinsNoNamespaceIsClosed(t *testing.T) {
	t.Parallel()
	sys := serve(t, socketio.Config{ConnectTimeout: 300 * time.Millisecond}, map[string]socketio.Namespace{"/": echo()})

	for name, dial := range transports {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			idle, refused, joined := dial(t, sys.In(t)), dial(t, sys.In(t)), dial(t, sys.In(t))
			connects(t, joined, "40")
			refused.says(`40{"bad":1}`)
			refused.hears(`44{"message":"bad creds","data":{"code":7}}`)

			idle.isClosed()
			refused.isClosed()
			joined.says(`42["still here"]`)
			joined.hears(`42["still here"]`)
		})
	}
}

func TestAKickIsADisconnectAndTheSessionGoesOn(t *testing.T) {
	ends := make(chan error, 10)
	in := room{
		event: func(s *socketio.Socket, e socketio.Event) {
			if e.Name == "close" {
				s.Kick()
				s.Session().Close()
				return
			}
			s.Kick()
		},
		disconnected: func(_ *socketio.Socket, err error) { ends <- err },
	}
	sys := serve(t, socketio.Config{}, map[string]socketio.Namespace{"/": in, "/chat": in})

	over(t, sys, func(t *testing.T, p peer) {
		connects(t, p, "40/chat,")
		p.says(`42/chat,["kick"]`)
		p.hears(`41/chat,`)
		if err := <-ends; !errors.Is(err, socketio.ErrKicked) {
			t.Errorf("disconnected with %v", err)
		}
		connects(t, p, "40")
		p.says(`42["close"]`)
		p.hears("41")
		p.isClosed()
		<-ends
	})
}

func TestAClientThatLeavesGetsNoReply(t *testing.T) {
	ends := make(chan error, 10)
	in := echo()
	in.disconnected = func(_ *socketio.Socket, err error) { ends <- err }
	sys := serve(t, socketio.Config{}, map[string]socketio.Namespace{"/": in, "/chat": echo()})

	over(t, sys, func(t *testing.T, p peer) {
		connects(t, p, "40")
		p.says("41")
		connects(t, p, "40/chat,") // the next packet is this answer
		if err := <-ends; !errors.Is(err, socketio.ErrLeft) {
			t.Errorf("disconnected with %v", err)
		}
	})
}

func TestTheServerMayAskToo(t *testing.T) {
	answers := make(chan string, 10)
	in := room{event: func(s *socketio.Socket, e socketio.Event) {
		err := s.Ask(func(args, attachments [][]byte, err error) {
			answers <- fmt.Sprintf("%s %q %q %v", e.Name, args, attachments, err)
		}, "question", e.Args...)
		if err != nil {
			t.Error(err)
		}
	}}
	sys := serve(t, socketio.Config{}, map[string]socketio.Namespace{"/": in, "/chat": in})

	over(t, sys, func(t *testing.T, p peer) {
		connects(t, p, "40")
		connects(t, p, "40/chat,")
		p.says(`42["a",1]`, `42/chat,["b",2]`, `42["c"]`)
		p.hears(`420["question",1]`, `42/chat,0["question",2]`, `421["question"]`)

		p.says(`431["late"]`, `43/chat,0[]`, `461-0[{"_placeholder":true,"num":0}]`, `bAQID`, `430["twice"]`)

		for _, want := range []string{
			`c ["\"late\""] [] <nil>`, `b [] [] <nil>`, `a ["{\"_placeholder\":true,\"num\":0}"] ["\x01\x02\x03"] <nil>`,
		} {
			if got := <-answers; got != want {
				t.Errorf("answer %s, want %s", got, want)
			}
		}
		p.says(`42["d"]`)
		p.hears(`422["question"]`)
		p.says("41")
		if got := <-answers; got != "d [] [] "+socketio.ErrDisconnected.Error() {
			t.Errorf("at the end: %s", got)
		}
	})
}

func TestAnAcknowledgementIsSentOnceAndWheneverItLikes(t *testing.T) {
	acks := make(chan socketio.Ack, 10)
	in := room{event: func(_ *socketio.Socket, e socketio.Event) { acks <- e.Ack }}
	sys := serve(t, socketio.Config{}, map[string]socketio.Namespace{"/chat": in})

	over(t, sys, func(t *testing.T, p peer) {
		connects(t, p, "40/chat,")
		p.says(`42/chat,7["x"]`, `42/chat,8["x"]`, `42/chat,["x"]`)
		seven, eight, none := <-acks, <-acks, <-acks

		if !seven.Wanted() || none.Wanted() {
			t.Error("who wants an answer is mistaken")
		}
		for _, ack := range []socketio.Ack{eight, none, seven, seven} {
			if err := ack.Send([]byte(`"done"`)); err != nil {
				t.Error(err)
			}
		}

		p.hears(`43/chat,8["done"]`, `43/chat,7["done"]`)
		p.says(`42/chat,9["x"]`)
		if err := (<-acks).SendBinary([][]byte{{1, 2, 3}}, []byte(`{"_placeholder":true,"num":0}`)); err != nil {
			t.Error(err)
		}
		p.hears(`461-/chat,9[{"_placeholder":true,"num":0}]`, `bAQID`)
		p.says(`42/chat,9["x"]`, `41/chat,`)
		ack := <-acks
		connects(t, p, "40/chat,")
		if err := ack.Send(); !errors.Is(err, socketio.ErrDisconnected) {
			t.Errorf("an answer after the end: %v", err)
		}
	})
}

func TestWhatClientsWouldNotTakeIsNotSent(t *testing.T) {
	t.Parallel()
	errs := make(chan error, 10)
	sys := serve(t, socketio.Config{}, map[string]socketio.Namespace{"/": room{event: func(s *socketio.Socket, e socketio.Event) {
		errs <- s.Emit("connect")
		errs <- s.Ask(nil, "disconnecting")
		errs <- s.EmitBinary("x", make([][]byte, 11))
		errs <- e.Ack.SendBinary(make([][]byte, 11))
		_ = e.Ack.Send()
	}}})
	p := transports["WebSocket"](t, sys)
	connects(t, p, "40")

	p.says(`420["x"]`)

	for _, want := range []error{socketio.ErrReserved, socketio.ErrReserved, socketio.ErrAttachments, socketio.ErrAttachments} {
		if got := <-errs; !errors.Is(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	}
	p.hears(`430[]`)
}

func TestAnEventWithAttachmentsStaysTogether(t *testing.T) {
	sys := serve(t, socketio.Config{}, map[string]socketio.Namespace{"/": room{event: func(s *socketio.Socket, _ socketio.Event) {
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range 50 {
				_ = s.Emit("between")
			}
		}()
		for range 20 {
			_ = s.EmitBinary("up", [][]byte{{1}, {2}, {3}}, []byte(`{"_placeholder":true,"num":0}`))
		}
		<-done
	}}})

	over(t, sys, func(t *testing.T, p peer) {
		connects(t, p, "40")
		p.says(`42["go"]`)
		for range 70 {
			if packet := p.next(); strings.HasPrefix(packet, "453-") {
				p.hears("bAQ==", "bAg==", "bAw==")
			} else if packet != `42["between"]` {
				t.Fatalf("got %q", packet)
			}
		}
	})
}

func TestAPartOfAPacketIsDroppedWhenTheSessionEnds(t *testing.T) {
	t.Parallel()
	ends := make(chan error, 1)
	sys := serve(t, socketio.Config{}, map[string]socketio.Namespace{"/": room{
		event:        func(*socketio.Socket, socketio.Event) { t.Error("half an event came") },
		disconnected: func(_ *socketio.Socket, err error) { ends <- err },
	}})
	p := sys.Opens()
	p.Says("40")

	p.Says(`452-["up",{"_placeholder":true,"num":0}]`, "bAQID", "1")

	<-ends
}
