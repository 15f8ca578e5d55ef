package output

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"netprobe/probe"
)

// appendStudy appends what came of a walk or of a judgement.
func (v *dnsTable) appendStudy(b []byte, r *probe.Result) []byte {
	if v.shown > 0 {
		b = append(b, '\n')
	}
	v.shown++
	if v.o.Timestamps {
		b = appendStamp(b, r)
	}
	switch d := r.Detail.(type) {
	case *probe.DNSWalk:
		return v.appendWalk(b, r, d)
	case *probe.DNSVerdict:
		return v.appendVerdict(b, r, d)
	}
	why := r.Reason.String()
	if r.Err != nil {
		why = r.Err.Error()
	}
	b = append(b, v.o.paint(yellow, "not asked")...)
	b = appendEscaped(append(b, gap...), r.Target.Name+": "+why)
	return append(b, '\n')
}

// appendWalk appends one line for each question to a server, and the answer.
func (v *dnsTable) appendWalk(b []byte, r *probe.Result, w *probe.DNSWalk) []byte {
	b = append(b, v.o.paint(bold, Escape(questionText(w.Question)))...)
	b = appendEscaped(b, " from "+r.Target.Name)
	b = append(b, '\n')
	g := grid{look: v.o, columns: []column{
		{"zone", false, 0, nameLeast}, {"server", false, 0, address6Least}, {"ms", true, 0, 0}, {"says", false, 0, stateWidth},
	}}
	for i := range w.Steps {
		g.cells = append(g.cells, v.stepRow(w, &w.Steps[i]))
	}
	g.fit(v.columns())
	for _, l := range g.lines() {
		b = append(append(b, strings.TrimRight(l, " ")...), '\n')
	}
	b = v.appendRecords(b, w.Answers, "")
	for _, s := range w.Steps {
		for _, x := range s.Refused {
			b = append(append(b, "  "...), v.o.paint(yellow, Escape("not believed of "+serverText(&s)+": "+x))...)
			b = append(b, '\n')
		}
	}
	word := v.rcodeCell(w.Rcode)
	if w.Broke != "" {
		word = cell{"broken at " + w.BrokeAt + ": " + w.Broke, red}
	}
	b = append(b, v.o.paint(word.color, Escape(word.text))...)
	return fmt.Appendf(b, ": %s, %s\n", queryCount(w.Queries), FormatDuration(w.Took))
}

func (v *dnsTable) rcodeCell(rcode string) cell {
	if rcode == v.d.wanted() {
		return cell{rcode, green}
	}
	return cell{rcode, red}
}

func (v *dnsTable) stepRow(w *probe.DNSWalk, s *probe.DNSStep) []cell {
	says := s.Kind
	if s.Rcode != "" && s.Rcode != "NOERROR" {
		says += " " + s.Rcode
	}
	if s.AA {
		says += ", aa"
	}
	if s.To != "" {
		says += " to " + s.To
	}
	if n := len(s.Servers); n > 0 {
		says += fmt.Sprintf(" (%d servers)", n)
	}
	if s.Why != "" {
		says += ": " + s.Why
	}
	if strings.TrimSuffix(s.Name, ".") != strings.TrimSuffix(w.Question.Name, ".") || s.Type != w.Question.Type {
		says += ", asked for " + s.Name + " " + s.Type
	}
	color := ""
	switch s.Kind {
	case "lame", "refused", "no answer":
		color = red
	case "not asked":
		color = yellow
	}
	took := millisCell(s.Took)
	if s.Rcode == "" {
		took = cell{"-", dim}
	}
	return []cell{{strings.Repeat("  ", s.Depth) + Escape(s.Zone), ""}, {Escape(serverText(s)), ""}, took, {Escape(says), color}}
}

// serverText is the name and address of the server of a step, not escaped.
func serverText(s *probe.DNSStep) string {
	if s.Server == "" {
		return s.Addr.String()
	}
	return s.Server + " (" + s.Addr.Addr().String() + ")"
}

// appendVerdict appends what DNSSEC says of an answer, and the chain of zones.
func (v *dnsTable) appendVerdict(b []byte, r *probe.Result, d *probe.DNSVerdict) []byte {
	color := map[string]string{"secure": green, "insecure": yellow, "bogus": red, "indeterminate": red}[d.Status]
	b = append(b, v.o.paint(color, d.Status)...)
	b = append(b, gap...)
	line := questionText(d.Question) + " from " + r.Target.Name + ": "
	switch {
	case d.Why != "":
		line += d.Why
	case !d.Until.IsZero():
		line += "signatures hold until " + d.Until.UTC().Format("2006-01-02 15:04:05 UTC")
	}
	b = appendEscaped(b, line)
	b = append(b, '\n')
	b = v.appendRecords(b, d.Answers, "")
	if len(d.Chain) > 0 {
		b = v.appendChain(b, d)
	}
	rcode := d.Rcode
	if rcode == "" {
		rcode = "no answer"
	}
	word := v.rcodeCell(rcode)
	b = append(b, v.o.paint(word.color, Escape(word.text))...)
	return fmt.Appendf(b, ": %s, %s\n", queryCount(d.Queries), FormatDuration(d.Took))
}

