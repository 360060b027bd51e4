package redis

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/plyhttp/ply/store"
)

// A value in Redis is one line of text and then the data:
//
//	ply1 VVVVVVVVVVVVVVVV EEEEEEEEEEEEEEE KIND owner=KEY key=KEY label=TEXT\n
//
// V is the version in hexadecimal digits, E the end in milliseconds since 1970. The key is in there because a value may come to light under another key:
// by RENAME, or by a reply that belongs to another command.
const (
	magic    = "ply1 "
	maxLabel = 300  // bytes
	maxHead  = 1024 // bytes, the line's end included; the script has this number, too
)

var errForeign = errors.New("not a record of ply") // and therefore as good as nothing

// newVersion returns a version that was never there before, but for one chance in 2^64.
func newVersion() string { return fmt.Sprintf("%016x", rand.Uint64()) }

// encode returns the value of a record whose version will be the one that is given.
func encode(key, version string, r store.Record) []byte {
	expires := int64(0)
	if !r.Expires.IsZero() {
		expires = min(max(r.Expires.UnixMilli(), 1), 999_999_999_999_999)
	}
	value := make([]byte, 0, 128+len(r.Owner)+len(key)+min(len(r.Label), maxLabel)+len(r.Data))
	value = fmt.Appendf(value, "%s%s %015d %s owner=%s key=%s label=%s\n", magic, version, expires, kindName(r.Kind), r.Owner, key, label(r.Label))
	return append(value, r.Data...)
}

// decode returns the record in a value that was found under key. Its Data is a part of value.
func decode(key string, value []byte) (store.Record, error) {
	if isNewer(value) {
		return store.Record{}, store.ErrNewer
	}
	head, _, ok := bytes.Cut(value[:min(len(value), maxHead)], []byte("\n"))
	if !ok || len(value) == len(head)+1 || !bytes.HasPrefix(head, []byte(magic)) {
		return store.Record{}, errForeign
	}
	fields := strings.SplitN(string(head), " ", 7)
	if len(fields) != 7 || !isVersion(fields[1]) || len(fields[2]) != 15 || !strings.HasPrefix(fields[6], "label=") {
		return store.Record{}, errForeign
	}
	expires, err := strconv.ParseUint(fields[2], 10, 63)
	kind, isKind := kindOf(fields[3])
	owner, hasOwner := strings.CutPrefix(fields[4], "owner=")
	if err != nil || !isKind || !hasOwner || owner != "" && !validKey(owner) || fields[5] != "key="+key {
		return store.Record{}, errForeign
	}
	r := store.Record{Data: value[len(head)+1:], Version: fields[1], Kind: kind, Owner: owner}
	if expires != 0 {
		r.Expires = time.UnixMilli(int64(expires))
	}
	return r, nil
}

// isNewer tells the records of later versions of this package, "ply2 " and so on.
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
func kindOf(name string) (store.Kind, bool) {
	for k := store.KindEntry; k <= store.KindSetup; k++ {
		if name == k.String() {
			return k, true
		}
	}
	n, _ := strconv.ParseUint(name, 10, 8)
	return store.Kind(n), name != "" && !strings.ContainsFunc(name, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') })
}

func isVersion(text string) bool {
	if len(text) != 16 {
		return false
	}
	_, err := strconv.ParseUint(text, 16, 64)
	return err == nil
}

// label returns a text as it can stand in a line.
func label(text string) string {
	text = text[:min(len(text), maxLabel)]
	return strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, text)
}

// validKey tells the keys that a store takes.
func validKey(key string) bool {
	if len(key) == 0 || len(key) > 128 {
		return false
	}
	for _, b := range []byte(key) {
		if (b < 'a' || b > 'z') && (b < 'A' || b > 'Z') && (b < '0' || b > '9') && b != '_' && b != '.' && b != ':' && b != '-' {
			return false
		}
	}
	return true
}

func checkKey(key string) error {
	if !validKey(key) {
		return fmt.Errorf("redis: the key %.140q is not 1 to 128 of the characters A-Z a-z 0-9 _ . : -", key)
	}
	return nil
}
