package mongodb

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver"
)

// cleared is the kind of error that the driver's pool gives to a call that waits for a connection while the pool is emptied.
type cleared struct{ error }

func (cleared) Retryable() bool { return true }

var _ driver.RetryablePoolError = cleared{}

func TestOnlyAnUnsentChangeIsMadeAgain(t *testing.T) {
	unsent := mongo.CommandError{Wrapped: driver.Error{Wrapped: cleared{errors.New("the pool was cleared")}}}
	sent := mongo.CommandError{Wrapped: driver.Error{Wrapped: errors.New("the connection ended")}}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		name   string
		ctx    context.Context
		errs   []error // of one time after the other
		made   int
		wanted error
	}{
		{"at once", t.Context(), []error{nil}, 1, nil},
		{"not sent", t.Context(), []error{unsent, fmt.Errorf("wrapped: %w", unsent), nil}, 3, nil},
		{"sent", t.Context(), []error{sent, nil}, 1, sent},
		{"sent in the end", t.Context(), []error{unsent, sent, nil}, 2, sent},
		{"never sent", t.Context(), []error{unsent, unsent, unsent, unsent, nil}, 4, unsent},
		{"the context has ended", ended, []error{unsent, nil}, 1, unsent},
	} {
		made := 0
		_, err := change(c.ctx, func() (int, error) {
			made++
			return made, c.errs[made-1]
		})
		if made != c.made || fmt.Sprint(err) != fmt.Sprint(c.wanted) {
			t.Errorf("%s: made %d times, %v", c.name, made, err)
		}
	}
}
