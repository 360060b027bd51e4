//go:build unix

package mongodb_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/plyhttp/ply/internal/survival"
	"github.com/plyhttp/ply/internal/testserver"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/mongodb"
	"github.com/plyhttp/ply/store/storetest"
	"github.com/plyhttp/ply/store/storetest/processtest"
)

var built struct {
	sync.Mutex
	dir string // with the server; TestMain removes it
}

func TestMain(m *testing.M) {
	code := m.Run()
	if built.dir != "" {
		os.RemoveAll(built.dir)
	}
	os.Exit(code)
}

// build returns the path of the server, which the first test builds. It is a module of its own, so that the store's users do not get its requirements.
func build(tb testing.TB) string {
	tb.Helper()
	built.Lock()
	defer built.Unlock()
	if built.dir == "" {
		dir, err := os.MkdirTemp("", "ply-mongodb-")
		require.NoError(tb, err)
		built.dir = dir
		run(tb, "build", "-modfile", patched(tb, dir), "-o", filepath.Join(dir, "server"), ".")
	}
	return filepath.Join(built.dir, "server")
}

// findByID has FerretDB find documents by an index of their _id also where a filter has more than that, or several of them, as MongoDB does.
// Without, it reads the whole collection for each change, and for each read of several records. What it finds it compares with the whole filter all the same.
var findByID = strings.NewReplacer(
	"params.Filter.Len() == 1", "params.Filter.Len() >= 1",
	"case string, types.ObjectID:", `case *types.Document:
			some, _ := v.(*types.Document).Get("$in")
			ids, ok := some.(*types.Array)
			if !ok || ids.Len() == 0 {
				break
			}
			for i := 0; i < ids.Len(); i++ {
				whereClause += ", ?"
				args = append(args, string(must.NotFail(sjson.MarshalSingleValue(must.NotFail(ids.Get(i))))))
			}
			whereClause = fmt.Sprintf(" WHERE %s IN (%s)", metadata.IDColumn, whereClause[2:])
		case string, types.ObjectID:`)

// patched returns a go.mod with a FerretDB that finds by an index.
func patched(tb testing.TB, dir string) string {
	tb.Helper()
	module := run(tb, "list", "-mod=mod", "-m", "-f", "{{.Dir}}", "github.com/FerretDB/FerretDB")
	if module == "" { // not downloaded yet
		run(tb, "mod", "download")
		module = run(tb, "list", "-mod=mod", "-m", "-f", "{{.Dir}}", "github.com/FerretDB/FerretDB")
	}
	changed := filepath.Join(dir, "ferretdb")
	require.NoError(tb, os.CopyFS(changed, os.DirFS(module)))
	source := filepath.Join(changed, "internal", "backends", "sqlite", "collection.go")
	text, err := os.ReadFile(source)
	require.NoError(tb, err)
	replaced := findByID.Replace(string(text))
	require.NotEqual(tb, replaced, string(text))
	require.NoError(tb, os.Remove(source)) // it cannot be written to
	require.NoError(tb, os.WriteFile(source, []byte(replaced), 0o600))
	for _, name := range []string{"go.mod", "go.sum"} {
		text, err := os.ReadFile(filepath.Join("internal", "server", name))
		require.NoError(tb, err)
		require.NoError(tb, os.WriteFile(filepath.Join(dir, name), text, 0o600))
	}
	path := filepath.Join(dir, "go.mod")
	run(tb, "mod", "edit", "-replace=github.com/FerretDB/FerretDB="+changed, path)
	return path
}

// run runs the go command in the server's module, and returns what it prints.
func run(tb testing.TB, args ...string) string {
	tb.Helper()
	cmd := exec.Command(testserver.Find(tb, "go"), args...)
	cmd.Dir, cmd.Env = filepath.Join("internal", "server"), append(os.Environ(), "GOWORK=off")
	out, err := cmd.Output()
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		tb.Fatalf("go %s: %v\n%s", args[0], err, exit.Stderr)
	}
	require.NoError(tb, err)
	return strings.TrimSpace(string(out))
}

// startServer starts a FerretDB that keeps its databases in a directory, so that they are there after it was killed.
func startServer(tb testing.TB) *testserver.Server {
	tb.Helper()
	dir := tb.TempDir()
	s := testserver.New(tb, build(tb), func(port int) []string { return []string{"-listen", "127.0.0.1:" + strconv.Itoa(port), "-dir", dir} })
	s.Start()
	return s
}

// open opens a store. A test on a busy machine has time.
func open(tb testing.TB, addr string, o mongodb.Options) *mongodb.Store {
	tb.Helper()
	if o.Timeout == 0 {
		o.Timeout = 20 * time.Second
	}
	s, err := mongodb.Open(tb.Context(), "mongodb://"+addr, o)
	require.NoError(tb, err)
	tb.Cleanup(func() { s.Close() })
	return s
}

// collection is a store's collection, for what tests do behind its back.
func collection(tb testing.TB, addr, name string) *mongo.Collection {
	tb.Helper()
	client, err := mongo.Connect(options.Client().ApplyURI("mongodb://" + addr))
	require.NoError(tb, err)
	tb.Cleanup(func() { client.Disconnect(tb.Context()) })
	return client.Database("ply").Collection(name)
}

var collections struct {
	sync.Mutex
	n int
}

// newName returns the name of a collection that no other test uses.
func newName() string {
	collections.Lock()
	defer collections.Unlock()
	collections.n++
	return "c" + strconv.Itoa(collections.n)
}

func TestStore(t *testing.T) {
	t.Parallel()
	srv := startServer(t)
	storetest.Run(t, func(t *testing.T) store.Store { return open(t, srv.Addr, mongodb.Options{Collection: newName()}) })
}

func TestSharedStore(t *testing.T) {
	t.Parallel()
	srv := startServer(t)
	storetest.RunShared(t, func(t *testing.T, n int) []store.Store {
		name, stores := newName(), make([]store.Store, n)
		for i := range stores {
			stores[i] = open(t, srv.Addr, mongodb.Options{Collection: name})
		}
		return stores
	})
}

func TestBoundedStore(t *testing.T) {
	t.Parallel()
	srv := startServer(t)
	storetest.RunBounded(t, func(t *testing.T, maxBytes int64) store.Store {
		return unsized{open(t, srv.Addr, mongodb.Options{Collection: newName(), MaxBytes: maxBytes, MaxRecordBytes: 8 << 20})}
	})
}

// unsized hides Size, which reads all documents in FerretDB: after each Put it would take the tests minutes. What is there at the end is counted all the same.
type unsized struct{ store.Store }

func TestLeases(t *testing.T) {
	processtest.RunLeases(t, func(t *testing.T) string { return "mongodb://" + startServer(t).Addr + "/leases?timeout=20s" })
}

func TestSurvival(t *testing.T) {
	survival.Run(t, survival.Trial{
		Start: func(t *testing.T) *testserver.Server { return startServer(t) },
		URL:   func(addr string) string { return "mongodb://" + addr + "/?timeout=1s" },
		// FerretDB does one command at a time: with less there may be no hit while others ask.
		StoreTimeout: 500 * time.Millisecond,
	})
}

func put(tb testing.TB, s store.Store, key string, r store.Record) store.Record {
	tb.Helper()
	require.NoError(tb, s.Put(tb.Context(), key, r))
	return get(tb, s, key)
}

func get(tb testing.TB, s store.Store, key string) store.Record {
	tb.Helper()
	r, err := s.Get(tb.Context(), key)
	require.NoError(tb, err)
	return r
}
