package wire_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"testing"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/wire"
)

var (
	house   = uuid.MustParse("0190a000-0000-7000-8000-000000000001")
	garden  = uuid.MustParse("0190a000-0000-7000-8000-000000000002")
	command = uuid.MustParse("0190a000-0000-7000-8000-0000000000c1")
)

func header() wire.Header {
	return wire.Header{
		Session: house, Command: command, Epoch: 0x0123456789abcdef, Version: 42,
		Prev: wire.Digest{1, 2, 3, 4, 5, 6, 7, 8}, Time: 1767323045678, Flags: wire.FlagIncomplete,
	}
}

func record() (wire.Record, []byte) {
	delta := wire.AppendDelta(nil, wire.Delta{Count: 1, Sum: 7, Images: []wire.Image{{Node: garden, Bytes: []byte("{}")}}})
	common := wire.AppendMember(nil, "session_id", house.String())
	events := []wire.Event{
		{Name: wire.CommandExecuting},
		{Name: wire.NodeCreated, Fields: []byte(`"node_id":"x","name":"naïve \"quote\""`)},
	}
	return wire.Build(header(), common, events, delta), delta
}

func TestARecordIsReadBackAsItWasBuilt(t *testing.T) {
	t.Parallel()
	built, delta := record()

	got, err := wire.ParseRecord(built.Raw)
	if err != nil {
		t.Fatal(err)
	}

	if got.Header != header() || got.Digest != built.Digest || got.Len() != 2 {
		t.Errorf("got %+v, want header %+v and digest %v", got, header(), built.Digest)
	}
	events := maps.Collect(got.Events())
	if string(events[wire.NodeCreated]) != `"node_id":"x","name":"naïve \"quote\""` || len(events) != 2 {
		t.Errorf("events = %q", events)
	}
	if !got.VerifyDelta(delta) {
		t.Error("the delta it was built with is not accepted")
	}
}

func TestEveryByteOfARecordIsUnderItsDigest(t *testing.T) {
	t.Parallel()
	built, delta := record()
	const digestAt, digestEnd = 60, 68

	for i := range built.Raw {
		if i >= digestAt && i < digestEnd {
			continue
		}
		changed := bytes.Clone(built.Raw)
		changed[i] ^= 1
		if r, err := wire.ParseRecord(changed); err == nil && r.VerifyDelta(delta) {
			t.Errorf("byte %d was changed and nobody noticed", i)
		}
	}
	for i := range delta {
		changed := bytes.Clone(delta)
		changed[i] ^= 1
		if built.VerifyDelta(changed) {
			t.Errorf("byte %d of the delta was changed and nobody noticed", i)
		}
	}
}

func TestARecordFollowsOnlyThePositionItWasBuiltOn(t *testing.T) {
	t.Parallel()
	r, _ := record()
	base := wire.Position{Epoch: r.Epoch, Version: 41, Digest: r.Prev}

	if !r.Follows(base) {
		t.Error("it does not follow its base")
	}
	for name, other := range map[string]wire.Position{
		"epoch":   {Epoch: 1, Version: 41, Digest: r.Prev},
		"version": {Epoch: r.Epoch, Version: 40, Digest: r.Prev},
		"digest":  {Epoch: r.Epoch, Version: 41},
	} {
		if r.Follows(other) {
			t.Errorf("it follows a position with another %s", name)
		}
	}
}

func TestACommitFrameIsJSONWithThePositionInIt(t *testing.T) {
	t.Parallel()
	r, _ := record()

	frame := r.AppendCommitFrame(nil)

	want := `{"type":"commit","session_id":"0190a000-0000-7000-8000-000000000001","epoch":"0123456789abcdef",` +
		`"version":42,"position":"` + r.Position().String() + `","prev":"0102030405060708","events":[` +
		`{"event":"command:executing","data":{}},` +
		`{"event":"graph:node-created","data":{"node_id":"x","name":"naïve \"quote\""}}]}`
	if string(frame) != want {
		t.Errorf("got  %s\nwant %s", frame, want)
	}
	if !json.Valid(frame) {
		t.Error("the frame is not JSON")
	}
}

