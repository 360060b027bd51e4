//go:build unix

package s3_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/s3"
)

// What is in a bucket can be read by people, and is under the prefix.
func TestLayout(t *testing.T) {
	f, s := fakeServer(t, s3.Options{})
	expires := time.Now().Add(10 * time.Minute)
	require.NoError(t, s.Put(t.Context(), ".", store.Record{
		Data: []byte("data"), Kind: store.KindBody, Owner: "o", Expires: expires, Label: "GET https://example.com/\r\n" + strings.Repeat("ü", 1000),
	}))
	if names := f.Names(); len(names) != 1 || names[0] != "ply/..ply" {
		t.Fatalf("objects %q, want one whose name is no path", names)
	}
	value, _ := f.Value("ply/..ply")
	line, data, _ := strings.Cut(string(value), "\n")
	for _, part := range []string{"ply1 ", " nonce=", fmt.Sprintf(" expires=%d ", expires.UnixMilli()), " kind=2/body size=4 sum=", " owner=o key=. label=GET https://example.com/??ü"} {
		if !strings.Contains(line, part) {
			t.Errorf("the line is %q, want %q in it", line, part)
		}
	}
	if data != "data" || len(line) > 700 {
		t.Errorf("%q follows a line of %d bytes", data, len(line))
	}
}

// Writers that race with equal content make different objects: only one of them has replaced the version that both have read.
func TestEqualContentPutTwiceByRacingWritersSucceedsOnce(t *testing.T) {
	f, s := fakeServer(t, s3.Options{})
	other := open(t, f.Listener.Addr().String(), "ply", s3.Options{})
	same := store.Record{Data: []byte("the same"), Kind: store.KindEntry, Expires: time.Now().Add(time.Hour)}
	versions := make(map[string]bool)
	for range 50 {
		same.Version = get(t, s, "k").Version
		var all sync.WaitGroup
		errs := make([]error, 8)
		for i := range errs {
			all.Go(func() { errs[i] = []store.Store{s, other}[i%2].Put(context.Background(), "k", same) })
		}
		all.Wait()
		succeeded := 0
		for _, err := range errs {
			switch {
			case err == nil:
				succeeded++
			case !errors.Is(err, store.ErrConflict):
				t.Fatal(err)
			}
		}
		v := get(t, s, "k").Version
		if succeeded != 1 || versions[v] {
			t.Fatalf("%d of 8 writers of the same content succeed, and the version was there before: %v", succeeded, versions[v])
		}
		versions[v] = true
	}
}

// What others leave under our names, and what is damaged, is never a record, and gives way to the next Put.
func TestForeignAndDamagedObjects(t *testing.T) {
	f, s := fakeServer(t, s3.Options{MaxRecordBytes: 10_000})
	ctx := t.Context()
	put(t, s, "other", "of another key")
	elsewhere, _ := f.Value("ply/other.ply")
	put(t, s, "k", "data")
	good, _ := f.Value("ply/k.ply")
	objects := map[string]string{"text": "hello", "nothing": "", "a copy of another": string(elsewhere), "a long line": strings.Repeat("x", 5000), "too large": strings.Repeat("x", 1<<20)}
	for i := range good {
		objects[fmt.Sprintf("cut to %d bytes", i)] = string(good[:i])
		if i != 3 { // which makes it one of a later version, as long as it is a digit
			objects[fmt.Sprintf("byte %d flipped", i)] = string(good[:i]) + string(good[i]^1) + string(good[i+1:])
		}
	}
	objects["longer"] = string(good) + "x"
	for name, value := range objects {
		f.Set("ply/k.ply", []byte(value))
		if r := get(t, s, "k"); r.Version != "" || r.Data != nil {
			t.Errorf("%s: Get returns %q", name, r.Data)
		}
		if err := s.Put(ctx, "k", store.Record{Data: []byte("ours")}); err != nil {
			t.Errorf("%s: Put: %v", name, err)
		}
		if r := get(t, s, "k"); string(r.Data) != "ours" {
			t.Errorf("%s: Get after Put returns %q", name, r.Data)
		}
	}
	f.Set("ply/not a key.ply", []byte("x"))
	f.Set("ply/deeper/k.ply", good)
	f.Set("plyother/k.ply", good)
	require.NoError(t, s.Clear(ctx))
	if names := f.Names(); len(names) != 3 {
		t.Errorf("after Clear %q are left, want what is of others", names)
	}
}

