package redis

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plyhttp/ply/internal/storetext"
	"github.com/plyhttp/ply/store"
)

// A record comes back from its value under its own key, and under no other.
func FuzzRecord(f *testing.F) {
	f.Add("k", "", "", []byte("x"), uint8(1), int64(0))
	f.Add("a.b:c-D_9", "owner", "GET https://example.com/ \r\n\x00\xff", []byte("\n\n"), uint8(200), int64(1<<42))
	f.Fuzz(func(t *testing.T, key, owner, label string, data []byte, kind uint8, expires int64) {
		if !storetext.ValidKey(key) || owner != "" && !storetext.ValidKey(owner) || len(data) == 0 {
			t.Skip()
		}
		want := store.Record{Data: data, Version: newVersion(), Kind: store.Kind(kind), Owner: owner, Label: label}
		if expires > 0 && expires < 999_999_999_999_999 {
			want.Expires = time.UnixMilli(expires)
		}
		value := encode(key, want.Version, want)
		if head := bytes.IndexByte(value, '\n'); head >= maxHead-1 {
			t.Errorf("a line of %d bytes", head)
		}
		got, err := decode(key, value)
		want.Label = ""
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("decode: %v (-want +got)\n%s", err, diff)
		}
		if r, err := decode(key+"x", value); err == nil {
			t.Errorf("under another key there is %v", r)
		}
	})
}

// Whatever is in Redis, a record is a suffix of it.
func FuzzDecode(f *testing.F) {
	f.Add([]byte("ply1 4be1d2ba09f2c357 001794480000000 entry owner= key=k label=x\ndata"))
	f.Add([]byte("ply2 4be1d2ba09f2c357"))
	f.Fuzz(func(t *testing.T, value []byte) {
		r, err := decode("k", value)
		if err == nil && (!bytes.HasSuffix(value, r.Data) || len(r.Data) == 0 || r.Version == "" || r.Owner != "" && !storetext.ValidKey(r.Owner)) {
			t.Errorf("decode returns %+v", r)
		}
		if err != nil && (r.Data != nil || r.Version != "") {
			t.Errorf("decode returns %+v and %v", r, err)
		}
	})
}

// chunked is a connection whose Reads return n bytes each.
type chunked struct {
	net.Conn
	r io.Reader
	n int
}

func (c chunked) Read(p []byte) (int, error) { return c.r.Read(p[:min(c.n, len(p))]) }
func (c chunked) Close() error               { return nil }

// What the limit lets pass does not depend on how it comes in pieces, but for the piece with the violation.
func FuzzLimit(f *testing.F) {
	f.Add([]byte("$3\r\nabc\r\n*2\r\n:1\r\n$-1\r\n+OK\r\n"), uint8(1))
	f.Add([]byte("$5\r\n$9999999\r\n"), uint8(3))
	f.Add([]byte("*99999999\r\n"), uint8(2))
	f.Fuzz(func(t *testing.T, stream []byte, n uint8) {
		read := func(n int) ([]byte, error) {
			return io.ReadAll(&limitedConn{Conn: chunked{r: bytes.NewReader(stream), n: n}, limit: 100})
		}
		whole, wholeErr := read(len(stream) + 1)
		pieces, piecesErr := read(int(n) + 1)
		switch {
		case (wholeErr != nil) != (piecesErr != nil):
			t.Errorf("whole: %v, in pieces: %v", wholeErr, piecesErr)
		case wholeErr == nil && (!bytes.Equal(whole, stream) || !bytes.Equal(pieces, stream)):
			t.Errorf("%q and %q of %q", whole, pieces, stream)
		case !bytes.HasPrefix(stream, pieces):
			t.Errorf("%q of %q", pieces, stream)
		}
	})
}

func TestLimit(t *testing.T) {
	for stream, passes := range map[string]bool{
		"$100\r\n" + strings.Repeat("$", 100) + "\r\n+OK\r\n": true,
		"$101\r\n": false,
		"$100\r\n" + strings.Repeat("\n", 100) + "\r\n$101\r\n": false,
		"$4611686018427387904\r\n":                              false,
		"$18446744073709551617\r\n":                             false,
		"$00000000000000000000000000000000000000001\r\n":        false,
		"$-1\r\n*-1\r\n_\r\n":                                   true,
		"$0\r\n\r\n$101\r\n":                                    false,
		"*131072\r\n":                                           true,
		"*131073\r\n":                                           false,
		"%131073\r\n":                                           false,
		"!101\r\n":                                              false,
		"=101\r\n":                                              false,
		"+a long line that begins with $9999999999 is no string\r\n":    true,
		"+" + strings.Repeat("x", 1<<20):                                false,
		"-ERR " + strings.Repeat("x", 5000) + "\r\n$3\r\nabc\r\n:1\r\n": true,
	} {
		_, err := io.ReadAll(&limitedConn{Conn: chunked{r: strings.NewReader(stream), n: 7}, limit: 100})
		if (err == nil) != passes {
			t.Errorf("%.60q: %v, want it to pass: %t", stream, err, passes)
		}
	}
}

