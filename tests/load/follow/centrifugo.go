package follow

import (
	"bytes"
	"fmt"
	"net/url"
)

// Centrifugo is how a Centrifugo server speaks over its unidirectional WebSocket transport, for a comparison with it:
// https://centrifugal.dev/docs/transports/uni_websocket. Publications carry commits as rival.Gateway makes them.
type Centrifugo struct{}

// Name implements Dialect.
func (Centrifugo) Name() string { return "centrifugo" }

// Chained implements Dialect.
func (Centrifugo) Chained() bool { return false }

// Accepts implements Dialect.
func (Centrifugo) Accepts(status int) bool { return status == 101 }

// Request implements Dialect.
func (Centrifugo) Request(host, session, _ string) []byte {
	connect := fmt.Sprintf(`{"subs":{%q:{}}}`, session)
	return upgrade(host, "/connection/uni_websocket?cf_connect="+url.QueryEscape(connect))
}

// Next implements Dialect.
func (Centrifugo) Next(_ string, b []byte) (Piece, error) {
	op, payload, size, err := message(b)
	if err != nil || size == 0 {
		return Piece{}, err
	}
	p := Piece{Size: size, Text: payload}
	switch {
	case op != opText:
		p.control(op, payload)
	case bytes.HasPrefix(payload, []byte(`{"channel":`)):
		p.Kind, p.Last = Commit, true
	case bytes.HasPrefix(payload, []byte(`{"connect":`)):
		p.Kind = Joined
	case bytes.HasPrefix(payload, []byte(`{"disconnect":`)):
		code, _ := number(payload, `"code":`)
		p.Kind, p.Code = Farewell, int(code)
	}
	return p, nil
}
