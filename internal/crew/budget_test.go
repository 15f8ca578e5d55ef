package crew

import "testing"

func TestShare(t *testing.T) {
	for _, tt := range []struct {
		limit, crews, each, want int
	}{
		{1024, 1, 1, 960},
		{1024, 2, 2, 240},
		{256, 1, 1, 192},
		{128, 1, 1, 64},
		{64, 1, 1, 32}, // few descriptors: half of them
		{20, 1, 1, 10},
		{20, 3, 2, 1},
		{1, 1, 1, 1},
		{3, 1, 4, 0},
	} {
		var d descriptors
		d.limit.Store(int64(tt.limit))
		d.crews.Store(int32(tt.crews))
		if got := d.share(tt.each); got != tt.want {
			t.Errorf("limit %d, %d crews, %d each: %d at a time, want %d", tt.limit, tt.crews, tt.each, got, tt.want)
		}
	}
}
