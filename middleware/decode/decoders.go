package decode

import (
	"bufio"
	"io"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
)

// decoder removes one coding from one stream at a time.
type decoder interface {
	// start begins with the content of src. It may read from it. No content at all is [io.EOF]: servers send Content-Encoding with nothing.
	start(src io.Reader) error

	// Read is that of [io.Reader]. Its io.EOF is the end of what can be decoded at a stretch, and next says how it goes on.
	io.Reader

	// next returns nil if there is more to decode, io.EOF if src has ended, and ErrTrailingData if something else follows.
	next() error

	// release lets go of src. After it start can be called again.
	release()
}

// input is the buffered source of a decoder: those of flate read no more of it than is theirs.
type input struct{ *bufio.Reader }

func newInput() input { return input{bufio.NewReaderSize(nil, 4<<10)} }

// begin returns io.EOF if there is no content.
func (in input) begin(src io.Reader) error {
	in.Reset(src)
	_, err := in.Peek(1)
	return err
}

// ended returns io.EOF at the end of src, and ErrTrailingData before it.
func (in input) ended() error {
	if _, err := in.Peek(1); err != nil {
		return err
	}
	return ErrTrailingData
}

func (in input) release() { in.Reset(nil) }

// gzipDecoder decodes members, one after the other (RFC 1952 §2.2). One that is decoded is read whole without waiting for another.
type gzipDecoder struct {
	in  input
	dec gzip.Reader
}

func newGzipDecoder() *gzipDecoder { return &gzipDecoder{in: newInput()} }

func (d *gzipDecoder) start(src io.Reader) error {
	if err := d.in.begin(src); err != nil {
		return err
	}
	return d.member()
}

func (d *gzipDecoder) member() error {
	err := d.dec.Reset(d.in.Reader)
	d.dec.Multistream(false)
	return err
}

func (d *gzipDecoder) Read(p []byte) (int, error) { return d.dec.Read(p) }
func (d *gzipDecoder) release()                   { d.in.release() }

func (d *gzipDecoder) next() error {
	switch magic, err := d.in.Peek(2); {
	case len(magic) == 0:
		return err
	case magic[0] != 0x1f, len(magic) == 2 && magic[1] != 0x8b:
		return ErrTrailingData
	}
	return d.member()
}

// deflateDecoder decodes deflate in the zlib format, as it has to be (RFC 9110 §8.4.1.2), and bare, as some servers send it.
type deflateDecoder struct {
	in   input
	bare io.ReadCloser // of flate
	zlib io.ReadCloser // nil before the first content in that format
	from io.Reader     // one of the two
}

func newDeflateDecoder() *deflateDecoder {
	in := newInput()
	return &deflateDecoder{in: in, bare: flate.NewReader(in.Reader)}
}

func (d *deflateDecoder) start(src io.Reader) error {
	if err := d.in.begin(src); err != nil {
		return err
	}
	first, err := d.in.Peek(2)
	if err == io.EOF {
		return io.ErrUnexpectedEOF // no content in either format has one byte
	}
	if err != nil {
		return err
	}
	if !isZlib(first[0], first[1]) {
		d.from = d.bare
		return d.bare.(flate.Resetter).Reset(d.in.Reader, nil)
	}
	if d.zlib == nil {
		d.zlib, err = zlib.NewReader(d.in.Reader)
	} else {
		err = d.zlib.(zlib.Resetter).Reset(d.in.Reader, nil)
	}
	d.from = d.zlib
	return err
}

// isZlib reports whether content begins with the header of the zlib format (RFC 1950 §2.2). Bare deflate does not, unless the bits that
// fill up the byte before a stored block are set (RFC 1951 §3.2.4), which no encoder does.
func isZlib(cmf, flg byte) bool {
	return cmf&0x0f == 8 && cmf>>4 <= 7 && (uint(cmf)<<8|uint(flg))%31 == 0
}

func (d *deflateDecoder) Read(p []byte) (int, error) { return d.from.Read(p) }
func (d *deflateDecoder) next() error                { return d.in.ended() }
func (d *deflateDecoder) release()                   { d.in.release() }

// zstdDecoder decodes frames, one after the other (RFC 8878 §3.1).
type zstdDecoder struct {
	in   input
	dec  *zstd.Decoder
	some bool // of the content has been read
}

// maxWindow is the largest window that zstd as a content coding may have (RFC 9659 §3).
const maxWindow = 8 << 20

// newZstdDecoder makes a decoder that works on the goroutine of its reader: it need not be closed.
func newZstdDecoder() *zstdDecoder {
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecodeBuffersBelow(0))
	if err != nil {
		panic(err) // these options are good, whatever the content
	}
	return &zstdDecoder{in: newInput(), dec: dec}
}

func (d *zstdDecoder) start(src io.Reader) error {
	if err := d.in.begin(src); err != nil {
		return err
	}
	d.some = false
	return d.dec.Reset(d.in.Reader)
}

// Read comes to its io.EOF when the source has ended, behind the last frame.
func (d *zstdDecoder) Read(p []byte) (int, error) {
	n, err := d.dec.Read(p)
	d.some = d.some || n > 0
	switch {
	case err == zstd.ErrWindowSizeExceeded, err == zstd.ErrDecoderSizeExceeded:
		err = ErrWindowSize
	case err == zstd.ErrMagicMismatch && d.some: // a frame begins with its magic number
		err = ErrTrailingData
	}
	return n, err
}

func (d *zstdDecoder) next() error { return d.in.ended() }

func (d *zstdDecoder) release() {
	d.dec.Reset(nil)
	d.in.release()
}

// brotliDecoder decodes one stream (RFC 7932).
type brotliDecoder struct {
	in  input
	dec brotli.Reader
}

func newBrotliDecoder() *brotliDecoder { return &brotliDecoder{in: newInput()} }

func (d *brotliDecoder) start(src io.Reader) error {
	if err := d.in.begin(src); err != nil {
		return err
	}
	return d.dec.Reset(d.in.Reader)
}

// Read comes to its io.EOF when the source has ended.
func (d *brotliDecoder) Read(p []byte) (int, error) {
	n, err := d.dec.Read(p)
	if err != nil && err.Error() == "brotli: excessive input" { // which has no other name
		err = ErrTrailingData
	}
	return n, err
}

func (d *brotliDecoder) next() error { return d.in.ended() }

func (d *brotliDecoder) release() {
	d.dec.Reset(d.in.Reader)
	d.in.release()
}
