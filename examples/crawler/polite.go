package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/temoto/robotstxt"

	"github.com/plyhttp/ply"
)

var errDisallowed = errors.New("robots.txt disallows it")

// robots is a layer that keeps to robots.txt (RFC 9309). It gets the file through the layers below it: from the cache, if it is there.
type robots struct {
	pace  *pacer
	mu    sync.Mutex // guards rules
	rules map[string]*rules
}

// rules are those of one origin.
type rules struct {
	turn chan struct{} // has room for the one request that gets the file, and guards the fields below
	got  bool
	data *robotstxt.RobotsData
	err  error
}

func (l *robots) Middleware(next ply.Handler) ply.Handler {
	return ply.HandlerFunc(func(req *http.Request) (*http.Response, error) {
		if req.URL.Path == "/robots.txt" {
			return next.RoundTrip(req)
		}
		data, err := l.rulesFor(req, next)
		if err != nil {
			return refuse(req, fmt.Errorf("robots.txt: %w", err)) // §2.3.1.4: what cannot be read disallows everything
		}
		if !data.TestAgent(req.URL.RequestURI(), agent) {
			return refuse(req, errDisallowed)
		}
		return next.RoundTrip(req)
	})
}

// refuse ends a request that goes no further. A layer that does not hand a request on closes its body, as http.RoundTripper says.
func refuse(req *http.Request, err error) (*http.Response, error) {
	if req.Body != nil {
		req.Body.Close()
	}
	return nil, err
}

// rulesFor returns the rules of a request's origin. One request gets them, and the others wait for it; if its caller leaves, the next one goes on.
func (l *robots) rulesFor(req *http.Request, next ply.Handler) (*robotstxt.RobotsData, error) {
	origin, ctx := req.URL.Scheme+"://"+req.URL.Host, req.Context()
	r := l.of(origin)
	select {
	case r.turn <- struct{}{}:
		defer func() { <-r.turn }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if r.got {
		return r.data, r.err
	}
	data, err := fetchRobots(req, next, origin)
	if err != nil && ctx.Err() != nil {
		return nil, err // of this caller alone
	}
	if err == nil {
		l.pace.set(req.URL.Host, data.FindGroup(agent).CrawlDelay)
	}
	r.got, r.data, r.err = true, data, err
	return data, err
}

func (l *robots) of(origin string) *rules {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.rules == nil {
		l.rules = make(map[string]*rules)
	}
	r, ok := l.rules[origin]
	if !ok {
		r = &rules{turn: make(chan struct{}, 1)}
		l.rules[origin] = r
	}
	return r
}

// fetchRobots gets the file for a request, in its name: the client has given the request its fields before the first layer.
func fetchRobots(asking *http.Request, next ply.Handler, origin string) (*robotstxt.RobotsData, error) {
	req, err := http.NewRequestWithContext(asking.Context(), http.MethodGet, origin+"/robots.txt", nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", asking.UserAgent())
	resp, err := (&http.Client{Transport: next}).Do(req) // follows redirects (§2.3.1.2)
	text, err := ply.Bytes(ply.AnyStatus(resp, err))
	if err != nil {
		return nil, err
	}
	return robotstxt.FromStatusAndBytes(resp.StatusCode, text) // 4xx: all is allowed; 5xx: nothing is
}

// A pacer is a layer that lets requests to one host begin no closer than a delay apart.
type pacer struct {
	delay time.Duration // for hosts without a delay of their own

	mu    sync.Mutex // guards hosts
	hosts map[string]*turns
}

type turns struct {
	delay time.Duration
	next  time.Time // when the next request may begin
}

func (p *pacer) Middleware(next ply.Handler) ply.Handler {
	return ply.HandlerFunc(func(req *http.Request) (*http.Response, error) {
		timer := time.NewTimer(time.Until(p.turn(req.URL.Host)))
		defer timer.Stop()
		select {
		case <-timer.C:
			return next.RoundTrip(req)
		case <-req.Context().Done():
			return refuse(req, context.Cause(req.Context()))
		}
	})
}

// turn takes the next turn at a host.
func (p *pacer) turn(host string) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	h, at := p.host(host), time.Now()
	if at.Before(h.next) {
		at = h.next
	}
	h.next = at.Add(h.delay)
	return at
}

// set makes the delay of a host at least d.
func (p *pacer) set(host string, d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := p.host(host)
	h.delay = max(h.delay, d)
}

// host returns the turns of a host. The caller holds mu.
func (p *pacer) host(host string) *turns {
	if p.hosts == nil {
		p.hosts = make(map[string]*turns)
	}
	h, ok := p.hosts[host]
	if !ok {
		h = &turns{delay: p.delay}
		p.hosts[host] = h
	}
	return h
}
