// Package storeurl reads the URLs of stores: their options and paths, alike in all of them.
package storeurl

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"net/url"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Options are the options in the query of a store's URL. Each method takes one out, if it is there, and puts it into a field;
// [Options.Err] returns what was wrong with the first, or that some are left. Values are not quoted: they may be secret.
type Options struct {
	store  string
	query  url.Values
	known  []string // the names that have been asked for
	driver bool     // a driver knows others
	secret bool     // the names may be a part of a password: one with a ? that is not escaped, whose @ stands behind it
	err    error
}

// Take returns the options of u's query, and removes the query from u. store is the name of the package in errors.
func Take(store string, u *url.URL) *Options {
	query, err := url.ParseQuery(u.RawQuery)
	o := &Options{store: store, query: query, secret: strings.Contains(u.RawQuery+u.Fragment, "@")}
	if err != nil {
		o.err = fmt.Errorf("%s: the query of the URL cannot be parsed", store)
	}
	u.RawQuery, u.ForceQuery = "", false
	return o
}

// take removes the option and calls set with its value, if it has one.
func (o *Options) take(name, want string, set func(value string) bool) {
	o.known = append(o.known, name)
	values, ok := o.query[name]
	delete(o.query, name)
	switch {
	case !ok || o.err != nil:
	case len(values) > 1:
		o.err = fmt.Errorf("%s: the URL has %s twice", o.store, name)
	case !set(values[0]):
		o.err = fmt.Errorf("%s: %s in the URL must be %s", o.store, name, want)
	}
}

// String takes the option name as it is. It must not be empty.
func (o *Options) String(name string, field *string) {
	o.take(name, "a text that is not empty", func(value string) bool {
		*field = value
		return value != ""
	})
}

// Bool takes true or false.
func (o *Options) Bool(name string, field *bool) {
	o.take(name, "true or false", func(value string) bool {
		*field = value == "true"
		return value == "true" || value == "false"
	})
}

// Duration takes a duration as [time.ParseDuration] reads it.
func (o *Options) Duration(name string, field *time.Duration) {
	o.take(name, "a duration such as 30s", func(value string) bool {
		d, err := time.ParseDuration(value)
		*field = d
		return err == nil && d > 0
	})
}

// Int takes a number from 1 on.
func (o *Options) Int(name string, field *int) {
	o.take(name, "a number from 1 on", func(value string) bool {
		n, err := strconv.Atoi(value)
		*field = n
		return err == nil && n > 0
	})
}

// Bytes takes a size: a number of bytes, or one with a unit such as KiB, MiB, GiB, KB, MB or GB.
func (o *Options) Bytes(name string, field *int64) {
	o.take(name, "a size such as 512MiB", func(value string) bool {
		n, ok := bytes(value)
		*field = n
		return ok
	})
}

// Rest returns what has not been taken, for a driver that reads its own options. Nothing is left then.
func (o *Options) Rest() string {
	rest := o.query.Encode()
	o.query, o.driver = nil, true
	return rest
}

// Err returns the first error, which is also that options are left that the store does not know.
func (o *Options) Err() error {
	if o.err != nil {
		return o.err
	}
	if len(o.query) == 0 {
		return nil
	}
	return o.Unknown(slices.Sorted(maps.Keys(o.query))...)
}

// Unknown returns the error for options of these names, which neither the store nor its driver knows.
func (o *Options) Unknown(names ...string) error {
	known := strings.Join(slices.Sorted(slices.Values(o.known)), ", ")
	if o.driver {
		known += " and what the driver knows"
	}
	if o.secret {
		return fmt.Errorf("%s: the URL has options that are not known, or a password with a ? that must be written %%3F; known are %s", o.store, known)
	}
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = strconv.Quote(name)
	}
	return fmt.Errorf("%s: the URL has options that are not known: %s; known are %s", o.store, strings.Join(quoted, ", "), known)
}

var units = []struct {
	suffix string
	bytes  float64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
	{"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12},
	{"B", 1},
}

// bytes returns the size that s says, at least 1.
func bytes(s string) (int64, bool) {
	unit := 1.0
	for _, u := range units {
		if number, ok := strings.CutSuffix(s, u.suffix); ok {
			s, unit = number, u.bytes
			break
		}
	}
	n, err := strconv.ParseFloat(s, 64)
	n *= unit
	if err != nil || !(n >= 1 && n < math.MaxInt64) {
		return 0, false
	}
	return int64(n), true
}

// Path returns the path on this machine that u names: file:///var/cache/app has the path /var/cache/app, and file:app the path app.
// On Windows, file:///C:/cache has the path C:\cache.
func Path(store string, u *url.URL) (string, error) {
	switch {
	case u.User != nil || u.Host != "" && u.Host != "localhost":
		return "", fmt.Errorf("%s: a %s URL names no machine: write %[2]s:///absolute/path or %[2]s:relative/path", store, u.Scheme)
	case u.Fragment != "":
		return "", fmt.Errorf("%s: the URL has a fragment: write # as %%23", store)
	}
	path := u.Path
	if u.Opaque != "" {
		var err error
		if path, err = url.PathUnescape(u.Opaque); err != nil {
			return "", fmt.Errorf("%s: the path of the URL has a bad escape: write %% as %%25", store)
		}
	}
	switch {
	case path == "":
		return "", errors.New(store + ": the URL has no path")
	case strings.ContainsRune(path, 0):
		return "", errors.New(store + ": the path of the URL has a zero byte")
	}
	if runtime.GOOS == "windows" && len(path) > 2 && path[0] == '/' && path[2] == ':' {
		path = path[1:]
	}
	return filepath.FromSlash(path), nil
}
