package eventlog_test

import (
	"slices"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/talus-tally/talus/pkg/eventlog"
	"github.com/talus-tally/talus/pkg/eventlog/eventlogtest"
	"github.com/talus-tally/talus/pkg/redistest"
)

func TestARedisURLNamesOneServerAClusterOrSentinels(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]struct {
		addrs   []string
		cluster bool
		master  string
		tls     bool
	}{
		"redis://127.0.0.1:6379/3":                                       {addrs: []string{"127.0.0.1:6379"}},
		"rediss://user:secret@redis.example:6380":                        {addrs: []string{"redis.example:6380"}, tls: true},
		"redis+cluster://a:1?addr=b:2":                                   {addrs: []string{"a:1", "b:2"}, cluster: true},
		"redis+sentinel://a:1/2?addr=b:2&master_name=primary":            {addrs: []string{"a:1", "b:2"}, master: "primary"},
		"rediss+sentinel://user:secret@a:1?master_name=primary&addr=b:2": {addrs: []string{"a:1", "b:2"}, master: "primary", tls: true},
	} {
		got, err := eventlog.Options(url)
		if err != nil {
			t.Errorf("%s: %v", url, err)
			continue
		}
		slices.Sort(got.Addrs)
		if !slices.Equal(got.Addrs, want.addrs) || got.IsClusterMode != want.cluster || got.MasterName != want.master ||
			(got.TLSConfig != nil) != want.tls || got.MaxRetries != -1 || !got.ContextTimeoutEnabled {
			t.Errorf("%s: %+v", url, got)
		}
	}
}

func TestABadRedisURLIsAnError(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"", "127.0.0.1:6379", "http://127.0.0.1", "redis+ring://a:1", "redis+cluster://a:1?nonsense=1",
		"redis+sentinel://a:1/x?master_name=m"} {
		if _, err := eventlog.Options(url); err == nil {
			t.Errorf("%q was accepted", url)
		}
	}
}

func TestTwoLogsOfAProcessShareTheirCounters(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	rdb := connects(t, redistest.URL(t))
	for range 2 {
		eventlogtest.Creates(t, eventlog.New(rdb, eventlog.Config{Registry: registry})).Writes(t, eventlogtest.Image(1, "one"))
	}

	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == "talus_commits_total" {
			if got := family.GetMetric()[0].GetCounter().GetValue(); got != 2 {
				t.Errorf("%v commits counted, want 2", got)
			}
			return
		}
	}
	t.Error("commits are not counted")
}
