package reqctx_test

import (
	"context"
	"testing"

	"github.com/plyhttp/ply/internal/attempt"
	"github.com/plyhttp/ply/internal/reqctx"
)

func TestInnerValuesLeaveTheOuterContextAlone(t *testing.T) {
	if got := reqctx.From(t.Context()); got != (reqctx.Values{}) {
		t.Errorf("a context without values has %+v", got)
	}
	outer := reqctx.With(t.Context(), reqctx.Values{Cache: 1})
	v := reqctx.From(outer)
	v.Connection = "a"
	inner := reqctx.With(outer, v)
	if got, want := reqctx.From(inner), (reqctx.Values{Connection: "a", Cache: 1}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := reqctx.From(outer); got.Connection != nil {
		t.Errorf("an inner context has changed the outer one: %+v", got)
	}
	detached, cancel := context.WithCancel(context.WithoutCancel(inner))
	defer cancel()
	if got := reqctx.From(detached); got.Connection != "a" {
		t.Errorf("a derived context has lost the values: %+v", got)
	}
	if n := testing.AllocsPerRun(100, func() { reqctx.From(inner) }); n != 0 {
		t.Errorf("From allocates %v times", n)
	}
}

type call struct{}

func (call) AttemptRecord() attempt.Record { return attempt.Record{Number: 1} }

func TestBackgroundWorkIsInNoRecord(t *testing.T) {
	ctx, tally := attempt.WithTally(reqctx.WithRecord(t.Context(), "part"))
	if reqctx.Record(ctx) != "part" {
		t.Error("the part is lost")
	}
	background := reqctx.InBackground(ctx)
	attempt.Report(background, call{})
	if _, reported := tally.Record(); reported || reqctx.Record(background) != nil || attempt.Last(background) != nil {
		t.Error("background work reaches the caller's record")
	}
	if plain := t.Context(); reqctx.InBackground(plain) != plain {
		t.Error("a context without a record changes")
	}
}

func TestURLTemplateOfTheInnermostContext(t *testing.T) {
	if got := reqctx.URLTemplate(t.Context()); got != "" {
		t.Errorf("a context without a template has %q", got)
	}
	outer := reqctx.WithURLTemplate(t.Context(), "/a/{id}")
	if got := reqctx.URLTemplate(reqctx.WithURLTemplate(outer, "/b/{id}")); got != "/b/{id}" {
		t.Errorf("got %q", got)
	}
}
