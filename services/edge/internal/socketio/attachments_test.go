package socketio_test

import (
	"testing"
	"time"

	"github.com/talus-tally/talus/services/edge/internal/socketio"
)

// textOnly is a namespace that takes no attachments.
type textOnly struct{ room }

func (textOnly) Attachments() int { return 0 }

func TestAttachmentsThatNobodyTakesAreRefusedBeforeTheyCome(t *testing.T) {
	sys := serve(t, socketio.Config{}, map[string]socketio.Namespace{"/": echo(), "/text": textOnly{echo()}})

	for name, head := range map[string]string{
		"by a namespace that takes none":   `451-/text,["x",{"_placeholder":true,"num":0}]`,
		"by one that is not joined":        `451-/nope,["x",{"_placeholder":true,"num":0}]`,
		"by one that has been left":        `451-["x",{"_placeholder":true,"num":0}]`,
		"in an acknowledgement, likewise":  `461-/text,0[{"_placeholder":true,"num":0}]`,
		"in an acknowledgement for nobody": `461-/nope,0[{"_placeholder":true,"num":0}]`,
	} {
		t.Run(name, func(t *testing.T) {
			over(t, sys, func(t *testing.T, p peer) {
				connects(t, p, "40/text,")
				connects(t, p, "40")
				p.says(`41`, head)
				p.isClosed()
			})
		})
	}
}

func TestAttachmentsThatAreTooLargeTogetherEndTheSession(t *testing.T) {
	sys := serve(t, socketio.Config{MaxAttachmentBytes: 6}, map[string]socketio.Namespace{"/": echo()})
	const head = `452-["x",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`

	over(t, sys, func(t *testing.T, p peer) {
		connects(t, p, "40")
		for range 2 { // each packet has the bound for itself
			p.says(head, "bAQID", "bAQID")
			p.hears(head, "bAQID", "bAQID")
		}
		p.says(head, "bAQID", "bAQIDBA==")
		p.isClosed()
	})
}

func TestAttachmentsThatDoNotComeEndTheSession(t *testing.T) {
	sys := serve(t, socketio.Config{AttachTimeout: 200 * time.Millisecond}, map[string]socketio.Namespace{"/": echo()})
	const head = `451-["x",{"_placeholder":true,"num":0}]`

	over(t, sys, func(t *testing.T, p peer) {
		connects(t, p, "40")
		p.says(head, "bAQID")
		p.hears(head, "bAQID")
		<-time.After(300 * time.Millisecond) // that packet is whole
		p.says(`427["alive"]`)
		p.hears(`437[]`)
		p.says(head)
		p.isClosed()
	})
}

func TestASessionMayBeAllowedToJoinNoNamespaceForEver(t *testing.T) {
	t.Parallel()
	sys := serve(t, socketio.Config{ConnectTimeout: -1}, map[string]socketio.Namespace{"/": echo()})
	p := transports["WebSocket"](t, sys)

	<-time.After(100 * time.Millisecond) // ten visits

	connects(t, p, "40")
}
