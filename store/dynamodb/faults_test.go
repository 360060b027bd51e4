//go:build unix

package dynamodb_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/dynamodb"
	"github.com/plyhttp/ply/store/dynamodb/internal/server"
)

// table is what the tests do to a table behind the store's back.
type table struct {
	*awsdynamodb.Client
	t *testing.T
}

func rawTable(t *testing.T, addr string) table {
	return table{rawClient(addr, http.DefaultClient), t}
}

// items returns the items whose id contains a text, sorted by id.
func (c table) items(contains string) []map[string]types.AttributeValue {
	c.t.Helper()
	out, err := c.Scan(c.t.Context(), &awsdynamodb.ScanInput{TableName: aws.String("cache"), ConsistentRead: aws.Bool(true),
		FilterExpression: aws.String("contains(id, :x)"), ExpressionAttributeValues: map[string]types.AttributeValue{":x": &types.AttributeValueMemberS{Value: contains}}})
	require.NoError(c.t, err)
	slices.SortFunc(out.Items, func(a, b map[string]types.AttributeValue) int {
		return strings.Compare(a["id"].(*types.AttributeValueMemberS).Value, b["id"].(*types.AttributeValueMemberS).Value)
	})
	return out.Items
}

func (c table) put(item map[string]types.AttributeValue) {
	c.t.Helper()
	_, err := c.PutItem(c.t.Context(), &awsdynamodb.PutItemInput{TableName: aws.String("cache"), Item: item})
	require.NoError(c.t, err)
}

func (c table) remove(item map[string]types.AttributeValue) {
	c.t.Helper()
	_, err := c.DeleteItem(c.t.Context(), &awsdynamodb.DeleteItemInput{TableName: aws.String("cache"), Key: map[string]types.AttributeValue{"id": item["id"]}})
	require.NoError(c.t, err)
}

// large returns data of several chunks.
func large(seed byte) []byte {
	b := make([]byte, 400_000)
	for i := range b {
		b[i] = seed + byte(i>>8) ^ byte(i)
	}
	return b
}

