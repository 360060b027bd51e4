package inspect

import (
	"net/http"
	"strings"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/redact"
)

// detail is all that is known of a call.
type detail struct {
	summary
	Chain         []chainLayer `json:"chain"`
	HopList       []hopView    `json:"hopList"`
	Amplification float64      `json:"amplification,omitempty"`
	Why           []why        `json:"why"`
	Waterfall     string       `json:"waterfall,omitempty"`
	Incomplete    string       `json:"incomplete,omitempty"`
}

type spanView struct {
	StartMs float64 `json:"startMs"`
	Ms      float64 `json:"ms"`
}

type hopView struct {
	Method      string         `json:"method"`
	URL         string         `json:"url"`
	Status      int            `json:"status,omitempty"`
	Error       string         `json:"error,omitempty"`
	Header      spanView       `json:"header"`
	Body        *spanView      `json:"body,omitempty"`
	Received    int64          `json:"received,omitempty"`
	ClosedEarly bool           `json:"closedEarly,omitempty"`
	Open        bool           `json:"open,omitempty"`
	Decoded     string         `json:"decoded,omitempty"`
	Encoded     int64          `json:"encoded,omitempty"`
	Cache       string         `json:"cache,omitempty"`
	CacheReason string         `json:"cacheReason,omitempty"`
	Auth        string         `json:"auth,omitempty"`
	AuthReason  string         `json:"authReason,omitempty"`
	Stop        string         `json:"stop,omitempty"`
	Requests    int            `json:"requests"`
	Omitted     int            `json:"omitted,omitempty"`
	Exchanges   []exchangeView `json:"exchanges,omitempty"`
	Notes       []noteView     `json:"notes,omitempty"`
	Request     *messageView   `json:"request,omitempty"`
	Response    *messageView   `json:"response,omitempty"`
}

type exchangeView struct {
	Attempt int       `json:"attempt,omitempty"`
	Hedge   int       `json:"hedge,omitempty"`
	WaitMs  float64   `json:"waitMs,omitempty"`
	Method  string    `json:"method"`
	URL     string    `json:"url"`
	Status  int       `json:"status,omitempty"`
	Proto   string    `json:"proto,omitempty"`
	Error   string    `json:"error,omitempty"`
	Span    spanView  `json:"span"`
	Remote  string    `json:"remote,omitempty"`
	Reused  bool      `json:"reused,omitempty"`
	IdleMs  float64   `json:"idleMs,omitempty"`
	Queue   *spanView `json:"queue,omitempty"`
	DNS     *spanView `json:"dns,omitempty"`
	Connect *spanView `json:"connect,omitempty"`
	TLS     *spanView `json:"tls,omitempty"`
	Send    *spanView `json:"send,omitempty"`
	Answer  *spanView `json:"answer,omitempty"`
	Sent    int64     `json:"sent,omitempty"`
}

type noteView struct {
	Layer  string   `json:"layer"`
	Event  string   `json:"event"`
	Detail string   `json:"detail,omitempty"`
	Span   spanView `json:"span"`
}

type messageView struct {
	Proto      string    `json:"proto,omitempty"`
	StatusText string    `json:"statusText,omitempty"`
	Headers    []pair    `json:"headers"`
	Trailers   []pair    `json:"trailers,omitempty"`
	Body       *bodyView `json:"body,omitempty"`
}

func (k *look) detail() detail {
	d := detail{summary: k.summary(), Chain: k.chain, HopList: []hopView{}, Amplification: k.info.Amplification, Why: k.why()}
	if k.recorded {
		d.Waterfall = cleanText(k.info.String(), maxWaterfall)
	}
	d.HopList = k.hopList()
	d.Incomplete = k.incomplete()
	return d
}

// hopList shows the hops of the call: those that passed the layer, and those that only the record has.
func (k *look) hopList() []hopView {
	all := []hopView{}
	if last := len(k.info.Hops) - 1; k.whole && last > 0 { // its request is that of the first hop, and its response that of the last
		for j := range k.info.Hops {
			all = append(all, k.recordView(j))
		}
		passed := k.hopView(0)
		all[0].Request, all[last].Response = passed.Request, passed.Response
		return all
	}
	next := 0
	for i := range k.hops {
		for ; next < k.of[i]; next++ {
			all = append(all, k.recordView(next))
		}
		next = max(next, k.of[i]+1)
		all = append(all, k.hopView(i))
	}
	for ; next < len(k.info.Hops); next++ {
		all = append(all, k.recordView(next))
	}
	return all
}

// incomplete says what the record does not cover, and what to do about it.
func (k *look) incomplete() string {
	switch {
	case !k.recorded:
		return "The record of the call is not there: no layer inside the inspector was reached."
	case k.info.Omitted > 0:
		return "The call had more hops than are kept."
	}
	for i := range k.hops {
		r := k.record(i)
		if r == nil || len(r.Exchanges) > 0 || !k.hops[i].ended || k.hops[i].err != nil || k.hops[i].storeOnly() {
			continue
		}
		return "No exchange with a server is recorded. Either a layer answered by itself, or the chain was mounted by hand: with ply.New or ply.Wrap the transport reports its exchanges."
	}
	return ""
}

