package store

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// An EncryptionKey encrypts and authenticates records. It is 32 random bytes, from crypto/rand, a secrets manager or `openssl rand`; a password is not enough.
type EncryptionKey [32]byte

// ParseEncryptionKey reads a key from 64 hexadecimal digits, as `openssl rand -hex 32` prints them. Space around them does not count. The error does not show them.
func ParseEncryptionKey(digits string) (EncryptionKey, error) {
	b, err := hex.DecodeString(strings.TrimSpace(digits))
	if err != nil || len(b) != len(EncryptionKey{}) {
		return EncryptionKey{}, errors.New("store: a key is 64 hexadecimal digits: openssl rand -hex 32 prints one")
	}
	return EncryptionKey(b), nil
}

// Encrypted returns a store that keeps its records in s, encrypted and authenticated (AES-256-GCM).
//
// New records are encrypted under the first key, and read under any: to rotate, put the new key first, and drop the old one
// when what it encrypted has expired. A record that was changed, moved to another key of the store, or encrypted under none of the keys is absent,
// and the next Put replaces it.
//
// What stays readable to those who can read s: keys, which this module's cache makes of hashes, sizes, times, kinds and owners. Labels are left out.
// An attacker who can write to s can put back an older record of the same key, which is accepted. To compress as well, compress first: Compressed(Encrypted(s)).
//
// The result has the optional interfaces that s has; see [As]. There must be at least one key, and none may be zero.
func Encrypted(s Store, keys ...EncryptionKey) (Store, error) {
	if s == nil || len(keys) == 0 {
		return nil, errors.New("store: Encrypted needs a store and at least one key")
	}
	var ring keyRing
	for i, key := range keys {
		if key == (EncryptionKey{}) {
			return nil, fmt.Errorf("store: key %d is zero: use 32 random bytes", i+1)
		}
		id, err := hkdf.Key(sha256.New, key[:], nil, idInfo, idSize)
		if err != nil {
			return nil, fmt.Errorf("store: key %d: %w", i+1, err)
		}
		ring = append(ring, ringKey{secret: key, id: [idSize]byte(id)})
	}
	return &coded{inner: s, codec: ring}, nil
}

// keyRing is the codec of Encrypted. The first key seals.
type keyRing []ringKey

type ringKey struct {
	secret EncryptionKey
	id     [idSize]byte // tells without a trial which key a record is under
}

// A sealed record is a version byte, the id of the key, a random salt, and what AES-GCM makes of the data.
const (
	sealVersion = 1
	idSize      = 4
	saltSize    = 24
	headSize    = 1 + idSize + saltSize
	tagSize     = 16

	idInfo     = "ply store key id 1"
	recordInfo = "ply store record 1"
)

func (ring keyRing) seal(key string, r Record) (Record, error) {
	sealed := make([]byte, headSize, headSize+len(r.Data)+tagSize)
	sealed[0] = sealVersion
	copy(sealed[1:], ring[0].id[:])
	rand.Read(sealed[1+idSize : headSize])
	gcm, nonce, err := ring[0].cipher(sealed[:headSize])
	if err != nil {
		return Record{}, fmt.Errorf("store: encrypt: %w", err)
	}
	r.Data = gcm.Seal(sealed, nonce, r.Data, bound(sealed[:headSize], key, r))
	r.Label = ""
	return r, nil
}

func (ring keyRing) open(key string, r Record) (Record, bool) {
	if len(r.Data) < headSize+tagSize || r.Data[0] != sealVersion {
		return Record{}, false
	}
	head, text := r.Data[:headSize], r.Data[headSize:]
	for _, k := range ring {
		if !bytes.Equal(head[1:1+idSize], k.id[:]) {
			continue
		}
		gcm, nonce, err := k.cipher(head)
		if err != nil {
			continue
		}
		if plain, err := gcm.Open(nil, nonce, text, bound(head, key, r)); err == nil {
			r.Data = plain
			return r, true
		}
	}
	return Record{}, false
}

// cipher derives a key and a nonce for one record from its salt. One key for all would be worn out after 2^32 records with random nonces
// (NIST SP 800-38D §8.3); of salts with 192 bits no two are ever the same.
func (k *ringKey) cipher(head []byte) (gcm cipher.AEAD, nonce []byte, err error) {
	const keySize, nonceSize = 32, 12
	derived, err := hkdf.Key(sha256.New, k.secret[:], head[1+idSize:], recordInfo, keySize+nonceSize)
	if err != nil {
		return nil, nil, err
	}
	block, err := aes.NewCipher(derived[:keySize])
	if err != nil {
		return nil, nil, err
	}
	gcm, err = cipher.NewGCM(block)
	return gcm, derived[keySize:], err
}

// bound is what a record is authenticated with beside its data. The lengths keep two different ones different.
func bound(head []byte, key string, r Record) []byte {
	b := append([]byte(nil), head...)
	b = append(b, byte(r.Kind))
	b = binary.AppendUvarint(b, uint64(len(key)))
	b = append(b, key...)
	b = binary.AppendUvarint(b, uint64(len(r.Owner)))
	return append(b, r.Owner...)
}
