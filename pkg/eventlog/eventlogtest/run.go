package eventlogtest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/talus-tally/talus/pkg/eventlog"
)

// suite is what the tests of the suite are run with.
type suite struct {
	connect func(testing.TB) redis.UniversalClient
}

// Run checks the event log on the Redis that connect gives a client of. The tests run in parallel and keep to their sessions.
func Run(t *testing.T, connect func(testing.TB) redis.UniversalClient) {
	s := suite{connect: connect}
	for name, test := range map[string]func(suite, *testing.T){
		"versions are 1 2 3 along one chain":                            suite.versionsAreAChain,
		"the head tells what the commits said":                          suite.headTells,
		"a late writer gets what it missed and writes nothing":          suite.lateWriter,
		"a writer on another branch is told so":                         suite.otherBranch,
		"concurrent writers leave no hole":                              suite.concurrentWriters,
		"a group is a chain, and ends where it breaks":                  suite.group,
		"a group leaves what its commits leave one by one":              suite.groupOrAlone,
		"a group ends at the first that is refused":                     suite.groupEnds,
		"a group that meets a key of the wrong type ends there":         suite.groupMeetsWrongTypes,
		"a graph is replaced in the middle of a group":                  suite.groupWithStage,
		"a turn keeps others back until its holder has committed":       suite.turn,
		"a turn lasts for the whole group":                              suite.turnOfAGroup,
		"a turn that ended or was lost costs nothing":                   suite.turnIsAHint,
		"a commit of 9000 values is whole":                              suite.manyValues,
		"a change that is too large is refused":                         suite.tooLarge,
		"a repeated key gets the first answer whatever its base":        suite.repeatedKey,
		"keyed answers are kept for two generations":                    suite.keyGenerations,
		"a key of the wrong type leaves nothing behind":                 suite.wrongTypes,
		"staged nodes of the wrong type harm no session":                suite.wrongStage,
		"creation and deletion meet keys of the wrong type":             suite.wrongLife,
		"contradicting data are torn and stay as they are":              suite.torn,
		"undo and redo move entries and a command clears redo":          suite.stacksMove,
		"a stack that moved refuses":                                    suite.stackMoved,
		"stacks drop the oldest and count it":                           suite.stacksAreBounded,
		"the log keeps its retention":                                   suite.retention,
		"a young log is not trimmed unless it is large":                 suite.ageAndBytes,
		"a position proves its branch":                                  suite.positions,
		"a loaded session is what was written":                          suite.load,
		"a session loads exactly while others commit":                   suite.loadWhileWriting,
		"a torn session is closed for good":                             suite.condemned,
		"of equal commits under one key one is the first":               suite.equalCommits,
		"a read ends when it has become large":                          suite.largeReads,
		"a torn session does not load":                                  suite.loadTorn,
		"a staged graph is switched in whole":                           suite.staged,
		"a commit publishes its record or a notice or nothing":          suite.published,
		"a feed confirms and delivers what it listens to and no more":   suite.feed,
		"a session is created once and its id is not used again":        suite.created,
		"a session in use is not deleted when idle ones are":            suite.idle,
		"the index lists what exists":                                   suite.index,
		"sessions are found by their project":                           suite.projects,
		"overviews of many sessions are read at once":                   suite.overviews,
		"updates change the head and no version":                        suite.updates,
		"clients are counted over living edges":                         suite.clients,
		"a sum that changes is announced once and with the next number": suite.announced,
		"an announcement names a client only if it was exactly one":     suite.named,
		"one who comes in the place of another is announced":            suite.swapped,
		"what an edge says that comes late is not carried out":          suite.late,
		"what an edge said last is forgotten after an hour":             suite.forgets,
		"the entries of dead edges go in the same step":                 suite.replaced,
		"of all who drop a dead edge one announces it":                  suite.dropped,
		"a lease that ended can be renewed until it is buried":          suite.leases,
		"edges find each other and share one secret":                    suite.registered,
		"presence keeps to sessions that exist":                         suite.presenceGone,
		"a server that keeps what it is given is ready":                 suite.ready,
		"heads of many sessions are read at once":                       suite.heads,
		"nothing is in a session that does not exist":                   suite.absent,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(s, t)
		})
	}
}

// log is an event log on the suite's Redis, and the client under it.
func (s suite) log(t testing.TB, cfg eventlog.Config) (*eventlog.Log, redis.UniversalClient) {
	t.Helper()
	rdb := s.connect(t)
	return eventlog.New(rdb, cfg), rdb
}

// wants fails the test unless err is the wanted one.
func wants(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("error %v, want %v", err, want)
	}
}

// must fails the test on an error.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Eventually fails the test unless holds becomes true within ten seconds.
func Eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-ctx.Done():
			t.Fatalf("not within ten seconds: %s", what)
		case <-tick.C:
		}
	}
}
