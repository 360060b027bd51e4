package ply

import "testing"

// The compiler names a closure after the functions that its maker was inlined into.
func TestMakerName(t *testing.T) {
	tests := []struct{ symbol, file, want string }{
		{"auth.New", "/src/auth/auth.go", "auth.New"},
		{"auth.(*Store).Layer", "/src/auth/auth.go", "auth.(*Store).Layer"},
		{"main.main.New", "/src/auth/auth.go", "auth.New"},
		{"main.main.mk.New", "/src/auth/auth.go", "auth.New"},
		{"main.main.main.func1.New", "/src/auth/auth.go", "auth.New"},
		{"main.main.(*Store).Layer", "/src/auth/auth.go", "auth.(*Store).Layer"},
		{"main.main.Of[...]", "/src/auth/auth.go", "auth.Of[...]"},
		{"main.main.New", "/go/pkg/mod/github.com/acme/auth@v1.2.3/auth.go", "auth.New"},
		{"main.main.New", "/go/pkg/mod/github.com/acme/auth/v2@v2.0.1/auth.go", "auth.New"},
		{"main.main.New", "github.com/acme/auth/v2/auth.go", "auth.New"},
		{"server.Start.limit", "/src/server/limit.go", "server.limit"},
		{"server.TestStart.limit", "/src/server/limit_test.go", "server.limit"},
		{"main.main.limit", "main.go", "main.limit"},
		{"auth.init", "/src/auth/auth.go", "auth.init"},
	}
	for _, tt := range tests {
		if got := makerName(tt.symbol, tt.file); got != tt.want {
			t.Errorf("%s in %s: %s, want %s", tt.symbol, tt.file, got, tt.want)
		}
	}
}
