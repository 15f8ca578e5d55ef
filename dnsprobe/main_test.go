package dnsprobe

import (
	"testing"

	"netprobe/internal/lab"
)

func TestMain(m *testing.M) { lab.Main(m) }
