package redact

import "strings"

// elements hides the content of the elements of XML or HTML in s whose names say "secret": <password>x</password>.
func elements(s string) string {
	if !strings.Contains(s, "</") {
		return s
	}
	var b strings.Builder
	for s != "" {
		open := strings.IndexByte(s, '<')
		if open < 0 {
			break
		}
		end := open + 1
		for end < len(s) && (nameByte(s[end]) || s[end] == ':') {
			end++
		}
		b.WriteString(s[:end])
		name := s[open+1 : end]
		s = s[end:]
		if name = name[strings.LastIndexByte(name, ':')+1:]; !IsSecretName(name) {
			continue
		}
		tag := strings.IndexAny(s, "<>")
		if tag < 0 || s[tag] == '<' || strings.HasSuffix(s[:tag], "/") {
			continue
		}
		b.WriteString(s[:tag+1])
		s = s[tag+1:]
		content := strings.Index(s, "</")
		if content < 0 {
			content = len(s)
		}
		if strings.TrimSpace(s[:content]) != "" {
			b.WriteString(Placeholder)
			s = s[content:]
		}
	}
	b.WriteString(s)
	return b.String()
}

// privateKeys hides those in s that are written in the textual encoding of RFC 7468.
func privateKeys(s string) string {
	const begin, label, end = "-----BEGIN ", "PRIVATE KEY", "-----END "
	if !strings.Contains(s, begin) {
		return s
	}
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(s, begin)
		b.WriteString(before)
		if !found {
			return b.String()
		}
		b.WriteString(begin)
		s = rest
		title, _, _ := strings.Cut(s[:min(len(s), 64)], "-----")
		at := strings.Index(title, label)
		if at < 0 {
			continue
		}
		b.WriteString(title[:at] + label + "-----" + Placeholder) // what else is in the title may be the key
		if _, s, found = strings.Cut(s, end); !found {
			return b.String()
		}
		b.WriteString(end)
	}
}
