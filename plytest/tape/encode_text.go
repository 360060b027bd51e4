package tape

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"
)

// A duration is written as text, such as "1.5s".
type duration time.Duration

func (d duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

func (d *duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	*d = duration(parsed)
	return err
}

// word is a text in one piece, or an object with base64 if it is no UTF-8, as header fields may have it (RFC 9110 §5.5).
type word string

func (w word) MarshalJSON() ([]byte, error) {
	if !utf8.ValidString(string(w)) {
		return encodeBinary([]byte(w))
	}
	return plainJSON(string(w))
}

func (w *word) UnmarshalJSON(text []byte) error {
	if text[0] == '{' {
		plain, err := decodeBinary(text)
		*w = word(plain)
		return err
	}
	return json.Unmarshal(text, (*string)(w))
}

// fields are a header: a field with one line is written as that line, and one with several as a list.
type fields http.Header

func (f fields) MarshalJSON() ([]byte, error) {
	shown := make(map[string]any, len(f))
	for name, lines := range f {
		if len(lines) == 1 {
			shown[name] = word(lines[0])
			continue
		}
		list := make([]word, len(lines))
		for i, line := range lines {
			list[i] = word(line)
		}
		shown[name] = list
	}
	return plainJSON(shown)
}

func (f *fields) UnmarshalJSON(text []byte) error {
	var shown map[string]json.RawMessage
	if err := json.Unmarshal(text, &shown); err != nil {
		return err
	}
	*f = make(fields, len(shown))
	for name, value := range shown {
		var list []word
		if value[0] != '[' {
			value = append(append([]byte("["), value...), ']')
		}
		if err := json.Unmarshal(value, &list); err != nil {
			return err
		}
		lines := make([]string, len(list))
		for i, line := range list {
			lines[i] = string(line)
		}
		(*f)[name] = lines
	}
	return nil
}

// content is written as text: as one string, or as a list of its lines. What is no text is an object with base64.
type content []byte

type binary struct {
	Base64 []string `json:"base64"`
}

// lineBytes is how many bytes a line of base64 stands for.
const lineBytes = 57

func (c content) MarshalJSON() ([]byte, error) {
	if !utf8.Valid(c) {
		return encodeBinary(c)
	}
	if lines := strings.SplitAfter(string(c), "\n"); len(lines) > 1 {
		if lines[len(lines)-1] == "" {
			lines = lines[:len(lines)-1]
		}
		return plainJSON(lines)
	}
	return plainJSON(string(c))
}

func encodeBinary(plain []byte) ([]byte, error) {
	var b binary
	for rest := plain; len(rest) > 0; rest = rest[min(lineBytes, len(rest)):] {
		b.Base64 = append(b.Base64, base64.StdEncoding.EncodeToString(rest[:min(lineBytes, len(rest))]))
	}
	return json.Marshal(b)
}

func decodeBinary(text []byte) (plain []byte, err error) {
	var b binary
	if err := strictly(text, &b); err != nil {
		return nil, err
	}
	for _, line := range b.Base64 {
		part, err := base64.StdEncoding.DecodeString(line)
		if err != nil {
			return nil, err
		}
		plain = append(plain, part...)
	}
	return plain, nil
}

// strictly decodes JSON, and refuses members that the format does not have: their names may be damaged.
func strictly(text []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	return d.Decode(v)
}

// plainJSON leaves <, > and & as they are.
func plainJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	out := json.NewEncoder(&b)
	out.SetEscapeHTML(false)
	err := out.Encode(v)
	return b.Bytes(), err
}

func (c *content) UnmarshalJSON(text []byte) error {
	switch text[0] {
	case '"':
		var s string
		err := json.Unmarshal(text, &s)
		*c = content(s)
		return err
	case '[':
		var lines []string
		err := json.Unmarshal(text, &lines)
		*c = content(strings.Join(lines, ""))
		return err
	}
	plain, err := decodeBinary(text)
	*c = plain
	return err
}
