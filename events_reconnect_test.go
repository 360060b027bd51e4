package ply_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/middleware/logging"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/plytest"
)

func eventReply(body string) plytest.Reply {
	return plytest.Text(body, "Content-Type", "text/event-stream")
}

func brokenStream(body string, fault plytest.Fault) plytest.Reply {
	reply := eventReply(body)
	reply.Fault = fault
	return reply
}

// reconnecting reads the events of url from an origin with a script, and returns their data, what the loop ended with, and the waits between connections.
func reconnecting(t *testing.T, origin *plytest.Origin, o ply.ReconnectOptions, opts ...ply.RequestOption) (data []string, waits []time.Duration, err error) {
	t.Helper()
	c, err := ply.New(ply.Options{Transport: origin})
	require.NoError(t, err)
	o.OnReconnect = func(_ error, wait time.Duration) { waits = append(waits, wait) }
	events, err := eventsOf(c.Events(t.Context(), "http://origin.test/feed", append(opts, ply.Reconnect(o))...))
	for _, e := range events {
		data = append(data, e.Data)
	}
	return data, waits, err
}

// waited checks a wait that has up to half as much again.
func waited(t *testing.T, waits []time.Duration, want ...time.Duration) {
	t.Helper()
	if len(waits) != len(want) {
		t.Errorf("waited %v, want about %v", waits, want)
		return
	}
	for i, wait := range waits {
		if wait < want[i] || wait > want[i]*3/2 {
			t.Errorf("wait %d is %v, want %v and up to half as much again", i+1, wait, want[i])
		}
	}
}

func lastIDs(origin *plytest.Origin) []string {
	var ids []string
	for _, x := range origin.Exchanges() {
		ids = append(ids, strings.Join(x.Header["Last-Event-Id"], "|"))
	}
	return ids
}

func TestAStreamGoesOnWhereItEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		origin := plytest.NewOrigin(
			eventReply("id: 1\ndata: a\n\nid: 2\n\nid: 3\ndata: cut off"),
			brokenStream("retry: 2000\nid: 4\ndata: b\n\ndata: c\n\n", plytest.CutAfter(30)),
			plytest.Status(503),
			plytest.ResetConnection(),
			eventReply("data: d\n\nid\ndata: e\n\n"),
			eventReply("data: f\n\n"),
			plytest.Status(204),
		)
		data, waits, err := reconnecting(t, origin, ply.ReconnectOptions{})
		require.NoError(t, err)
		if diff := cmp.Diff([]string{"a", "b", "d", "e", "f"}, data); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		// A block that has ended counts, one that was cut off does not, and an ID that was taken back is sent no more.
		if diff := cmp.Diff([]string{"", "2", "4", "4", "4", "", ""}, lastIDs(origin)); diff != "" {
			t.Errorf("Last-Event-ID (-want +got)\n%s", diff)
		}
		const s = time.Second
		waited(t, waits, 3*s, 2*s, 4*s, 8*s, 2*s, 2*s)
		for i, x := range origin.Exchanges() {
			if x.Method != "GET" || x.Header.Get("Accept") != "text/event-stream" || x.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("request %d is %s %v", i+1, x.Method, x.Header)
			}
			if i > 0 && x.At.Sub(origin.Exchanges()[i-1].At) < waits[i-1] {
				t.Errorf("request %d did not wait", i+1)
			}
			if (x.Status == 200) && !x.BodyClosed {
				t.Errorf("body %d was left open", i+1)
			}
		}
	})
}

func TestAStreamBeginsWhereTheCallerSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		origin := plytest.NewOrigin(eventReply("data: a\n\n"), eventReply("id: 9\ndata: b\n\n"), plytest.Status(204))
		c, err := ply.New(ply.Options{Transport: origin})
		require.NoError(t, err)
		events, err := eventsOf(c.Events(t.Context(), "http://origin.test/{feed}", ply.PathValue("feed", "x"), ply.SetHeader("Last-Event-ID", "7")))
		require.NoError(t, err)
		if diff := cmp.Diff([]ply.Event{{ID: "7", Type: "message", Data: "a"}, {ID: "9", Type: "message", Data: "b"}}, events); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		if diff := cmp.Diff([]string{"7", "7", "9"}, lastIDs(origin)); diff != "" {
			t.Errorf("Last-Event-ID (-want +got)\n%s", diff)
		}
	})
}

func TestStatusesThatPassAndThoseThatDoNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, status := range []int{408, 425, 429, 500, 502, 503, 504} {
			data, _, err := reconnecting(t, plytest.NewOrigin(plytest.Status(status), eventReply("data: a\n\n"), plytest.Status(204)), ply.ReconnectOptions{})
			if err != nil || len(data) != 1 {
				t.Errorf("%d: %v, %v", status, data, err)
			}
		}
		for _, status := range []int{202, 206, 304, 400, 401, 403, 404, 410, 501, 505} {
			origin := plytest.NewOrigin(eventReply("data: a\n\n"), plytest.Status(status))
			data, _, err := reconnecting(t, origin, ply.ReconnectOptions{})
			if len(data) != 1 || !ply.StatusIs(err, status) || origin.Count() != 2 {
				t.Errorf("%d: %v, %v, %d requests", status, data, err, origin.Count())
			}
		}
	})
}

func TestErrorsThatAnotherConnectionWouldMeetAgainEndTheLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, reply := range map[string]plytest.Reply{
			"a page":        plytest.Text("<p>", "Content-Type", "text/html"),
			"a certificate": plytest.BadCertificate(),
			"a guard":       plytest.FailUnsent(&ply.GuardError{Host: "origin.test"}),
			"redirects":     plytest.Status(302, "Location", "/feed"),
			"options":       plytest.Fail(&ply.OptionError{Option: "X"}),
		} {
			origin := plytest.NewOrigin(eventReply("data: a\n\n"), reply)
			data, waits, err := reconnecting(t, origin, ply.ReconnectOptions{})
			if len(data) != 1 || err == nil || len(waits) != 1 || isReconnect(err) {
				t.Errorf("%s: %v, %v, waits %v", name, data, err, waits)
			}
		}
		_, _, err := reconnecting(t, plytest.NewOrigin(eventReply("id: a\x01b\ndata: a\n\n")), ply.ReconnectOptions{})
		if err == nil || !strings.Contains(err.Error(), "control characters") {
			t.Errorf("an ID that cannot be sent: %v", err)
		}
		_, _, err = reconnecting(t, plytest.NewOrigin(), ply.ReconnectOptions{}, ply.PathValue("no", "such"))
		var bad *ply.OptionError
		if !errors.As(err, &bad) {
			t.Errorf("an option that cannot be carried out: %v", err)
		}
	})
}

// What net/http would refuse each time ends the loop at once.
func TestARequestThatCannotBeSentEndsTheLoop(t *testing.T) {
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	c := newClient(t, ply.Options{})
	for name, tt := range map[string]struct {
		url string
		opt ply.RequestOption
	}{
		"a line break in a field":      {plain.URL, ply.Bearer("token\n")},
		"a scheme that is not known":   {"htps://origin.test/feed", ply.RequestOption{}},
		"no host":                      {"http:///feed", ply.RequestOption{}},
		"https at a server without it": {strings.Replace(plain.URL, "http:", "https:", 1), ply.RequestOption{}},
	} {
		reconnects := 0
		ctx, cancel := context.WithCancel(t.Context())
		options := ply.Reconnect(ply.ReconnectOptions{OnReconnect: func(error, time.Duration) { reconnects++; cancel() }})
		var last error
		for _, err := range c.Events(ctx, tt.url, tt.opt, options) {
			last = err
		}
		cancel()
		if last == nil || reconnects > 0 {
			t.Errorf("%s: %v, after %d waits", name, last, reconnects)
		}
	}
}

func isReconnect(err error) bool {
	var gaveUp *ply.ReconnectError
	return errors.As(err, &gaveUp)
}

func TestAStreamThatBringsNothingIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const s = time.Second
		for _, tt := range []struct {
			name    string
			options ply.ReconnectOptions
			replies []plytest.Reply
			count   int
			waits   []time.Duration
			matches func(error) bool
		}{
			{"refused", ply.ReconnectOptions{}, []plytest.Reply{plytest.Refuse()}, 10, nil, func(err error) bool { return strings.Contains(err.Error(), "refused") }},
			{"unavailable", ply.ReconnectOptions{MaxFailures: 4, Wait: s}, []plytest.Reply{plytest.Status(503)}, 4, []time.Duration{2 * s, 4 * s, 8 * s}, func(err error) bool { return ply.StatusIs(err, 503) }},
			{"empty", ply.ReconnectOptions{MaxFailures: 3}, []plytest.Reply{eventReply(": nothing\n\n")}, 3, []time.Duration{6 * s, 12 * s}, func(err error) bool { return strings.Contains(err.Error(), "in order") }},
			{"empty, and in a hurry", ply.ReconnectOptions{MaxFailures: 4}, []plytest.Reply{eventReply("retry: 0\n")}, 4, []time.Duration{s, 2 * s, 4 * s}, func(err error) bool { return errors.Unwrap(err) == nil }},
			{"after an event", ply.ReconnectOptions{MaxFailures: 2, Wait: s}, []plytest.Reply{plytest.Status(503), eventReply("data: x\n\n"), plytest.Status(503)}, 4, []time.Duration{2 * s, s, 2 * s}, isReconnect},
		} {
			origin := plytest.NewOrigin(tt.replies...)
			_, waits, err := reconnecting(t, origin, tt.options)
			if !isReconnect(err) || !tt.matches(err) || origin.Count() != tt.count {
				t.Errorf("%s: %v, %d connections, want %d", tt.name, err, origin.Count(), tt.count)
			}
			if tt.waits != nil {
				waited(t, waits, tt.waits...)
			}
		}
	})
}

func TestWaitsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const s = time.Second
		_, waits, _ := reconnecting(t, plytest.NewOrigin(eventReply("retry: 99999999999999999999\ndata: a\n\n"), plytest.RetryIn(503, time.Hour), plytest.Status(204)), ply.ReconnectOptions{})
		if diff := cmp.Diff([]time.Duration{60 * s, 60 * s}, waits); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		_, waits, _ = reconnecting(t, plytest.NewOrigin(plytest.RetryIn(503, 20*s), plytest.Status(204)), ply.ReconnectOptions{})
		if diff := cmp.Diff([]time.Duration{20 * s}, waits); diff != "" {
			t.Errorf("Retry-After (-want +got)\n%s", diff)
		}
		_, waits, err := reconnecting(t, plytest.NewOrigin(plytest.Status(503)), ply.ReconnectOptions{MaxFailures: 100})
		if !isReconnect(err) || len(waits) != 99 || waits[98] != 60*s {
			t.Errorf("%v, %d waits", err, len(waits))
		}
		different := make(map[time.Duration]bool)
		for range 10 {
			_, waits, _ := reconnecting(t, plytest.NewOrigin(eventReply("data: a\n\n"), plytest.Status(204)), ply.ReconnectOptions{Wait: 10 * s})
			waited(t, waits, 10*s)
			different[waits[0]] = true
		}
		if len(different) == 1 {
			t.Error("clients that were cut off together come back together")
		}
		for _, o := range []ply.ReconnectOptions{{Wait: -1}, {MaxWait: -1}, {MinInterval: -1}} {
			var bad *ply.OptionError
			if _, _, err := reconnecting(t, plytest.NewOrigin(), o); !errors.As(err, &bad) || bad.Option != "Reconnect" {
				t.Errorf("%+v: %v", o, err)
			}
		}
	})
}

// A server that sets no pause and ends the stream after each event is asked once a second, one whose streams live longer as soon as it says.
func TestConnectionsBeginApart(t *testing.T) {
	const s = time.Second
	for name, test := range map[string]struct {
		options ply.ReconnectOptions
		lives   time.Duration // of each stream
		want    time.Duration // from one connection to the next
	}{
		"retry: 0":                   {want: s},
		"retry: 0, with a life":      {lives: s / 4, want: s},
		"retry: 0, with a long life": {lives: 30 * s, want: 30 * s},
		"an interval of one's own":   {options: ply.ReconnectOptions{MinInterval: 5 * s}, want: 5 * s},
		"a lower one":                {options: ply.ReconnectOptions{MinInterval: s / 10}, want: s / 10},
		"MaxWait is shorter":         {options: ply.ReconnectOptions{MaxWait: s / 2}, want: s / 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var asked []time.Time
				c, err := ply.New(ply.Options{Transport: testutil.RoundTripFunc(func(r *http.Request) (*http.Response, error) {
					asked = append(asked, time.Now())
					pause := io.Reader(readerFunc(func([]byte) (int, error) { time.Sleep(test.lives); return 0, io.EOF }))
					return &http.Response{
						StatusCode: 200, Header: http.Header{"Content-Type": {"text/event-stream"}}, ContentLength: -1, Request: r,
						Body: io.NopCloser(io.MultiReader(strings.NewReader("retry: 0\ndata: a\n\n"), pause)),
					}, nil
				})})
				require.NoError(t, err)
				for range c.Events(t.Context(), "http://origin.test/feed", ply.Reconnect(test.options)) {
					if len(asked) == 5 {
						break
					}
				}
				for i := range asked[1:] {
					if got := asked[i+1].Sub(asked[i]); got != test.want {
						t.Errorf("connection %d begins after %v, want %v", i+2, got, test.want)
					}
				}
			})
		})
	}
}