func queryCount(n int) string {
	if n == 1 {
		return "1 query"
	}
	return strconv.Itoa(n) + " queries"
}

func (v *dnsTable) appendChain(b []byte, d *probe.DNSVerdict) []byte {
	g := grid{look: v.o, columns: []column{
		{"zone", false, 0, nameLeast}, {"vouched for by", false, 1, nameLeast}, {"keys", false, 2, nameLeast}, {"is", false, 0, stateWidth},
	}}
	for i := range d.Chain {
		l := &d.Chain[i]
		by := keyWords(l.DS)
		switch {
		case l.Anchor:
			by = strings.TrimSpace("anchor " + by)
		case by == "":
			by = "nobody"
		}
		is := cell{l.Status, green}
		if l.Status != "secure" {
			is.color = yellow
		}
		if l.Status == "bogus" {
			is.color = red
		}
		if l.Why != "" {
			is.text += ": " + l.Why
		}
		g.cells = append(g.cells, []cell{{Escape(l.Zone), ""}, {Escape(by), ""}, {Escape(keyWords(l.Keys)), ""}, {Escape(is.text), is.color}})
	}
	g.fit(v.columns())
	for _, l := range g.lines() {
		b = append(append(b, strings.TrimRight(l, " ")...), '\n')
	}
	return b
}

// keyWords lists keys: their tags, and the algorithm of the first. Those that signed
// what was relied on have a star.
func keyWords(keys []probe.DNSKeyID) string {
	var words []string
	for i, k := range keys[:min(len(keys), maxInLine)] {
		w := strconv.Itoa(int(k.Tag))
		if k.Used {
			w += "*"
		}
		if i == 0 || k.Algorithm != keys[i-1].Algorithm {
			w += " " + k.Algorithm
		}
		words = append(words, w)
	}
	if n := len(keys) - maxInLine; n > 0 {
		words = append(words, fmt.Sprintf("and %d more", n))
	}
	return strings.Join(words, ", ")
}

// studyNote says in one line what is wrong with the end of a walk or with a verdict;
// empty if nothing is.
func studyNote(h *DNSHeader, r *probe.Result) string {
	switch d := r.Detail.(type) {
	case *probe.DNSWalk:
		at := Escape(questionText(d.Question)) + ": "
		if d.Broke != "" {
			return at + "broken at " + Escape(d.BrokeAt) + ": " + Escape(d.Broke)
		}
		if d.Rcode != h.wanted() {
			return at + Escape(d.Rcode)
		}
	case *probe.DNSVerdict:
		at := Escape(questionText(d.Question)) + " from " + Escape(r.Target.Name) + ": "
		if d.Status != "secure" {
			return at + d.Status + ": " + Escape(d.Why)
		}
		if d.Rcode != h.wanted() {
			return at + d.Status + ", " + Escape(d.Rcode)
		}
	default:
		if r.Err != nil {
			return Escape(r.Target.Name) + ": " + Escape(r.Err.Error())
		}
	}
	return ""
}

type walkRecord struct {
	common
	Server   string       `json:"server"`
	Question dnsQuestion  `json:"question"`
	Status   string       `json:"status"`
	Reason   string       `json:"reason"`
	Rcode    *string      `json:"rcode"`
	Zone     *string      `json:"zone"`
	Answers  []dnsRR      `json:"answers"`
	Steps    []walkStep   `json:"steps"`
	Queries  int          `json:"queries"`
	Took     millis       `json:"took_ms"`
	BrokenAt *string      `json:"broken_at"`
	Why      *string      `json:"why"`
	Error    *recordError `json:"error"`
}

type walkStep struct {
	Zone    string   `json:"zone"`
	Server  *string  `json:"server"`
	Addr    *string  `json:"addr"`
	Port    uint16   `json:"port"`
	Name    string   `json:"name"`
	Type    string   `json:"type"`
	Depth   int      `json:"depth"`
	Kind    string   `json:"kind"`
	Rcode   *string  `json:"rcode"`
	AA      bool     `json:"aa"`
	Took    *millis  `json:"took_ms"`
	To      *string  `json:"to"`
	Servers []string `json:"servers"`
	Refused []string `json:"not_believed"`
	Why     *string  `json:"why"`
}

