package edge

import (
	"cmp"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/talus-tally/talus/pkg/config"
	"github.com/talus-tally/talus/pkg/eventlog"
	"github.com/talus-tally/talus/services/edge/internal/gate"
	"github.com/talus-tally/talus/services/edge/internal/socket"
)

const (
	defaultRedis   = "redis://127.0.0.1:6379/0"
	defaultCommand = "http://127.0.0.1:8080"
)

// Config is what an operator decides. ReadConfig fills it from the environment; the zero value of a field means its
// default, except where it says something else.
type Config struct {
	Addr      string               // TALUS_ADDR, default ":8081"; port 0 picks one; empty: no listener, for use behind Mount only
	RedisURL  string               // TALUS_REDIS_URL, default "redis://127.0.0.1:6379/0"
	HeadCheck time.Duration        // TALUS_HEAD_CHECK, default 1 s: how long a message that Redis lost stays unnoticed in a quiet session
	Writers   int                  // TALUS_WRITERS, goroutines that write one commit to the clients of a big session; zero: half of GOMAXPROCS
	Commands  string               // TALUS_COMMAND_URL, where commands that clients send over sockets go, default "http://127.0.0.1:8080"
	Carrier   http.RoundTripper    // how they get there; nil: over the network
	Advertise string               // TALUS_ADVERTISE_ADDR, host:port under which other edges reach this one; empty: from Addr and the way to Redis, when that is known
	Secret    string               // TALUS_SECRET, signs what clients bring back; empty: one that is kept in Redis
	Registry  *prometheus.Registry // where metrics go; nil: a registry of its own

	DrainDelay time.Duration // TALUS_DRAIN_DELAY, from "not ready" to the beginning of the drain; zero: none
	Drain      time.Duration // TALUS_DRAIN, time for clients to leave at a stop; zero: all are cut off
	Restart    time.Duration // when clients find the service again after a stop; zero: at once, on other instances

	Origins     []string      // TALUS_ALLOWED_ORIGINS; empty: only pages of the same host, "*": any
	Proxies     string        // TALUS_TRUSTED_PROXIES, whose X-Forwarded-For counts; empty: none
	Connections int           // TALUS_MAX_CONNECTIONS, default 100,000; more are refused with 503
	PerAddress  int           // TALUS_MAX_CONNECTIONS_PER_IP; more are refused with 429; zero: no limit
	Handshake   time.Duration // TALUS_HANDSHAKE_TIMEOUT, default 10 s, until a request has come
	JoinWithin  time.Duration // TALUS_JOIN_TIMEOUT, until a connection has joined a session, else 4008; zero: no limit
	Joins       int           // TALUS_MAX_JOINS, sessions per connection, default and maximum 16
	JoinRate    int           // TALUS_JOIN_RATE per second and connection, 16 more at once, else 4101; zero: no limit
	MessageRate int           // TALUS_MESSAGE_RATE per second and connection, twice that at once, else 4101; zero: no limit
	MaxMessage  int64         // TALUS_MAX_MESSAGE in bytes, default 64 KiB, else 1009
	MaxPayload  int64         // TALUS_MAX_MESSAGE for Socket.IO, whose clients are told it, default 1,000,000, else 413 or 1009
}

func (c Config) withDefaults() Config {
	c.RedisURL = cmp.Or(c.RedisURL, defaultRedis)
	c.Commands = cmp.Or(c.Commands, defaultCommand)
	c.Connections = cmp.Or(c.Connections, 100_000)
	c.HeadCheck = cmp.Or(c.HeadCheck, time.Second)
	c.Handshake = cmp.Or(c.Handshake, 10*time.Second)
	c.Joins = cmp.Or(c.Joins, socket.MaxSlots)
	c.MaxMessage = cmp.Or(c.MaxMessage, 64<<10)
	c.MaxPayload = cmp.Or(c.MaxPayload, 1_000_000)
	return c
}

