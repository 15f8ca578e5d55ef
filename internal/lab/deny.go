package lab

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
)

// Deny makes local sends to the prefixes fail with EPERM, as a firewall on the
// host does. It needs the nft command: without it the error is exec.ErrNotFound.
func (n *Namespace) Deny(prefixes ...netip.Prefix) error {
	var rules strings.Builder
	rules.WriteString("table inet lab {\nchain out {\ntype filter hook output priority 0;\n")
	for _, p := range prefixes {
		family := "ip6"
		if p.Addr().Is4() {
			family = "ip"
		}
		fmt.Fprintf(&rules, "%s daddr %v drop\n", family, p)
	}
	rules.WriteString("}\n}\n")
	return n.nft(rules.String())
}

// Allow ends every Deny.
func (n *Namespace) Allow() error { return n.nft("delete table inet lab\n") }

func (n *Namespace) nft(script string) error {
	c := n.Command(context.Background(), "nft", "-f", "-")
	c.Stdin = strings.NewReader(script)
	out, err := c.CombinedOutput()
	if err != nil {
		return fmt.Errorf("lab: nft: %w: %s", err, out)
	}
	return nil
}
