package cache_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/expiry"
	"github.com/plyhttp/ply/keying"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/plytest"
	"github.com/plyhttp/ply/store/storetest"
)

// heard is what a reader of a stream hears, and when.
type heard struct {
	At   time.Duration
	Text string
}

// spoken is the body of an event stream: each text comes at its time after the header, and then the end, or an error.
type spoken struct {
	ctx   context.Context
	texts []heard
	err   error
	began time.Time
	close func()
}

func newSpoken(ctx context.Context, texts []heard, err error) *spoken {
	ctx, cancel := context.WithCancelCause(ctx)
	return &spoken{ctx, append([]heard(nil), texts...), err, time.Now(), func() { cancel(net.ErrClosed) }}
}

func (s *spoken) Read(p []byte) (int, error) {
	if len(s.texts) == 0 {
		return 0, s.err
	}
	next := &s.texts[0]
	select {
	case <-time.After(time.Until(s.began.Add(next.At))):
	case <-s.ctx.Done():
		return 0, context.Cause(s.ctx)
	}
	n := copy(p, next.Text)
	if next.Text = next.Text[n:]; next.Text == "" {
		s.texts = s.texts[1:]
	}
	return n, nil
}

// Close ends a Read that waits, as the body of a connection does.
func (s *spoken) Close() error {
	s.close()
	return nil
}

// speaks makes an origin of event streams that end with err.
func speaks(err error, texts []heard, fields ...string) *origin {
	return &origin{answer: func(r *http.Request) *http.Response {
		resp := reply(200, "", append([]string{"Content-Type: text/event-stream", "Cache-Control: max-age=60"}, fields...)...)
		resp.ContentLength = -1
		resp.Body = newSpoken(r.Context(), texts, err)
		return resp
	}}
}

// hear reads a body, and says what came when, counted from now.
func hear(body io.Reader) (all []heard, err error) {
	began, p := time.Now(), make([]byte, 4<<10)
	for {
		n, err := body.Read(p)
		if n > 0 {
			all = append(all, heard{time.Since(began), string(p[:n])})
		}
		if err != nil {
			return all, err
		}
	}
}

// listen sends a GET and hears the answer.
func (g *rig) listen(fields ...string) (all []heard, outcome, detail string) {
	g.Helper()
	r, err := http.NewRequestWithContext(g.Context(), "GET", url, nil)
	require.NoError(g, err)
	for _, line := range fields {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Add(name, value)
	}
	resp, err := g.rt.RoundTrip(r)
	require.NoError(g, err)
	all, err = hear(resp.Body)
	require.ErrorIs(g, err, io.EOF)
	require.NoError(g, resp.Body.Close())
	s, _ := cache.StatusOf(resp)
	return all, s.Outcome(), s.Detail
}

// answer is a stream of three pieces, the first of which has two events.
var answer = []heard{{time.Second, "data: 1\n\ndata: 2\n\n"}, {1500 * time.Millisecond, "data: 3\n"}, {4 * time.Second, "\n"}}

const wholeStream = "data: 1\n\ndata: 2\n\ndata: 3\n\n"

func TestEventStreamReplay(t *testing.T) {
	for _, test := range []struct {
		mode   cache.EventStreamMode
		again  []heard
		detail string
		asked  int
	}{
		{cache.EventStreamsNotStored, answer, "not stored: event stream", 2},
		{cache.EventStreamsAtOnce, []heard{{0, wholeStream}}, "event stream, at once", 1},
		{cache.EventStreamsPaced, answer, "event stream, paced", 1},
	} {
		for _, collapse := range []bool{true, false} {
			t.Run(fmt.Sprint(test.mode, " collapsing ", collapse), func(t *testing.T) {
				inBubble(t, func(t *testing.T) {
					g := newRig(t, speaks(io.EOF, answer), cache.Options{EventStreams: test.mode, NoCollapse: !collapse})
					first, outcome, _ := g.listen()
					if diff := cmp.Diff(answer, first); diff != "" || outcome != "miss" {
						t.Errorf("the first caller: %s (-want +got)\n%s", outcome, diff)
					}
					synctest.Wait()
					again, _, detail := g.listen()
					if diff := cmp.Diff(test.again, again); diff != "" || detail != test.detail {
						t.Errorf("the second caller: %q (-want +got)\n%s", detail, diff)
					}
					if len(g.origin.asked) != test.asked {
						t.Errorf("the origin was asked %d times, want %d", len(g.origin.asked), test.asked)
					}
				})
			})
		}
	}
}

