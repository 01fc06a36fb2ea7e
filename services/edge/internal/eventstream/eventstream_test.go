package eventstream_test

import (
	"strings"
	"testing"
	"time"

	"github.com/talus-tally/talus/services/edge/internal/eventstream"
)

func TestAnEventHasOneDataLinePerLine(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ id, data, want string }{
		{"7", `{"a":1}`, "id: 7\nevent: commit\ndata: {\"a\":1}\n\n"},
		{"", "", "event: commit\ndata: \n\n"},
		{"", "a\nb", "event: commit\ndata: a\ndata: b\n\n"},
		{"", "a\r\nb\rc\n", "event: commit\ndata: a\ndata: b\ndata: c\ndata: \n\n"},
		{"", "\r\r\n\n", "event: commit\ndata: \ndata: \ndata: \ndata: \n\n"},
		{"", " event: x", "event: commit\ndata:  event: x\n\n"},
	} {
		if got := string(eventstream.Append(nil, []byte(c.id), "commit", []byte(c.data))); got != c.want {
			t.Errorf("%q is written as %q, want %q", c.data, got, c.want)
		}
	}
}

func TestWhatIsNoEvent(t *testing.T) {
	t.Parallel()
	got := eventstream.AppendBeat(eventstream.AppendRetry(nil, 1500*time.Millisecond))
	if string(got) != "retry: 1500\n:\n\n" {
		t.Errorf("got %q", got)
	}
}

// parse is the data of the one event in a stream, as the standard's parser finds it (9.2.6).
func parse(stream string) (data string, events int) {
	var lines []string
	for line := range strings.SplitSeq(strings.ReplaceAll(strings.ReplaceAll(stream, "\r\n", "\n"), "\r", "\n"), "\n") {
		name, value, _ := strings.Cut(line, ":")
		switch {
		case line == "" && lines != nil:
			data, lines = strings.Join(lines, "\n"), nil
			events++
		case name == "data":
			lines = append(lines, strings.TrimPrefix(value, " "))
		}
	}
	return data, events
}

func FuzzDataComesBack(f *testing.F) {
	for _, seed := range []string{"", "a", "a\n\nb", "\r\n\r", "event: x\ndata: y\n\n", ": c\nid: 1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data string) {
		want := strings.ReplaceAll(strings.ReplaceAll(data, "\r\n", "\n"), "\r", "\n")
		if got, events := parse(string(eventstream.Append(nil, nil, "x", []byte(data)))); got != want || events != 1 {
			t.Errorf("%q comes back as %q in %d events", data, got, events)
		}
	})
}
