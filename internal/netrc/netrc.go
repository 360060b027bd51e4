// Package netrc reads netrc files, which hold the user's credentials for hosts: ~/.netrc.
//
// The format is that of ftp(1): words separated by blanks and line ends, "machine NAME" or "default" followed by
// "login", "password" and "account", each with its value. A value with blanks is written in double quotes, a backslash escapes the
// next character, and a # in the place of a keyword makes the rest of its line a comment. Macros (macdef) are skipped,
// and so are unknown words, such as the "port" of other tools.
package netrc

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// maxBytes limits how much of a file is read.
const maxBytes = 1 << 20

// File has the logins of a netrc file. It does not change and is safe for concurrent use. The zero File, and a nil one, have none.
type File struct {
	machines map[string]*login // by host in lower case
	fallback *login            // the entry called default
}

type login struct{ name, password, account string }

// Read reads the file at path. An empty path means the file that the environment variable NETRC names,
// or else .netrc (on Windows also _netrc) in the home directory. A file that does not exist has no entries, which is no error.
// It is no error either if the file in the home directory cannot be opened: a service may have a home that it cannot enter.
//
// Read does not check the permissions of the file, as curl and aiohttp do not: secrets mounted into containers are often
// readable by all users, and refusing them would protect nothing.
//
// Errors name the file and the line, and quote nothing of its content.
func Read(path string) (*File, error) {
	named := true
	if path == "" {
		path, named = defaultPath()
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) || err != nil && !named {
		return &File{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("netrc: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("netrc: %w", err)
	}
	file, err := Parse(string(text))
	if err != nil {
		return nil, fmt.Errorf("netrc: %s: %w", path, err)
	}
	return file, nil
}

// defaultPath returns the file to read without a path, and whether NETRC names it. It is "" if there is no home directory.
func defaultPath() (path string, named bool) {
	if path := os.Getenv("NETRC"); path != "" {
		return path, true
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", false
	}
	path = filepath.Join(home, ".netrc")
	if runtime.GOOS == "windows" {
		if _, err := os.Stat(path); err != nil {
			path = filepath.Join(home, "_netrc")
		}
	}
	return path, false
}

// Lookup returns the login for a host, which is a name or an address without port, in any case, as [net/url.URL.Hostname] returns it.
// A host without an entry gets the default entry. Of several entries for a host the first counts, as for ftp and curl.
// In an entry without a login, the account is the login. An entry with neither of them and no password excludes its host from the default.
func (f *File) Lookup(host string) (name, password string, ok bool) {
	if f == nil {
		return "", "", false
	}
	l := f.machines[strings.ToLower(host)]
	if l == nil {
		l = f.fallback
	}
	if l == nil {
		return "", "", false
	}
	name = l.name
	if name == "" {
		name = l.account
	}
	return name, l.password, name != "" || l.password != ""
}

// Parse reads the text of a netrc file, up to 1 MiB of it. Errors name the line.
func Parse(text string) (*File, error) {
	if len(text) > maxBytes {
		return nil, fmt.Errorf("larger than %d bytes", maxBytes)
	}
	file := &File{machines: make(map[string]*login)}
	s := &scanner{rest: strings.TrimPrefix(text, "\ufeff"), line: 1}
	entry := &login{} // for words before the first entry, which are ignored
	for s.next() {
		switch s.word {
		case "machine":
			entry = &login{}
			file.add(s.value(), entry)
		case "default":
			entry = &login{}
			if file.fallback == nil {
				file.fallback = entry
			}
		case "login", "user":
			entry.name = s.value()
		case "password":
			entry.password = s.value()
		case "account":
			entry.account = s.value()
		case "macdef":
			s.skipMacro()
		}
	}
	if s.err != nil {
		return nil, s.err
	}
	return file, nil
}

func (f *File) add(host string, l *login) {
	host = strings.ToLower(host)
	if _, ok := f.machines[host]; !ok {
		f.machines[host] = l
	}
}

// scanner splits a text into words.
type scanner struct {
	rest string
	line int
	word string
	err  error
}

// next finds a word in the place of a keyword, after blanks and comments.
func (s *scanner) next() bool {
	for s.scan() {
		if !strings.HasPrefix(s.word, "#") {
			return true
		}
		// The comment may have been the last word of its line, or the first of several.
		s.skipLine()
	}
	return false
}

// value returns the word after a keyword. If there is none, the scan ends.
func (s *scanner) value() string {
	keyword, line := s.word, s.line
	if !s.scan() && s.err == nil {
		s.err = fmt.Errorf("line %d: %s without a value", line, keyword)
	}
	return s.word
}

// scan finds the next word, and stops before the blank or line end after it.
func (s *scanner) scan() bool {
	s.word = ""
	s.skipBlanks()
	if s.rest == "" || s.err != nil {
		return false
	}
	if s.rest[0] == '"' {
		return s.scanQuoted()
	}
	end := 0
	for end < len(s.rest) && !isBlank(s.rest[end]) {
		if s.rest[end] == '\\' {
			end++
		}
		end++
	}
	s.take(0, min(end, len(s.rest)), 0)
	return true
}

func (s *scanner) scanQuoted() bool {
	for end := 1; end < len(s.rest); end++ {
		switch s.rest[end] {
		case '\\':
			end++
		case '"':
			s.take(1, end, 1)
			return true
		}
	}
	s.err = fmt.Errorf("line %d: a quote is not closed", s.line)
	return false
}

// take makes rest[start:end] the word and skips n bytes after it.
func (s *scanner) take(start, end, more int) {
	s.word = unescape(s.rest[start:end])
	s.advance(end + more)
}

func (s *scanner) advance(n int) {
	s.line += strings.Count(s.rest[:n], "\n")
	s.rest = s.rest[n:]
}

func (s *scanner) skipBlanks() {
	s.advance(len(s.rest) - len(strings.TrimLeft(s.rest, blanks)))
}

// skipLine goes to the start of the next line and returns the rest of the current one.
func (s *scanner) skipLine() string {
	line, _, found := strings.Cut(s.rest, "\n")
	n := len(line)
	if found {
		n++
	}
	s.advance(n)
	return line
}

// skipMacro skips a macro: its name, and all lines up to an empty one.
func (s *scanner) skipMacro() {
	s.value()
	s.skipLine()
	for s.rest != "" && strings.TrimSuffix(s.skipLine(), "\r") != "" {
	}
}

const blanks = " \t\r\n\v\f"

func isBlank(c byte) bool { return strings.IndexByte(blanks, c) >= 0 }

// unescape removes the backslash before each escaped character.
func unescape(word string) string {
	if !strings.Contains(word, `\`) {
		return word
	}
	var b strings.Builder
	for i := 0; i < len(word); i++ {
		if word[i] == '\\' && i+1 < len(word) {
			i++
		}
		b.WriteByte(word[i])
	}
	return b.String()
}
