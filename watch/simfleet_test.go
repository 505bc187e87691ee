package watch

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/kmsrun/kmsrun/config"
)

// day is one simulation of a fleet, and what must hold in it.
type day struct {
	name  string
	fleet fleet
	p99   time.Duration // of rotation to action; 0: not promised
}

// fair is how long the quota needs for one read of everything.
func (f fleet) fair() time.Duration {
	refs := f.processes * f.secrets
	return time.Duration((refs+quota-1)/quota) * time.Second
}

// startBound is what start_timeout is set to, and every process keeps to.
func (f fleet) startBound() time.Duration { return f.fair() * 3 / 2 }

// bad is how much of the time KMS gives little or nothing.
func (f fleet) bad() time.Duration {
	var sum time.Duration
	for _, p := range append(f.outages, f.crowded...) {
		sum += p.to - p.from
	}
	return sum
}

// longestGap is the longest time without a good read that is not called starving:
// eight rounds of what the quota leaves to polls.
func (f fleet) longestGap() time.Duration {
	left := 1.0
	if f.shared { // each rotation makes every process read everything twice
		rotations := f.rotations * float64(f.secrets) / (24 * time.Hour).Seconds()
		left = max(1-rotations*float64(f.processes*f.secrets*2)/quota, 0.25)
	}
	return 8*max(f.settings.Interval, part(f.fair(), 1/left)) + 2*f.bad()
}

func of(list []time.Duration, percent int) time.Duration {
	if len(list) == 0 {
		return 0
	}
	return list[min(len(list)*percent/100, len(list)-1)]
}

// check is what must hold of every simulation.
func (d day) check(t *testing.T, r figures) {
	t.Helper()
	f := d.fleet
	if r.most > quota {
		t.Errorf("accepted in one second: got %d, want %d or fewer", r.most, quota)
	}
	if got, want := of(r.starts, 100), f.startBound(); got > want {
		t.Errorf("the last start: got %v, want within %v", got, want)
	}
	if got, want := of(r.gaps, 100), f.longestGap(); got > want {
		t.Errorf("longest without a read: got %v, want at most %v", got, want)
	}
	if n := len(r.reads); n > 0 && r.reads[0] < r.reads[n/2]/4 {
		t.Errorf("reads of one process: the fewest are %d, the median %d: want a quarter of it or more", r.reads[0], r.reads[n/2])
	}
	if r.missed > 0 {
		t.Errorf("rotations never acted upon: got %d, want none", r.missed)
	}
	if got := of(r.latencies, 99); d.p99 > 0 && got > d.p99 {
		t.Errorf("rotation to action, p99: got %v, want within %v", got, d.p99)
	}
}

func (d day) String() string {
	f := d.fleet
	return fmt.Sprintf("%d processes, %s", f.processes, d.name)
}

// polled is a fleet of processes with ten secrets each, that runs for a time after
// it has started, with 1 % of the secrets rotating a day.
func polled(processes int, interval, runs time.Duration, dates bool) fleet {
	settings := config.Default().Watch
	settings.Interval = interval
	f := fleet{processes: processes, secrets: 10, settings: settings, dates: dates, rotations: 0.01, seed: 1}
	f.measureFrom = f.startBound() + 10*interval
	f.last = f.measureFrom + runs
	return f
}

// badly is the same with five minutes of outage and ten in which others use most
// of the quota.
func (f fleet) badly() fleet {
	f.outages = []period{{f.measureFrom + 2*time.Minute, f.measureFrom + 7*time.Minute}}
	f.crowded = []period{{f.measureFrom + 10*time.Minute, f.measureFrom + 20*time.Minute}}
	return f
}

// together is a fleet in which all processes have the same secrets, and each of
// these rotates every two hours.
func (f fleet) together() fleet {
	f.shared, f.rotations = true, 12
	return f
}