type verdictRecord struct {
	common
	Server   string       `json:"server"`
	Question dnsQuestion  `json:"question"`
	Status   string       `json:"status"`
	Reason   string       `json:"reason"`
	Verdict  string       `json:"verdict"`
	Why      *string      `json:"why"`
	Rcode    *string      `json:"rcode"`
	Answers  []dnsRR      `json:"answers"`
	Chain    []chainLink  `json:"chain"`
	Until    *timestamp   `json:"until"`
	Queries  int          `json:"queries"`
	Took     millis       `json:"took_ms"`
	Error    *recordError `json:"error"`
}

type chainLink struct {
	Zone    string     `json:"zone"`
	Anchor  bool       `json:"anchor"`
	DS      []chainDS  `json:"ds"`
	Keys    []chainKey `json:"keys"`
	Verdict string     `json:"verdict"`
	Why     *string    `json:"why"`
	Until   *timestamp `json:"until"`
	Took    millis     `json:"took_ms"`
}

type chainDS struct {
	Tag       uint16 `json:"tag"`
	Algorithm string `json:"algorithm"`
	Digest    string `json:"digest"`
}

type chainKey struct {
	Tag       uint16 `json:"tag"`
	Algorithm string `json:"algorithm"`
	SEP       bool   `json:"sep"`
	Used      bool   `json:"used"`
}

// study writes the record of a walk or of a judgement.
func (v *dnsJSON) study(r *probe.Result, at time.Time) error {
	var failure *recordError
	if r.Status == probe.Failed {
		failure = &recordError{r.Reason.String(), r.Reason.String()}
		if r.Err != nil {
			failure.Text = r.Err.Error()
		}
	}
	switch d := r.Detail.(type) {
	case *probe.DNSWalk:
		rec := walkRecord{
			common: v.common("dns-walk", at), Server: r.Target.Name, Question: dnsQuestion(d.Question),
			Status: r.Status.String(), Reason: r.Reason.String(), Rcode: textField(d.Rcode), Zone: textField(d.Zone),
			Answers: rrFields(d.Answers), Steps: []walkStep{}, Queries: d.Queries, Took: millis(d.Took),
			BrokenAt: textField(d.BrokeAt), Why: textField(d.Broke), Error: failure,
		}
		for i := range d.Steps {
			rec.Steps = append(rec.Steps, stepFields(&d.Steps[i]))
		}
		return v.write(rec)
	case *probe.DNSVerdict:
		rec := verdictRecord{
			common: v.common("dns-verdict", at), Server: r.Target.Name, Question: dnsQuestion(d.Question),
			Status: r.Status.String(), Reason: r.Reason.String(), Verdict: d.Status, Why: textField(d.Why), Rcode: textField(d.Rcode),
			Answers: rrFields(d.Answers), Chain: []chainLink{}, Until: timeField(d.Until), Queries: d.Queries, Took: millis(d.Took), Error: failure,
		}
		for i := range d.Chain {
			rec.Chain = append(rec.Chain, linkFields(&d.Chain[i]))
		}
		return v.write(rec)
	}
	return nil
}

func stepFields(s *probe.DNSStep) walkStep {
	x := walkStep{
		Zone: s.Zone, Server: textField(s.Server), Addr: addrField(s.Addr.Addr()), Port: s.Addr.Port(), Name: s.Name, Type: s.Type,
		Depth: s.Depth, Kind: s.Kind, Rcode: textField(s.Rcode), AA: s.AA, To: textField(s.To),
		Servers: append([]string{}, s.Servers...), Refused: append([]string{}, s.Refused...), Why: textField(s.Why),
	}
	if s.Rcode != "" {
		x.Took = new(millis(s.Took))
	}
	return x
}

func linkFields(l *probe.DNSLink) chainLink {
	x := chainLink{
		Zone: l.Zone, Anchor: l.Anchor, DS: []chainDS{}, Keys: []chainKey{}, Verdict: l.Status, Why: textField(l.Why),
		Until: timeField(l.Until), Took: millis(l.Took),
	}
	for _, k := range l.DS {
		x.DS = append(x.DS, chainDS{k.Tag, k.Algorithm, k.Digest})
	}
	for _, k := range l.Keys {
		x.Keys = append(x.Keys, chainKey{k.Tag, k.Algorithm, k.SEP, k.Used})
	}
	return x
}

// textField returns s as a field, nil if it is empty.
func textField(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// timeField returns t as a field, nil if it is zero.
func timeField(t time.Time) *timestamp {
	if t.IsZero() {
		return nil
	}
	return new(timestamp(t))
}
