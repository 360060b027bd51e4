package har

import (
	"encoding/json"
	"time"
)

// An Entry is one exchange. Of an entry that is written, the zero values of numbers stand for themselves; those that may be unknown are -1 where HAR 1.2 says so.
type Entry struct {
	PageRef         string          `json:"pageref,omitempty"`
	Started         time.Time       `json:"startedDateTime"`
	Time            float64         `json:"time"` // milliseconds: the sum of Timings
	Request         Request         `json:"request"`
	Response        Response        `json:"response"`
	Cache           Cache           `json:"cache"`
	Timings         Timings         `json:"timings"`
	ServerIPAddress string          `json:"serverIPAddress,omitempty"`
	Connection      string          `json:"connection,omitempty"`
	Comment         string          `json:"comment,omitempty"`
	Ply             json.RawMessage `json:"_ply,omitempty"` // what ply says of the exchange beside
}

// A Request is what was sent.
type Request struct {
	Method      string    `json:"method"`
	URL         string    `json:"url"` // whole, without a fragment
	HTTPVersion string    `json:"httpVersion"`
	Cookies     []Cookie  `json:"cookies"`
	Headers     []Pair    `json:"headers"`
	QueryString []Pair    `json:"queryString"`
	PostData    *PostData `json:"postData,omitempty"`
	HeadersSize int64     `json:"headersSize"` // -1 if it is not known
	BodySize    int64     `json:"bodySize"`    // -1 if it is not known
	Comment     string    `json:"comment,omitempty"`
}

// A Response is what came back. Its Status is 0 for a request that had none.
type Response struct {
	Status      int      `json:"status"`
	StatusText  string   `json:"statusText"`
	HTTPVersion string   `json:"httpVersion"`
	Cookies     []Cookie `json:"cookies"`
	Headers     []Pair   `json:"headers"`
	Content     Content  `json:"content"`
	RedirectURL string   `json:"redirectURL"`
	HeadersSize int64    `json:"headersSize"`
	BodySize    int64    `json:"bodySize"` // as it was transferred
	Comment     string   `json:"comment,omitempty"`

	// Error is why there was no response, or why its content ends early, as Chromium writes it ("net::ERR_CONNECTION_REFUSED").
	Error string `json:"_error,omitempty"`

	// FailureText is the same, as Playwright writes it.
	FailureText string `json:"_failureText,omitempty"`
}

// A Pair is a name and its value: a header field, or a parameter of a query.
type Pair struct {
	Name    string `json:"name"`
	Value   string `json:"value"`
	Comment string `json:"comment,omitempty"`
}

// A Cookie is one of a request, with its name and its value, or one that a response sets.
type Cookie struct {
	Name     string `json:"name"`
	Value    string `json:"value"`
	Path     string `json:"path,omitempty"`
	Domain   string `json:"domain,omitempty"`
	Expires  string `json:"expires,omitempty"` // ISO 8601
	HTTPOnly bool   `json:"httpOnly,omitempty"`
	Secure   bool   `json:"secure,omitempty"`
	Comment  string `json:"comment,omitempty"`
}

// PostData is the content of a request: Params of a form, or Text; see [NewPostData].
type PostData struct {
	MimeType string  `json:"mimeType"`
	Params   []Param `json:"params,omitempty"`
	Text     string  `json:"text,omitempty"`
	Comment  string  `json:"comment,omitempty"`

	// Encoding is that of Text: "base64", or "". HAR 1.2 has no place for it, and other programs may not know it.
	Encoding string `json:"_encoding,omitempty"`
}

// A Param is a field of a form.
type Param struct {
	Name        string `json:"name"`
	Value       string `json:"value,omitempty"`
	FileName    string `json:"fileName,omitempty"`
	ContentType string `json:"contentType,omitempty"`
	Comment     string `json:"comment,omitempty"`
}

// Content is the content of a response; see [NewContent] and [Content.Bytes].
type Content struct {
	Size        int64   `json:"size"` // decoded
	Compression int64   `json:"compression,omitempty"`
	MimeType    string  `json:"mimeType"`
	Text        *string `json:"text,omitempty"`     // nil if it was not recorded
	Encoding    string  `json:"encoding,omitempty"` // of Text: "base64", or ""
	Comment     string  `json:"comment,omitempty"`
}

// Cache says what a cache had for the request before it, and after it.
type Cache struct {
	Before  *CacheState `json:"beforeRequest,omitempty"`
	After   *CacheState `json:"afterRequest,omitempty"`
	Comment string      `json:"comment,omitempty"`
}

// A CacheState is a stored response.
type CacheState struct {
	Expires    string `json:"expires,omitempty"`
	LastAccess string `json:"lastAccess"`
	ETag       string `json:"eTag"`
	HitCount   int64  `json:"hitCount"`
	Comment    string `json:"comment,omitempty"`
}

// Timings are how long the phases of an exchange took, in milliseconds. Those that are pointers may be left out; -1 says that a phase does not apply.
// Of SSL, Connect has its share as well.
type Timings struct {
	Blocked *float64 `json:"blocked,omitempty"`
	DNS     *float64 `json:"dns,omitempty"`
	Connect *float64 `json:"connect,omitempty"`
	Send    float64  `json:"send"`
	Wait    float64  `json:"wait"`
	Receive float64  `json:"receive"`
	SSL     *float64 `json:"ssl,omitempty"`
	Comment string   `json:"comment,omitempty"`
}

// A Creator is the program that made an archive.
type Creator struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Comment string `json:"comment,omitempty"`
}
