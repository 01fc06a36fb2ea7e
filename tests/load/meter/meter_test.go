package meter_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/talus-tally/talus/pkg/redistest"
	"github.com/talus-tally/talus/tests/load/meter"
)

func TestMetricsTellTheSameOfAServerElsewhere(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "# HELP x\nprocess_cpu_seconds_total 1.5\nprocess_resident_memory_bytes 2e+06\nprocess_open_fds 7\nx{a=\"1\"} 2\nx{a=\"2\"} 3\n")
	}))
	t.Cleanup(s.Close)
	u, err := meter.Metrics{Title: "edge", URL: s.URL}.Read(t.Context())
	if err != nil || u.CPU.Seconds() != 1.5 || u.RSS != 2_000_000 || u.Files != 7 {
		t.Errorf("%+v, %v", u, err)
	}
	if values, err := meter.Scrape(t.Context(), s.URL); err != nil || values["x"] != 5 {
		t.Errorf("%v, %v", values, err)
	}
}

func TestRedisCallsAreThoseInBetween(t *testing.T) {
	t.Parallel()
	client := redistest.Client(t, redistest.Real(t))
	before, err := meter.Redis(t.Context(), client)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		client.Get(t.Context(), "nothing")
	}
	after, err := meter.Redis(t.Context(), client)
	if err != nil || after.Since(before)["get"] < 3 || after.Since(before).Total() < 3 {
		t.Errorf("%v, %v", after.Since(before), err)
	}
}
