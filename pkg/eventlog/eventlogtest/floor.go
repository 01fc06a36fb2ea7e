package eventlogtest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/talus-tally/talus/pkg/eventlog"
)

// Floor is how many commits per second the commit script takes on the Redis at url from that many callers who wait for their
// answers, over as many sessions: about n commits of one node each that push undo, in groups as large as so many callers
// make. Everything but Redis, the writing of requests and the reading of answers is done before the clock runs.
func Floor(b *testing.B, url string, callers, sessions, n int) float64 {
	b.Helper()
	opts, err := eventlog.Options(url)
	must(b, err)
	rdb := redis.NewUniversalClient(opts)
	defer rdb.Close()
	log := eventlog.New(rdb, eventlog.Config{Retention: 2000})
	group := max(1, callers/sessions)
	together := min(sessions, callers/group)
	filler := fmt.Sprintf("%400s", "")
	groups := make([][]eventlog.Commit, 0, n/group+1)
	writers := make([]*Writer, sessions)
	for i := range writers {
		writers[i] = Creates(b, log)
	}
	for len(groups)*group < n {
		w := writers[len(groups)%sessions]
		commits := make([]eventlog.Commit, group)
		for i := range commits {
			commits[i] = w.Decides(Image(i, filler))
			commits[i].Record = Record(w.Session, w.At, commits[i].Delta, filler)
			commits[i].Stack, commits[i].Entry = eventlog.StackPush, eventlog.Entry{Version: commits[i].Record.Version, Payload: []byte(filler)}
			w.Took(commits[i])
		}
		groups = append(groups, commits)
	}
	began := time.Now()
	var all sync.WaitGroup
	for part := range together {
		all.Go(func() {
			for i := range groups {
				if i%sessions%together != part { // a session's groups stay in their order
					continue
				}
				for _, r := range log.CommitAll(b.Context(), groups[i]) {
					if r.Err != nil {
						b.Error(r.Err)
						return
					}
				}
			}
		})
	}
	all.Wait()
	return float64(len(groups)*group) / time.Since(began).Seconds()
}
