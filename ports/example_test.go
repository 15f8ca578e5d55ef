package ports_test

import (
	"errors"
	"fmt"

	"netprobe/ports"
)

func ExampleParse() {
	all, err := ports.Parse("22,8000-8002,https,u:53", ports.TCP)
	fmt.Println(all, err)
	// Output: [22/tcp 8000/tcp 8001/tcp 8002/tcp 443/tcp 53/udp] <nil>
}

func ExampleParse_error() {
	_, err := ports.Parse("22,htps", ports.TCP)
	if e, ok := errors.AsType[*ports.Error](err); ok {
		fmt.Println(e.Text)
		fmt.Println(e.Hint)
	}
	// Output:
	// unknown service "htps"
	// did you mean https?
}

func ExampleName() {
	fmt.Println(ports.Name(ports.Port{Proto: ports.TCP, Number: 6443}))
	fmt.Println(ports.Name(ports.Port{Proto: ports.UDP, Number: 443}))
	// Output:
	// kubernetes-api
	// quic
}

func ExampleGroups() {
	for _, g := range ports.Groups()[:3] {
		fmt.Printf("@%s: %s; first tcp %d\n", g.Name, g.About, g.Of(ports.TCP)[0])
	}
	// Output:
	// @web: HTTP, HTTPS and QUIC, and what is used with a browser; first tcp 443
	// @db: databases, caches and search engines; first tcp 3306
	// @k8s: Kubernetes, etcd, container engines, overlay networks, service meshes and other schedulers; first tcp 6443
}
