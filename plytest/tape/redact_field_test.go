package tape_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/plytest/tape"
)

// What a client needs to answer a challenge, and to keep a cookie, stays.
func TestFieldsWithSecretsKeepWhatIsNone(t *testing.T) {
	for _, tt := range []struct{ name, line, want string }{
		{"Www-Authenticate", `Basic realm="a, \"b\"", charset="UTF-8"`, `Basic realm="a, \"b\"", charset="UTF-8"`},
		{"Www-Authenticate", `Bearer realm="https://auth.example/token?a=1&token=hush",service="registry.example",scope="repository:a/b:pull,push"`, `Bearer realm="https://auth.example/token?a=1&token=REDACTED",service="registry.example",scope="repository:a/b:pull,push"`},
		{"Www-Authenticate", `Bearer error="invalid_token", error_description="expired", session="hush"`, `Bearer error="invalid_token", error_description="expired", session="REDACTED"`},
		{"Www-Authenticate", `Digest realm="a", qop="auth, auth-int", algorithm=SHA-256, nonce="hush", opaque=hush, stale=true`, `Digest realm="a", qop="auth, auth-int", algorithm=SHA-256, nonce="REDACTED", opaque=REDACTED, stale=true`},
		{"Proxy-Authenticate", "Negotiate, NTLM aHVzaA==, Basic realm=a", "Negotiate, NTLM REDACTED, Basic realm=a"},
		{"Www-Authenticate", "Bearer hush", "Bearer REDACTED"},
		{"Www-Authenticate", "hush/+=", "REDACTED"},
		{"Www-Authenticate", `Digest nonce="hush`, `Digest nonce="REDACTED`},
		{"Www-Authenticate", "REDACTED", "REDACTED"},
		{"Www-Authenticate", "Bearer realm=a, hush", "Bearer realm=a, REDACTED"},
		{"Www-Authenticate", `Own realm="a", REDACTED`, `Own realm="a", REDACTED`},
		{"Set-Cookie", "sid=hush; Path=/a; Domain=h.example; Expires=Wed, 21 Oct 2026 07:28:00 GMT; Max-Age=3600; Secure; HttpOnly; SameSite=Lax; Partitioned", "sid=REDACTED; Path=/a; Domain=h.example; Expires=Wed, 21 Oct 2026 07:28:00 GMT; Max-Age=3600; Secure; HttpOnly; SameSite=Lax; Partitioned"},
		{"Set-Cookie", "sid=; Max-Age=0", "sid=; Max-Age=0"},
		{"Set-Cookie", `a="hush=hush"; Path=/`, "a=REDACTED; Path=/"},
		{"Set-Cookie", "hush", "REDACTED"},
		{"Link", `</next?page=2&page_token=known>; rel="next", <https://u:hush@h.example/?token=hush>; title="password=hush"`, `</next?page=2&page_token=REDACTED-1>; rel="next", <https://REDACTED:REDACTED@h.example/?token=REDACTED>; title="password=REDACTED"`},
		{"Refresh", "5; url=/next?token=known", "5; url=/next?token=REDACTED-1"},
		{"X-Original-Url", "/a?page=1&token=known", "/a?page=1&token=REDACTED-1"},
		{"Location", "/a?token=known#access_token=known&x=1", "/a?token=REDACTED-1#access_token=REDACTED-1&x=1"},
		{"X-Upstream", "Bearer hush", "REDACTED"},
		{"X-Amzn-Oidc-Data", "eyJhbGciOiJFUzI1NiJ9.hush.hush", "REDACTED"},
		{"X-Fwd", "basic known", "REDACTED-1"},
		{"X-Data", `{"token":"hush","n":1}`, `{"token":"REDACTED","n":1}`},
		{"X-Params", "n=1&token=hush", "n=1&token=REDACTED"},
		{"Sec-Websocket-Protocol", "chat, bearer, hush", "chat, bearer, REDACTED"},
		{"Sec-Websocket-Protocol", "base64url.bearer.authorization.k8s.io.hush, base64.channel.k8s.io", "base64url.bearer.authorization.k8s.io.REDACTED, base64.channel.k8s.io"},
		{"Sec-Websocket-Protocol", "realtime, openai-insecure-api-key.hush-1, openai-beta.realtime-v1", "realtime, openai-insecure-api-key.REDACTED, openai-beta.realtime-v1"},
		{"Sec-Websocket-Protocol", "header-hush, aws-appsync-event-ws", "header-REDACTED, aws-appsync-event-ws"},
		{"Sec-Websocket-Protocol", "jwt,known", "jwt,REDACTED-1"},
		{"Sec-Websocket-Protocol", "graphql-transport-ws, v12.stomp, eyJhbGciOiJFUzI1NiJ9.hush.hush", "graphql-transport-ws, v12.stomp, REDACTED"},
		{"X-Forwarded-Client-Cert", `By=spiffe://a;Hash=hush;Cert="hush"`, "REDACTED"},
		{"Client-Cert", ":aHVzaA==:", "REDACTED"},
		{"X-Original-Headers", "Authorization: Bearer known", "Authorization: REDACTED-1"},
		{"X-Forwarded-Headers", "X-Trace: a", "X-Trace: a"},
		{"X-Context", `[["Authorization","Bearer known"],["Accept","a"]]`, `[["Authorization","REDACTED-1"],["Accept","a"]]`},
		{"Set-Cookie", "a=hush; Expires=Wed, 21 Oct 2026 07:28:00 GMT,b[x]=hush; Secure, c =hush", "a=REDACTED; Expires=Wed, 21 Oct 2026 07:28:00 GMT, b[x]=REDACTED; Secure, c =REDACTED"},
		{"Set-Cookie", "a=hush; Path=/, b=hush; Expires=Wed, 21 Oct 2026 07:28:00 GMT, c=hush", "a=REDACTED; Path=/, b=REDACTED; Expires=Wed, 21 Oct 2026 07:28:00 GMT, c=REDACTED"},
		{"Location", "/a#top", "/a#top"},
		{"Location", "http://[hush", "://REDACTED"},
	} {
		tp := &tape.Tape{Exchanges: []*tape.Exchange{{Request: tape.Request{URL: "http://h.example/?token=known"}, Response: &tape.Response{Status: 401, Header: http.Header{tt.name: {tt.line}}}}}}
		have := tp.Redact(nil)
		require.Equal(t, tt.want, have.Exchanges[0].Response.Header.Get(tt.name))
		require.Equal(t, have, have.Redact(nil))
		require.False(t, strings.Contains(tt.want, "hush"))
	}
}
