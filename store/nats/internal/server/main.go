// Command server is a NATS server with JetStream for the tests of store/nats, which build and kill it. It is a module of its own and in no workspace:
// who uses the store does not inherit the requirements of a server.
package main

import (
	"flag"
	"log"
	"os"
	"os/signal"
	"syscall"

	"github.com/nats-io/nats-server/v2/server"
)

func main() {
	var o server.Options
	flag.StringVar(&o.Host, "host", "127.0.0.1", "the address to listen on")
	flag.IntVar(&o.Port, "port", 4222, "the port to listen on")
	flag.StringVar(&o.StoreDir, "dir", "", "the directory for JetStream")
	flag.Int64Var(&o.JetStreamMaxStore, "max-store", 1<<30, "bytes on the disk")
	flag.Int64Var(&o.JetStreamMaxMemory, "max-memory", 256<<20, "bytes in memory")
	payload := flag.Int("max-payload", 1<<20, "bytes of a message")
	flag.StringVar(&o.Username, "user", "", "the user that clients log in as")
	flag.StringVar(&o.Password, "password", "", "the user's password")
	flag.Parse()
	o.JetStream, o.MaxPayload, o.NoSigs = true, int32(*payload), true
	if err := run(&o); err != nil {
		log.Fatal(err)
	}
}

func run(o *server.Options) error {
	s, err := server.NewServer(o)
	if err != nil {
		return err
	}
	s.ConfigureLogger()
	s.Start()
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, os.Interrupt, syscall.SIGTERM)
	<-ended
	s.Shutdown()
	s.WaitForShutdown()
	return nil
}
