package redis

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/plyhttp/ply/internal/storetext"
	"github.com/plyhttp/ply/store"
)

// A value in Redis is one line of text and then the data:
//
//	ply1 VVVVVVVVVVVVVVVV EEEEEEEEEEEEEEE KIND owner=KEY key=KEY label=TEXT\n
//
// V is the version in hexadecimal digits, E the end in milliseconds since 1970. The line has the key because a value may turn up under another one:
// after RENAME, or in a reply that belongs to another command.
const (
	magic    = "ply1 "
	maxLabel = 300  // bytes
	maxHead  = 1024 // bytes, the line's end included; the script has this number, too
)

var errForeign = errors.New("not a record of ply") // it counts as absent

// newVersion returns a random version. That it was there before has a chance of 1 in 2^64.
func newVersion() string { return fmt.Sprintf("%016x", rand.Uint64()) }

// encode returns the value of r with this version.
func encode(key, version string, r store.Record) []byte {
	expires := int64(0)
	if !r.Expires.IsZero() {
		expires = min(max(r.Expires.UnixMilli(), 1), 999_999_999_999_999)
	}
	value := make([]byte, 0, 128+len(r.Owner)+len(key)+min(len(r.Label), maxLabel)+len(r.Data))
	value = fmt.Appendf(value, "%s%s %015d %s owner=%s key=%s label=%s\n", magic, version, expires, kindName(r.Kind), r.Owner, key, storetext.Label(r.Label, maxLabel))
	return append(value, r.Data...)
}

// decode returns the record in a value that was found under key. Its Data is a part of value.
func decode(key string, value []byte) (store.Record, error) {
	if isNewer(value) {
		return store.Record{}, store.ErrNewer
	}
	line, _, ok := bytes.Cut(value[:min(len(value), maxHead)], []byte("\n"))
	if !ok || len(value) == len(line)+1 {
		return store.Record{}, errForeign
	}
	r, named, ok := decodeHead(line)
	if !ok || string(named) != key {
		return store.Record{}, errForeign
	}
	r.Data = value[len(line)+1:]
	return r, nil
}

// decodeHead returns what the first line of a value says of its record, and the key that it names, which is a part of the line.
func decodeHead(line []byte) (r store.Record, key []byte, ok bool) {
	line, isOurs := bytes.CutPrefix(line, []byte(magic))
	version, line, _ := bytes.Cut(line, []byte(" "))
	ends, line, _ := bytes.Cut(line, []byte(" "))
	name, line, _ := bytes.Cut(line, []byte(" "))
	owner, line, _ := bytes.Cut(line, []byte(" "))
	key, label, _ := bytes.Cut(line, []byte(" "))
	if !isOurs || !isVersion(version) || len(ends) != 15 || !bytes.HasPrefix(label, []byte("label=")) {
		return store.Record{}, nil, false
	}
	expires, err := strconv.ParseUint(string(ends), 10, 63)
	kind, isKind := kindOf(name)
	owner, hasOwner := bytes.CutPrefix(owner, []byte("owner="))
	key, hasKey := bytes.CutPrefix(key, []byte("key="))
	if err != nil || !isKind || !hasOwner || len(owner) > 0 && !storetext.ValidKey(string(owner)) || !hasKey {
		return store.Record{}, nil, false
	}
	r = store.Record{Version: string(version), Kind: kind, Owner: string(owner)}
	if expires != 0 {
		r.Expires = time.UnixMilli(int64(expires))
	}
	return r, key, true
}

// isNewer reports whether a later version of this package wrote the value: it begins with "ply2 " and so on.
func isNewer(value []byte) bool {
	return len(value) > 4 && string(value[:3]) == "ply" && value[3] > '1' && value[3] <= '9' && value[4] == ' '
}

func kindName(k store.Kind) string {
	if k == 0 || k > store.KindSetup {
		return strconv.Itoa(int(k))
	}
	return k.String()
}

// kindOf returns the kind with a name, 0 for names of kinds that are not known yet.
func kindOf(name []byte) (store.Kind, bool) {
	for k := store.KindEntry; k <= store.KindSetup; k++ {
		if string(name) == k.String() {
			return k, true
		}
	}
	n, _ := strconv.ParseUint(string(name), 10, 8)
	return store.Kind(n), len(name) > 0 && !bytes.ContainsFunc(name, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') })
}

func isVersion(text []byte) bool {
	if len(text) != 16 {
		return false
	}
	_, err := strconv.ParseUint(string(text), 16, 64)
	return err == nil
}
