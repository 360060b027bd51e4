package tape

import (
	"bytes"
	"compress/gzip"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/har"
)

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestContentThatIsTooLargeIsNotDecoded(t *testing.T) {
	var coded bytes.Buffer
	z, err := gzip.NewWriterLevel(&coded, gzip.BestSpeed)
	require.NoError(t, err)
	_, err = io.CopyN(z, zeros{}, maxDecoded)
	require.NoError(t, err)
	require.NoError(t, z.Close())
	_, err = decode(coded.Bytes(), "gzip")
	require.ErrorIs(t, err, har.ErrTooLarge)
}
