package cli

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestDurationsAreShownInTheirLargestUnits(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 40 * time.Millisecond: "40ms", 5900 * time.Millisecond: "5s", time.Minute: "1m", 62 * time.Second: "1m2s", 80 * time.Second: "1m20s", 90*time.Second + 5: "1m30s",
		9*time.Minute + 10*time.Second: "9m10s", 10*time.Minute + 10*time.Second: "10m", 59*time.Minute + 59*time.Second: "59m", 47 * time.Hour: "47h", 50 * time.Hour: "2d",
	} {
		assert.Equal(t, want, shortDuration(d))
	}
}
