package postgres

import "testing"

// A measurement counts what it has seen, and a Put that it has not seen is added to it, however the two interleave.
func TestEachPutCountsOnceWhenItMeetsAMeasurement(t *testing.T) {
	put := func(r *room, tx int64) {
		r.reserve(100)
		r.written(100, 0, tx)
	}
	tests := map[string]struct {
		run  func(r *room)
		want int64
	}{
		"ended before the measurement began": {func(r *room) {
			put(r, 10)
			from := r.begin()
			r.end(100, snapshot{next: 11}, from, nil)
		}, 100},
		"ended while it went on, and seen": {func(r *room) {
			from := r.begin()
			put(r, 10)
			r.end(100, snapshot{next: 11}, from, nil)
		}, 100},
		"ended while it went on, begun after it had looked": {func(r *room) {
			from := r.begin()
			put(r, 10)
			r.end(0, snapshot{next: 10}, from, nil)
		}, 100},
		"ended while it went on, under way when it looked": {func(r *room) {
			from := r.begin()
			put(r, 10)
			r.end(0, snapshot{next: 12, running: []int64{9, 10}}, from, nil)
		}, 100},
		"under way when it ended, and seen": {func(r *room) {
			from := r.begin()
			r.reserve(100)
			r.end(100, snapshot{next: 11}, from, nil)
			r.written(100, 0, 10)
		}, 100},
		"under way when it ended, and not seen": {func(r *room) {
			from := r.begin()
			r.reserve(100)
			r.end(0, snapshot{next: 10}, from, nil)
			r.written(100, 0, 10)
		}, 100},
		"replacing while it went on, and seen": {func(r *room) {
			from := r.begin()
			r.reserve(100)
			r.written(100, 70, 10)
			r.end(100, snapshot{next: 11}, from, nil)
		}, 100},
		"replacing while it went on, and not seen": {func(r *room) {
			from := r.begin()
			r.reserve(100)
			r.written(100, 70, 10)
			r.end(70, snapshot{next: 10}, from, nil)
		}, 100},
		"failing after it ended": {func(r *room) {
			from := r.begin()
			r.reserve(100)
			r.end(0, snapshot{next: 10}, from, nil)
			r.unwritten(100)
		}, 0},
		"between the ends of two, of which the second looked first": {func(r *room) {
			first, second := r.begin(), r.begin()
			r.end(0, snapshot{next: 10}, first, nil)
			put(r, 10)
			r.end(0, snapshot{next: 9}, second, nil)
		}, 100},
		"after a slow one began, and before a quick one": {func(r *room) {
			slow := r.begin()
			put(r, 10)
			quick := r.begin()
			r.end(100, snapshot{next: 11}, quick, nil)
			r.end(0, snapshot{next: 10}, slow, nil)
		}, 100},
		"seen by the first of two, and not by the second": {func(r *room) {
			first, second := r.begin(), r.begin()
			r.reserve(100)
			r.end(100, snapshot{next: 11}, first, nil)
			r.written(100, 0, 10)
			r.end(0, snapshot{next: 10}, second, nil)
		}, 100},
		"while one failed": {func(r *room) {
			from := r.begin()
			put(r, 10)
			r.end(0, snapshot{}, from, errNoRoom)
		}, 100},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := room{most: 1 << 20}
			test.run(&r)
			if held := r.over() + r.most; held != test.want {
				t.Errorf("%d bytes are counted, and %d are there", held, test.want)
			}
			if len(r.puts) > 0 {
				t.Errorf("%d Puts are kept though no measurement is under way", len(r.puts))
			}
		})
	}
}
