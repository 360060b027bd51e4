package redact

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"
)

// IsSecretHeader reports whether the values of the header field name must never be shown.
// Case does not matter. It allocates nothing for names of ordinary length.
func IsSecretHeader(name string) bool {
	if harmless[name] {
		return false // the usual case, in one look
	}
	for _, secret := range secretFields {
		if strings.EqualFold(name, secret) {
			return true
		}
	}
	return IsSecretName(name)
}

var secretFields = []string{
	"Authorization", "Proxy-Authorization", "Authentication-Info", "Proxy-Authentication-Info",
	"Www-Authenticate", "Proxy-Authenticate",
	"Cookie", "Cookie2", "Set-Cookie", "Set-Cookie2",
	"X-Auth", "X-Auth-User", "Dpop", "X-Wsse",
}

// IsSecretName reports whether the name of a value (a header field, a parameter, a member of an object) is that of a secret.
// It is if it contains token, secret, password, session, credential or the like, or if it ends in a word such as
// pass, otp, pin, cvv, sas, auth or key. Some keys are not secrets: primary, public and idempotency keys, among others.
// Punctuation and capitals separate words; otherwise case does not matter. It allocates nothing for names of ordinary length.
func IsSecretName(name string) bool {
	var text [64]byte
	var starts [16]int
	n := split(name, text[:0], starts[:0])
	return !n.measures() && (n.anyPart() || n.anyWord() || n.lastWord())
}

// secretParts make a name that of a secret wherever they occur in it, even across words.
var secretParts = byLetter(
	"token", "secret", "password", "passwd", "passphrase", "passcode", "passwort", "kennwort", "pwd", "pswd", "contraseña", "contrasena", "motdepasse", "wachtwoord",
	"apikey", "accesskey", "privatekey", "authkey", "subscriptionkey", "keymaterial",
	"session", "sessid", "credential", "signature", "authorization", "cookie", "jwt", "csrf", "xsrf", "hmac", "bearer",
	"authcode", "accesscode", "securitycode", "verificationcode", "recoverycode", "backupcode", "onetimecode", "codeverifier",
	"factorcode", "devicecode", "pairingcode", "activationcode", "resetcode", "logincode", "unlockcode", "connectionstring", "seedphrase", "recoveryphrase", "mnemonic", "samlresponse", "cardnumber",
)

// byLetter groups parts by their first letter, so that one pass over a name finds them.
func byLetter(parts ...string) (sorted ['z' + 1][]string) {
	for _, part := range parts {
		sorted[part[0]] = append(sorted[part[0]], part)
	}
	return sorted
}

// words is a name in lower case, without the characters between its words.
type words struct {
	text   []byte
	starts []int // of each word in text
}

// split finds the words of name and appends them to the given slices: "X-APIKey2" has x, api and key2.
func split(name string, text []byte, starts []int) words {
	var before, last rune // the two runes before; last is zero at the beginning of a word
	for name != "" {
		r, size := utf8.DecodeRuneInString(name)
		name = name[size:]
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			last = 0
			continue
		}
		if last == 0 || unicode.IsUpper(r) && beginsWord(before, last, name) {
			starts = append(starts, len(text))
		}
		text = utf8.AppendRune(text, unicode.ToLower(r))
		before, last = last, r
	}
	return words{text, starts}
}

// beginsWord reports whether a capital between last and the rest of a name begins a word: the K of "apiKey", "APIKey" and "s3Key" does, that of "KEY" and "X5KEY" does not.
func beginsWord(before, last rune, rest string) bool {
	next, _ := utf8.DecodeRuneInString(rest)
	return unicode.IsLower(last) || unicode.IsDigit(last) && unicode.IsLower(before) || unicode.IsLower(next)
}

// word returns the word at i without trailing digits, or nil for a negative i.
func (w words) word(i int) []byte {
	if i < 0 {
		return nil
	}
	end := len(w.text)
	if i+1 < len(w.starts) {
		end = w.starts[i+1]
	}
	word := w.text[w.starts[i]:end]
	for n := len(word); n > 1 && word[n-1] <= '9'; n-- {
		word = word[:n-1]
	}
	return word
}

