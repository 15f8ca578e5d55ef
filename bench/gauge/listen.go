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
	"time"
)

// maxListeners bounds the sockets of listen.
const maxListeners = 1 << 16

// listenAt returns where to listen: at the ports of each host of hosts, or of
// any address if that is empty.
func listenAt(hosts, ports string) ([]netip.AddrPort, error) {
	numbers, err := parsePorts(ports)
	if err != nil {
		return nil, err
	}
	if hosts == "" {
		var all []netip.AddrPort
		for _, p := range numbers {
			all = append(all, netip.AddrPortFrom(netip.IPv6Unspecified(), p)) // and IPv4
		}
		return all, nil
	}
	c, err := parseCrowd(hosts)
	if err != nil {
		return nil, err
	}
	if c.size*uint64(len(numbers)) > maxListeners {
		return nil, fmt.Errorf("more than %d sockets", maxListeners)
	}
	var all []netip.AddrPort
	for _, s := range c.spans {
		for i := range s.size() {
			for _, p := range numbers {
				all = append(all, netip.AddrPortFrom(plus(s.first, uint32(i)), p))
			}
		}
	}
	return all, nil
}

// accept takes connections at every address and closes them at once, until ctx
// ends. It calls ready when all sockets listen. How many sockets there can be is
// up to the hard limit of descriptors: Go raises the soft one by itself.
func accept(ctx context.Context, at []netip.AddrPort, ready func()) error {
	plain := net.ListenConfig{KeepAlive: -1}
	var listeners []net.Listener
	closeAll := func() {
		for _, l := range listeners {
			l.Close()
		}
	}
	defer closeAll()
	for _, a := range at {
		l, err := plain.Listen(ctx, "tcp", a.String())
		if err != nil {
			return err
		}
		listeners = append(listeners, l)
	}
	defer context.AfterFunc(ctx, closeAll)()
	ready()
	var wg sync.WaitGroup
	errs := make([]error, len(listeners))
	for i, l := range listeners {
		wg.Go(func() { errs[i] = serve(l) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// serve accepts until l is closed. A connection that came while descriptors were
// short waits.
func serve(l net.Listener) error {
	for {
		c, err := l.Accept()
		switch {
		case err == nil:
			c.Close()
		case errors.Is(err, net.ErrClosed):
			return nil
		case errors.Is(err, syscall.EMFILE):
			time.Sleep(time.Millisecond)
		default:
			return err
		}
	}
}

// runListen is the server that tools scan.
func runListen(args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("gauge listen", flag.ContinueOnError)
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
	return accept(ctx, at, func() { fmt.Fprintln(stdout, "ready") })
}
