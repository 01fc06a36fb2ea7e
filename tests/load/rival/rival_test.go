package rival_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/talus-tally/talus/tests/load/drive"
	"github.com/talus-tally/talus/tests/load/rival"
)

// publisher stands for the server that publishes; it keeps what it was given.
type publisher struct {
	*httptest.Server

	mu   sync.Mutex
	got  []publication
	says string // the answer, instead of {}
	code int
}

type publication struct {
	Channel string `json:"channel"`
	Data    struct {
		SessionID string `json:"session_id"`
		Version   uint64 `json:"version"`
		Events    []struct {
			Data struct {
				NewValue string `json:"new_value"`
			} `json:"data"`
		} `json:"events"`
	} `json:"data"`
}

func newPublisher(t *testing.T) *publisher {
	t.Helper()
	p := &publisher{says: "{}", code: http.StatusOK}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var one publication
		p.mu.Lock()
		defer p.mu.Unlock()
		if err := json.NewDecoder(r.Body).Decode(&one); err != nil {
			t.Error(err)
		}
		if p.code == http.StatusOK && p.says == "{}" {
			p.got = append(p.got, one)
		}
		w.WriteHeader(p.code)
		fmt.Fprint(w, p.says)
	}))
	t.Cleanup(p.Close)
	return p
}

// opens starts a gateway with a session.
func opens(t *testing.T) (p *publisher, base string, s *drive.Session) {
	t.Helper()
	p = newPublisher(t)
	g, err := rival.NewGateway(p.URL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	base = "http://" + g.Addr()
	if s, err = drive.NewSession(t.Context(), base, "plan"); err != nil {
		t.Fatal(err)
	}
	return p, base, s
}

func execute(t *testing.T, base, body string) (int, string) {
	t.Helper()
	resp, err := http.Post(base+"/api/v1/commands/execute", "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

func change(session string, n int) string {
	return fmt.Sprintf(`{"session_id":%q,"command_type":"UpdateProperty","data":{"new_value":"t=%d"}}`, session, n)
}

func TestChangesOfManyCallersArePublishedInTheOrderOfTheirVersions(t *testing.T) {
	t.Parallel()
	p, base, s := opens(t)
	const callers, each = 8, 25
	var all sync.WaitGroup
	for c := range callers {
		all.Go(func() {
			for i := range each {
				if status, text := execute(t, base, change(s.ID, c*each+i)); status != http.StatusOK {
					t.Errorf("status %d: %s", status, text)
				}
			}
		})
	}
	all.Wait()
	if len(p.got) != callers*each {
		t.Fatalf("%d publications", len(p.got))
	}
	values := map[string]bool{}
	for i, one := range p.got {
		if one.Channel != s.ID || one.Data.SessionID != s.ID || one.Data.Version != uint64(i)+2 {
			t.Fatalf("publication %d: %+v", i, one)
		}
		values[one.Data.Events[1].Data.NewValue] = true
	}
	if len(values) != callers*each {
		t.Errorf("%d different values", len(values))
	}
}

func TestAVersionThatCouldNotBePublishedIsNotUsedUp(t *testing.T) {
	t.Parallel()
	p, base, s := opens(t)
	for _, bad := range []struct {
		code int
		says string
	}{{http.StatusInternalServerError, ""}, {http.StatusOK, `{"error":{"code":102,"message":"unknown channel"}}`}} {
		p.mu.Lock()
		p.code, p.says = bad.code, bad.says
		p.mu.Unlock()
		if status, text := execute(t, base, change(s.ID, 1)); status != http.StatusBadGateway {
			t.Errorf("%+v: status %d: %s", bad, status, text)
		}
	}
	p.mu.Lock()
	p.code, p.says = http.StatusOK, "{}"
	p.mu.Unlock()
	if status, text := execute(t, base, change(s.ID, 1)); status != http.StatusOK || !strings.Contains(text, `"version":2`) {
		t.Errorf("status %d: %s", status, text)
	}
}

func TestBadRequestsToTheGatewayAreRefused(t *testing.T) {
	t.Parallel()
	p, base, s := opens(t)
	for body, want := range map[string]int{
		change("nowhere", 1): http.StatusNotFound,
		`{"session_id":`:     http.StatusBadRequest,
		strings.Replace(change(s.ID, 1), "UpdateProperty", "MoveNode", 1): http.StatusUnprocessableEntity,
	} {
		if status, text := execute(t, base, body); status != want {
			t.Errorf("%s: status %d: %s", body, status, text)
		}
	}
	if len(p.got) > 0 {
		t.Errorf("published %+v", p.got)
	}
}
