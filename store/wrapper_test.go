package store_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/storetest"
)

var keyA, keyB = newKey(), newKey()

func newKey() (k store.EncryptionKey) {
	rand.Read(k[:])
	return k
}

func encrypted(t testing.TB, s store.Store, keys ...store.EncryptionKey) store.Store {
	t.Helper()
	e, err := store.Encrypted(s, keys...)
	require.NoError(t, err)
	return e
}

func compressed(t testing.TB, s store.Store) store.Store {
	t.Helper()
	c, err := store.Compressed(s)
	require.NoError(t, err)
	return c
}

var wrappers = map[string]func(t testing.TB, s store.Store) store.Store{
	"encrypted":  func(t testing.TB, s store.Store) store.Store { return encrypted(t, s, keyA, keyB) },
	"compressed": compressed,
	"both":       func(t testing.TB, s store.Store) store.Store { return compressed(t, encrypted(t, s, keyA)) },
}

func TestWrappersKeepTheContract(t *testing.T) {
	for name, wrap := range wrappers {
		t.Run(name, func(t *testing.T) {
			storetest.Run(t, func(t *testing.T) store.Store { return wrap(t, storetest.NewMap(0)) })
			if name == "both" {
				return // the rest is that of the two
			}
			storetest.RunBounded(t, func(t *testing.T, maxBytes int64) store.Store { return wrap(t, storetest.NewMap(maxBytes)) })
			storetest.RunShared(t, func(t *testing.T, n int) []store.Store {
				first := storetest.NewMap(0)
				stores := []store.Store{wrap(t, first)}
				for len(stores) < n {
					stores = append(stores, wrap(t, first.Open()))
				}
				return stores
			})
		})
	}
}

func put(t testing.TB, s store.Store, key string, r store.Record) store.Record {
	t.Helper()
	require.NoError(t, s.Put(t.Context(), key, r))
	return get(t, s, key)
}

func get(t testing.TB, s store.Store, key string) store.Record {
	t.Helper()
	r, err := s.Get(t.Context(), key)
	require.NoError(t, err)
	return r
}

func isAbsent(r store.Record) bool { return r.Version == "" && r.Data == nil }

func TestKeysRotate(t *testing.T) {
	m := storetest.NewMap(0)
	put(t, encrypted(t, m, keyA), "old", store.Record{Data: []byte("under a")})
	rotated := encrypted(t, m, keyB, keyA)
	if got := get(t, rotated, "old"); string(got.Data) != "under a" {
		t.Errorf("after the rotation: %q, want what the old key wrote", got.Data)
	}
	put(t, rotated, "new", store.Record{Data: []byte("under b")})
	if got := get(t, encrypted(t, m, keyA), "new"); !isAbsent(got) {
		t.Errorf("the old key reads %q, which was written under the new one", got.Data)
	}
	dropped := encrypted(t, m, keyB)
	if got := get(t, dropped, "old"); !isAbsent(got) {
		t.Errorf("without the old key: %q, want nothing", got.Data)
	}
	if got := get(t, dropped, "new"); string(got.Data) != "under b" {
		t.Errorf("without the old key: %q, want what the new one wrote", got.Data)
	}
}

