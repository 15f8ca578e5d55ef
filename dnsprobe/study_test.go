package dnsprobe

import (
	"testing"
	"time"

	"netprobe/probe"
)

// A Study tells verdicts and walks in the words of package probe.
func TestStudy(t *testing.T) {
	tree := newTree(t, time.Now())
	at := tree.serve(t, 1232)
	target := &probe.Target{Name: "tree", Addr: at}
	study := func(cfg StudyConfig, name string) probe.Result {
		t.Helper()
		cfg.Questions, cfg.Timeout = []Question{question4(t, name, "A")}, 5*time.Second
		s := NewStudy(cfg)
		s.SetServers([]Asked{{Target: target}})
		var got []probe.Result
		if err := s.Probe(t.Context(), func(r probe.Result) { got = append(got, r) }); err != nil {
			t.Fatal(err)
		}
		if len(got) != 1 || got[0].Target != target || got[0].Seq != 1 || s.Counters().Sent == 0 {
			t.Fatalf("%+v after %d queries", got, s.Counters().Sent)
		}
		return got[0]
	}
	r := study(StudyConfig{Validate: true, Anchors: tree.anchors(t, ".")}, "www.rsa.test")
	d := r.Detail.(*probe.DNSVerdict)
	if r.Status != probe.Reply || d.Status != "secure" || d.Rcode != "NOERROR" || len(d.Answers) == 0 || d.Answers[0].Type != "A" || d.Until.IsZero() || len(d.Chain) < 3 || !d.Chain[0].Anchor {
		t.Errorf("%v %+v", r.Status, d)
	}
	r = study(StudyConfig{Validate: true}, "www.rsa.test") // by the keys of the real root
	if d = r.Detail.(*probe.DNSVerdict); d.Status != "bogus" || d.Why == "" {
		t.Errorf("%v %+v", r.Status, d)
	}
	r = study(StudyConfig{Walk: true, Root: at}, "www.rsa.test")
	w := r.Detail.(*probe.DNSWalk)
	if r.Status != probe.Lost || w.Broke == "" || len(w.Steps) == 0 || w.Steps[0].Addr != at {
		t.Errorf("%v %+v", r.Status, w)
	}
}
