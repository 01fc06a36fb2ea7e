package drive

import (
	"context"
	"fmt"
	"strconv"
)

// Garden is a session in which a mix of commands goes on for ever without one that must be refused: two epics, and a
// story that moves between them; changes of properties, new nodes, undos and redos.
type Garden struct {
	*Session
	epics [2]string
	story string
}

// NewGarden plants the session's first nodes.
func NewGarden(ctx context.Context, base string, s *Session) (*Garden, error) {
	g := &Garden{Session: s}
	plant := func(kind, parent string) (string, error) {
		var made struct {
			NodeID string `json:"node_id"`
		}
		body := fmt.Sprintf(`{"session_id":%q,"command_type":"CreateNode","data":{"blueprint_type_id":%q,"parent_id":%q,"name":%q}}`, s.ID, kind, parent, kind)
		err := Post(ctx, base+"/api/v1/commands/execute", body, &made)
		return made.NodeID, err
	}
	var err error
	for i := range g.epics {
		if g.epics[i], err = plant("epic", s.Root); err != nil {
			return nil, err
		}
	}
	g.story, err = plant("story", g.epics[0])
	return g, err
}

// Append appends the request of the i-th command of the mix. Of 20 commands 11 change a property, 4 create a node, 3 move
// one, 1 undoes and 1 redoes.
func (g *Garden) Append(dst []byte, host string, i int, due int64) []byte {
	switch i % 20 {
	case 2, 7, 12, 17:
		return g.execute(dst, host, "CreateNode", `"blueprint_type_id":"task","parent_id":"`+g.story+`","name":"`+strconv.Itoa(i)+`"`)
	case 4, 10, 16:
		return g.execute(dst, host, "MoveNode", `"node_id":"`+g.story+`","new_parent_id":"`+g.epics[i%2]+`"`)
	case 18:
		return request(dst, host, "/sessions/"+g.ID+"/undo", []byte("{}"))
	case 19:
		return request(dst, host, "/sessions/"+g.ID+"/redo", []byte("{}"))
	default:
		return g.AppendChange(dst, host, due)
	}
}

func (g *Garden) execute(dst []byte, host, command, data string) []byte {
	var buf [512]byte
	body := append(append(append(buf[:0], `{"session_id":"`...), g.ID...), `","command_type":"`...)
	body = append(append(append(body, command...), `","data":{`...), data...)
	return request(dst, host, "/commands/execute", append(body, "}}"...))
}
