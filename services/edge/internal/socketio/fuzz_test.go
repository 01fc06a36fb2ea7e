package socketio_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/talus-tally/talus/services/edge/internal/socketio"
)

var packets = []string{
	`0`, `0{"token":"x"}`, `0/chat,{"token":"x"}`, `0/nope`, `1`, `1/chat,`, `2["x"]`, `2/chat,7["join",{"a":1}]`, `212["x",[[[{}]]]]`,
	`30[]`, `3/chat,99[1,"two",null]`, `4{"message":"x"}`, `51-["x",{"_placeholder":true,"num":0}]`,
	`52-/chat,13["up",{"_placeholder":true,"num":0},{"a":[{"num":1,"_placeholder":true}]}]`, `61-0[{"_placeholder":true,"num":0}]`,
	`50-["x"]`, `511-["x"]`, `2["connect"]`, `2[1,2]`, `2[]`, `2{}`, `2`, ``, `7`, `2["\u0041\ud83d\ude00"]`, `2["x",-0.5e+10,true,false]`,
	`2[ "x" , { "a" : [ ] } ]`, `299999999999999999999["x"]`, `2["x",1e]`, `2["x",01]`, `2["\x"]`, "2[\"\x01\"]",
}

// What the parser accepts is a packet by the grammar, written down a second time with the standard library.
func FuzzAPacketIsTakenApartAsTheGrammarSays(f *testing.F) {
	for _, packet := range packets {
		f.Add([]byte(packet))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if !utf8.Valid(text) { // the transport has refused it
			return
		}
		p, err := socketio.Parse(text)
		if err != nil {
			return
		}
		again := []byte{p.Kind}
		if p.Attachments > 0 {
			again = fmt.Appendf(again, "%d-", p.Attachments)
		}
		if p.Namespace != "/" {
			again = append(append(again, p.Namespace...), ',')
		}
		if p.HasID {
			again = fmt.Append(again, p.ID)
		}
		again = append(again, p.Data...)
		q, err := socketio.Parse(again)
		if err != nil || fmt.Sprint(p) != fmt.Sprint(q) {
			t.Fatalf("%q is %+v, %q is %+v, %v", text, p, again, q, err)
		}
		judge(t, p)
	})
}

func judge(t *testing.T, p socketio.Parsed) {
	t.Helper()
	var args []json.RawMessage
	if p.Data != "" && !json.Valid([]byte(p.Data)) {
		t.Fatalf("%q is no JSON", p.Data)
	}
	_ = json.Unmarshal([]byte(p.Data), &args)
	if len(args) != len(p.Args) {
		t.Fatalf("%q has arguments %q", p.Data, p.Args)
	}
	for i, arg := range args {
		if string(arg) != p.Args[i] {
			t.Fatalf("argument %d of %q is %q", i, p.Data, p.Args[i])
		}
	}
	fits := map[byte]bool{
		'0': p.Data == "" || p.Data[0] == '{', '1': p.Data == "", '2': len(args) > 0, '3': strings.HasPrefix(p.Data, "["),
		'5': len(args) > 0 && p.Attachments > 0, '6': strings.HasPrefix(p.Data, "[") && p.Attachments > 0,
	}
	if !fits[p.Kind] || p.Attachments > 10 {
		t.Fatalf("%+v was accepted", p)
	}
}

func FuzzTheScannerKnowsJSON(f *testing.F) {
	for _, packet := range packets {
		if i := strings.IndexAny(packet, "[{"); i >= 0 {
			f.Add([]byte(packet[i:]))
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if !utf8.Valid(text) || bytes.Count(text, []byte("["))+bytes.Count(text, []byte("{")) > 1000 {
			return
		}
		trimmed := bytes.Trim(text, " \t\r\n")
		want := json.Valid(text) && len(trimmed) == len(text) && len(text) > 0 && (text[0] == '[' || text[0] == '{')
		if got := socketio.IsJSON(text); got != want {
			t.Fatalf("%q: %v, want %v", text, got, want)
		}
	})
}
