package tape_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/har"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/plytest"
	"github.com/plyhttp/ply/plytest/tape"
)

func newRecorder(t *testing.T, o tape.RecorderOptions) *tape.Recorder {
	t.Helper()
	r, err := tape.NewRecorder(o)
	require.NoError(t, err)
	return r
}

func TestRecorderKeepsTheContractOfALayer(t *testing.T) {
	plytest.CheckMiddleware(t, ply.Chain(newRecorder(t, tape.RecorderOptions{}).Middleware)) // as a client mounts it
}

func TestRecorderRefusesANegativeLimit(t *testing.T) {
	_, err := tape.NewRecorder(tape.RecorderOptions{MaxBodyBytes: -1})
	require.ErrorContains(t, err, "MaxBodyBytes")
}

// A program's calls, with a retry among them: each exchange is on the tape as it came, to less than a millisecond, and the program can go on.
func TestRecorderKeepsWhatAProgramExchanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder(t, tape.RecorderOptions{})
		origin := plytest.NewOrigin(plytest.Reply{Status: 503, Wait: 250 * time.Microsecond}, plytest.Text("hello", "X-A", "1"), plytest.Fail(errors.New("down")))
		client, err := ply.New(ply.Options{Transport: origin, Use: []ply.Middleware{retry.New(retry.Options{Backoff: retry.Constant(time.Second)}), r.Middleware}})
		require.NoError(t, err)
		defer client.Close()
		require.Empty(t, r.Tape().Exchanges)
		text, err := ply.Text(client.Get(t.Context(), "http://h.test/a?token=canary"))
		require.NoError(t, err)
		require.Equal(t, "hello", text)
		_, err = client.Post(t.Context(), "http://h.test/b", ply.BodyString("content"))
		require.Error(t, err)

		type exchange struct {
			At, Wait  time.Duration
			URL, Sent string
			Status    int
			Body      string
			Failed    tape.FailureKind
		}
		var got []exchange
		for _, e := range r.Tape().Exchanges {
			x := exchange{At: e.At, URL: e.Request.URL, Sent: string(e.Request.Body)}
			if e.Response != nil {
				x.Wait, x.Status, x.Body = e.Response.Wait, e.Response.Status, string(e.Response.Body())
			}
			if e.Failure != nil {
				x.Failed = e.Failure.Kind
			}
			got = append(got, x)
		}
		after := time.Second + 250*time.Microsecond
		want := []exchange{
			{0, 250 * time.Microsecond, "http://h.test/a?token=canary", "", 503, "", ""}, {after, 0, "http://h.test/a?token=canary", "", 200, "hello", ""}, {after, 0, "http://h.test/b", "content", 0, "", tape.FailureOther},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		var archive bytes.Buffer
		require.NoError(t, r.Tape().WriteHAR(&archive, har.Options{}))
		require.NotContains(t, archive.String(), "canary")
		report, err := tape.Replay(context.Background(), r.Tape(), tape.ReplayOptions{})
		require.NoError(t, err)
		require.EqualValues(t, 3, report.Requests)
	})
}

// A body above the limit reaches the program whole. On the tape, a response's ends at the limit with a failure that says so, and a request's is left out.
func TestRecorderKeepsBodiesUpToItsLimit(t *testing.T) {
	echo := ply.HandlerFunc(func(req *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, ContentLength: -1, Header: http.Header{}, Body: req.Body, Request: req}, nil
	})
	for _, tt := range []struct {
		body string
		cut  bool
	}{{"1234", false}, {"12345", true}} {
		r := newRecorder(t, tape.RecorderOptions{MaxBodyBytes: 4})
		req, err := http.NewRequest("POST", "http://h.test/", strings.NewReader(tt.body))
		require.NoError(t, err)
		resp, err := r.Middleware(echo).RoundTrip(req)
		require.NoError(t, err)
		var got []byte
		for piece := make([]byte, 2); err == nil; {
			var n int
			n, err = resp.Body.Read(piece)
			got = append(got, piece[:n]...)
		}
		require.Equal(t, tt.body, string(got))
		e := r.Tape().Exchanges[0]
		if !tt.cut {
			require.Equal(t, []string{tt.body, tt.body}, []string{string(e.Request.Body), string(e.Response.Body())})
			require.Nil(t, e.Failure)
			continue
		}
		require.Equal(t, []string{"", "1234"}, []string{string(e.Request.Body), string(e.Response.Body())})
		require.Contains(t, e.Failure.Text, "no more than 4 bytes")
	}
}

// What cannot be read a second time is recorded as it is sent, and the request does not fail for it.
func TestRecorderOfARequestWhoseBodyIsReadOnce(t *testing.T) {
	r := newRecorder(t, tape.RecorderOptions{})
	req, err := http.NewRequest("POST", "http://h.test/", strings.NewReader("content"))
	require.NoError(t, err)
	req.GetBody = func() (io.ReadCloser, error) { return nil, errors.New("the file is gone") }
	resp, err := r.Middleware(answers(func(r *http.Request) string { b, _ := io.ReadAll(r.Body); return string(b) })).RoundTrip(req)
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, "content", string(body))
	require.Equal(t, "content", string(r.Tape().Exchanges[0].Request.Body))
}

// A tape can be taken while calls are under way: it is a copy, which they do not change.
func TestTapeOfARecorderIsTakenDuringCalls(t *testing.T) {
	r := newRecorder(t, tape.RecorderOptions{})
	client, err := ply.New(ply.Options{Transport: plytest.NewOrigin(plytest.Text(strings.Repeat("x", 10_000))), Use: []ply.Middleware{r.Middleware}})
	require.NoError(t, err)
	defer client.Close()
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 20 {
				if _, err := ply.Text(client.Post(t.Context(), "http://h.test/", ply.BodyString("content"))); err != nil {
					t.Error(err)
				}
			}
		})
		all.Go(func() {
			for range 20 {
				taken := r.Tape()
				var before, after bytes.Buffer
				if err := errors.Join(taken.Encode(&before), taken.Encode(&after)); err != nil || before.String() != after.String() {
					t.Errorf("a tape has changed: %v", err)
				}
			}
		})
	}
	all.Wait()
	require.Len(t, r.Tape().Exchanges, 80)
}
