package ply

import (
	"io"
	"net/http"

	"github.com/plyhttp/ply/internal/body"
)

// DownloadProgress calls f as the body of the response is read, with the number of bytes received so far and
// the announced length, or -1 without one. f runs on the goroutine that reads.
func DownloadProgress(f func(received, total int64)) RequestOption {
	return RequestOption{func(d *draft) error {
		d.settings.progress = f
		return nil
	}}
}

func (s *settings) reportProgress(resp *http.Response) {
	if s.progress == nil || resp.StatusCode == http.StatusSwitchingProtocols || !hasBody(resp) {
		return
	}
	received, total := int64(0), resp.ContentLength
	if resp.StatusCode == http.StatusPartialContent && s.progressFrom != nil {
		received = *s.progressFrom
		if total >= 0 {
			total += received
		}
	}
	resp.Body = body.Watch(resp.Body, body.Hooks{Read: func(n int, err error) error {
		received += int64(n)
		s.progress(received, total)
		return err
	}})
}

// UploadProgress calls f as the transport reads the body, with the number of bytes read so far and their total, or -1 if that is not known.
// Bytes are counted as they are sent, after [CompressBody]. The count restarts when the body is sent again. An empty body makes no calls.
//
// f runs on a goroutine of the transport and must not block. The calls for one attempt are sequential; those for concurrent attempts,
// such as hedged ones, may overlap.
func UploadProgress(f func(sent, total int64)) RequestOption {
	return RequestOption{func(d *draft) error {
		d.progress = f
		return nil
	}}
}

// withProgress returns a function that reports what is read of each body that open returns.
func withProgress(open func() (io.ReadCloser, error), total int64, report func(sent, total int64)) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) {
		rc, err := open()
		if err != nil {
			return nil, err
		}
		return &progressReader{ReadCloser: rc, total: total, report: report}, nil
	}
}

// progressReader reports each read. It hides an io.WriterTo, which would send everything before the first report.
type progressReader struct {
	io.ReadCloser
	sent, total int64
	report      func(sent, total int64)
}

func (c *progressReader) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	if n > 0 {
		c.sent += int64(n)
		c.report(c.sent, c.total)
	}
	return n, err
}
