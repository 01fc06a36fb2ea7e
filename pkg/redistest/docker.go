package redistest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/redis/go-redis/v9"
	"github.com/testcontainers/testcontainers-go"
	tclog "github.com/testcontainers/testcontainers-go/log"
	"github.com/testcontainers/testcontainers-go/wait"
)

// dockerTimeout bounds all of Docker: asking for it, pulling the image, starting the container.
const dockerTimeout = 90 * time.Second

// lifeline is the name of the connection that the test process keeps to its container.
const lifeline = "talus-redistest"

// watched is the command of the container: Redis, until the lifeline has been missing twice in a row. The container removes
// itself then, so nothing is left behind when the tests are killed, with or without a reaper.
const watched = `redis-server --save "" --appendonly no &
server=$!
command -v redis-cli >/dev/null || wait $server
missing=0
while kill -0 $server 2>/dev/null; do
	sleep 3
	if redis-cli client list | grep -q name=` + lifeline + `; then missing=0; else missing=$((missing+1)); fi
	if [ $missing -ge 2 ]; then kill -9 $server; fi
done`

// startContainer starts Redis in a container. The error says what is missing when that is not possible.
func startContainer() (url string, keep any, err error) {
	defer func() { // testcontainers panics when it finds no Docker host
		if r := recover(); r != nil {
			err = errors.New("not reachable")
		}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), dockerTimeout)
	defer cancel()
	silent := log.New(io.Discard, "", 0)
	tclog.SetDefault(silent) // part of it logs past the given logger
	provider, err := testcontainers.NewDockerProvider(testcontainers.WithLogger(silent))
	if err != nil {
		return "", nil, errors.New("not reachable")
	}
	defer provider.Close()
	if err := provider.Health(ctx); err != nil {
		return "", nil, errors.New("not reachable")
	}
	image := os.Getenv("TALUS_TEST_REDIS_IMAGE")
	if image == "" {
		image = "redis:7-alpine"
	}
	redisContainer, err := testcontainers.Run(ctx, image,
		testcontainers.WithLogger(silent),
		testcontainers.WithExposedPorts("6379/tcp"),
		testcontainers.WithEntrypoint("sh", "-c", watched),
		testcontainers.WithHostConfigModifier(func(host *container.HostConfig) { host.AutoRemove = true }),
		testcontainers.WithWaitStrategy(wait.ForLog("Ready to accept connections")),
	)
	if err != nil {
		if redisContainer != nil {
			_ = redisContainer.Terminate(context.Background())
		}
		return "", nil, fmt.Errorf("image %s: %w", image, err)
	}
	endpoint, err := redisContainer.Endpoint(ctx, "")
	if err != nil {
		return "", nil, err
	}
	url = "redis://" + endpoint + "/0"
	if err := ping(url, startTimeout); err != nil {
		return "", nil, err
	}
	lifeline, err := keepAlive(ctx, endpoint)
	return url, lifeline, err
}

// keepAlive opens the lifeline. It is held by the process and closed with it.
func keepAlive(ctx context.Context, addr string) (*redis.Client, error) {
	client := redis.NewClient(&redis.Options{Addr: addr, ClientName: lifeline, MinIdleConns: 1, ConnMaxIdleTime: -1})
	return client, client.Ping(ctx).Err()
}
