// Package keying decides which requests share a stored response.
//
// A cache asks a [Strategy] for the key of each request. Requests with equal keys share stored responses, as far as Vary lets them.
// [Default] is the target URI together with the credentials of the request, so that one cache can serve many principals.
// [New] builds a strategy from parts. What is not in the key is shared: leave a part out only if it makes no difference to the response.
//
// Where to look: keying.go has Strategy, Default, SingleUser and New; url.go the parts for the URL, the method and a prefix;
// principal.go the parts for credentials and header fields; body.go the part for the content, json.go and graphql.go its forms that compare by meaning.
package keying
