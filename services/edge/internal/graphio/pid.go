package graphio

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"time"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/services/edge/internal/graphevent"
)

// pidLife is for how long a connection can be recovered, from its beginning on.
const pidLife = 24 * time.Hour

// pid is what a connection was, for any edge to continue it. Its text is a secret of the peer's; it grants nothing but to
// be called by the same id again.
type pid struct {
	client  uuid.UUID
	dialect graphevent.Dialect
	expires int64 // Unix seconds
	nonce   [8]byte
}

const (
	pidVersion = 1
	pidSize    = 1 + 16 + 1 + 8 + 8
	macSize    = 16
)

// newPID is a pid that differs from all others, also of the same client.
func newPID(client uuid.UUID, d graphevent.Dialect, now time.Time) pid {
	p := pid{client: client, dialect: d, expires: now.Add(pidLife).Unix()}
	_, _ = rand.Read(p.nonce[:]) // it never fails
	return p
}

// sign returns the text of the pid.
func (p pid) sign(key []byte) string {
	b := append(make([]byte, 0, pidSize+macSize), pidVersion)
	b = append(append(b, p.client[:]...), byte(p.dialect))
	b = append(binary.BigEndian.AppendUint64(b, uint64(p.expires)), p.nonce[:]...)
	return base64.RawURLEncoding.EncodeToString(append(b, mac(key, b)...))
}

// openPID is the inverse of sign. It returns false for what was not signed with the key, and for what is too old.
func openPID(text string, key []byte, now time.Time) (pid, bool) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) != pidSize+macSize || b[0] != pidVersion || !hmac.Equal(mac(key, b[:pidSize]), b[pidSize:]) {
		return pid{}, false
	}
	p := pid{client: uuid.UUID(b[1:17]), dialect: graphevent.Dialect(b[17]), expires: int64(binary.BigEndian.Uint64(b[18:]))}
	return p, now.Unix() < p.expires
}

func mac(key, text []byte) []byte {
	h := hmac.New(sha256.New, key)
	_, _ = h.Write([]byte("talus pid\x00")) // it never fails
	_, _ = h.Write(text)
	return h.Sum(nil)[:macSize]
}
