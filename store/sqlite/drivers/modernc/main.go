// The command modernc measures modernc.org/sqlite.
package main

import (
	"context"
	"database/sql/driver"
	"io"

	sqlite "modernc.org/sqlite"

	"github.com/plyhttp/ply/store/sqlite/drivers/measure"
)

func main() { measure.Main(open) }

type conn struct {
	driver.Conn
	put, get driver.Stmt
}

func open(path string) (measure.Conn, error) {
	connector, err := sqlite.NewConnector("file:" + path)
	if err != nil {
		return nil, err
	}
	c, err := connector.Connect(context.Background())
	if err != nil {
		return nil, err
	}
	return &conn{Conn: c}, nil
}

func (c *conn) Exec(sql string) error {
	_, err := c.Conn.(driver.ExecerContext).ExecContext(context.Background(), sql, nil)
	return err
}

func (c *conn) Put(key string, data []byte) (err error) {
	if c.put == nil {
		if c.put, err = c.Prepare(measure.PutSQL); err != nil {
			return err
		}
	}
	_, err = c.put.(driver.StmtExecContext).ExecContext(context.Background(), []driver.NamedValue{{Ordinal: 1, Value: key}, {Ordinal: 2, Value: data}})
	return err
}

func (c *conn) Get(key string) (_ []byte, err error) {
	if c.get == nil {
		if c.get, err = c.Prepare(measure.GetSQL); err != nil {
			return nil, err
		}
	}
	rows, err := c.get.(driver.StmtQueryContext).QueryContext(context.Background(), []driver.NamedValue{{Ordinal: 1, Value: key}})
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var row [1]driver.Value
	if err := rows.Next(row[:]); err != nil {
		if err == io.EOF {
			err = nil
		}
		return nil, err
	}
	return row[0].([]byte), nil
}

func (c *conn) Close() error {
	for _, s := range []driver.Stmt{c.put, c.get} {
		if s != nil {
			_ = s.Close()
		}
	}
	return c.Conn.Close()
}