// ReadConfig declares and reads the settings of the service; bad values are noted in r.
func ReadConfig(r *config.Reader) Config {
	def := Config{}.withDefaults()
	cfg := Config{
		Addr: r.Address("TALUS_ADDR", ":8081", "address to listen on; port 0 picks a free one and prints it"),
		RedisURL: r.Secret("TALUS_REDIS_URL", "redis URL; default "+defaultRedis,
			"Redis that keeps the sessions: redis://, rediss://, redis+cluster:// or redis+sentinel://", isRedisURL),
		Commands: r.Checked("TALUS_COMMAND_URL", def.Commands, "http:// or https:// URL",
			"command service that carries out what clients send over their sockets", isServiceURL),
		Advertise: r.Checked("TALUS_ADVERTISE_ADDR", "", "host:port",
			"where other edges reach this one, which pass requests of its Socket.IO clients on; default: the address towards Redis, with the port listened on",
			isAdvertised),
		Secret: r.Secret("TALUS_SECRET", "text of at least 16 characters, the same for all edges; default: drawn once and kept in Redis",
			"signs the tokens with which Socket.IO clients recover", func(s string) bool { return len(s) >= 16 }),
		HeadCheck: r.Duration("TALUS_HEAD_CHECK", def.HeadCheck, 50*time.Millisecond, time.Minute,
			"how often the heads of quiet sessions are compared with Redis, which finds lost messages"),
		DrainDelay: r.Duration("TALUS_DRAIN_DELAY", 0, 0, time.Hour, "time at a stop in which load balancers notice that the instance is not ready"),
		Drain:      r.Duration("TALUS_DRAIN", 10*time.Second, 0, time.Hour, "time that a stop gives to requests and clients"),
	}
	readLimits(r, &cfg, def)
	return cfg.withDefaults()
}

// readLimits reads what clients may use.
func readLimits(r *config.Reader, cfg *Config, def Config) {
	cfg.Origins = r.List("TALUS_ALLOWED_ORIGINS", nil, "origins whose pages may call the API; * allows any")
	cfg.Proxies = r.Checked("TALUS_TRUSTED_PROXIES", "", "comma-separated addresses and networks, such as 10.0.0.0/8",
		"proxies whose X-Forwarded-For names the client", isProxies)
	cfg.Writers = r.Int("TALUS_WRITERS", 0, 0, 1024,
		"goroutines that write one commit to the clients of a session that has hundreds of them; 0: half of the processors")
	cfg.Connections = r.Int("TALUS_MAX_CONNECTIONS", def.Connections, 1, 10_000_000, "open connections; more are refused with 503")
	cfg.PerAddress = r.Int("TALUS_MAX_CONNECTIONS_PER_IP", 0, 0, 10_000_000,
		"open connections of one client address (IPv6: of one /64 network); more are refused with 429; 0: no limit")
	cfg.Handshake = r.Duration("TALUS_HANDSHAKE_TIMEOUT", def.Handshake, time.Millisecond, time.Hour, "time that a request has to arrive")
	cfg.JoinWithin = r.Duration("TALUS_JOIN_TIMEOUT", 30*time.Second, 0, 24*time.Hour,
		"time that a connection has to join a session, else it is closed with 4008; 0: no limit")
	cfg.Joins = r.Int("TALUS_MAX_JOINS", def.Joins, 1, socket.MaxSlots, "sessions that one connection may join")
	cfg.JoinRate = r.Int("TALUS_JOIN_RATE", 10, 0, 1_000_000,
		"joins per second of one connection, 16 more at once; a client that passes it is closed with 4101; 0: no limit")
	cfg.MessageRate = r.Int("TALUS_MESSAGE_RATE", 50, 0, 1_000_000,
		"messages per second of one connection, twice that at once; a client that passes it is closed with 4101; 0: no limit")
	message := func(def int64) int64 { // one setting, but each protocol has a default of its own
		return r.Bytes("TALUS_MAX_MESSAGE", def, 1<<10, 16<<20,
			"size of a client's message; a larger one is closed with 1009; Socket.IO clients are told it, and without it 1,000,000 bytes")
	}
	cfg.MaxMessage, cfg.MaxPayload = message(def.MaxMessage), message(def.MaxPayload)
}

// ConfigFrom reads the settings from an environment. The error names every variable that holds a bad value.
func ConfigFrom(getenv func(string) string) (Config, error) {
	r := config.From(getenv)
	cfg := ReadConfig(r)
	return cfg, r.Err()
}

func isRedisURL(s string) bool {
	_, err := eventlog.Options(s)
	return err == nil
}

func isServiceURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && strings.Trim(u.Path, "/") == ""
}

func isAdvertised(s string) bool {
	host, port, err := net.SplitHostPort(s)
	number, bad := strconv.ParseUint(port, 10, 16)
	return err == nil && bad == nil && number > 0 && host != "" && !strings.ContainsAny(s, " \t/@")
}

func isProxies(s string) bool {
	_, err := gate.ParseProxies(s)
	return err == nil
}
