package spell

import "testing"

func TestNearest(t *testing.T) {
	verbs := []string{"ping", "version", "completion", "help", "interval", "interface"}
	for _, tt := range []struct{ word, want string }{
		{"ping", "ping"},
		{"pnig", "ping"},
		{"pin", "ping"},
		{"pingg", "ping"},
		{"PING", "ping"},
		{"Pong", "ping"},
		{"versoin", "version"},
		{"intervall", "interval"},
		{"inter", ""}, // continues to two
		{"comp", "completion"},
		{"localhost", ""},
		{"192.0.2.1", ""},
		{"", ""},
		{"p", "ping"}, // nothing else continues it
	} {
		if got := Nearest(tt.word, verbs); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.word, got, tt.want)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"abc", "abc", 0}, {"abc", "acb", 1}, {"abc", "ab", 1}, {"abc", "xbc", 1},
		{"ab", "ba", 1}, {"abcd", "badc", 2}, {"abc", "xyz", 3}, {"a", "abcdefgh", 4},
	} {
		if got := distance(tt.a, tt.b, 4); got != tt.want {
			t.Errorf("%q %q: got %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}
