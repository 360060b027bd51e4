package inspect

import (
	"embed"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"
)

//go:embed page
var embedded embed.FS

var pageTypes = map[string]string{
	".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml", ".png": "image/png",
}

// maxRequest bounds the content of a request to the inspector, in bytes.
const maxRequest = 1 << 20

// routes are the paths of the inspector, behind what guards them.
func (in *Inspector) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", in.servePage)
	mux.HandleFunc("GET /{file}", in.servePage)
	mux.HandleFunc("GET /calls", in.serveCalls)
	mux.HandleFunc("DELETE /calls", in.forgetCalls)
	mux.HandleFunc("GET /calls/{id}", in.serveCall)
	mux.HandleFunc("POST /har", in.serveHAR)
	mux.HandleFunc("GET /events", in.serveEvents)
	mux.HandleFunc("GET /stats", in.serveStats)
	mux.HandleFunc("GET /cache", in.serveCache)
	mux.HandleFunc("DELETE /cache/{id}", in.deleteEntry)
	mux.HandleFunc("POST /cache/purge", in.purge)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		harden(w.Header())
		if err := in.admit(r); err != nil {
			fail(w, http.StatusForbidden, err)
			return
		}
		if r.URL.Path == "" { // mounted without the slash that relative paths need
			asked, err := url.ParseRequestURI(r.RequestURI)
			if err != nil {
				fail(w, http.StatusNotFound, errNoFile)
				return
			}
			http.Redirect(w, r, "/"+strings.Trim(asked.EscapedPath(), "/")+"/", http.StatusMovedPermanently)
			return
		}
		if _, pattern := mux.Handler(r); pattern == "" {
			w = &refusal{ResponseWriter: w}
		}
		mux.ServeHTTP(w, r)
	})
}

// refusal writes what a mux answers to a request that it has no handler for as JSON, with the mux's status and Allow.
type refusal struct {
	http.ResponseWriter
	refused bool
}

func (f *refusal) WriteHeader(status int) {
	switch f.refused = status >= http.StatusBadRequest; {
	case status == http.StatusMethodNotAllowed:
		fail(f.ResponseWriter, status, errNotAllowed)
	case f.refused:
		fail(f.ResponseWriter, status, errNoFile)
	default:
		f.ResponseWriter.WriteHeader(status)
	}
}

func (f *refusal) Write(p []byte) (int, error) {
	if f.refused {
		return len(p), nil
	}
	return f.ResponseWriter.Write(p)
}

func (in *Inspector) servePage(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("file")
	if name == "" {
		name = "index.html"
	}
	mediaType, known := pageTypes[path.Ext(name)]
	content, err := fs.ReadFile(embedded, "page/"+name)
	if err != nil || !known {
		fail(w, http.StatusNotFound, errNoFile)
		return
	}
	w.Header().Set("Content-Type", mediaType)
	w.Write(content) //nolint:errcheck // the reader is gone
}

func writeJSON(w http.ResponseWriter, v any) {
	text, err := json.Marshal(v)
	if err != nil {
		fail(w, http.StatusInternalServerError, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(append(text, '\n')) //nolint:errcheck // the reader is gone
}

func fail(w http.ResponseWriter, status int, err error) {
	text, _ := json.Marshal(map[string]string{"error": cleanText(err.Error(), maxText)})
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(append(text, '\n')) //nolint:errcheck // the reader is gone
}

// readJSON reads the content of a request that changes something: JSON, which a form of another site cannot send.
func readJSON(w http.ResponseWriter, r *http.Request, v any) bool {
	if t, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); t != "application/json" {
		fail(w, http.StatusUnsupportedMediaType, errors.New("the content must be application/json"))
		return false
	}
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if err == nil && len(text) > 0 {
		err = json.Unmarshal(text, v)
	}
	if err != nil {
		fail(w, http.StatusBadRequest, errors.New("the content is no JSON of the expected form"))
		return false
	}
	return true
}

// number reads a parameter of the query, which is zero if it is not there.
func number(r *http.Request, name string) (int64, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return 0, errors.New(name + " must be a number that is not negative")
	}
	return n, nil
}

type callList struct {
	Instance string    `json:"instance,omitempty"`
	Version  int64     `json:"version"`
	Oldest   int64     `json:"oldest"`
	More     bool      `json:"more,omitempty"`
	Calls    []summary `json:"calls"`
}

func (in *Inspector) list(after int64, limit int) callList {
	changed, upTo, oldest, more := in.changedSince(after, limit)
	l := callList{Version: upTo, Oldest: oldest, More: more, Calls: make([]summary, 0, len(changed))}
	for _, c := range changed {
		l.Calls = append(l.Calls, c.look(c.version).summary())
	}
	return l
}

func (in *Inspector) serveCalls(w http.ResponseWriter, r *http.Request) {
	after, err := number(r, "after")
	limit, err2 := number(r, "limit")
	if err = errors.Join(err, err2); err != nil {
		fail(w, http.StatusBadRequest, err)
		return
	}
	l := in.list(after, int(min(limit, maxKeep)))
	l.Instance = in.instance
	writeJSON(w, l)
}

func (in *Inspector) forgetCalls(w http.ResponseWriter, _ *http.Request) {
	in.forget()
	w.WriteHeader(http.StatusNoContent)
}

func (in *Inspector) serveCall(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	c, version := in.call(id)
	if err != nil || c == nil {
		fail(w, http.StatusNotFound, errors.New("the call is not kept any more"))
		return
	}
	writeJSON(w, c.look(version).detail())
}

type statistics struct {
	StepMs  int64       `json:"stepMs"`
	Buckets []bucket    `json:"buckets"`
	Totals  bucket      `json:"totals"`
	Kept    kept        `json:"kept"`
	Cache   *cacheStats `json:"cache,omitempty"`
}

type kept struct {
	Calls    int   `json:"calls"`
	Keep     int   `json:"keep"`
	Bytes    int64 `json:"bytes"`
	MaxBytes int64 `json:"maxBytes"`
}

func (in *Inspector) serveStats(w http.ResponseWriter, r *http.Request) {
	now := time.Now()
	in.mu.Lock()
	s := in.seconds
	if r.URL.Query().Get("step") == "60" {
		s = in.minutes
	}
	stats := statistics{StepMs: s.step * 1000, Buckets: s.since(now), Totals: s.totals, Kept: kept{Calls: len(in.calls), Keep: in.o.Keep, Bytes: in.bytes.Load(), MaxBytes: in.o.MaxBytes}}
	in.mu.Unlock()
	if stats.Buckets == nil {
		stats.Buckets = []bucket{}
	}
	stats.Cache = in.cacheStats()
	writeJSON(w, stats)
}
