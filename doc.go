// Package ply assembles HTTP clients from composable layers of one shape, func(Handler) Handler.
//
// A [Handler] is an [http.RoundTripper], so every layer works in any *http.Client, every RoundTripper wrapper of others is a layer,
// and everything that holds for net/http still holds.
//
//	store, err := cache.New(cache.Options{})
//	…
//	client, err := ply.New(ply.Options{
//		BaseURL:  "https://api.example.com",
//		Timeouts: ply.Timeouts{Total: 30 * time.Second},
//		Use:      []ply.Middleware{logging.New(logging.Options{}), store.Middleware, retry.New(retry.Options{})},
//	})
//	…
//	user, err := ply.JSON[User](client.Get(ctx, "/users/7"))
//
// A request passes the layers in the order in which they are listed, and its response passes them back:
//
//	Client.Do
//	  call layers        Options.UseCall: once per call
//	    redirects and cookies
//	      exchange layers  Options.Use: once per hop
//	        logging → auth → decode → cache → retry → …
//	          transport
//
// The layers are in packages of their own, which don't need this one: [github.com/plyhttp/ply/middleware/cache],
// [github.com/plyhttp/ply/middleware/retry], [github.com/plyhttp/ply/middleware/logging]. [Wrap] mounts them, or others, into an *http.Client that exists;
// [github.com/plyhttp/ply/plytest] tests them.
package ply
