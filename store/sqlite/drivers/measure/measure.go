// Package measure has one SQLite driver do what the store does with it, and prints how fast that went and how much memory it took.
package measure

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// A Conn is one connection of a driver, used in the fastest way that the driver has.
type Conn interface {
	Exec(sql string) error
	Put(key string, data []byte) error
	Get(key string) ([]byte, error)
	Close() error
}

// The statements of Put and Get.
const (
	PutSQL = `INSERT INTO records (key, data, version) VALUES (?1, ?2, 1) ON CONFLICT (key) DO UPDATE SET data = excluded.data, version = version + 1`
	GetSQL = `SELECT data FROM records WHERE key = ?1`
)

const (
	readers = 4
	records = 256
	span    = 1500 * time.Millisecond // how long each figure is measured
)

// Main measures the driver whose connections open opens, and prints a line for each figure.
func Main(open func(path string) (Conn, error)) {
	if err := run(open); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(open func(path string) (Conn, error)) error {
	dir, err := os.MkdirTemp("", "drivers")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()

	began := time.Now()
	writer, err := connect(open, filepath.Join(dir, "cache.db"))
	if err != nil {
		return err
	}
	defer func() { _ = writer.Close() }()
	if err := writer.Exec(`CREATE TABLE records (key TEXT NOT NULL PRIMARY KEY, data BLOB NOT NULL, version INTEGER NOT NULL) STRICT`); err != nil {
		return err
	}
	fmt.Printf("open\t%.1f ms\n", float64(time.Since(began).Microseconds())/1000)

	var conns []Conn
	for range readers {
		c, err := connect(open, filepath.Join(dir, "cache.db"))
		if err != nil {
			return err
		}
		defer func() { _ = c.Close() }()
		conns = append(conns, c)
	}
	for _, size := range []struct {
		name  string
		bytes int
	}{{"1 KiB", 1 << 10}, {"256 KiB", 256 << 10}} {
		data := bytes.Repeat([]byte{7}, size.bytes)
		if err := figures(size.name, data, writer, conns); err != nil {
			return err
		}
	}
	fmt.Printf("memory\t%s peak, %s now\n", memory("VmHWM"), memory("VmRSS"))
	return nil
}

func figures(size string, data []byte, writer Conn, conns []Conn) error {
	put := func(_ Conn, i int) error { return writer.Put(key(i), data) }
	get := func(c Conn, i int) error {
		got, err := c.Get(key(i))
		if err == nil && !bytes.Equal(got, data) {
			err = fmt.Errorf("read %d bytes that are not those that were written", len(got))
		}
		return err
	}
	for i := range records {
		if err := put(nil, i); err != nil {
			return err
		}
	}
	if err := repeat("put "+size, []Conn{writer}, put); err != nil {
		return err
	}
	if err := repeat("get "+size, conns[:1], get); err != nil {
		return err
	}
	return repeat(fmt.Sprintf("get %s by %d", size, len(conns)), conns, get)
}

// repeat does something on each of conns at once, over and over, and prints the time from one to the next.
func repeat(name string, conns []Conn, do func(c Conn, i int) error) error {
	var (
		all   sync.WaitGroup
		mu    sync.Mutex
		count int
		first error
	)
	began := time.Now()
	for _, c := range conns {
		all.Go(func() {
			n, err := 0, error(nil)
			for ; err == nil && time.Since(began) < span; n++ {
				err = do(c, n*7)
			}
			mu.Lock()
			defer mu.Unlock()
			count += n
			if first == nil {
				first = err
			}
		})
	}
	all.Wait()
	fmt.Printf("%s\t%.1f µs\n", name, float64(time.Since(began).Nanoseconds())/1000/float64(count))
	return first
}

func connect(open func(path string) (Conn, error), path string) (Conn, error) {
	c, err := open(path)
	if err != nil {
		return nil, err
	}
	for _, pragma := range []string{"busy_timeout = 5000", "journal_mode = WAL", "synchronous = OFF", "cache_size = -2048"} {
		if err := c.Exec("PRAGMA " + pragma); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func key(i int) string { return fmt.Sprintf("key-%04d", i%records) }

// memory returns a line of Linux's status file of this process.
func memory(field string) string {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, field+":"); ok {
			var kib int
			if _, err := fmt.Sscan(value, &kib); err == nil {
				return fmt.Sprintf("%d MiB", kib>>10)
			}
		}
	}
	return "unknown"
}
