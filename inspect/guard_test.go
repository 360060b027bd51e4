package inspect_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/inspect"
)

func TestOnlyThisMachineAndThePageItselfMayAsk(t *testing.T) {
	local, remote := newInspector(t, inspect.Options{}), newInspector(t, inspect.Options{AllowRemote: true, Hosts: []string{"dev.example"}})
	for name, tt := range map[string]struct {
		in             *inspect.Inspector
		method, target string
		fields         []string
		want           int
	}{
		"a browser on this machine":            {local, "GET", "", nil, 200},
		"by IPv4":                              {local, "GET", "", []string{"Host", "127.0.0.1:7117"}, 200},
		"by IPv6":                              {local, "GET", "", []string{"Host", "[::1]:7117", "From-Addr", "[::1]:5"}, 200},
		"by a name below localhost":            {local, "GET", "", []string{"Host", "app.localhost"}, 200},
		"an address mapped to IPv6":            {local, "GET", "", []string{"From-Addr", "[::ffff:127.0.0.1]:5"}, 200},
		"another machine":                      {local, "GET", "calls", []string{"From-Addr", "192.0.2.1:5"}, 403},
		"no address":                           {local, "GET", "calls", []string{"From-Addr", "?"}, 403},
		"through a proxy":                      {local, "GET", "calls", []string{"X-Forwarded-For", "192.0.2.1"}, 403},
		"through a proxy, Forwarded":           {local, "GET", "calls", []string{"Forwarded", "for=192.0.2.1"}, 403},
		"DNS rebinding":                        {local, "GET", "calls", []string{"Host", "evil.example:7117"}, 403},
		"a name that begins like localhost":    {local, "GET", "calls", []string{"Host", "localhost.evil.example"}, 403},
		"another address of this machine":      {local, "GET", "calls", []string{"Host", "192.0.2.7:7117"}, 403},
		"the page itself":                      {local, "GET", "calls", []string{"Sec-Fetch-Site", "same-origin"}, 200},
		"a link to the page":                   {local, "GET", "", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}, 200},
		"a frame of another site":              {local, "GET", "", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe"}, 403},
		"a script of another site":             {local, "GET", "calls", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors"}, 403},
		"another port of localhost":            {local, "GET", "calls", []string{"Sec-Fetch-Site", "same-site"}, 403},
		"a change by the page":                 {local, "DELETE", "calls", []string{"Sec-Fetch-Site", "same-origin", "Origin", "http://localhost:7117"}, 204},
		"a change by another site":             {local, "DELETE", "calls", []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"}, 403},
		"a change by another port":             {local, "DELETE", "calls", []string{"Sec-Fetch-Site", "same-site", "Origin", "http://localhost:3000"}, 403},
		"a change by a browser of old":         {local, "DELETE", "calls", []string{"Origin", "https://evil.example"}, 403},
		"a change from a sandbox":              {local, "DELETE", "calls", []string{"Origin", "null"}, 403},
		"a change by a link":                   {local, "POST", "har", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}, 403},
		"a change by a tool":                   {local, "DELETE", "calls", nil, 204},
		"a form":                               {local, "POST", "har", []string{"Content-Type", "text/plain"}, 415},
		"remote, by address":                   {remote, "GET", "calls", []string{"From-Addr", "192.0.2.1:5", "Host", "192.0.2.7:7117"}, 200},
		"remote, by a name that is listed":     {remote, "GET", "calls", []string{"From-Addr", "192.0.2.1:5", "Host", "DEV.example:7117", "X-Forwarded-For", "192.0.2.1"}, 200},
		"remote, by a name that is not listed": {remote, "GET", "calls", []string{"From-Addr", "192.0.2.1:5", "Host", "evil.example"}, 403},
		"remote, a change by another site":     {remote, "DELETE", "calls", []string{"From-Addr", "192.0.2.1:5", "Host", "dev.example", "Origin", "https://evil.example"}, 403},
		"no such file":                         {local, "GET", "etc.html", nil, 404},
		"a path that leads out":                {local, "GET", "..%2fserver.go", nil, 404},
		"a method that nothing has":            {local, "PATCH", "calls", nil, 405},
	} {
		t.Run(name, func(t *testing.T) {
			w := ask(tt.in, tt.method, tt.target, "", tt.fields...)
			require.Equal(t, tt.want, w.Code, w.Body)
			require.Empty(t, w.Header().Get("Access-Control-Allow-Origin"))
		})
	}
}

// The fields stand on every answer: pages, data, errors and refusals.
func TestEveryAnswerIsHardened(t *testing.T) {
	in := newInspector(t, inspect.Options{})
	for target, fields := range map[string][]string{"": nil, "calls": nil, "calls/7": nil, "nothing.js": nil, "cache": nil, "stats": {"From-Addr", "192.0.2.1:1"}} {
		h := ask(in, http.MethodGet, target, "", fields...).Header()
		policy := h.Get("Content-Security-Policy")
		for _, part := range []string{"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"} {
			require.Contains(t, policy, part, target)
		}
		require.False(t, strings.Contains(policy, "unsafe") || strings.Contains(policy, "http"), policy)
		require.Equal(t, []string{"nosniff", "no-store", "no-referrer", "DENY", "same-origin"},
			[]string{h.Get("X-Content-Type-Options"), h.Get("Cache-Control"), h.Get("Referrer-Policy"), h.Get("X-Frame-Options"), h.Get("Cross-Origin-Resource-Policy")}, target)
	}
}

func TestOptionsThatCannotBeCarriedOutAreErrors(t *testing.T) {
	for want, o := range map[string]inspect.Options{
		"inspect: Keep: is negative (-1)":      {Keep: -1},
		"inspect: Keep: is 100001":             {Keep: 100_001},
		"inspect: MaxBytes: is negative (-5)":  {MaxBytes: -5},
		`inspect: Hosts: has ""`:               {Hosts: []string{""}},
		`inspect: Hosts: has "dev.example:80"`: {Hosts: []string{"a.example", "dev.example:80"}},
		`inspect: Hosts: has "https://a"`:      {Hosts: []string{"https://a"}},
		`inspect: Hosts: has "*.a.example"`:    {Hosts: []string{"*.a.example"}},
	} {
		_, err := inspect.New(o)
		var refused *inspect.OptionError
		require.ErrorAs(t, err, &refused)
		require.Contains(t, err.Error(), want)
	}
}

// Without the slash at the end, the page's relative paths would lead elsewhere.
func TestPageBelowAPrefixIsFoundWithoutItsSlash(t *testing.T) {
	mux := http.NewServeMux()
	mux.Handle("/debug/calls", http.StripPrefix("/debug/calls", newInspector(t, inspect.Options{})))
	w := ask(mux, "GET", "debug/calls", "")
	require.Equal(t, []any{301, "/debug/calls/"}, []any{w.Code, w.Header().Get("Location")})
}

// Whatever there is no handler for is refused in JSON as well, and says what would be allowed (RFC 9110 §15.5.6).
func TestMethodsThatAreNotAllowedNameThoseThatAre(t *testing.T) {
	in := newInspector(t, inspect.Options{})
	for _, tt := range []struct {
		method, target, allow string
		status                int
	}{
		{"OPTIONS", "calls", "DELETE, GET, HEAD", 405},
		{"TRACE", "", "GET, HEAD", 405},
		{"PUT", "har", "GET, HEAD, POST", 405},
		{"GET", "cache/purge", "DELETE, POST", 405},
		{"GET", "a/b", "", 404},
	} {
		w := ask(in, tt.method, tt.target, "")
		require.Equal(t, tt.status, w.Code, "%s %s", tt.method, tt.target)
		require.Equal(t, tt.allow, w.Header().Get("Allow"), "%s %s", tt.method, tt.target)
		require.Equal(t, "application/json", w.Header().Get("Content-Type"))
		require.Contains(t, w.Body.String(), `{"error":`)
	}
	w := ask(in, "HEAD", "events", "") // returns, and takes no page's place
	require.Equal(t, 200, w.Code)
	require.Equal(t, "text/event-stream", w.Header().Get("Content-Type"))
}
