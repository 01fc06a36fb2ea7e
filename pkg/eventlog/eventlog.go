// Package eventlog is the commit protocol on Redis: writer, reader and scripts together, and the only package that knows the
// keys of a session.
//
// It promises: a commit is one script and one round trip, and whatever interrupts it leaves all of it or nothing; the versions
// of a session are 1, 2, 3 … along one chain of digests; a record that is read was checked against that chain; a commit whose
// answer was lost is looked up before anything is said about it. The log is the truth, the channel only says when to look:
// messages may be lost, and a [Feed] reports every moment at which that is possible.
//
// It does not decide anything about graphs, encodes no events, holds no state of a session in memory, and does not defend
// against somebody who can write to Redis. Redis must not evict (see [Log.Ready]).
//
// Each file is one role of the protocol, and each script has its file of the same name; that is why there are more than ten.
package eventlog

import (
	"fmt"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Config are the bounds of what a session may keep in Redis. But for Retention the zero value of a field means its default.
type Config struct {
	Retention   int                   // commits kept in the log at least; 0 keeps all, whatever their age and size
	MinAge      time.Duration         // and for how long at least, default 15 min
	MaxLogBytes int64                 // and up to how many bytes, default 64 MiB; wins over the other two
	UndoDepth   int                   // entries on each stack, default 200
	UndoBytes   int64                 // payload bytes on both stacks of a session, default 8 MiB; the oldest are dropped
	Tombstone   time.Duration         // for how long a deleted id is known as deleted, default 48 h
	Lease       time.Duration         // for how long an edge counts as alive without renewing, default 6 s
	Resolve     time.Duration         // for how long a lost answer is looked for within the caller's deadline, default 5 s
	Registry    prometheus.Registerer // where the counters go; nil: nowhere
}

func (c Config) withDefaults() Config {
	setDefault(&c.MinAge, 15*time.Minute)
	setDefault(&c.MaxLogBytes, 64<<20)
	setDefault(&c.UndoDepth, 200)
	setDefault(&c.UndoBytes, 8<<20)
	setDefault(&c.Tombstone, 48*time.Hour)
	setDefault(&c.Lease, 6*time.Second)
	setDefault(&c.Resolve, 5*time.Second)
	return c
}

func setDefault[T comparable](v *T, otherwise T) {
	var zero T
	if *v == zero {
		*v = otherwise
	}
}

// Log writes and reads the sessions of one Redis. It is safe for concurrent use and has no goroutines.
type Log struct {
	rdb     redis.UniversalClient
	cfg     Config
	metrics *metrics
	limits  any // what commit.lua is told of them, boxed once
	turns   turns
	courier courier
}

// New is a log on rdb, which should be made from [Options]: a client that repeats a script by itself costs an extra look into
// the log, though never a second commit.
func New(rdb redis.UniversalClient, cfg Config) *Log {
	l := &Log{rdb: rdb, cfg: cfg.withDefaults(), metrics: newMetrics(cfg.Registry), turns: newTurns(), courier: courier{rdb: rdb}}
	l.limits = limits(l.cfg, l.turns.writer)
	return l
}

// Options reads a Redis URL: redis://, rediss:// or unix:// for one server; redis+cluster:// or rediss+cluster:// with
// further nodes as addr parameters; redis+sentinel://host:port/db?master_name=… likewise. The client repeats nothing by
// itself and keeps to the deadline of a call.
func Options(url string) (*redis.UniversalOptions, error) {
	scheme, rest, ok := strings.Cut(url, "://")
	if !ok {
		return nil, fmt.Errorf("redis URL %q: no scheme", url)
	}
	plain, form, _ := strings.Cut(scheme, "+")
	opts := &redis.UniversalOptions{}
	var err error
	switch form {
	case "":
		err = single(opts, url)
	case "cluster":
		err = cluster(opts, plain+"://"+rest)
	case "sentinel":
		err = sentinel(opts, plain+"://"+rest)
	default:
		err = fmt.Errorf("unknown scheme %q", scheme)
	}
	if err != nil {
		return nil, fmt.Errorf("redis URL: %w", err)
	}
	opts.MaxRetries, opts.DialerRetries = -1, 1
	opts.ContextTimeoutEnabled = true
	opts.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	return opts, nil
}

func single(opts *redis.UniversalOptions, url string) error {
	o, err := redis.ParseURL(url)
	if err != nil {
		return err
	}
	opts.Addrs, opts.DB, opts.Username, opts.Password, opts.TLSConfig = []string{o.Addr}, o.DB, o.Username, o.Password, o.TLSConfig
	opts.PoolSize, opts.MinIdleConns, opts.ClientName, opts.Protocol = o.PoolSize, o.MinIdleConns, o.ClientName, o.Protocol
	opts.DialTimeout, opts.ReadTimeout, opts.WriteTimeout = o.DialTimeout, o.ReadTimeout, o.WriteTimeout
	return nil
}

func cluster(opts *redis.UniversalOptions, url string) error {
	o, err := redis.ParseClusterURL(url)
	if err != nil {
		return err
	}
	opts.Addrs, opts.Username, opts.Password, opts.TLSConfig = o.Addrs, o.Username, o.Password, o.TLSConfig
	opts.IsClusterMode, opts.PoolSize = true, o.PoolSize
	return nil
}

func sentinel(opts *redis.UniversalOptions, url string) error {
	o, err := redis.ParseFailoverURL(url)
	if err != nil {
		return err
	}
	opts.Addrs, opts.MasterName, opts.DB, opts.PoolSize = o.SentinelAddrs, o.MasterName, o.DB, o.PoolSize
	opts.Username, opts.Password, opts.TLSConfig = o.Username, o.Password, o.TLSConfig
	opts.SentinelUsername, opts.SentinelPassword = o.SentinelUsername, o.SentinelPassword
	return nil
}
