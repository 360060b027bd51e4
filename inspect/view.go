package inspect

import (
	"fmt"
	"time"

	"github.com/plyhttp/ply"
)

// summary is a call as the list shows it. Times in milliseconds are from the start of the call.
type summary struct {
	ID          int64     `json:"id"`
	Version     int64     `json:"version"`
	Start       time.Time `json:"start"`
	Method      string    `json:"method"`
	URL         string    `json:"url"`
	Outcome     string    `json:"outcome"`
	Reason      string    `json:"reason,omitempty"`
	Status      int       `json:"status,omitempty"`
	Proto       string    `json:"proto,omitempty"`
	Error       string    `json:"error,omitempty"`
	Open        bool      `json:"open,omitempty"`
	HeaderMs    float64   `json:"headerMs"`
	DurationMs  float64   `json:"durationMs"`
	Size        int64     `json:"size"`
	RequestSize int64     `json:"requestSize,omitempty"`
	MediaType   string    `json:"mediaType,omitempty"`
	Hops        int       `json:"hops"`
	Attempts    int       `json:"attempts"`
	Hedges      int       `json:"hedges,omitempty"`
	WaitMs      float64   `json:"waitMs,omitempty"`
	Layers      []string  `json:"layers,omitempty"`
}

// look is what is known of a call at a moment.
type look struct {
	*call
	version  int64
	now      time.Time
	hops     []hop // copies
	info     ply.CallInfo
	recorded bool
	of       []int // for each hop, the index of its record in info.Hops, or -1
}

// look takes a copy of what is known of a call.
func (c *call) look(version int64) *look {
	k := &look{call: c, version: version, now: time.Now()}
	c.mu.Lock()
	for _, h := range c.hops {
		k.hops = append(k.hops, *h)
	}
	record := c.record
	c.mu.Unlock()
	if record != nil {
		k.info, k.recorded = ply.CallInfoFromContext(record)
		k.clean()
	}
	k.of = matched(k.hops, k.info)
	return k
}

// clean hides in the record what the call's redactor hides: the record was made with that of the context, and notes are as layers told them.
func (k *look) clean() {
	r := k.hops[0].redactor
	k.info.Redactor, k.info.URL = r, r.URLText(k.info.URL)
	for i := range k.info.Hops {
		h := &k.info.Hops[i]
		h.URL, h.CacheReason, h.AuthReason = r.URLText(h.URL), r.Text(h.CacheReason), r.Text(h.AuthReason)
		for j := range h.Exchanges {
			h.Exchanges[j].URL = r.URLText(h.Exchanges[j].URL)
		}
		for j := range h.Notes {
			h.Notes[j].Detail = r.Text(h.Notes[j].Detail)
		}
	}
}

// matched finds the record of each hop: the one that began nearest to it. Conditional layers can hide hops from the inspector, so that there are more records than hops.
func matched(hops []hop, info ply.CallInfo) []int {
	of, from := make([]int, len(hops)), 0
	for i := range hops {
		best, distance := -1, time.Duration(0)
		for j := from; j < len(info.Hops); j++ {
			d := info.Start.Add(info.Hops[j].Header.Start).Sub(hops[i].start).Abs()
			if best < 0 || d < distance {
				best, distance = j, d
			}
		}
		if of[i] = best; best >= 0 {
			from = best + 1
		}
	}
	return of
}

// record returns the record of a hop's response, which is that of the last hop for a call whose redirects happened inside the layer.
func (k *look) record(i int) *ply.CallHop {
	j := k.of[i]
	if k.whole && len(k.info.Hops) > 0 {
		j = len(k.info.Hops) - 1
	}
	if j < 0 {
		return nil
	}
	return &k.info.Hops[j]
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func (k *look) summary() summary {
	first, last := &k.hops[0], &k.hops[len(k.hops)-1]
	s := summary{
		ID: k.id, Version: k.version, Start: k.start.Round(0).UTC(), Method: cleanText(first.method, maxWord), URL: cleanText(first.url, maxURL),
		Outcome: outcome(last.seenLocked()), Status: last.status, Proto: cleanText(last.proto, maxWord), Error: k.errorText(last),
		Open: !last.ended, Size: last.response.size, RequestSize: first.request.size, MediaType: cleanText(mediaType(last.header), maxWord), Hops: len(k.hops),
	}
	before := last.start.Sub(k.start)
	header, end := last.headerAfter, last.endAfter
	if !last.answered && !last.ended {
		header = k.now.Sub(last.start)
	}
	if !last.ended {
		end = k.now.Sub(last.start)
	}
	s.HeaderMs, s.DurationMs = ms(before+header), ms(before+end)
	if last.cached {
		s.Reason = cleanText(last.redactor.Text(last.cache.Reason()), maxText)
	}
	k.work(&s)
	return s
}

// work adds what the layers did.
func (k *look) work(s *summary) {
	for _, h := range k.info.Hops {
		s.Attempts += h.Requests
		for _, x := range h.Exchanges {
			s.WaitMs += ms(x.Wait)
			if x.Hedge > 0 {
				s.Hedges++
			}
		}
	}
	if n := len(k.info.Hops); n > s.Hops {
		s.Hops = n
	}
	for i := range k.hops {
		if k.hops[i].cached {
			s.Layers = appendNew(s.Layers, "cache "+k.hops[i].cache.Word())
		}
		if k.hops[i].lost {
			s.Layers = appendNew(s.Layers, "body not closed")
		}
	}
	for _, h := range k.info.Hops {
		if h.Auth != "" {
			s.Layers = appendNew(s.Layers, cleanText("auth "+h.Auth, maxWord))
		}
		if n := attempts(&h); n > 1 {
			s.Layers = appendNew(s.Layers, fmt.Sprintf("retry %d attempts", n))
		}
		for _, n := range h.Notes {
			s.Layers = appendNew(s.Layers, cleanText(n.Layer+" "+n.Event, maxWord))
		}
		if h.Decoded != "" {
			s.Layers = appendNew(s.Layers, cleanText("decode "+h.Decoded, maxWord))
		}
	}
}

// attempts is how often the retry layer sent the request of a hop.
func attempts(h *ply.CallHop) int {
	n := 0
	for _, x := range h.Exchanges {
		n = max(n, x.Attempt)
	}
	return n
}

// appendNew appends what is not there yet, up to a bound.
func appendNew(all []string, text string) []string {
	for _, t := range all {
		if t == text {
			return all
		}
	}
	if len(all) >= maxLayers {
		return all
	}
	return append(all, text)
}

func (k *look) errorText(h *hop) string {
	if h.err == nil {
		return ""
	}
	return cleanText(h.redactor.ErrorText(h.err), maxText)
}

func duration(ms float64) time.Duration { return time.Duration(ms * float64(time.Millisecond)) }
