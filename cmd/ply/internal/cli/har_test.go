package cli

import (
	"testing"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/plytest"
)

func TestRecorderOfArchivesKeepsTheContractOfALayer(t *testing.T) {
	plytest.CheckMiddleware(t, ply.Chain(newHARRecorder().middleware)) // as a client mounts it
}
