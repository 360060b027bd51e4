package store

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"sync"
)

// Compressed returns a store that keeps its records in s, compressed (DEFLATE, at its fastest) where that makes them smaller by an eighth at least.
// Images, archives and what the server has compressed already stay as they are, for the price of a look at their first 4 KiB.
//
// A record that is not what Compressed has put is absent, and the next Put replaces it. So is one that claims to be larger than 64 MiB:
// reading allocates no more than a record says it holds, and believes only what DEFLATE can hold. To Put more is [ErrTooLarge].
//
// The result has the optional interfaces that s has; see [As].
func Compressed(s Store) (Store, error) {
	if s == nil {
		return nil, errors.New("store: Compressed needs a store")
	}
	return &coded{inner: s, codec: deflate{}}, nil
}

// deflate is the codec of Compressed. A record is a byte that says how it is stored, a checksum of what follows it and of that byte,
// the length of the data, and the data.
type deflate struct{}

const (
	asItIs   = 1
	deflated = 2

	maxPlain    = 64 << 20
	maxRatio    = 1032 // of DEFLATE: 258 bytes by two bits
	worthTrying = 256
	probe       = 4 << 10
	hopeless    = 7.6 // bits of a byte; what is compressed or encrypted has 7.9
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var writers = sync.Pool{New: func() any {
	w, _ := flate.NewWriter(nil, flate.BestSpeed) // fails for unknown levels only
	return w
}}

func (deflate) seal(_ string, r Record) (Record, error) {
	if len(r.Data) > maxPlain {
		return Record{}, fmt.Errorf("%w: %d bytes are more than Compressed takes", ErrTooLarge, len(r.Data))
	}
	how, body := byte(asItIs), r.Data
	if small, ok := shrink(r.Data); ok {
		how, body = deflated, small
	}
	b := make([]byte, 5, 5+binary.MaxVarintLen32+len(body))
	b[0] = how
	b = binary.AppendUvarint(b, uint64(len(r.Data)))
	b = append(b, body...)
	binary.LittleEndian.PutUint32(b[1:], sum(b))
	r.Data = b
	return r, nil
}

// sum is over all of a record but the sum itself.
func sum(b []byte) uint32 {
	return crc32.Update(crc32.Update(0, castagnoli, b[:1]), castagnoli, b[5:])
}

// shrink is false if it does not pay.
func shrink(data []byte) ([]byte, bool) {
	if len(data) < worthTrying {
		return nil, false
	}
	if len(data) >= probe && entropy(data[:probe]) > hopeless {
		return nil, false
	}
	w := writers.Get().(*flate.Writer)
	defer writers.Put(w)
	limit := &limited{left: len(data) - len(data)/8}
	w.Reset(limit)
	if _, err := w.Write(data); err != nil {
		return nil, false
	}
	if err := w.Close(); err != nil {
		return nil, false
	}
	return limit.buf.Bytes(), true
}

// entropy returns how many bits a byte of data says, judged by how often each value is there.
func entropy(data []byte) float64 {
	var count [256]int
	for _, b := range data {
		count[b]++
	}
	var bits float64
	for _, n := range count {
		if n > 0 {
			p := float64(n) / float64(len(data))
			bits -= p * math.Log2(p)
		}
	}
	return bits
}

// limited is a buffer that ends an attempt which does not pay.
type limited struct {
	buf  bytes.Buffer
	left int
}

var errNoGain = errors.New("store: compression does not pay")

func (l *limited) Write(p []byte) (int, error) {
	if l.left -= len(p); l.left < 0 {
		return 0, errNoGain
	}
	return l.buf.Write(p)
}

func (deflate) open(_ string, r Record) (Record, bool) {
	b := r.Data
	if len(b) < 6 || binary.LittleEndian.Uint32(b[1:]) != sum(b) {
		return Record{}, false
	}
	size, n := binary.Uvarint(b[5:])
	if n <= 0 || size > maxPlain {
		return Record{}, false
	}
	body := b[5+n:]
	switch {
	case b[0] == asItIs && uint64(len(body)) == size:
		r.Data = body[:len(body):len(body)]
		return r, true
	case b[0] == deflated && size <= uint64(len(body))*maxRatio:
		plain, ok := inflate(body, int(size))
		r.Data = plain
		return r, ok
	}
	return Record{}, false
}

// inflate is false unless body holds size bytes, no more and no less.
func inflate(body []byte, size int) ([]byte, bool) {
	reader := flate.NewReader(bytes.NewReader(body))
	plain := make([]byte, size)
	if _, err := io.ReadFull(reader, plain); err != nil {
		return nil, false
	}
	var more [1]byte
	n, err := reader.Read(more[:])
	return plain, n == 0 && err == io.EOF
}
