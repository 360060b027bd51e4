//go:build unix

package sqlite_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/sqlite"
)

// No other user can read the file, whatever the umask, and whatever its mode was before.
func TestFileIsReadableByItsUserOnly(t *testing.T) {
	for _, umask := range []int{0, 0o777, 0o022} {
		func() {
			defer syscall.Umask(syscall.Umask(umask))
			dir := t.TempDir()
			require.NoError(t, os.Chmod(dir, 0o700))
			path := filepath.Join(dir, "cache.db")
			s := open(t, path, sqlite.Options{})
			put(t, s, "k", store.Record{Data: []byte("x")})
			modes(t, path)
		}()
	}
	path := file(t)
	require.NoError(t, open(t, path, sqlite.Options{}).Close())
	require.NoError(t, os.Chmod(path, 0o666))
	put(t, open(t, path, sqlite.Options{}), "k", store.Record{Data: []byte("x")})
	modes(t, path)
}

func modes(t *testing.T, path string) {
	t.Helper()
	for _, p := range []string{path, path + "-wal", path + "-shm"} {
		info, err := os.Stat(p)
		require.NoError(t, err)
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has the mode %v, want 0600", filepath.Base(p), info.Mode())
		}
	}
}

func TestMakesDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	open(t, filepath.Join(dir, "cache.db"), sqlite.Options{})
	info, err := os.Stat(dir)
	require.NoError(t, err)
	if info.Mode().Perm()&0o077 != 0 {
		t.Errorf("the directory has the mode %v, want none of the rights of others", info.Mode())
	}
}

// What Open refuses it says, and leaves alone, to the last byte and with its permissions.
func TestOpenRefusesWhatIsNotItsOwn(t *testing.T) {
	canary := func(t *testing.T, path string) {
		require.NoError(t, os.WriteFile(path, []byte("another program's"), 0o600))
	}
	exec := func(t *testing.T, path string, statements ...string) {
		db := raw(t, path)
		for _, s := range statements {
			_, err := db.Exec(s)
			require.NoError(t, err)
		}
		require.NoError(t, db.Close())
	}
	for _, c := range []struct {
		name, want string
		make       func(t *testing.T, path string)
	}{
		{"link", "symbolic link", func(t *testing.T, path string) {
			canary(t, path+".target")
			require.NoError(t, os.Symlink(path+".target", path))
		}},
		{"link to nothing", "symbolic link", func(t *testing.T, path string) { require.NoError(t, os.Symlink(path+".nothing", path)) }},
		{"link in the place of the log", "symbolic link", func(t *testing.T, path string) {
			canary(t, path+".target")
			require.NoError(t, os.Symlink(path+".target", path+"-wal"))
		}},
		{"link in the place of the shared memory", "symbolic link", func(t *testing.T, path string) {
			canary(t, path+".target")
			require.NoError(t, os.Symlink(path+".target", path+"-shm"))
		}},
		{"link in the place of a journal", "symbolic link", func(t *testing.T, path string) {
			canary(t, path+".target")
			require.NoError(t, os.Symlink(path+".target", path+"-journal"))
		}},
		{"directory that all may write to", "others may write", func(t *testing.T, path string) { chmod(t, filepath.Dir(path), 0o777) }},
		{"directory that the group may write to", "others may write", func(t *testing.T, path string) { chmod(t, filepath.Dir(path), 0o770) }},
		{"directory like /tmp", "others may write", func(t *testing.T, path string) { chmod(t, filepath.Dir(path), 0o777|os.ModeSticky) }},
		{"directory with a database, opened up later", "others may write", func(t *testing.T, path string) {
			require.NoError(t, open(t, path, sqlite.Options{}).Close())
			chmod(t, filepath.Dir(path), 0o777)
		}},
		{"directory", "is a directory", func(t *testing.T, path string) { require.NoError(t, os.Mkdir(path, 0o700)) }},
		{"pipe", "not a regular file", func(t *testing.T, path string) { require.NoError(t, syscall.Mkfifo(path, 0o600)) }},
		{"text", "no database", func(t *testing.T, path string) { canary(t, path) }},
		{"long text", "no database", func(t *testing.T, path string) {
			require.NoError(t, os.WriteFile(path, []byte(strings.Repeat("another program's\n", 5000)), 0o600))
		}},
		{"database", "another application", func(t *testing.T, path string) { exec(t, path, "CREATE TABLE t (x)", "INSERT INTO t VALUES (1)") }},
		{"database that gives back free pages", "another application", func(t *testing.T, path string) {
			exec(t, path, "PRAGMA auto_vacuum = FULL", "CREATE TABLE t (x)")
		}},
		{"database that names its application", "another application", func(t *testing.T, path string) {
			exec(t, path, "PRAGMA application_id = 42", "CREATE TABLE t (x)")
		}},
		{"database with a table like ours", "another application", func(t *testing.T, path string) {
			exec(t, path, "CREATE TABLE records (key TEXT)", "PRAGMA user_version = 1")
		}},
		{"database with shared memory that is read-only", "another application", func(t *testing.T, path string) {
			exec(t, path, "CREATE TABLE t (x)")
			require.NoError(t, os.WriteFile(path+"-shm", nil, 0o400))
		}},
		{"newer version", "newer version", func(t *testing.T, path string) {
			require.NoError(t, open(t, path, sqlite.Options{}).Close())
			exec(t, path, "PRAGMA user_version = 2", "ALTER TABLE records ADD COLUMN tomorrow TEXT", "PRAGMA journal_mode = DELETE")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := file(t)
			c.make(t, path)
			before := contents(t, filepath.Dir(path))
			s, err := sqlite.Open(path, sqlite.Options{})
			if err == nil {
				s.Close()
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Open: %v, want an error that says %q", err, c.want)
			}
			if c.want == "newer version" && !errors.Is(err, sqlite.ErrNewer) {
				t.Errorf("Open: %v, want ErrNewer", err)
			}
			after := contents(t, filepath.Dir(path))
			for name, bytes := range before {
				if after[name] != bytes {
					t.Errorf("%s was changed", name)
				}
			}
		})
	}
}

