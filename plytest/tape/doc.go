// Package tape records HTTP traffic once and replays it, with its timing and its failures.
//
// Where to look: tape.go has the data, failure.go the errors that a recorded failure is replayed as, and har.go, har_read.go and har_write.go the HTTP Archives.
// replay.go is time travel: replay_run.go sends the requests and measures, replay_origin.go plays the origin by what was when (replay_timeline.go) and how it answers
// (replay_answer.go), replay_report.go is what comes of it, and replay_bubble.go the virtual time.
package tape
