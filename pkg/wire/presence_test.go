package wire_test

import (
	"errors"
	"testing"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/wire"
)

func TestPresenceIsReadAsItWasWritten(t *testing.T) {
	t.Parallel()
	one := uuid.MustParse("01890a5d-ac96-774b-bcce-b302099a8057")
	for text, p := range map[string]wire.Presence{
		`"client_id":null,"client_count":0,"seq":1`:                                       {Seq: 1},
		`"client_id":"01890a5d-ac96-774b-bcce-b302099a8057","client_count":12,"seq":1790`: {Client: one, Count: 12, Seq: 1790},
		`"client_id":null,"client_count":2,"seq":9,"prev":7`:                              {Count: 2, Seq: 9, Prev: 7},
	} {
		if got := string(wire.AppendPresence(nil, p)); got != text {
			t.Errorf("written %s, want %s", got, text)
		}
		if got, err := wire.ParsePresence([]byte(text)); err != nil || got != p {
			t.Errorf("read %+v, %v, want %+v", got, err, p)
		}
	}
}

func TestWhatIsNoPresenceIsRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", `"client_id":null`, `"client_id":null,"client_count":1`, `"client_id":5,"client_count":1,"seq":1`,
		`"client_id":null,"client_count":-1,"seq":1`, `"client_id":null,"client_count":1,"seq":1}`, `"id":null,"client_count":1,"seq":1`,
		`"client_id":null,"client_count":1,"seq":1,"prev":`, `"client_id":null,"client_count":1,"seq":1,"prev":x`,
	} {
		if p, err := wire.ParsePresence([]byte(text)); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%q is read as %+v, %v", text, p, err)
		}
	}
}
