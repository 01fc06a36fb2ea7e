package daemon

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/talus-tally/talus/pkg/config"
)

// probeTimeout bounds the health subcommand as a whole.
const probeTimeout = 3 * time.Second

// health asks the instance that listens on TALUS_ADDR of this machine. It is the health check of images that hold no
// other program.
func health[C any](ctx context.Context, p Program[C], sys System) int {
	addr := config.From(sys.Getenv).String("TALUS_ADDR", p.Addr, "")
	if err := Probe(ctx, addr); err != nil {
		fmt.Fprintf(sys.Stderr, "%s: %v\n", p.Name, err)
		return 1
	}
	return 0
}

// Probe asks the service that listens on addr whether it is ready: nil if so. An address without a host, or with the
// unspecified one, means this machine's loopback.
func Probe(ctx context.Context, addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("address %q: %w", addr, err)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	url := "http://" + net.JoinHostPort(host, port) + "/readyz"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("not reachable: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1024))
	if err != nil {
		return fmt.Errorf("answer broke off: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("not ready: %s %s", resp.Status, body)
	}
	return nil
}
