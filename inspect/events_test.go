package inspect_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/inspect"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/plytest"
)

func mustParse(t testing.TB, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	require.NoError(t, err)
	return u
}

// eventReader is a page that follows the inspector. It works in a bubble.
type eventReader struct {
	mu     sync.Mutex
	text   strings.Builder
	header http.Header
	status int
	cancel context.CancelFunc
	ended  chan struct{}
}

func newEventReader(in http.Handler, fields ...string) *eventReader {
	ctx, cancel := context.WithCancel(context.Background())
	w := &eventReader{header: http.Header{}, cancel: cancel, ended: make(chan struct{})}
	r := httptest.NewRequestWithContext(ctx, "GET", "http://localhost/events", nil)
	r.RemoteAddr = "127.0.0.1:50000"
	for i := 0; i < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
	}
	go func() {
		defer close(w.ended)
		in.ServeHTTP(w, r)
	}()
	return w
}

func (w *eventReader) Header() http.Header    { return w.header }
func (w *eventReader) WriteHeader(status int) { w.status = status }
func (w *eventReader) Flush()                 {}
func (w *eventReader) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(p)
}

// until waits in a bubble until a part is written, and returns all that is; it returns "" if the part does not come.
func (w *eventReader) until(part string) string {
	for range 100 {
		synctest.Wait()
		w.mu.Lock()
		text := w.text.String()
		w.mu.Unlock()
		if strings.Contains(text, part) {
			return text
		}
		time.Sleep(50 * time.Millisecond)
	}
	return ""
}

func (w *eventReader) stop() {
	w.cancel()
	<-w.ended
}

func TestPageIsToldOfEachChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, cache.Options{})
		in := newInspector(t, inspect.Options{Cache: c})
		origin := plytest.NewOrigin(plytest.Reply{Body: "a", Wait: time.Second})
		client := newClient(t, ply.Options{BaseURL: "http://a.test", Transport: origin, Use: []ply.Middleware{in.Middleware, c.Middleware}})
		page := newEventReader(in)
		defer page.stop()
		require.NotEmpty(t, page.until("event: hello"))
		go fetch(t, client, "/")
		require.NotEmpty(t, page.until(`"outcome":"pending"`))
		require.NotEmpty(t, page.until(`"outcome":"miss"`))
		require.NotEmpty(t, page.until("event: cache"))
		require.Contains(t, page.until("event: stats"), `"open":true`)

		require.Equal(t, 204, ask(in, "DELETE", "calls", "").Code)
		require.NotEmpty(t, page.until("event: reset"))
		fetch(t, client, "/again")
		require.Contains(t, page.until("/again"), `"oldest":2`)
	})
}

// A page that lost its connection is told what it missed, and one of another run of the program is told all.
func TestPageGoesOnWhereItsStreamBroke(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := newInspector(t, inspect.Options{})
		client := newClient(t, ply.Options{BaseURL: "http://a.test", Transport: plytest.NewOrigin(plytest.Text("a")), Use: []ply.Middleware{in.Middleware}})
		fetch(t, client, "/first")
		page := newEventReader(in)
		text := page.until("/first")
		page.stop()
		id := text[strings.LastIndex(text, "id: ")+4:]
		id, _, _ = strings.Cut(id, "\n")
		fetch(t, client, "/second")
		for name, tt := range map[string]struct {
			id    string
			first bool
		}{"same run": {id, false}, "another run": {"00000000-3", true}, "nonsense": {"x", true}} {
			page = newEventReader(in, "Last-Event-ID", tt.id)
			text = page.until("/second")
			require.Equal(t, tt.first, strings.Contains(text, "/first"), name)
			page.stop()
		}
	})
}

// Each row is made when it is written, so that a busy program does not fill a queue.
func TestManyChangesReachAPageInFewBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := newInspector(t, inspect.Options{Keep: 2000})
		client := newClient(t, ply.Options{BaseURL: "http://a.test", Transport: plytest.NewOrigin(plytest.Text("a")), Use: []ply.Middleware{in.Middleware}})
		page := newEventReader(in)
		defer page.stop()
		require.NotEmpty(t, page.until("event: hello"))
		for range 1200 {
			fetch(t, client, "/")
		}
		text := page.until(`"id":1200,`)
		require.LessOrEqual(t, strings.Count(text, "event: calls"), 4)
		require.Equal(t, 1200, strings.Count(text, `"outcome":"direct"`))
	})
}

func TestSilentStreamIsKeptAliveAndEndsWithClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := newInspector(t, inspect.Options{})
		page := newEventReader(in)
		require.NotEmpty(t, page.until("event: hello"))
		time.Sleep(time.Minute)
		require.Contains(t, page.until("\n: \n"), "\n: \n")
		in.Close()
		<-page.ended
		late := newEventReader(in)
		<-late.ended
		require.Equal(t, 503, late.status)
	})
}

func TestTooManyPagesAreTurnedAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := newInspector(t, inspect.Options{})
		var pages []*eventReader
		for range 16 {
			pages = append(pages, newEventReader(in))
		}
		synctest.Wait()
		w := ask(in, "GET", "events", "")
		require.Equal(t, []any{503, "30"}, []any{w.Code, w.Header().Get("Retry-After")})
		for _, p := range pages {
			p.stop()
		}
		again := newEventReader(in)
		again.until("event: hello")
		again.stop()
	})
}

// A page that reads nothing at all takes room in no queue, and no call waits for it.
func TestPageThatDoesNotReadHoldsNoCallUp(t *testing.T) {
	in := newInspector(t, inspect.Options{})
	server := httptest.NewServer(in)
	defer server.Close()
	defer in.Close()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	fmt.Fprintf(conn, "GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
	_, err = io.ReadFull(conn, make([]byte, 100))
	require.NoError(t, err)

	client := newClient(t, ply.Options{BaseURL: "http://a.test", Transport: plytest.NewOrigin(plytest.Text("a", "X-Long", strings.Repeat("x", 4000))), Use: []ply.Middleware{in.Middleware}})
	for i := range 3000 {
		fetch(t, client, fmt.Sprintf("/%d/%s", i, strings.Repeat("long", 1000)))
	}
	l := get[list](t, in, "calls")
	require.Len(t, l.Calls, 500)
}

// pipes is a listener whose connections are in memory, with no room for what is not read.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { close(p.closed); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Net: "unix"} }

// A reader that is gone without a word is given up, and its place is free again.
func TestDeadReaderIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := newInspector(t, inspect.Options{AllowRemote: true})
		listener := &pipes{make(chan net.Conn), make(chan struct{})}
		server := &http.Server{Handler: in}
		go server.Serve(listener)
		defer server.Close()
		for range 16 {
			dead, conn := net.Pipe()
			listener.conns <- conn
			fmt.Fprintf(dead, "GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
			defer dead.Close()
		}
		synctest.Wait()
		require.Equal(t, 503, ask(in, "GET", "events", "").Code)
		time.Sleep(31 * time.Second)
		synctest.Wait()
		page := newEventReader(in)
		require.Contains(t, page.until("event: hello"), "event: hello")
		page.stop()
	})
}
