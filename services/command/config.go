package command

import (
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/talus-tally/talus/pkg/config"
	"github.com/talus-tally/talus/pkg/eventlog"
)

const defaultRedis = "redis://127.0.0.1:6379/0"

// Config is what an operator decides. ReadConfig fills it from the environment; the zero value of a field means its
// default, except where it says something else.
type Config struct {
	Addr          string               // TALUS_ADDR, default ":8080"; port 0 picks one; empty: no listener, for use behind Mount only
	RedisURL      string               // TALUS_REDIS_URL, default "redis://127.0.0.1:6379/0"
	TemplatesDir  string               // TALUS_TEMPLATES_DIR; empty: the templates that come with the program
	ProjectsURL   string               // TALUS_PROJECTS_URL, default "redis:", the same Redis
	Origins       []string             // TALUS_ALLOWED_ORIGINS; empty: none, "*": any
	LogRetention  int                  // TALUS_LOG_RETENTION, commits kept per session; 0 keeps all
	LogBytes      int64                // TALUS_LOG_BYTES, bytes of commits kept per session
	SessionTTL    time.Duration        // TALUS_SESSION_TTL, idle time until a session is removed; 0: never
	UndoDepth     int                  // TALUS_UNDO_DEPTH, steps
	Drain         time.Duration        // TALUS_DRAIN, time for requests to end at a stop
	Body          int64                // TALUS_BODY_LIMIT, bytes of a request body
	LoadBody      int64                // TALUS_LOAD_LIMIT, bytes of the body of load-graph
	Depth         int                  // TALUS_JSON_DEPTH, nested arrays and objects in a request body
	Timeout       time.Duration        // TALUS_REQUEST_TIMEOUT, for one request
	Registry      *prometheus.Registry // where metrics go; nil: a registry of its own
	WithoutEvents bool                 // nothing is published: for tests of a service that stands alone
}

// ReadConfig declares and reads the settings of the service; bad values are noted in r.
func ReadConfig(r *config.Reader) Config {
	return Config{
		Addr: r.Checked("TALUS_ADDR", ":8080", "host:port", "address to listen on; port 0 picks a free one and prints it", isAddress),
		RedisURL: orDefault(r.Secret("TALUS_REDIS_URL", "redis URL; default "+defaultRedis,
			"Redis that keeps the sessions: redis://, rediss://, redis+cluster:// or redis+sentinel://", isRedisURL), defaultRedis),
		TemplatesDir: r.String("TALUS_TEMPLATES_DIR", "", "directory with template files (*.yaml); empty: the embedded ones"),
		ProjectsURL: r.Checked("TALUS_PROJECTS_URL", "redis:", "redis: or sqlite:FILE",
			"where saved projects are kept; redis: is the Redis of the sessions", isProjectsURL),
		Origins:      r.List("TALUS_ALLOWED_ORIGINS", nil, "origins whose pages may call the API; * allows any"),
		LogRetention: r.Int("TALUS_LOG_RETENTION", 2000, 0, 10_000_000, "commits kept per session, at least those of 15 minutes; 0 keeps all"),
		LogBytes:     r.Bytes("TALUS_LOG_BYTES", 64<<20, 1<<20, 1<<34, "bytes of commits kept per session, whatever their number and age, unless all are kept"),
		SessionTTL:   r.Duration("TALUS_SESSION_TTL", 24*time.Hour, 0, 10*365*24*time.Hour, "idle time after which a session without clients is removed; 0s: never"),
		UndoDepth:    r.Int("TALUS_UNDO_DEPTH", 200, 1, 10_000, "steps that can be undone per session"),
		Drain:        r.Duration("TALUS_DRAIN", 10*time.Second, 0, time.Hour, "time that a stop gives to requests and clients"),
		Body:         r.Bytes("TALUS_BODY_LIMIT", 4<<20, 1<<10, 1<<30, "largest request body"),
		LoadBody:     r.Bytes("TALUS_LOAD_LIMIT", 64<<20, 1<<10, 1<<30, "largest body of load-graph"),
		Depth:        r.Int("TALUS_JSON_DEPTH", 64, 4, 1000, "how deep the JSON of a request may be nested"),
		Timeout:      r.Duration("TALUS_REQUEST_TIMEOUT", 10*time.Second, 100*time.Millisecond, 10*time.Minute, "time that one request may take"),
	}
}

// ConfigFrom reads the settings from an environment. The error names every variable that holds a bad value.
func ConfigFrom(getenv func(string) string) (Config, error) {
	r := config.From(getenv)
	cfg := ReadConfig(r)
	return cfg, r.Err()
}

func orDefault(s, def string) string {
	if s == "" {
		return def
	}
	return s
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

func isProjectsURL(s string) bool {
	return s == "redis:" || strings.HasPrefix(s, "sqlite:") && len(s) > len("sqlite:")
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