// What has not ended well is never stored, and each caller gets what came.
func TestEventStreamThatIsNotWholeIsNotStored(t *testing.T) {
	broke := errors.New("connection reset")
	for name, test := range map[string]struct {
		texts   []heard
		err     error
		options cache.Options
		fields  []string
		reason  string
	}{
		"broken off between events": {texts: answer, err: broke, reason: "the body broke off"},
		"cut between events":        {texts: answer, err: io.ErrUnexpectedEOF, reason: "the body broke off"},
		"ended inside an event":     {texts: answer[:2], err: io.EOF, reason: "the event stream ended inside an event"},
		"ended inside a line":       {texts: []heard{{0, "data: 1\n\ndat"}}, err: io.EOF, reason: "the event stream ended inside an event"},
		"without an event":          {texts: []heard{{0, ": hello\n\n"}}, err: io.EOF, reason: "the event stream ended without an event"},
		"empty":                     {err: io.EOF, reason: "the event stream ended without an event"},
		"with an error event":       {texts: []heard{{0, "data: 1\n\nevent: error\ndata: overloaded\n\n"}}, err: io.EOF, reason: "the event stream has an event of type error"},
		"too large":                 {texts: answer, err: io.EOF, options: cache.Options{MaxEntryBytes: 20}, reason: "body exceeds MaxEntryBytes"},
		"with a content coding":     {texts: answer, err: io.EOF, fields: []string{"Content-Encoding: br"}, reason: "event stream with a content coding"},
		"refused by FilterBody": {texts: answer, err: io.EOF, reason: "filter of the body", options: cache.Options{
			FilterBody: func(_ *http.Request, _ *http.Response, body []byte) bool {
				return bytes.HasSuffix(body, []byte("data: [DONE]\n\n"))
			},
		}},
		"no-store": {texts: answer, err: io.EOF, fields: []string{"Cache-Control: no-store"}, reason: "no-store"},
	} {
		for _, collapse := range []bool{true, false} {
			t.Run(fmt.Sprint(name, " collapsing ", collapse), func(t *testing.T) {
				inBubble(t, func(t *testing.T) {
					var reasons []string
					o := test.options
					o.EventStreams, o.NoCollapse = cache.EventStreamsAtOnce, !collapse
					o.Trace = &cache.Trace{NotStored: func(_ *http.Request, reason string) { reasons = append(reasons, reason) }}
					g := newRig(t, speaks(test.err, test.texts, test.fields...), o)
					resp, err := g.rt.RoundTrip(must(http.NewRequestWithContext(t.Context(), "GET", url, nil)))
					require.NoError(t, err)
					all, err := hear(resp.Body)
					require.ErrorIs(t, err, test.err)
					require.NoError(t, resp.Body.Close())
					if diff := cmp.Diff(test.texts, all); diff != "" {
						t.Errorf("the caller (-want +got)\n%s", diff)
					}
					synctest.Wait()
					if diff := cmp.Diff([]string{test.reason}, reasons); diff != "" || g.entries() > 0 {
						t.Errorf("%d stored (-want +got)\n%s", g.entries(), diff)
					}
				})
			})
		}
	}
}

func TestEventStreamWithAnotherStatusIsNotStored(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, &origin{answer: func(*http.Request) *http.Response {
			return reply(404, "data: 1\n\n", "Content-Type: text/event-stream", "Cache-Control: max-age=60")
		}}, cache.Options{EventStreams: cache.EventStreamsAtOnce})
		g.get(url)
		if have, _ := g.get(url); have.Outcome != "miss" {
			t.Error(have)
		}
	})
}

