package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/internal/testutil"
)

// A runningProxy is a ply proxy process.
type runningProxy struct {
	url, inspector string
	cmd            *exec.Cmd
	log            *syncBuffer
}

// syncBuffer is what a process has printed so far.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// startProxy starts a proxy and waits until it listens.
func startProxy(t *testing.T, args ...string) *runningProxy {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("there is no SIGTERM that would end the proxy")
	}
	p := &runningProxy{cmd: plyRun{}.command(t.Context(), t, append([]string{"proxy", "--cache", "memory"}, args...)...), log: &syncBuffer{}}
	stdout, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	p.cmd.Stderr = p.log
	require.NoError(t, p.cmd.Start())
	t.Cleanup(func() {
		if p.cmd.ProcessState == nil {
			p.cmd.Process.Kill()
			p.cmd.Wait()
		}
	})
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		name, url, _ := strings.Cut(lines.Text(), " ")
		url = strings.TrimSuffix(strings.TrimSpace(url), "/")
		if name == "inspector" {
			p.inspector = url
		} else {
			p.url = url
		}
		if p.url != "" && (p.inspector != "" || !strings.Contains(strings.Join(args, " "), "--inspect")) {
			return p
		}
	}
	t.Fatal("the proxy does not listen: " + p.log.String())
	return nil
}

// end ends the proxy by SIGTERM and returns its exit code.
func (p *runningProxy) end(t *testing.T) int {
	t.Helper()
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	p.cmd.Wait()
	return p.cmd.ProcessState.ExitCode()
}

// ask sends a request, with header fields in pairs; "Host" sets the host.
func ask(t *testing.T, url string, fields ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	for i := 0; i < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
		if fields[i] == "Host" {
			r.Host = fields[i+1]
		}
	}
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp, string(body)
}

func TestProxyAnswersFromTheCacheAndTellsTheOriginWhoAsks(t *testing.T) {
	var seen []http.Header
	var hosts []string
	origin := serve(t, func(w http.ResponseWriter, r *http.Request) {
		seen, hosts = append(seen, r.Header.Clone()), append(hosts, r.Host)
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("ETag", `"1"`)
		w.Header().Set("Connection", "X-Hop")
		w.Header().Set("X-Hop", "1")
		io.WriteString(w, r.URL.RequestURI())
	})
	p := startProxy(t, origin.URL)
	spoofed := []string{"X-Forwarded-Prefix", "/evil", "X_Forwarded_Host", "evil.test", "X-Original-Url", "/admin", "X-Rewrite-Url", "/admin", "X-Real-Ip", "6.6.6.6", "X-Forwarded-Host", "evil.test", "X-Forwarded-For", "6.6.6.6", "Forwarded", "for=6.6.6.6", "Connection", "X-Secret-Hop", "X-Secret-Hop", "1", "Via", "1.1 front"}
	first, body := ask(t, p.url+"/a?x=1;y", spoofed...)
	assert.Equal(t, "/a?x=1;y", body)
	assert.Contains(t, first.Header.Get("Cache-Status"), "fwd=uri-miss")
	assert.Empty(t, first.Header.Get("X-Hop"))
	again, _ := ask(t, p.url+"/a?x=1;y")
	assert.Contains(t, again.Header.Get("Cache-Status"), "hit")
	assert.Regexp(t, `^1\.1 ply-[0-9a-f]{8}$`, again.Header.Get("Via"))
	assert.NotEmpty(t, again.Header.Get("Age"))
	validated, _ := ask(t, p.url+"/a?x=1;y", "If-None-Match", `"1"`)
	assert.Equal(t, http.StatusNotModified, validated.StatusCode)

	require.Len(t, seen, 1)
	h := seen[0]
	assert.Equal(t, strings.TrimPrefix(origin.URL, "http://"), hosts[0])
	assert.Equal(t, "127.0.0.1", h.Get("X-Forwarded-For"))
	assert.Equal(t, strings.TrimPrefix(p.url, "http://"), h.Get("X-Forwarded-Host"), "not what the client says: that could be stored for others")
	assert.Empty(t, h.Get("Forwarded")+h.Get("X-Secret-Hop"))
	for name, values := range h {
		assert.NotContains(t, strings.Join(values, ","), "evil", name)
		assert.NotContains(t, strings.Join(values, ","), "/admin", name)
		assert.NotContains(t, strings.Join(values, ","), "6.6.6.6", name)
	}
	assert.Len(t, h["Via"], 2)
	assert.Equal(t, 0, p.end(t))
	for _, line := range []string{` 200 8 miss `, ` 200 8 hit `, ` 304 0 hit `} { // in any order: a line comes after the answer
		assert.Regexp(t, `Z 127\.0\.0\.1 GET /a\?x=REDACTED`+line, p.log.String())
	}
	assert.NotContains(t, p.log.String(), "x=1")
}