// TestFleetShort is the simulation as far as it goes in seconds.
func TestFleetShort(t *testing.T) {
	t.Parallel()
	for _, d := range []day{
		{"60s", polled(100, time.Minute, 30*time.Minute, false).often(), 70 * time.Second},
		{"60s, dates", polled(100, time.Minute, 30*time.Minute, true).often(), 10 * time.Second},
		{"60s, a bad day", polled(100, time.Minute, 30*time.Minute, false).often().badly(), 0},
		{"60s, the same secrets", polled(100, time.Minute, 30*time.Minute, true).together().often(), 10 * time.Second},
		{"60s", polled(1000, time.Minute, 0, false), 0},
	} {
		t.Run(d.String(), func(t *testing.T) {
			t.Parallel()
			r := simulate(d.fleet)
			d.check(t, r)
			if d.p99 > 0 && len(r.latencies) < 10 {
				t.Errorf("rotations: got %d, want ten or more", len(r.latencies))
			}
		})
	}
}

// often lets secrets rotate so often that half an hour shows it.
func (f fleet) often() fleet {
	f.rotations = max(2, 4*f.rotations)
	return f
}

// TestFleet is the whole simulation. It writes its figures and plots into docs.
func TestFleet(t *testing.T) {
	if os.Getenv("KMSRUN_TEST_SIM") == "" {
		t.Skip("SKIPPED: minutes of simulation: make sim")
	}
	var days []day
	for _, n := range []int{100, 1000, 10000} {
		runs := map[int]time.Duration{100: 24 * time.Hour, 1000: 3 * time.Hour, 10000: time.Hour}[n]
		hours := min(runs, 2*time.Hour)
		days = append(days,
			day{"own, 60s", polled(n, time.Minute, runs, false), 0},
			day{"own, 60s, dates", polled(n, time.Minute, runs, true), 0},
			day{"own, 10m, dates", polled(n, 10*time.Minute, runs, true), 0},
			day{"own, 60s, a bad day", polled(n, time.Minute, runs, false).badly(), 0},
			day{"the same, 60s", polled(n, time.Minute, hours, false).together(), 0},
			day{"the same, 60s, dates", polled(n, time.Minute, hours, true).together(), 0},
			day{"the same, 10m, dates", polled(n, 10*time.Minute, hours, true).together(), 0},
		)
	}
	results := make([]figures, len(days))
	t.Run("fleets", func(t *testing.T) {
		for i, d := range days {
			t.Run(d.String(), func(t *testing.T) {
				t.Parallel()
				results[i] = simulate(d.fleet)
				d.check(t, results[i])
				t.Log(d.row(results[i]))
			})
		}
	})
	var page page
	for i, d := range days {
		page.add(d, results[i])
	}
	page.carried = carried()
	if !t.Failed() {
		page.write(t)
	}
}

// carried is how many processes of ten secrets all start within the default
// start_timeout, in tens.
func carried() int {
	most := 0
	for n := 1500; n <= 2700; n += 100 {
		f := polled(n, time.Minute, 0, false)
		f.last = f.startBound()
		if r := simulate(f); of(r.starts, 100) > config.Default().KMS.StartTimeout {
			break
		}
		most = n
	}
	return most
}

func (d day) row(r figures) string {
	seconds := func(x time.Duration) string {
		if x == 0 {
			return "–"
		}
		return fmt.Sprintf("%.1f", x.Seconds())
	}
	total := d.fleet.last.Seconds()
	return fmt.Sprintf("| %d | %s | %s of %.1f | %.0f + %.1f | %s / %s | %s / %s (%d) |",
		d.fleet.processes, d.name, seconds(of(r.starts, 100)), d.fleet.startBound().Seconds(),
		float64(r.accepted)/total, float64(r.throttled)/total,
		seconds(of(r.gaps, 50)), seconds(of(r.gaps, 100)),
		seconds(of(r.latencies, 50)), seconds(of(r.latencies, 99)), len(r.latencies))
}
