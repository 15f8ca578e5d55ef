package output

import (
	"fmt"
	"time"

	"github.com/mattn/go-runewidth"

	"netprobe/probe"
)

// reportWidth is the width of the first column of mtr's report.
const reportWidth = 33

// appendReport appends a monitored path in the layout of mtr --report, with
// jitter, p95 and what the loss means behind its columns. As there, a hop that
// never answered has zeros in mtr's own columns; ours have a dash.
func (v *tracePlain) appendReport(b []byte, t *probe.Target, rows []*hopRow) []byte {
	if v.blocks > 0 {
		b = append(b, '\n')
	}
	b = append(b, "Start: "...)
	b = v.h.Start.Local().AppendFormat(b, "2006-01-02T15:04:05-0700\n")
	heading := "HOST: " + clip(v.h.Host)
	if len(v.live) > 1 {
		heading += " to " + clip(t.Name)
	}
	width := max(reportWidth, runewidth.StringWidth(heading))
	for _, h := range rows {
		width = max(width, runewidth.StringWidth(v.reportHost(h)))
	}
	b = append(b, runewidth.FillRight(heading, width)...)
	b = append(b, " Loss%   Snt   Last   Avg  Best  Wrst StDev   Jttr    p95\n"...)
	loss := pathLoss(rows)
	for i, h := range rows {
		b = append(b, runewidth.FillRight(v.reportHost(h), width)...)
		b = appendReportRow(b, h)
		b = append(b, reportMark(h, loss[i])...)
		b = append(b, '\n')
		for _, o := range h.hosts[min(len(h.hosts), 1):] {
			b = append(b, "        "+v.names.host(o.addr)+"\n"...)
		}
	}
	return b
}

// reportMark says behind a hop that leaves more unanswered than the path loses
// that its loss is none of the path.
func reportMark(h *hopRow, loss float64) string {
	own, ok := h.lossFraction()
	switch {
	case !ok || loss < 0 || own <= loss:
		return ""
	case loss == 0:
		return "  no path loss"
	}
	return "  path loss " + percentText(loss)
}

// reportHost returns "  4.|-- gw.example".
func (v *tracePlain) reportHost(h *hopRow) string {
	host := "???"
	if len(h.hosts) > 0 {
		host = v.names.name(h.hosts[0].addr)
		if host == "" {
			host = Escape(h.hosts[0].addr.String())
		}
	}
	return fmt.Sprintf("%3d.|-- %s", h.ttl, host)
}

func appendReportRow(b []byte, h *hopRow) []byte {
	s := h.summary()
	loss := fmt.Sprintf("%5.1f%%", s.LossPercent)
	if s.LossPercent == 100 {
		loss = " 100.0"
	}
	b = fmt.Appendf(b, "%s%6d", loss, s.Sent)
	var last, avg, best, worst, dev time.Duration
	if s.RTT != nil {
		last, avg, best, worst, dev = h.last, s.RTT.Mean, s.RTT.Min, s.RTT.Max, s.RTT.StdDev
	}
	b = fmt.Appendf(b, "%7.1f%6.1f%6.1f%6.1f%6.1f", inMillis(last), inMillis(avg), inMillis(best), inMillis(worst), inMillis(dev))
	if s.HasJitter {
		b = fmt.Appendf(b, "%7.1f", inMillis(s.Jitter))
	} else {
		b = append(b, "      -"...)
	}
	if s.RTT != nil {
		return fmt.Appendf(b, "%7.1f", inMillis(s.RTT.P95))
	}
	return append(b, "      -"...)
}

func inMillis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
