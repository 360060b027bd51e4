//go:build unix

package file

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/store"
)

// What these tests kill, limit and run side by side are processes: this test binary, started again with a part to play.
const partVariable = "PLY_STORE_FILE_PART"

func TestMain(m *testing.M) {
	if part := os.Getenv(partVariable); part != "" {
		if err := parts[part](os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

var parts = map[string]func(args []string) error{
	"write for ever": writeForEver,
	"work":           work,
	"umask":          underUmask,
	"file size":      underFileSize,
	"unprivileged":   asUnprivileged,
	"browse":         browse,
	"large response": largeResponse,
}

func process(t *testing.T, part string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	c := exec.Command(self, args...)
	c.Env = append(os.Environ(), partVariable+"="+part)
	c.Stderr = os.Stderr
	return c
}

// proof returns a body that says which key it belongs to, and whether it is whole.
func proof(key string, n int) []byte {
	b := fmt.Appendf(nil, "%s\n%d\n", key, n)
	for len(b) < n {
		b = append(b, b[:min(len(b), n-len(b))]...)
	}
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

func proven(key string, b []byte) bool {
	if len(b) < sha256.Size || !bytes.HasPrefix(b, []byte(key+"\n")) {
		return false
	}
	text := b[:len(b)-sha256.Size]
	sum := sha256.Sum256(text)
	return bytes.Equal(sum[:], b[len(text):])
}

const killedBytes = 2 << 20 // so that kills come in the midst of making room, too

// writeForEver puts and deletes as fast as it can until it is killed.
func writeForEver(args []string) error {
	s, err := Open(args[0], Options{MaxBytes: killedBytes})
	if err != nil {
		return err
	}
	fmt.Println("begun")
	ctx := context.Background()
	for i := 0; ; i++ {
		key := fmt.Sprint("key-", rand.IntN(24))
		r, err := s.Get(ctx, key)
		if err != nil {
			return err
		}
		if r.Version != "" && !proven(key, r.Data) {
			return fmt.Errorf("%s: wrong record", key)
		}
		next := store.Record{Data: proof(key, 100+rand.IntN(1<<rand.IntN(21))), Version: r.Version}
		switch {
		case i%11 == 10:
			err = s.Delete(ctx, key, "")
		case i%7 == 6: // a part whose owner never comes
			key := fmt.Sprint("part-", rand.IntN(1000))
			s.Delete(ctx, key, "")
			err = s.Put(ctx, key, store.Record{Data: proof(key, 1000), Kind: store.KindBody, Owner: "never"})
		default:
			err = s.Put(ctx, key, next)
		}
		if err != nil {
			return err
		}
	}
}

// TestKilled kills a process that writes, at any moment, and looks at what is left. With -long it does so 1,000 times.
func TestKilled(t *testing.T) {
	kills := 30
	if *long {
		kills = 1000
	}
	dir := t.TempDir()
	dirty, temps, orphans, records := 0, 0, 0, 0
	for i := range kills {
		c := process(t, "write for ever", dir)
		out, err := c.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, c.Start())
		if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
			t.Fatalf("the writer did not begin: %v", err)
		}
		<-time.After(time.Duration(rand.IntN(20_000)) * time.Microsecond)
		c.Process.Kill()
		c.Wait()
		if c.ProcessState.Exited() {
			t.Fatalf("the writer ended by itself: %v", c.ProcessState)
		}
		left := leftovers(t, dir)
		dirty, temps = dirty+left.dirty, temps+left.temps
		s, err := Open(dir, Options{MaxBytes: killedBytes})
		require.NoError(t, err)
		what := fmt.Sprintf("kill %d", i)
		err = s.Range(t.Context(), 0, func(key string, r store.Record) bool {
			records++
			if !proven(key, r.Data) {
				t.Fatalf("%s: %q holds a wrong record of %d bytes", what, key, len(r.Data))
			}
			return true
		})
		require.NoError(t, err)
		_, err = s.sweepAll(t.Context(), time.Now(), time.Now()) // what Open does behind the caller's back
		require.NoError(t, err)
		s.Range(t.Context(), store.KindBody, func(key string, _ store.Record) bool { orphans++; return true })
		checkDir(t, dir, s, what)
		if left := leftovers(t, dir); left.temps+left.dirty+left.broken > 0 {
			t.Fatalf("%s: after opening again: %+v", what, left)
		}
		s.Close()
	}
	t.Logf("%d kills: %d records read again, 0 of them wrong; %d shards were being changed, %d temporary files were left, none after opening; %d parts without owner are left",
		kills, records, dirty, temps, orphans)
	if orphans > 0 {
		t.Errorf("%d parts without owner are left", orphans)
	}
	if *long && temps == 0 {
		t.Error("no kill came in the midst of a write")
	}
}

type remains struct{ temps, dirty, broken int }

// leftovers looks at the files themselves.
func leftovers(t *testing.T, dir string) (left remains) {
	t.Helper()
	filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if strings.HasPrefix(e.Name(), tempPrefix) {
			left.temps++
		}
		if isRecord(e.Name()) {
			b, err := os.ReadFile(path)
			require.NoError(t, err)
			if _, _, err := decode(b); err != nil {
				left.broken++
			}
		}
		return nil
	})
	b, err := os.ReadFile(filepath.Join(dir, stateName))
	require.NoError(t, err)
	for i := range shards {
		if slot, ok := decodeSlot(b[i*slotSize:(i+1)*slotSize], i); ok && slot.dirty {
			left.dirty++
		}
	}
	return left
}

