package plytest

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
	"slices"
)

// snapshot is a request as it was.
type snapshot struct {
	req     http.Request
	ctx     context.Context
	url     string
	header  http.Header
	trailer http.Header
	coding  []string
}

func take(req *http.Request) *snapshot {
	return &snapshot{
		req:     *req,
		ctx:     req.Context(),
		url:     fmt.Sprintf("%#v", *req.URL),
		header:  req.Header.Clone(),
		trailer: req.Trailer.Clone(),
		coding:  slices.Clone(req.TransferEncoding),
	}
}

// changed names a field of the request that is not what it was.
func (s *snapshot) changed(req *http.Request) string {
	switch {
	case req.Context() != s.ctx:
		return "its context"
	case fmt.Sprintf("%#v", *req.URL) != s.url:
		return "URL"
	case !reflect.DeepEqual(req.Header, s.header):
		return "Header"
	case !reflect.DeepEqual(req.Trailer, s.trailer):
		return "Trailer"
	case !slices.Equal(req.TransferEncoding, s.coding):
		return "TransferEncoding"
	}
	was, is := reflect.ValueOf(&s.req).Elem(), reflect.ValueOf(req).Elem()
	for i := range was.NumField() {
		field := was.Type().Field(i)
		if field.IsExported() && !same(was.Field(i), is.Field(i)) {
			return field.Name
		}
	}
	return ""
}

// same compares what a field holds itself: the pointer, not what it points to.
func same(a, b reflect.Value) bool {
	switch a.Kind() {
	case reflect.Map, reflect.Slice, reflect.Func, reflect.Pointer, reflect.Chan:
		return a.Pointer() == b.Pointer()
	}
	return a.Interface() == b.Interface()
}

func (c *check) requestUnmodified() {
	c.runSituations(observer{during: func(t *trial) {
		if field := t.snapshot.changed(t.req); field != "" {
			c.errorf("%s: the layer changed %s of the request", t.what, field)
		}
	}})
}

func (c *check) requestBodyClosed() {
	c.runSituations(observer{after: func(t *trial) {
		c.eventually(func() bool {
			least, _ := t.bodies.closed()
			return least > 0 || t.req.Body == nil
		})
		least, greatest := t.bodies.closed()
		switch {
		case len(t.bodies.all) > 0 && least == 0:
			c.errorf("%s: a body was not closed", t.what)
		case greatest > 1:
			c.errorf("%s: a body was closed %d times", t.what, greatest)
		}
	}})
}
