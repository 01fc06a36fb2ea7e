package follow

import (
	"bytes"
	"errors"
	"fmt"
)

// SocketIO is the namespace /graph of api.md, part 10, over WebSocket from the start: each event of a commit is a packet
// of its own. A client comes without recovery, so it is told no position and does not resume.
type SocketIO struct {
	Shipped bool // it connects without a session and joins by an event
}

// Name implements Dialect.
func (d SocketIO) Name() string {
	if d.Shipped {
		return "shipped"
	}
	return "socketio"
}

// Chained implements Dialect.
func (SocketIO) Chained() bool { return false }

// Accepts implements Dialect.
func (SocketIO) Accepts(status int) bool { return status == 101 }

// Request implements Dialect.
func (SocketIO) Request(host, _, _ string) []byte {
	return upgrade(host, "/socket.io/?EIO=4&transport=websocket")
}

// Next implements Dialect.
func (d SocketIO) Next(session string, b []byte) (Piece, error) {
	op, payload, size, err := message(b)
	if err != nil || size == 0 {
		return Piece{}, err
	}
	p := Piece{Size: size}
	if op != opText {
		p.control(op, payload)
		return p, nil
	}
	p, err = d.packet(session, payload)
	p.Size = size
	if p.Kind == Answer {
		p.Text = masked(opText, p.Text)
	}
	return p, err
}

const namespace = "/graph,"

var errRefused = errors.New("the namespace refused the client")

// packet reads one packet of Engine.IO. The text of an Answer is a packet, too.
func (d SocketIO) packet(session string, packet []byte) (Piece, error) {
	what, rest, _ := bytes.Cut(packet, []byte(namespace))
	switch string(what) {
	case "40":
		if d.Shipped {
			return Piece{Kind: Answer, Text: fmt.Appendf(nil, `42%s["join_session",{"session_id":"%s"}]`, namespace, session)}, nil
		}
		return Piece{Kind: Joined, Text: rest}, nil
	case "42":
		return event(rest), nil
	case "44":
		return Piece{}, fmt.Errorf("%w: %.300s", errRefused, rest)
	case "1", "41":
		return Piece{Kind: Farewell}, nil
	case "2":
		return Piece{Kind: Answer, Text: []byte("3")}, nil
	}
	if len(packet) > 0 && packet[0] == '0' {
		text := []byte("40" + namespace)
		if !d.Shipped {
			text = fmt.Appendf(text, `{"session_id":"%s"}`, session)
		}
		return Piece{Kind: Answer, Text: text}, nil
	}
	return Piece{Kind: Other}, nil
}

// event reads `["name",{…}]`. What has a version is of a commit, whose last event says how it came about.
func event(array []byte) Piece {
	name, _ := member(array, `["`)
	p := Piece{Text: array}
	switch _, versioned := number(array, `,"version":`); string(name) {
	case "joined":
		p.Kind = Joined
	case "session:resync", "session-resync":
		p.Kind = Resync
	case "command:executed", "command:undo", "command:redo", "project:loaded",
		"command-executed", "undo", "redo", "project-loaded":
		p.Last = true
		fallthrough
	default:
		if versioned {
			p.Kind = Commit
		}
	}
	return p
}