// storeOnly reports whether the response came without an exchange of its own.
func (h *hop) storeOnly() bool {
	return h.cached && (h.cache.Hit || h.cache.Collapsed || h.cache.Fwd == "" || h.cache.Fwd == "stale")
}

// at places a time that the record counts from its own start on the call's.
func (k *look) at(s ply.CallSpan) spanView {
	return spanView{ms(k.info.Start.Sub(k.start) + s.Start), ms(s.Duration)}
}

func (k *look) phase(s ply.CallSpan) *spanView {
	if s == (ply.CallSpan{}) {
		return nil
	}
	v := k.at(s)
	return &v
}

// recordView shows a hop that only the record has.
func (k *look) recordView(j int) hopView {
	r, redactor := &k.info.Hops[j], k.hops[0].redactor
	v := hopView{
		Method: cleanText(r.Method, maxWord), URL: cleanText(r.URL, maxURL), Status: r.Status, Error: cleanText(redactor.ErrorText(r.Err), maxText),
		Header: k.at(r.Header), Body: k.phase(r.Body), Received: r.Received, ClosedEarly: r.ClosedEarly, Open: r.Open,
	}
	k.addRecord(&v, r, redactor)
	return v
}

// addRecord adds what the layers did for a hop.
func (k *look) addRecord(v *hopView, r *ply.CallHop, redactor *redact.Redactor) {
	v.Decoded, v.Encoded = cleanText(r.Decoded, maxWord), r.Encoded
	v.Cache, v.CacheReason = r.Cache, cleanText(r.CacheReason, maxText)
	v.Auth, v.AuthReason, v.Stop = r.Auth, cleanText(r.AuthReason, maxText), r.Stop
	v.Requests, v.Omitted = r.Requests, r.Omitted
	for _, x := range r.Exchanges {
		v.Exchanges = append(v.Exchanges, exchangeView{
			Attempt: x.Attempt, Hedge: x.Hedge, WaitMs: ms(x.Wait), Method: cleanText(x.Method, maxWord), URL: cleanText(x.URL, maxURL),
			Status: x.Status, Proto: cleanText(x.Proto, maxWord), Error: cleanText(redactor.ErrorText(x.Err), maxText), Span: k.at(x.Span), Remote: x.Remote, Reused: x.Reused, IdleMs: ms(x.Idle),
			Queue: k.phase(x.Queue), DNS: k.phase(x.DNS), Connect: k.phase(x.Connect), TLS: k.phase(x.TLS), Send: k.phase(x.Send), Answer: k.phase(x.Answer), Sent: x.Sent,
		})
	}
	for _, n := range r.Notes {
		v.Notes = append(v.Notes, noteView{cleanText(n.Layer, maxWord), cleanText(n.Event, maxWord), cleanText(n.Detail, maxText), k.at(n.Span)})
	}
}

// hopView shows what passed the layer, with what the record adds.
func (k *look) hopView(i int) hopView {
	h := &k.hops[i]
	start, end, header := h.start.Sub(k.start), h.endAfter, h.headerAfter
	if !h.ended {
		end = k.now.Sub(h.start)
	}
	if !h.answered && !h.ended {
		header = end
	}
	v := hopView{
		Method: cleanText(h.method, maxWord), URL: cleanText(h.url, maxURL), Status: h.status, Error: k.errorText(h), Header: spanView{ms(start), ms(header)},
		Received: h.response.size, ClosedEarly: h.isClosed, Open: !h.ended, Request: &messageView{Headers: fields(h.redactor, h.requestHeader)},
	}
	if h.request.body {
		v.Request.Body = k.in.o.shown(h.request, h.requestHeader)
		v.Request.Body.Open = !h.request.eof && !h.answered && !h.ended
		v.Request.Body.ClosedEarly = !h.request.eof && !v.Request.Body.Open
	}
	if h.answered {
		v.Response = k.response(h)
		if h.response.body || !h.ended {
			v.Body = &spanView{ms(start + header), ms(end - header)}
		}
	}
	if r := k.record(i); r != nil {
		k.addRecord(&v, r, h.redactor)
	}
	return v
}

func (k *look) response(h *hop) *messageView {
	m := &messageView{Proto: cleanText(h.proto, maxWord), StatusText: statusText(h), Headers: fields(h.redactor, h.header)}
	if len(h.trailer) > 0 {
		m.Trailers = fields(h.redactor, h.trailer)
	}
	if h.response.body || !h.ended {
		m.Body = k.in.o.shown(h.response, h.header)
		m.Body.Open, m.Body.ClosedEarly, m.Body.Error = !h.ended, h.isClosed, k.errorText(h)
	}
	return m
}

// statusText is the reason phrase that came, or the standard's.
func statusText(h *hop) string {
	if _, text, ok := strings.Cut(h.statusText, " "); ok && text != "" {
		return cleanText(h.redactor.Text(text), maxWord)
	}
	return http.StatusText(h.status)
}
