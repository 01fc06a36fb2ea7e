package config_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/talus-tally/talus/pkg/config"
)

func TestTheTableShowsNamesDefaultsAndForms(t *testing.T) {
	t.Parallel()
	r := config.From(nil)
	r.String("T_ADDR", ":8080", "address to listen on")
	r.Duration("T_WAIT", 15*time.Minute, 0, 24*time.Hour, "how long")
	r.Bytes("T_MAX", 4<<20, 1, 1<<30, "how much")
	r.Bytes("T_MIN", 1500, 1, 64<<10, "at least")
	r.List("T_HOSTS", nil, "who")

	var got strings.Builder
	err := config.WriteTable(&got, r.Settings())

	want := strings.Join([]string{
		"  VARIABLE   DEFAULT   MEANING",
		"  T_ADDR     :8080     address to listen on",
		"  T_WAIT     15m       how long (duration from 0s to 24h, such as 10s or 24h)",
		"  T_MAX      4MiB      how much (size from 1 to 1GiB, such as 4MiB)",
		"  T_MIN      1500      at least (size from 1 to 64KiB, such as 4MiB)",
		"  T_HOSTS    -         who (comma-separated list)",
		"",
	}, "\n")
	if err != nil || got.String() != want {
		t.Fatalf("%v, got:\n%s\nwant:\n%s", err, got.String(), want)
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

func TestATableThatCannotBeWrittenIsAnError(t *testing.T) {
	t.Parallel()
	if err := config.WriteTable(broken{}, []config.Setting{{Name: "A"}}); err == nil {
		t.Fatal("want an error")
	}
}

func TestAMisspelledNameFindsItsNearestSetting(t *testing.T) {
	t.Parallel()
	known := []config.Setting{{Name: "TALUS_ADDR"}, {Name: "TALUS_REDIS_URL"}, {Name: "TALUS_LOG_LEVEL"}}
	environ := []string{
		"TALUS_REDIS_ULR=redis://x", "TALUS_ADDR=:1", "PATH=/bin", "TALUS_XQZWV=1", "TALUS_TEST_REDIS_URL=y", "TALUS_LOGLEVEL=info",
	}

	got := config.UnknownNames(environ, "TALUS_", known, "TALUS_TEST_")

	want := []string{
		"TALUS_LOGLEVEL is not a setting; did you mean TALUS_LOG_LEVEL?",
		"TALUS_REDIS_ULR is not a setting; did you mean TALUS_REDIS_URL?",
		"TALUS_XQZWV is not a setting",
	}
	if len(got) != len(want) {
		t.Fatalf("got %v", got)
	}
	for i := range want {
		if got[i].String() != want[i] {
			t.Errorf("got %q, want %q", got[i], want[i])
		}
	}
}
