package graph_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"
)

// site serves the page that drives clients in a browser, hears what happens to them and hands it their orders. Its origin is
// another than any edge's.
type site struct {
	*httptest.Server
	orders chan string

	mu      sync.Mutex
	clients map[string]*client
	browser *exec.Cmd // nil until a client is wanted
	profile string
}

// web is the one site, with one browser, of the process.
var web *site

func newSite() *site {
	s := &site{orders: make(chan string, 1000), clients: map[string]*client{}}
	mux := http.NewServeMux()
	for path, file := range map[string]string{
		"/page": "driver/page.html", "/driver.js": "driver/driver.js",
		"/socket.io.esm.min.js": "node_modules/socket.io-client/dist/socket.io.esm.min.js",
	} {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, file) })
	}
	mux.HandleFunc("POST /said", func(_ http.ResponseWriter, r *http.Request) {
		var h happening
		if c := s.find(r.URL.Query().Get("to")); c != nil && json.NewDecoder(r.Body).Decode(&h) == nil {
			c.happened(h)
		}
	})
	mux.HandleFunc("GET /orders", func(w http.ResponseWriter, r *http.Request) {
		select {
		case order := <-s.orders:
			_, _ = w.Write([]byte(order)) // a page that is gone gets none
		case <-time.After(time.Second):
			w.WriteHeader(http.StatusNoContent)
		case <-r.Context().Done():
		}
	})
	s.Server = httptest.NewServer(mux)
	return s
}

func (s *site) find(name string) *client {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.clients[name]
}

// open starts the browser when it is first needed.
func (s *site) open() (err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.browser != nil {
		return nil
	}
	if s.profile, err = os.MkdirTemp("", "talus-browser-"); err != nil {
		return err
	}
	cmd := exec.Command(chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
		"--disable-dev-shm-usage", "--no-first-run", "--remote-debugging-port=0", "--user-data-dir="+s.profile, s.URL+"/page")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // it has children
	if err := cmd.Start(); err != nil {
		return err
	}
	s.browser = cmd
	return nil
}

// end ends the browser and the site.
func (s *site) end() {
	if s.browser != nil {
		_ = syscall.Kill(-s.browser.Process.Pid, syscall.SIGKILL) // it may have ended already
		_ = s.browser.Wait()
		_ = os.RemoveAll(s.profile) // a temporary directory that stays behind is not a failure
	}
	s.CloseClientConnections()
	s.Close()
}

// browse runs a client on the page in the headless browser.
func browse(t *testing.T, name, config string) *client {
	t.Helper()
	if err := web.open(); err != nil {
		t.Fatal(err)
	}
	name += "-" + t.Name()
	c := newClient(t, name)
	web.mu.Lock()
	web.clients[name] = c
	web.mu.Unlock()
	tell := func(key string, what any) {
		text, _ := json.Marshal(map[string]any{"to": name, key: what}) // it is made of texts and numbers
		web.orders <- string(text)
	}
	c.order = func(what any) { tell("order", what) }
	tell("start", json.RawMessage(config))
	t.Cleanup(func() {
		tell("order", map[string]any{"close": true})
		web.mu.Lock()
		delete(web.clients, name)
		web.mu.Unlock()
	})
	return c
}
