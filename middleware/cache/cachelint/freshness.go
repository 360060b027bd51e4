package cachelint

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"
)

// freshnessRules are about lifetimes (RFC 9111 §4.2).
var freshnessRules = []singleRule{
	{Rule{"no-freshness", Warning, "RFC 9111 §3, §4.2.1", "Say what you want: Cache-Control: max-age=N to have it reused, no-cache to have it validated, no-store to have it kept out."}, noFreshness},
	{Rule{"heuristic-freshness", Warning, "RFC 9111 §4.2.2", "Send Cache-Control: max-age=N, or no-cache: without it each cache guesses, and long for what is old."}, heuristicFreshness},
	{Rule{"expires-invalid", Warning, "RFC 9111 §5.3", "Send a date, or better Cache-Control: max-age=N alone. For \"not without asking\" send no-cache."}, expiresInvalid},
	{Rule{"expires-without-date", Warning, "RFC 9111 §4.2.1, RFC 9110 §6.6.1", "Send Date: the lifetime is Expires less Date, and without it clocks decide."}, expiresWithoutDate},
	{Rule{"expires-contradicts-max-age", Note, "RFC 9111 §5.3", "Drop Expires, or make both say the same: max-age counts, and old programs read Expires."}, expiresContradicts},
	{Rule{"stale-on-arrival", Warning, "RFC 9111 §4.2.3", "Have the cache before the origin keep the response no longer than its max-age, or give it a longer one."}, staleOnArrival},
	{Rule{"permanent-redirect-forever", Warning, "RFC 9110 §15.4.2, §15.4.9", "Give the redirect a lifetime, such as Cache-Control: max-age=3600: browsers keep one without for as long as they like, and it cannot be taken back."}, permanentRedirect},
	{Rule{"error-cached", Warning, "RFC 9111 §3, §4.2.1", "Send no-store, or a lifetime of seconds, with errors: a cache repeats this one after the cause has gone."}, errorCached},
	{Rule{"immutable-without-fingerprint", Warning, "RFC 8246 §2", "Use immutable for URLs that have a hash or a version of the content in them: what changes under the same URL will not be fetched."}, immutableWithoutFingerprint},
}

func noFreshness(v *view) (text, evidence string) {
	if v.complete() && !v.d.Present && !v.has("Expires") && !v.has("Pragma") && !v.has("Last-Modified") {
		return "Nothing says for how long the response may be reused, so most caches ask each time, and each as it likes.", "(no Cache-Control, no Expires)"
	}
	return "", ""
}

func heuristicFreshness(v *view) (text, evidence string) {
	if v.complete() && v.lifetime.Heuristic && !v.lifetime.Restricted && !v.shared.Explicit && v.lifetime.Value > 0 {
		return fmt.Sprintf("The server gives no lifetime, so caches guess: a tenth of the age of the content makes %v here.", v.lifetime.Value.Round(time.Second)), v.lines("Cache-Control", "Date", "Last-Modified")
	}
	return "", ""
}

func expiresInvalid(v *view) (text, evidence string) {
	_, ok := v.date("Expires")
	switch value := v.header.Get("Expires"); {
	case !v.has("Expires") || ok || v.d.MaxAge.Set || v.d.NoStore || v.d.NoCache:
		return "", ""
	case len(v.header["Expires"]) > 1:
		return "There are several lines of Expires, so caches take the response for stale.", v.lines("Expires")
	case value == "0" || value == "-1":
		return "Expires is no date, which caches must take for the past: it asks for a validation each time, and there is a directive that says so.", v.lines("Expires")
	}
	return "Expires is no date, so caches take the response for stale.", v.lines("Expires")
}

func expiresWithoutDate(v *view) (text, evidence string) {
	if v.lifetime.From == "Expires" && v.lifetime.Value > 0 && !v.has("Date") {
		return "Expires gives the lifetime, and there is no Date to count it from.", v.lines("Expires")
	}
	return "", ""
}

