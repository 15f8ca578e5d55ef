//go:build !race

package probe

const racing = false
