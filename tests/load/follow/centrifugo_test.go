package follow_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/talus-tally/talus/tests/load/follow"
)

// What a Centrifugo 6 sent over its unidirectional transport.
const (
	connected  = `{"connect":{"client":"6befd8ef","version":"0.0.0 OSS","subs":{"s":{"recoverable":true,"epoch":"ueluFFqN","positioned":true}},"ping":25}}`
	pinged     = `{}`
	disconnect = `{"disconnect":{"code":3005,"reason":"slow"}}`
)

func publication(version int) string {
	return fmt.Sprintf(`{"channel":"s","pub":{"data":{"type":"commit","session_id":"s","version":%d,"events":[{"new_value":"t=%d"}]},"offset":%d,"epoch":"ueluFFqN"}}`,
		version, 1000+version, version)
}

func TestAStreamOfCentrifugoIsFollowed(t *testing.T) {
	t.Parallel()
	room := follow.NewRoom("s", follow.Centrifugo{}, 16)
	room.Head = 4
	for range 2 { // the second compares with what the first has read
		var f follow.Follower
		var h heard
		var stream []byte
		for _, text := range []string{connected, pinged, publication(5), publication(6), disconnect} {
			stream = append(stream, native(1, text)...)
		}
		n, err := f.Take(room, stream, &h)
		if err != nil || n != len(stream) {
			t.Fatalf("took %d of %d: %v", n, len(stream), err)
		}
		if h.joined != 1 || !slices.Equal(h.versions, []uint64{5, 6}) || !slices.Equal(h.dues, []int64{1005, 1006}) || h.code != 3005 {
			t.Errorf("%+v", h)
		}
	}
}

func TestALostPublicationIsAGap(t *testing.T) {
	t.Parallel()
	room := follow.NewRoom("s", follow.Centrifugo{}, 16)
	var f follow.Follower
	stream := slices.Concat(native(1, connected), native(1, publication(5)), native(1, publication(7)))
	if _, err := f.Take(room, stream, &heard{}); err == nil || !strings.Contains(err.Error(), follow.ErrGap.Error()) {
		t.Errorf("error %v", err)
	}
}

func TestAClientOfCentrifugoNamesItsChannelInTheURL(t *testing.T) {
	t.Parallel()
	request := string(follow.Centrifugo{}.Request("host:1", "s", ""))
	if !strings.HasPrefix(request, "GET /connection/uni_websocket?cf_connect=%7B%22subs%22%3A%7B%22s%22%3A%7B%7D%7D%7D HTTP/1.1\r\n") {
		t.Errorf("%q", request)
	}
}
