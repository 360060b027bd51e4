// Package decode removes content codings from responses: br, zstd, gzip and deflate (RFC 9110 §8.4).
//
// [New] makes a layer of the shape func(http.RoundTripper) http.RoundTripper:
//
//	client := &http.Client{Transport: decode.New(decode.Options{})(http.DefaultTransport)}
//
// It asks for the codings in Accept-Encoding, decodes bodies as they are read, and says so in the response,
// as [http.Transport] does for gzip: [http.Response.Uncompressed] is true, ContentLength is -1, Content-Encoding and Content-Length are gone.
// A request that brings an Accept-Encoding of its own, "identity" for one, gets what the server sent.
//
// # Placement
//
// The layer belongs above a cache and a retry layer: the order is logging, auth, decode, cache, retry. What is stored stays small,
// and a broken download continues in the bytes that the server counts. Below a cache it works too: bodies are stored decoded then.
//
// # Errors
//
// Content that is cut short, corrupt or followed by other bytes is a [*ContentError] of the read that finds it, and content that grows beyond
// Options.MaxBytes or Options.MaxRatio a [*LimitError]. The caller has read the bytes before the fault by then:
// content is complete only when a read returns [io.EOF]. Errors of the connection come as they are.
//
// # Memory
//
// A body is never held as a whole. While it is read, gzip and deflate take about 50 KiB, zstd at most 9 MiB (its window is limited to 8 MiB, RFC 9659 §3),
// and br as much as the content so far, at most 17 MiB. Decoders are reused.
//
// # Files
//
//   - decode.go: Options, the layer, one round trip
//   - negotiation.go: Accept-Encoding and Content-Encoding
//   - response.go: which responses are decoded, and what is said of them
//   - body.go: the body that callers read: its life, its limits
//   - stage.go: one coding of a body; pools of decoders
//   - decoders.go: the four decoders
//   - errors.go: what goes wrong
package decode
