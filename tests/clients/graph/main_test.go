// Package graph_test drives real Socket.IO clients (socket.io-client in Node and on a page in a browser, python-socketio)
// against the namespace /graph. A client is a process that says what happens to it and carries out orders; what it runs is
// in driver/.
package graph_test

import (
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/talus-tally/talus/pkg/redistest"
)

const (
	chromium = "chromium"
	python   = "/usr/bin/python3"
)

func TestMain(m *testing.M) {
	if missing := missing(); missing != "" {
		fmt.Println("real clients are not tested:", missing)
		if redistest.InCI() {
			os.Exit(1)
		}
		os.Exit(0)
	}
	web = newSite()
	code := m.Run()
	web.end()
	os.Exit(code)
}

// missing says what the clients need and do not find. The packages of Node are installed if only they are missing.
func missing() string {
	for _, program := range []string{"node", "npm", chromium, python} {
		if _, err := exec.LookPath(program); err != nil {
			return program + " is not installed"
		}
	}
	if err := exec.Command(python, "-c", "import socketio, requests, websocket").Run(); err != nil {
		return "python3-socketio is not installed with what it needs to connect"
	}
	if _, err := os.Stat("node_modules/socket.io-client"); err == nil {
		return ""
	}
	if out, err := exec.Command("npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts").CombinedOutput(); err != nil {
		return fmt.Sprintf("npm ci: %v\n%s", err, out)
	}
	return ""
}
