package postgres

import "testing"

// A record that is put between the ends of two measurements counts, though the second one has looked before it was there.
func TestMeasurementsAtOnceErrToTheFullSide(t *testing.T) {
	r := room{most: 1 << 20}
	r.begin(true)
	r.begin(true)
	r.end(0, nil)
	r.reserve(100)
	r.written(100, 0, r.now())
	if held := r.end(0, nil); held < 100 {
		t.Errorf("%d bytes are counted, and 100 are there", held)
	}
	r.begin(true)
	if held := r.end(100, nil); held != 100 {
		t.Errorf("%d bytes are counted by a measurement alone, want 100", held)
	}
}
