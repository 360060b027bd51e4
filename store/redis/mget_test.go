package redis

import (
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plyhttp/ply/store"
)

// A reply is taken whole, or left to the calls that say what is wrong with it.
func TestReplyWithManyValues(t *testing.T) {
	value := string(encode("a", "0123456789abcdef", store.Record{Data: []byte("data\r\n$1\r\n"), Kind: store.KindEntry, Owner: "o", Expires: time.UnixMilli(1 << 42)}))
	bulk := "$" + strconv.Itoa(len(value)) + "\r\n" + value + "\r\n"
	a := store.Record{Data: []byte("data\r\n$1\r\n"), Version: "0123456789abcdef", Kind: store.KindEntry, Owner: "o", Expires: time.UnixMilli(1 << 42)}
	for reply, want := range map[string][]store.Record{
		"*2\r\n" + bulk + "$-1\r\n":                  {a, {}},
		"*2\r\n" + bulk + "_\r\n":                    {a, {}},
		"*2\r\n$-1\r\n" + bulk:                       {{}, {}}, // it names another key
		"*2\r\n" + bulk + "$0\r\n\r\n":               {a, {}},
		"*2\r\n" + bulk + "$3\r\nabc\r\n":            {a, {}},
		"*2\r\n" + bulk:                              nil,
		"*2\r\n" + bulk + "$-1\r\n$-1\r\n":           nil,
		"*1\r\n" + bulk:                              nil,
		"*2\r\n" + bulk + "$9\r\nabc\r\n":            nil,
		"*2\r\n" + bulk + ":1\r\n":                   nil,
		"*2\r\n" + bulk + "-ERR no\r\n":              nil,
		"*-1\r\n":                                    nil,
		"*2\r\n" + bulk + "$-2\r\n":                  nil,
		"*2\r\n" + bulk + "$9223372036854775807\r\n": nil,
		"-ERR no\r\n":                                nil,
		"$3\r\nabc\r\n":                              nil,
		"":                                           nil,
		"*2":                                         nil,
	} {
		m := &manyReply{store: &Store{prefix: "ply:", opt: Options{MaxRecordBytes: 1 << 10}}, names: []string{"ply:a", "ply:b"}}
		got, err := m.append(nil, []byte(reply))
		if (want == nil) != errors.Is(err, errReply) || want != nil && err != nil {
			t.Errorf("%q: %v", reply, err)
		}
		if diff := cmp.Diff(want, got); diff != "" && want != nil {
			t.Errorf("%q (-want +got):\n%s", reply, diff)
		}
	}
}
