package store_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/storetest"
)

func init() { store.Register(openMyMap, "mymap") }

func openMyMap(_ context.Context, u *url.URL) (store.Closer, error) {
	if len(u.Query()) > 0 {
		return nil, errors.New("mymap: there are no options")
	}
	return closing{storetest.NewMap(0)}, nil
}

type closing struct{ store.Store }

func (closing) Close() error { return nil }

func (c closing) Unwrap() store.Store { return c.Store }

// A store of your own can be named in a configuration, too.
func ExampleRegister() {
	s, err := store.OpenURL(context.Background(), "mymap:")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(s.Close())
	// Output: <nil>
}