func TestLaterFormatIsLeftAlone(t *testing.T) {
	f, s := fakeServer(t, s3.Options{})
	ctx, later := t.Context(), []byte("ply2 whatever")
	f.Set("ply/k.ply", later)
	if r, err := s.Get(ctx, "k"); !errors.Is(err, store.ErrNewer) || r.Version != "" {
		t.Errorf("Get: %v, want ErrNewer", err)
	}
	if err := s.Put(ctx, "k", store.Record{Data: []byte("x")}); !errors.Is(err, store.ErrConflict) {
		t.Errorf("Put: %v, want ErrConflict", err)
	}
	if n, err := s.DeleteExpired(ctx, time.Now().Add(time.Hour)); n != 0 || err != nil {
		t.Errorf("DeleteExpired: %d, %v", n, err)
	}
	if value, _ := f.Value("ply/k.ply"); string(value) != string(later) {
		t.Errorf("the object is %q now", value)
	}
	require.NoError(t, s.Delete(ctx, "k", ""))
}

func TestLimitHoldsForWhatIsReadAndWritten(t *testing.T) {
	f, small := fakeServer(t, s3.Options{MaxRecordBytes: 1000})
	large := open(t, f.Listener.Addr().String(), "ply", s3.Options{})
	put(t, small, "k", strings.Repeat("x", 1000))
	for _, n := range []int{1001, 5000, 2 << 20} {
		if err := small.Put(t.Context(), "l", store.Record{Data: make([]byte, n)}); !errors.Is(err, store.ErrTooLarge) {
			t.Errorf("Put of %d bytes: %v, want ErrTooLarge", n, err)
		}
		put(t, large, "k", strings.Repeat("x", n))
		if r, err := small.Get(t.Context(), "k"); !errors.Is(err, store.ErrTooLarge) || r.Data != nil {
			t.Errorf("Get of %d bytes: %v, want ErrTooLarge", n, err)
		}
		if err := small.Put(t.Context(), "k", store.Record{Data: []byte("x")}); !errors.Is(err, store.ErrConflict) {
			t.Errorf("Put where there are %d bytes: %v, want ErrConflict", n, err)
		}
	}
}

func TestBadKeysAndRecordsAreRefused(t *testing.T) {
	f, s := fakeServer(t, s3.Options{})
	ctx := t.Context()
	for _, key := range []string{"", "a b", "a\n", "ü", "a/b", "../x", strings.Repeat("x", 129)} {
		_, getErr := s.Get(ctx, key)
		_, multiErr := s.GetMulti(ctx, []string{"k", key})
		for call, err := range map[string]error{
			"Get": getErr, "GetMulti": multiErr, "Put": s.Put(ctx, key, store.Record{Data: []byte("x")}), "Delete": s.Delete(ctx, key, ""),
		} {
			if err == nil || !strings.Contains(err.Error(), "key") {
				t.Errorf("%s of %q: %v, want an error about the key", call, key, err)
			}
		}
		if key == "" {
			continue
		}
		if err := s.Put(ctx, "k", store.Record{Data: []byte("x"), Owner: key}); err == nil {
			t.Errorf("Put with the owner %q is no error", key)
		}
	}
	if err := s.Put(ctx, "k", store.Record{}); err == nil {
		t.Error("Put takes a record without data")
	}
	if names := f.Names(); len(names) != 0 {
		t.Errorf("%q have been put", names)
	}
}

// A deleted record leaves an object, which the next record replaces and a sweep removes.
func TestDeletedRecordLeavesAnObjectUntilASweep(t *testing.T) {
	f, s := fakeServer(t, s3.Options{})
	f.IgnoreDelete = true
	ctx := t.Context()
	require.NoError(t, s.Delete(ctx, "k", put(t, s, "k", "v").Version))
	if names := f.Names(); len(names) != 1 {
		t.Fatalf("objects %q, want one", names)
	}
	require.NoError(t, s.Delete(ctx, "k", "another version"))
	f.Counts()
	require.NoError(t, s.Put(ctx, "k", store.Record{Data: []byte("again")}))
	if n := f.Counts(); n["PUT"] != 2 || n["GET"] != 1 {
		t.Errorf("a Put in the place of a deleted record takes %v", n)
	}
	require.NoError(t, s.Delete(ctx, "k", get(t, s, "k").Version))
	if n, err := s.DeleteExpired(ctx, time.Now()); n != 0 || err != nil {
		t.Errorf("DeleteExpired: %d, %v, want 0: a deleted record is not an expired one", n, err)
	}
	if names := f.Names(); len(names) != 0 {
		t.Errorf("%q are left after a sweep", names)
	}
}

