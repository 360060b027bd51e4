package stored

import (
	"strconv"
	"sync/atomic"
	"time"

	"github.com/plyhttp/ply/internal/cachestatus"
)

// hitFields is the two field values of a plain hit that change with time.
type hitFields struct {
	seconds [2]int64 // the age, and the freshness that is left
	Age     string
	Status  string
}

// madeHitFields has those that were made lately, for all entries of the process: what was stored in the same second with the same lifetime has the same ones.
// Two that fall on one cell take each other's place.
var madeHitFields [1024]atomic.Pointer[hitFields]

// HitFields returns the Age and the Cache-Status of a plain hit at an age, with so much freshness left.
func HitFields(age, left time.Duration) *hitFields {
	seconds := [2]int64{int64(age / time.Second), int64(TTL(left) / time.Second)}
	cell := &madeHitFields[(uint64(seconds[0])*31+uint64(seconds[1]))%uint64(len(madeHitFields))]
	if s := cell.Load(); s != nil && s.seconds == seconds {
		return s
	}
	var room [64]byte
	text := strconv.AppendInt(room[:0], seconds[0], 10)
	n := len(text)
	text = cachestatus.AppendHit(text, seconds[1])
	both := string(text)
	s := &hitFields{seconds: seconds, Age: both[:n], Status: both[n:]}
	cell.Store(s)
	return s
}
