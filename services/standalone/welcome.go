package standalone

import (
	"fmt"
	"io"
	"net/url"
	"strings"
)

// Welcome prints for people what the process serves, how to try it, and what happens to what they do not save.
func (s *Standalone) Welcome(w io.Writer) error {
	_, err := fmt.Fprintf(w, `Talus listens on %[1]s

  REST       %[1]s/api/v1
  WebSocket  %[2]s/ws
  Socket.IO  %[1]s/graph
  events     %[1]s/sse
  health     %[1]s/readyz
  metrics    %[1]s/metrics

Try it:

  curl -s %[1]s/api/v1/templates
  curl -s %[1]s/api/v1/projects -H 'Content-Type: application/json' -d '{"template_id":"software-project","project_name":"First"}'
  npx -y wscat -c '%[2]s/ws?session_id=SESSION'     with the session_id that the second line printed
  curl -N '%[1]s/sse?session_id=SESSION'                 the same as server-sent events

%[3]s
Stop with Ctrl-C.
`, s.URL(), "ws"+strings.TrimPrefix(s.URL(), "http"), s.durability())
	return err
}

func (s *Standalone) durability() string {
	store := strings.TrimPrefix(s.cfg.Command.ProjectsURL, "sqlite:")
	if store == s.cfg.Command.ProjectsURL {
		store = "Redis"
	}
	if s.UnsavedEnds() {
		return fmt.Sprintf("Sessions live in this process and end with it; what is saved stays in %s.", store)
	}
	return fmt.Sprintf("Sessions live in %s and outlive this process; what is saved stays in %s.", hidePassword(s.cfg.RedisURL), store)
}

// hidePassword leaves the password out of a URL that is printed.
func hidePassword(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return "Redis"
	}
	return u.Redacted()
}