// anyPart reports whether one of the secret parts is in the name.
func (w words) anyPart() bool {
	for i, c := range w.text {
		if int(c) >= len(secretParts) {
			continue
		}
		for _, part := range secretParts[c] {
			if rest := w.text[i:]; len(rest) >= len(part) && string(rest[:len(part)]) == part {
				return true
			}
		}
	}
	return false
}

// measures reports whether the name is that of a property of a secret, such as its number, length or type: "token_type", "max_tokens".
func (w words) measures() bool {
	last := len(w.starts) - 1
	if last < 1 {
		return false
	}
	switch string(w.word(last)) {
	case "count", "type", "limit", "length", "size", "ttl", "duration", "endpoint", "required":
		return true
	case "tokens":
		return quantities[string(w.word(last-1))]
	}
	return false
}

// quantities are the words before "tokens" in counts that language models report.
var quantities = set("max", "min", "total", "prompt", "completion", "input", "output", "cached", "reasoning", "thinking", "used", "audio", "image")

// anyWord reports whether the name contains a word that makes it secret at any place.
func (w words) anyWord() bool {
	for i := range w.starts {
		switch string(w.word(i)) {
		case "sas", "otp", "totp", "hotp", "cvv", "cvc", "cvn", "creds", "cred", "passkey", "senha", "otps", "puk", "kek", "dek":
			return true
		}
	}
	return false
}

// lastWord reports whether the last word, trailers apart, makes the name secret.
func (w words) lastWord() bool {
	last := len(w.starts) - 1
	for trailers[string(w.word(last))] {
		last--
	}
	if last < 0 {
		return false
	}
	whole := last == 0
	switch word := w.word(last); string(word) {
	case "pass", "pin", "auth", "authentication", "sig", "assertion", "dsn", "ssn", "csc":
		return true
	case "pat":
		return !whole
	case "sid":
		return len(w.starts) == 1
	case "key":
		if whole {
			return len(w.starts) == 1
		}
		return !openKeys[string(w.word(last-1))]
	case "keys":
		return !whole && !openKeys[string(w.word(last-1))]
	case "code":
		return codes[string(w.word(last-1))]
	default:
		return secretCompound(word)
	}
}

// trailers describe the form or the purpose of a value: "pass_confirmation", "signingKeyBase64".
var trailers = set(
	"value", "data", "raw", "plain", "plaintext", "text", "base64", "base", "b64", "hex", "pem", "der", "encoded", "hash",
	"new", "old", "current", "confirm", "confirmation", "again", "repeat", "number", "block",
)

// codes are the words before "code" that make it secret.
var codes = set("mfa", "2fa", "otp", "sms", "pin", "pass")

// openKeys are the words before "key" of keys that identify something and are not secret.
var openKeys = set(
	"primary", "foreign", "public", "pub", "partition", "sort", "order", "cache", "surrogate", "object", "row", "range", "group", "composite", "unique", "natural",
	"index", "lookup", "dedup", "dedupe", "deduplication", "idempotency", "idempotent", "socket", "websocket", "translation", "message", "locale", "label", "shard", "sharding",
	"column", "field", "attribute", "property", "search", "metadata", "meta", "tag", "blob", "file", "document", "record", "item", "entry", "map", "hot", "arrow",
	"start", "end", "evaluated", "next", "previous", "page", "issue", "max", "min",
)

// secretCompound reports whether a name written as one word is that of a secret: "dbpass", "signingkey", "pincode".
func secretCompound(word []byte) bool {
	if stem, ok := bytes.CutSuffix(bytes.TrimSuffix(word, []byte("s")), []byte("key")); ok {
		return !openKeys[string(stem)] && !beforeKey[string(stem)]
	}
	if stem, ok := bytes.CutSuffix(word, []byte("pass")); ok {
		return !beforePass[string(stem)]
	}
	stem, ok := bytes.CutSuffix(word, []byte("code"))
	return ok && codes[string(stem)]
}

// The letters before "key" and "pass" in English words that have another meaning.
var (
	beforeKey  = set("mon", "don", "tur", "whis", "joc", "hoc", "ho", "lac", "mic", "malar", "flun", "po", "smo", "jer", "ris", "tric", "quir", "mur", "hus", "dus", "fran")
	beforePass = set("by", "com", "encom", "tres", "sur", "over", "under")
)
