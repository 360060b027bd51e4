// Package keying decides which requests share a stored response.
//
// A cache asks a [Strategy] for the key of each request. Requests with equal keys share stored responses, as far as Vary lets them.
// [Default] is the target URI together with a hash of the request's credentials, so that one cache can serve many users.
// What is not in the key is shared: leave something out only if it makes no difference to the response.
//
// [New] builds a strategy from parts, for the option Key of a cache:
//
//	cache.Options{Key: keying.New(
//		keying.URL(keying.URLOptions{Ignore: []string{"utm_source"}, Sort: true}), // tracking parameters make no difference
//		keying.Header("X-Api-Version"),                                            // a field that the server does not name in Vary
//		keying.Body(keying.BodyOptions{Ignore: []string{"requestId"}}),            // the content of a QUERY, or of a POST that only asks
//	)}
//
// # Who asks
//
// New adds the credentials, unless one of the parts is [Principal], which names the user in their place, or [IgnoreCredentials], for answers that are the same for all.
// [SingleUser] is for a client that acts for one user only.
//
// # Content
//
// [Body] compares JSON, forms and GraphQL by their meaning. A request with content needs http.Request.GetBody, which http.NewRequest sets for a bytes.Reader,
// a strings.Reader and a bytes.Buffer: without it the request has no key, and is not cached.
//
// # Your own
//
// [Func] is a whole key, and [PartFunc] a part beside others. A strategy is a pure function that many goroutines call. Test it by comparing keys,
// and do not leave out the check that two users differ; the example of the package does both.
//
// docs/keying.md of the repository has the commonest strategies in full.
//
// # Where to look
//
// keying.go has Strategy, Default, SingleUser and New; url.go the parts for the URL, the method and a prefix;
// principal.go the parts for credentials and header fields; body.go the part for the content, json.go and graphql.go its forms that compare by meaning.
package keying
