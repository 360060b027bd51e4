package storetest

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
)

// pattern returns n bytes that do not compress, the same ones for the same seed.
func pattern(seed string, n int) []byte {
	data := make([]byte, n)
	rand.NewChaCha8(sha256.Sum256([]byte(seed))).Read(data)
	return data
}

// proof returns n bytes that say for themselves under which key they belong, and which change of it they are.
func proof(key string, seq uint64, n int) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\n%d\n%d\n", key, seq, n)
	b.Write(pattern(key, max(0, n-b.Len()-sha256.Size)))
	sum := sha256.Sum256(b.Bytes())
	return append(b.Bytes(), sum[:]...)
}

// proven returns the number of the change that data is, or says why it is not what was put under key.
func proven(key string, data []byte) (seq uint64, err error) {
	if len(data) < sha256.Size {
		return 0, fmt.Errorf("%d bytes are too few", len(data))
	}
	text, tail := data[:len(data)-sha256.Size], data[len(data)-sha256.Size:]
	if sum := sha256.Sum256(text); !bytes.Equal(sum[:], tail) {
		return 0, fmt.Errorf("the sum of %d bytes is wrong", len(data))
	}
	name, rest, _ := bytes.Cut(text, []byte("\n"))
	if string(name) != key {
		return 0, fmt.Errorf("it belongs to %q", name)
	}
	if _, err := fmt.Sscanf(string(rest[:min(len(rest), 20)]), "%d\n", &seq); err != nil {
		return 0, err
	}
	return seq, nil
}

// excerpt shows data in a message.
func excerpt(data []byte) string {
	if len(data) <= 24 {
		return fmt.Sprintf("%q", data)
	}
	sum := sha256.Sum256(data)
	return fmt.Sprintf("%d bytes %q… with the sum %x", len(data), data[:16], binary.BigEndian.Uint32(sum[:]))
}
