package wire

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ErrPosition is wrapped by every error of [ParsePosition], [ParseEpoch] and
// [ParseDigest].
var ErrPosition = errors.New("not a position")

// Epoch names one incarnation of a session id. It is drawn at random when the
// session is created and never changes; 0 is no epoch.
type Epoch uint64

// String is the epoch as 16 lower-case hexadecimal digits.
func (e Epoch) String() string { return string(e.AppendText(nil)) }

// AppendText appends the epoch as 16 lower-case hexadecimal digits.
func (e Epoch) AppendText(dst []byte) []byte {
	const digits = "0123456789abcdef"
	for shift := 60; shift >= 0; shift -= 4 {
		dst = append(dst, digits[e>>shift&15])
	}
	return dst
}

// ParseEpoch is the inverse of [Epoch.String]. It accepts exactly 16 lower-case
// hexadecimal digits.
func ParseEpoch(s string) (Epoch, error) {
	d, err := ParseDigest(s)
	if err != nil {
		return 0, fmt.Errorf("%w: epoch %q", ErrPosition, s)
	}
	var e Epoch
	for _, b := range d {
		e = e<<8 | Epoch(b)
	}
	return e, nil
}

// Digest names a state and all that came before it: the first 8 bytes of the
// SHA-256 over a commit's record, which contains the digest before it. The digest
// of version 0 is drawn at random when the session is created. Eight chained bytes
// prove the branch against accidents, not against somebody who can write to Redis.
type Digest [8]byte

// String is the digest as 16 lower-case hexadecimal digits.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// AppendText appends the digest as 16 lower-case hexadecimal digits.
func (d Digest) AppendText(dst []byte) []byte { return hex.AppendEncode(dst, d[:]) }

// ParseDigest is the inverse of [Digest.String]. It accepts exactly 16 lower-case
// hexadecimal digits.
func ParseDigest(s string) (Digest, error) {
	var d Digest
	if len(s) != 2*len(d) || strings.ToLower(s) != s {
		return Digest{}, fmt.Errorf("%w: digest %q", ErrPosition, s)
	}
	if _, err := hex.Decode(d[:], []byte(s)); err != nil {
		return Digest{}, fmt.Errorf("%w: digest %q", ErrPosition, s)
	}
	return d, nil
}

// Position names a state of a session and proves on which branch it lies. It is
// the ETag of graph and command answers, the resume token of every stream and the
// id of server-sent events. Clients treat its text as opaque.
type Position struct {
	Epoch   Epoch
	Version uint64
	Digest  Digest
}

// IsZero reports whether the position names nothing.
func (p Position) IsZero() bool { return p == Position{} }

// String is the position as clients see it: "<epoch>.<version>.<digest>".
func (p Position) String() string { return string(p.Append(make([]byte, 0, 53))) }

// Append appends the text of the position.
func (p Position) Append(dst []byte) []byte {
	dst = append(p.Epoch.AppendText(dst), '.')
	dst = append(strconv.AppendUint(dst, p.Version, 10), '.')
	return p.Digest.AppendText(dst)
}

// ParsePosition is the inverse of [Position.String]; it accepts nothing else, so
// two texts that differ never name the same position.
func ParsePosition(s string) (Position, error) {
	epoch, rest, _ := strings.Cut(s, ".")
	version, digest, _ := strings.Cut(rest, ".")
	var p Position
	var err error
	if p.Epoch, err = ParseEpoch(epoch); err != nil {
		return Position{}, err
	}
	p.Version, err = strconv.ParseUint(version, 10, 64)
	if err != nil || strconv.FormatUint(p.Version, 10) != version {
		return Position{}, fmt.Errorf("%w: version %q", ErrPosition, version)
	}
	if p.Digest, err = ParseDigest(digest); err != nil {
		return Position{}, err
	}
	return p, nil
}
