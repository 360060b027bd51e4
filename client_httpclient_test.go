package ply_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/plytest"
)

func TestHTTPClientAppliesTheClientsOptions(t *testing.T) {
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	transport := &recorder{respond: func(r *http.Request) *http.Response {
		if r.URL.Path == "/v1/old" {
			return reply(r, http.StatusFound, http.Header{"Location": {"/v1/new?q=a b"}, "Set-Cookie": {"s=1"}}, "")
		}
		return nil
	}}
	var calls int
	c := newClient(t, ply.Options{
		BaseURL: "http://a.test/v1", Jar: jar, Transport: transport,
		Defaults: []ply.RequestOption{ply.Bearer("t"), ply.Cookies(&http.Cookie{Name: "s", Value: "default"})},
		UseCall: []ply.Middleware{func(next ply.Handler) ply.Handler {
			return ply.HandlerFunc(func(r *http.Request) (*http.Response, error) { calls++; return next.RoundTrip(r) })
		}},
	})
	for _, u := range []string{"http://a.test/v1/old", "/old"} { // BaseURL completes the second
		transport.got, calls = nil, 0
		resp, err := c.HTTPClient().Get(u)
		require.NoError(t, err)
		resp.Body.Close()
		got := transport.last()
		if resp.StatusCode != 200 || calls != 2 || got.URL != "http://a.test/v1/new?q=a%20b" || got.Header.Get("Cookie") != "s=1" || got.Header.Get("Authorization") != "Bearer t" {
			t.Errorf("%s: status %d, %d calls, sent %+v", u, resp.StatusCode, calls, got)
		}
	}

	c2 := newClient(t, ply.Options{Transport: ply.HandlerFunc(func(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF })})
	_, err = c2.HTTPClient().Get("http://a.test/?token=hunter2")
	var ue *url.Error
	if !errors.As(err, &ue) || ue.Err != io.ErrUnexpectedEOF {
		t.Errorf("got %#v", err)
	}
}

func TestHTTPClientObeysItsCheckRedirect(t *testing.T) {
	refused := errors.New("refused")
	tests := []struct {
		name   string
		policy func(*http.Request, []*http.Request) error
		status int // of the response; zero for an error
		hops   int
	}{
		{"refuses", func(*http.Request, []*http.Request) error { return refused }, 0, 1},
		{"takes the redirect", func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, 302, 1},
		{"follows one", func(_ *http.Request, via []*http.Request) error {
			if len(via) > 1 {
				return http.ErrUseLastResponse
			}
			return nil
		}, 302, 2},
		{"guards the last", func(r *http.Request, _ []*http.Request) error {
			if r.URL.Path == "/0" {
				return refused
			}
			return nil
		}, 0, 3},
		{"follows all", func(*http.Request, []*http.Request) error { return nil }, 200, 4},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for name, change := range map[string]func(*http.Client) *http.Client{
				"set":       func(hc *http.Client) *http.Client { hc.CheckRedirect = tt.policy; return hc },
				"on a copy": func(hc *http.Client) *http.Client { copied := *hc; copied.CheckRedirect = tt.policy; return &copied },
				"another client with its transport": func(hc *http.Client) *http.Client {
					return &http.Client{Transport: hc.Transport, CheckRedirect: tt.policy}
				},
			} {
				transport := countdown()
				resp, err := change(newClient(t, ply.Options{Transport: transport}).HTTPClient()).Get("http://a.test/3")
				if len(transport.got) != tt.hops {
					t.Errorf("%s: %d hops, want %d", name, len(transport.got), tt.hops)
				}
				if tt.status == 0 {
					if !errors.Is(err, refused) {
						t.Errorf("%s: error %v", name, err)
					}
					continue
				}
				if err != nil || resp.StatusCode != tt.status || len(ply.History(resp)) != tt.hops-1 {
					t.Errorf("%s: %+v, %v", name, resp, err)
				}
			}
		})
	}
}

func TestHTTPClientTransportPerformsOneExchange(t *testing.T) {
	transport := countdown()
	hc := newClient(t, ply.Options{Transport: transport}).HTTPClient()
	req, err := http.NewRequest(http.MethodGet, "http://a.test/3", nil)
	require.NoError(t, err)
	resp, err := hc.Transport.RoundTrip(req)
	if err != nil || resp.StatusCode != http.StatusFound || resp.Header.Get("Location") != "/2" || len(transport.got) != 1 {
		t.Errorf("%+v, %v after %d hops", resp, err, len(transport.got))
	}
}

