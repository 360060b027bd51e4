package har

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
)

// MaxEntryBytes bounds what one entry of an archive may take, as JSON.
const MaxEntryBytes = 256 << 20

var (
	// ErrNoArchive is the error for what is no HTTP Archive.
	ErrNoArchive = errors.New("har: this is no HTTP Archive: it has no list log.entries")

	// ErrTooLarge is the error for an entry of more than [MaxEntryBytes].
	ErrTooLarge = errors.New("har: an entry is too large")
)

// Entries reads the entries of an archive, one by one, and holds no more than one of them. What it does not know it passes over.
// It ends with the first error, or with the last entry: what follows that is not read. Times may be of any kind that ISO 8601 and RFC 3339 have in common.
func Entries(r io.Reader) iter.Seq2[*Entry, error] {
	return func(yield func(*Entry, error) bool) {
		limited := &limit{r: r, left: MaxEntryBytes}
		d := json.NewDecoder(&withoutBOM{r: limited})
		if err := find(d, "log", "entries"); err != nil {
			yield(nil, err)
			return
		}
		for d.More() {
			limited.left = MaxEntryBytes
			e := new(Entry)
			if err := d.Decode(e); err != nil {
				yield(nil, wrapped(err))
				return
			}
			if !yield(e, nil) {
				return
			}
		}
		if _, err := d.Token(); err != nil {
			yield(nil, wrapped(err))
		}
	}
}

// find reads up to the first element of the list under a path of names.
func find(d *json.Decoder, path ...string) error {
	for _, name := range path {
		if err := enter(d, '{'); err != nil {
			return err
		}
		if err := member(d, name); err != nil {
			return err
		}
	}
	return enter(d, '[')
}

func enter(d *json.Decoder, begin json.Delim) error {
	t, err := d.Token()
	if err != nil {
		return wrapped(err)
	}
	if t != begin {
		return ErrNoArchive
	}
	return nil
}

// member passes over the members of an object up to one with a name.
func member(d *json.Decoder, name string) error {
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return wrapped(err)
		}
		if t == name {
			return nil
		}
		var other json.RawMessage
		if err := d.Decode(&other); err != nil {
			return wrapped(err)
		}
	}
	return ErrNoArchive
}

func wrapped(err error) error {
	var syntax *json.SyntaxError
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%w: %w", ErrNoArchive, io.ErrUnexpectedEOF)
	case errors.As(err, &syntax):
		return fmt.Errorf("%w: %w", ErrNoArchive, err)
	case errors.Is(err, ErrTooLarge):
		return ErrTooLarge
	}
	return fmt.Errorf("har: %w", err)
}

// limit fails beyond what is left.
type limit struct {
	r    io.Reader
	left int64
}

func (l *limit) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, ErrTooLarge
	}
	n, err := l.r.Read(p[:min(int64(len(p)), l.left)])
	l.left -= int64(n)
	return n, err
}

// withoutBOM passes over a byte order mark, which some programs begin an archive with.
type withoutBOM struct {
	r     io.Reader
	begun bool
}

func (b *withoutBOM) Read(p []byte) (int, error) {
	if b.begun || len(p) < 3 {
		return b.r.Read(p)
	}
	b.begun = true
	n, err := io.ReadFull(b.r, p[:3])
	if n == 3 && string(p[:3]) == "\ufeff" {
		return b.r.Read(p)
	}
	if err == io.ErrUnexpectedEOF {
		err = io.EOF
	}
	return n, err
}
