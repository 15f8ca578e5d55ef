package ports

import (
	"slices"
	"testing"
)

func TestList(t *testing.T) {
	ports := []Port{{UDP, 53}, {TCP, 22}, {TCP, 80}, {TCP, 81}, {TCP, 82}, {TCP, 79}, {UDP, 54}, {TCP, 65535}, {TCP, 1}}
	l := ListOf(ports)
	if got, want := l.String(), "22,80-82,79,65535,1,u:53-54"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	var all []Port
	for i, p := range l.All() {
		if p != l.At(i) || i != len(all) {
			t.Errorf("%d: %v, and by At %v", i, p, l.At(i))
		}
		all = append(all, p)
	}
	// TCP first, each transport in its own order.
	want := []Port{{TCP, 22}, {TCP, 80}, {TCP, 81}, {TCP, 82}, {TCP, 79}, {TCP, 65535}, {TCP, 1}, {UDP, 53}, {UDP, 54}}
	if !slices.Equal(all, want) || l.Len() != len(want) {
		t.Errorf("got %v, want %v", all, want)
	}
	for i := range l.All() {
		if i == 1 {
			break // a caller may stop
		}
	}
	if (List{}).String() != "" || (List{}).Len() != 0 {
		t.Error("no ports are something")
	}
}

// All ports take two bytes each.
func TestListIsSmall(t *testing.T) {
	all, err := Parse("-", TCP)
	if err != nil {
		t.Fatal(err)
	}
	l := ListOf(all)
	if l.Len() != 65535 || cap(l.TCP) > 66_000 || cap(l.UDP) != 0 {
		t.Errorf("%d ports, room for %d and %d", l.Len(), cap(l.TCP), cap(l.UDP))
	}
}
