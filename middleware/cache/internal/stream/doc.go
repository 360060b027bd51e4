// Package stream has the bodies of responses on their way from the origin to callers and into a store.
//
//	recorder.go        a body that is copied as its one caller reads it
//	fanout.go          one body for several readers, each at its own pace
//	fanout_reads.go    how it is read from its source
//	fanout_window.go   what is kept of it once the copy is not
//	fanout_reader.go   one of these readers
//	stack.go           the stack of a goroutine that reads
//	event_stream.go    an event stream that is copied, and its replay
//	continuation.go    the rest of a body that broke off, from another answer
//	body_copy.go       the copy, and when it is complete: a body that breaks off is not stored (RFC 9111 §3.3)
//	budget.go          what all copies may take together
//	discard.go         what is still read of a body that is dropped
//	panic.go           a panic on its way to the goroutine that it belongs to
//	rewind.go          requests that are sent again
package stream
