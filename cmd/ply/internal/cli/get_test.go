package cli

import (
	"io"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestGetPrintsTheBodyAndASecondProcessGetsItFromTheCache(t *testing.T) {
	var requests atomic.Int32
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		w.Header().Set("Cache-Control", "max-age=60")
		io.WriteString(w, "hello\n")
	})
	p := plyRun{env: plyEnv(t)}
	for range 2 {
		assert.Equal(t, result{stdout: "hello\n"}, p.run(t, "get", s.URL+"/a"))
	}
	assert.EqualValues(t, 1, requests.Load())
	got := p.run(t, "get", "-v", s.URL+"/a")
	assert.Contains(t, got.stderr, "hit")
	assert.Equal(t, result{stdout: "hello\n"}, p.run(t, "get", "--offline", s.URL+"/a"))
	got = p.run(t, "get", "--offline", s.URL+"/b")
	assert.Equal(t, exitNotCached, got.code)
}
