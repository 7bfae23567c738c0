package main

import (
	"fmt"
	"hash/adler32"
	"net"
	"sync"

	"google.golang.org/grpc"
	_ "google.golang.org/grpc/encoding/gzip"
)

// The bytes of a message as they are.
type raw []byte

type asItIs struct{}

func (asItIs) Name() string                        { return "raw" }
func (asItIs) Marshal(message any) ([]byte, error) { return *message.(*raw), nil }
func (asItIs) Unmarshal(bytes []byte, message any) error {
	*message.(*raw) = append(raw(nil), bytes...)
	return nil
}

// Says its port, then of each call of any service the size and the Adler-32 sum, and answers with an empty message.
func serve() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	var one sync.Mutex
	take := func(_ any, call grpc.ServerStream) error {
		var message raw
		if err := call.RecvMsg(&message); err != nil {
			return err
		}
		one.Lock()
		fmt.Printf("%d %d\n", len(message), adler32.Checksum(message))
		one.Unlock()
		return call.SendMsg(&raw{})
	}
	panic(grpc.NewServer(grpc.ForceServerCodec(asItIs{}), grpc.UnknownServiceHandler(take)).Serve(listener))
}
