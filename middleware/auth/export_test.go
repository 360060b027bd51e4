package auth

import "strings"

// Challenges shows what is read of the lines of WWW-Authenticate.
func Challenges(lines []string) string {
	var all []string
	for _, c := range parseChallenges(lines) {
		all = append(all, c.scheme+" "+c.code)
	}
	return strings.Join(all, ";")
}