// What cannot be read is absent, which includes that a Put as if nothing were there succeeds, once.
func TestWhatCannotBeReadIsReplaced(t *testing.T) {
	for name, wrap := range wrappers {
		t.Run(name, func(t *testing.T) {
			m := storetest.NewMap(0)
			put(t, m, "k", store.Record{Data: []byte("written by another program")})
			w := wrap(t, m)
			if got := get(t, w, "k"); !isAbsent(got) {
				t.Fatalf("got %q, want nothing", got.Data)
			}
			multi, _ := store.As[store.MultiGetter](w)
			listed, err := multi.GetMulti(t.Context(), []string{"k"})
			if err != nil || len(listed) != 1 || !isAbsent(listed[0]) {
				t.Errorf("GetMulti: %v, %v, want nothing", listed, err)
			}
			ranger, _ := store.As[store.Ranger](w)
			ranger.Range(t.Context(), 0, func(key string, r store.Record) bool {
				t.Errorf("Range lists %q with %q", key, r.Data)
				return true
			})
			if err := w.Put(t.Context(), "k", store.Record{Data: []byte("x"), Version: "a-version"}); !errors.Is(err, store.ErrConflict) {
				t.Errorf("Put in the place of a version that is not there: %v, want ErrConflict", err)
			}
			if err := w.Delete(t.Context(), "k", "a-version"); err != nil {
				t.Errorf("Delete of a version where nothing is there: %v", err)
			}
			if got := put(t, w, "k", store.Record{Data: []byte("new")}); string(got.Data) != "new" {
				t.Errorf("got %q, want what was put", got.Data)
			}
			if err := w.Put(t.Context(), "k", store.Record{Data: []byte("x")}); !errors.Is(err, store.ErrConflict) {
				t.Errorf("Put over a record that can be read: %v, want ErrConflict", err)
			}
			if err := w.Delete(t.Context(), "k", "a-version"); !errors.Is(err, store.ErrConflict) {
				t.Errorf("Delete of another version of a record that can be read: %v, want ErrConflict", err)
			}
		})
	}
}

// sealed returns what a wrapper keeps of a record in the store below.
func sealed(t testing.TB, wrap func(testing.TB, store.Store) store.Store, key string, r store.Record) store.Record {
	t.Helper()
	m := storetest.NewMap(0)
	require.NoError(t, wrap(t, m).Put(context.Background(), key, r))
	below, err := m.Get(context.Background(), key)
	require.NoError(t, err)
	return below
}

// opened reads a record that is below a wrapper.
func opened(t testing.TB, wrap func(testing.TB, store.Store) store.Store, key string, below store.Record) store.Record {
	t.Helper()
	m := storetest.NewMap(0)
	below.Version = ""
	require.NoError(t, m.Put(context.Background(), key, below))
	r, err := wrap(t, m).Get(context.Background(), key)
	require.NoError(t, err)
	return r
}

func TestEveryFlippedBitAndTruncationIsAbsent(t *testing.T) {
	for name, wrap := range wrappers {
		t.Run(name, func(t *testing.T) {
			for _, data := range []string{"x", strings.Repeat("compressible ", 40)} {
				r := sealed(t, wrap, "k", store.Record{Data: []byte(data), Kind: store.KindEntry})
				if got := opened(t, wrap, "k", r); string(got.Data) != data {
					t.Fatalf("got %q, want %q", got.Data, data)
				}
				whole := r.Data
				for i := range 8 * len(whole) {
					r.Data = bytes.Clone(whole)
					r.Data[i/8] ^= 1 << (i % 8)
					if got := opened(t, wrap, "k", r); !isAbsent(got) {
						t.Fatalf("with bit %d flipped it is %q, want nothing", i, got.Data)
					}
				}
				for i := 1; i < len(whole); i++ {
					r.Data = whole[:i]
					if got := opened(t, wrap, "k", r); !isAbsent(got) {
						t.Fatalf("cut off at %d it is %q, want nothing", i, got.Data)
					}
				}
				r.Data = append(bytes.Clone(whole), 0)
				if got := opened(t, wrap, "k", r); !isAbsent(got) {
					t.Fatalf("with a byte more it is %q, want nothing", got.Data)
				}
			}
		})
	}
}

func TestAnEncryptedRecordIsBoundToItsPlace(t *testing.T) {
	wrap := wrappers["encrypted"]
	r := sealed(t, wrap, "k", store.Record{Data: []byte("mine"), Kind: store.KindBody, Owner: "o"})
	if got := opened(t, wrap, "l", r); !isAbsent(got) {
		t.Errorf("under another key it is %q, want nothing", got.Data)
	}
	for _, change := range []func(*store.Record){
		func(r *store.Record) { r.Owner = "p" },
		func(r *store.Record) { r.Owner = "" },
		func(r *store.Record) { r.Kind = store.KindEntry },
	} {
		moved := r
		change(&moved)
		if got := opened(t, wrap, "k", moved); !isAbsent(got) {
			t.Errorf("as kind %v of %q it is %q, want nothing", moved.Kind, moved.Owner, got.Data)
		}
	}
}