func TestProxyForwardedOfRFC7239(t *testing.T) {
	got := make(chan string, 1)
	origin := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		got <- r.Header.Get("Forwarded") + r.Header.Get("X-Forwarded-For")
	})
	p := startProxy(t, origin.URL, "--forwarded", "rfc7239")
	ask(t, p.url)
	assert.Equal(t, fmt.Sprintf("for=%q;host=%q;proto=http", "127.0.0.1", strings.TrimPrefix(p.url, "http://")), <-got)
}

// Two persons ask through one proxy for what is marked as cacheable: each gets their own.
func TestProxyKeepsPersonsApart(t *testing.T) {
	for _, mode := range [][]string{nil, {"--shared"}} {
		for _, field := range []string{"Authorization", "Cookie"} {
			t.Run(fmt.Sprint(mode, field), func(t *testing.T) {
				var requests atomic.Int32
				origin := serve(t, func(w http.ResponseWriter, r *http.Request) {
					requests.Add(1)
					w.Header().Set("Cache-Control", "max-age=60")
					io.WriteString(w, "for "+r.Header.Get(field))
				})
				p := startProxy(t, append(mode, origin.URL)...)
				for range 2 {
					for _, person := range []string{"Basic alice", "Basic bob"} {
						_, body := ask(t, p.url+"/me", field, person)
						assert.Equal(t, "for "+person, body)
					}
				}
				_, body := ask(t, p.url+"/me")
				assert.Equal(t, "for ", body)
				want := 3 // private: one fetch for each person, and one for none
				if mode != nil {
					want = 5 // shared: nothing of a person is stored, unless the origin marks it as shareable (RFC 9111 §3.5)
				}
				assert.EqualValues(t, want, requests.Load())
			})
		}
	}
}

func TestProxySharesWhatIsPublicInSharedMode(t *testing.T) {
	var requests atomic.Int32
	origin := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		w.Header().Set("Cache-Control", "public, s-maxage=60")
	})
	p := startProxy(t, origin.URL, "--shared", "--listen", "127.0.0.1:0")
	ask(t, p.url+"/logo", "Authorization", "Basic alice")
	resp, _ := ask(t, p.url+"/logo", "Authorization", "Basic bob", "Host", "www.example.com")
	assert.Contains(t, resp.Header.Get("Cache-Status"), "hit")
	assert.EqualValues(t, 1, requests.Load())
}

func TestProxyRefusesWhatIsNotForIt(t *testing.T) {
	origin := serve(t, func(http.ResponseWriter, *http.Request) {})
	p := startProxy(t, origin.URL, "--host", "dev.example", "--max-body", "10")
	evil, _ := ask(t, p.url, "Host", "evil.test")
	assert.Equal(t, http.StatusMisdirectedRequest, evil.StatusCode)
	for _, host := range []string{"dev.example:80", "localhost:1", "[::1]:8080"} {
		ok, _ := ask(t, p.url, "Host", host)
		assert.Equal(t, http.StatusOK, ok.StatusCode, host)
	}
	for _, body := range []io.Reader{strings.NewReader("12345678901"), io.MultiReader(strings.NewReader("12345678901"))} { // with and without a length
		resp, err := http.Post(p.url, "text/plain", body)
		require.NoError(t, err)
		resp.Body.Close()
		assert.Equal(t, http.StatusRequestEntityTooLarge, resp.StatusCode)
	}
	big, err := http.NewRequest(http.MethodGet, p.url, nil)
	require.NoError(t, err)
	big.Header.Set("X-Big", strings.Repeat("x", 128<<10))
	resp, err := http.DefaultClient.Do(big)
	require.NoError(t, err)
	resp.Body.Close()
	assert.Equal(t, http.StatusRequestHeaderFieldsTooLarge, resp.StatusCode)
}

func TestProxyThatIsItsOwnOriginAnswers508(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := l.Addr().String()
	l.Close()
	p := startProxy(t, "http://"+address, "--listen", address)
	resp, _ := ask(t, p.url+"/a")
	assert.Equal(t, http.StatusLoopDetected, resp.StatusCode)
}

