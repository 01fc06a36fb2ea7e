package graphevent_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/wire"
	"github.com/talus-tally/talus/services/edge/internal/graphevent"
	"github.com/talus-tally/talus/services/edge/internal/socket/frame"
)

// messages is a peer that keeps what it reads.
type messages struct {
	t     *testing.T
	texts []string
}

func (m *messages) Text(payload []byte) { m.texts = append(m.texts, string(payload)) }
func (m *messages) Ping([]byte)         { m.t.Error("a ping") }
func (m *messages) Pong()               { m.t.Error("a pong") }
func (m *messages) Close(int, string)   { m.t.Error("a close frame") }

// read returns the text messages in b, which a server wrote.
func read(t *testing.T, b []byte) []string {
	t.Helper()
	m := &messages{t: t}
	for rest := b; len(rest) > 0; {
		next := graphevent.After(rest, 1)
		one := rest[:len(rest)-len(next)]
		header := bytes.IndexByte(one, '4')
		if one[0] != 0x81 || header < 2 || one[1]&0x80 != 0 || !bytes.Equal(frame.AppendText(nil, one[header:]), one) {
			t.Fatalf("%q is not a text frame", one)
		}
		m.Text(one[header:])
		rest = next
	}
	return m.texts
}

var (
	session = uuid.MustParse("01a20901-2e27-702c-b347-e8bfcb12a260")
	prev    = wire.Digest{1, 2, 3, 4, 5, 6, 7, 8}
)

func record(common string, events ...wire.Event) wire.Record {
	return wire.Build(wire.Header{Session: session, Epoch: 0xe, Version: 42, Prev: prev}, []byte(common), events, nil)
}

func TestEachEventOfACommitIsAPacketOfItsOwn(t *testing.T) {
	t.Parallel()
	long := `"text":"` + strings.Repeat("x", 70_000) + `"`
	middle := `"text":"` + strings.Repeat("y", 300) + `"`
	rec := record(`"session_id":"s","actor":null`, wire.Event{Name: wire.CommandExecuting}, wire.Event{Name: wire.NodeCreated, Fields: []byte(long)},
		wire.Event{Name: wire.CommandUndo, Fields: []byte(middle)})

	planned := read(t, graphevent.AppendCommit(nil, rec, graphevent.Planned, false))
	shipped := read(t, graphevent.AppendCommit(nil, rec, graphevent.Shipped, false))

	common := `{"session_id":"s","actor":null,"epoch":"000000000000000e","version":42`
	if want := []string{
		`42/graph,["command:executing",` + common + `}]`,
		`42/graph,["graph:node-created",` + common + `,` + long + `}]`,
		`42/graph,["command:undo",` + common + `,` + middle + `}]`,
	}; !slices.Equal(planned, want) {
		t.Errorf("planned %.300q", planned)
	}
	if want := []string{
		`42/graph,["command-executing",` + common + `}]`,
		`42/graph,["node-created",` + common + `,` + long + `}]`,
		`42/graph,["undo",` + common + `,` + middle + `}]`,
	}; !slices.Equal(shipped, want) {
		t.Errorf("shipped %.300q", shipped)
	}
}

func TestOffsetsSayHowFarAClientHasComeToTheEvent(t *testing.T) {
	t.Parallel()
	rec := record("", wire.Event{Name: wire.CommandExecuting}, wire.Event{Name: wire.NodeDeleted}, wire.Event{Name: wire.CommandExecuted})
	text := graphevent.AppendCommit(nil, rec, graphevent.Planned, true)
	whole := session.String() + "/" + rec.Position().String()

	for i, packet := range read(t, text) {
		want := []string{whole + "+1", whole + "+2", whole}[i]
		if !strings.HasSuffix(packet, `},"`+want+`"]`) {
			t.Errorf("event %d: %s, want offset %s", i, packet, want)
		}
		got, err := graphevent.ParseOffset(want)
		if err != nil || string(got.Append(nil)) != want {
			t.Errorf("%q is read as %+v, %v", want, got, err)
		}
		if rest := read(t, graphevent.After(text, got.Events)); got.Events > 0 && len(rest) != 3-got.Events {
			t.Errorf("after %d events: %q", got.Events, rest)
		}
	}
}

func TestWhatIsNoOffsetIsRefused(t *testing.T) {
	t.Parallel()
	good := session.String() + "/" + wire.Position{Epoch: 0xe, Version: 41, Digest: prev}.String()
	for _, text := range []string{
		"", "/", session.String(), session.String() + "/", good + "+", good + "+0", good + "+-1", good + "+01", good + "+x", good + " ",
		strings.ToUpper(good), strings.ReplaceAll(good, "-", ""), "{" + good, good[1:], strings.Replace(good, "/", ".", 1),
	} {
		if o, err := graphevent.ParseOffset(text); err == nil {
			t.Errorf("%q is read as %+v", text, o)
		}
	}
	if _, err := graphevent.ParseOffset(good); err != nil {
		t.Error(err)
	}
}

func TestTheDialectsDifferInNamesOnly(t *testing.T) {
	t.Parallel()
	names := map[wire.EventName]string{
		wire.NodeCreated: "node-created", wire.NodeDeleted: "node-deleted", wire.NodeLinked: "node-linked", wire.NodeUnlinked: "node-unlinked",
		wire.PropertyChanged: "property-changed", wire.PropertyDeleted: "property-deleted", wire.CommandExecuting: "command-executing",
		wire.CommandExecuted: "command-executed", wire.CommandFailed: "command-executed", wire.CommandUndo: "undo", wire.CommandRedo: "redo",
		wire.SessionConnected: "session-connected", wire.SessionDisconnected: "session-disconnected", wire.ProjectSaved: "project-saved",
		wire.ProjectLoaded: "project-loaded",
	}
	for event, name := range names {
		e := wire.Ephemeral{Session: session, Name: event, Time: 1, Fields: []byte(`"n":1`)}
		planned := read(t, graphevent.AppendEphemeral(nil, e, graphevent.Planned))
		shipped := read(t, graphevent.AppendEphemeral(nil, e, graphevent.Shipped))
		rest := fmt.Sprintf(`",{"session_id":"%s","timestamp":"1970-01-01T00:00:00.001Z","n":1}]`, session)
		if len(planned) != 1 || planned[0] != `42/graph,["`+string(event)+rest || len(shipped) != 1 || shipped[0] != `42/graph,["`+name+rest {
			t.Errorf("%s: %s and %s", event, planned, shipped)
		}
	}
}

func TestAnEventKeepsTheCommonMembersItHas(t *testing.T) {
	t.Parallel()
	e := wire.Ephemeral{Session: session, Name: wire.ProjectSaved, Common: []byte(`"session_id":"s"`)}

	if got := read(t, graphevent.AppendEphemeral(nil, e, graphevent.Planned)); got[0] != `42/graph,["project:saved",{"session_id":"s"}]` {
		t.Errorf("got %s", got)
	}
	if got := read(t, graphevent.AppendStatus(nil, session, "stale", graphevent.Shipped)); got[0] !=
		fmt.Sprintf(`42/graph,["session-status",{"session_id":"%s","status":"stale"}]`, session) {
		t.Errorf("got %s", got)
	}
}