// Whatever nests has a bound, and what has ended does not count.
func TestLimitOfNesting(t *testing.T) {
	nested := func(open string, n int, innermost string) string { return strings.Repeat(open, n) + innermost }
	for name, tt := range map[string]struct {
		deepest string // maxNesting levels and no more
		deeper  string
	}{
		"array":     {nested("*1\r\n", maxNesting, ":1\r\n"), "*1\r\n"},
		"set":       {nested("~1\r\n", maxNesting, "$1\r\nx\r\n"), "~1\r\n"},
		"push":      {nested(">1\r\n", maxNesting, "_\r\n"), ">1\r\n"},
		"map key":   {nested("%1\r\n", maxNesting, ":1\r\n"+strings.Repeat(":1\r\n", maxNesting)), "%1\r\n"},
		"map value": {nested("%1\r\n+k\r\n", maxNesting, "$-1\r\n"), "%1\r\n+k\r\n"},
		"last":      {nested("*2\r\n*0\r\n", maxNesting, "*-1\r\n"), "*2\r\n*0\r\n"},
		"first":     {nested("*2\r\n", maxNesting, "=1\r\n*\r\n"+strings.Repeat("#t\r\n", maxNesting)), "*2\r\n"},
		"attribute": {nested("|0\r\n", maxNesting, "+OK\r\n"), "|0\r\n"},
		"null":      {nested("|-1\r\n", maxNesting, "!1\r\nx\r\n"), "|-1\r\n"},
		"mixed":     {nested("*1\r\n~1\r\n", maxNesting/2, "%0\r\n"), "|1\r\n+a\r\n"},
	} {
		read := func(stream string) error {
			_, err := io.ReadAll(&limitedConn{Conn: chunked{r: strings.NewReader(stream), n: 5}, limit: 100})
			return err
		}
		if err := read(strings.Repeat(tt.deepest, 3)); err != nil {
			t.Errorf("%s, %d levels, three times: %v", name, maxNesting, err)
		}
		if err := read(strings.Repeat(tt.deeper, maxNesting+1)); err == nil {
			t.Errorf("%s, %d levels: no error", name, maxNesting+1)
		}
	}
	for stream, passes := range map[string]bool{
		"*65536\r\n*65536\r\n":                true,
		"*65537\r\n*65536\r\n":                false,
		"%65536\r\n":                          true,
		"%65537\r\n":                          false,
		"*2\r\n:1\r\n:2\r\n*131072\r\n":       true,
		"*2\r\n:1\r\n*1\r\n:2\r\n*131072\r\n": true,
		"*2\r\n:1\r\n*131072\r\n":             false,
	} {
		_, err := io.ReadAll(&limitedConn{Conn: chunked{r: strings.NewReader(stream), n: 7}, limit: 100})
		if (err == nil) != passes {
			t.Errorf("%q: %v, want it to pass: %t", stream, err, passes)
		}
	}
}

// heardFrom returns the names that a stream of messages makes known, and the error at its end.
func heardFrom(stream []byte) (names []string, err error) {
	p := &pushes{r: bufio.NewReader(bytes.NewReader(stream)), invalidated: func(name string) { names = append(names, name) }}
	for err == nil {
		err = p.next()
	}
	return names, err
}

func TestPushes(t *testing.T) {
	const ok = ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nz\r\n"
	for stream, want := range map[string][]string{
		">2\r\n$10\r\ninvalidate\r\n*2\r\n$1\r\na\r\n$2\r\nbc\r\n": {"a", "bc"},
		">2\r\n$10\r\ninvalidate\r\n_\r\n" + ok:                    {"", "z"},
		">2\r\n$10\r\ninvalidate\r\n*-1\r\n" + ok:                  {"", "z"},
		"+PONG\r\n" + ok: {"z"},
		"%2\r\n$5\r\nproto\r\n:3\r\n$7\r\nmodules\r\n*1\r\n%1\r\n$1\r\na\r\n#t\r\n" + ok: {"z"},
		">2\r\n$21\r\ntracking-redir-broken\r\n:1\r\n" + ok:                              {"z"},
		">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nm\r\n" + ok:                             {"z"},
		"-ERR no\r\n" + ok: nil,
		">2\r\n$10\r\ninvalidate\r\n*2\r\n$1\r\na\r\n$99999999999\r\n": {"a"},
		"*99999999999\r\n" + ok:                        nil,
		strings.Repeat("*1\r\n", 20) + ":1\r\n" + ok:   nil,
		">2\r\n$10\r\ninvalidate\r\n*1\r\n:1\r\n" + ok: nil,
		"$-7\r\n" + ok: nil,
		strings.Repeat("x", 10_000) + "\r\n" + ok: nil,
	} {
		if names, err := heardFrom([]byte(stream)); !cmp.Equal(names, want) || err == nil {
			t.Errorf("%.80q: %q, %v, want %q", stream, names, err, want)
		}
	}
}

// No stream makes the reader reserve more than it has been sent, but for one name.
func FuzzPushes(f *testing.F) {
	f.Add([]byte(">2\r\n$10\r\ninvalidate\r\n*2\r\n$1\r\na\r\n$2\r\nbc\r\n"))
	f.Add([]byte("%1\r\n$5\r\nproto\r\n:3\r\n"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		names, _ := heardFrom(stream)
		runtime.ReadMemStats(&after)
		if grown := after.TotalAlloc - before.TotalAlloc; grown > uint64(64*len(stream))+1<<20 {
			t.Errorf("%d bytes for a stream of %d", grown, len(stream))
		}
		for _, name := range names {
			if !bytes.Contains(stream, []byte(name)) {
				t.Errorf("%q was not sent", name)
			}
		}
	})
}
