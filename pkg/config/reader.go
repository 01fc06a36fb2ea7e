// Package config reads a program's settings from environment variables.
//
// It promises that every setting is declared once, in the call that reads it: the variable's name, its default, the
// accepted form and one line of explanation. From those declarations come the value, the error for a bad value, the
// table that --help prints and the list of known names against which a misspelled variable is reported. All errors of
// one reading are collected, so a user mends them in one go.
//
// A service declares its settings in one function and offers the usual door around it:
//
//	func ReadConfig(r *config.Reader) Config {
//		return Config{
//			Addr:  r.String("TALUS_ADDR", ":8080", "address to listen on; port 0 picks a free one"),
//			Drain: r.Duration("TALUS_DRAIN", 10*time.Second, 0, time.Hour, "time given to clients to leave at a stop"),
//		}
//	}
//
//	func ConfigFrom(getenv func(string) string) (Config, error) {
//		r := config.From(getenv)
//		cfg := ReadConfig(r)
//		return cfg, r.Err()
//	}
//
// It reads no files and no command line, keeps nothing between readings, and never prints a value that was refused
// for a setting declared with Secret.
package config

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Setting is one declared variable, as --help shows it.
type Setting struct {
	Name    string // environment variable
	Default string // text form of the default; empty when there is none
	Form    string // what is accepted, for example "duration from 0s to 1h0m0s"
	About   string // one line for people
}

// Error says that the variable Name holds a value that its setting does not accept.
type Error struct {
	Name  string // environment variable
	Value string // what it holds; empty for a secret
	Form  string // what would be accepted
}

// Error names the variable, the value and the accepted form.
func (e *Error) Error() string {
	if e.Value == "" {
		return fmt.Sprintf("%s: want %s", e.Name, e.Form)
	}
	return fmt.Sprintf("%s=%q: want %s", e.Name, e.Value, e.Form)
}

// Reader reads settings and remembers what it was asked for. An unset or empty variable means the default.
// A Reader is used by one goroutine.
type Reader struct {
	getenv   func(string) string
	settled  map[string]string // by Settle
	settings []Setting
	errs     []error
}

// From returns a reader over getenv, usually os.Getenv. A nil getenv finds every variable unset.
func From(getenv func(string) string) *Reader {
	if getenv == nil {
		getenv = func(string) string { return "" }
	}
	return &Reader{getenv: getenv}
}

// Settle decides a variable for everything that reads it from now on. A process that is composed of several services
// uses it after it has read a variable itself: what it made of the value, and its own default, then hold for all.
func (r *Reader) Settle(name, value string) {
	if r.settled == nil {
		r.settled = map[string]string{}
	}
	r.settled[name] = value
}

// lookup returns the text of a variable without the space around it; empty when it is not set.
func (r *Reader) lookup(name string) string {
	if value, ok := r.settled[name]; ok {
		return strings.TrimSpace(value)
	}
	return strings.TrimSpace(r.getenv(name))
}

// Err returns every refused value, joined in the order of reading, or nil. Each part is an *Error.
func (r *Reader) Err() error { return errors.Join(r.errs...) }

// Settings returns the settings declared so far in the order of their declaration, each name once.
func (r *Reader) Settings() []Setting { return slices.Clone(r.settings) }

// String reads any text.
func (r *Reader) String(name, def, about string) string {
	r.declare(name, def, "text", about)
	return read(r, name, def, "text", func(s string) (string, bool) { return s, true })
}

// Secret reads text that must not be printed: the table shows no default for it and no error repeats it. The value is
// refused when valid, which may be nil, says so.
func (r *Reader) Secret(name, form, about string, valid func(string) bool) string {
	r.declare(name, "", form, about)
	s := r.lookup(name)
	if s != "" && valid != nil && !valid(s) {
		r.refuse(&Error{Name: name, Form: form})
		return ""
	}
	return s
}

// Checked reads text that valid accepts; form says in words what that is.
func (r *Reader) Checked(name, def, form, about string, valid func(string) bool) string {
	r.declare(name, def, form, about)
	return read(r, name, def, form, func(s string) (string, bool) { return s, valid(s) })
}