func expiresContradicts(v *view) (text, evidence string) {
	expires, ok := v.date("Expires")
	if !ok || !v.d.MaxAge.Set || !v.has("Date") || v.d.NoStore {
		return "", ""
	}
	by := max(expires.Sub(v.generated()), 0) - v.d.MaxAge.Value
	if by.Abs() <= time.Minute || (by+v.age).Abs() <= time.Minute { // some caches write the time of each answer into Date
		return "", ""
	}
	return fmt.Sprintf("Expires and max-age differ by %v.", by.Abs()), v.lines("Cache-Control", "Date", "Expires")
}

func staleOnArrival(v *view) (text, evidence string) {
	lifetime := max(v.lifetime.Value, v.shared.Value)
	if v.complete() && v.lifetime.Explicit && v.age > 0 && v.age >= lifetime && lifetime > 0 {
		return fmt.Sprintf("The response is %v old when it arrives, beyond its lifetime of %v, so no cache after this one can reuse it.", v.age, lifetime), v.lines("Age", "Cache-Control", "Expires")
	}
	return "", ""
}

func permanentRedirect(v *view) (text, evidence string) {
	if (v.status == http.StatusMovedPermanently || v.status == http.StatusPermanentRedirect) && !v.lifetime.Explicit && !v.d.NoStore && !v.d.NoCache && !v.secures() {
		return fmt.Sprintf("A %d without a lifetime is kept for ever by browsers.", v.status), strings.TrimSpace(fmt.Sprintf("status %d\n%s", v.status, v.lines("Location", "Cache-Control")))
	}
	return "", ""
}

// secures reports whether a redirect leads to the same URL by https, which is meant for ever.
func (v *view) secures() bool {
	rest, plain := strings.CutPrefix(v.url, "http://")
	return plain && v.header.Get("Location") == "https://"+rest
}

func errorCached(v *view) (text, evidence string) {
	limit := time.Minute // what protects an origin in trouble
	if v.status == http.StatusNotFound || v.status == http.StatusGone {
		limit = time.Hour
	}
	lifetime := max(v.lifetime.Value, v.shared.Value)
	if v.status < 400 || !v.reused() || !v.lifetime.Explicit && !v.shared.Explicit || lifetime <= limit {
		return "", ""
	}
	return fmt.Sprintf("A %d is cached for %v.", v.status, lifetime), fmt.Sprintf("status %d\n%s", v.status, v.lines("Cache-Control", "Expires"))
}

// fingerprint finds a part of a URL that may be a hash or a version of the content.
var fingerprint = regexp.MustCompile(`(?i)(?:^|[^a-z0-9])(?:[a-z0-9_]*[0-9][a-z0-9_]{5,}|[a-f0-9]{8,}|v?\d+(?:\.\d+)+|v\d+)(?:[^a-z0-9]|$)|[-.][a-z0-9_]{8}\.[a-z0-9]+$`)

// token finds the hashes of bundlers, which have capitals and dashes, and identifiers of builds.
var token = regexp.MustCompile(`[-.]([A-Za-z0-9_-]{8}|[A-Za-z0-9_]{8,})\.[a-z0-9]+$|(?:^|/)([A-Za-z0-9_-]{16,})/`)

// fingerprinted reports whether a path may have a hash or a version of the content in it.
func fingerprinted(path string) bool {
	if fingerprint.MatchString(path) {
		return true
	}
	found := token.FindStringSubmatch(path)
	return found != nil && (strings.ContainsAny(found[1], "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") || capitals(found[2]) >= 4)
}

func capitals(s string) (n int) {
	for i := range len(s) {
		if 'A' <= s[i] && s[i] <= 'Z' {
			n++
		}
	}
	return n
}

func immutableWithoutFingerprint(v *view) (text, evidence string) {
	if v.d.Immutable && v.status == http.StatusOK && !v.d.NoStore && !v.d.NoCache && !fingerprinted(v.path) && v.query == "" {
		return "The response is immutable, and nothing in its URL looks like a hash or a version of the content.", v.lines("Cache-Control")
	}
	return "", ""
}
