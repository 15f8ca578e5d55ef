// Package scan finds the states of many ports of many hosts: which port is asked
// when, which is asked again, and how fast. A Transport sends and receives; all
// else here is told the time.
//
// Every port of every host begun gets one outcome. A port that answers is
// decided at once. One that stays silent is asked again, soon after an answer
// would have been there by the round-trip times seen so far; how often depends
// on how many tries the network is seen to lose. It is called silent only when
// the last try had Config.Settle for its answer, however short round trips are.
//
// What surprises: silence is no sign of loss. A firewall that drops everything
// is as silent as a broken link, and to slow down for it would make a scan take
// minutes that need not take seconds. Loss is what a later try proves by being
// answered where an earlier one was not; that alone shrinks a window, and only as
// long as shrinking helps (a path that loses one packet in ten whatever is sent
// is not congested).
package scan
