package cache_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/middleware/cache"
)

// sealed makes a body that says for whom it was made, by which answer, and whether all of it is there.
//
//go:norace
func sealed(key string, answer, size int) string {
	rng := rand.New(rand.NewPCG(uint64(answer), uint64(size)))
	b, word := make([]byte, size), uint64(0)
	for i := range b {
		if i%8 == 0 {
			word = rng.Uint64()
		}
		b[i] = 'a' + byte(word>>(i%8*8))%26
	}
	content := fmt.Sprintf("%q %d %s", key, answer, b)
	return fmt.Sprintf("%x %s", sha256.Sum256([]byte(content)), content)
}

// unsealed tells for whom a body was made, and by which answer.
func unsealed(body string) (key string, answer int, err error) {
	sum, content, _ := strings.Cut(body, " ")
	if sum != fmt.Sprintf("%x", sha256.Sum256([]byte(content))) {
		return "", 0, fmt.Errorf("%d bytes that are no whole body", len(body))
	}
	_, err = fmt.Sscanf(content, "%q %d", &key, &answer)
	return key, answer, err
}

// busy is an origin that many ask at once.
type busy struct {
	answer func(r *http.Request, n int) (*http.Response, error) // n counts from 1

	asked  atomic.Int64
	mu     sync.Mutex // guards the fields below
	open   int        // bodies that have not been closed
	most   int        // requests at the same time
	active int
}

func (b *busy) RoundTrip(r *http.Request) (*http.Response, error) {
	n := int(b.asked.Add(1))
	b.mu.Lock()
	b.active++
	b.most = max(b.most, b.active)
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		b.active--
		b.mu.Unlock()
	}()
	if r.Body != nil {
		r.Body.Close()
	}
	resp, err := b.answer(r, n)
	if resp != nil {
		if resp.Header.Get("Date") == "" {
			resp.Header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
		}
		if resp.Body != http.NoBody {
			b.mu.Lock()
			b.open++
			b.mu.Unlock()
			resp.Body = &counted{ReadCloser: resp.Body, in: b}
		}
	}
	return resp, err
}

// counted notes when a body is closed.
type counted struct {
	io.ReadCloser
	in   *busy
	once sync.Once
}

func (c *counted) Close() error {
	c.once.Do(func() {
		c.in.mu.Lock()
		defer c.in.mu.Unlock()
		c.in.open--
	})
	return c.ReadCloser.Close()
}

func (b *busy) leftOpen() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.open
}

// unhurried is a body that comes in pieces, with a pause before each. It ends with the context.
type unhurried struct {
	ctx   context.Context
	rest  string
	piece int
	pause time.Duration
}

func (u *unhurried) Read(p []byte) (int, error) {
	if u.rest == "" {
		return 0, io.EOF
	}
	select {
	case <-time.After(u.pause):
	case <-u.ctx.Done():
		return 0, context.Cause(u.ctx)
	}
	n := copy(p[:min(len(p), u.piece)], u.rest)
	u.rest = u.rest[n:]
	return n, nil
}

func (u *unhurried) Close() error { return nil }

func slowly(r *http.Request, body string, fields ...string) *http.Response {
	resp := sends(body, fields...)
	resp.Body = &unhurried{r.Context(), body, 1 + len(body)/10, 100 * time.Millisecond}
	return resp
}

func newBusy(t *testing.T, o *busy, options cache.Options) (*cache.Cache, http.RoundTripper) {
	t.Helper()
	c, err := cache.New(options)
	require.NoError(t, err)
	t.Cleanup(func() {
		c.Close()
		nothingInFlight(t, c)
	})
	return c, c.Middleware(o)
}

// nothingInFlight is how a cache is to be left once the contexts of all requests have ended.
func nothingInFlight(t *testing.T, c *cache.Cache) {
	t.Helper()
	flights, bytes := c.InFlight()
	for i := range 1000 {
		if flights == 0 && bytes == 0 {
			return
		}
		if i > 100 {
			runtime.GC() // a body that was never closed gives back what it has when it is collected
		}
		runtime.Gosched()
		flights, bytes = c.InFlight()
	}
	t.Errorf("%d exchanges and %d bytes are left in flight", flights, bytes)
}

func ask(t *testing.T, ctx context.Context, fields ...string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	require.NoError(t, err)
	for _, line := range fields {
		name, value, _ := strings.Cut(line, ":")
		r.Header.Add(name, strings.TrimSpace(value))
	}
	return r
}

// reads sends a request and checks the body that comes back.
func reads(rt http.RoundTripper, r *http.Request, key string) (answer int, collapsed bool, err error) {
	resp, err := rt.RoundTrip(r)
	if err != nil {
		return 0, false, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, false, err
	}
	whom, answer, err := unsealed(string(body))
	if err == nil && whom != key {
		err = fmt.Errorf("a body for %q, want one for %q", whom, key)
	}
	s, _ := cache.StatusOf(resp)
	return answer, s.Collapsed, err
}

// herd lets n callers loose at once and returns the errors that they got, and how many of them shared.
func herd(t *testing.T, n int, rt http.RoundTripper, request func(i int) *http.Request, key func(i int) string) (errs []error, collapsed int64) {
	t.Helper()
	errs = make([]error, n)
	var shared atomic.Int64
	var wg sync.WaitGroup
	for i := range n {
		r := request(i)
		wg.Go(func() {
			_, c, err := reads(rt, r, key(i))
			if errs[i] = err; c {
				shared.Add(1)
			}
		})
	}
	wg.Wait()
	return errs, shared.Load()
}

// failures counts the errors, and shows the first.
func failures(t *testing.T, errs []error) int {
	t.Helper()
	n := 0
	for _, err := range errs {
		if err != nil {
			if n++; n == 1 {
				t.Logf("first error: %v", err)
			}
		}
	}
	return n
}

// crowd is how many callers come at once.
const crowd = 10_000

// sends makes an answer with this body, whose length is declared.
func sends(body string, fields ...string) *http.Response { return reply(200, body, fields...) }

func same(key string) func(int) string { return func(int) string { return key } }
