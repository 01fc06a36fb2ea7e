package graph_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/talus-tally/talus/pkg/redistest"
	"github.com/talus-tally/talus/tests/harness"
)

// cluster is one command instance and three edges, each a process, behind the proxy of the repository.
type cluster struct {
	t        *testing.T
	command  *harness.Process
	edges    []*harness.Process
	addrs    []string
	settings map[string]string
	url      string // of the proxy
}

func startCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{t: t, settings: map[string]string{
		"TALUS_REDIS_URL": redistest.URL(t), "TALUS_ALLOWED_ORIGINS": web.URL, "TALUS_DRAIN": "2s", "TALUS_LOG_LEVEL": "warn",
	}}
	c.command = harness.Spawn(t, "command", c.settings)
	c.settings["TALUS_COMMAND_URL"] = c.command.URL
	for range 3 {
		c.addrs = append(c.addrs, harness.FreeAddr(t))
		c.edges = append(c.edges, nil)
	}
	for i := range c.edges {
		c.start(i)
	}
	for _, e := range c.edges {
		ready(t, e.URL)
	}
	c.proxy()
	return c
}

func (c *cluster) start(i int) { c.edges[i] = harness.SpawnOn(c.t, "edge", c.addrs[i], c.settings) }

func ready(t *testing.T, url string) {
	t.Helper()
	harness.Eventually(t, "ready: "+url, func() bool {
		a, err := harness.Do("GET", url+"/readyz", nil)
		return err == nil && a.Status == 200
	})
}

// proxy runs nginx with the repository's configuration, but for names that only containers have.
func (c *cluster) proxy() {
	c.t.Helper()
	text, err := os.ReadFile("../../../deploy/nginx/nginx.conf")
	if err != nil {
		c.t.Fatal(err)
	}
	dir, addr := c.t.TempDir(), harness.FreeAddr(c.t)
	servers := ""
	for _, a := range c.addrs {
		servers += "server " + a + "; "
	}
	conf := string(text)
	for from, to := range map[string]string{
		"\tresolver 127.0.0.11 valid=2s ipv6=off;": "\tupstream edges { " + servers + "}",
		"proxy_pass http://$edge:8081;":            "proxy_pass http://edges;",
		"proxy_pass http://$command:8080;":         "proxy_pass " + c.command.URL + ";",
		"listen 8080;":                             "listen " + addr + ";",
		"/tmp/":                                    dir + "/",
	} {
		if !strings.Contains(conf, from) {
			c.t.Fatalf("the proxy's configuration does not say %q any more", from)
		}
		conf = strings.ReplaceAll(conf, from, to)
	}
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		c.t.Fatal(err)
	}
	cmd := exec.Command("nginx", "-e", "stderr", "-c", file, "-g", "daemon off; master_process off;")
	cmd.Stderr = c.t.Output()
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended already
		_ = cmd.Wait()
	})
	c.url = "http://" + addr
	harness.Eventually(c.t, "the proxy answers", func() bool {
		a, err := harness.Do("GET", c.url+"/healthz", nil)
		return err == nil && a.Status == 200
	})
}

func TestClientsComeBackAfterAKillAndARollingRestart(t *testing.T) {
	c := startCluster(t)
	p := creates(t, c.command.URL)
	var all []watcher
	for kind := range kinds {
		for mode := range modes {
			all = append(all, p.watches(kind, mode, true, c.url, nil))
		}
	}
	for _, w := range all {
		w.connects()
		w.enters(p)
	}
	for mode := range modes {
		w := p.watches("node", mode, false, c.url, map[string]any{"recover": true})
		w.client.name += "-recovers"
		w.connects()
		w.event("session:connected")
		all = append(all, w)
	}
	everybodySees := func() { t.Helper(); p.isSeenBy(all) }
	everybodySees()
	c.edges[0].Kill()
	everybodySees()
	c.start(0)
	ready(t, c.edges[0].URL)
	for i := range c.edges {
		c.edges[i].Stop()
		c.start(i)
		ready(t, c.edges[i].URL)
	}
	everybodySees()

	for _, w := range all {
		if strings.HasSuffix(w.client.name, "-recovers") {
			w.missedNothing()
		}
	}
}

// isSeenBy makes nodes until every client has seen one of them made. Who is on its way back misses some, and reads them from
// the graph.
func (p *project) isSeenBy(all []watcher) {
	p.t.Helper()
	made := map[string]bool{}
	tick := time.NewTicker(300 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); len(all) > 0; <-tick.C {
		if time.Now().After(deadline) {
			p.t.Fatalf("%d clients did not come back, such as %s:%s", len(all), all[0].name, tail(all[0].history()))
		}
		made[p.creates("epic", "Lamp", p.root)] = true
		all = slices.DeleteFunc(slices.Clone(all), func(w watcher) bool { return w.hasSeen(p, made) })
	}
}

// hasSeen reports whether the client has seen one of the nodes made. When it has come back it joins again, as front ends do.
func (w watcher) hasSeen(p *project, made map[string]bool) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	seen := false
	for ; w.seen < len(w.all) && !seen; w.seen++ {
		h := w.all[w.seen]
		if h.Kind == "connect" && w.shipped {
			w.emit("join_session", map[string]any{"session_id": p.session})
		}
		seen = h.Kind == "event" && strings.HasSuffix(h.Event, "node-created") && made[h.fields().Node]
	}
	return seen
}

// missedNothing checks that a client that recovers has got each event of each version once, in order, and that it was never
// connected anew after the first time.
func (w watcher) missedNothing() {
	w.t.Helper()
	connects, recoveries, last := 0, 0, ""
	version := uint64(0)
	for _, h := range w.history() {
		switch {
		case h.Kind == "connect":
			connects++
			if h.Recovered {
				recoveries++
			}
		case h.Kind == "event" && len(h.Args) == 2:
			var offset string
			if err := json.Unmarshal(h.Args[1], &offset); err != nil || offset == last {
				w.t.Errorf("%s: %s twice (%v)", w.client.name, offset, err)
			}
			last = offset
			v := h.fields().Version
			if v != version && v != version+1 && version != 0 {
				w.t.Errorf("%s: version %d after %d", w.client.name, v, version)
			}
			version = v
		}
	}
	if connects < 2 || recoveries != connects-1 {
		w.t.Errorf("%s connected %d times and recovered %d times", w.client.name, connects, recoveries)
	}
}
