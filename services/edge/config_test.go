package edge_test

import (
	"log/slog"
	"net"
	"reflect"
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
	want := edge.Config{
		Addr: ":8081", RedisURL: "redis://127.0.0.1:6379/0", Commands: "http://127.0.0.1:8080", HeadCheck: time.Second, Drain: 10 * time.Second, Connections: 100_000, Handshake: 10 * time.Second,
		JoinWithin: 30 * time.Second, Joins: 16, JoinRate: 10, MessageRate: 50, MaxMessage: 64 << 10, MaxPayload: 1_000_000,
	}
	if !reflect.DeepEqual(cfg, want) {
		t.Errorf("%+v, want %+v", cfg, want)
	}
}

func TestSettingsAreReadFromTheEnvironment(t *testing.T) {
	t.Parallel()
	cfg, err := edge.ConfigFrom(env(map[string]string{
		"TALUS_ADDR": "127.0.0.1:0", "TALUS_REDIS_URL": "redis://redis:6379/1", "TALUS_COMMAND_URL": "https://command", "TALUS_ALLOWED_ORIGINS": "https://a.example, https://b.example",
		"TALUS_DRAIN": "3s", "TALUS_DRAIN_DELAY": "2s",
		"TALUS_TRUSTED_PROXIES": "10.0.0.0/8, ::1", "TALUS_MAX_CONNECTIONS": "50", "TALUS_MAX_CONNECTIONS_PER_IP": "7",
		"TALUS_HANDSHAKE_TIMEOUT": "4s", "TALUS_JOIN_TIMEOUT": "5s", "TALUS_MAX_JOINS": "4", "TALUS_JOIN_RATE": "6",
		"TALUS_MESSAGE_RATE": "0", "TALUS_MAX_MESSAGE": "2KiB", "TALUS_WRITERS": "8",
	}))
	if err != nil {
		t.Fatal(err)
	}
	want := edge.Config{
		Addr: "127.0.0.1:0", RedisURL: "redis://redis:6379/1", Commands: "https://command", HeadCheck: time.Second, Drain: 3 * time.Second, DrainDelay: 2 * time.Second,
		Origins: []string{"https://a.example", "https://b.example"}, Proxies: "10.0.0.0/8, ::1", Connections: 50, PerAddress: 7,
		Handshake: 4 * time.Second, JoinWithin: 5 * time.Second, Joins: 4, JoinRate: 6, MessageRate: 0, MaxMessage: 2048, MaxPayload: 2048, Writers: 8,
	}
	if !reflect.DeepEqual(cfg, want) {
		t.Errorf("%+v, want %+v", cfg, want)
	}
}

func TestBadSettingsAreAllNamed(t *testing.T) {
	t.Parallel()
	_, err := edge.ConfigFrom(env(map[string]string{
		"TALUS_ADDR": "nowhere", "TALUS_REDIS_URL": "http://secret@x", "TALUS_MAX_JOINS": "17", "TALUS_DRAIN": "soon",
		"TALUS_TRUSTED_PROXIES": "nginx", "TALUS_MAX_CONNECTIONS_PER_IP": "-1", "TALUS_MAX_MESSAGE": "1TB",
	}))
	if err == nil || strings.Contains(err.Error(), "secret") {
		t.Fatalf("error %v", err)
	}
	for _, name := range []string{"TALUS_ADDR", "TALUS_REDIS_URL", "TALUS_MAX_JOINS", "TALUS_DRAIN",
		"TALUS_TRUSTED_PROXIES", "TALUS_MAX_CONNECTIONS_PER_IP", "TALUS_MAX_MESSAGE"} {
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
		"no proxies":     {Proxies: "nginx"},
	} {
		if _, err := edge.New(cfg, log); err == nil {
			t.Errorf("%s: New succeeds", name)
		}
	}
}