// A sweep whose time is up continues where it stopped, so that a large store is swept in the end. One object that the server refuses to delete keeps no other from it.
func TestSweepContinuesWhereItStopped(t *testing.T) {
	f, s := fakeServer(t, s3.Options{})
	const n = 100
	for i := range n {
		require.NoError(t, s.Put(t.Context(), fmt.Sprintf("k-%03d", i), store.Record{Data: []byte("x"), Expires: time.Now().Add(time.Hour)}))
	}
	later := time.Now().Add(2 * time.Hour)
	ctx, cancel := context.WithCancel(t.Context())
	f.Fault(func(_ http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.URL.Path, "k-050") {
			cancel()
		}
		return false
	})
	first, err := s.DeleteExpired(ctx, later)
	if !errors.Is(err, context.Canceled) || first == 0 || first > 64 {
		t.Fatalf("DeleteExpired that is canceled: %d, %v", first, err)
	}
	f.Fault(func(w http.ResponseWriter, r *http.Request) bool {
		return r.Method == http.MethodDelete && strings.Contains(r.URL.Path, "k-070") && refusing(403, "AccessDenied")(w, r)
	})
	f.Counts()
	second, err := s.DeleteExpired(t.Context(), later)
	if err == nil || !strings.Contains(err.Error(), "AccessDenied") || first+second < n-1-16 || f.Counts()["GET"] > n-32 {
		t.Errorf("the next: %d after %d, %v", second, first, err)
	}
	f.Fault(nil)
	if _, err := s.DeleteExpired(t.Context(), later); err != nil {
		t.Error(err)
	}
	if names := f.Names(); len(names) != 0 {
		t.Errorf("%q are left", names)
	}
}

// A record that is put while a sweep looks at what was there before stays.
func TestSweepDeletesOnlyWhatItHasSeen(t *testing.T) {
	f, s := fakeServer(t, s3.Options{})
	require.NoError(t, s.Put(t.Context(), "k", store.Record{Data: []byte("old"), Expires: time.Now().Add(-time.Second)}))
	f.Fault(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodDelete {
			f.Fault(nil)
			if err := s.Put(context.Background(), "k", store.Record{Data: []byte("new")}); err != nil {
				t.Error(err)
			}
		}
		return false
	})
	if n, err := s.DeleteExpired(t.Context(), time.Now()); n != 0 || err != nil {
		t.Errorf("DeleteExpired: %d, %v", n, err)
	}
	if r := get(t, s, "k"); string(r.Data) != "new" {
		t.Errorf("Get returns %q, want what was put meanwhile", r.Data)
	}
}

// More than one page is listed and cleared, and a server that lacks the deletion of many objects is asked to delete them one by one.
func TestClearOfSeveralPages(t *testing.T) {
	f, s := fakeServer(t, s3.Options{})
	const n = 2100
	fill := func() {
		for i := range n {
			f.Set(fmt.Sprintf("ply/k-%d.ply", i), []byte("x"))
		}
		f.Counts()
	}
	fill()
	if records, bytes, err := s.Size(t.Context()); records != n || bytes != n || err != nil {
		t.Errorf("Size: %d, %d, %v", records, bytes, err)
	}
	require.NoError(t, s.Clear(t.Context()))
	if counts := f.Counts(); len(f.Names()) != 0 || counts["DELETE many"] != 3 || counts["DELETE"] != 0 {
		t.Errorf("Clear leaves %d objects, with %v", len(f.Names()), counts)
	}
	fill()
	f.Fault(func(w http.ResponseWriter, r *http.Request) bool {
		return r.Method == http.MethodPost && refusing(501, "NotImplemented")(w, r)
	})
	require.NoError(t, s.Clear(t.Context()))
	if left := len(f.Names()); left != 0 {
		t.Errorf("Clear one by one leaves %d objects", left)
	}
}
