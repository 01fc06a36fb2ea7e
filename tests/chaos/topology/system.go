package topology

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

// Shape is what a system consists of. The zero value of a field means its default.
type Shape struct {
	Commands int               // default 2
	Edges    int               // default 3
	Replica  bool              // a second Redis that follows the first
	AOF      string            // of Redis: "always" (default), "everysec" or "none"
	Disk     int               // bytes of the file system that Redis writes to; 0: that of Dir
	Settings map[string]string // environment of all services, such as TALUS_LOG_RETENTION
	Binaries string            // directory with the programs, see Build
	Dir      string            // for data and logs; it must exist
}

// System is a running Talus on Redis servers of its own.
type System struct {
	Commands, Edges []*Instance
	Primary         *Redis // the server that the services use
	Replica         *Redis // nil without one, and after a fail-over
	Replication     *Link  // from the replica to the primary
	Direct          *Link  // to the server that the services use, for us: no fault breaks it
}

// Build compiles the programs of the services into a directory, with build tags. It must be called inside the workspace.
func Build(ctx context.Context, dir string, tags ...string) error {
	for _, name := range []string{"command", "edge"} {
		build := exec.CommandContext(ctx, "go", "build", "-tags", strings.Join(tags, ","), "-o", filepath.Join(dir, name), "github.com/talus-tally/talus/services/"+name+"/cmd/"+name)
		if out, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("building %s: %w\n%s", name, err, out)
		}
	}
	return nil
}

// Start brings a system up and waits until every instance is ready. After an error nothing is left of it.
func Start(ctx context.Context, shape Shape) (*System, error) {
	shape = shape.withDefaults()
	s := &System{}
	err := s.start(ctx, shape)
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (s Shape) withDefaults() Shape {
	if s.Commands == 0 {
		s.Commands = 2
	}
	if s.Edges == 0 {
		s.Edges = 3
	}
	if s.AOF == "" {
		s.AOF = "always"
	}
	return s
}

func (s *System) start(ctx context.Context, shape Shape) error {
	var err error
	primary := RedisConfig{Name: "redis", Dir: filepath.Join(shape.Dir, "redis"), AOF: shape.AOF, Disk: shape.Disk}
	if s.Primary, err = StartRedis(primary); err != nil {
		return err
	}
	if s.Direct, err = newLink("us-redis", s.Primary.Addr); err != nil {
		return err
	}
	if shape.Replica {
		if err := s.follow(shape); err != nil {
			return err
		}
	}
	for i := range shape.Commands {
		if err := s.add(&s.Commands, "command", i, shape); err != nil {
			return err
		}
	}
	for i := range shape.Edges {
		if err := s.add(&s.Edges, "edge", i, shape); err != nil {
			return err
		}
	}
	for _, i := range s.Instances() {
		if err := i.Ready(ctx); err != nil {
			return err
		}
	}
	return nil
}

// follow starts the replica and waits until it has the primary's data.
func (s *System) follow(shape Shape) error {
	var err error
	if s.Replication, err = newLink("replica-redis", s.Primary.Addr); err != nil {
		return err
	}
	s.Replica, err = StartRedis(RedisConfig{Name: "replica", Dir: filepath.Join(shape.Dir, "replica"), AOF: shape.AOF})
	if err != nil {
		return err
	}
	return s.Replica.Follow(s.Replication)
}

func (s *System) add(to *[]*Instance, name string, number int, shape Shape) error {
	i, err := newInstance(name, number, s.Primary.Addr, shape)
	if err != nil {
		return err
	}
	*to = append(*to, i)
	return i.Start()
}

// Instances are all instances of the services.
func (s *System) Instances() []*Instance {
	return append(append([]*Instance(nil), s.Commands...), s.Edges...)
}

// Promote makes the replica the server that all services use, and ends the old one for good.
func (s *System) Promote(ctx context.Context) error {
	if s.Replica == nil {
		return errors.New("there is no replica")
	}
	s.Primary.Kill()
	s.Replication.close()
	err := s.Replica.Do(ctx, "REPLICAOF", "NO", "ONE")
	s.Primary, s.Replica = s.Replica, nil
	err = errors.Join(err, s.Direct.Point(s.Primary.Addr))
	for _, i := range s.Instances() {
		err = errors.Join(err, i.Redis.Point(s.Primary.Addr))
	}
	return err
}

// Close ends every process and every proxy.
func (s *System) Close() {
	for _, i := range s.Instances() {
		i.close()
	}
	for _, r := range []*Redis{s.Primary, s.Replica} {
		if r != nil {
			r.Kill()
		}
	}
	for _, l := range []*Link{s.Replication, s.Direct} {
		if l != nil {
			l.close()
		}
	}
}