func TestCutOrPaddedRecordsAreRefused(t *testing.T) {
	t.Parallel()
	r, _ := record()

	for n := range r.Raw {
		if _, err := wire.ParseRecord(r.Raw[:n]); !errors.Is(err, wire.ErrMalformed) {
			t.Fatalf("the first %d bytes gave %v", n, err)
		}
	}
	if _, err := wire.ParseRecord(append(bytes.Clone(r.Raw), 0)); !errors.Is(err, wire.ErrMalformed) {
		t.Errorf("a byte too many gave %v", err)
	}
}

func TestMessagesAreReadBackAsTheyWereBuilt(t *testing.T) {
	t.Parallel()
	p := wire.Position{Epoch: 9, Version: 3, Digest: wire.Digest{7}}
	notice := wire.Notice{Session: house, Position: p, Size: 70000}
	event := wire.Ephemeral{Session: house, Name: wire.ProjectSaved, Time: 5, Common: []byte(`"a":1`), Fields: []byte(`"b":2`)}
	deleted := wire.Deleted{Session: house, Epoch: 9}

	n, err := wire.ParseNotice(wire.AppendNotice(nil, notice))
	if err != nil || n != notice {
		t.Errorf("notice: %+v, %v", n, err)
	}
	e, err := wire.ParseEphemeral(wire.AppendEphemeral(nil, event))
	if err != nil || e.Name != event.Name || e.Session != house || e.Time != 5 ||
		string(e.Common) != `"a":1` || string(e.Fields) != `"b":2` {
		t.Errorf("event: %+v, %v", e, err)
	}
	d, err := wire.ParseDeleted(wire.AppendDeleted(nil, deleted))
	if err != nil || d != deleted {
		t.Errorf("deletion: %+v, %v", d, err)
	}
}

func TestPeekingTellsKindAndSession(t *testing.T) {
	t.Parallel()
	r, _ := record()
	for want, msg := range map[wire.Kind][]byte{
		wire.KindRecord:    r.Raw,
		wire.KindNotice:    wire.AppendNotice(nil, wire.Notice{Session: house}),
		wire.KindEphemeral: wire.AppendEphemeral(nil, wire.Ephemeral{Session: house}),
		wire.KindDeleted:   wire.AppendDeleted(nil, wire.Deleted{Session: house}),
	} {
		kind, session, err := wire.PeekMessage(msg)
		if kind != want || session != house || err != nil {
			t.Errorf("got %c %v %v, want %c", kind, session, err, want)
		}
	}
	for _, bad := range []string{"", "hello", "TZ\x01\x0000000000000000000", "TR\x02\x0000000000000000000"} {
		if _, _, err := wire.PeekMessage([]byte(bad)); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%q gave %v", bad, err)
		}
	}
}

func TestOneKindIsNotTakenForAnother(t *testing.T) {
	t.Parallel()
	deleted := wire.AppendDeleted(nil, wire.Deleted{Session: house, Epoch: 1})

	if _, err := wire.ParseNotice(deleted); !errors.Is(err, wire.ErrMalformed) {
		t.Errorf("a deletion was read as a notice: %v", err)
	}
	if _, err := wire.ParseEphemeral(deleted); !errors.Is(err, wire.ErrMalformed) {
		t.Errorf("a deletion was read as an event: %v", err)
	}
}

func TestADeltaIsReadBackAsItWasBuilt(t *testing.T) {
	t.Parallel()
	want := wire.Delta{Count: 3, Sum: 1 << 63, Generation: 2, Replaced: true, Images: []wire.Image{
		{Node: house, Bytes: []byte("{}")}, {Node: garden}, {Node: command, Bytes: []byte{}},
	}}

	got, err := wire.ParseDelta(wire.AppendDelta(nil, want))
	if err != nil {
		t.Fatal(err)
	}

	if got.Count != 3 || got.Sum != 1<<63 || got.Generation != 2 || !got.Replaced || len(got.Images) != 3 {
		t.Fatalf("got %+v", got)
	}
	if got.Images[1].Bytes != nil || got.Images[2].Bytes == nil || string(got.Images[0].Bytes) != "{}" {
		t.Errorf("gone and empty were mixed up: %+v", got.Images)
	}
}

func TestTheChecksumDependsOnNodeAndBytes(t *testing.T) {
	t.Parallel()
	long := bytes.Repeat([]byte("x"), 4096)

	a := wire.ImageHash(house, []byte("x"))

	if a == wire.ImageHash(garden, []byte("x")) || a == wire.ImageHash(house, []byte("y")) {
		t.Error("two images share a hash")
	}
	if wire.ImageHash(house, long) != wire.ImageHash(house, bytes.Clone(long)) {
		t.Error("equal images differ")
	}
}