// Address reads what to listen on, as host:port; the host may be left out, and port 0 means a free one.
func (r *Reader) Address(name, def, about string) string {
	return r.Checked(name, def, "host:port", about, isAddress)
}

// Choice reads one of choices, regardless of case, and returns it as listed.
func (r *Reader) Choice(name, def, about string, choices ...string) string {
	form := "one of " + strings.Join(choices, ", ")
	r.declare(name, def, form, about)
	return read(r, name, def, form, func(s string) (string, bool) {
		i := slices.IndexFunc(choices, func(c string) bool { return strings.EqualFold(c, s) })
		if i < 0 {
			return "", false
		}
		return choices[i], true
	})
}

// List reads a comma-separated list; spaces around the parts and empty parts are dropped.
func (r *Reader) List(name string, def []string, about string) []string {
	const form = "comma-separated list"
	r.declare(name, strings.Join(def, ","), form, about)
	return read(r, name, def, form, func(s string) ([]string, bool) {
		var parts []string
		for part := range strings.SplitSeq(s, ",") {
			if part = strings.TrimSpace(part); part != "" {
				parts = append(parts, part)
			}
		}
		return parts, len(parts) > 0
	})
}

// Bool reads true or false (also 1, 0, yes, no, on, off), regardless of case.
func (r *Reader) Bool(name string, def bool, about string) bool {
	const form = "true or false"
	r.declare(name, strconv.FormatBool(def), form, about)
	return read(r, name, def, form, parseBool)
}

// Int reads a whole number from low to high, both included. "2,000" and "2_000" are accepted for 2000.
func (r *Reader) Int(name string, def, low, high int, about string) int {
	form := fmt.Sprintf("whole number from %d to %d", low, high)
	r.declare(name, strconv.Itoa(def), form, about)
	return read(r, name, def, form, func(s string) (int, bool) {
		n, err := strconv.Atoi(strings.NewReplacer(",", "", "_", "").Replace(s))
		return n, err == nil && low <= n && n <= high
	})
}

// Duration reads a time with its unit, such as 500ms, 10s, 15m or 24h (also 7d), from low to high, both included.
func (r *Reader) Duration(name string, def, low, high time.Duration, about string) time.Duration {
	form := fmt.Sprintf("duration from %s to %s, such as 10s or 24h", formatDuration(low), formatDuration(high))
	r.declare(name, formatDuration(def), form, about)
	return read(r, name, def, form, func(s string) (time.Duration, bool) {
		d, err := parseDuration(s)
		return d, err == nil && low <= d && d <= high
	})
}

// Bytes reads a size such as 65536, 64KiB, 4MB or 1.5GiB, from low to high bytes, both included. KB, MB and GB are
// read as powers of 1,024, like KiB, MiB and GiB.
func (r *Reader) Bytes(name string, def, low, high int64, about string) int64 {
	form := fmt.Sprintf("size from %s to %s, such as 4MiB", formatBytes(low), formatBytes(high))
	r.declare(name, formatBytes(def), form, about)
	return read(r, name, def, form, func(s string) (int64, bool) {
		n, err := parseBytes(s)
		return n, err == nil && low <= n && n <= high
	})
}

// declare notes a setting; a name that is read twice, as two services in one process may do, is listed once.
func (r *Reader) declare(name, def, form, about string) {
	if slices.ContainsFunc(r.settings, func(s Setting) bool { return s.Name == name }) {
		return
	}
	r.settings = append(r.settings, Setting{Name: name, Default: def, Form: form, About: about})
}

// read returns def for an unset variable and for a refused one, which it notes.
func read[T any](r *Reader, name string, def T, form string, parse func(string) (T, bool)) T {
	text := r.lookup(name)
	if text == "" {
		return def
	}
	value, ok := parse(text)
	if ok {
		return value
	}
	r.refuse(&Error{Name: name, Value: text, Form: form})
	return def
}

// refuse notes an error. Two services in one process may refuse the same value: the complaint is noted once.
func (r *Reader) refuse(bad *Error) {
	if !slices.ContainsFunc(r.errs, func(err error) bool { return err.Error() == bad.Error() }) {
		r.errs = append(r.errs, bad)
	}
}