const (
	sharedBytes = 4 << 20
	largest     = 100_000 // file of a worker, in bytes
)

// work is one of several processes on one directory. It reads, writes and counts up, and reports what it did.
func work(args []string) error {
	d, err := time.ParseDuration(args[1])
	if err != nil {
		return err
	}
	s, err := Open(args[0], Options{MaxBytes: sharedBytes})
	if err != nil {
		return err
	}
	defer s.Close()
	ctx := context.Background()
	reads, hits, writes, conflicts := 0, 0, 0, 0
	for end := time.Now().Add(d); time.Now().Before(end); {
		key := fmt.Sprint("key-", rand.IntN(200))
		r, err := s.Get(ctx, key)
		if err != nil {
			return err
		}
		reads++
		if r.Version != "" {
			hits++
			if !proven(key, r.Data) {
				return fmt.Errorf("%s: wrong record of %d bytes", key, len(r.Data))
			}
			if rand.IntN(4) > 0 {
				continue
			}
		}
		switch err := s.Put(ctx, key, store.Record{Data: proof(key, rand.IntN(largest-200)), Version: r.Version}); {
		case err == nil:
			writes++
		case errors.Is(err, store.ErrConflict):
			conflicts++
		default:
			return err
		}
		// What others announce counts before they have made room for it.
		if _, bytes, err := s.Size(ctx); err != nil || bytes > sharedBytes+4*charge(largest) {
			return fmt.Errorf("%d bytes, %v, want at most %d and 4 records", bytes, err, sharedBytes)
		}
	}
	fmt.Println(reads, hits, writes, conflicts)
	return nil
}

// TestFourProcesses has four processes use one directory at once, for a minute with -long.
func TestFourProcesses(t *testing.T) {
	d := time.Second
	if *long {
		d = time.Minute
	}
	dir := t.TempDir()
	var all []*exec.Cmd
	var outs []*bytes.Buffer
	for range 4 {
		c, out := process(t, "work", dir, d.String()), new(bytes.Buffer)
		c.Stdout = out
		require.NoError(t, c.Start())
		all, outs = append(all, c), append(outs, out)
	}
	var sum [4]int
	for i, c := range all {
		if err := c.Wait(); err != nil {
			t.Errorf("process %d: %v", i, err)
		}
		var n [4]int
		fmt.Sscan(outs[i].String(), &n[0], &n[1], &n[2], &n[3])
		for k := range sum {
			sum[k] += n[k]
		}
	}
	s, err := Open(dir, Options{MaxBytes: sharedBytes})
	require.NoError(t, err)
	defer s.Close()
	checkDir(t, dir, s, "afterwards")
	records, bytes, _ := s.Size(t.Context())
	t.Logf("4 processes for %v: %d reads, %d of them hits, 0 wrong; %d writes, %d conflicts; %d records with %d of %d bytes at the end",
		d, sum[0], sum[1], sum[2], sum[3], records, bytes, int64(sharedBytes))
	if sum[1] == 0 || sum[2] == 0 {
		t.Error("nothing was read or written")
	}
}

// Modes are what they are to be, whatever the umask, which is the process's.
func TestUmask(t *testing.T) {
	for _, mask := range []int{0, 0o022, 0o777} {
		dir := filepath.Join(t.TempDir(), "a", "b")
		if out, err := process(t, "umask", dir, strconv.Itoa(mask)).Output(); err != nil {
			t.Fatalf("umask %04o: %v %s", mask, err, out)
		}
		filepath.WalkDir(filepath.Dir(dir), func(path string, e fs.DirEntry, _ error) error {
			info, err := e.Info()
			require.NoError(t, err)
			want := fs.FileMode(0o600)
			if info.IsDir() {
				want = fs.ModeDir | 0o700
			}
			if info.Mode() != want {
				t.Errorf("umask %04o: %s has mode %v, want %v", mask, path, info.Mode(), want)
			}
			return nil
		})
	}
}

func underUmask(args []string) error {
	mask, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	syscall.Umask(mask)
	s, err := Open(args[0], Options{})
	if err != nil {
		return err
	}
	defer s.Close()
	return s.Put(context.Background(), "k", store.Record{Data: []byte("x")})
}

