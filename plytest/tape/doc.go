// Package tape records HTTP traffic once and replays it, with its timing and its failures.
//
// Where to look: tape.go has the data, failure.go the errors that a recorded failure is replayed as, and har.go, har_read.go and har_write.go the HTTP Archives.
package tape