// A caller that closes early, or cancels, leaves nothing in the store; the stream of the others goes on.
func TestEventStreamThatItsReaderLeavesIsNotStored(t *testing.T) {
	for name, leave := range map[string]func(resp *http.Response, cancel context.CancelFunc){
		"closed":   func(resp *http.Response, _ context.CancelFunc) { resp.Body.Close() },
		"canceled": func(_ *http.Response, cancel context.CancelFunc) { cancel() },
	} {
		for _, collapse := range []bool{true, false} {
			t.Run(fmt.Sprint(name, " collapsing ", collapse), func(t *testing.T) {
				inBubble(t, func(t *testing.T) {
					g := newRig(t, speaks(io.EOF, answer), cache.Options{EventStreams: cache.EventStreamsPaced, NoCollapse: !collapse})
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					resp, err := g.rt.RoundTrip(must(http.NewRequestWithContext(ctx, "GET", url, nil)))
					require.NoError(t, err)
					_, err = resp.Body.Read(make([]byte, 100))
					require.NoError(t, err)
					leave(resp, cancel)
					resp.Body.Close()
					synctest.Wait()
					if g.entries() > 0 {
						t.Error("a part of a stream is stored")
					}
				})
			})
		}
	}
}

// Followers of a fetch hear what has been said at once, and the rest when it is said.
func TestEventStreamIsSharedWhileItComes(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, speaks(io.EOF, answer), cache.Options{EventStreams: cache.EventStreamsPaced})
		var readers sync.WaitGroup
		readers.Go(func() { g.listen() })
		for _, after := range []time.Duration{0, 1200 * time.Millisecond, 3 * time.Second} {
			readers.Go(func() {
				time.Sleep(after)
				var want []heard
				for _, piece := range answer {
					piece.At = max(piece.At-after, 0)
					if n := len(want); n > 0 && want[n-1].At == piece.At {
						want[n-1].Text += piece.Text
						continue
					}
					want = append(want, piece)
				}
				all, _, _ := g.listen()
				if diff := cmp.Diff(want, all); diff != "" {
					t.Errorf("after %v (-want +got)\n%s", after, diff)
				}
			})
		}
		readers.Wait()
		if len(g.origin.asked) != 1 {
			t.Errorf("asked %d times", len(g.origin.asked))
		}
	})
}

// A replay that waits ends at once with its reader. That no goroutine is left, the bubble checks.
func TestEventStreamReplayEndsWithItsReader(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, speaks(io.EOF, answer), cache.Options{EventStreams: cache.EventStreamsPaced})
		g.listen()
		synctest.Wait()
		why := errors.New("enough")
		for name, test := range map[string]struct {
			leave func(*http.Response, context.CancelCauseFunc)
			want  error
		}{
			"closed":   {func(resp *http.Response, _ context.CancelCauseFunc) { resp.Body.Close() }, http.ErrBodyReadAfterClose},
			"canceled": {func(_ *http.Response, cancel context.CancelCauseFunc) { cancel(why) }, why},
		} {
			ctx, cancel := context.WithCancelCause(t.Context())
			resp, err := g.rt.RoundTrip(must(http.NewRequestWithContext(ctx, "GET", url, nil)))
			require.NoError(t, err)
			began, left := time.Now(), make(chan struct{})
			go func() {
				time.Sleep(1200 * time.Millisecond)
				test.leave(resp, cancel)
				close(left)
			}()
			all, err := hear(resp.Body)
			if took := time.Since(began); !errors.Is(err, test.want) || took != 1200*time.Millisecond || len(all) != 1 {
				t.Errorf("%s: %v after %v, heard %v", name, err, took, all)
			}
			if _, err := resp.Body.Read(make([]byte, 1)); !errors.Is(err, test.want) {
				t.Errorf("%s: then %v", name, err)
			}
			<-left
			resp.Body.Close()
			cancel(nil)
		}
		if len(g.origin.asked) != 1 {
			t.Errorf("asked %d times", len(g.origin.asked))
		}
	})
}

