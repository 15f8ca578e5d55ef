package tcpprobe

import (
	"crypto/tls"
	"io"
	"net"
	"runtime"
	"testing"
	"time"

	"netprobe/probe"
)

// What has arrived is read, though the time for reading is over; then it is over.
func TestWireGrace(t *testing.T) {
	to := serve(t, say("late", hold))
	c, err := net.Dial("tcp4", to.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	w := newWire(t.Context(), c.(*net.TCPConn))
	one := make([]byte, 1)
	if _, err := io.ReadFull(w, one); err != nil { // it is there
		t.Fatal(err)
	}
	_ = c.SetReadDeadline(time.Unix(1, 0))
	rest := make([]byte, 16)
	n, err := w.Read(rest)
	if runtime.GOOS == "linux" && (err != nil || string(rest[:n]) != "ate" || w.in != 4 || string(w.first) != "late") {
		t.Errorf("%q, %v, %d bytes in all", rest[:n], err, w.in)
	}
	if n, err = w.Read(rest); n > 0 || !isTimeout(err) {
		t.Errorf("%q, %v", rest[:n], err)
	}
}

// Silence that this process noticed much too late is no fault of the server's.
func TestBusy(t *testing.T) {
	w, _ := rehearse(t, nil, Climb{TLS: true})
	w.until = time.Now().Add(-2 * tardiness)
	if f := w.silent(); f.own == nil || f.own.Status != probe.Failed || f.own.Err == nil {
		t.Errorf("%+v", f)
	}
	w.until = time.Now()
	if f := w.silent(); f.own != nil || f.reason != probe.NoResponse {
		t.Errorf("%+v", f)
	}
}

// Banners, and answers, come over TLS as well; a pause does not break it.
func TestBannerOverTLS(t *testing.T) {
	ca, cert := root()
	to := secure(t, &tls.Config{Certificates: []tls.Certificate{cert}}, answer("* OK ready\r\n", map[string]string{"a NOOP": "a OK\r\n"}, hold))
	a := climb(t, to, Climb{TLS: true, Roots: ca.pool(), Banner: true, Send: "a NOOP\r\n", Expect: regexpOf("^a OK")}, patience)
	got := passed(t, a)
	if got["banner"] != "* OK ready\r\n" || got["expect_match"] != "a OK" || got["tls_alpn"] != nil || phases(&a) != "connect tls banner expect" {
		t.Errorf("%v, phases %s", got, phases(&a))
	}
}
