package cache

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/plyhttp/ply/har"
	"github.com/plyhttp/ply/internal/field"
	"github.com/plyhttp/ply/middleware/cache/internal/rfc9111"
	"github.com/plyhttp/ply/middleware/cache/internal/stored"
	"github.com/plyhttp/ply/redact"
)

// The reasons for which [Cache.ImportHAR] leaves an entry, beside those of [Cache.Import] and those for which any response is not stored, in the words of Cache-Status.
const (
	SkipNoResponse Skip = "it has no response, or none that can be read"
	SkipNoBody     Skip = "the archive does not have its body"
	SkipHidden     Skip = "a value of its request is hidden"
	SkipOtherKey   Skip = "it was stored for a request that the archive does not have as a whole"
	SkipUnknown    Skip = "the archive may lack credentials, and the response is not for all" // see HARImport.Complete
	SkipFuture     Skip = "its time lies in the future"
)

// ExportHAR writes what is stored as an HTTP Archive (HAR 1.2), for the tools of browsers and others: to be read, compared and searched.
// It is no backup, for which [Cache.Export] is: an archive has no keys, no principals and no lifetimes of the program's own. Each body is in memory once while it is written.
//
// The request of an entry has the method, the URL, and those fields that the response varies on and that are no credentials. Secrets are hidden as o says;
// over a byte store, the values of queries are hidden in any case. A body with a content coding is written as it is stored, in base64; a comment says so.
//
// The error says that w or the store has failed; the report counts what had been written by then. ExportHAR does not close w.
func (c *Cache) ExportHAR(ctx context.Context, w io.Writer, o har.Options) (MoveReport, error) {
	var report MoveReport
	out := har.NewEncoder(w, o)
	var failed error
	err := c.store.Each(ctx, nil, func(key string, set *stored.Variants, _ stored.Updater) bool {
		for _, e := range set.Entries {
			if failed = ctx.Err(); failed != nil {
				return false
			}
			archived, err := c.shown(key, e).har(ctx)
			if errors.Is(err, ErrBodyGone) || errors.Is(err, io.ErrUnexpectedEOF) {
				report.skip(SkipBodyLost)
				continue
			}
			if failed = err; failed == nil {
				failed = out.Encode(archived)
			}
			if failed != nil {
				return false
			}
			report.moved(e.Body.Size())
		}
		return true
	})
	if err = errors.Join(failed, err); err == nil {
		err = out.Close()
	}
	return report, wrapped("export HAR", err)
}

// plyHAR is what an archive has of an entry beside what the format knows.
type plyHAR struct {
	Key     string // as Entry.Key has it
	Encoded bool   `json:",omitempty"` // the content has the coding that Content-Encoding names

	Omitted []string `json:",omitempty"` // the fields of the request that the response varies on and that the archive does not have: credentials above all
}

// har returns the entry as an archive has it.
func (e *Entry) har(ctx context.Context) (*har.Entry, error) {
	resp, err := e.Open(ctx)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	s := e.stored
	wait := har.Milliseconds(e.ResponseDelay())
	selecting, omitted := selectingHeader(s)
	ply := plyHAR{Key: e.Key(), Encoded: len(body) > 0 && !s.Uncompressed && s.Header.Get("Content-Encoding") != "", Omitted: omitted}
	extension, err := json.Marshal(ply)
	if err != nil {
		return nil, err
	}
	content := har.NewContent(body, s.Header.Get("Content-Type"))
	if ply.Encoded {
		content.Comment = "as it is stored, with its Content-Encoding"
	}
	return &har.Entry{
		Started: s.Requested.Round(0).UTC(), Time: wait, Timings: har.Timings{Wait: wait}, Ply: extension,
		Request: har.Request{
			Method: e.Method(), URL: s.URL, HTTPVersion: s.Line.Proto, Headers: har.Headers(selecting), QueryString: har.Query(resp.Request.URL), HeadersSize: -1, BodySize: -1,
		},
		Response: har.Response{
			Status: s.Status, StatusText: http.StatusText(s.Status), HTTPVersion: s.Line.Proto, Headers: har.Headers(e.Header()), Content: content,
			RedirectURL: s.Header.Get("Location"), HeadersSize: -1, BodySize: int64(len(body)),
		},
		Cache: har.Cache{After: &har.CacheState{
			Expires: rfc3339(e.Expires()), LastAccess: rfc3339(e.LastUsed()), ETag: s.Header.Get("Etag"),
		}},
	}, nil
}

func rfc3339(t time.Time) string { return jsonTime(t).Format(time.RFC3339Nano) }

