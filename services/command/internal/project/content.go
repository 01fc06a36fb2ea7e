package project

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/pkg/wire"
)

// contentFormat is the first byte of stored content. The rest is compressed by gzip: the number
// of blocking relationships, and the two ids of each; the number of nodes, and of each the id, the
// length and the bytes. Numbers are unsigned varints.
const contentFormat = 1

var errContent = errors.New("the stored content is damaged")

// encodeContent is what a store keeps of nodes and blocking relationships.
func encodeContent(p Project) ([]byte, error) {
	var out bytes.Buffer
	out.WriteByte(contentFormat)
	zip, err := gzip.NewWriterLevel(&out, gzip.BestSpeed)
	if err != nil {
		return nil, fmt.Errorf("project: %w", err)
	}
	head := binary.AppendUvarint(nil, uint64(len(p.Blocking)))
	for _, b := range p.Blocking {
		head = append(append(head, b.Blocked[:]...), b.Blocking[:]...)
	}
	head = binary.AppendUvarint(head, uint64(len(p.Nodes)))
	_, err = zip.Write(head)
	for _, n := range p.Nodes {
		if err != nil {
			break
		}
		head = binary.AppendUvarint(append(head[:0], n.Node[:]...), uint64(len(n.Bytes)))
		if _, err = zip.Write(head); err == nil {
			_, err = zip.Write(n.Bytes)
		}
	}
	if err = errors.Join(err, zip.Close()); err != nil {
		return nil, fmt.Errorf("project: compress: %w", err)
	}

	return out.Bytes(), nil
}

// decodeContent is the inverse of encodeContent. Any bytes may come in.
func decodeContent(b []byte, p *Project) error {
	if len(b) == 0 || b[0] != contentFormat {
		return errContent
	}
	zip, err := gzip.NewReader(bytes.NewReader(b[1:]))
	if err != nil {
		return fmt.Errorf("%w: %w", errContent, err)
	}
	plain, err := io.ReadAll(zip)
	if err != nil {
		return fmt.Errorf("%w: %w", errContent, err)
	}
	r := content{b: plain}
	for range r.count(32) {
		p.Blocking = append(p.Blocking, Blocking{Blocked: r.id(), Blocking: r.id()})
	}
	n := r.count(17)
	p.Nodes = make([]wire.Image, 0, n)
	for range n {
		id := r.id()
		p.Nodes = append(p.Nodes, wire.Image{Node: id, Bytes: r.take(r.count(1))})
	}
	if r.bad || len(r.b) > 0 {
		return errContent
	}

	return nil
}

// content reads decompressed content; bad says that it ended too early.
type content struct {
	b   []byte
	bad bool
}

// count reads a number of things that take at least size bytes each, so that a damaged number
// asks for no more memory than there can be things.
func (r *content) count(size int) int {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || v > uint64((len(r.b)-n)/size) {
		r.bad, r.b = true, nil

		return 0
	}
	r.b = r.b[n:]

	return int(v)
}

func (r *content) take(n int) []byte {
	if n > len(r.b) {
		r.bad, r.b = true, nil

		return nil
	}
	out := r.b[:n:n]
	r.b = r.b[n:]

	return out
}

func (r *content) id() (id uuid.UUID) {
	copy(id[:], r.take(len(id)))

	return id
}
