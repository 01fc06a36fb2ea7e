package edge

import (
	"net"
	"net/url"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/talus-tally/talus/pkg/config"
	"github.com/talus-tally/talus/pkg/eventlog"
	"github.com/talus-tally/talus/services/edge/internal/socket"
)

const defaultRedis = "redis://127.0.0.1:6379/0"

// Config is what an operator decides. ReadConfig fills it from the environment; the zero value of a field means its
// default, except where it says something else.
type Config struct {
	Addr        string               // TALUS_ADDR, default ":8081"; port 0 picks one; empty: no listener, for use behind Mount only
	RedisURL    string               // TALUS_REDIS_URL, default "redis://127.0.0.1:6379/0"
	Origins     []string             // TALUS_ALLOWED_ORIGINS; empty: only pages of the same host, "*": any
	Drain       time.Duration        // TALUS_DRAIN, time for clients to leave at a stop
	Connections int                  // TALUS_MAX_CONNECTIONS, default 100,000; more are refused with 503
	Joins       int                  // TALUS_MAX_JOINS, sessions per connection, default and maximum 16
	Registry    *prometheus.Registry // where metrics go; nil: a registry of its own
}

const defaultConnections = 100_000

// ReadConfig declares and reads the settings of the service; bad values are noted in r.
func ReadConfig(r *config.Reader) Config {
	redis := r.Secret("TALUS_REDIS_URL", "redis URL; default "+defaultRedis,
		"Redis that keeps the sessions: redis://, rediss://, redis+cluster:// or redis+sentinel://", isRedisURL)
	return Config{
		Addr:        r.Checked("TALUS_ADDR", ":8081", "host:port", "address to listen on; port 0 picks a free one and prints it", isAddress),
		RedisURL:    or(redis, defaultRedis),
		Origins:     r.List("TALUS_ALLOWED_ORIGINS", nil, "origins whose pages may call the API; * allows any"),
		Drain:       r.Duration("TALUS_DRAIN", 10*time.Second, 0, time.Hour, "time that a stop gives to requests and clients"),
		Connections: r.Int("TALUS_MAX_CONNECTIONS", defaultConnections, 1, 10_000_000, "open connections; more are refused with 503"),
		Joins:       r.Int("TALUS_MAX_JOINS", socket.MaxSlots, 1, socket.MaxSlots, "sessions that one connection may join"),
	}
}

// ConfigFrom reads the settings from an environment. The error names every variable that holds a bad value.
func ConfigFrom(getenv func(string) string) (Config, error) {
	r := config.From(getenv)
	cfg := ReadConfig(r)
	return cfg, r.Err()
}

func or[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}

func isAddress(s string) bool {
	_, port, err := net.SplitHostPort(s)
	if err != nil {
		return false
	}
	n, err := strconv.Atoi(port)
	return err == nil && n >= 0 && n <= 65535
}

func isRedisURL(s string) bool {
	_, err := eventlog.Options(s)
	return err == nil
}

// urlOf is the URL of a listener, with the loopback address for one that listens on all.
func urlOf(addr net.Addr) string {
	host, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		return ""
	}
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return (&url.URL{Scheme: "http", Host: net.JoinHostPort(host, port)}).String()
}