// A server that asks for centuries is waited for, within MaxWait, not asked each second.
func TestVeryLongPausesDoNotOverflow(t *testing.T) {
	const century = 100 * 365 * 24 * time.Hour
	for _, retry := range []time.Duration{century, 2 * century, math.MaxInt64} {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var waits []time.Duration
		origin := plytest.NewOrigin(eventReply(fmt.Sprintf("retry: %d\n\n", retry.Milliseconds())))
		c, err := ply.New(ply.Options{Transport: origin})
		require.NoError(t, err)
		for range c.Events(ctx, "http://origin.test/feed", ply.Reconnect(ply.ReconnectOptions{
			MaxWait:     math.MaxInt64,
			OnReconnect: func(_ error, wait time.Duration) { waits = append(waits, wait); cancel() },
		})) {
			continue
		}
		if len(waits) != 1 || waits[0] < retry.Truncate(time.Millisecond) {
			t.Errorf("waits %v, want one of %v or more", waits, retry)
		}
	}
}

// A caller may let the first connection be answered by a stored stream. The next ones ask the origin, with an ID or without: a stored stream is never replayed twice.
func TestAStoredStreamIsReplayedOnce(t *testing.T) {
	for name, id := range map[string]string{"with an ID": "id: 7\n", "without": ""} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store, err := cache.New(cache.Options{EventStreams: cache.EventStreamsPaced})
				require.NoError(t, err)
				defer store.Close()
				first := eventReply(id + "data: a\n\n")
				first.Header.Set("Cache-Control", "max-age=3600")
				origin := plytest.NewOrigin(first, eventReply("data: b\n\n"), plytest.Status(204))
				c, err := ply.New(ply.Options{Transport: origin, Use: []ply.Middleware{store.Middleware}})
				require.NoError(t, err)
				const url = "http://origin.test/feed"
				_, err = eventsOf(ply.Events(c.Get(t.Context(), url)))
				require.NoError(t, err)
				events, err := eventsOf(c.Events(t.Context(), url, ply.SetHeader("Cache-Control", "max-age=600")))
				require.NoError(t, err)
				if len(events) != 2 || events[0].Data != "a" || events[1].Data != "b" || origin.Count() != 3 {
					t.Errorf("%+v, and %d requests", events, origin.Count())
				}
			})
		})
	}
}

func TestTheContextEndsALoopOverEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, reply := range map[string]plytest.Reply{
			"while it waits":    eventReply("data: a\n\n"),
			"while it reads":    brokenStream("data: a\n\ndata: b\n\n", plytest.StallAfter(9)),
			"while it connects": plytest.Stall(),
		} {
			c, err := ply.New(ply.Options{Transport: plytest.NewOrigin(reply)})
			require.NoError(t, err)
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			begin, waits := time.Now(), 0
			_, err = eventsOf(c.Events(ctx, "http://origin.test/", ply.Reconnect(ply.ReconnectOptions{OnReconnect: func(error, time.Duration) { waits++ }})))
			if !errors.Is(err, context.DeadlineExceeded) || isReconnect(err) || time.Since(begin) != 2*time.Second || waits > 0 && name != "while it waits" {
				t.Errorf("%s: %v after %v and %d waits", name, err, time.Since(begin), waits)
			}
			cancel()
		}
		c, err := ply.New(ply.Options{Transport: plytest.NewOrigin(eventReply("data: a\n\n"))})
		require.NoError(t, err)
		err = nil
		for _, err = range c.Events(t.Context(), "http://origin.test/") {
			c.Close()
		}
		if !errors.Is(err, ply.ErrClientClosed) || isReconnect(err) {
			t.Errorf("a client that is closed: %v", err)
		}
	})
}

func TestALoopOverEventsCanBeLeft(t *testing.T) {
	origin := plytest.NewOrigin(eventReply("data: a\n\ndata: b\n\n"))
	c, err := ply.New(ply.Options{Transport: origin})
	require.NoError(t, err)
	for range c.Events(context.Background(), "http://origin.test/") {
		break
	}
	if x := origin.Exchanges(); len(x) != 1 || !x[0].BodyClosed {
		t.Errorf("%+v", x)
	}
}

