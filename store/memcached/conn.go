package memcached

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
)

// A conn speaks the text protocol, of which it needs five commands. After an error it is in an unknown state, and must be closed.
type conn struct {
	net.Conn
	r *bufio.Reader
	w *bufio.Writer

	reused  bool // it has been in the pool: the server may have closed it meanwhile
	replied bool // the server has said something in this call
}

func newConn(c net.Conn) *conn {
	return &conn{Conn: c, r: bufio.NewReaderSize(c, 16<<10), w: bufio.NewWriterSize(c, 16<<10)}
}

// item is what a server has under a name.
type item struct {
	there bool
	cas   uint64 // changes with each change of the item, and may begin again with a new server
	value []byte // nil if it is larger than it may be
}

// refusal is a reply that says no: ERROR, CLIENT_ERROR or SERVER_ERROR.
type refusal string

func (e refusal) Error() string { return "the server says " + strconv.Quote(string(e)) }

// tooLarge reports whether the server refused an item for its size.
func (e refusal) tooLarge() bool { return strings.Contains(string(e), "too large") }

var errProtocol = errors.New("the reply is not understood")

// maxSkipped bounds the values of others that are read past. Beyond it a new connection is cheaper.
const maxSkipped = 8 << 20

// gets reads items in the order of their names. The server looks for one after the other in this order, which those who call it depend on.
// Values of more than limit bytes are not read into memory.
func (c *conn) gets(names []string, limit int) ([]item, error) {
	c.w.WriteString("gets")
	for _, name := range names {
		c.w.WriteByte(' ')
		c.w.WriteString(name)
	}
	c.w.WriteString("\r\n")
	if err := c.w.Flush(); err != nil {
		return nil, err
	}
	items := make([]item, len(names))
	for next := 0; ; next++ { // the next name that an item may be of
		line, err := c.line()
		if err != nil {
			return nil, err
		}
		if string(line) == "END" {
			return items, nil
		}
		name, size, cas, ok := valueLine(line)
		if !ok {
			return nil, protocolError(line)
		}
		for next < len(names) && names[next] != string(name) {
			next++
		}
		if next == len(names) { // nothing that was asked for: the reply belongs to another call
			return nil, errProtocol
		}
		items[next] = item{there: true, cas: cas}
		if items[next].value, err = c.value(size, limit); err != nil {
			return nil, err
		}
	}
}

// valueLine reads "VALUE name flags size cas".
func valueLine(line []byte) (name []byte, size int, cas uint64, ok bool) {
	fields := bytes.Fields(line)
	if len(fields) != 5 || string(fields[0]) != "VALUE" {
		return nil, 0, 0, false
	}
	length, err := strconv.ParseUint(string(fields[3]), 10, 31)
	if err != nil {
		return nil, 0, 0, false
	}
	cas, err = strconv.ParseUint(string(fields[4]), 10, 64)
	return fields[1], int(length), cas, err == nil
}

// value reads a value and the end of its line.
func (c *conn) value(size, limit int) ([]byte, error) {
	if size > limit {
		if size > maxSkipped {
			return nil, fmt.Errorf("an item has %d bytes", size)
		}
		_, err := c.r.Discard(size + len("\r\n"))
		return nil, err
	}
	value := make([]byte, size+len("\r\n"))
	if _, err := io.ReadFull(c.r, value); err != nil {
		return nil, err
	}
	if string(value[size:]) != "\r\n" {
		return nil, errProtocol
	}
	return value[:size:size], nil
}

// A storage is a command that stores a value: add, set or cas.
type storage struct {
	verb    string
	name    string
	exptime int64
	cas     uint64   // for the verb cas
	value   [][]byte // one after the other
}

// send writes the command, whose reply comes in its turn.
func (c *conn) send(s storage) {
	size := 0
	for _, part := range s.value {
		size += len(part)
	}
	fmt.Fprintf(c.w, "%s %s 0 %d %d", s.verb, s.name, s.exptime, size)
	if s.verb == "cas" {
		fmt.Fprintf(c.w, " %d", s.cas)
	}
	c.w.WriteString("\r\n")
	for _, part := range s.value {
		c.w.Write(part)
	}
	c.w.WriteString("\r\n")
}

// store sends commands in one go, and reports whether each of them has stored its value.
func (c *conn) store(commands ...storage) (stored bool, err error) {
	for _, s := range commands {
		c.send(s)
	}
	if err := c.w.Flush(); err != nil {
		return false, err
	}
	stored = true
	for range commands {
		line, err := c.line()
		if err != nil {
			return false, err
		}
		switch string(line) {
		case "STORED":
		case "NOT_STORED", "EXISTS", "NOT_FOUND":
			stored = false
		default:
			return false, protocolError(line)
		}
	}
	return stored, nil
}

// remove deletes items, whether they are there or not.
func (c *conn) remove(names ...string) error {
	for _, name := range names {
		c.w.WriteString("delete " + name + "\r\n")
	}
	if err := c.w.Flush(); err != nil {
		return err
	}
	for range names {
		line, err := c.line()
		if err != nil {
			return err
		}
		if string(line) != "DELETED" && string(line) != "NOT_FOUND" {
			return protocolError(line)
		}
	}
	return nil
}

// version has the server say that it is there.
func (c *conn) version() error {
	c.w.WriteString("version\r\n")
	if err := c.w.Flush(); err != nil {
		return err
	}
	line, err := c.line()
	if err == nil && !bytes.HasPrefix(line, []byte("VERSION ")) {
		err = protocolError(line)
	}
	return err
}

// line reads a line of a reply, without its end. It is valid until the next one is read.
func (c *conn) line() ([]byte, error) {
	line, err := c.r.ReadSlice('\n')
	c.replied = c.replied || len(line) > 0
	if errors.Is(err, bufio.ErrBufferFull) {
		return nil, errProtocol
	}
	if err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(line[:len(line)-1], []byte("\r")), nil
}

func protocolError(line []byte) error {
	for _, prefix := range []string{"ERROR", "CLIENT_ERROR", "SERVER_ERROR"} {
		if bytes.HasPrefix(line, []byte(prefix)) {
			return refusal(line[:min(len(line), 200)])
		}
	}
	return errProtocol
}
