package ply

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strings"
)

// DefaultMaxPages is how many pages [Client.Pages] gets unless [MaxPages] says otherwise.
const DefaultMaxPages = 1000

// Pages gets the resource at url and the pages after it, one by one: each response is asked for its Link field with the relation "next" (RFC 8288),
// and the last page is the one without.
//
//	for resp, err := range client.Pages(ctx, "/users?per_page=100") {
//		users, err := ply.JSON[[]User](resp, err)
//		if err != nil {
//			return err
//		}
//		…
//	}
//
// Each page is a GET with opts, in which Query and PathValue speak of the first page: the later ones have what their links say. Timeouts bound each page,
// and ctx bounds them all. Pages sends no body, and an option that has one is an [*OptionError].
//
// The body of a response is open until the loop goes on or ends, and is closed then. The next page is not asked for before.
// To stop, leave the loop. Ranging over the result again begins anew.
//
// An error comes with a nil response and ends the loop. It is one of [Client.Do], a [*StatusError] for a page with a status of 400 or more,
// or a [*PageError] if Pages does not get the next page: the limit of [MaxPages] is reached, the page was there before,
// its link cannot be parsed, or it is at another origin than url and [CrossOriginPages] was not given.
// So a loop that ends without an error has seen all pages.
func (c *Client) Pages(ctx context.Context, url string, opts ...RequestOption) iter.Seq2[*http.Response, error] {
	return func(yield func(*http.Response, error) bool) {
		p := &pager{client: c, ctx: ctx, opts: opts, seen: make(map[[sha256.Size]byte]bool)}
		for req, err := p.first(url); req != nil || err != nil; {
			if err != nil {
				yield(nil, err)
				return
			}
			if req, err = p.page(req, yield); req == nil && err == nil {
				return
			}
		}
	}
}

// MaxPages lets [Client.Pages] get n pages at most; if there is another one after that, it is a [*PageError].
// Without it the limit is [DefaultMaxPages]. n must be positive. Other requests ignore it.
func MaxPages(n int) RequestOption {
	return RequestOption{func(d *draft) error {
		if n <= 0 {
			return &OptionError{Option: "MaxPages", Reason: "must be positive; leave the loop to stop earlier"}
		}
		d.settings.maxPages = n
		return nil
	}}
}

// CrossOriginPages lets [Client.Pages] follow links to other origins than that of the first page. What may be secret does not go along:
// such a page is requested as after a redirect to another origin, with the header fields that are known to be harmless and those that
// Options.CrossOrigin names. That holds for all pages after it, wherever they are. Other requests ignore it.
func CrossOriginPages() RequestOption {
	return RequestOption{func(d *draft) error {
		d.settings.crossOriginPages = true
		return nil
	}}
}

// Reasons of a [PageError].
var (
	ErrPageLimit  = errors.New("there are more pages than the limit allows: raise it with MaxPages")
	ErrPageLoop   = errors.New("the next page has been there before")
	ErrPageOrigin = errors.New("the next page is at another origin: CrossOriginPages follows it, without credentials")
	ErrPageLink   = errors.New("the link to the next page cannot be parsed")
)

// PageError says that [Client.Pages] ended although there is another page.
type PageError struct {
	// Pages is how many pages there have been.
	Pages int

	// URL is that of the last of them, and Next that of the page that is missing, empty if it cannot be parsed. Secrets in both are hidden.
	URL, Next string

	// Err is the reason: [ErrPageLimit], [ErrPageLoop], [ErrPageOrigin] or [ErrPageLink].
	Err error
}

func (e *PageError) Error() string {
	text := fmt.Sprintf("ply: page %d after %s", e.Pages+1, e.URL)
	if e.Next != "" {
		text += " is " + e.Next
	}
	return text + ": " + e.Err.Error()
}

func (e *PageError) Unwrap() error { return e.Err }

// pager is one walk through the pages.
type pager struct {
	client   *Client
	ctx      context.Context
	opts     []RequestOption
	template string // of the URL of the first page
	origin   *url.URL
	max      int
	crosses  bool
	left     bool // a page was at another origin; what has been lost stays lost
	pages    int
	seen     map[[sha256.Size]byte]bool // hashes of the URLs of pages, so that long ones take no room
}

