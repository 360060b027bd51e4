// Package users asks an API for the users of a team, page by page. Its test replays a tape: it needs no API, and no network.
//
//	go test ./examples/tape                      # replays testdata/team.tape
//	PLY_TAPE=record go test ./examples/tape      # records it anew
package users

import (
	"context"
	"strconv"

	"github.com/plyhttp/ply"
)

// A User is a member of a team.
type User struct {
	ID   int    `json:"id"`
	Name string `json:"name"`
}

// Team returns the users of a team.
func Team(ctx context.Context, client *ply.Client, name string) (all []User, err error) {
	for page := 1; ; page++ {
		resp, err := client.Get(ctx, "/teams/{name}/users", ply.PathValue("name", name), ply.Query("page", strconv.Itoa(page)))
		some, err := ply.JSON[[]User](resp, err)
		if err != nil || len(some) == 0 {
			return all, err
		}
		all = append(all, some...)
	}
}
