package main

import "strings"

// licences are the marks of the licences that dependencies have, the more particular ones first: a text has a licence if it has all of its marks.
// Texts are compared in small letters, with one space between words.
var licences = []struct {
	id    string // SPDX
	marks []string
}{
	{"Apache-2.0", []string{"apache license version 2.0"}},
	{"MPL-2.0", []string{"mozilla public license", "version 2.0"}},
	{"BSD-3-Clause", []string{"redistribution and use in source and binary forms", "neither the name"}},
	{"BSD-3-Clause", []string{"redistribution and use in source and binary forms", "names of its contributors may not be used"}},
	{"BSD-2-Clause", []string{"redistribution and use in source and binary forms", "this list of conditions"}},
	{"MIT", []string{"permission is hereby granted, free of charge", "the above copyright notice and this permission notice"}},
	{"ISC", []string{"permission to use, copy, modify, and/or distribute this software"}},
	{"Unlicense", []string{"this is free and unencumbered software released into the public domain"}},
	{"public domain", []string{"dedicated to the public domain"}},
}

// licencesOf returns the licences that a text has, each once: some files have several, for parts.
func licencesOf(text string) (ids []string) {
	text = strings.ToLower(strings.Join(strings.Fields(text), " "))
	text = strings.ReplaceAll(text, "license, version", "license version")
	bsd := strings.Count(text, "redistribution and use in source and binary forms")
	for _, licence := range licences {
		found := true
		for _, mark := range licence.marks {
			found = found && strings.Contains(text, mark)
		}
		if licence.id == "BSD-2-Clause" { // its text is a part of that of BSD-3-Clause
			found = found && bsd > strings.Count(text, "neither the name")+strings.Count(text, "names of its contributors may not be used")
		}
		if found && (len(ids) == 0 || ids[len(ids)-1] != licence.id) {
			ids = append(ids, licence.id)
		}
	}
	return ids
}
