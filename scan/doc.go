// Package scan finds the states of many ports of many hosts: which port is asked
// when, which is asked again, and how fast. Strategy is pure and told the time; a
// Transport sends and receives.
package scan
