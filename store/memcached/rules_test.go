package memcached

import (
	"bufio"
	"errors"
	"fmt"
	"math"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRingMovesOnlyTheShareOfAServerThatIsAdded(t *testing.T) {
	const keys = 20_000
	var names []string
	for i := range 10 {
		names = append(names, fmt.Sprintf("10.0.0.%d:11211", i))
	}
	before, after := newRing(names), newRing(append(slices.Clone(names), "10.0.0.99:11211"))
	backwards := slices.Clone(names)
	slices.Reverse(backwards)
	reversed := newRing(backwards)
	moved := 0
	held := make([]int, len(names))
	for i := range keys {
		key := fmt.Sprint("e1.", i)
		was, is := before.server(key), after.server(key)
		held[was]++
		if names[was] != backwards[reversed.server(key)] {
			t.Fatalf("the order of the servers moves %s", key)
		}
		if was != is {
			moved++
			if is != len(names) {
				t.Fatalf("%s moves from %d to %d, and neither is the new server", key, was, is)
			}
		}
	}
	if share := float64(moved) / keys; share < 0.5/11 || share > 1.5/11 {
		t.Errorf("%.3f of the keys move, want about 1/11", share)
	}
	for i, n := range held {
		if share := float64(n) / keys; share < 0.06 || share > 0.14 {
			t.Errorf("server %d has %.3f of the keys, want about 0.1", i, share)
		}
	}
}

func TestRingIsTheSameInEveryVersion(t *testing.T) {
	r := newRing([]string{"a:11211", "b:11211", "c:11211"})
	var got []int
	for i := range 16 {
		got = append(got, r.server(fmt.Sprint("key-", i)))
	}
	require.Equal(t, []int{1, 2, 1, 2, 2, 1, 1, 2, 2, 2, 0, 2, 1, 2, 0, 1}, got)
}

func TestExptime(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 500_000_000, time.UTC)
	for _, tt := range []struct {
		name    string
		expires time.Time
		want    int64
	}{
		{"never", time.Time{}, 0},
		{"over", now.Add(-time.Hour), 1},
		{"a millisecond", now.Add(time.Millisecond), 2},
		{"a second", now.Add(time.Second), 2},
		{"a little more", now.Add(time.Second + time.Millisecond), 3},
		{"up to 30 days", now.Add(30*24*time.Hour - 2*time.Second), 30*24*3600 - 1},
		{"30 days", now.Add(30 * 24 * time.Hour), now.Unix() + 30*24*3600 + 2},
		{"the last that can be said", time.Unix(math.MaxInt32-2, 0), math.MaxInt32},
		{"later", time.Unix(math.MaxInt32-1, 0), 0},
		{"much later", time.Date(2262, 1, 1, 0, 0, 0, 0, time.UTC), 0},
	} {
		if got := exptime(tt.expires, now); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}

// replying returns a connection to a server that reads a line and replies.
func replying(t *testing.T, reply string) *conn {
	t.Helper()
	ours, theirs := net.Pipe()
	t.Cleanup(func() { ours.Close(); theirs.Close() })
	go func() {
		r := bufio.NewReader(theirs)
		if _, err := r.ReadString('\n'); err == nil {
			_, _ = theirs.Write([]byte(reply))
		}
		theirs.Close()
	}()
	return newConn(ours)
}

func TestMalformedRepliesAreErrors(t *testing.T) {
	for name, reply := range map[string]string{
		"nothing":         "",
		"no end":          "VALUE a 0 1 7\r\nx\r\n",
		"no cas":          "VALUE a 0 1\r\nx\r\nEND\r\n",
		"another item":    "VALUE z 0 1 7\r\nx\r\nEND\r\n",
		"another order":   "VALUE b 0 1 7\r\nx\r\nVALUE a 0 1 7\r\nx\r\nEND\r\n",
		"twice":           "VALUE b 0 1 7\r\nx\r\nVALUE b 0 1 7\r\nx\r\nEND\r\n",
		"short value":     "VALUE a 0 3 7\r\nx\r\nEND\r\n",
		"long value":      "VALUE a 0 1 7\r\nxyz\r\nEND\r\n",
		"huge value":      "VALUE a 0 2000000000 7\r\nx",
		"negative value":  "VALUE a 0 -1 7\r\nx\r\nEND\r\n",
		"another reply":   "STORED\r\n",
		"an error":        "SERVER_ERROR out of memory\r\n",
		"an endless line": strings.Repeat("x", 100_000) + "\r\n",
	} {
		if items, err := replying(t, reply).gets([]string{"a", "b"}, 100); err == nil {
			t.Errorf("%s: %v, want an error", name, items)
		}
	}
	items, err := replying(t, "VALUE a 0 101 7\r\n"+strings.Repeat("x", 101)+"\r\nVALUE b 5 1 8\r\ny\r\nEND\r\n").gets([]string{"a", "b"}, 100)
	require.NoError(t, err)
	require.Equal(t, []item{{there: true, cas: 7}, {there: true, cas: 8, value: []byte("y")}}, items)
	for _, reply := range []string{"", "END\r\n", "OK\r\n", "CLIENT_ERROR bad data chunk\r\n", "STORED"} {
		if err := replying(t, reply).remove("a"); err == nil {
			t.Errorf("delete: %q is no error", reply)
		}
		if err := replying(t, reply).version(); err == nil {
			t.Errorf("version: %q is no error", reply)
		}
	}
}

func TestRefusalForSizeIsRecognised(t *testing.T) {
	var r refusal
	require.True(t, errors.As(protocolError([]byte("SERVER_ERROR object too large for cache")), &r) && r.tooLarge())
	require.True(t, errors.As(protocolError([]byte("SERVER_ERROR out of memory storing object")), &r) && !r.tooLarge())
}
