// Command server is FerretDB, which speaks MongoDB's protocol, with its tables in SQLite, for the tests of store/mongodb.
//
// FerretDB 1 lets several racing updates of one document succeed (FerretDB#3040). So clients connect to a proxy here that passes on one command at a time:
// what the tests see is what the store asks for, not how a server keeps commands apart.
package main

import (
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"io"
	"log"
	"log/slog"
	"net"
	"net/url"
	"sync"

	"github.com/FerretDB/FerretDB/ferretdb"
)

func main() {
	listen := flag.String("listen", "", "the address for clients, host:port")
	dir := flag.String("dir", "", "the directory of the databases, which must exist")
	flag.Parse()
	if err := run(*listen, *dir); err != nil {
		log.Fatal(err)
	}
}

func run(listen, dir string) error {
	f, err := ferretdb.New(&ferretdb.Config{
		Listener:  ferretdb.ListenerConfig{TCP: "127.0.0.1:0"},
		Logger:    slog.New(slog.DiscardHandler),
		Handler:   "sqlite",
		SQLiteURL: "file:" + dir + "/?_pragma=synchronous(off)",
	})
	if err != nil {
		return err
	}
	go func() { log.Fatal(f.Run(context.Background())) }() // ends with the process
	u, err := url.Parse(f.MongoDBURI())
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	var one sync.Mutex // held while a command is under way
	for {
		client, err := ln.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer client.Close()
			server, err := net.Dial("tcp", u.Host)
			if err != nil {
				return
			}
			defer server.Close()
			for err == nil {
				err = pass(client, server, &one)
			}
		}()
	}
}

const maxMessage = 48_000_000 // as MongoDB has it

// pass passes on one command and its reply.
func pass(client, server net.Conn, one *sync.Mutex) error {
	command, err := message(client)
	if err != nil {
		return err
	}
	reply, err := func() ([]byte, error) {
		one.Lock()
		defer one.Unlock()
		if _, err := server.Write(command); err != nil {
			return nil, err
		}
		return message(server)
	}()
	if err != nil {
		return err
	}
	_, err = client.Write(reply)
	return err
}

// message reads a message of the wire protocol, which begins with its length.
func message(r io.Reader) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint32(head[:])
	if n < 16 || n > maxMessage {
		return nil, errors.New("not a message")
	}
	m := make([]byte, n)
	copy(m, head[:])
	_, err := io.ReadFull(r, m[4:])
	return m, err
}
