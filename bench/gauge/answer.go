package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"netprobe/udpprobe/payload"
	"netprobe/udpprobe/payload/payloadtest"
)

// anything is the answer of a port without a protocol.
var anything = []byte("?")

// reply is what the service at port says to a datagram; nil if nothing.
func reply(port uint16, request []byte) (answer []byte) {
	p := payload.ByPort(port)
	if p == nil {
		return anything
	}
	// Services read what netprobe asks; of anything else some find no end.
	defer func() {
		if recover() != nil {
			answer = nil
		}
	}()
	return payloadtest.Answer(p.Name, request, 0)
}

// answer has a UDP service at every address say what a service there would, until
// ctx ends. It calls ready when all sockets are there.
func answer(ctx context.Context, at []netip.AddrPort, ready func()) error {
	var sockets []*net.UDPConn
	closeAll := func() {
		for _, c := range sockets {
			c.Close()
		}
	}
	defer closeAll()
	for _, a := range at {
		c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(a))
		if err != nil {
			return err
		}
		sockets = append(sockets, c)
	}
	defer context.AfterFunc(ctx, closeAll)()
	ready()
	var wg sync.WaitGroup
	errs := make([]error, len(sockets))
	for i, c := range sockets {
		wg.Go(func() { errs[i] = serveDatagrams(c, at[i].Port()) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// serveDatagrams answers until c is closed.
func serveDatagrams(c *net.UDPConn, port uint16) error {
	var b [1 << 16]byte
	for {
		n, from, err := c.ReadFromUDPAddrPort(b[:])
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			continue // of an earlier answer that nobody took
		}
		if a := reply(port, b[:n]); a != nil {
			_, _ = c.WriteToUDPAddrPort(a, from)
		}
	}
}

// runAnswer is the UDP services that tools look for.
func runAnswer(args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("gauge answer", flag.ContinueOnError)
	flags.SetOutput(stderr)
	hosts := flags.String("hosts", "", "at these addresses: `LIST` of prefixes and ranges; empty for any")
	ports := flags.String("ports", "", "at these ports: `LIST` of numbers and ranges")
	if err := flags.Parse(args); err != nil {
		return err
	}
	at, err := listenAt(*hosts, *ports)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return answer(ctx, at, func() { fmt.Fprintln(stdout, "ready") })
}
