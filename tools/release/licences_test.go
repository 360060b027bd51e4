package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestLicenceIsKnownByItsText(t *testing.T) {
	const bsd = "Redistribution and use in source and binary forms, with or\nwithout modification, are permitted: retain the above copyright notice, this list of conditions\n"
	for _, test := range []struct {
		text string
		want []string
	}{
		{"Apache License\n    Version 2.0, January 2004", []string{"Apache-2.0"}},
		{"licensed under the Apache License, Version 2.0", []string{"Apache-2.0"}},
		{"Mozilla Public License, version 2.0", []string{"MPL-2.0"}},
		{bsd, []string{"BSD-2-Clause"}},
		{bsd + "Neither the name of the holder", []string{"BSD-3-Clause"}},
		{bsd + "Neither the name of the holder\n" + bsd, []string{"BSD-3-Clause", "BSD-2-Clause"}},
		{"Permission is hereby granted, free of charge, to any person\nThe above copyright\nnotice and this permission notice", []string{"MIT"}},
		{"This is free and unencumbered software released into the public domain.", []string{"Unlicense"}},
		{"All rights reserved.", nil},
	} {
		if got := licencesOf(test.text); !slices.Equal(got, test.want) {
			t.Errorf("%q is %v, want %v", test.text, got, test.want)
		}
	}
}

func TestDependencyWithoutAKnownLicenceIsAnError(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "LICENSE"), []byte("Ask me."), 0o644); err != nil {
		t.Fatal(err)
	}
	d := &dependency{Path: "example.com/a", Version: "v1.0.0", Dir: dir}
	if err := d.readLicences(); err == nil || !strings.Contains(err.Error(), "example.com/a@v1.0.0: no known licence") {
		t.Errorf("error %v", err)
	}
}

// A program contains Go's standard library and ply, besides what it requires.
func TestTextsAreThoseOfAllThatAProgramContains(t *testing.T) {
	var texts bytes.Buffer
	if err := writeTexts(checkout(t), &texts); err != nil {
		if os.Getenv("CI") == "" && strings.Contains(err.Error(), "dial tcp") {
			t.Skipf("modules are missing, and the network: %v", err)
		}
		t.Fatal(err)
	}
	for _, want := range []string{
		"==== github.com/plyhttp/ply, LICENSE\n\nMIT License", "==== Go, LICENSE\n\nCopyright 2009 The Go Authors",
		"==== github.com/spf13/cobra v", "==== github.com/hashicorp/golang-lru/v2 v",
	} {
		if !strings.Contains(texts.String(), want) {
			t.Errorf("the texts lack %q", want)
		}
	}
}

// docs/licences.md is what the modules are made of now. It needs the modules in the cache, or the network.
func TestPageOfLicencesIsUpToDate(t *testing.T) {
	root := checkout(t)
	var now bytes.Buffer
	if err := writeLicences(root, &now); err != nil {
		if os.Getenv("CI") == "" && strings.Contains(err.Error(), "dial tcp") {
			t.Skipf("modules are missing, and the network: %v", err)
		}
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(root, "docs", "licences.md"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(now.String()) {
		if !strings.Contains(string(page), line) {
			t.Errorf("docs/licences.md lacks the line %q", line)
		}
	}
	if now.Len() != len(page) {
		t.Errorf("docs/licences.md has %d bytes, want %d: write it with go run ./tools/release licences > docs/licences.md", len(page), now.Len())
	}
}