func TestProxyErrorsOfTheOriginSayNothingOfIt(t *testing.T) {
	origin := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	slow := startProxy(t, origin.URL, "--origin-timeout", "50ms", "--retries", "0")
	resp, body := ask(t, slow.url+"/slow?token=canary")
	assert.Equal(t, http.StatusGatewayTimeout, resp.StatusCode)
	assert.Equal(t, "no-store", resp.Header.Get("Cache-Control"))
	origin.CloseClientConnections()

	down := httptest.NewServer(http.NotFoundHandler())
	address := down.URL
	down.Close()
	p := startProxy(t, address, "--retries", "0")
	resp, gone := ask(t, p.url+"/gone?token=canary")
	assert.Equal(t, http.StatusBadGateway, resp.StatusCode)
	for _, text := range []string{body, gone} {
		assert.NotContains(t, text, "127.0.0.1")
	}
	testutil.Eventually(t, "the log", func() bool { return strings.Contains(p.log.String(), " 502 ") })
	assert.NotContains(t, p.log.String()+slow.log.String()+body+gone, "canary")
}

func TestProxyPassesPiecesOfAStreamOnAsTheyCome(t *testing.T) {
	next, cancelled := make(chan string), make(chan struct{})
	origin := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for {
			select {
			case piece := <-next:
				io.WriteString(w, piece)
				w.(http.Flusher).Flush()
			case <-r.Context().Done():
				close(cancelled)
				return
			}
		}
	})
	p := startProxy(t, origin.URL)
	ctx, leave := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url, nil)
	require.NoError(t, err)
	go func() { next <- "data: 1\n\n" }()
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	lines := bufio.NewReader(resp.Body)
	for i := 1; i <= 3; i++ {
		line, err := lines.ReadString('\n')
		require.NoError(t, err)
		assert.Equal(t, fmt.Sprintf("data: %d\n", i), line)
		lines.ReadString('\n')
		if i < 3 {
			next <- fmt.Sprintf("data: %d\n\n", i+1)
		}
	}
	leave()
	<-cancelled // the client has left, and so the request to the origin ends
}

func TestProxyPassesUpgradedConnectionsThrough(t *testing.T) {
	origin := serve(t, func(w http.ResponseWriter, r *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		fmt.Fprintf(rw, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", r.Header.Get("Upgrade"))
		rw.Flush()
		for {
			line, err := rw.ReadString('\n')
			if err != nil {
				return
			}
			io.WriteString(conn, "echo "+line)
		}
	})
	p := startProxy(t, origin.URL, "--grace", "100ms")
	conn, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
	require.NoError(t, err)
	defer conn.Close()
	io.WriteString(conn, "GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusSwitchingProtocols, resp.StatusCode)
	io.WriteString(conn, "hello\n")
	line, err := in.ReadString('\n')
	require.NoError(t, err)
	assert.Equal(t, "echo hello\n", line)
	other, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
	require.NoError(t, err)
	io.WriteString(other, "GET /other HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	_, err = http.ReadResponse(bufio.NewReader(other), nil)
	require.NoError(t, err)
	other.Close()
	testutil.Eventually(t, "the log", func() bool { return strings.Contains(p.log.String(), "GET /other 101 ") })
	assert.Equal(t, 0, p.end(t), p.log.String())
	_, err = in.ReadString('\n')
	assert.Error(t, err, "the proxy has ended the connection")
}

// What is HTTP again behind an upgrade would pass by the proxy: requests for other hosts, answers that no cache sees.
func TestProxyPassesNoUpgradeToHTTPThrough(t *testing.T) {
	origin := serve(t, func(w http.ResponseWriter, r *http.Request) {
		assert.Empty(t, r.Header.Get("Upgrade")+r.Header.Get("Connection")+r.Header.Get("Http2-Settings"))
		io.WriteString(w, "plain")
	})
	p := startProxy(t, origin.URL)
	for _, protocol := range []string{"h2c", "H2C", "websocket, h2c", "HTTP/2.0", "TLS/1.2"} {
		resp, body := ask(t, p.url+"/", "Connection", "Upgrade, HTTP2-Settings", "Upgrade", protocol, "HTTP2-Settings", "AAMAAABkAAQAAP__")
		assert.Equal(t, http.StatusOK, resp.StatusCode, protocol)
		assert.Equal(t, "plain", body)
	}
}

// A server has to accept the absolute form of a URL (RFC 9112 §3.2.2). The host in it is the one that counts.
func TestProxyAcceptsTheAbsoluteFormForItself(t *testing.T) {
	origin := serve(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.RequestURI) })
	p := startProxy(t, origin.URL)
	for target, want := range map[string]string{
		"http://localhost/a?b": "200 /a?b", "http://evil.test/a": "421 ply proxy: this proxy does not answer for that host: ask for localhost, or name the host with --host\n",
	} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
		require.NoError(t, err)
		defer conn.Close()
		fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", target)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		require.NoError(t, err)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		assert.Equal(t, want, fmt.Sprint(resp.StatusCode, " ", string(body)))
	}
}