// A write that the system ends in the midst, as a full disk does, leaves what was there.
func TestFileSizeLimit(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(dir, Options{})
	require.NoError(t, err)
	require.NoError(t, s.Put(t.Context(), "k", store.Record{Data: []byte("there before")}))
	s.Close()
	out, err := process(t, "file size", dir).Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	s, err = Open(dir, Options{})
	require.NoError(t, err)
	defer s.Close()
	if left := leftovers(t, dir); left != (remains{}) {
		t.Errorf("left: %+v", left)
	}
	checkDir(t, dir, s, "afterwards")
}

func underFileSize(args []string) error {
	signal.Ignore(syscall.SIGXFSZ)
	limit := syscall.Rlimit{Cur: 100_000, Max: 100_000}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	s, err := Open(args[0], Options{})
	if err != nil {
		return err
	}
	defer s.Close()
	ctx := context.Background()
	old, err := s.Get(ctx, "k")
	if err != nil {
		return err
	}
	for range 20 {
		err := s.Put(ctx, "k", store.Record{Data: proof("k", 200_000), Version: old.Version})
		if !errors.Is(err, syscall.EFBIG) {
			return fmt.Errorf("a Put of more than a file may hold: %v, want EFBIG", err)
		}
	}
	if r, err := s.Get(ctx, "k"); err != nil || string(r.Data) != "there before" {
		return fmt.Errorf("the old record: %q, %v", r.Data, err)
	}
	return s.Put(ctx, "l", store.Record{Data: proof("l", 50_000)})
}

// A directory that may not be read, or written to, costs errors. Root may do everything, so a process of another user tries.
func TestPermissionDenied(t *testing.T) {
	if os.Geteuid() != 0 {
		if err := asUnprivileged([]string{t.TempDir()}); err != nil {
			t.Fatal(err)
		}
		return
	}
	dir, err := os.MkdirTemp("", "ply-store-file")
	require.NoError(t, err)
	defer os.RemoveAll(dir)
	const unprivileged = 65534
	require.NoError(t, os.Chown(dir, unprivileged, unprivileged))
	self, err := os.Executable()
	require.NoError(t, err)
	copied := filepath.Join(dir, "self") // go test's own directory is root's
	copyFile(t, self, copied)
	c := exec.Command(copied, filepath.Join(dir, "cache"))
	c.Dir = dir
	c.Env = append(os.Environ(), partVariable+"=unprivileged")
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: unprivileged, Gid: unprivileged}}
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	require.NoError(t, err)
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	require.NoError(t, err)
	_, err = io.Copy(out, in)
	require.NoError(t, err)
	require.NoError(t, out.Close())
}

func asUnprivileged(args []string) error {
	dir := filepath.Join(args[0], "store")
	ctx := context.Background()
	s, err := Open(dir, Options{})
	if err != nil {
		return err
	}
	defer s.Close()
	if err := s.Put(ctx, "k", store.Record{Data: []byte("x")}); err != nil {
		return err
	}
	_, name := nameOf("k")
	shard := filepath.Join(dir, filepath.Dir(name))
	for _, mode := range []fs.FileMode{0, 0o500} {
		if err := os.Chmod(shard, mode); err != nil {
			return err
		}
		r, err := s.Get(ctx, "k")
		if mode == 0 && !errors.Is(err, fs.ErrPermission) || mode != 0 && string(r.Data) != "x" {
			return fmt.Errorf("Get with mode %v: %q, %v", mode, r.Data, err)
		}
		if err := s.Put(ctx, "k", store.Record{Data: []byte("y"), Version: r.Version}); !errors.Is(err, fs.ErrPermission) && !errors.Is(err, store.ErrConflict) {
			return fmt.Errorf("Put with mode %v: %v, want an error", mode, err)
		}
	}
	if err := os.Chmod(shard, 0o700); err != nil {
		return err
	}
	if r, err := s.Get(ctx, "k"); err != nil || string(r.Data) != "x" {
		return fmt.Errorf("afterwards: %q, %v", r.Data, err)
	}
	if err := os.Mkdir(filepath.Join(args[0], "closed"), 0o500); err != nil {
		return err
	}
	if s, err := Open(filepath.Join(args[0], "closed"), Options{}); err == nil {
		s.Close()
		return errors.New("a directory that may not be written to was opened")
	}
	return nil
}

// A shard may be moved away and removed between the moment in which Range or a sweep opens its directory, and the one in which it reads it. Where a directory that is open can be removed, that is no error.
func TestAShardThatIsRemovedWhileItIsListed(t *testing.T) {
	for name, list := range map[string]func(s *Store) error{
		"Range": func(s *Store) error {
			return s.Range(t.Context(), store.KindEntry, func(string, store.Record) bool { return true })
		},
		"DeleteExpired": func(s *Store) error {
			_, err := s.DeleteExpired(t.Context(), time.Now().Add(2*time.Hour))
			return err
		},
	} {
		dir := t.TempDir()
		f := &faulty{}
		s := openFaulty(t, dir, f)
		mustPut(t, s, "k", in(time.Hour))
		removed := false
		f.scan = func(shard string) error {
			removed = true
			return os.RemoveAll(filepath.Join(dir, shard))
		}
		require.NoError(t, list(s), name)
		require.True(t, removed, name)
	}
}
