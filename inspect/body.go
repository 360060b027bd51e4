package inspect

import (
	"io"
	"net/http"
)

// copyOf is the beginning of a body, and how much of it has passed.
type copyOf struct {
	data []byte // only ever appended to
	size int64
	body bool // there is one
	eof  bool
}

// keep copies what is new of a piece that begins at an offset, within the limit. It returns by how much the copy has grown in memory.
func (c *copyOf) keep(p []byte, at int64, limit int) int64 {
	c.body = true
	end := at + int64(len(p))
	c.size = max(c.size, end)
	have := int64(len(c.data))
	if at > have || end <= have || have >= int64(limit) {
		return 0
	}
	before := cap(c.data)
	c.data = append(c.data, p[have-at:min(end, int64(limit))-at]...)
	return int64(cap(c.data) - before)
}

// copyRequest has the body of a request copied as it is sent. A body that is sent again is the same body: the copy grows only by what is new.
func (h *hop) copyRequest(req *http.Request) {
	if !hasBody(req) {
		return
	}
	req.Body = &sent{ReadCloser: req.Body, hop: h}
	if again := req.GetBody; again != nil {
		req.GetBody = func() (io.ReadCloser, error) {
			body, err := again()
			if err != nil || body == nil || body == http.NoBody {
				return body, err
			}
			return &sent{ReadCloser: body, hop: h}, nil
		}
	}
}

func hasBody(req *http.Request) bool { return req.Body != nil && req.Body != http.NoBody }

// sent copies a request body as it is read. One goroutine reads it.
type sent struct {
	io.ReadCloser
	hop *hop
	at  int64
}

// Unwrap returns the body that is read.
func (s *sent) Unwrap() io.ReadCloser { return s.ReadCloser }

func (s *sent) Read(p []byte) (int, error) {
	n, err := s.ReadCloser.Read(p)
	if n > 0 || err == io.EOF {
		c := s.hop.call
		c.mu.Lock()
		c.chargeLocked(s.hop.request.keep(p[:n], s.at, c.limit()))
		s.hop.request.eof = s.hop.request.eof || err == io.EOF
		c.mu.Unlock()
		c.in.trim()
		s.at += int64(n)
	}
	return n, err
}
