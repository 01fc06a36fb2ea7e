// Package rival puts other people's servers under the load that Talus is measured with: a Socket.IO server with the
// Redis streams adapter, and Centrifugo.
//
// Such a server has no graph and no commands, so a Gateway takes the commands, counts versions and publishes a commit of
// the size that Talus would have made. What the clients receive is checked as it is with Talus. The figures are those
// of the process that holds the clients; another one of its kind publishes, as it would with several of them.
package rival

import (
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/tests/load/drive"
)

// Files are what the servers are started with: a program for Node with its dependencies, and settings for Centrifugo.
//
//go:embed server.js package.json package-lock.json centrifugo.json
var Files embed.FS

// publishLimit bounds one publication.
const publishLimit = 10 * time.Second

// Gateway takes the requests of drive.NewSession and Session.AppendChange and publishes a commit for each change. The
// commits of a session are published one after the other, in the order of their versions.
type Gateway struct {
	publish  string // URL
	client   *http.Client
	server   *http.Server
	served   chan struct{} // closed when server has ended
	listener net.Listener

	mu    sync.Mutex
	rooms map[string]*room
}

// room is a session.
type room struct {
	mu      sync.Mutex
	version uint64
	project string
	node    string
	value   string
}

// NewGateway listens on a free port of the loopback interface and posts {"channel":…,"data":…} to a URL.
func NewGateway(publish string) (*Gateway, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	g := &Gateway{
		publish: publish, listener: l, rooms: map[string]*room{}, served: make(chan struct{}),
		client: &http.Client{Timeout: publishLimit, Transport: &http.Transport{MaxIdleConnsPerHost: 64}},
	}
	routes := http.NewServeMux()
	routes.HandleFunc("POST /api/v1/projects", g.create)
	routes.HandleFunc("POST /api/v1/commands/execute", g.execute)
	g.server = &http.Server{Handler: routes, ReadHeaderTimeout: publishLimit}
	go func() {
		defer close(g.served)
		_ = g.server.Serve(l) // Close ends it
	}()
	return g, nil
}

// Addr is where it listens, host:port.
func (g *Gateway) Addr() string { return g.listener.Addr().String() }

// Close ends it; requests under way are cut off.
func (g *Gateway) Close() {
	_ = g.server.Close() // nothing is left to be said
	<-g.served
	g.client.CloseIdleConnections()
}

// create makes a session whose graph would have one node.
func (g *Gateway) create(w http.ResponseWriter, _ *http.Request) {
	r := &room{version: 1, project: uuid.NewString(), node: uuid.NewString()}
	session := uuid.NewString()
	g.mu.Lock()
	g.rooms[session] = r
	g.mu.Unlock()
	fmt.Fprintf(w, `{"session_id":%q,"graph":{"roots":[{"id":%q}]}}`, session, r.node)
}

func (g *Gateway) execute(w http.ResponseWriter, req *http.Request) {
	var command struct {
		SessionID string `json:"session_id"`
		Type      string `json:"command_type"`
		Data      struct {
			NewValue string `json:"new_value"`
		} `json:"data"`
	}
	if err := json.NewDecoder(req.Body).Decode(&command); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if command.Type != "UpdateProperty" {
		http.Error(w, "there is no graph here, only UpdateProperty can be executed", http.StatusUnprocessableEntity)
		return
	}
	g.mu.Lock()
	r := g.rooms[command.SessionID]
	g.mu.Unlock()
	if r == nil {
		http.Error(w, "no such session", http.StatusNotFound)
		return
	}
	version, err := r.commit(req.Context(), g, command.SessionID, command.Data.NewValue)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	fmt.Fprintf(w, `{"success":true,"version":%d}`, version)
}

// commit publishes the next version.
func (r *room) commit(ctx context.Context, g *Gateway, session, value string) (uint64, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var answer struct {
		Error json.RawMessage `json:"error"`
	}
	body := fmt.Sprintf(`{"channel":%q,"data":%s}`, session, r.frame(session, value))
	err := drive.PostBy(ctx, g.client, g.publish, body, &answer)
	if err == nil && answer.Error != nil {
		err = fmt.Errorf("publishing: %s", answer.Error)
	}
	if err != nil {
		return 0, err
	}
	r.version++
	r.value = value
	return r.version, nil
}

// frame is a commit as api.md, part 8, has it, but for what chains it to the one before.
func (r *room) frame(session, value string) []byte {
	return fmt.Appendf(nil, `{"type":"commit","session_id":%q,"project_id":%q,"timestamp":%q,"command_id":%q,"command_type":"UpdateProperty",`+
		`"actor":null,"version":%d,"events":[{"event":"command:executing","data":{}},{"event":"graph:property-changed","data":{"node_id":%q,`+
		`"property_id":%q,"property_name":%q,"old_value":%q,"new_value":%q}},{"event":"command:executed","data":{"success":true,"error":null,"result":{}}}]}`,
		session, r.project, time.Now().UTC().Format("2006-01-02T15:04:05.000Z"), uuid.NewString(), r.version+1, r.node, r.project, r.project, r.value, value)
}
