package graphio

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/services/edge/internal/graphevent"
)

func TestAPIDIsWhatItWasUntilItIsTooOld(t *testing.T) {
	t.Parallel()
	key, now := []byte("key"), time.Unix(1_000_000, 0)
	client := uuid.New()
	p := newPID(client, graphevent.Shipped, now)
	text := p.sign(key)

	if got, ok := openPID(text, key, now.Add(pidLife-time.Second)); !ok || got.client != client || got.dialect != graphevent.Shipped {
		t.Errorf("opened as %+v, %v", got, ok)
	}
	if _, ok := openPID(text, key, now.Add(pidLife)); ok {
		t.Error("it is too old")
	}
	if _, ok := openPID(text, []byte("kez"), now); ok {
		t.Error("the key is another")
	}
	if again := newPID(client, graphevent.Shipped, now).sign(key); again == text {
		t.Error("two pids of a client are the same")
	}
	for i := range text {
		for _, c := range []byte{'A', 'z', '=', ' '} {
			if forged := text[:i] + string(c) + text[i+1:]; forged != text {
				if _, ok := openPID(forged, key, now); ok {
					t.Errorf("%q is taken for %q", forged, text)
				}
			}
		}
	}
}
