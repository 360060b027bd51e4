package credential

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func request(t *testing.T, target string, fields ...string) *http.Request {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	r := &http.Request{Method: "GET", URL: u, Header: http.Header{}}
	for _, line := range fields {
		name, value, _ := strings.Cut(line, ": ")
		r.Header[name] = append(r.Header[name], value)
	}
	return r
}

func TestNamed(t *testing.T) {
	for name, want := range map[string]bool{
		"Authorization": true, "authorization": true, "AUTHORIZATION": true, "Cookie": true, "X-Api-Key": true, "x-api-key": true, "Proxy-Authorization": true,
		"X-Vault-Token": true, "PRIVATE-TOKEN": true, "Ocp-Apim-Subscription-Key": true, "Signature-Input": true, "Dpop": true,
		"Accept": false, "X-Trace": false, "": false, strings.Repeat("x", 200): false, strings.Repeat("x", 200) + "-token": true,
	} {
		for range 2 {
			if got := Named(name); got != want {
				t.Errorf("Named(%q) = %v, want %v", name, got, want)
			}
		}
	}
	if n := testing.AllocsPerRun(100, func() { Named("X-Vault-Token"); Named("x-trace") }); n != 0 {
		t.Errorf("a known name costs %v allocations", n)
	}
}

// What signatures say of who asks: whatever changes with each request is not in it.
func TestIdentity(t *testing.T) {
	const day = "/20250101/us-east-1/s3/aws4_request"
	for _, test := range []struct{ name, value, want string }{
		{"Authorization", "Bearer abc=", "Bearer abc="},
		{"Authorization", "Basic c2lnOg==", "Basic c2lnOg=="},
		{"Authorization", "bearer sig=1", "bearer sig=1"},
		{"Authorization", "Token token=abc", "Token token=abc"},
		{"Authorization", "ApiKey id:secret", "ApiKey id:secret"},
		{"Authorization", "", ""},
		{"Authorization", "AWS4-HMAC-SHA256 Credential=AKID" + day + ", SignedHeaders=host;x-amz-date, Signature=ab12", "aws4-hmac-sha256\x00credential=AKID"},
		{"Authorization", "AWS4-HMAC-SHA256 Credential=AKID" + day + ",SignedHeaders=host,Signature=ff", "aws4-hmac-sha256\x00credential=AKID"},
		{"authorization", "AWS4-ECDSA-P256-SHA256 Credential=AKID/20250101/s3/aws4_request, SignedHeaders=host, Signature=30", "aws4-ecdsa-p256-sha256\x00credential=AKID"},
		{"Authorization", "AWS AKID:bWQ1cmM0d2FzaGVyZQ==", "aws\x00AKID"},
		{"Authorization", "SharedKey account:c2ln", "sharedkey\x00account"},
		{"Authorization", "HMAC-SHA256 Credential=me&SignedHeaders=x-ms-date;host&Signature=c2ln", "hmac-sha256\x00credential=me"},
		{"Authorization", "SDK-HMAC-SHA256 Access=AK, SignedHeaders=x-sdk-date, Signature=12", "sdk-hmac-sha256\x00access=AK"},
		{"Authorization", `Digest username="Mufasa", realm="r, s", nonce="n1", uri="/", nc=00000001, cnonce="c", response="6629"`, "digest\x00realm=r, s\x00username=Mufasa"},
		{"Authorization", `Digest nonce="n2", uri="/a", nc=00000002, response="af", realm="r, s", username = "Mufasa"`, "digest\x00realm=r, s\x00username=Mufasa"},
		{"Authorization", `Digest realm="r", nonce="n", response="af"`, unknown},
		{"Authorization", `OAuth realm="", oauth_consumer_key="ck", oauth_token="tk", oauth_nonce="1", oauth_signature="x%3D"`, "oauth\x00oauthconsumerkey=ck\x00oauthtoken=tk"},
		{"Authorization", `Signature keyId="rsa-1",algorithm="rsa-sha256",headers="(request-target) date",signature="x"`, "signature\x00keyid=rsa-1"},
		{"Authorization", `Signature algorithm="rsa-sha256",headers="date",signature="x"`, unknown},
		{"Authorization", `Hawk id="dh37", ts="1353832234", nonce="j4h3g2", mac="6R4r"`, "hawk\x00id=dh37"},
		{"Authorization", `hmac username="alice", algorithm="hmac-sha1", headers="date", signature="x"`, "hmac\x00username=alice"},
		{"Authorization", `MyAuth client_id="app", token="alice", ts=1, signature="x"`, "myauth\x00clientid=app\x00token=alice"},
		{"Authorization", `MyAuth client_id="app", user="bob", ts=2, signature="y"`, "myauth\x00clientid=app\x00user=bob"},
		{"Authorization", `Hawk id="dh37", ts="1353832234", nonce="j4h3g2", app="a", dlg="d", ext="e", hash="h", mac="6R4r"`, "hawk\x00app=a\x00dlg=d\x00ext=e\x00id=dh37"},
		{"Authorization", `MyAuth user="alice", signature="x"`, unknown},
		{"Signature", `keyId="app",user="alice",created=1,signature="x"`, "keyid=app\x00user=alice"},
		{"Authorization", "hmac alice:sig", "hmac\x00alice"},
		{"Authorization", "hmac app:alice:sig", unknown},
		{"Authorization", "hmac c2ln", unknown},
		{"Authorization", "EG1-HMAC-SHA256 client_token=ct;access_token=at;timestamp=1;nonce=n;signature=s", "eg1-hmac-sha256\x00accesstoken=at\x00clienttoken=ct"},
		{"Authorization", "q-sign-algorithm=sha1&q-ak=AK&q-sign-time=1;2&q-signature=ff", "\x00qak=AK"},
		{"Authorization", "SharedAccessSignature sr=h&sig=x&se=1&skn=policy", "SharedAccessSignature sr=h&sig=x&se=1&skn=policy"},
		{"Authorization", "Negotiate YII", unknown},
		{"Authorization", "NTLM TlRM", unknown},
		{"Proxy-Authorization", "Negotiate YII", unknown},
		{"Authorization", "SCRAM-SHA-256 data=x", unknown},
		{"Authorization", "DPoP token", "DPoP token"},
		{"Signature-Input", `sig1=("@method" "@path");created=1618884473;keyid="test-key";nonce="b3k2"`, `"test-key"`},
		{"Signature-Input", `sig1=("@method");created=1618884473;keyid="app";tag="alice"`, "\"app\"\x00tag=\"alice\""},
		{"Signature-Input", `sig1=("@method");created=1618884473;tag="alice"`, unknown},
		{"Signature-Input", `sig1=("@method");created=1618884473`, unknown},
		{"Signature", "sig1=:K2qGT5srn2OGbOIDzQ6kYT+ruaycnDAAUpKv+ePFfD0=:", unknown},
		{"Signature", `keyId="me",algorithm="hs2019",signature="x"`, "keyid=me"},
		{"Dpop", "eyJ0", unknown},
		{"X-Hub-Signature-256", "sha256=1", unknown},
		{"X-Wsse", `UsernameToken Username="bob", PasswordDigest="x=", Nonce="n", Created="2025-01-01T00:00:00Z"`, "username=bob"},
		{"X-Wsse", `UsernameToken Username="bob", Session="s", PasswordDigest="x=", Nonce="n", Created="2025-01-01T00:00:00Z"`, "session=s\x00username=bob"},
		{"X-Wsse", "UsernameToken", unknown},
		{"Accept-Signature", `sig1=("@method");keyid="k"`, `sig1=("@method");keyid="k"`},
		{"X-Api-Key", "k", "k"},
		{"Cookie", "sig=1; id=2", "sig=1; id=2"},
	} {
		got, ok := Identity(test.name, test.value)
		if !ok {
			got = unknown
		}
		if got != test.want {
			t.Errorf("%s: %s\n\tspeaks of %q, want %q", test.name, test.value, got, test.want)
		}
	}
}