// A record that is not what was put is absent to each way of reading, and gives way to the next Put.
func TestDamagedRecordIsAbsentAndGivesWay(t *testing.T) {
	srv := startServer(t)
	for name, damage := range map[string]func(c table, head map[string]types.AttributeValue, chunks []map[string]types.AttributeValue){
		"a chunk is lost": func(c table, _ map[string]types.AttributeValue, chunks []map[string]types.AttributeValue) {
			c.remove(chunks[1])
		},
		"a chunk belongs to another version": func(c table, _ map[string]types.AttributeValue, chunks []map[string]types.AttributeValue) {
			chunks[1]["v"] = &types.AttributeValueMemberS{Value: "0123456789abcdef.2"}
			c.put(chunks[1])
		},
		"a chunk is cut off": func(c table, _ map[string]types.AttributeValue, chunks []map[string]types.AttributeValue) {
			d := chunks[1]["d"].(*types.AttributeValueMemberB)
			d.Value = d.Value[:len(d.Value)-1]
			c.put(chunks[1])
		},
		"a bit of a chunk is flipped": func(c table, _ map[string]types.AttributeValue, chunks []map[string]types.AttributeValue) {
			chunks[0]["d"].(*types.AttributeValueMemberB).Value[1000] ^= 1
			c.put(chunks[0])
		},
		"the size is another one": func(c table, head map[string]types.AttributeValue, _ []map[string]types.AttributeValue) {
			head["n"] = &types.AttributeValueMemberN{Value: "5"}
			c.put(head)
		},
		"the kind is gone": func(c table, head map[string]types.AttributeValue, _ []map[string]types.AttributeValue) {
			delete(head, "kind")
			c.put(head)
		},
		"the end is no number": func(c table, head map[string]types.AttributeValue, _ []map[string]types.AttributeValue) {
			head["e"] = &types.AttributeValueMemberS{Value: "soon"}
			c.put(head)
		},
		"the head is that of another program": func(c table, head map[string]types.AttributeValue, _ []map[string]types.AttributeValue) {
			c.put(map[string]types.AttributeValue{"id": head["id"], "kind": head["kind"], "d": &types.AttributeValueMemberS{Value: "x"}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			ns := namespace()
			s, c := open(t, srv.Addr, dynamodb.Options{Namespace: ns}), rawTable(t, srv.Addr)
			for _, read := range []func() (store.Record, error){
				func() (r store.Record, err error) { return s.Get(t.Context(), "k") },
				func() (r store.Record, err error) {
					records, err := s.GetMulti(t.Context(), []string{"k"})
					return records[0], err
				},
				func() (r store.Record, err error) {
					err = s.Range(t.Context(), store.KindBody, func(_ string, found store.Record) bool { r = found; return true })
					if err == nil && r.Version == "" { // which leaves it to the next Get to make room
						_, err = s.Get(t.Context(), "k")
					}
					return r, err
				},
			} {
				require.Equal(t, large(1), put(t, s, "k", store.Record{Data: large(1), Kind: store.KindBody, Expires: time.Now().Add(time.Hour)}).Data)
				items := c.items(ns + ":k")
				require.Len(t, items, 3, "a head and two chunks")
				damage(c, items[0], items[1:])
				if r, err := read(); err != nil || r.Version != "" {
					t.Errorf("got %d bytes, %v, want the zero Record", len(r.Data), err)
				}
				require.Equal(t, large(2), put(t, s, "k", store.Record{Data: large(2), Kind: store.KindBody}).Data)
				require.NoError(t, s.Clear(t.Context()))
			}
		})
	}
}

// Chunks go with their record, however it ends.
func TestNoChunksAreLeft(t *testing.T) {
	srv := startServer(t)
	for name, end := range map[string]func(t *testing.T, s *dynamodb.Store, version string){
		"replaced by a small record": func(t *testing.T, s *dynamodb.Store, v string) {
			put(t, s, "k", store.Record{Data: []byte("x"), Version: v})
			require.NoError(t, s.Delete(t.Context(), "k", ""))
		},
		"replaced by an expired record": func(t *testing.T, s *dynamodb.Store, v string) {
			put(t, s, "k", store.Record{Data: []byte("x"), Version: v, Expires: time.Now().Add(-time.Hour)})
		},
		"deleted":                func(t *testing.T, s *dynamodb.Store, v string) { require.NoError(t, s.Delete(t.Context(), "k", v)) },
		"deleted at any version": func(t *testing.T, s *dynamodb.Store, _ string) { require.NoError(t, s.Delete(t.Context(), "k", "")) },
		"cleared":                func(t *testing.T, s *dynamodb.Store, _ string) { require.NoError(t, s.Clear(t.Context())) },
		"conflict": func(t *testing.T, s *dynamodb.Store, v string) {
			require.ErrorIs(t, s.Put(t.Context(), "k", store.Record{Data: large(2)}), store.ErrConflict)
			require.NoError(t, s.Delete(t.Context(), "k", v))
		},
		"expired": func(t *testing.T, s *dynamodb.Store, _ string) {
			n, err := s.DeleteExpired(t.Context(), time.Now().Add(2*time.Hour))
			require.NoError(t, err)
			require.Equal(t, 1, n)
		},
	} {
		t.Run(name, func(t *testing.T) {
			ns := namespace()
			s := open(t, srv.Addr, dynamodb.Options{Namespace: ns})
			r := put(t, s, "k", store.Record{Data: large(1), Expires: time.Now().Add(time.Hour)})
			end(t, s, r.Version)
			if left := rawTable(t, srv.Addr).items(ns + ":"); len(left) != 0 {
				t.Errorf("%d items are left", len(left))
			}
		})
	}
}

// While large records are replaced and deleted, readers find whole ones.
func TestLargeRecordsAreReadWholeWhileTheyAreReplaced(t *testing.T) {
	srv := startServer(t)
	ns := namespace()
	var all sync.WaitGroup
	for i := range 4 {
		s := open(t, srv.Addr, dynamodb.Options{Namespace: ns, EventuallyConsistent: i == 3})
		all.Go(func() {
			for n := range 8 {
				r, err := s.Get(t.Context(), "k")
				if err != nil || r.Version != "" && !bytes.Equal(r.Data, large(r.Data[0])) {
					t.Errorf("Get: %d bytes, %v", len(r.Data), err)
				}
				if i%2 == 0 {
					err = s.Put(t.Context(), "k", store.Record{Data: large(byte(10*i + n)), Version: r.Version})
				} else if n == 4 {
					err = s.Delete(t.Context(), "k", r.Version)
				}
				if err != nil && !errors.Is(err, store.ErrConflict) {
					t.Errorf("change: %v", err)
				}
			}
		})
	}
	all.Wait()
}

func TestRecordOfALaterFormatStays(t *testing.T) {
	srv := startServer(t)
	ns := namespace()
	s, c := open(t, srv.Addr, dynamodb.Options{Namespace: ns}), rawTable(t, srv.Addr)
	put(t, s, "k", store.Record{Data: []byte("x"), Expires: time.Now().Add(time.Hour)})
	later := c.items(ns + ":k")[0]
	later["f"], later["e"] = &types.AttributeValueMemberN{Value: "2"}, &types.AttributeValueMemberN{Value: "1"}
	v := later["v"].(*types.AttributeValueMemberS).Value
	c.put(later)
	_, err := s.Get(t.Context(), "k")
	require.ErrorIs(t, err, store.ErrNewer)
	_, err = s.GetMulti(t.Context(), []string{"j", "k"})
	require.ErrorIs(t, err, store.ErrNewer)
	for _, version := range []string{"", v} {
		require.ErrorIs(t, s.Put(t.Context(), "k", store.Record{Data: []byte("y"), Version: version}), store.ErrNewer)
	}
	require.ErrorIs(t, s.Delete(t.Context(), "k", v), store.ErrNewer)
	n, err := s.DeleteExpired(t.Context(), time.Now())
	require.NoError(t, err)
	require.Zero(t, n)
	require.Empty(t, cmp.Diff(later["v"], c.items(ns + ":k")[0]["v"], cmp.AllowUnexported(types.AttributeValueMemberS{})))
	require.NoError(t, s.Delete(t.Context(), "k", ""))
	put(t, s, "k", store.Record{Data: []byte("z")})
}

// What another process may write and this store does not read is absent from a list, and keeps nothing else from it.
func TestRangeLeavesOutWhatIsTooLarge(t *testing.T) {
	srv := startServer(t)
	ns := namespace()
	s, all := open(t, srv.Addr, dynamodb.Options{Namespace: ns, MaxRecordBytes: 100_000}), open(t, srv.Addr, dynamodb.Options{Namespace: ns})
	for key, data := range map[string][]byte{"small": []byte("x"), "large": large(1)[:200_000], "chunked": large(1)} {
		put(t, all, key, store.Record{Data: data, Kind: store.KindEntry})
	}
	for want, s := range map[string]*dynamodb.Store{"small": s, "chunked large small": all} {
		var keys []string
		require.NoError(t, s.Range(t.Context(), store.KindEntry, func(key string, _ store.Record) bool { keys = append(keys, key); return true }))
		slices.Sort(keys)
		require.Equal(t, want, strings.Join(keys, " "))
	}
}

// A change whose reply got lost is sent again, made once, and reported as made.
func TestChangeWhoseReplyIsLostIsMadeOnce(t *testing.T) {
	srv := startServer(t)
	s, calls := openIntercepted(t, srv.Addr, dynamodb.Options{})
	for _, data := range [][]byte{[]byte("small"), large(3)} {
		version := ""
		for range 2 { // a new record, and one in the place of another
			calls.set(losing("PutItem"))
			require.NoError(t, s.Put(t.Context(), "k", store.Record{Data: data, Version: version}))
			calls.set(nil)
			r := get(t, s, "k")
			require.Equal(t, data, r.Data)
			version = r.Version
		}
		calls.set(losing("DeleteItem"))
		require.NoError(t, s.Delete(t.Context(), "k", version))
		calls.set(nil)
		require.Empty(t, get(t, s, "k").Version)
	}
}

// What DynamoDB throttles is an error at once: no call is sent again.
func TestThrottledCallFailsAtOnce(t *testing.T) {
	srv := startServer(t)
	s, calls := openIntercepted(t, srv.Addr, dynamodb.Options{})
	for name, call := range map[string]func() error{
		"Get":      func() error { _, err := s.Get(t.Context(), "k"); return err },
		"GetMulti": func() error { _, err := s.GetMulti(t.Context(), []string{"k", "l"}); return err },
		"Put":      func() error { return s.Put(t.Context(), "k", store.Record{Data: []byte("x")}) },
		"Delete":   func() error { return s.Delete(t.Context(), "k", "v") },
		"Range":    func() error { return s.Range(t.Context(), 1, func(string, store.Record) bool { return true }) },
		"Clear":    func() error { return s.Clear(t.Context()) },
	} {
		for _, errorType := range []string{"ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded"} {
			calls.set(func(_ string, r *http.Request) (*http.Response, error) { return refusal(r, 400, errorType), nil })
			if err := call(); err == nil || !strings.HasPrefix(err.Error(), "dynamodb: ") || !strings.Contains(err.Error(), errorType) {
				t.Errorf("%s: %v, want an error that names %s", name, err, errorType)
			}
			if n := len(calls.sent()); n != 1 {
				t.Errorf("%s, throttled, is sent %d times", name, n)
			}
		}
	}
	calls.set(func(_ string, r *http.Request) (*http.Response, error) {
		return refusal(r, 500, "InternalServerError"), nil
	})
	_, err := s.Get(t.Context(), "k")
	require.Error(t, err)
	require.Len(t, calls.sent(), 2, "a server's error is tried once more")
}

// puttingOff answers batches of one operation as DynamoDB may: one item of a batch at a time, and none in each third call.
func puttingOff(t *testing.T, batch, requests, left string) func(op string, r *http.Request) (*http.Response, error) {
	var mu sync.Mutex // guards calls
	calls := 0
	return func(op string, r *http.Request) (*http.Response, error) {
		if op != batch {
			return http.DefaultTransport.RoundTrip(r)
		}
		mu.Lock()
		calls++
		none := calls%3 == 1
		mu.Unlock()
		text, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		var in map[string]any
		if err := json.Unmarshal(text, &in); err != nil {
			return nil, err
		}
		rest := in["RequestItems"].(map[string]any)
		var put any
		if list, ok := rest["cache"].([]any); ok { // writes
			if none {
				put = list
				in["RequestItems"] = map[string]any{"cache": list[:0]}
			} else {
				put, in["RequestItems"] = list[1:], map[string]any{"cache": list[:1]}
			}
		} else {
			keys := rest["cache"].(map[string]any)["Keys"].([]any)
			n := 1
			if none {
				n = 0
			}
			put = map[string]any{"Keys": keys[n:], "ConsistentRead": true}
			in["RequestItems"] = map[string]any{"cache": map[string]any{"Keys": keys[:n], "ConsistentRead": true}}
			if len(keys[n:]) == 0 {
				put = nil
			}
		}
		out := map[string]any{}
		resp := refusal(r, 200, "")
		if !none {
			if text, err = json.Marshal(in); err != nil {
				return nil, err
			}
			if resp, text, err = edited(r, text); err != nil {
				return nil, err
			}
			if resp.StatusCode != 200 {
				t.Errorf("%s: %s", batch, text)
			}
			if err := json.Unmarshal(text, &out); err != nil {
				return nil, err
			}
		}
		if list, ok := put.([]any); put != nil && (!ok || len(list) > 0) {
			out[left] = map[string]any{"cache": put}
		}
		text, err = json.Marshal(out)
		resp.Header.Del("X-Amz-Crc32")
		resp.Header.Del("Content-Length")
		resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
		return resp, err
	}
}

func TestItemsThatAreNotProcessedAreAskedForAgain(t *testing.T) {
	srv := startServer(t)
	s, calls := openIntercepted(t, srv.Addr, dynamodb.Options{})
	var keys []string
	for i := range 7 {
		keys = append(keys, fmt.Sprint("k", i))
		put(t, s, keys[i], store.Record{Data: []byte(keys[i])})
	}
	calls.set(puttingOff(t, "BatchGetItem", "RequestItems", "UnprocessedKeys"))
	records, err := s.GetMulti(t.Context(), keys)
	require.NoError(t, err)
	for i, r := range records {
		require.Equal(t, keys[i], string(r.Data))
	}
	require.Greater(t, len(calls.sent()), 7)
	calls.set(puttingOff(t, "BatchWriteItem", "RequestItems", "UnprocessedItems"))
	require.Equal(t, large(4), put(t, s, "large", store.Record{Data: large(4)}).Data)
	require.NoError(t, s.Clear(t.Context()))
	calls.set(nil)
	for _, key := range append(keys, "large") {
		require.Empty(t, get(t, s, key).Version)
	}
	// What is never processed ends with the context.
	calls.set(func(_ string, r *http.Request) (*http.Response, error) {
		resp := refusal(r, 200, "")
		text := `{"UnprocessedKeys":{"cache":{"Keys":[{"id":{"S":"x"}}]}}}`
		resp.Body, resp.ContentLength = io.NopCloser(strings.NewReader(text)), int64(len(text))
		return resp, nil
	})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = s.GetMulti(ctx, []string{"x"})
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

// A store whose table is not there says so, or creates it.
func TestTableIsCreated(t *testing.T) {
	addr := server.Start(t).Addr
	s := open(t, addr, dynamodb.Options{})
	_, err := s.Get(t.Context(), "k")
	require.ErrorContains(t, err, "dynamodb: get: there is no table cache: call CreateTable, or set Options.CreateTable")
	require.Error(t, s.Ping(t.Context()))

	own := open(t, addr, dynamodb.Options{CreateTable: true})
	require.ErrorContains(t, own.Ping(t.Context()), "the table cache is being created")
	testutil.Eventually(t, "the table", func() bool { return own.Ping(t.Context()) == nil })
	put(t, s, "k", store.Record{Data: []byte("x")})
	require.NoError(t, s.CreateTable(t.Context()), "with the table there")
	require.NoError(t, own.Close())
	require.NoError(t, own.Close())
}