// Where it listens is JSON, too.
func TestProxyAsJSONWritesNothingElse(t *testing.T) {
	origin := serve(t, func(http.ResponseWriter, *http.Request) {})
	cmd := plyRun{}.command(t.Context(), t, "proxy", origin.URL, "--cache", "memory", "--format", "json")
	log := &syncBuffer{}
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	cmd.Stderr = log
	require.NoError(t, cmd.Start())
	defer func() { cmd.Process.Kill(); cmd.Wait() }()
	var at struct{ Name, URL string }
	require.NoError(t, json.NewDecoder(stdout).Decode(&at))
	assert.Equal(t, "proxy", at.Name)
	ask(t, at.URL+"\u009b31m")
	var line accessLine
	testutil.Eventually(t, "the log", func() bool { return strings.HasSuffix(log.String(), "\n") })
	require.NoError(t, json.Unmarshal([]byte(log.String()), &line), log.String())
	assert.Equal(t, http.StatusOK, line.Status)
}

func TestInspectorOfTheProxyPurgesByTag(t *testing.T) {
	var asked atomic.Int64
	origin := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set(strings.TrimPrefix(r.URL.Path, "/"), "news")
	})
	p := startProxy(t, origin.URL, "--inspect", "127.0.0.1:0")
	paths := []string{"/Surrogate-Key", "/Cache-Tag", "/Xkey", "/None"}
	wants := func(n int64) {
		t.Helper()
		for _, path := range paths {
			ask(t, p.url+path)
		}
		require.Equal(t, n, asked.Load())
	}
	wants(4)
	wants(4)
	resp, err := http.Post(p.inspector+"/cache/purge", "application/json", strings.NewReader(`{"tag":"news"}`))
	require.NoError(t, err)
	resp.Body.Close()
	require.Less(t, resp.StatusCode, 300)
	wants(7)
}

// SIGTERM lets a request have its answer, and takes no others.
func TestProxyEndsOnceRequestsHaveTheirAnswers(t *testing.T) {
	asked, answer := make(chan struct{}), make(chan struct{})
	origin := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		close(asked)
		<-answer
		io.WriteString(w, "late")
	})
	p := startProxy(t, origin.URL, "--inspect", "127.0.0.1:0")
	page, _ := ask(t, p.inspector+"/")
	assert.Equal(t, http.StatusOK, page.StatusCode)
	body := make(chan string)
	go func() {
		_, text := ask(t, p.url)
		body <- text
	}()
	<-asked
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	testutil.Eventually(t, "the listener to close", func() bool {
		conn, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
	close(answer)
	assert.Equal(t, "late", <-body)
	p.cmd.Wait()
	assert.Equal(t, 0, p.cmd.ProcessState.ExitCode(), p.log.String())
}

func TestProxyRefusesFlagsThatWouldLetOthersIn(t *testing.T) {
	for _, args := range [][]string{
		{"http://o.test", "--listen", ":0"}, {"http://o.test", "--listen", "0.0.0.0:0"}, {"http://o.test", "--shared", "--inspect", ":0"}, {"http://user:canary@o.test"},
		{"o.test"}, {"ftp://o.test"}, {"http://o.test?x=1"}, {"http://o.test", "--forwarded", "all"}, {"http://o.test", "--retries", "-1"}, {"http://o.test", "--cache", "none"}, {},
	} {
		got := runPly(t, append([]string{"proxy"}, args...)...)
		assert.Equal(t, exitUsage, got.code, "%s: %s", args, got.stderr)
		assert.NotContains(t, got.stderr, "canary")
	}
}

func TestCurlGetsTheSameThroughTheProxy(t *testing.T) {
	curl, err := exec.LookPath("curl")
	if err != nil {
		testutil.SkipUnlessCI(t, "curl is not installed")
	}
	origin := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		http.ServeContent(w, r, "x.txt", testTime, strings.NewReader("0123456789"))
	})
	p := startProxy(t, origin.URL)
	for _, args := range [][]string{{}, {"-r", "2-5"}, {"-r", "2-5"}, {"-I"}, {"--compressed"}, {"--http1.0"}, {"-X", "OPTIONS"}, {"-d", "x=1"}} {
		run := func(url string) string {
			out, err := exec.Command(curl, append(append([]string{"-sS", "-o", "-", "-w", "%{http_code} %{size_download} %header{content-range}"}, args...), url)...).CombinedOutput()
			require.NoError(t, err, string(out))
			if len(args) == 1 && args[0] == "-I" {
				return string(out[len(out)-8:])
			}
			return string(out)
		}
		assert.Equal(t, run(origin.URL+"/x"), run(p.url+"/x"), args)
	}
}