func TestAnEncryptedStoreShowsNothing(t *testing.T) {
	const secret = "a very secret body"
	seen := make(map[string]bool)
	for range 50 {
		r := sealed(t, wrappers["encrypted"], "k", store.Record{Data: []byte(secret), Label: "https://" + secret})
		if strings.Contains(string(r.Data)+r.Label, secret) || r.Label != "" {
			t.Fatalf("the store below holds %q, label %q", r.Data, r.Label)
		}
		if seen[string(r.Data)] {
			t.Fatal("two sealed records are the same")
		}
		seen[string(r.Data)] = true
	}
}

func TestBadKeysAreRefused(t *testing.T) {
	m := storetest.NewMap(0)
	for name, make := range map[string]func() (store.Store, error){
		"no key":              func() (store.Store, error) { return store.Encrypted(m) },
		"zero key":            func() (store.Store, error) { return store.Encrypted(m, keyA, store.EncryptionKey{}) },
		"nothing to encrypt":  func() (store.Store, error) { return store.Encrypted(nil, keyA) },
		"nothing to compress": func() (store.Store, error) { return store.Compressed(nil) },
	} {
		if s, err := make(); err == nil || s != nil || !strings.HasPrefix(err.Error(), "store: ") {
			t.Errorf("%s: %v, %v, want an error", name, s, err)
		}
	}
}

func TestParseKey(t *testing.T) {
	digits := strings.Repeat("0123456789abcdef", 4)
	if k, err := store.ParseEncryptionKey(" " + digits + "\n"); err != nil || k[0] != 0x01 || k[31] != 0xef {
		t.Errorf("got %x, %v", k, err)
	}
	for _, bad := range []string{"", "password", digits[1:], digits[2:], digits + "00", strings.Replace(digits, "0", "x", 1)} {
		if k, err := store.ParseEncryptionKey(bad); err == nil || k != (store.EncryptionKey{}) || bad != "" && strings.Contains(err.Error(), bad) {
			t.Errorf("%q: %x, %v, want an error that does not show it", bad, k, err)
		}
	}
}

func TestCompressionPays(t *testing.T) {
	noise := make([]byte, 100_000)
	rand.Read(noise)
	for _, tt := range []struct {
		name string
		data []byte
		most int
	}{
		{"text", bytes.Repeat([]byte("the same again and again, "), 10_000), 10_000},
		{"noise", noise, len(noise) + 16},
		{"noise after text", append(bytes.Repeat([]byte("x"), 5000), noise...), len(noise) + 5016},
		{"text after noise", append(bytes.Clone(noise[:5000]), bytes.Repeat([]byte("x"), 100_000)...), 105_016},
		{"short", []byte("short"), 16},
		{"zeros", make([]byte, 2<<20), 4000},
	} {
		r := sealed(t, compressed, "k", store.Record{Data: tt.data})
		if len(r.Data) > tt.most {
			t.Errorf("%s: %d bytes became %d, want at most %d", tt.name, len(tt.data), len(r.Data), tt.most)
		}
		if got := opened(t, compressed, "k", r); !bytes.Equal(got.Data, tt.data) {
			t.Errorf("%s: %d bytes came back as %d others", tt.name, len(tt.data), len(got.Data))
		}
	}
	err := compressed(t, storetest.NewMap(1<<40)).Put(t.Context(), "k", store.Record{Data: make([]byte, 64<<20+1)})
	if !errors.Is(err, store.ErrTooLarge) {
		t.Errorf("Put of more than 64 MiB: %v, want ErrTooLarge", err)
	}
}

