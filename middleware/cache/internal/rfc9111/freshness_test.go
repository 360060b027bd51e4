package rfc9111

import (
	"testing"
	"time"

	"github.com/plyhttp/ply/internal/field"
	"github.com/plyhttp/ply/middleware/cache/internal/stored"
)

// RFC 9111 §4.2.3: age.
func TestCurrentAge(t *testing.T) {
	for _, test := range []struct {
		name                string
		fields              string
		requested, received int
		now                 int
		want                int
	}{
		{"on receipt", "Date: " + date(0), 0, 0, 0, 0},
		{"resident", "Date: " + date(0), 0, 0, 10, 10},
		{"upstream Age", "Date: " + date(0) + " | Age: 5", 0, 0, 10, 15},
		{"apparent age", "Date: " + date(-20), 0, 0, 10, 30},
		{"the larger of the two", "Date: " + date(-20) + " | Age: 30", 0, 0, 0, 30},
		{"response delay", "Date: " + date(0) + " | Age: 5", 0, 3, 3, 8},
		{"Date in the future", "Date: " + date(100), 0, 0, 10, 10},
		{"no Date", "", 0, 0, 10, 10},
		{"invalid Age", "Date: " + date(0) + " | Age: x", 0, 0, 10, 10},
		{"clock set back", "Date: " + date(0), 0, 0, -100, 0},
		{"huge", "Age: 99999999999999", 0, 0, 10, field.MaxDelta},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := &stored.Entry{Received: at(test.received), InitialAge: InitialAge(header(test.fields), at(test.requested), at(test.received))}
			if got := e.Age(at(test.now)); got != time.Duration(test.want)*time.Second {
				t.Errorf("age %v, want %d s", got, test.want)
			}
		})
	}
}
