package hedge_test

import (
	"os"
	"testing"

	"github.com/plyhttp/ply/plytest"
)

func TestMain(m *testing.M) { os.Exit(plytest.VerifyMain(m)) }
