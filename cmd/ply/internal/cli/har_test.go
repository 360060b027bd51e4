package cli

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/plyhttp/ply/plytest/tape"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestArchiveSaysOfWhatKindAFailureIs(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := l.Addr().String()
	require.NoError(t, l.Close()) // and nothing listens there
	p := plyRun{env: plyEnv(t)}
	file := filepath.Join(t.TempDir(), "all.har")
	assert.Equal(t, exitNetwork, p.run(t, "get", "--retries", "0", "--har", file, "http://"+address+"/").code)
	f, err := os.Open(file)
	require.NoError(t, err)
	defer f.Close()
	recorded, err := tape.FromHAR(f)
	require.NoError(t, err)
	require.Len(t, recorded.Exchanges, 1)
	require.NotNil(t, recorded.Exchanges[0].Failure)
	assert.Equal(t, tape.FailureRefused, recorded.Exchanges[0].Failure.Kind)
}
