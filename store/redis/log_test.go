package redis_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/store/redis"
)

const loggingProbe = "PLY_TEST_DRIVER_LOG"

// The driver has one log for the whole process, so each case is a process of its own. Nothing listens where they connect to.
func TestDriverLog(t *testing.T) {
	var told bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&told, nil))
	open := func(url string, l *slog.Logger) {
		s, err := redis.Open(url, redis.Options{Timeout: 100 * time.Millisecond, Logger: l})
		require.NoError(t, err)
		defer s.Close()
		defer s.Notify(func(string) {})()
		_, err = s.Get(t.Context(), "k")
		require.Error(t, err)
	}
	const dead = "redis://user:hunter2@127.0.0.1:1"
	cases := map[string]func(){
		"silent":   func() { open(dead, nil) },
		"cluster":  func() { open("redis+cluster://127.0.0.1:1", nil) },
		"sentinel": func() { open("redis+sentinel://127.0.0.1:1?master_name=m", nil) },
		"told":     func() { open(dead, logger); open(dead, nil) },
		"new": func() {
			client := goredis.NewClient(&goredis.Options{Addr: "127.0.0.1:1", DialerRetries: 1})
			defer client.Close()
			s, err := redis.New(client, redis.Options{})
			require.NoError(t, err)
			_, _ = s.Get(t.Context(), "k")
		},
		"the program's own": func() {
			goredis.SetLogger(programs{logger})
			open(dead, nil)
		},
	}
	if name := os.Getenv(loggingProbe); name != "" {
		cases[name]()
		os.Stdout.WriteString("told:" + told.String())
		return
	}
	for name := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out, errs bytes.Buffer
			cmd := exec.Command(os.Args[0], "-test.run=^TestDriverLog$")
			cmd.Env = append(os.Environ(), loggingProbe+"="+name)
			cmd.Stdout, cmd.Stderr = &out, &errs
			require.NoError(t, cmd.Run(), "%s%s", &out, &errs)
			if usual := name == "new"; (errs.Len() > 0) != usual {
				t.Errorf("on stderr: %s", &errs)
			}
			heard := strings.Contains(out.String(), "told:time=")
			if want := name == "told" || name == "the program's own"; heard != want || strings.Contains(out.String(), "hunter2") {
				t.Errorf("the logger got %s", &out)
			}
		})
	}
}

// programs is a logger that a program gives to the driver itself.
type programs struct{ to *slog.Logger }

func (p programs) Printf(ctx context.Context, format string, _ ...any) { p.to.WarnContext(ctx, format) }