// contents returns the regular files of a directory, each as its permissions and its bytes.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := make(map[string]string)
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		if e.Type().IsRegular() {
			b, err := os.ReadFile(filepath.Join(dir, e.Name()))
			require.NoError(t, err)
			info, err := e.Info()
			require.NoError(t, err)
			files[e.Name()] = info.Mode().String() + "\n" + string(b)
		}
	}
	return files
}

func chmod(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	require.NoError(t, os.Chmod(path, mode))
}

// What another user made, or could replace, decides nothing: the database, what SQLite takes for a part of it, and the directory of both.
func TestForeignOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		testutil.SkipUnlessCI(t, "only root can give a file to another user")
	}
	for _, suffix := range []string{"", "-journal", "-wal", "-shm"} {
		path := file(t)
		require.NoError(t, open(t, path, sqlite.Options{}).Close())
		f, err := os.OpenFile(path+suffix, os.O_CREATE, 0o600)
		require.NoError(t, errors.Join(err, f.Close(), os.Chown(path+suffix, 65534, 65534)))
		if _, err := sqlite.Open(path, sqlite.Options{}); err == nil || !strings.Contains(err.Error(), "another user") {
			t.Errorf("%q: Open: %v, want an error that says that it is another user's", suffix, err)
		}
	}
	path := file(t)
	require.NoError(t, os.Chown(filepath.Dir(path), 65534, 65534))
	if _, err := sqlite.Open(path, sqlite.Options{}); err == nil || !strings.Contains(err.Error(), "belongs to user 65534") {
		t.Errorf("a directory: Open: %v, want an error that says that it is another user's", err)
	}
}

// A directory that is opened up while a store uses it is no place for further connections.
func TestDirectoryOpenedUp(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(8)) // connections to read from, of which few are there yet
	path := file(t)
	s := open(t, path, sqlite.Options{})
	require.NoError(t, s.Put(t.Context(), "k", store.Record{Data: []byte("x")}))
	chmod(t, filepath.Dir(path), 0o777)
	var refused error
	for range 8 {
		if _, err := s.Get(t.Context(), "k"); err != nil {
			refused = err
		}
	}
	if refused == nil || !strings.Contains(refused.Error(), "others may write") {
		t.Errorf("Get: %v, want an error that says that others may write there", refused)
	}
	chmod(t, filepath.Dir(path), 0o700)
	if !has(t, s, "k") {
		t.Error("what was stored is gone")
	}
}

// In a directory of another user to which all may write nothing is kept, and nothing is made. When it is this user's, the store works.
func TestDirectoryOpenToAllKeepsNothing(t *testing.T) {
	if os.Geteuid() != 0 {
		testutil.SkipUnlessCI(t, "only root can give a directory to another user")
	}
	path := file(t)
	dir := filepath.Dir(path)
	require.NoError(t, os.Chown(dir, 65534, 65534))
	chmod(t, dir, 0o777|os.ModeSticky)
	s := open(t, path, sqlite.Options{})
	if err := s.Put(t.Context(), "k", store.Record{Data: []byte("x")}); err == nil || !strings.Contains(err.Error(), "others may write") {
		t.Errorf("Put: %v, want an error that says that others may write there", err)
	}
	if _, err := s.Get(t.Context(), "k"); err == nil {
		t.Error("Get: no error")
	}
	if left := contents(t, dir); len(left) > 0 {
		t.Errorf("there is %v", left)
	}
	require.NoError(t, os.Chown(dir, 0, 0))
	chmod(t, dir, 0o700)
	put(t, s, "k", store.Record{Data: []byte("x")})
}

