// Package ply assembles HTTP clients from composable layers of one shape, func(Handler) Handler.
//
// A [Handler] is an [http.RoundTripper], so every layer works in any *http.Client, every RoundTripper wrapper of other packages is a layer,
// and everything that holds for net/http still holds.
//
//	c, err := cache.New(cache.Options{})
//	…
//	client, err := ply.New(ply.Options{
//		BaseURL:  "https://api.example.com",
//		Timeouts: ply.Timeouts{Total: 30 * time.Second},
//		Use:      []ply.Middleware{logging.New(logging.Options{}), c.Middleware, retry.New(retry.Options{})},
//	})
//	…
//	user, err := ply.JSON[User](client.Get(ctx, "/users/7"))
//
// A request passes the layers in the order in which they are listed, and its response passes them in reverse:
//
//	Client.Do
//	  call layers        Options.UseCall: once per call
//	    redirects and cookies
//	      exchange layers  Options.Use: once per hop
//	        logging → auth → decode → cache → retry → …
//	          transport
//
// The layers are in packages of their own, which do not import this one: [github.com/plyhttp/ply/middleware/cache],
// [github.com/plyhttp/ply/middleware/retry], [github.com/plyhttp/ply/middleware/logging]. [Wrap] mounts them, or any others, into an existing *http.Client.
// [github.com/plyhttp/ply/plytest] tests them.
//
// For those who read the code, the files by the beginning of their names:
//
//	chain        Middleware, Chain, When, Wrap; names of layers; which stacks are refused
//	client       Client, Options; what is added to a request before any layer runs; HTTPClient
//	request      request options: URL, query, header fields, credentials, settings
//	body         request bodies; progress, expect_continue and cookies have files of their own
//	redirect     redirects, and what may leave its origin
//	timeout      timeouts and their phases
//	transport    connections: their options, TLS, proxies, and the transports of single requests
//	guard        addresses that may not be dialed; httpsonly: schemes that may not be used
//	response     functions that take (*http.Response, error): decode, text, save, status, links
//	download     files that are continued where they broke off
//	callinfo     the record of a call and its waterfall
//	events       server-sent events, with reconnection
//	errors       errors that callers test for
package ply