// The client's total timeout is for answers that have an end. Silence is another matter.
func TestTimeoutsOfAStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		origin := plytest.NewOrigin(
			plytest.Handle(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream")
				for range 10 {
					time.Sleep(10 * time.Second)
					io.WriteString(w, "id: 1\ndata: a\n\n")
					w.(http.Flusher).Flush()
				}
			}),
			brokenStream("data: b\n\ndata: c\n\n", plytest.StallAfter(9)),
			plytest.Status(204),
		)
		c, err := ply.New(ply.Options{Transport: origin, Timeouts: ply.Timeouts{Total: 30 * time.Second, IdleRead: 15 * time.Second}})
		require.NoError(t, err)
		events, err := eventsOf(c.Events(t.Context(), "http://origin.test/"))
		if err != nil || len(events) != 11 || origin.Count() != 3 {
			t.Errorf("%d events, %v, %d connections", len(events), err, origin.Count())
		}

		origin = plytest.NewOrigin(brokenStream("data: b\n\ndata: c\n\n", plytest.StallAfter(9)), plytest.Status(204))
		c, err = ply.New(ply.Options{Transport: origin})
		require.NoError(t, err)
		begin := time.Now()
		events, err = eventsOf(c.Events(t.Context(), "http://origin.test/", ply.Timeout(time.Minute)))
		if err != nil || len(events) != 1 || time.Since(begin) < time.Minute {
			t.Errorf("%d events, %v, after %v", len(events), err, time.Since(begin))
		}
	})
}

// Each connection begins at the URL that was given, so that what another origin must not have it never gets.
func TestCredentialsOfAStreamStayAtTheirOrigin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		elsewhere := plytest.Status(302, "Location", "http://elsewhere.test/")
		origin := plytest.NewOrigin(elsewhere, eventReply("id: 5\ndata: a\n\n"), elsewhere, plytest.Status(204))
		c, err := ply.New(ply.Options{Transport: origin, CrossOrigin: []string{"Last-Event-ID"}})
		require.NoError(t, err)
		_, err = eventsOf(c.Events(t.Context(), "http://origin.test/", ply.Bearer("hunter2")))
		require.NoError(t, err)
		var got []string
		for _, x := range origin.Exchanges() {
			got = append(got, x.Host+" "+x.Header.Get("Authorization")+" "+x.Header.Get("Last-Event-Id"))
		}
		want := []string{"origin.test Bearer hunter2 ", "elsewhere.test  ", "origin.test Bearer hunter2 5", "elsewhere.test  5"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	})
}

// With the whole chain: two readers have a stream each, nothing is stored, the end of a stream is no broken download, and the log says so once for each.
func TestStreamsThroughTheChain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, err := cache.New(cache.Options{})
		require.NoError(t, err)
		defer store.Close()
		var log bytes.Buffer
		reply := eventReply("data: a\n\n")
		reply.Header.Set("Cache-Control", "max-age=60")
		reply.Header.Set("Etag", `"v"`)
		reply.Header.Set("Accept-Ranges", "bytes")
		reply.Chunked = true
		origin := plytest.NewOrigin(reply, reply, plytest.Status(204))
		c, err := ply.New(ply.Options{Transport: origin, Use: []ply.Middleware{
			logging.New(logging.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))}), store.Middleware, retry.New(retry.Options{Resume: 3}),
		}})
		require.NoError(t, err)
		events, err := eventsOf(c.Events(t.Context(), "http://origin.test/"))
		if err != nil || len(events) != 2 || origin.Count() != 3 {
			t.Errorf("%d events, %v, %d requests", len(events), err, origin.Count())
		}
		if got := strings.Count(log.String(), "\n"); got != 3 || strings.Contains(log.String(), "level=WARN") || strings.Contains(log.String(), "level=ERROR") {
			t.Errorf("the log of 3 requests:\n%s", &log)
		}
		if strings.Count(log.String(), "http.response.body.size=9 ") != 2 {
			t.Errorf("the log was written before the end of a body:\n%s", &log)
		}
	})
}

func TestStreamsOverASocket(t *testing.T) {
	var asked []string
	s := listen(t, "127.0.0.1:0", func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Header.Get("Last-Event-ID"))
		if len(asked) == 3 {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, "retry: 1\nid: é\ndata: a\n\n")
		w.(http.Flusher).Flush()
		if len(asked) == 1 {
			panic(http.ErrAbortHandler)
		}
	})
	base, _ := url.Parse(s.URL)
	c, err := ply.New(ply.Options{BaseURL: base.String()})
	require.NoError(t, err)
	defer c.Close()
	events, err := eventsOf(c.Events(t.Context(), "/", ply.Reconnect(ply.ReconnectOptions{MinInterval: time.Millisecond})))
	require.NoError(t, err)
	if diff := cmp.Diff([]string{"", "é", "é"}, asked); diff != "" || len(events) != 2 {
		t.Errorf("%d events; Last-Event-ID (-want +got)\n%s", len(events), diff)
	}
}
