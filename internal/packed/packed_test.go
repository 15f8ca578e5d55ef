package packed

import "testing"

func TestUnpackBroken(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("something broken was unpacked")
		}
	}()
	Unpack([]byte("no DEFLATE"))
}
