package main

import (
	"math"
	"testing"
	"time"
)

func TestForesight(t *testing.T) {
	tests := []struct {
		name, said string
		asked      time.Duration
		took       time.Duration
		want       float64
		fails      bool
	}{
		{name: "seconds", said: "26 %  16 of 60 ports  0 open  1.2/s  ETA 44 s\n", asked: 10 * time.Second, took: 50 * time.Second, want: 10},
		{name: "minutes", said: "ETA 15 min 57 s\n", asked: 10 * time.Second, took: 1130 * time.Second, want: -100 * 163. / 1120},
		{name: "hours", said: "ETA 2 h\n", asked: 10 * time.Second, took: 7210 * time.Second},
		{name: "before the end of a budget", said: "ETA 44 s  budget ends in 12 s\n", asked: 10 * time.Second, took: 54 * time.Second},
		{name: "unknown", said: "ETA unknown\n", asked: 10 * time.Second, took: time.Minute, fails: true},
		{name: "nothing", asked: 10 * time.Second, took: time.Minute, fails: true},
		{name: "too late to ask", said: "ETA 44 s\n", took: time.Second, fails: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := foresight{after: 10 * time.Second, asked: tt.asked}
			f.said.WriteString(tt.said)
			got, err := f.errorOf(tt.took)
			if (err != nil) != tt.fails || math.Abs(got-tt.want) > 1e-9 {
				t.Errorf("got %v, %v; want %v, an error: %v", got, err, tt.want, tt.fails)
			}
		})
	}
}
