package edge_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/talus-tally/talus/pkg/redistest"
	"github.com/talus-tally/talus/services/edge"
)

func TestTwoHundredPollersLoseNothing(t *testing.T) {
	t.Parallel()
	const pollers, commits = 200, 60
	e, _ := serve(t, edge.Config{})
	plan := creates(t, redistest.URL(t))
	var joined, running sync.WaitGroup
	joined.Add(pollers)
	for i := range pollers {
		sid := polls(t, e)
		running.Go(func() {
			if err := follow(t, e, sid, plan, commits, joined.Done); err != nil {
				t.Errorf("poller %d: %v", i, err)
			}
		})
	}
	joined.Wait()

	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for range commits {
		plan.commitsEvents(3)
		<-tick.C
	}
	running.Wait()
}

// follow polls a session until its last commit has come, each event once and in order, and leaves.
func follow(t *testing.T, e *edge.Edge, sid string, plan *session, commits int, joined func()) error {
	once := sync.OnceFunc(joined)
	defer once() // also if it could not
	if status, body := request(t, e, http.MethodPost, "&sid="+sid, "40/graph,"+plan.named("")); status != http.StatusOK {
		return fmt.Errorf("connect: %d %s", status, body)
	}
	version, number := 1, 1
	for version <= commits {
		status, body := request(t, e, http.MethodGet, "&sid="+sid, "")
		if status != http.StatusOK {
			return fmt.Errorf("poll: %d %s", status, body)
		}
		packets := strings.Split(body, "\x1e")
		if len(packets) > 16 {
			return fmt.Errorf("%d packets in a response", len(packets))
		}
		for _, packet := range packets {
			switch {
			case strings.HasPrefix(packet, "40/graph,"):
				once()
			case packet == "2":
				if status, body := request(t, e, http.MethodPost, "&sid="+sid, "3"); status != http.StatusOK {
					return fmt.Errorf("pong: %d %s", status, body)
				}
			case strings.Contains(packet, "node-created"):
				if want := fmt.Sprintf(`"version":%d,"n":%d}]`, version, number); !strings.HasSuffix(packet, want) {
					return fmt.Errorf("got %s, want …%s", packet, want)
				}
				if number++; number > 3 {
					version, number = version+1, 1
				}
			}
		}
	}
	if status, body := request(t, e, http.MethodPost, "&sid="+sid, "1"); status != http.StatusOK {
		return fmt.Errorf("leave: %d %s", status, body)
	}
	return nil
}
