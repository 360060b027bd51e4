package transfer

import (
	"crypto/sha256"
	"encoding/binary"
	"time"

	"github.com/plyhttp/ply/middleware/cache/internal/stored"
)

// A Header says which cache the entries are from, as far as it matters to another whether they mean the same there.
type Header struct {
	Shared      bool           // the cache is shared
	OneIdentity bool           // the layers below it add one principal's credentials
	Made        time.Time      // when the export began
	Keys        [16]byte       // what the key strategy makes of some requests
	Check       [16]byte       // of the key of the hashes of credentials; zero if there is none
	Secret      stored.HashKey // that key, or zero if it is the user's own
}

const (
	isShared = 1 << iota
	isOneIdentity
	hasSecret
)

const headerBytes = 1 + 8 + 16 + 16

// CheckOf is what tells a key of hashes from others, and does not show it.
func CheckOf(key *stored.HashKey) (check [16]byte) {
	if key == nil {
		return check
	}
	sum := sha256.Sum256(append([]byte("ply: check of a secret\x00"), key[:]...))
	copy(check[:], sum[:])
	return check
}

func (h *Header) append(dst []byte) []byte {
	flags := byte(0)
	set := func(on bool, flag byte) {
		if on {
			flags |= flag
		}
	}
	set(h.Shared, isShared)
	set(h.OneIdentity, isOneIdentity)
	set(h.Secret != stored.HashKey{}, hasSecret)
	dst = append(dst, flags)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(h.Made.UnixNano()))
	dst = append(append(dst, h.Keys[:]...), h.Check[:]...)
	if flags&hasSecret != 0 {
		dst = append(dst, h.Secret[:]...)
	}
	return dst
}

func parseHeader(p []byte) (h Header, err error) {
	if len(p) < headerBytes || p[0] >= hasSecret<<1 {
		return h, ErrDamaged
	}
	h.Shared, h.OneIdentity = p[0]&isShared != 0, p[0]&isOneIdentity != 0
	h.Made = time.Unix(0, int64(binary.LittleEndian.Uint64(p[1:])))
	copy(h.Keys[:], p[9:])
	copy(h.Check[:], p[25:])
	secret := p[headerBytes:]
	if p[0]&hasSecret == 0 {
		if len(secret) > 0 {
			return h, ErrDamaged
		}
		return h, nil
	}
	if len(secret) != len(h.Secret) {
		return h, ErrDamaged
	}
	h.Secret = stored.HashKey(secret)
	if h.Secret == (stored.HashKey{}) || CheckOf(&h.Secret) != h.Check {
		return h, ErrDamaged
	}
	return h, nil
}
