package topology

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
)

// startLimit bounds the start of a process until it answers.
const startLimit = 20 * time.Second

// inTmpfs runs a program in a mount namespace of its own where its first argument is a small file system.
const inTmpfs = `mount -t tmpfs -o "size=$2" tmpfs "$1" && shift 2 && exec "$@"`

// RedisConfig is how a Redis server is started.
type RedisConfig struct {
	Name  string
	Dir   string // where its files are; it is made
	AOF   string // "always", "everysec", or "none": it forgets everything with its process
	Disk  int    // bytes; more than 0: Dir is a file system of that size, which only root can make
	Extra []string
}

// Redis is a redis-server process. Its address stays the same over restarts.
type Redis struct {
	Addr string
	cfg  RedisConfig
	proc *process
}

// StartRedis starts a server and waits until it answers.
func StartRedis(cfg RedisConfig) (*Redis, error) {
	if err := os.MkdirAll(cfg.Dir, 0o755); err != nil {
		return nil, err
	}
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	r := &Redis{Addr: addr, cfg: cfg}
	r.proc = &process{name: cfg.Name, argv: r.argv(), log: cfg.Dir + ".log"}
	return r, r.Start()
}

func (r *Redis) argv() []string {
	_, port, _ := net.SplitHostPort(r.Addr) // our own address always splits
	argv := []string{"redis-server", "--port", port, "--bind", "127.0.0.1", "--dir", r.cfg.Dir, "--save", "", "--repl-diskless-sync-delay", "0"}
	if r.cfg.AOF == "none" {
		argv = append(argv, "--appendonly", "no")
	} else {
		argv = append(argv, "--appendonly", "yes", "--appendfsync", r.cfg.AOF)
	}
	argv = append(argv, r.cfg.Extra...)
	if r.cfg.Disk > 0 {
		argv = append([]string{"unshare", "-m", "sh", "-c", inTmpfs, "sh", r.cfg.Dir, fmt.Sprint(r.cfg.Disk)}, argv...)
	}
	return argv
}

// Start runs the server again and waits until it has loaded its data.
func (r *Redis) Start() error {
	if err := r.proc.start(); err != nil {
		return err
	}
	admin := r.Admin()
	defer admin.Close()
	err := poll(startLimit, func() error {
		r.proc.mu.Lock()
		running := r.proc.running()
		r.proc.mu.Unlock()
		if !running {
			return &finalError{errors.New("it ended")}
		}
		return admin.Ping(context.Background()).Err()
	})
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", r.cfg.Name, err, r.proc.tail())
	}
	return nil
}

// Kill ends the server as kill -9 does.
func (r *Redis) Kill() { r.proc.kill() }

// Pause stops the server without ending it: connections stay open and nothing is answered.
func (r *Redis) Pause() error { return r.proc.signal(syscall.SIGSTOP) }

// Resume lets a paused server go on.
func (r *Redis) Resume() error { return r.proc.signal(syscall.SIGCONT) }

// Admin is a client past all proxies, which tries once and gives up soon; the caller closes it.
func (r *Redis) Admin() *redis.Client {
	return redis.NewClient(&redis.Options{Addr: r.Addr, MaxRetries: -1, DialTimeout: time.Second, ReadTimeout: 5 * time.Second, PoolSize: 4})
}

// Do sends one command past all proxies.
func (r *Redis) Do(ctx context.Context, args ...any) error {
	admin := r.Admin()
	defer admin.Close()
	if err := admin.Do(ctx, args...).Err(); err != nil {
		return fmt.Errorf("%s: %v: %w", r.cfg.Name, args[0], err)
	}
	return nil
}

// Path is where a file of the server's directory can be reached, also in a file system that only the server sees while
// it runs.
func (r *Redis) Path(parts ...string) string {
	path := filepath.Join(append([]string{r.cfg.Dir}, parts...)...)
	if r.cfg.Disk > 0 {
		return filepath.Join("/proc", fmt.Sprint(r.proc.pid), "root", path)
	}
	return path
}

// AOF is the path of the append-only file that receives the writes.
func (r *Redis) AOF() (string, error) {
	parts, err := filepath.Glob(r.Path("appendonlydir", "*.incr.aof"))
	if err != nil || len(parts) == 0 {
		return "", fmt.Errorf("%s: no append-only file", r.cfg.Name)
	}
	return parts[len(parts)-1], nil
}

// Said is how often the server wrote a text into its log.
func (r *Redis) Said(text string) int {
	log, err := os.ReadFile(r.proc.log)
	if err != nil {
		return 0
	}
	return strings.Count(string(log), text)
}

// CanMount reports whether Disk can be had here.
func CanMount() bool { return os.Geteuid() == 0 }

// Follow makes the server a replica of the one behind a link and waits until it has its data.
func (r *Redis) Follow(l *Link) error {
	host, port, err := net.SplitHostPort(l.Addr())
	if err != nil {
		return err
	}
	if err := r.Do(context.Background(), "REPLICAOF", host, port); err != nil {
		return err
	}
	admin := r.Admin()
	defer admin.Close()
	return poll(startLimit, func() error {
		info, err := admin.InfoMap(context.Background(), "replication").Result()
		if err == nil && info["Replication"]["master_link_status"] != "up" {
			err = errors.New("the replica does not follow yet")
		}
		return err
	})
}
