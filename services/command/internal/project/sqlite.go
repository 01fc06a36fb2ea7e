package project

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/google/uuid"
	_ "modernc.org/sqlite" // The driver "sqlite".

	"github.com/talus-tally/talus/pkg/wire"
)

// inMemory is the file name of a database that ends with the process.
const inMemory = ":memory:"

const sqliteSchema = `CREATE TABLE IF NOT EXISTS projects (
	id       TEXT PRIMARY KEY,
	name     TEXT NOT NULL,
	template TEXT NOT NULL,
	epoch    TEXT NOT NULL,
	version  INTEGER NOT NULL,
	digest   TEXT NOT NULL,
	saved_at INTEGER NOT NULL, -- Unix time in milliseconds
	content  BLOB NOT NULL
) WITHOUT ROWID`

// sqliteSave replaces what is stored unless that is newer on the same branch, as far as positions
// tell, and is not the one that the caller knows to be off it.
const sqliteSave = `INSERT INTO projects (id, name, template, epoch, version, digest, saved_at, content)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET name = excluded.name, template = excluded.template, epoch = excluded.epoch,
	version = excluded.version, digest = excluded.digest, saved_at = excluded.saved_at, content = excluded.content
WHERE projects.epoch <> excluded.epoch OR projects.version <= excluded.version
	OR (projects.epoch = ? AND projects.version = ? AND projects.digest = ?)`

// SQLite is a [Store] in one file, for one machine.
type SQLite struct {
	db *sql.DB
}

// openSQLite opens or creates the database file.
func openSQLite(file string) (*SQLite, error) {
	// Each transaction begins as a writer, so that it waits for its turn at the beginning and
	// never fails in the middle. FULL: a save that was answered survives a loss of power.
	dsn := "file:" + url.PathEscape(file) + "?_txlock=immediate&_pragma=busy_timeout(10000)" +
		"&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)"
	connections := 4
	if file == inMemory {
		dsn, connections = inMemory, 1 // Each connection has a memory of its own.
	}
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, fmt.Errorf("project: open the database: %w", err)
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	db.SetConnMaxLifetime(0)
	if _, err := db.Exec(sqliteSchema); err != nil {
		return nil, errors.Join(fmt.Errorf("project: prepare the database: %w", err), db.Close())
	}

	return &SQLite{db: db}, nil
}

// Save implements [Store].
func (s *SQLite) Save(ctx context.Context, p Project, over wire.Position) error {
	content, err := encodeContent(p)
	if err != nil {
		return err
	}
	result, err := s.db.ExecContext(ctx, sqliteSave,
		p.ID.String(), p.Name, p.Template, p.Position.Epoch.String(), int64(p.Position.Version), p.Position.Digest.String(),
		p.SavedAt.UnixMilli(), content, over.Epoch.String(), int64(over.Version), over.Digest.String())
	if err != nil {
		return unavailable("save", err)
	}
	written, err := result.RowsAffected()
	if err != nil {
		return unavailable("save", err)
	}
	if written > 0 {
		return nil
	}
	stored, err := s.scan(s.db.QueryRowContext(ctx, `SELECT `+sqliteSummary+` FROM projects WHERE id = ?`, p.ID.String()))
	if err != nil {
		return unavailable("save", err)
	}

	return &NewerError{Stored: stored.Position}
}

// sqliteSummary are the columns that scan reads.
const sqliteSummary = `id, name, template, epoch, version, digest, saved_at`

// scan reads the columns of sqliteSummary, and then those that more asks for.
func (s *SQLite) scan(row interface{ Scan(into ...any) error }, more ...any) (Summary, error) {
	var out Summary
	var id, epoch, digest string
	var version, savedAt int64
	if err := row.Scan(append([]any{&id, &out.Name, &out.Template, &epoch, &version, &digest, &savedAt}, more...)...); err != nil {
		return Summary{}, err
	}
	var errID, errEpoch, errDigest error
	out.ID, errID = uuid.Parse(id)
	out.Position.Epoch, errEpoch = wire.ParseEpoch(epoch)
	out.Position.Version = uint64(version)
	out.Position.Digest, errDigest = wire.ParseDigest(digest)
	out.SavedAt = time.UnixMilli(savedAt).UTC()

	return out, errors.Join(errID, errEpoch, errDigest)
}

// Get implements [Store].
func (s *SQLite) Get(ctx context.Context, id uuid.UUID) (Project, error) {
	var content []byte
	row := s.db.QueryRowContext(ctx, `SELECT `+sqliteSummary+`, content FROM projects WHERE id = ?`, id.String())
	summary, err := s.scan(row, &content)
	if errors.Is(err, sql.ErrNoRows) {
		return Project{}, notFound(id)
	}
	if err != nil {
		return Project{}, unavailable("read", err)
	}
	p := Project{Summary: summary}
	if err := decodeContent(content, &p); err != nil {
		return Project{}, unavailable("read", err)
	}

	return p, nil
}

// List implements [Store].
func (s *SQLite) List(ctx context.Context, cursor string, limit int) (Page, error) {
	limit = clamp(limit)
	var total int
	if err := s.db.QueryRowContext(ctx, `SELECT count(*) FROM projects`).Scan(&total); err != nil {
		return Page{}, unavailable("list", err)
	}
	rows, err := s.db.QueryContext(ctx, `SELECT `+sqliteSummary+` FROM projects WHERE id > ? ORDER BY id LIMIT ?`, cursor, limit+1)
	if err != nil {
		return Page{}, unavailable("list", err)
	}
	defer func() { _ = rows.Close() }() // rows.Err tells what went wrong.
	var found []Summary
	for rows.Next() {
		summary, err := s.scan(rows)
		if err != nil {
			return Page{}, unavailable("list", err)
		}
		found = append(found, summary)
	}
	if err := rows.Err(); err != nil {
		return Page{}, unavailable("list", err)
	}

	return page(found, limit, total), nil
}

// Delete implements [Store].
func (s *SQLite) Delete(ctx context.Context, id uuid.UUID) error {
	result, err := s.db.ExecContext(ctx, `DELETE FROM projects WHERE id = ?`, id.String())
	if err != nil {
		return unavailable("delete", err)
	}
	if n, err := result.RowsAffected(); err != nil {
		return unavailable("delete", err)
	} else if n == 0 {
		return notFound(id)
	}

	return nil
}

// Close implements [Store].
func (s *SQLite) Close() error { return s.db.Close() }