const unknown = "(names no principal)"

// Requests of one principal have one identity, and requests of two have two.
func TestAppend(t *testing.T) {
	of := func(r *http.Request) string {
		b, err := Append(nil, r)
		if err != nil {
			return unknown
		}
		return string(b)
	}
	same := func(a, b *http.Request, want bool) {
		t.Helper()
		if got := of(a) == of(b); got != want {
			t.Errorf("%v %v and %v %v: same %v, want %v", a.URL, a.Header, b.URL, b.Header, got, want)
		}
	}
	const h = "http://h/"
	same(request(t, h, "X-Api-Key: a"), request(t, h, "x-api-key: a"), true)
	same(request(t, h, "X-Api-Key: a"), request(t, h, "X-Api-Key: b"), false)
	same(request(t, h, "X-Api-Key: a"), request(t, h, "X-Auth-Token: a"), false)
	same(request(t, h, "X-Api-Key: a"), request(t, h, "X-Api-Key: a", "Cookie: c"), false)
	same(request(t, h, "X-Api-Key: a", "X-Api-Key: b"), request(t, h, "X-Api-Key: ab"), false)
	same(request(t, "http://u:p@h/"), request(t, h, "Authorization: Basic dTpw"), true)
	same(request(t, "http://u:p@h/"), request(t, "http://v:p@h/"), false)
	same(request(t, "http://u:p@h/", "authorization: Bearer x"), request(t, "http://u:p@h/", "authorization: Bearer y"), false)
	same(request(t, "http://u:p@h/", "Authorization: Bearer x"), request(t, h, "Authorization: Bearer x"), true)
	same(request(t, h, "Authorization: AWS a:1", "X-Amz-Security-Token: s"), request(t, h, "Authorization: AWS a:2", "X-Amz-Security-Token: s"), true)
	same(request(t, h, "Authorization: AWS a:1", "X-Amz-Security-Token: s"), request(t, h, "Authorization: AWS a:1", "X-Amz-Security-Token: t"), false)
	same(request(t, h, "X-Api-Key: a", "X-Signature: 1"), request(t, h, "X-Api-Key: a", "X-Signature: 2"), true)
	same(request(t, h, "X-Api-Key: a", "X-Signature: 1"), request(t, h, "X-Api-Key: a"), false)
	same(request(t, h, "Authorization: ACME a:1"), request(t, h, "Authorization: ACME a:2"), false)
	same(request(t, h, "Authorization: ApiKey a:1", "Date: x"), request(t, h, "Authorization: ApiKey a:2", "Date: x"), false)
	same(request(t, h, "Authorization: Bearer a:1", "Date: x"), request(t, h, "Authorization: Bearer a:2", "Date: x"), false)
	same(request(t, h, "X-Api-Key: a", "X-Github-Otp: 1"), request(t, h, "X-Api-Key: a", "X-Github-Otp: 2"), true)
	same(request(t, h, "Signature-Input: s=();keyid=\"k\";created=1", "Signature: s=:1:"), request(t, h, "Signature-Input: s=();keyid=\"k\";created=2", "Signature: s=:2:"), true)
	for _, r := range []*http.Request{
		request(t, h, "X-Signature: 1"), request(t, h, "Cookie: lb=1", "X-Signature: 1"), request(t, h, "X-Csrf-Token: 1", "Dpop: 1"),
		request(t, h, "X-Api-Key: a", "Authorization: NTLM x"), request(t, h, "Signature: s=:1:"),
		request(t, h, "Authorization: ACME app:1", "Date: x"), request(t, h, "Authorization: ACME app:1", "X-Acme-Nonce: x"), request(t, h, "Authorization: HMAC app:user:1"),
	} {
		if got := of(r); got != unknown {
			t.Errorf("%v has an identity: %q", r.Header, got)
		}
	}
	r := request(t, h, "X-Api-Key: a", "Authorization: Bearer x", "Cookie: c", "X-Auth-Token: t")
	room := make([]byte, 0, 512)
	if n := testing.AllocsPerRun(100, func() { Append(room, r) }); n > 4 {
		t.Errorf("%v allocations", n)
	}
}

