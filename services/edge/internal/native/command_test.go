package native_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/talus-tally/talus/pkg/wire"
)

// result is the answer to a command.
type result struct {
	Type     string
	ID       json.RawMessage
	Status   int `json:"http_status"`
	Replayed bool
	Body     json.RawMessage
}

// resolves reads the next frame, which must be the answer to a command.
func (c *client) resolves(id string, status int) result {
	c.t.Helper()
	_, text, err := c.conn.Read(c.t.Context())
	var r result
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err != nil || r.Type != "result" || string(r.ID) != id || r.Status != status {
		c.t.Fatalf("heard %s, %v; want the result %d of %s", text, err, status, id)
	}
	return r
}

func TestACommandIsAnsweredAsRestWouldAnswerIt(t *testing.T) {
	t.Parallel()
	e := serve(t)
	e.executes = func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Idempotency-Replayed", "true")
		w.WriteHeader(http.StatusNotFound)
		_, _ = fmt.Fprintf(w, `{"got":%s,"at":%q,"prefer":%q,"actor":%q,"match":%q}`, body, r.URL.Path, r.Header.Get("Prefer"),
			r.Header.Get("X-Actor"), r.Header.Get("If-Match"))
	}
	ann := e.dials(nil)

	ann.says(`{"type":"command", "id":"7","session_id":"s","command_type":"C","data":{"a": [1]},"command_id":"k","actor":"ann","if_match":"p"}`)

	got := ann.resolves(`"7"`, http.StatusNotFound)
	want := `{"got":{"session_id":"s","command_type":"C","command_id":"k","data":{"a": [1]}},"at":"/api/v1/commands/execute",` +
		`"prefer":"return=minimal","actor":"ann","match":"p"}`
	if string(got.Body) != want || !got.Replayed {
		t.Errorf("got  %s\nwant %s", got.Body, want)
	}
}

func TestCommandsOfOneConnectionAreCarriedOutInTheirOrder(t *testing.T) {
	t.Parallel()
	e := serve(t)
	var order []string // of the service's only caller
	e.executes = func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		order = append(order, string(body))
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(body)
	}
	ann := e.dials(nil)

	for i := range 30 {
		ann.says(`{"type":"command","id":%d,"data":%d}`, i, i)
	}

	for i := range 30 {
		if got := ann.resolves(fmt.Sprint(i), http.StatusOK); string(got.Body) != fmt.Sprintf(`{"data":%d}`, i) {
			t.Errorf("command %d was answered %s", i, got.Body)
		}
	}
	if len(order) != 30 {
		t.Errorf("carried out %q", order)
	}
}

func TestACommandThatIsNoneIsAnError(t *testing.T) {
	t.Parallel()
	e := serve(t)
	ann := e.dials(nil)

	ann.says(`{"type":"command","id":1,"actor":5}`)
	ann.refused(wire.InvalidRequest, "1")
	ann.says(`{"type":"command","id":2,"return":"all"}`)
	ann.refused(wire.InvalidRequest, "2")
}
