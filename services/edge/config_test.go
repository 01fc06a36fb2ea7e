package edge_test

import (
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/talus-tally/talus/services/edge"
)

func env(values map[string]string) func(string) string {
	return func(name string) string { return values[name] }
}

func TestTheDefaultsAreThoseOfTheManual(t *testing.T) {
	t.Parallel()
	cfg, err := edge.ConfigFrom(env(nil))
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Addr != ":8081" || cfg.RedisURL != "redis://127.0.0.1:6379/0" || cfg.Drain != 10*time.Second || cfg.Joins != 16 || cfg.Origins != nil {
		t.Errorf("%+v", cfg)
	}
}

func TestSettingsAreReadFromTheEnvironment(t *testing.T) {
	t.Parallel()
	cfg, err := edge.ConfigFrom(env(map[string]string{
		"TALUS_ADDR": "127.0.0.1:0", "TALUS_REDIS_URL": "redis://redis:6379/1", "TALUS_ALLOWED_ORIGINS": "https://a.example, https://b.example",
		"TALUS_DRAIN": "3s", "TALUS_MAX_CONNECTIONS": "50", "TALUS_MAX_JOINS": "4",
	}))
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Addr != "127.0.0.1:0" || cfg.RedisURL != "redis://redis:6379/1" || len(cfg.Origins) != 2 || cfg.Drain != 3*time.Second ||
		cfg.Connections != 50 || cfg.Joins != 4 {
		t.Errorf("%+v", cfg)
	}
}

func TestBadSettingsAreAllNamed(t *testing.T) {
	t.Parallel()
	_, err := edge.ConfigFrom(env(map[string]string{
		"TALUS_ADDR": "nowhere", "TALUS_REDIS_URL": "http://secret@x", "TALUS_MAX_JOINS": "17", "TALUS_DRAIN": "soon",
	}))
	if err == nil || strings.Contains(err.Error(), "secret") {
		t.Fatalf("error %v", err)
	}
	for _, name := range []string{"TALUS_ADDR", "TALUS_REDIS_URL", "TALUS_MAX_JOINS", "TALUS_DRAIN"} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%s is not named in %v", name, err)
		}
	}
}

func TestWhatCannotBeUsedStopsTheStart(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	log := slog.New(slog.DiscardHandler)
	for name, cfg := range map[string]edge.Config{
		"a port in use":  {Addr: taken.Addr().String()},
		"no Redis URL":   {RedisURL: "nonsense"},
		"unknown scheme": {RedisURL: "redis+magic://x"},
	} {
		if _, err := edge.New(cfg, log); err == nil {
			t.Errorf("%s: New succeeds", name)
		}
	}
}