// selectingHeader returns the fields that a response varies on, as far as they are stored as they were sent, and the names of the others that its request had.
func selectingHeader(s *stored.Entry) (h http.Header, omitted []string) {
	h = make(http.Header)
	for i := range s.Selectors {
		switch f := &s.Selectors[i]; {
		case f.Present && f.Raw != "":
			h.Set(f.Name, f.Raw)
		case f.Present:
			omitted = append(omitted, f.Name)
		}
	}
	return h, omitted
}

// HARImport says how [Cache.ImportHAR] takes an archive.
type HARImport struct {
	// Complete says that the archive has the requests as they were sent, credentials and cookies included. Browsers leave those out unless they are told otherwise.
	// Zero means that they may be missing. A request that has Authorization, Cookie or userinfo is complete. An answer to any other one, without a name for the principal
	// in the context (see [WithPrincipal]), is imported only if the server has marked it for all, with "public" or "s-maxage" in Cache-Control (RFC 9111 §3.5),
	// and does not vary on credentials that the request lacks. An API key alone says nothing: a program's key often stands beside the credentials of its user.
	Complete bool
}

// ImportHAR takes in the responses of an HTTP Archive (HAR 1.2), as a browser saves one, as far as [Cache.Save] would store them: by the rules for any response, for the requests of the archive,
// and as old as they are by its times. So it fills a cache for tests, or before it is needed; an expired response is of use only for [ModeForceCache] and validations.
// As Save does, it wants a cache that stands in a chain. ctx chooses for all requests what the context of one does: a principal above all.
//
// Responses that the cache has already, as new or newer, stay, and what has been invalidated here since is left. Of an archive that [Cache.ExportHAR] has written, a response is imported
// only if its request has the key that it was stored under: not if it was for a principal, or for credentials, which the archive does not have.
// An archive is trusted as much as the origin: import none that others could have written.
//
// The error says that the archive cannot be read, or that the store fails; what came before is imported. The report counts what was left, and why.
func (c *Cache) ImportHAR(ctx context.Context, r io.Reader, o HARImport) (MoveReport, error) {
	m := harImporter{Cache: c, o: o, saved: make(map[[32]byte][]archivedEntry)}
	for e, err := range har.Entries(r) {
		if err != nil {
			return m.report, wrapped("import HAR", err)
		}
		size, why, err := m.add(ctx, e)
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return m.report, wrapped("import HAR", err)
		}
		if why != "" {
			m.report.skip(why)
			continue
		}
		m.report.moved(size)
	}
	return m.report, nil
}

// A harImporter saves the entries of one archive. One goroutine uses it.
type harImporter struct {
	*Cache
	o      HARImport
	report MoveReport
	saved  map[[32]byte][]archivedEntry // what it has saved, by the hash of the key
}

// An archivedEntry is what an import has saved.
type archivedEntry struct {
	stored  *stored.Entry
	started time.Time // when it was requested, by the archive
}

// add saves one exchange, unless something is against it. Its error ends the import.
func (m *harImporter) add(ctx context.Context, e *har.Entry) (size int64, why Skip, err error) {
	r, resp, ply, why := exchangeOf(ctx, e)
	if why != "" {
		return 0, why, nil
	}
	now := time.Now()
	s := m.foresee(ctx, r, now)
	switch {
	case s.fault != nil:
		return 0, "", s.fault
	case !m.meant(s, resp, ply):
		if ply.Key != "" {
			return 0, SkipOtherKey, nil
		}
		return 0, SkipUnknown, nil
	case e.Started.After(now.Add(time.Minute)):
		return 0, SkipFuture, nil
	case m.isNewer(s, e.Started):
		return 0, SkipNewer, nil
	}
	size = max(resp.ContentLength, e.Response.Content.Size)
	asOldAs(resp, e.Started, now)
	var saved []archivedEntry
	tracing := WithTrace(choosing(ctx, func(c *choices) { c.savingOf = e.Started }), &Trace{Stored: func(kept *Entry) {
		saved = append(saved, archivedEntry{kept.stored, e.Started})
	}})
	var refused *NotStoredError
	switch err := m.Save(ctx, r.WithContext(tracing), resp); {
	case errors.As(err, &refused) && refused.Err == nil:
		return 0, Skip(refused.Reason), nil
	case err != nil:
		return 0, "", err
	}
	hash := m.keyHash(string(s.key))
	m.saved[hash] = append(slices.DeleteFunc(m.saved[hash], func(a archivedEntry) bool {
		return slices.ContainsFunc(saved, func(b archivedEntry) bool { return b.stored.SameVariant(a.stored) })
	}), saved...)
	return size, "", nil
}

