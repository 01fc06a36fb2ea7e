// Package telemetry gives each service its voice: a structured logger, a metrics registry and the answers to "are you
// alive" and "are you ready".
//
// It promises constructors only: nothing is global, nothing runs in the background, and two services in one process
// may share a registry or have one each. It does not decide what is logged, counted or checked; the services do.
package telemetry

import (
	"io"
	"log/slog"
	"os"

	"github.com/talus-tally/talus/pkg/config"
)

// LogConfig says how a process logs.
type LogConfig struct {
	Level  slog.Level // TALUS_LOG_LEVEL, default info; debug logs every emission
	Format string     // TALUS_LOG_FORMAT: "auto" (text on a terminal, else JSON), "text" or "json"
}

// ReadLogConfig reads TALUS_LOG_LEVEL and TALUS_LOG_FORMAT; bad values are noted in r.
func ReadLogConfig(r *config.Reader) LogConfig {
	level := r.Choice("TALUS_LOG_LEVEL", "info", "least level that is logged; debug logs every emission",
		"debug", "info", "warn", "error")
	format := r.Choice("TALUS_LOG_FORMAT", "auto", "auto is text on a terminal, else json", "auto", "text", "json")
	return LogConfig{Level: levelOf(level), Format: format}
}

func levelOf(name string) slog.Level {
	switch name {
	case "debug":
		return slog.LevelDebug
	case "warn":
		return slog.LevelWarn
	case "error":
		return slog.LevelError
	}
	return slog.LevelInfo
}

// NewLogger returns a logger that writes to w, usually os.Stderr, in the configured form. Times are UTC.
func NewLogger(cfg LogConfig, w io.Writer) *slog.Logger {
	opts := &slog.HandlerOptions{Level: cfg.Level, ReplaceAttr: utc}
	if cfg.Format == "text" || cfg.Format != "json" && isTerminal(w) {
		return slog.New(slog.NewTextHandler(w, opts))
	}
	return slog.New(slog.NewJSONHandler(w, opts))
}

// utc prints the record's own time in UTC: instances in several zones are read side by side.
func utc(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.TimeKey && a.Value.Kind() == slog.KindTime {
		return slog.String(slog.TimeKey, a.Value.Time().UTC().Format("2006-01-02T15:04:05.000Z07:00"))
	}
	return a
}

// isTerminal reports whether w is a character device, such as a terminal.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