func TestHTTPClientObeysRedirectLimits(t *testing.T) {
	hc := newClient(t, ply.Options{Transport: countdown(), Defaults: []ply.RequestOption{ply.MaxRedirects(2)}}).HTTPClient()
	var re *ply.RedirectError
	if err := ply.Discard(hc.Get("http://a.test/2")); err != nil {
		t.Error(err)
	}
	if err := ply.Discard(hc.Get("http://a.test/3")); !errors.As(err, &re) || re.Limit != 2 {
		t.Errorf("got %v", err)
	}
	c := newClient(t, ply.Options{})
	req, err := c.NewRequest(t.Context(), http.MethodGet, "http://a.test/3", ply.NoRedirects())
	require.NoError(t, err)
	if resp, err := hc.Do(req); err != nil || resp.StatusCode != http.StatusFound {
		t.Errorf("NoRedirects: %v, %v", resp, err)
	}
}

// slowly is an origin that takes its time for each hop.
func slowly(wait time.Duration) *plytest.Origin {
	return plytest.NewHandlerOrigin(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(wait)
		if r.URL.Path != "/end" {
			http.Redirect(w, r, map[string]string{"/": "/then", "/then": "/end"}[r.URL.Path], http.StatusFound)
		}
	}))
}

func TestHTTPClientTotalTimeoutSpansAllHops(t *testing.T) {
	tests := []struct {
		name         string
		total, own   time.Duration
		fails, named bool
		after        time.Duration
	}{
		{"enough", time.Hour, time.Hour, false, false, 3 * time.Minute},
		{"Total", 2*time.Minute + time.Second, 0, true, true, 2*time.Minute + time.Second},
		{"Timeout", time.Hour, 2*time.Minute + time.Second, true, false, 2*time.Minute + time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hc := newClient(t, ply.Options{Transport: slowly(time.Minute), Timeouts: ply.Timeouts{Total: tt.total}}).HTTPClient()
				hc.Timeout = tt.own
				start := time.Now()
				err := ply.Discard(hc.Get("http://a.test/"))
				var te *ply.TimeoutError
				if (err != nil) != tt.fails || errors.As(err, &te) != tt.named || time.Since(start) != tt.after {
					t.Errorf("%v after %v", err, time.Since(start))
				}
				defer time.Sleep(time.Minute) // until the last handler has ended
				if ue := new(url.Error); tt.fails && (!errors.As(err, &ue) || !ue.Timeout()) {
					t.Errorf("%v is no timeout", err)
				}
			})
		})
	}
}

