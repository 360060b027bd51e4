//go:build unix

package redis_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/redis"
)

// lying is a server that answers all commands but those of the handshake as reply says.
func lying(t *testing.T, reply func(command string) string) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				for r := bufio.NewReader(conn); ; {
					command, err := readCommand(r)
					if err != nil {
						return
					}
					switch command = strings.ToUpper(command); command {
					case "HELLO", "CLIENT", "SELECT":
						fmt.Fprint(conn, "-ERR unknown command\r\n")
					default:
						io.WriteString(conn, reply(command))
					}
				}
			}()
		}
	}()
	return l.Addr().String()
}

func readCommand(r *bufio.Reader) (name string, err error) {
	var n, size int
	if _, err := fmt.Fscanf(r, "*%d\r\n", &n); err != nil {
		return "", err
	}
	for i := range n {
		if _, err := fmt.Fscanf(r, "$%d\r\n", &size); err != nil {
			return "", err
		}
		arg := make([]byte, size+2)
		if _, err := io.ReadFull(r, arg); err != nil {
			return "", err
		}
		if i == 0 {
			name = string(arg[:size])
		}
	}
	return name, nil
}

// Whatever a server says, calls return an error or nothing, and what it announces reserves no memory.
func TestMalformedReplyIsAnErrorOrNothing(t *testing.T) {
	record := "ply1 4be1d2ba09f2c357 000000000000000 entry owner= key=%s label=\ndata"
	for name, reply := range map[string]string{
		"endless string":     "$4611686018427387904\r\nx",
		"8 GiB":              "$8589934592\r\nx",
		"more than asked":    "$2200000\r\n",
		"negative":           "$-5\r\n",
		"endless array":      "*4611686018427387904\r\n",
		"large array":        "*200000000\r\n",
		"deep":               strings.Repeat("*1\r\n", 100_000),
		"null":               "$-1\r\n",
		"integer":            ":1\r\n",
		"OK":                 "+OK\r\n",
		"done":               "$21\r\ndone 0123456789abcdef\r\n",
		"of another key":     bulk(fmt.Sprintf(record, "other")),
		"two replies":        bulk(fmt.Sprintf(record, "other")) + bulk(fmt.Sprintf(record, "third")),
		"nonsense":           "\x00\xff\r\n",
		"no line end":        strings.Repeat("x", 100_000),
		"a wrong end":        "$1\r\nxyz",
		"an error":           "-LOADING Redis is loading the dataset in memory\r\n",
		"moved in circles":   "-MOVED 1 127.0.0.1:1\r\n",
		"an error with html": "-ERR <html>" + strings.Repeat("x", 1000) + "\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, lying(t, func(string) string { return reply }), redis.Options{Timeout: 100 * time.Millisecond})
			ctx := t.Context()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for range 3 {
				if r, err := s.Get(ctx, "k"); r.Version != "" || r.Data != nil {
					t.Errorf("Get: %v, %v", r, err)
				}
				if records, err := s.GetMulti(ctx, []string{"k", "l"}); err == nil && (records[0].Version != "" || records[1].Version != "") {
					t.Errorf("GetMulti: %v, %v", records, err)
				}
				if err := s.Put(ctx, "k", store.Record{Data: []byte("x")}); err == nil {
					t.Error("Put returns no error")
				}
				// The bare OK to a SET cannot say whose it is. It is used for what is large only, and what is not there then is a miss.
				if err := s.Put(ctx, "k", store.Record{Data: make([]byte, 100_000)}); err == nil && name != "OK" {
					t.Error("Put of a large record returns no error")
				}
				if err := s.Delete(ctx, "k", ""); err == nil {
					t.Error("Delete returns no error")
				}
				if err := s.Range(ctx, store.KindEntry, func(key string, r store.Record) bool { t.Errorf("Range: %q, %v", key, r); return true }); err == nil {
					t.Error("Range returns no error")
				}
				if err := s.Clear(ctx); err == nil {
					t.Error("Clear returns no error")
				}
			}
			runtime.ReadMemStats(&after)
			if grown := (after.TotalAlloc - before.TotalAlloc) >> 20; grown > 200 {
				t.Errorf("%d MiB were allocated", grown)
			}
		})
	}
}

// SCAN may return a key twice, for instance while Redis resizes its table. Range does not.
func TestRangeShowsAKeyThatScanRepeatsOnce(t *testing.T) {
	s := open(t, lying(t, func(command string) string {
		if command == "SCAN" {
			return "*2\r\n" + bulk("0") + "*3\r\n" + bulk("ply:k") + bulk("ply:k") + bulk("ply:not a key")
		}
		return bulk("ply1 4be1d2ba09f2c357 000000000000000 entry owner= key=k label=\ndata")
	}), redis.Options{})
	shown := 0
	err := s.Range(t.Context(), store.KindEntry, func(key string, r store.Record) bool {
		shown++
		return key == "k" && string(r.Data) == "data"
	})
	if shown != 1 || err != nil {
		t.Errorf("%d calls, %v, want one", shown, err)
	}
}

func bulk(s string) string { return fmt.Sprintf("$%d\r\n%s\r\n", len(s), s) }

// A server that answers anything at all, HELLO included, with something that nests without end costs the connection, and not the process.
func TestEndlessNestingCostsTheConnection(t *testing.T) {
	for _, begins := range []string{"*1\r\n", "~1\r\n", ">1\r\n", "%1\r\n", "%1\r\n+k\r\n", "|0\r\n", "|1\r\n+k\r\n", "*2\r\n:1\r\n"} {
		for _, url := range []string{"redis://", "redis+cluster://", "redis+sentinel://"} {
			t.Run(fmt.Sprintf("%s%q", url, begins), func(t *testing.T) {
				l, err := net.Listen("tcp", "127.0.0.1:0")
				require.NoError(t, err)
				defer l.Close()
				flood := strings.Repeat(begins, 1<<16)
				go func() {
					for {
						conn, err := l.Accept()
						if err != nil {
							return
						}
						go func() {
							defer conn.Close()
							bufio.NewReader(conn).ReadByte()
							for range 1000 {
								if _, err := io.WriteString(conn, flood); err != nil {
									return
								}
							}
						}()
					}
				}()
				s, err := redis.Open(url+l.Addr().String()+map[bool]string{true: "?master_name=m"}[strings.Contains(url, "sentinel")], redis.Options{Timeout: time.Second})
				require.NoError(t, err)
				defer s.Close()
				defer s.Notify(func(string) {})()
				if _, err := s.Get(t.Context(), "k"); err == nil {
					t.Error("Get returns no error")
				}
			})
		}
	}
}
