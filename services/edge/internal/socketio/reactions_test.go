package socketio_test

import (
	"strings"
	"testing"

	"github.com/talus-tally/talus/services/edge/internal/engineio/engineiotest"
	"github.com/talus-tally/talus/services/edge/internal/socketio"
)

// The reactions of the reference server to what clients send (socketio.md, part 4), on each transport.
func TestReactions(t *testing.T) {
	t.Parallel()
	sys := serve(t, socketio.Config{}, map[string]socketio.Namespace{"/": echo(), "/chat": echo()})

	for name, row := range map[string]struct {
		before bool     // the peer connects to / first
		says   []string // packets
		hears  []string // the answers
		closed bool     // the session is closed then; otherwise it goes on
	}{
		"refused, with data":                      {says: []string{`40{"bad":1}`}, hears: []string{`44{"message":"bad creds","data":{"code":7}}`}},
		"refused, may try again":                  {says: []string{`40{"bad":1}`, `40{"bad":2}`}, hears: []string{`44{"message":"bad creds","data":{"code":7}}`, `44{"message":"bad creds","data":{"code":7}}`}},
		"refused in a namespace":                  {says: []string{`40/chat,{"bad":1}`}, hears: []string{`44/chat,{"message":"bad creds","data":{"code":7}}`}},
		"unknown namespace":                       {says: []string{`40/nope,`}, hears: []string{`44/nope,{"message":"Invalid namespace"}`}},
		"unknown namespace without comma":         {says: []string{`40/nope`}, hears: []string{`44/nope,{"message":"Invalid namespace"}`}},
		"namespaces are compared byte by byte":    {says: []string{`40/chat/,{}`}, hears: []string{`44/chat/,{"message":"Invalid namespace"}`}},
		"CONNECT twice":                           {before: true, says: []string{`40`}, closed: true},
		"an event before CONNECT":                 {says: []string{`42["x"]`}, closed: true},
		"an ack before CONNECT":                   {says: []string{`430[]`}, closed: true},
		"DISCONNECT before CONNECT":               {says: []string{`41`}, closed: true},
		"noop, upgrade, open and an unasked pong": {before: true, says: []string{`6`, `5`, `0`, `3`}},
		"type 8":                                         {before: true, says: []string{`48`}, closed: true},
		"type 7":                                         {before: true, says: []string{`47["x"]`}, closed: true},
		"no digit":                                       {before: true, says: []string{`4abc`}, closed: true},
		"an empty message":                               {before: true, says: []string{`4`}, closed: true},
		"an event without payload":                       {before: true, says: []string{`42`}, closed: true},
		"an event without a name":                        {before: true, says: []string{`42[]`}, closed: true},
		"an event that is an object":                     {before: true, says: []string{`42{}`}, closed: true},
		"an event whose name is null":                    {before: true, says: []string{`42[null]`}, closed: true},
		"an event whose name is an object":               {before: true, says: []string{`42[{}]`}, closed: true},
		"the reserved name connect":                      {before: true, says: []string{`42["connect",2]`}, closed: true},
		"the reserved name connect_error":                {before: true, says: []string{`42["connect_error"]`}, closed: true},
		"the reserved name disconnect":                   {before: true, says: []string{`42["disconnect"]`}, closed: true},
		"the reserved name disconnecting":                {before: true, says: []string{`42["disconnecting"]`}, closed: true},
		"the reserved name newListener":                  {before: true, says: []string{`42["newListener"]`}, closed: true},
		"the reserved name removeListener":               {before: true, says: []string{`42["removeListener"]`}, closed: true},
		"a reserved name in escapes":                     {before: true, says: []string{`42["c\u006fnnect"]`}, closed: true},
		"error, ping, pong and message are ordinary":     {before: true, says: []string{`42["error"]`, `42["ping"]`, `42["pong"]`, `42["message"]`}, hears: []string{`42["error"]`, `42["ping"]`, `42["pong"]`, `42["message"]`}},
		"a name that is a number":                        {before: true, says: []string{`42[1,2]`}, hears: []string{`42["1",2]`}},
		"an ack nobody waits for":                        {before: true, says: []string{`4399[1]`}},
		"an ack without id":                              {before: true, says: []string{`43[1]`}},
		"an ack that is an object":                       {before: true, says: []string{`4399{"a":1}`}, closed: true},
		"an ack without payload":                         {before: true, says: []string{`430`}, closed: true},
		"an id of 20 digits":                             {before: true, says: []string{`4212345678901234567890["x"]`}, closed: true},
		"an id of 19 digits":                             {before: true, says: []string{`421234567890123456789["x"]`}, hears: []string{`431234567890123456789[]`}},
		"the id 0":                                       {before: true, says: []string{`420["x",1,"two",{"three":[4]}]`}, hears: []string{`430[1,"two",{"three":[4]}]`}},
		"malformed JSON":                                 {before: true, says: []string{`42["x"`}, closed: true},
		"bytes after the JSON":                           {before: true, says: []string{`42["x"]]`}, closed: true},
		"a control character in a string":                {before: true, says: []string{"42[\"x\ny\"]"}, closed: true},
		"64 arrays in each other":                        {before: true, says: []string{`42["x",` + nested(63) + `]`}, hears: []string{`42["x",` + nested(63) + `]`}},
		"65 arrays in each other":                        {before: true, says: []string{`42["x",` + nested(64) + `]`}, closed: true},
		"11 attachments":                                 {before: true, says: []string{`4511-["hi"]`}, closed: true},
		"10 attachments":                                 {before: true, says: append([]string{`4510-["hi",{"_placeholder":true,"num":9}]`}, repeat(`bAQID`, 10)...), hears: append([]string{`4510-["hi",{"_placeholder":true,"num":9}]`}, repeat(`bAQID`, 10)...)},
		"0 attachments":                                  {before: true, says: []string{`450-["hi",1]`}, closed: true},
		"no number of attachments":                       {before: true, says: []string{`45["hi",1]`}, closed: true},
		"no dash":                                        {before: true, says: []string{`451["hi",1]`}, closed: true},
		"a number of attachments that is too long":       {before: true, says: []string{`4599999999999999999999-["hi",1]`}, closed: true},
		"text while attachments are missing":             {before: true, says: []string{`451-["hi",{"_placeholder":true,"num":0}]`, `42["x"]`}, closed: true},
		"a placeholder for an attachment there is not":   {before: true, says: []string{`451-["hi",{"_placeholder":true,"num":1}]`, `bAQID`}, closed: true},
		"a placeholder with a negative number":           {before: true, says: []string{`451-["hi",{"_placeholder":true,"num":-1}]`, `bAQID`}, closed: true},
		"a placeholder without a number":                 {before: true, says: []string{`451-["hi",{"_placeholder":true}]`, `bAQID`}, closed: true},
		"a placeholder with a number in quotes":          {before: true, says: []string{`451-["hi",{"_placeholder":true,"num":"0"}]`, `bAQID`}, closed: true},
		"a wrong placeholder inside":                     {before: true, says: []string{`451-["hi",{"a":[{"num":7,"_placeholder":true}]}]`, `bAQID`}, closed: true},
		"a placeholder without attachments is an object": {before: true, says: []string{`42["hi",{"_placeholder":true,"num":3}]`}, hears: []string{`42["hi",{"_placeholder":true,"num":3}]`}},
		"a stray attachment":                             {before: true, says: []string{`bAQID`}, closed: true},
		"one attachment too many":                        {before: true, says: []string{`451-["hi",{"_placeholder":true,"num":0}]`, `bAQID`, `bAQID`}, hears: []string{`451-["hi",{"_placeholder":true,"num":0}]`, `bAQID`}, closed: true},
		"placeholders anywhere":                          {before: true, says: []string{`452-["hi",{"a":[{"_placeholder":true,"num":1}]},{"num":0,"_placeholder":true}]`, `bAQID`, `bBAUG`}, hears: []string{`452-["hi",{"a":[{"_placeholder":true,"num":1}]},{"num":0,"_placeholder":true}]`, `bAQID`, `bBAUG`}},
		"binary with an ack":                             {before: true, says: []string{`451-13["hi",{"_placeholder":true,"num":0}]`, `bAQID`}, hears: []string{`461-13[{"_placeholder":true,"num":0}]`, `bAQID`}},
		"a binary ack that is an object":                 {before: true, says: []string{`461-0{}`, `bAQID`}, closed: true},
		"CONNECT with an array":                          {says: []string{`40[1]`}, closed: true},
		"CONNECT with null":                              {says: []string{`40null`}, closed: true},
		"CONNECT with a string":                          {says: []string{`40"x"`}, closed: true},
		"DISCONNECT with a payload":                      {before: true, says: []string{`41{}`}, closed: true},
		"an event after DISCONNECT":                      {before: true, says: []string{`41`, `42["x"]`}, closed: true},
		"an event for a namespace that is not joined":    {before: true, says: []string{`42/foo,["hi"]`}, closed: true},
		"an event for one that exists but is not joined": {before: true, says: []string{`42/chat,["hi"]`}, closed: true},
		"DISCONNECT from a namespace that is not joined": {before: true, says: []string{`41/foo,`}, closed: true},
		"CONNECT_ERROR from a client":                    {before: true, says: []string{`44{"message":"x"}`}, closed: true},
		"JSON passes as it is":                           {before: true, says: []string{"42[\"x\",\"\u2028 \U0001F600\",1e400,12345678901234567890]"}, hears: []string{"42[\"x\",\"\u2028 \U0001F600\",1e400,12345678901234567890]"}},
		"what follows a violation does not count":        {before: true, says: []string{`42["one"]`, `42[]`, `42["two"]`}, hears: []string{`42["one"]`}, closed: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			over(t, sys, func(t *testing.T, p peer) {
				if row.before {
					connects(t, p, "40")
				}
				p.says(row.says...)
				p.hears(row.hears...)
				if row.closed {
					p.isClosed()
					return
				}
				if !row.before {
					connects(t, p, "40")
				}
				p.says(`427["alive"]`)
				p.hears(`437[]`)
			})
		})
	}
}