// What was due while the reader did something else is there at once, in small buffers, too.
func TestEventStreamReplayCatchesUp(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, speaks(io.EOF, answer), cache.Options{EventStreams: cache.EventStreamsPaced})
		g.listen()
		synctest.Wait()
		resp, err := g.rt.RoundTrip(must(http.NewRequestWithContext(t.Context(), "GET", url, nil)))
		require.NoError(t, err)
		defer resp.Body.Close()
		time.Sleep(2 * time.Second)
		began, p := time.Now(), make([]byte, 1)
		for range len(wholeStream) - 1 {
			_, err := io.ReadFull(resp.Body, p)
			require.NoError(t, err)
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("what was due took %v", took)
		}
		rest, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		if took := time.Since(began); string(rest) != "\n" || took != 2*time.Second {
			t.Errorf("%q after %v", rest, took)
		}
	})
}

// Last-Event-ID asks for what came after an event: nothing stored begins there, and its answer is not the stream that others ask for.
func TestEventStreamIsTakenUpAtTheOrigin(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, speaks(io.EOF, answer), cache.Options{EventStreams: cache.EventStreamsAtOnce})
		for _, name := range []string{"Last-Event-Id", "Last-Event-ID"} {
			if _, outcome, detail := g.listen(name + ": 7"); outcome != "bypassed" || detail != "Last-Event-ID" {
				t.Errorf("nothing is stored: %s, %s", outcome, detail)
			}
		}
		if _, outcome, _ := g.listen(); outcome != "miss" {
			t.Errorf("the answer to Last-Event-ID is stored: %s", outcome)
		}
		synctest.Wait()
		if _, outcome, _ := g.listen("Last-Event-ID: 7"); outcome != "bypassed" {
			t.Errorf("a stored stream is replayed from its beginning: %s", outcome)
		}
		if _, outcome, _ := g.listen(); outcome != "hit" {
			t.Error(outcome)
		}
	})
}

// The answer to a POST that names itself answers later GET requests (RFC 9110 §9.3.3), but not if it begins after an event.
func TestEventStreamFromLastEventIDOnAnswersNoGET(t *testing.T) {
	for field, want := range map[string]string{"Last-Event-ID: 7": "miss", "X: 7": "hit"} {
		inFreshBubble(t, func(t *testing.T) {
			g := newRig(t, speaks(io.EOF, answer, "Content-Location: "+url), cache.Options{EventStreams: cache.EventStreamsAtOnce})
			g.do("POST", url, field)
			synctest.Wait()
			if _, outcome, _ := g.listen(); outcome != want {
				t.Errorf("after a POST with %s: %s, want %s", field, outcome, want)
			}
		})
	}
}

// Without the option nothing changes: the field is like any other.
func TestLastEventIDWithoutStoredStreams(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, says("x", "Cache-Control: max-age=60"), cache.Options{})
		g.get(url, "Last-Event-ID: 7")
		have, _ := g.get(url, "Last-Event-ID: 8")
		g.want(have, 200, "x", "hit", 1)
	})
}

// Two caches share a store: one with the option off neither serves what the other has stored, nor breaks it.
func TestEventStreamInASharedStore(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		shared := storetest.NewMap(1 << 20)
		o := speaks(io.EOF, answer)
		paced := newRig(t, o, cache.Options{EventStreams: cache.EventStreamsPaced, Store: shared})
		paced.listen()
		synctest.Wait()
		atOnce := newRig(t, o, cache.Options{EventStreams: cache.EventStreamsAtOnce, Store: shared})
		all, outcome, _ := atOnce.listen()
		if diff := cmp.Diff([]heard{{0, wholeStream}}, all); diff != "" || outcome != "hit" {
			t.Errorf("%s (-want +got)\n%s", outcome, diff)
		}
		off := newRig(t, o, cache.Options{Store: shared})
		if _, outcome, detail := off.listen(); outcome != "miss" || !strings.Contains(detail, "not stored: event stream") {
			t.Errorf("%s, %s", outcome, detail)
		}
		if again, outcome, _ := newRig(t, o, cache.Options{EventStreams: cache.EventStreamsPaced, Store: shared}).listen(); outcome != "hit" || cmp.Diff(answer, again) != "" {
			t.Errorf("%s, %v", outcome, again)
		}
	})
}