// The credentials of a keyed request cover what was sent, or do not.
func TestSet(t *testing.T) {
	keyed := request(t, "http://u:p@h/?page=1&api_key=k", "X-Api-Key: a ", "Cookie: a=1; b=2")
	s := Of(keyed)
	for _, test := range []struct {
		target string
		fields []string
		want   bool
	}{
		{"http://h/", nil, true},
		{"http://h/?api_key=k&page=2", []string{"x-api-key: a", "cookie: b=2", "Authorization: Basic dTpw"}, true},
		{"http://h/", []string{"Cookie: a=1; b=2; c=3"}, false},
		{"http://h/", []string{"Authorization: x"}, false},
		{"http://h/", []string{"X-Api-Key: b"}, false},
		{"http://h/", []string{"X-Auth-Token: a"}, false},
		{"http://h/?page=1&api_key=k", nil, true},
		{"http://h/?api_key=other", nil, false},
		{"http://h/?api%5Fkey=other", nil, false},
		{"http://h/?access_token=x", nil, false},
		{"http://other:p@h/", nil, false},
		{"http://h/", []string{"Accept: x"}, true},
	} {
		if got := s.Has(request(t, test.target, test.fields...)); got != test.want {
			t.Errorf("%s %v: covered %v, want %v", test.target, test.fields, got, test.want)
		}
	}
	signed := Of(request(t, "http://h/", "Authorization: AWS a:1", "X-Signature: 1"))
	for line, want := range map[string]bool{
		"Authorization: AWS a:2": true, "authorization: AWS a:1": true, "Authorization: AWS b:1": false, "Authorization: Bearer a": false, "X-Signature: 2": true, "Dpop: 1": false,
	} {
		if got := signed.Has(request(t, "http://h/", line)); got != want {
			t.Errorf("%s: covered %v, want %v", line, got, want)
		}
	}
	keyed.Header["X-Api-Key"][0] = "changed" // by a layer that should not
	keyed.Header.Set("Authorization", "changed")
	if s.Has(keyed) {
		t.Error("the set has changed with the request that it was made of")
	}
	if none := Of(request(t, "http://h/?page=1", "Accept: x")); len(none.claims)+len(none.query) > 0 {
		t.Errorf("a request without credentials has %v and %v", none.claims, none.query)
	}
}