// draft applies the options anew, as each request needs it.
func (p *pager) draft() (*draft, error) {
	d := &draft{client: p.client, header: make(http.Header)}
	err := d.applyAll(p.opts)
	if err == nil && (d.body != nil || d.encoding != "" || d.chunked) {
		err = &OptionError{Option: "Pages", Reason: "sends GET requests: give it no option of a body"}
	}
	if err != nil {
		d.discardBody()
	}
	return d, err
}

func (p *pager) first(given string) (*http.Request, error) {
	d, err := p.draft()
	if err != nil {
		return nil, err
	}
	p.template = d.template(given)
	req, err := d.request(p.ctx, http.MethodGet, given)
	if err != nil {
		return nil, err
	}
	s := d.settings.over(p.client.defaults.settings)
	if p.max, p.crosses = s.maxPages, s.crossOriginPages; p.max == 0 {
		p.max = DefaultMaxPages
	}
	p.origin = req.URL
	return req, nil
}

// page gets a page, gives it to the caller, and returns the request for the next one: nil if there is none, or if the caller has left.
func (p *pager) page(req *http.Request, yield func(*http.Response, error) bool) (*http.Request, error) {
	p.note(req.URL)
	resp, err := ErrorForStatus(p.client.Do(req))
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	p.pages++
	if resp.Request != nil {
		p.note(resp.Request.URL) // where redirects have led
		p.left = p.left || p.strayed(resp.Request)
	}
	link, found := nextLink(resp) // the header is the caller's after that
	missing := &PageError{Pages: p.pages, Err: ErrPageLink}
	_, missing.URL = requestOf(resp)
	if !yield(resp, nil) || !found {
		return nil, nil
	}
	if link == nil {
		return nil, missing
	}
	missing.Next = redactorFor(resp).URL(link)
	if missing.Err = p.follow(link); missing.Err != nil {
		return nil, missing
	}
	return p.next(link)
}

// strayed reports whether a redirect has led to another origin on the way to r: then that one has chosen what comes next,
// and the credentials that were lost there must not come back, wherever its link leads.
func (p *pager) strayed(r *http.Request) bool {
	for ; r != nil; r = r.Response.Request {
		if r.URL != nil && !sameOrigin(r.URL, p.origin) {
			return true
		}
		if r.Response == nil {
			return false
		}
	}
	return false
}

// follow decides whether the page at link is to be had.
func (p *pager) follow(link *url.URL) error {
	switch {
	case p.seen[hashOf(link)]:
		return ErrPageLoop
	case p.pages >= p.max:
		return ErrPageLimit
	case !sameOrigin(link, p.origin):
		p.left = true
	}
	if p.left && !p.crosses {
		return ErrPageOrigin
	}
	return nil
}

func (p *pager) next(link *url.URL) (*http.Request, error) {
	d, err := p.draft()
	if err != nil {
		return nil, err
	}
	next := *link
	next.Fragment, next.RawFragment, next.User = "", "", nil
	if !p.left {
		next.User = p.origin.User
	}
	d.path, d.query, d.settings.awayFromHome = nil, nil, p.left
	req, err := d.request(withTemplate(p.ctx, p.template), http.MethodGet, next.String())
	if err != nil || !p.left {
		return req, err
	}
	req.Host = ""
	dropCredentials(req, p.client.options.CrossOrigin...)
	trimReferer(req)
	return req, nil
}

func (p *pager) note(u *url.URL) {
	if u != nil {
		p.seen[hashOf(u)] = true
	}
}

// hashOf is that of the URL without what is not sent.
func hashOf(u *url.URL) [sha256.Size]byte {
	sent := *u
	sent.Fragment, sent.RawFragment, sent.User = "", "", nil
	sent.Scheme, sent.Host = strings.ToLower(sent.Scheme), strings.ToLower(sent.Host)
	h := sha256.New()
	io.WriteString(h, sent.String())
	return [sha256.Size]byte(h.Sum(nil))
}
