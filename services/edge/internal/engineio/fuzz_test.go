package engineio_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/talus-tally/talus/services/edge/internal/engineio"
	"github.com/talus-tally/talus/services/edge/internal/socket"
)

// bare is a server without an endpoint, for as long as the test lasts.
func bare(tb testing.TB, cfg engineio.Config, h engineio.Handler) *engineio.Server {
	tb.Helper()
	sockets, err := socket.New(socket.Config{}, nil)
	if err != nil {
		tb.Fatal(err)
	}
	server, err := engineio.New(cfg, sockets, h)
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = sockets.Run(ctx) })
	tb.Cleanup(func() { cancel(); wg.Wait() })
	return server
}

// told is what a client is told of a body, packet by packet, and whether the body is one: the protocol as simple as it is.
func told(body string) (messages []string, ok bool) {
	if !utf8.ValidString(body) {
		return nil, false
	}
	for packet := range strings.SplitSeq(body, "\x1e") {
		switch {
		case packet == "":
			return messages, false
		case packet[0] == '4':
			messages = append(messages, packet[1:])
		case packet[0] == 'b':
			binary, err := base64.StdEncoding.DecodeString(packet[1:])
			if err != nil {
				return messages, false
			}
			messages = append(messages, "binary "+string(binary))
		case packet[0] == '1':
			return messages, true
		case !strings.ContainsRune("0356", rune(packet[0])):
			return messages, false
		}
	}
	return messages, true
}

func FuzzABodyIsTakenApartAsTheProtocolSays(f *testing.F) {
	for _, body := range []string{
		"4hello", "4hello\x1e4world", "bAQIDBA==", "4a\x1ebAQID\x1e3", "2", "2probe", "", "\x1e", "4\x1e", "6\x1e1\x1e4x", "b?", "9",
		"4\xff", "4€\x1e5\x1e0{}", "b", "bAQ==\r\n", "4" + strings.Repeat("x", 1000),
	} {
		f.Add(body)
	}
	var got []string
	server := bare(f, engineio.Config{}, guests{
		message: func(_ *engineio.Session, p []byte) { got = append(got, string(p)) },
		binary:  func(_ *engineio.Session, p []byte) { got = append(got, "binary "+string(p)) },
	})
	f.Fuzz(func(t *testing.T, body string) {
		got = nil
		s := server.Begin()
		defer s.Conn().Fail(engineio.ErrLeft)

		took := s.Take([]byte(body))

		want, ok := told(body)
		if took != ok || fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
			t.Errorf("%q: took %v %q, want %v %q", body, took, got, ok, want)
		}
	})
}

func FuzzPollsCarryAllThatIsSent(f *testing.F) {
	f.Add("hello,world", uint8(1), uint8(2))
	f.Add(strings.Repeat("x,", 40), uint8(7), uint8(0))
	f.Add("!binary,text,!,,"+strings.Repeat("long", 100)+",!"+strings.Repeat("b", 200), uint8(3), uint8(1))
	payloads := []int{1, 50, 1000}
	var servers []*engineio.Server
	for _, payload := range payloads {
		servers = append(servers, bare(f, engineio.Config{MaxPayload: payload}, guests{}))
	}
	f.Fuzz(func(t *testing.T, text string, piece, choice uint8) {
		payload, server := payloads[int(choice)%len(payloads)], servers[int(choice)%len(servers)]
		s := server.Begin()
		defer s.Conn().Fail(engineio.ErrLeft)
		var want []string
		var frames []byte
		send := func() {
			if len(frames) > 0 {
				_ = s.Send(frames)
			}
			frames = nil
		}
		for message := range strings.SplitSeq(strings.ReplaceAll(strings.ToValidUTF8(text, "?"), "\x1e", "?"), ",") {
			if binary, is := strings.CutPrefix(message, "!"); is {
				frames = engineio.AppendBinary(frames, []byte(binary))
				want = append(want, "b"+base64.StdEncoding.EncodeToString([]byte(binary)))
			} else {
				frames = engineio.AppendMessage(frames, []byte(message))
				want = append(want, "4"+message)
			}
			if len(want)%(int(piece)+1) == 0 {
				send()
			}
			if len(want) == 200 {
				break
			}
		}
		send()

		var got []string
		for len(got) < len(want) {
			body := s.Fetch()
			packets := strings.Split(body, "\x1e")
			if len(packets) > 16 || len(packets) > 1 && len(body) > payload {
				t.Fatalf("a response has %d packets and %d bytes", len(packets), len(body))
			}
			got = append(got, packets...)
		}
		if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}
