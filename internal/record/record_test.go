package record_test

import (
	"testing"

	"github.com/plyhttp/ply/internal/attempt"
	"github.com/plyhttp/ply/internal/record"
)

type call struct{}

func (call) AttemptRecord() attempt.Record { return attempt.Record{Number: 1} }

func TestBehind(t *testing.T) {
	ctx, tally := attempt.WithTally(record.With(t.Context(), "part"))
	if record.Of(ctx) != "part" {
		t.Error("the part is lost")
	}
	behind := record.Behind(ctx)
	attempt.Report(behind, call{})
	if _, told := tally.Record(); told || record.Of(behind) != nil || attempt.Last(behind) != nil {
		t.Error("what happens behind the caller's back reaches its record")
	}
	if plain := t.Context(); record.Behind(plain) != plain {
		t.Error("a context without a record changes")
	}
}