func TestPositionsAreReadBackAndNothingElseIs(t *testing.T) {
	t.Parallel()
	p := wire.Position{Epoch: 0x00ff, Version: 12, Digest: wire.Digest{0xab}}

	if s := p.String(); s != "00000000000000ff.12.ab00000000000000" {
		t.Errorf("String() = %s", s)
	}
	if got, err := wire.ParsePosition(p.String()); err != nil || got != p {
		t.Errorf("got %v, %v", got, err)
	}
	for _, bad := range []string{
		"", "12", "..", "ff.12.ab00000000000000", "00000000000000FF.12.ab00000000000000",
		"00000000000000ff.012.ab00000000000000", "00000000000000ff.-1.ab00000000000000",
		"00000000000000ff.+1.ab00000000000000", "00000000000000ff.12.ab0000000000000",
		"00000000000000ff.12.zz00000000000000", "00000000000000ff.12.ab00000000000000.",
	} {
		if _, err := wire.ParsePosition(bad); !errors.Is(err, wire.ErrPosition) {
			t.Errorf("%q gave %v", bad, err)
		}
	}
	if !(wire.Position{}).IsZero() || p.IsZero() {
		t.Error("IsZero is wrong")
	}
}

func TestTextsAreJSONWhateverTheyContain(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "plain", "\"\\\n\t\x00\x1f\x7f", "Ünïcödé 🏠", "\u2028\u2029", "bad \xff utf8"} {
		var got string
		if err := json.Unmarshal(wire.AppendString(nil, text), &got); err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		want := string([]rune(text)) // invalid bytes become U+FFFD
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if got := string(wire.AppendNumber(nil, "n", 5)); got != `"n":5` {
		t.Errorf("AppendNumber gave %s", got)
	}
	if got := string(wire.AppendTime(nil, 1767323045678)); got != "2026-01-02T03:04:05.678Z" {
		t.Errorf("AppendTime gave %s", got)
	}
}

func TestAnEventFrameNamesItsSessionOnce(t *testing.T) {
	t.Parallel()
	for _, e := range []wire.Ephemeral{
		{Session: house, Name: wire.SessionConnected, Fields: []byte(`"client_count":1`)},
		{Session: house, Name: wire.ProjectSaved, Common: []byte(`"session_id":"` + house.String() + `","timestamp":"t"`)},
	} {
		var frame struct {
			Type, Event, Timestamp string
			SessionID              string `json:"session_id"`
			Data                   map[string]any
		}
		raw := e.AppendEventFrame(nil)
		if err := json.Unmarshal(raw, &frame); err != nil {
			t.Fatalf("%s: %v", raw, err)
		}
		if frame.Type != "event" || frame.SessionID != house.String() || frame.Event != string(e.Name) || frame.Timestamp == "" {
			t.Errorf("%s", raw)
		}
		if n := bytes.Count(raw, []byte("session_id")); n != 1 {
			t.Errorf("session_id stands %d times in %s", n, raw)
		}
	}
}

func TestTheCodeTableAnswersForEveryCode(t *testing.T) {
	t.Parallel()
	want := map[wire.Code]struct {
		status, close int
		retryable     bool
	}{
		wire.InvalidRequest:    {400, 4008, false},
		wire.MoveInvalid:       {400, 0, false},
		wire.InvalidSession:    {404, 4004, false},
		wire.NodeNotFound:      {404, 0, false},
		wire.MethodNotAllowed:  {405, 0, false},
		wire.UndoTopChanged:    {409, 0, false},
		wire.LogTrimmed:        {410, 0, false},
		wire.VersionConflict:   {412, 0, false},
		wire.PayloadTooLarge:   {413, 1009, false},
		wire.IdempotencyReused: {422, 0, false},
		wire.Unauthorized:      {401, 4001, false},
		wire.Forbidden:         {403, 4003, false},
		wire.RateLimited:       {429, 4101, true},
		wire.Unavailable:       {503, 4100, true},
		wire.InternalError:     {500, 1011, false},
		"NEVER_HEARD_OF":       {500, 1011, false},
	}
	for code, w := range want {
		if code.Status() != w.status || code.CloseCode() != w.close || code.Retryable() != w.retryable {
			t.Errorf("%s: %d %d %v, want %+v", code, code.Status(), code.CloseCode(), code.Retryable(), w)
		}
	}
}
