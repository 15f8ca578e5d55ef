package rawsock

import (
	"testing"
	"time"
)

func TestAlarm(t *testing.T) {
	a, err := NewAlarm()
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	const never = time.Hour // a lost wake-up ends in the test's time limit

	start := time.Now()
	a.Wait(5 * time.Millisecond)
	if d := time.Since(start); d < 5*time.Millisecond {
		t.Errorf("waited %v, want at least 5ms", d)
	}
	a.Wait(-time.Second)

	a.Wake()
	a.Wake()
	a.Wait(never) // both wakes together end one wait
	start = time.Now()
	a.Wait(2 * time.Millisecond)
	if d := time.Since(start); d < 2*time.Millisecond {
		t.Errorf("a wake ended two waits: the second took %v", d)
	}
}

// TestAlarmNeverSleepsThroughAWake wakes from another goroutine at all moments
// of a wait.
func TestAlarmNeverSleepsThroughAWake(t *testing.T) {
	a, err := NewAlarm()
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	const rounds = 2000
	asked := make(chan struct{})
	go func() {
		for range rounds {
			<-asked
			a.Wake()
		}
	}()
	for range rounds {
		asked <- struct{}{}
		a.Wait(time.Hour)
	}
}
