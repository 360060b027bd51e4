// Package har reads and writes HTTP Archives (HAR 1.2): exchanges as browsers, proxies and load testers exchange them.
//
//	out := har.NewEncoder(w, har.Options{})
//	err := out.Encode(&har.Entry{…})
//	…
//	err = out.Close()
//
//	for e, err := range har.Entries(r) { … }
//
// Both go entry by entry, so that an archive may be larger than memory. What is written has no secrets, as far as package redact knows them; see [Options].
//
//	types.go        the objects of the format
//	encode.go       writing, and what is hidden
//	placeholder.go  what stands for a secret already
//	decode.go       reading
//	http.go         between entries and net/http
package har
