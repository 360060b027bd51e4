package cli

import (
	"testing"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/plytest"
)

func TestRecorderOfArchivesKeepsTheContractOfALayer(t *testing.T) {
	plytest.CheckMiddleware(t, ply.Chain((&harRecorder{}).middleware)) // as a client mounts it
}