func nested(depth int) string { return strings.Repeat("[", depth) + strings.Repeat("]", depth) }

func repeat(packet string, times int) []string {
	return strings.Split(strings.Repeat(packet+" ", times-1)+packet, " ")
}

func TestAnEmptyFrameAndAPingEndASession(t *testing.T) {
	t.Parallel()
	sys := serve(t, socketio.Config{}, map[string]socketio.Namespace{"/": echo()})

	for name, packet := range map[string]string{"an empty packet": "", "a ping": "2", "a probe": "2probe", "type 7": "7", "bad base64": "b?"} {
		t.Run(name+" over a WebSocket", func(t *testing.T) {
			t.Parallel()
			sys := sys.In(t)
			w := sys.OpensWebSocket()
			w.Says(packet)
			w.IsClosed(engineiotest.NoStatus)
		})
		t.Run(name+" over polling", func(t *testing.T) {
			t.Parallel()
			sys := sys.In(t)
			p := sys.Opens()
			sys.Wants(p.Post(packet), 400, engineiotest.Bad)
			sys.Wants(p.Get(), 400, engineiotest.Unknown)
		})
	}
}

func TestBinaryInTextIsAcceptedOverAWebSocket(t *testing.T) {
	t.Parallel()
	sys := serve(t, socketio.Config{}, map[string]socketio.Namespace{"/": echo()})
	w := sys.OpensWebSocket()
	p := &webSocket{t, w}
	connects(t, p, "40")

	w.Says(`451-["hi",{"_placeholder":true,"num":0}]`, `bAQID`)

	p.hears(`451-["hi",{"_placeholder":true,"num":0}]`, `bAQID`)
}
