// Package auth authenticates requests: with tokens that are renewed in time, with API keys, and with signatures.
//
// [New] makes a layer that adds a token to each request for the origins that it is for:
//
//	layer := auth.New(auth.Options{Source: source, Origins: []string{"https://api.example.com"}})
//
// It belongs above the cache, so that the key of an answer says whom it was made for: logging → auth → cache → retry → sign.
//
// # Tokens
//
// A [Source] yields tokens. All requests that need one wait for the same call of it, and a caller who gives up leaves the others alone.
// A token is renewed in the background before it expires. If that fails, requests go on with the old one, and the source is left alone for a moment.
//
// After a 401, the request is sent once more if the source has another token, the server asks for one, and the body can be sent again:
// there is none, or the request has GetBody. The answer to a second 401 is the server's.
//
// # Who asks
//
// [Token.Principal] names for whom a token was issued. A cache below keeps the answers of principals apart by this name in place of the token:
// a new token finds what the old one has stored, and no two principals share. A token without a name stands for itself.
//
// # Signatures
//
// [Sign] makes a layer that signs each attempt, below retry.
//
// # Where to look
//
// auth.go has the layer: which token, and what follows a 401 (challenge.go reads what the server asks for); slot.go has an account's token and the calls of its source;
// origin.go says which origins may get it; sign.go is the layer of signatures; context.go has what requests choose; token.go, options.go and errors.go are the rest of the API.
package auth
