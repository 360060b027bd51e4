// Package ply assembles HTTP clients from layers: functions of one shape, func(http.RoundTripper) http.RoundTripper.
//
//	responses, err := cache.New(cache.Options{})
//	…
//	client, err := ply.New(ply.Options{
//		BaseURL:  "https://api.example.com",
//		Timeouts: ply.Timeouts{Total: 30 * time.Second},
//		Use:      []ply.Middleware{logging.New(logging.Options{}), responses.Middleware, retry.New(retry.Options{})},
//	})
//	…
//	user, err := ply.JSON[User](client.Get(ctx, "/users/7"))
//
// # Layers
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
// [New] refuses an order that cannot work, with an [*OptionError] that says what to move. [Layers] lists what a client consists of.
//
// The layers are in packages of their own, which do not import this one: [github.com/plyhttp/ply/middleware/cache],
// [github.com/plyhttp/ply/middleware/retry], [github.com/plyhttp/ply/middleware/auth], [github.com/plyhttp/ply/middleware/logging] and others.
// A layer of your own is a function like any of them; [github.com/plyhttp/ply/plytest] tests it against its contract.
// [Wrap] mounts layers into an *http.Client that you have, and [Client.HTTPClient] hands a client to a library that wants one.
//
// # Requests
//
// [Client.Get], [Client.Post] and the others take a context, a URL and options. The options are applied in their order, before any layer runs:
//
//	client.Get(ctx, "/users/{id}", ply.PathValue("id", id), ply.Query("lang", "en"), ply.SetHeader("Accept", "application/json"))
//	client.Post(ctx, "/users", ply.BodyJSON(user))
//	client.Post(ctx, "/login", ply.BodyForm(values))
//	client.Post(ctx, "/photos", ply.BodyMultipart(ply.PartField("album", "1"), ply.PartFile("photo", "ada.jpg")))
//
// Options of all requests go into [Options].Defaults and Header. Default credentials, parameters and fields that may be secret go to the origin of
// [Options].BaseURL only, and never along with a redirect to another. Options that contradict each other are an [*OptionError], before anything is sent.
//
// # Responses
//
// Functions that read a response take the two results of a call, of this or any other client, read within a limit and close the body:
//
//	user, err := ply.JSON[User](client.Get(ctx, "/users/7"))
//	text, err := ply.Text(http.Get("https://example.com"))
//	n, err := ply.Save("report.pdf")(client.Get(ctx, "/report.pdf"))
//
// For all of them a status of 400 or more is a [*StatusError], which holds the beginning of the body; [AnyStatus] around a call makes them accept
// any status. [Client.Download] continues files, [Client.Pages] follows lists, [Client.Events] reads event streams.
// A caller that uses the response itself closes its body, as with net/http.
//
// # Errors, concurrency, life
//
// Errors that programs act on are types: [*StatusError], [*TimeoutError], [*DecodeError], [*BodyLimitError], [*RedirectError], [*OptionError].
// Those of the transport are wrapped, so that errors.Is and errors.As find them. No error shows a secret of its request.
//
// A [Client] is for concurrent use by any number of goroutines, and for the life of a program. [Client.Close] closes the connections of the transport
// that the client has made itself. What a call is allowed to take, in time and bytes, is for [Timeouts] and [MaxResponseBody] to say.
// [WithCallInfo] records what became of a call, layer by layer.
//
// # For those who read the code
//
// The files by the beginning of their names:
//
//	middleware   Middleware, Chain, When, Wrap; names of layers; which stacks are refused
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
