// The command ncruces measures github.com/ncruces/go-sqlite3.
package main

import (
	"github.com/ncruces/go-sqlite3"

	"github.com/plyhttp/ply/store/sqlite/drivers/measure"
)

func main() { measure.Main(open) }

type conn struct {
	*sqlite3.Conn
	put, get *sqlite3.Stmt
}

func open(path string) (measure.Conn, error) {
	c, err := sqlite3.Open("file:" + path)
	if err != nil {
		return nil, err
	}
	return &conn{Conn: c}, nil
}

func (c *conn) Put(key string, data []byte) (err error) {
	if c.put == nil {
		if c.put, _, err = c.Prepare(measure.PutSQL); err != nil {
			return err
		}
	}
	if err := c.put.BindText(1, key); err != nil {
		return err
	}
	if err := c.put.BindBlob(2, data); err != nil {
		return err
	}
	return c.put.Exec()
}

func (c *conn) Get(key string) (data []byte, err error) {
	if c.get == nil {
		if c.get, _, err = c.Prepare(measure.GetSQL); err != nil {
			return nil, err
		}
	}
	if err := c.get.BindText(1, key); err != nil {
		return nil, err
	}
	if c.get.Step() {
		data = c.get.ColumnBlob(0, nil)
	}
	return data, c.get.Reset()
}

func (c *conn) Close() error {
	for _, s := range []*sqlite3.Stmt{c.put, c.get} {
		if s != nil {
			_ = s.Close()
		}
	}
	return c.Conn.Close()
}
