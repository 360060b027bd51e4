package inspect

import (
	"cmp"
	"encoding/json"
	"net/http"
	"slices"

	"github.com/plyhttp/ply/har"
)

// serveHAR writes the calls with the given ids, or all, as an HTTP Archive, one entry for each hop.
func (in *Inspector) serveHAR(w http.ResponseWriter, r *http.Request) {
	var wanted struct {
		IDs []int64 `json:"ids"`
	}
	if !readJSON(w, r, &wanted) {
		return
	}
	slices.Sort(wanted.IDs)
	all, _, _, _ := in.changedSince(-1, 0)
	slices.SortFunc(all, func(a, b versioned) int { return cmp.Compare(a.id, b.id) })
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Disposition", `attachment; filename="ply.har"`)
	out := har.NewEncoder(w, har.Options{Redactor: in.o.Redactor})
	for _, c := range all {
		if _, found := slices.BinarySearch(wanted.IDs, c.id); len(wanted.IDs) > 0 && !found {
			continue
		}
		d := c.look(c.version).detail()
		for i := range d.HopList {
			if out.Encode(d.entry(i)) != nil {
				return // the reader is gone
			}
		}
	}
	out.Close() //nolint:errcheck // the reader is gone
}

// entry is a hop as an archive has it, made of what pages are shown: without secrets, and with bodies as far as they are kept.
func (d *detail) entry(i int) *har.Entry {
	h := &d.HopList[i]
	e := &har.Entry{
		Started: d.Start.Add(duration(h.Header.StartMs)),
		Request: har.Request{Method: h.Method, URL: h.URL, HTTPVersion: cmp.Or(d.Proto, "HTTP/1.1"), HeadersSize: -1, BodySize: -1},
		Response: har.Response{
			Status: h.Status, StatusText: http.StatusText(h.Status), HTTPVersion: cmp.Or(d.Proto, "HTTP/1.1"), HeadersSize: -1, BodySize: -1,
			Content: har.Content{Size: h.Received},
		},
		Comment: h.Error,
	}
	if m := h.Request; m != nil {
		e.Request.Headers = pairsOf(m.Headers)
		if b := m.Body; b != nil {
			e.Request.BodySize = b.Size
			e.Request.PostData = &har.PostData{MimeType: b.MediaType, Text: b.Text}
		}
	}
	if m := h.Response; m != nil {
		e.Response.Headers, e.Response.HTTPVersion = pairsOf(m.Headers), cmp.Or(m.Proto, "HTTP/1.1")
		e.Response.RedirectURL = valueOf(m.Headers, "Location")
		if b := m.Body; b != nil {
			e.Response.Content = har.Content{Size: b.Size, MimeType: b.MediaType, Comment: bodyComment(b)}
			if !b.Binary && b.Hidden == "" {
				e.Response.Content.Text = &b.Text
			}
		}
	}
	e.Timings = h.timings()
	e.Time = e.Timings.Send + e.Timings.Wait + e.Timings.Receive + value(e.Timings.Blocked)
	if h.Cache != "" {
		e.Cache.Comment = h.Cache + reasonIn(h.CacheReason)
	}
	e.Ply, _ = json.Marshal(struct {
		Call      int64          `json:"call"`
		Outcome   string         `json:"outcome"`
		Exchanges []exchangeView `json:"exchanges,omitempty"`
		Why       []why          `json:"why,omitempty"`
	}{d.ID, d.Outcome, h.Exchanges, d.Why})
	return e
}

func reasonIn(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}

func bodyComment(b *bodyView) string {
	switch {
	case b.Truncated:
		return "only the beginning was kept"
	case b.Open:
		return "the body had not ended"
	case b.ClosedEarly:
		return "the caller closed the body before its end"
	}
	return ""
}

// timings are those of the hop's last exchange, after what came before it; of a hop without an exchange, waiting is all there was.
func (h *hopView) timings() har.Timings {
	t := har.Timings{Wait: h.Header.Ms}
	if h.Body != nil {
		t.Receive = h.Body.Ms
	}
	if len(h.Exchanges) == 0 {
		return t
	}
	x := &h.Exchanges[len(h.Exchanges)-1]
	if x.Send != nil {
		t.Send = x.Send.Ms
	}
	if x.Answer != nil {
		t.Wait = x.Answer.Ms
	}
	blocked := max(0, h.Header.Ms-t.Send-t.Wait)
	t.Blocked = &blocked
	return t
}

func value(f *float64) float64 {
	if f == nil {
		return 0
	}
	return *f
}

func pairsOf(all []pair) []har.Pair {
	pairs := make([]har.Pair, 0, len(all))
	for _, p := range all {
		pairs = append(pairs, har.Pair{Name: p.Name, Value: p.Value})
	}
	return pairs
}

func valueOf(all []pair, name string) string {
	for _, p := range all {
		if p.Name == name {
			return p.Value
		}
	}
	return ""
}