// A stream that is confirmed, or stands in for an error, is replayed like a hit, also for the leader and the followers of a fetch.
func TestEventStreamThatIsNoHitIsReplayed(t *testing.T) {
	for _, collapse := range []bool{true, false} {
		for name, later := range map[string]func() (*http.Response, error){
			"confirmed":            func() (*http.Response, error) { return reply(304, "", `ETag: "1"`, "Cache-Control: max-age=60"), nil },
			"in place of a 503":    func() (*http.Response, error) { return reply(503, "down"), nil },
			"in place of an error": func() (*http.Response, error) { return nil, errors.New("connection refused") },
		} {
			t.Run(fmt.Sprint(name, " collapsing ", collapse), func(t *testing.T) {
				inBubble(t, func(t *testing.T) {
					g := newRig(t, speaks(io.EOF, answer, `ETag: "1"`, "Cache-Control: stale-if-error=600"), cache.Options{EventStreams: cache.EventStreamsPaced, NoCollapse: !collapse})
					g.listen()
					time.Sleep(2 * time.Minute)
					g.rt = g.Middleware(roundTripper(func(*http.Request) (*http.Response, error) {
						time.Sleep(time.Second)
						return later()
					}))
					var callers sync.WaitGroup
					for range 3 {
						callers.Go(func() {
							resp, err := g.rt.RoundTrip(must(http.NewRequestWithContext(t.Context(), "GET", url, nil)))
							if err != nil {
								t.Error(err)
								return
							}
							defer resp.Body.Close()
							all, err := hear(resp.Body)
							if diff := cmp.Diff(answer, all); diff != "" || err != io.EOF {
								t.Errorf("%v (-want +got)\n%s", err, diff)
							}
						})
					}
					callers.Wait()
				})
			})
		}
	}
}

// What stands in for an answer that has not come by the caller's deadline has no pauses: there is no time left for them.
func TestEventStreamAfterTheDeadlineIsReplayedAtOnce(t *testing.T) {
	for _, collapse := range []bool{true, false} {
		t.Run(fmt.Sprint("collapsing ", collapse), func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				g := newRig(t, speaks(io.EOF, answer, "Cache-Control: stale-if-error=600"), cache.Options{EventStreams: cache.EventStreamsPaced, NoCollapse: !collapse})
				g.listen()
				time.Sleep(2 * time.Minute)
				g.rt = g.Middleware(roundTripper(func(r *http.Request) (*http.Response, error) {
					<-r.Context().Done()
					return nil, r.Context().Err()
				}))
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				resp, err := g.rt.RoundTrip(must(http.NewRequestWithContext(ctx, "GET", url, nil)))
				require.NoError(t, err)
				defer resp.Body.Close()
				all, err := hear(resp.Body)
				if diff := cmp.Diff([]heard{{0, wholeStream}}, all); diff != "" || err != io.EOF {
					t.Errorf("%v (-want +got)\n%s", err, diff)
				}
			})
		})
	}
}

// A refresh in the background reads the new stream to its end, and callers meanwhile get the old one.
func TestEventStreamIsRefreshedInTheBackground(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, speaks(io.EOF, answer, "Cache-Control: stale-while-revalidate=60"), cache.Options{EventStreams: cache.EventStreamsPaced})
		g.listen()
		time.Sleep(time.Minute)
		if _, outcome, detail := g.listen(); outcome != "stale" || detail != "stale-while-revalidate; event stream, paced" {
			t.Errorf("%s, %s", outcome, detail)
		}
		time.Sleep(10 * time.Second)
		if all, outcome, _ := g.listen(); outcome != "hit" || cmp.Diff(answer, all) != "" {
			t.Errorf("%s, %v", outcome, all)
		}
		if len(g.origin.asked) != 2 {
			t.Errorf("asked %d times", len(g.origin.asked))
		}
	})
}

