// Package fake is a small S3 server in the process of a test: the calls that store/s3 makes, with the conditions that real servers have, and faults on demand.
// It checks no signatures.
package fake

import (
	"bytes"
	"crypto/md5" // as ETags of S3 are
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Bucket is the bucket that a server has.
const Bucket = "bucket"

// Server is a server with one bucket.
type Server struct {
	*httptest.Server

	// IgnorePut and IgnoreDelete are conditions that the server does not heed. Set them before the first request.
	IgnorePut, IgnoreDelete bool

	mu      sync.Mutex // guards what follows
	objects map[string]object
	counts  map[string]int
	fault   func(w http.ResponseWriter, r *http.Request) bool
}

type object struct {
	value    []byte
	etag     string
	modified time.Time
	header   http.Header // of the PUT
}

// New returns a server that ends with the test.
func New(tb testing.TB) *Server {
	s := &Server{objects: make(map[string]object), counts: make(map[string]int)}
	s.Server = httptest.NewServer(s)
	tb.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s
}

// Fault has f see each request first. If it returns true, it has answered. Nil ends that.
func (s *Server) Fault(f func(w http.ResponseWriter, r *http.Request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = f
}

// Counts returns how many requests of each kind have come since the last call, such as "GET" and "LIST".
func (s *Server) Counts() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	counts := s.counts
	s.counts = make(map[string]int)
	return counts
}

// Names returns the names of all objects, sorted.
func (s *Server) Names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.names()
}

func (s *Server) names() []string {
	names := make([]string, 0, len(s.objects))
	for name := range s.objects {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Value returns an object's content and the header it was put with, and nil if there is none.
func (s *Server) Value(name string) ([]byte, http.Header) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.objects[name]
	return slices.Clone(o.value), o.header
}

// Set puts an object, as another program would.
func (s *Server) Set(name string, value []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.set(name, value, nil)
}

func (s *Server) set(name string, value []byte, header http.Header) string {
	sum := md5.Sum(value)
	etag := `"` + hex.EncodeToString(sum[:]) + `"`
	s.objects[name] = object{slices.Clone(value), etag, time.Now(), header}
	return etag
}

// ServeHTTP implements [http.Handler].
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body)) // for a fault that has the request served after all
	bucket, name, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	s.mu.Lock()
	fault := s.fault
	s.counts[kind(r, name)]++
	s.mu.Unlock()
	if fault != nil && fault(w, r) {
		return
	}
	if bucket != Bucket {
		Fail(w, http.StatusNotFound, "NoSuchBucket")
		return
	}
	s.mu.Lock() // a request is one step, as a condition wants it
	defer s.mu.Unlock()
	switch kind(r, name) {
	case "GET":
		s.get(w, r, name)
	case "PUT":
		s.put(w, r, name, body)
	case "DELETE":
		s.delete(w, r, name)
	case "LIST":
		s.list(w, r)
	case "DELETE many":
		s.deleteMany(w, body)
	default:
		Fail(w, http.StatusNotImplemented, "NotImplemented")
	}
}

func kind(r *http.Request, name string) string {
	switch {
	case name == "" && r.URL.Query().Get("list-type") == "2":
		return "LIST"
	case name == "" && r.URL.Query().Has("delete"):
		return "DELETE many"
	}
	return r.Method
}

// Fail answers with an error of S3.
func Fail(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, "<Error><Code>%s</Code><Message>a message</Message></Error>", code)
}

func (s *Server) get(w http.ResponseWriter, r *http.Request, name string) {
	o, ok := s.objects[name]
	if !ok {
		Fail(w, http.StatusNotFound, "NoSuchKey")
		return
	}
	w.Header().Set("ETag", o.etag)
	value, status := o.value, http.StatusOK
	if ends, ranged := strings.CutPrefix(r.Header.Get("Range"), "bytes=0-"); ranged {
		last, _ := strconv.Atoi(ends)
		if len(value) == 0 {
			Fail(w, http.StatusRequestedRangeNotSatisfiable, "InvalidRange")
			return
		}
		value, status = value[:min(last+1, len(value))], http.StatusPartialContent
		w.Header().Set("Content-Range", fmt.Sprintf("bytes 0-%d/%d", len(value)-1, len(o.value)))
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(value)))
	w.WriteHeader(status)
	_, _ = w.Write(value) // a client that has gone
}

// met reports whether the conditions of a request are. If not, it has answered.
func (s *Server) met(w http.ResponseWriter, r *http.Request, name string) bool {
	o, there := s.objects[name]
	match, none := r.Header.Get("If-Match"), r.Header.Get("If-None-Match")
	switch {
	case match != "" && !there:
		Fail(w, http.StatusNotFound, "NoSuchKey")
	case match != "" && match != o.etag, none == "*" && there:
		Fail(w, http.StatusPreconditionFailed, "PreconditionFailed")
	default:
		return true
	}
	return false
}

func (s *Server) put(w http.ResponseWriter, r *http.Request, name string, value []byte) {
	if s.IgnorePut || s.met(w, r, name) {
		w.Header().Set("ETag", s.set(name, value, r.Header.Clone()))
	}
}

func (s *Server) delete(w http.ResponseWriter, r *http.Request, name string) {
	if s.IgnoreDelete || s.met(w, r, name) {
		delete(s.objects, name)
		w.WriteHeader(http.StatusNoContent)
	}
}

// list answers with a page. A continuation token is the last name of the page before.
func (s *Server) list(w http.ResponseWriter, r *http.Request) {
	type content struct {
		Key          string
		LastModified string
		ETag         string
		Size         int
	}
	var result struct {
		XMLName               xml.Name `xml:"ListBucketResult"`
		IsTruncated           bool
		NextContinuationToken string `xml:",omitempty"`
		Contents              []content
	}
	q := r.URL.Query()
	limit, _ := strconv.Atoi(q.Get("max-keys"))
	after := max(q.Get("start-after"), q.Get("continuation-token"))
	for _, name := range s.names() {
		rest, ours := strings.CutPrefix(name, q.Get("prefix"))
		if !ours || name <= after || q.Get("delimiter") == "/" && strings.Contains(rest, "/") {
			continue
		}
		if len(result.Contents) == limit {
			result.IsTruncated, result.NextContinuationToken = true, result.Contents[limit-1].Key
			break
		}
		o := s.objects[name]
		result.Contents = append(result.Contents, content{name, o.modified.UTC().Format(time.RFC3339), o.etag, len(o.value)})
	}
	w.Header().Set("Content-Type", "application/xml")
	_ = xml.NewEncoder(w).Encode(result) // a client that has gone
}

func (s *Server) deleteMany(w http.ResponseWriter, body []byte) {
	var wanted struct {
		Object []struct{ Key string }
	}
	if err := xml.Unmarshal(body, &wanted); err != nil || len(wanted.Object) > 1000 {
		Fail(w, http.StatusBadRequest, "MalformedXML")
		return
	}
	for _, o := range wanted.Object {
		delete(s.objects, o.Key)
	}
	w.Header().Set("Content-Type", "application/xml")
	fmt.Fprint(w, "<DeleteResult></DeleteResult>")
}
