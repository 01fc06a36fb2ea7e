package fault

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/talus-tally/talus/tests/chaos/topology"
)

// redisAway are faults in which Redis does not answer for a while and loses nothing, as long as it writes to disk.
func redisAway() []Fault {
	return []Fault{
		{ID: "F6-always", Title: "Redis killed, AOF always", Hold: time.Second, Keeps: true, Inject: restart},
		{ID: "F6-everysec", Title: "Redis killed, AOF everysec", Hold: time.Second, Keeps: true, Shape: topology.Shape{AOF: "everysec"}, Inject: restart},
		{ID: "F6-none", Title: "Redis killed, no AOF", Hold: time.Second, Loses: true, Erases: true, Shape: topology.Shape{AOF: "none"}, Inject: forgetful},
		{ID: "F7-frozen", Title: "Redis frozen", Hold: 3 * time.Second, Keeps: true, Inject: frozen},
		{ID: "F7-pause", Title: "Redis paused for clients", Hold: 3 * time.Second, Keeps: true, Inject: paused},
		{ID: "F12-busy", Title: "Redis busy with a script", Hold: 2 * time.Second, Keeps: true, Inject: busy},
	}
}

// redisRefuses are faults in which Redis answers, and refuses.
func redisRefuses() []Fault {
	return []Fault{
		{ID: "F12-scripts", Title: "scripts flushed", Hold: 3 * time.Second, Keeps: true, Inject: scripts},
		{ID: "F12-memory", Title: "Redis out of memory", Hold: 2 * time.Second, Keeps: true, Inject: setting("maxmemory", "1", "0")},
		{ID: "F12-readonly", Title: "Redis read-only", Hold: 2 * time.Second, Keeps: true, Inject: readonly},
		{ID: "F24-disk", Title: "disk full under the AOF", Hold: 3 * time.Second, Keeps: true, Needs: mounts,
			Shape: topology.Shape{AOF: "everysec", Disk: 48 << 20}, Inject: diskFull},
		{ID: "F24-snapshot", Title: "snapshots fail (MISCONF)", Hold: 2 * time.Second, Keeps: true, Inject: misconf},
	}
}

func restart(_ context.Context, s *Scene) (Heal, error) {
	s.System.Primary.Kill()
	return func(context.Context) error { return s.System.Primary.Start() }, nil
}

func forgetful(_ context.Context, s *Scene) (Heal, error) {
	s.System.Primary.Kill()
	return func(ctx context.Context) error {
		pause(ctx, lossPause)
		s.Lost("Redis forgot everything")
		return s.System.Primary.Start()
	}, nil
}

func frozen(_ context.Context, s *Scene) (Heal, error) {
	return func(context.Context) error { return s.System.Primary.Resume() }, s.System.Primary.Pause()
}

// paused pauses all clients for as long as the fault is to last: nobody could be heard who wanted to end it.
func paused(ctx context.Context, s *Scene) (Heal, error) {
	err := s.System.Primary.Do(ctx, "CLIENT", "PAUSE", s.Hold.Milliseconds(), "ALL")
	return func(ctx context.Context) error { return s.System.Primary.Do(ctx, "PING") }, err
}

// busy lets a script run that only SCRIPT KILL ends.
func busy(ctx context.Context, s *Scene) (Heal, error) {
	redis := s.System.Primary
	if err := redis.Do(ctx, "CONFIG", "SET", "busy-reply-threshold", 100); err != nil {
		return nil, err
	}
	admin := redis.Admin()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		admin.Eval(context.Background(), "while true do end", nil) // it is killed, which is an error
	}()
	return func(ctx context.Context) error {
		err := redis.Do(ctx, "SCRIPT", "KILL")
		<-ended
		return errors.Join(err, admin.Close())
	}, nil
}

func scripts(_ context.Context, s *Scene) (Heal, error) {
	redis := s.System.Primary
	stop := every(50*time.Millisecond, func(ctx context.Context) {
		if err := redis.Do(ctx, "SCRIPT", "FLUSH"); err != nil && ctx.Err() == nil {
			s.Wrong("%v", err)
		}
	})
	return func(context.Context) error { stop(); return nil }, nil
}

// setting changes a setting of Redis and changes it back.
func setting(name, to, from string) func(context.Context, *Scene) (Heal, error) {
	return func(ctx context.Context, s *Scene) (Heal, error) {
		redis := s.System.Primary
		back := func(ctx context.Context) error { return redis.Do(ctx, "CONFIG", "SET", name, from) }
		return back, redis.Do(ctx, "CONFIG", "SET", name, to)
	}
}

// readonly makes Redis the replica of nobody: it keeps its data and refuses writes.
func readonly(ctx context.Context, s *Scene) (Heal, error) {
	redis := s.System.Primary
	back := func(ctx context.Context) error { return redis.Do(ctx, "REPLICAOF", "NO", "ONE") }
	return back, redis.Do(ctx, "REPLICAOF", "127.0.0.1", "1")
}

func mounts() string {
	if !topology.CanMount() {
		return "only root can mount a small file system"
	}
	return ""
}

// diskFull fills the file system that the append-only file is on.
func diskFull(ctx context.Context, s *Scene) (Heal, error) {
	redis := s.System.Primary
	ballast := redis.Path("ballast")
	empty := func(context.Context) error { return os.Remove(ballast) }
	file, err := os.Create(ballast)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	block := make([]byte, 64<<10)
	for size := len(block); size > 0 && ctx.Err() == nil; {
		if _, err := file.Write(block[:size]); err != nil {
			size /= 2
		}
	}
	return empty, nil
}

// misconf puts a directory where the snapshot should be: saving fails, and Redis refuses writes.
func misconf(ctx context.Context, s *Scene) (Heal, error) {
	redis := s.System.Primary
	inTheWay := redis.Path("dump.rdb", "in the way")
	if err := os.MkdirAll(inTheWay, 0o755); err != nil {
		return nil, err
	}
	heal := func(ctx context.Context) error {
		err := os.RemoveAll(redis.Path("dump.rdb"))
		return errors.Join(err, redis.Do(ctx, "CONFIG", "SET", "save", ""), snapshot(ctx, redis, "ok"))
	}
	err := redis.Do(ctx, "CONFIG", "SET", "save", "3600 1")
	return heal, errors.Join(err, snapshot(ctx, redis, "err"))
}

// snapshot saves one and waits until Redis says of it what it should.
func snapshot(ctx context.Context, r *topology.Redis, want string) error {
	if err := r.Do(ctx, "BGSAVE"); err != nil {
		return err
	}
	for range 100 {
		info, err := infoOf(ctx, r, "persistence")
		if err == nil && info["rdb_bgsave_in_progress"] == "0" && info["rdb_last_bgsave_status"] == want {
			return nil
		}
		pause(ctx, 50*time.Millisecond)
	}
	return fmt.Errorf("the snapshot never became %q", want)
}

func infoOf(ctx context.Context, r *topology.Redis, section string) (map[string]string, error) {
	admin := r.Admin()
	defer admin.Close()
	text, err := admin.Info(ctx, section).Result()
	info := map[string]string{}
	for line := range strings.Lines(text) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			info[key] = value
		}
	}
	return info, err
}

// calls is how often Redis has carried a command out.
func calls(ctx context.Context, r *topology.Redis, command string) (int, error) {
	info, err := infoOf(ctx, r, "commandstats")
	count, _, _ := strings.Cut(strings.TrimPrefix(info["cmdstat_"+command], "calls="), ",")
	n, _ := strconv.Atoi(count) // a command that was never called is not in the list
	return n, err
}
