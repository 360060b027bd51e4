// Package tape records HTTP traffic once and replays it, with its timing and its failures.
//
//	func TestUsers(t *testing.T) {
//		users := tape.Open(t, "testdata/users.tape", tape.Options{})
//		client, err := ply.New(ply.Options{Use: []ply.Middleware{users.Middleware}})
//		…
//	}
//
// The first run asks the server and writes the file, without secrets; all others replay it. A program that is no test records with a [Recorder], and replays a tape with [Load] and [Tape.Player].
//
// Where to look: tape.go has the data, failure.go failures as kinds and as errors, and har.go, har_read.go and har_write.go the HTTP Archives.
// open.go is the tape of a test and its modes, recorder.go that of a program, record.go what is written down, redact.go what is hidden, redact_field.go how in fields, redact_content.go, redact_json.go, redact_graphql.go and redact_nested.go where secrets are in content, callers.go and callers_assign.go whose secrets are whose, on the tape and in a replay, encode.go the file,
// encode_text.go how it writes text and bytes, and player.go, player_body.go and player_volatile.go the answers of a replay, player_unmatched.go and player_differs.go the error where there is none.
// replay.go is time travel: replay_run.go sends the requests and measures, replay_origin.go plays the origin by what was when (replay_timeline.go) and how it answers
// (replay_answer.go), replay_report.go is what comes of it, and replay_bubble.go the virtual time.
package tape