// exchangeOf returns the request and the response of an entry, or why there is none.
func exchangeOf(ctx context.Context, e *har.Entry) (*http.Request, *http.Response, plyHAR, Skip) {
	var ply plyHAR
	if len(e.Ply) > 0 && json.Unmarshal(e.Ply, &ply) != nil {
		return nil, nil, ply, SkipNoResponse
	}
	r, err := e.Request.HTTP()
	if err != nil || e.Response.Status < 200 || e.Response.Status > 599 || !located(r) {
		return nil, nil, ply, SkipNoResponse
	}
	if hidesValues(r, e.Request.PostData) {
		return nil, nil, ply, SkipHidden
	}
	resp, err := e.Response.HTTP()
	switch {
	case errors.Is(err, har.ErrNoText):
		return nil, nil, ply, SkipNoBody
	case err != nil:
		return nil, nil, ply, SkipNoResponse
	}
	if ply.Encoded {
		body, _ := e.Response.Content.Bytes()
		for _, p := range e.Response.Headers {
			if strings.EqualFold(p.Name, "Content-Encoding") {
				resp.Header.Add("Content-Encoding", p.Value)
			}
		}
		resp.Uncompressed, resp.ContentLength, resp.Body = false, int64(len(body)), io.NopCloser(bytes.NewReader(body))
	}
	for name, values := range resp.Header { // what was hidden when the archive was written
		if values = slices.DeleteFunc(values, func(v string) bool { return v == redact.Placeholder }); len(values) == 0 {
			delete(resp.Header, name)
		} else {
			resp.Header[name] = values
		}
	}
	return r.WithContext(ctx), resp, ply, ""
}

// hidesValues reports whether package redact has put its placeholder into a request.
func hidesValues(r *http.Request, content *har.PostData) bool {
	if hidden(r.URL) || content != nil && strings.Contains(content.Text, redact.Placeholder) {
		return true
	}
	if content != nil && slices.ContainsFunc(content.Params, func(p har.Param) bool { return p.Value == redact.Placeholder }) {
		return true
	}
	for _, values := range r.Header {
		if slices.Contains(values, redact.Placeholder) {
			return true
		}
	}
	return false
}

// meant reports whether a response is known to be for the request that the archive has, and for all who send such a request.
func (m *harImporter) meant(s *foreseen, resp *http.Response, ply plyHAR) bool {
	if ply.Key != "" {
		if len(ply.Omitted) > 0 {
			return false
		}
		hash := m.keyHash(string(s.key))
		if s.key != nil && hex.EncodeToString(hash[:]) == ply.Key {
			return true
		}
		search, err := m.searchKey(s.request, s.parsed.Path)
		hash = m.keyHash(string(search))
		return err == nil && hex.EncodeToString(hash[:]) == ply.Key
	}
	if m.o.Complete || s.parsed.Principal != "" || namesUser(s.request) {
		return true
	}
	for name := range field.Members(resp.Header.Values("Vary")) {
		if rfc9111.IsHashed(http.CanonicalHeaderKey(name)) && len(s.request.Header.Values(name)) == 0 {
			return false
		}
	}
	d, _ := field.Controlling(resp.Header, m.policy.Targeted)
	return !d.Private && (d.Public || d.SMaxAge.Set)
}

// namesUser reports whether a request of an archive has what browsers leave out, all of it or nothing.
func namesUser(r *http.Request) bool {
	return r.URL.User != nil || r.Header.Get("Authorization") != "" || r.Header.Get("Cookie") != ""
}

// isNewer reports whether what would answer a request was requested as late as the exchange of the archive. What the import itself has saved counts as of the archive's time.
func (m *harImporter) isNewer(s *foreseen, started time.Time) bool {
	if s.lookup.Entry == nil {
		return false
	}
	now := s.lookup.Entry
	for _, a := range m.saved[m.keyHash(string(s.key))] {
		if now.SameVariant(a.stored) && now.Requested.UnixMilli() == a.stored.Requested.UnixMilli() {
			return a.started.After(started)
		}
	}
	return !now.Requested.Before(started)
}

// asOldAs makes a response as old as it is now, if it was requested then (RFC 9111 §4.2.3).
func asOldAs(resp *http.Response, then, now time.Time) {
	if resp.Header.Get("Date") == "" {
		resp.Header.Set("Date", then.UTC().Format(http.TimeFormat))
	}
	age, _ := strconv.ParseInt(resp.Header.Get("Age"), 10, 32)
	if since := now.Sub(then); since > 0 {
		age += int64((since + time.Second - 1) / time.Second)
	}
	resp.Header.Set("Age", strconv.FormatInt(max(age, 0), 10))
}
