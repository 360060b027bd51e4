package tape_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/plytest/tape"
)

// identified are ways in which a user is known. The secrets of a replay have another prefix than those of the recording.
var identified = []func(prefix string, user int, random uint64) (query string, h http.Header){
	func(prefix string, user int, _ uint64) (string, http.Header) {
		return "", http.Header{"Authorization": {fmt.Sprintf("Bearer %s%d", prefix, user)}}
	},
	func(prefix string, user int, _ uint64) (string, http.Header) {
		return "", http.Header{"Authorization": {"Basic " + prefix}, "X-Api-Key": {fmt.Sprint(prefix, user)}}
	},
	func(prefix string, user int, _ uint64) (string, http.Header) {
		return fmt.Sprintf("?page=1&access_token=%s%d", prefix, user), nil
	},
	func(prefix string, user int, random uint64) (string, http.Header) {
		return "", http.Header{"Authorization": {fmt.Sprintf("Bearer %s%d", prefix, user)}, "X-Request-Key": {fmt.Sprint(prefix, random)}}
	},
	func(prefix string, user int, _ uint64) (string, http.Header) {
		return "", http.Header{"Cookie": {fmt.Sprintf("theme=%s; b=%s%d", prefix, prefix, user)}}
	},
}

// Whatever the users of a recording asked for, and in whatever order those of a replay come, of whom there may be more: none of them gets the answers of two, and no two get those of one.
func TestNoUserOfAReplayIsTwoUsersOfTheTape(t *testing.T) {
	answered := 0
	for seed := range uint64(500) {
		random := rand.New(rand.NewPCG(seed, seed))
		users, send := 2+random.IntN(2), identified[random.IntN(len(identified))]
		request := func(prefix string, user int) tape.Request {
			query, h := send(prefix, user, random.Uint64())
			return tape.Request{URL: fmt.Sprintf("http://h.example/%d%s", random.IntN(2), query), Header: h}
		}
		tp := &tape.Tape{}
		for range 12 {
			user := random.IntN(users)
			tp.Exchanges = append(tp.Exchanges, &tape.Exchange{
				Request: request("then", user), Response: &tape.Response{Status: 200, Length: -1, Chunks: []tape.Chunk{{Data: []byte(fmt.Sprint(user))}}},
			})
		}
		p, err := tp.Redact(nil).Player(tape.PlayerOptions{Reuse: random.IntN(2) == 0})
		require.NoError(t, err)
		is, by := map[int]string{}, map[string]int{}
		for range 30 {
			user := random.IntN(users + 1)
			sent := request("now", user)
			var fields []string
			for name, lines := range sent.Header {
				fields = append(fields, name, lines[0])
			}
			have, err := sendWith(t, p, "GET", sent.URL, "", fields...)
			if err != nil {
				require.True(t, strings.HasPrefix(err.Error(), "tape: "), err)
				continue
			}
			answered++
			if _, known := is[user]; !known {
				is[user] = have
				_, taken := by[have]
				require.False(t, taken, "seed %d: two users have the answers of one", seed)
				by[have] = user
			}
			require.Equal(t, is[user], have, "seed %d: user %d has the answers of two", seed, user)
		}
	}
	require.Greater(t, answered, 3000)
}
