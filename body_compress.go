package ply

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"io"
	"strings"
	"sync"
)

// CompressBody sends the body compressed, with the Content-Encoding "gzip" or "deflate", which is the zlib format (RFC 9110 §8.4.1.2).
// Any other name is an [*OptionError]. The bytes are compressed as they are read, so that their length is not known in advance,
// and can be sent again if those of the body can. A request without content, or with an empty one, stays as it is.
//
// The caller must know that the server accepts compressed bodies.
func CompressBody(encoding string) RequestOption {
	encoding = strings.ToLower(encoding)
	return RequestOption{func(d *draft) error {
		if compressors[encoding] == nil {
			return &OptionError{Option: "CompressBody", Reason: `the encoding is unknown: give "gzip" or "deflate"`}
		}
		if d.encoding != "" && d.encoding != encoding {
			return &OptionError{Option: "CompressBody", Reason: "given twice: a body is compressed once"}
		}
		d.encoding = encoding
		return nil
	}}
}

// compressors pools compressors by encoding: a new one allocates most of a megabyte.
var compressors = map[string]*sync.Pool{
	"gzip":    {New: func() any { return &compressor{w: gzip.NewWriter(nil)} }},
	"deflate": {New: func() any { return &compressor{w: zlib.NewWriter(nil)} }},
}

// compressor turns chunks of plain bytes into compressed ones in out.
type compressor struct {
	w interface {
		io.WriteCloser
		Reset(io.Writer)
	}
	out   bytes.Buffer // empty while the compressor is idle
	plain [16 << 10]byte
}

// compressed returns a function that compresses each body that open returns.
func compressed(open func() (io.ReadCloser, error), encoding string) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) {
		rc, err := open()
		if err != nil {
			return nil, err
		}
		return &compressing{src: rc, pool: compressors[encoding]}, nil
	}
}

// compressing compresses src as it is read. Close may run concurrently with Read, as over HTTP/2, so it touches src only.
type compressing struct {
	src  io.ReadCloser
	pool *sync.Pool
	c    *compressor // nil before the first read and after the last
	err  error       // what follows the bytes in c.out
}

func (b *compressing) Read(p []byte) (int, error) {
	if b.c == nil && b.err == nil {
		b.c = b.pool.Get().(*compressor)
		b.c.w.Reset(&b.c.out)
	}
	for b.err == nil && b.c.out.Len() == 0 {
		b.err = b.c.fill(b.src)
	}
	if b.c != nil && b.c.out.Len() > 0 {
		return b.c.out.Read(p)
	}
	if b.c != nil {
		b.pool.Put(b.c)
		b.c = nil
	}
	return 0, b.err
}

// fill reads src once and writes the compressed bytes to out. After an error of src the stream has no end marker, so that no receiver takes it for complete.
func (c *compressor) fill(src io.Reader) error {
	n, err := src.Read(c.plain[:])
	if _, failed := c.w.Write(c.plain[:n]); failed != nil {
		return failed
	}
	if err == io.EOF {
		if failed := c.w.Close(); failed != nil {
			return failed
		}
	}
	return err
}

func (b *compressing) Close() error { return b.src.Close() }
