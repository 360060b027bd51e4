package durable

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/middleware/cache/internal/stored"
)

// streamed is sample with a pacing for its first entry, whose body has 22 bytes.
func streamed(pacing stored.Pacing) *stored.Variants {
	set := sample()
	e := set.Entries[0]
	e.Ending = stored.NewEnding(e.Trailer(), pacing)
	return set
}

func pacingOf(pieces ...int64) stored.Pacing {
	var p []byte
	for i := 0; i < len(pieces); i += 2 {
		p = stored.AppendPiece(p, pieces[i], time.Duration(pieces[i+1])*time.Millisecond)
	}
	return stored.Pacing(p)
}

// The record of an event stream has its pacing at the end of its entry; records of this form stay readable.
func TestRecordsKeepThePacingOfEventStreams(t *testing.T) {
	set := streamed(pacingOf(20, 1500, 2, 300_000))
	record := mustEncode(t, set)
	file := filepath.Join("testdata", "records", "stream.v1")
	if *golden {
		require.NoError(t, os.WriteFile(file, record, 0o644))
	}
	kept, err := os.ReadFile(file)
	require.NoError(t, err)
	if !bytes.Equal(kept, record) {
		t.Error("the record of an event stream is written in another way than it was")
	}
	again, err := decode(kept, goldenHash)
	require.NoError(t, err)
	for i, e := range again.Entries {
		if want := set.Entries[i].Pacing(); e.Pacing() != want {
			t.Errorf("entry %d: pacing %x, want %x", i, e.Pacing(), want)
		}
	}
	if diff := len(record) - len(mustEncode(t, sample())); diff != 1+1+len(set.Entries[0].Pacing()) {
		t.Errorf("the pacing takes %d bytes, with its flag and its length", diff)
	}
}

// What cannot be the pacing of a body is damage.
func TestRecordWithForgedPacingIsAMiss(t *testing.T) {
	for name, pacing := range map[string]stored.Pacing{
		"too few bytes":    pacingOf(21, 0),
		"too many bytes":   pacingOf(20, 0, 3, 0),
		"an empty piece":   pacingOf(22, 0, 0, 5),
		"half a piece":     pacingOf(22, 0)[:1],
		"a longer form":    "\x96\x00\x00",
		"too long a pause": stored.Pacing(binary.AppendUvarint([]byte{22}, 1<<50)),
		"too long in all":  pacingOf(11, 1<<30*1500, 11, 1<<30*1500),
	} {
		if set := streamed(pacing); fits(set.Entries[0]) {
			t.Errorf("%s: it would be stored", name)
		} else if _, err := decode(mustEncode(t, set), goldenHash); err == nil {
			t.Errorf("%s: read", name)
		}
	}
}
