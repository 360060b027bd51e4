package postgres

import "testing"

// A record that is put between the ends of two measurements counts, though the second one has looked before it was there.
func TestMeasurementsAtOnceErrToTheFullSide(t *testing.T) {
	r := room{most: 1 << 20}
	first, _ := r.begin(true)
	second, _ := r.begin(true)
	r.end(0, first, nil)
	r.reserve(100)
	r.written(100, 0, r.now())
	if held := r.end(0, second, nil); held < 100 {
		t.Errorf("%d bytes are counted, and 100 are there", held)
	}
	alone, _ := r.begin(true)
	if held := r.end(100, alone, nil); held != 100 {
		t.Errorf("%d bytes are counted by a measurement alone, want 100", held)
	}
}

// What was put before a measurement began is not counted twice because another one is still under way.
func TestMeasurementCountsFromItsOwnBeginning(t *testing.T) {
	r := room{most: 1 << 20}
	slow, _ := r.begin(true)
	r.reserve(100)
	r.written(100, 0, r.now())
	quick, _ := r.begin(true)
	if held := r.end(100, quick, nil); held != 100 {
		t.Errorf("%d bytes are counted, want the 100 that are there", held)
	}
	if held := r.end(0, slow, nil); held != 100 {
		t.Errorf("%d bytes are counted by the one that looked before, want 100", held)
	}
}