func TestHTTPClientObeysItsJar(t *testing.T) {
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	transport := &recorder{respond: func(r *http.Request) *http.Response {
		if r.URL.Host == "a.test" {
			return reply(r, http.StatusFound, http.Header{"Location": {"http://b.test/"}, "Set-Cookie": {"of=a"}}, "")
		}
		return reply(r, http.StatusOK, http.Header{"Set-Cookie": {"of=b"}}, "")
	}}
	hc := newClient(t, ply.Options{Transport: transport}).HTTPClient()
	hc.Jar = jar
	for range 2 {
		require.NoError(t, ply.Discard(hc.Get("http://a.test/")))
	}
	var got []string
	for _, s := range transport.got {
		got = append(got, s.URL+" "+s.Header.Get("Cookie"))
	}
	if diff := cmp.Diff([]string{"http://a.test/ ", "http://b.test/ ", "http://a.test/ of=a", "http://b.test/ of=b"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestHTTPClientKeepsSecretsAtTheirOrigin(t *testing.T) {
	policies := map[string]func(*http.Request, []*http.Request) error{
		"the client's": nil,
		"anything":     func(*http.Request, []*http.Request) error { return nil },
		"a token for b": func(r *http.Request, _ []*http.Request) error {
			r.Header.Set("Authorization", "Bearer for-b")
			return nil
		},
	}
	for name, policy := range policies {
		transport := redirects(map[string]string{"http://a.test/1": "http://b.test/2", "http://b.test/2": "http://a.test/3"})
		hc := newClient(t, ply.Options{Transport: transport, CrossOrigin: []string{"X-Named"}, Header: http.Header{"X-Api-Key": {"k"}}, Defaults: []ply.RequestOption{ply.Query("token", "t")}}).HTTPClient()
		if policy != nil {
			hc.CheckRedirect = policy
		}
		req, err := http.NewRequest(http.MethodGet, "http://a.test/1?secret=path", nil)
		require.NoError(t, err)
		req.URL.RawQuery = ""
		req.Header = http.Header{"Authorization": {"Bearer for-a"}, "X-Auth-Token": {"t"}, "X-Named": {"n"}, "X-Unknown": {"u"}, "Accept": {"a/b"}}
		err = ply.Discard(hc.Do(req))
		if first := transport.got[0]; first.Header.Get("X-Api-Key") != "k" || first.URL != "http://a.test/1?token=t" {
			t.Errorf("%s: %v; the first request was %+v", name, err, first)
		}
		for _, hop := range transport.got[1:] {
			want := ""
			if strings.HasPrefix(name, "a token") {
				want = "Bearer for-b"
			}
			if hop.Header.Get("X-Api-Key") != "" || hop.Header.Get("X-Auth-Token") != "" || hop.Header.Get("X-Unknown") != "" || hop.Header.Get("Authorization") != want || strings.Contains(hop.URL, "token") {
				t.Errorf("%s: sent %+v", name, hop)
			}
			if hop.Header.Get("Accept") != "a/b" || hop.Header.Get("X-Named") != "n" {
				t.Errorf("%s: lost a harmless field: %+v", name, hop)
			}
		}
	}
}

func TestHTTPClientWithAnotherPolicySendsTheSameHops(t *testing.T) {
	transport := &recorder{respond: func(r *http.Request) *http.Response {
		if r.URL.Path == "/old" {
			return reply(r, http.StatusSeeOther, http.Header{"Location": {"//b.test/new?q=<a b>"}}, "")
		}
		return nil
	}}
	hc := newClient(t, ply.Options{Transport: transport}).HTTPClient()
	hc.CheckRedirect = func(*http.Request, []*http.Request) error { return nil }
	req, err := http.NewRequest(http.MethodPost, "http://a.test/old", strings.NewReader("x"))
	require.NoError(t, err)
	req.Host = "named.test"
	req.Header = http.Header{"Content-Digest": {"sha-256=:x:"}, "Content-Type": {"a/b"}, "Last-Modified": {"x"}}
	require.NoError(t, ply.Discard(hc.Do(req)))
	want := seen{Method: "GET", URL: "http://b.test/new?q=%3Ca%20b%3E", Host: "b.test", Header: http.Header{"Referer": {"http://a.test/"}}}
	if diff := cmp.Diff(want, transport.last()); diff != "" {
		t.Error(diff)
	}
}

func TestHTTPClientChecksFinalStatuses(t *testing.T) {
	var checked []int
	transport := redirects(map[string]string{"http://a.test/old": "/new"})
	hc := newClient(t, ply.Options{Transport: transport, Defaults: []ply.RequestOption{ply.CheckStatus(func(resp *http.Response) error {
		checked = append(checked, resp.StatusCode)
		return nil
	})}}).HTTPClient()
	require.NoError(t, ply.Discard(hc.Get("http://a.test/old")))
	if diff := cmp.Diff([]int{200}, checked); diff != "" {
		t.Error(diff)
	}
	var re *ply.RedirectError
	if _, err := hc.Post("http://a.test/old", "text/plain", io.MultiReader(strings.NewReader("x"))); !errors.As(err, &re) {
		t.Errorf("a 307 that cannot be followed: %v", err)
	}
}

func TestHTTPClientHopsShareRecordAndAttempts(t *testing.T) {
	origin := plytest.NewHandlerOrigin(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/old" {
			http.Redirect(w, r, "/new", http.StatusFound)
			return
		}
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	resends := func(do func(*ply.Client, *http.Request) (*http.Response, error)) (string, int) {
		c := newClient(t, ply.Options{Transport: origin, Use: []ply.Middleware{retry.New(retry.Options{MaxAttempts: 3, Backoff: retry.Constant(0)})}})
		req, err := http.NewRequestWithContext(ply.WithCallInfo(t.Context()), http.MethodGet, "http://a.test/old", nil)
		require.NoError(t, err)
		resp, err := do(c, req)
		require.NoError(t, err)
		resp.Body.Close()
		info, ok := ply.CallInfoFrom(resp)
		require.True(t, ok)
		var hops []string
		for _, h := range info.Hops {
			hops = append(hops, fmt.Sprint(h.URL, len(h.Exchanges)))
		}
		return strings.Join(hops, " "), len(info.Hops)
	}
	want, _ := resends(func(c *ply.Client, r *http.Request) (*http.Response, error) { return c.Do(r) })
	got, hops := resends(func(c *ply.Client, r *http.Request) (*http.Response, error) { return c.HTTPClient().Do(r) })
	if got != want || hops != 2 {
		t.Errorf("got %s, want %s as with Do", got, want)
	}
}
