package blueprint

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path"
	"slices"
	"strings"
)

// ErrNotFound is wrapped by the error of [Library.Template] when there is no file of that id.
var ErrNotFound = errors.New("template not found")

//go:embed templates/*.yaml
var embedded embed.FS

// Library is a set of templates, read once. It never changes, so that all instances that were
// started with the same files decide alike.
type Library struct {
	templates map[string]*Template
	invalid   map[string]*ValidationError
	ids       []string // of the valid ones, sorted
}

// Load reads all *.yaml and *.yml files at the top of a file system. A file that is no valid
// template is logged and left out of [Library.Templates]; only a directory or file that cannot
// be read is an error. Of two files with the same stem the one that sorts first counts.
func Load(fsys fs.FS, log *slog.Logger) (*Library, error) {
	entries, err := fs.ReadDir(fsys, ".")
	if err != nil {
		return nil, fmt.Errorf("blueprint: read the template directory: %w", err)
	}
	l := &Library{templates: map[string]*Template{}, invalid: map[string]*ValidationError{}}
	for _, entry := range entries {
		if ext := path.Ext(entry.Name()); entry.IsDir() || ext != ".yaml" && ext != ".yml" || strings.HasPrefix(entry.Name(), ".") {
			continue
		}
		if err := l.add(fsys, entry.Name(), log); err != nil {
			return nil, err
		}
	}
	slices.Sort(l.ids)

	return l, nil
}

func (l *Library) add(fsys fs.FS, file string, log *slog.Logger) error {
	data, err := fs.ReadFile(fsys, file)
	if err != nil {
		return fmt.Errorf("blueprint: read a template: %w", err)
	}
	id := strings.TrimSuffix(file, path.Ext(file))
	if l.templates[id] != nil || l.invalid[id] != nil {
		log.Warn("a second template file has the same id and is left out", "file", file)

		return nil
	}
	t, err := Decode(file, data)
	var invalid *ValidationError
	switch {
	case errors.As(err, &invalid):
		log.Warn("a template is not valid and is left out", "file", file, "err", err)
		l.invalid[id] = invalid
	case err != nil:
		return err
	default:
		l.templates[id] = t
		l.ids = append(l.ids, id)
	}

	return nil
}

// Embedded reads the templates that come with the program.
func Embedded(log *slog.Logger) (*Library, error) {
	dir, err := fs.Sub(embedded, "templates")
	if err != nil {
		return nil, fmt.Errorf("blueprint: %w", err)
	}

	return Load(dir, log)
}

// Template finds a template by its id. The error wraps [ErrNotFound] when there is no such
// file, and is a *[ValidationError] when it is not valid.
func (l *Library) Template(id string) (*Template, error) {
	if t, ok := l.templates[id]; ok {
		return t, nil
	}
	if invalid, ok := l.invalid[id]; ok {
		return nil, invalid
	}

	return nil, fmt.Errorf("%w: %q", ErrNotFound, id)
}

// Templates lists the valid templates, sorted by id.
func (l *Library) Templates() []*Template {
	out := make([]*Template, 0, len(l.ids))
	for _, id := range l.ids {
		out = append(out, l.templates[id])
	}

	return out
}
