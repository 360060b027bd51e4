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
		if name = name[strings.LastIndexByte(name, ':')+1:]; name == "" || !IsSecretName(name) {
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
		i := strings.Index(s, begin)
		if i < 0 {
			b.WriteString(s)
			return b.String()
		}
		i += len(begin)
		b.WriteString(s[:i])
		s = s[i:]
		title, _, _ := strings.Cut(s[:min(len(s), 64)], "-----")
		if !strings.Contains(title, label) || len(s) < len(title)+5 {
			continue
		}
		b.WriteString(title + "-----" + Placeholder)
		if i = strings.Index(s, end); i < 0 {
			return b.String()
		}
		s = s[i:]
	}
}