func TestOptions(t *testing.T) {
	for _, o := range []sqlite.Options{{MaxBytes: -1}, {MaxBytes: 1000}, {OrphanAge: -time.Second}, {Sync: 7}} {
		if _, err := sqlite.Open(file(t), o); err == nil {
			t.Errorf("Open with %+v: no error", o)
		}
	}
	if _, err := sqlite.Open("", sqlite.Options{}); err == nil {
		t.Error("Open without a path: no error")
	}
	for _, sync := range []sqlite.Sync{sqlite.SyncNormal, sqlite.SyncOff, sqlite.SyncFull} {
		s := open(t, filepath.Join(t.TempDir(), "ä b?c#d%20.db"), sqlite.Options{Sync: sync})
		put(t, s, "k", store.Record{Data: []byte("x")})
	}
}

func init() { children["denied"] = openWhatIsDenied }

// What may not be read or written is an error that says so. Root may do anything, so the process is another user's.
func TestDenied(t *testing.T) {
	dir := t.TempDir()
	cmd := process(t, "denied", dir)
	if os.Geteuid() == 0 {
		for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
			require.NoError(t, os.Chmod(d, 0o755))
		}
		program, err := os.ReadFile(cmd.Path)
		require.NoError(t, err)
		cmd.Path = filepath.Join(dir, "program")
		require.NoError(t, os.WriteFile(cmd.Path, program, 0o755))
		require.NoError(t, os.Mkdir(filepath.Join(dir, "own"), 0o700))
		require.NoError(t, os.Chown(filepath.Join(dir, "own"), 65534, 65534))
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	} else {
		require.NoError(t, os.Mkdir(filepath.Join(dir, "own"), 0o700))
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

func openWhatIsDenied(dir string) error {
	path := filepath.Join(dir, "own", "cache.db")
	s, err := sqlite.Open(path, sqlite.Options{})
	if err != nil {
		return err
	}
	if err := s.Put(background, "k", store.Record{Data: []byte("x")}); err != nil {
		return err
	}
	if err := s.Close(); err != nil {
		return err
	}
	for _, denied := range []struct {
		what      string
		file, dir os.FileMode
	}{
		{"a directory that cannot be written", 0o600, 0o500},
		{"a file that cannot be read", 0o000, 0o700},
		{"a file that cannot be written", 0o400, 0o500},
		{"a directory that cannot be searched", 0o600, 0o000},
	} {
		if err := errors.Join(os.Chmod(path, denied.file), os.Chmod(filepath.Dir(path), denied.dir)); err != nil {
			return err
		}
		s, err := sqlite.Open(path, sqlite.Options{})
		if err == nil {
			err = s.Put(background, "l", store.Record{Data: []byte("x")})
			s.Close()
		}
		if err == nil || !strings.Contains(err.Error(), "sqlite: ") {
			return errors.Join(errors.New(denied.what+": want an error"), err)
		}
		if err := errors.Join(os.Chmod(filepath.Dir(path), 0o700), os.Chmod(path, 0o600)); err != nil {
			return err
		}
	}
	if s, err = sqlite.Open(path, sqlite.Options{}); err != nil {
		return err
	}
	defer s.Close()
	if r, err := s.Get(background, "k"); err != nil || string(r.Data) != "x" {
		return errors.Join(errors.New("what was there is gone"), err)
	}
	if err := s.Close(); err != nil {
		return err
	}
	return writableLater(path)
}

// writableLater opens a file that cannot be written, and gives the permission afterwards.
func writableLater(path string) error {
	if err := os.Chmod(path, 0o400); err != nil {
		return err
	}
	s, err := sqlite.Open(path, sqlite.Options{})
	if err != nil {
		return err
	}
	defer s.Close()
	if err := s.Put(background, "m", store.Record{Data: []byte("x")}); err == nil {
		return errors.New("a file that cannot be written was written")
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return err
	}
	for deadline := time.Now().Add(20 * time.Second); ; <-time.After(50 * time.Millisecond) {
		if err = s.Put(background, "m", store.Record{Data: []byte("x")}); err == nil {
			break
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the file can be written again: %w", err)
		}
	}
	if r, err := s.Get(background, "k"); err != nil || string(r.Data) != "x" {
		return errors.Join(errors.New("what was there before is gone"), err)
	}
	return nil
}
