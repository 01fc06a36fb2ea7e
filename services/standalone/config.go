package standalone

import (
	"time"

	"github.com/talus-tally/talus/pkg/config"
	"github.com/talus-tally/talus/services/command"
	"github.com/talus-tally/talus/services/edge"
)

// Embedded is the value of TALUS_REDIS_URL that means the Redis inside the process.
const Embedded = "embedded"

// restart is when clients of a process that stops may expect it again: there is no other instance to go to.
const restart = 2 * time.Second

// Config is what an operator decides. The parts that both services have are decided once, here.
type Config struct {
	Addr     string        // TALUS_ADDR, default ":8080"; port 0 picks one
	RedisURL string        // TALUS_REDIS_URL, default "embedded"
	Drain    time.Duration // TALUS_DRAIN, default 10s: time given to clients and requests at a stop
	Command  command.Config
	Edge     edge.Config
}

// ReadConfig declares and reads the settings of the process and of both services; bad values are noted in r.
//
// Standalone is for one person's machine, so its defaults differ: Redis inside the process, projects in a file beside
// it, pages of any origin.
func ReadConfig(r *config.Reader) Config {
	cfg := Config{
		Addr:     r.Address("TALUS_ADDR", ":8080", "address to listen on; port 0 picks a free one and prints it"),
		RedisURL: r.Secret("TALUS_REDIS_URL", "embedded or a redis URL; default embedded", "Redis that keeps the sessions", nil),
	}
	if cfg.RedisURL == "" {
		cfg.RedisURL = Embedded
	}
	projects := r.String("TALUS_PROJECTS_URL", "sqlite:talus.db",
		"where saved projects are kept: sqlite:FILE or redis:, the Redis of the sessions")
	origins := r.String("TALUS_ALLOWED_ORIGINS", "*", "comma-separated origins whose pages may call the API; * allows any")
	if cfg.RedisURL == Embedded {
		r.Settle("TALUS_REDIS_URL", "") // the embedded one's address is known when it runs
	}
	r.Settle("TALUS_PROJECTS_URL", projects)
	r.Settle("TALUS_ALLOWED_ORIGINS", origins)
	cfg.Command, cfg.Edge = command.ReadConfig(r), edge.ReadConfig(r)
	cfg.Drain = cfg.Command.Drain
	cfg.Edge.Restart = restart
	cfg.Command.Addr, cfg.Edge.Addr = "", ""
	return cfg
}

// ConfigFrom reads the settings from an environment. The error names every variable that holds a bad value.
func ConfigFrom(getenv func(string) string) (Config, error) {
	r := config.From(getenv)
	cfg := ReadConfig(r)
	return cfg, r.Err()
}
