package drive

import (
	"bytes"
	"context"
	"fmt"
	"strconv"

	"github.com/google/uuid"
)

// fanned is how many children a node of a planted graph has.
const fanned = 100

// NewPlanted creates a session whose graph has n nodes, each with up to a hundred children, and no template. Changes
// go to its root's name.
func NewPlanted(ctx context.Context, base string, n int) (*Session, error) {
	var made struct {
		SessionID string `json:"session_id"`
	}
	if err := Post(ctx, base+"/api/v1/sessions", "{}", &made); err != nil {
		return nil, err
	}
	ids := make([]string, n)
	for i := range ids {
		ids[i] = uuid.NewString()
	}
	var body bytes.Buffer
	body.WriteString(`{"graph":{"nodes":[`)
	for i, id := range ids {
		if i > 0 {
			body.WriteByte(',')
		}
		body.WriteString(`{"id":"` + id + `","type":"thing","name":"` + strconv.Itoa(i) + `","children":[`)
		for child := i*fanned + 1; child <= (i+1)*fanned && child < n; child++ {
			if child > i*fanned+1 {
				body.WriteByte(',')
			}
			body.WriteString(`"` + ids[child] + `"`)
		}
		body.WriteString("]}")
	}
	body.WriteString("]}}")
	var loaded struct {
		Version uint64 `json:"version"`
	}
	if err := Post(ctx, base+"/api/v1/sessions/"+made.SessionID+"/load-graph", body.String(), &loaded); err != nil {
		return nil, fmt.Errorf("graph of %d nodes: %w", n, err)
	}
	s := &Session{ID: made.SessionID, Root: ids[0], property: "name"}
	s.head.Store(loaded.Version)
	return s, nil
}
