package docs

import (
	"os"
	"testing"
	"time"
)

// uncached is a file that each test reads and that is touched after them. The go command takes an earlier result if what the tests read is as it was;
// it does not see that a page changed, which is outside of this module, or an exported name.
const uncached = "testdata/uncached"

func TestMain(m *testing.M) {
	code := m.Run()
	_ = os.Chtimes(uncached, time.Now(), time.Now())
	os.Exit(code)
}