// The parts of a stream, and its header alone, are served like those of any response.
func TestEventStreamRangesAndConditions(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, speaks(io.EOF, answer, `ETag: "1"`), cache.Options{EventStreams: cache.EventStreamsPaced})
		g.listen()
		synctest.Wait()
		began := time.Now()
		have, _ := g.get(url, "Range: bytes=0-3")
		g.want(have, 206, "data", "hit", 1)
		have, _ = g.get(url, `If-None-Match: "1"`)
		g.want(have, 304, "", "hit", 1)
		have, _ = g.do("HEAD", url)
		g.want(have, 200, "", "hit", 1)
		if took := time.Since(began); took > time.Second/10 {
			t.Errorf("took %v", took)
		}
	})
}

// An answer to POST is stored by the question, and each question has its own.
func TestEventStreamByQuestion(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		o := &origin{}
		o.answer = func(r *http.Request) *http.Response {
			question, err := r.GetBody()
			require.NoError(t, err)
			text, _ := io.ReadAll(question)
			resp := reply(200, "", "Content-Type: text/event-stream", "Cache-Control: no-cache")
			resp.ContentLength, resp.Body = -1, newSpoken(r.Context(), []heard{{time.Second, fmt.Sprintf("data: %s\n\n", text)}}, io.EOF)
			return resp
		}
		g := newRig(t, o, cache.Options{
			EventStreams: cache.EventStreamsAtOnce, Methods: []string{"GET", "HEAD", "POST"},
			Key: keying.New(keying.Body(keying.BodyOptions{Format: keying.FormatJSON})), Expiry: expiry.After(time.Hour),
		})
		const url = "http://llm.test/v1/chat"
		for asked, test := range []struct {
			content, outcome string
			asked            int
		}{
			{`{"q":"a","stream":true}`, "miss", 1},
			{`{"stream": true, "q": "a"}`, "hit", 1},
			{`{"q":"b","stream":true}`, "miss", 2},
			{`{"q":"b","stream":true}`, "hit", 2},
		} {
			have := g.ask(url, test.content)
			if have.Outcome != test.outcome || len(o.asked) != test.asked {
				t.Errorf("request %d: %+v, %d asked", asked, have, len(o.asked))
			}
			synctest.Wait()
		}
	})
}

func TestEventStreamIsExplained(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, speaks(io.EOF, answer), cache.Options{EventStreams: cache.EventStreamsPaced})
		r := must(http.NewRequestWithContext(t.Context(), "GET", url, nil))
		g.listen()
		synctest.Wait()
		x, err := g.Explain(t.Context(), r)
		require.NoError(t, err)
		if len(x.Stored) != 1 || x.Stored[0].EventStream != "paced, 4s" || !strings.Contains(x.String(), "  event stream, paced, 4s\n") {
			t.Error(x)
		}
		resp := reply(200, "", "Content-Type: text/event-stream", "Content-Encoding: gzip", "Cache-Control: max-age=60")
		resp.ContentLength, resp.Body = -1, io.NopCloser(strings.NewReader("x"))
		s, err := g.ExplainResponse(t.Context(), r, resp)
		require.NoError(t, err)
		if s.Reason != "event stream with a content coding" || s.Source != "Options.EventStreams" {
			t.Errorf("%+v", s)
		}
	})
}

func TestEventStreamModes(t *testing.T) {
	_, err := cache.New(cache.Options{EventStreams: 3})
	if refused := new(cache.OptionError); !errors.As(err, &refused) || refused.Option != "EventStreams" {
		t.Error(err)
	}
	if got := fmt.Sprint(cache.EventStreamsNotStored, ", ", cache.EventStreamsAtOnce, ", ", cache.EventStreamsPaced, ", ", cache.EventStreamMode(9)); got != "not stored, at once, paced, unknown" {
		t.Error(got)
	}
}

// The contract holds with stored event streams as well.
func TestCacheOfEventStreamsKeepsTheRoundTripperContract(t *testing.T) {
	for _, mode := range []cache.EventStreamMode{cache.EventStreamsAtOnce, cache.EventStreamsPaced} {
		t.Run(mode.String(), func(t *testing.T) {
			plytest.CheckMiddleware(t, func(next http.RoundTripper) http.RoundTripper {
				c, err := cache.New(cache.Options{EventStreams: mode})
				require.NoError(t, err)
				return c.Middleware(next)
			})
		})
	}
}
