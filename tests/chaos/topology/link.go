package topology

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// Link is a TCP proxy on the way from one process to another. A link that nobody broke passes all bytes on.
type Link struct {
	Name  string
	proxy *toxiproxy.Proxy
}

// Direction is the way that bytes take through a link.
type Direction string

// The two directions, as seen by the one who dials.
const (
	Up   Direction = "upstream"   // requests
	Down Direction = "downstream" // answers and pushes
)

func newLink(name, upstream string) (*Link, error) {
	zerolog.SetGlobalLevel(zerolog.Disabled) // some toxics write to a logger of their own
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	l := &Link{Name: name, proxy: toxiproxy.NewProxy(server, name, "127.0.0.1:0", upstream)}
	if err := l.proxy.Start(); err != nil {
		return nil, fmt.Errorf("link %s: %w", name, err)
	}
	return l, nil
}

// Addr is where the link listens; it stays the same.
func (l *Link) Addr() string { return l.proxy.Listen }

// Cut closes all connections and refuses new ones until Mend.
func (l *Link) Cut() { l.proxy.Stop() }

// Mend lets connections through again.
func (l *Link) Mend() error {
	if err := l.proxy.Start(); err != nil && !errors.Is(err, toxiproxy.ErrProxyAlreadyStarted) {
		return fmt.Errorf("link %s: %w", l.Name, err)
	}
	return nil
}

// Drop closes all connections; new ones are let through at once.
func (l *Link) Drop() error {
	l.Cut()
	return l.Mend()
}

// Point sends new connections somewhere else and closes the others.
func (l *Link) Point(upstream string) error {
	l.Cut()
	l.proxy.Lock()
	l.proxy.Upstream = upstream
	l.proxy.Unlock()
	return l.Mend()
}

// Impair adds what toxiproxy calls a toxic: "latency", "bandwidth", "timeout", "slicer", "limit_data" or "reset_peer",
// with its attributes. It holds for the connections that are open, too.
func (l *Link) Impair(kind string, d Direction, attributes map[string]int) error {
	text, err := json.Marshal(map[string]any{"name": kind + "-" + string(d), "type": kind, "stream": d, "attributes": attributes})
	if err != nil {
		return err
	}
	if _, err := l.proxy.Toxics.AddToxicJson(strings.NewReader(string(text))); err != nil {
		return fmt.Errorf("link %s: %s: %w", l.Name, kind, err)
	}
	return nil
}

// Silence lets connections stay open and passes nothing on, in either direction, until Clear, which closes them.
func (l *Link) Silence() error {
	return errors.Join(l.Impair("timeout", Up, map[string]int{"timeout": 0}), l.Impair("timeout", Down, map[string]int{"timeout": 0}))
}

// Clear takes all impairments away. Connections that can take no more bytes are closed if they are in the way.
func (l *Link) Clear() {
	const patience = 3 * time.Second
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.proxy.Toxics.ResetToxics(context.Background())
	}()
	select {
	case <-done:
	case <-time.After(patience):
		_ = l.Drop() // a closed connection is in nobody's way; Mend tells again what is wrong
		<-done
	}
}

// close ends the link for good.
func (l *Link) close() { l.proxy.Stop() }