// allocated returns the bytes that f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func FuzzEncrypted(f *testing.F) {
	f.Add([]byte("data"), "k", "", uint16(3))
	f.Add([]byte{0}, "K.:-_", "owner", uint16(400))
	f.Fuzz(func(t *testing.T, data []byte, key, owner string, bit uint16) {
		if len(data) == 0 {
			return
		}
		wrap := wrappers["encrypted"]
		r := sealed(t, wrap, key, store.Record{Data: data, Owner: owner, Kind: store.KindBody})
		if got := opened(t, wrap, key, r); !bytes.Equal(got.Data, data) || got.Owner != owner {
			t.Fatalf("%q came back as %q", data, got.Data)
		}
		if got := opened(t, wrap, key+"x", r); !isAbsent(got) {
			t.Fatalf("under another key it is %q", got.Data)
		}
		i := int(bit) % (8 * len(r.Data))
		r.Data[i/8] ^= 1 << (i % 8)
		if got := opened(t, wrap, key, r); !isAbsent(got) {
			t.Fatalf("with bit %d flipped it is %q", i, got.Data)
		}
		if got := opened(t, wrap, key, store.Record{Data: data, Owner: owner}); !isAbsent(got) {
			t.Fatalf("%q, which was never sealed, is %q", data, got.Data)
		}
	})
}

// FuzzCompressed reads data that Compressed did not write, with a checksum that fits, and bounds what the reader allocates.
func FuzzCompressed(f *testing.F) {
	f.Add([]byte("data"), uint16(3))
	f.Add(bytes.Repeat([]byte("data"), 200), uint16(77))
	f.Add([]byte("\x02\x80\x80\x80\x20\x00"), uint16(0))
	f.Fuzz(func(t *testing.T, data []byte, bit uint16) {
		if len(data) == 0 {
			return
		}
		r := sealed(t, compressed, "k", store.Record{Data: data})
		if got := opened(t, compressed, "k", r); !bytes.Equal(got.Data, data) {
			t.Fatalf("%q came back as %q", data, got.Data)
		}
		i := int(bit) % (8 * len(r.Data))
		r.Data[i/8] ^= 1 << (i % 8)
		if got := opened(t, compressed, "k", r); !isAbsent(got) {
			t.Fatalf("with bit %d flipped it is %q", i, got.Data)
		}
		forged := store.Record{Data: store.WithSum(data)}
		var got store.Record
		used := allocated(func() { got = opened(t, compressed, "k", forged) })
		if limit := uint64(2*1032*len(forged.Data) + 256<<10); used > limit {
			t.Fatalf("%d bytes made it allocate %d", len(forged.Data), used)
		}
		if len(got.Data) > 1032*len(forged.Data) {
			t.Fatalf("%d bytes became %d", len(forged.Data), len(got.Data))
		}
	})
}

func TestADeclaredLengthIsNotBelieved(t *testing.T) {
	for _, length := range []string{"\x80\x80\x80\x20", "\xff\xff\xff\xff\x7f", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"} { // 64 MiB, much, and more than there is
		for _, how := range []string{"\x01", "\x02"} {
			forged := store.Record{Data: store.WithSum([]byte(how + length + "\x03\x00"))}
			used := allocated(func() {
				if got := opened(t, compressed, "k", forged); !isAbsent(got) {
					t.Errorf("got %d bytes, want nothing", len(got.Data))
				}
			})
			if used > 256<<10 {
				t.Errorf("a record of %d bytes made it allocate %d", len(forged.Data), used)
			}
		}
	}
}

func ExampleEncrypted() {
	key, err := store.ParseEncryptionKey(strings.Repeat("5f", 32)) // in earnest from where you keep secrets
	if err != nil {
		fmt.Println(err)
		return
	}
	disk := storetest.NewMap(1 << 20)
	s, err := store.Encrypted(disk, key)
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	s.Put(ctx, "k", store.Record{Data: []byte("a response"), Expires: time.Now().Add(time.Hour)})
	r, _ := s.Get(ctx, "k")
	raw, _ := disk.Get(ctx, "k")
	fmt.Printf("%s\nin clear below: %t\n", r.Data, bytes.Contains(raw.Data, []byte("response")))
	// Output:
	// a response
	// in clear below: false
}

func ExampleCompressed() {
	disk := storetest.NewMap(1 << 20)
	s, err := store.Compressed(disk)
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	s.Put(ctx, "k", store.Record{Data: bytes.Repeat([]byte("a response that says the same again "), 100)})
	r, _ := s.Get(ctx, "k")
	raw, _ := disk.Get(ctx, "k")
	fmt.Printf("%d bytes, less than 200 below: %t\n", len(r.Data), len(raw.Data) < 200)
	// Output: 3600 bytes, less than 200 below: true
}
