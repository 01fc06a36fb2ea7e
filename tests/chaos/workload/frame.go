package workload

import (
	"encoding/json"

	"github.com/talus-tally/talus/pkg/wire"
)

// frame is a frame of the native protocol (api.md part 8), any type.
type frame struct {
	Type        string `json:"type"`
	ID          string `json:"id"`
	SessionID   string `json:"session_id"`
	ClientID    string `json:"client_id"`
	ClientCount int    `json:"client_count"`
	Version     uint64 `json:"version"`
	Position    string `json:"position"`
	Prev        string `json:"prev"`
	Resumed     bool   `json:"resumed"`
	Reason      string `json:"reason"`
	Code        string `json:"code"`
	Message     string `json:"message"`
	Status      string `json:"status"`
	Event       string `json:"event"`
	CommandID   string `json:"command_id"`
	Events      []struct {
		Event string          `json:"event"`
		Data  json.RawMessage `json:"data"`
	} `json:"events"`
	Data struct {
		ClientID    string `json:"client_id"`
		ClientCount int    `json:"client_count"`
		Seq         uint64 `json:"seq"`
	} `json:"data"`

	at wire.Position // of Position
}

// parseFrame reads a frame. A position that is none is the zero one.
func parseFrame(raw []byte) (frame, error) {
	var f frame
	if err := json.Unmarshal(raw, &f); err != nil {
		return f, err
	}
	f.at, _ = wire.ParsePosition(f.Position)
	return f, nil
}
