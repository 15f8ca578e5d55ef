package rawsock

import (
	"net/netip"
	"testing"
	"time"
)

func TestTry(t *testing.T) {
	for _, k := range []Kind{Raw, Datagram} {
		for _, a := range []string{"127.0.0.1", "::1"} {
			to := netip.MustParseAddr(a)
			c, err := Open(Config{Family: FamilyOf(to), Kind: k, ID: 4096 * 0})
			if err != nil {
				t.Log(k, a, err)
				continue
			}
			msg := make([]byte, 64)
			for i := range 3 {
				id, _ := c.IDs()
				PutEcho(c.family, msg, id, uint16(i))
				n, err := c.Send([]Packet{{To: to, Msg: msg, Key: uint32(i + 100)}})
				t.Log(k, a, n, err, c.out.keyed)
			}
			time.Sleep(10 * time.Millisecond)
			for range 2 {
				c.Drain(func(m *Message) { x := *m; x.Payload = nil; t.Logf("%+v", x) })
			}
			c.Shutdown()
			t.Log(c.Wait())
			c.Close()
		}
	}
	t.Log(RouteTo(netip.MustParseAddr("127.0.0.1"), Config{}))
}
