package watch

import (
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"time"
)

// page is what the simulation puts into the documents.
type page struct {
	rows    []string
	carried int
	starts  []line // shares of processes that have started
	actions []line // shares of rotations acted upon
}

// line is a distribution to be drawn.
type line struct {
	name   string
	sorted []time.Duration
}

const (
	pageFile  = "../docs/rotation.md"
	plotFile  = "../docs/rotation.svg"
	pageBegin = "<!-- make sim writes from here -->"
	pageEnd   = "<!-- to here -->"
)

func (p *page) add(d day, r figures) {
	p.rows = append(p.rows, d.row(r))
	switch d.name {
	case "own, 60s":
		p.starts = append(p.starts, line{fmt.Sprintf("%d processes", d.fleet.processes), r.starts})
		p.actions = append(p.actions, line{fmt.Sprintf("%d, 60s", d.fleet.processes), r.latencies})
	case "own, 60s, dates":
		p.actions = append(p.actions, line{fmt.Sprintf("%d, 60s, dates", d.fleet.processes), r.latencies})
	}
}

// write replaces the table in the page, and the plot.
func (p *page) write(t *testing.T) {
	t.Helper()
	text, err := os.ReadFile(pageFile)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), pageBegin)
	_, after, ended := strings.Cut(rest, pageEnd)
	if !found || !ended {
		t.Fatalf("%s: want the marks %q and %q", pageFile, pageBegin, pageEnd)
	}
	table := "\n| processes | secrets, interval | last start, s | calls/s | longest without a read, s | rotation to action, s |\n" +
		"|---|---|---|---|---|---|\n" + strings.Join(p.rows, "\n") + "\n\n" +
		fmt.Sprintf("With the default `start_timeout` of 60s, %d processes of ten secrets start together.\n", p.carried)
	if err := os.WriteFile(pageFile, []byte(before+pageBegin+table+pageEnd+after), 0o644); err != nil { //nolint:gosec // a document
		t.Fatal(err)
	}
	if err := os.WriteFile(plotFile, []byte(p.plot()), 0o644); err != nil { //nolint:gosec // a picture
		t.Fatal(err)
	}
}

// Sizes of the plot, in its own units.
const (
	plotWidth, plotHeight = 360.0, 240.0
	plotLeft, plotTop     = 50.0, 40.0
	plotGap               = 90.0
)

var plotColours = []string{"#1b6ca8", "#d1495b", "#2e8b57", "#edae49", "#66407a", "#5f6c72"}

// plot draws two panels with logarithmic seconds: how a fleet starts, and how long a
// rotation takes to reach it.
func (p *page) plot() string {
	var b strings.Builder
	width, height := 2*(plotWidth+plotGap), plotHeight+2*plotTop
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" font-family="sans-serif" font-size="11">`+"\n", width, height)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" fill="white"/>`+"\n")
	panel(&b, plotLeft, "processes started after a common cold start", p.starts)
	panel(&b, plotLeft+plotWidth+plotGap, "rotations acted upon (own secrets)", p.actions)
	b.WriteString("</svg>\n")
	return b.String()
}

// panel draws lines as shares, from 0.1 to 1,000 seconds.
func panel(b *strings.Builder, left float64, title string, lines []line) {
	y := func(share float64) float64 { return plotTop + plotHeight*(1-share) }
	fmt.Fprintf(b, `<text x="%.1f" y="%.1f" font-size="13">%s</text>`+"\n", left, plotTop-14, title)
	for _, seconds := range []float64{0.1, 1, 10, 100, 1000} {
		x := plotX(left, seconds)
		fmt.Fprintf(b, `<line x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f" stroke="#ddd"/><text x="%.1f" y="%.1f" text-anchor="middle">%gs</text>`+"\n",
			x, x, y(0), y(1), x, y(0)+15, seconds)
	}
	for _, share := range []float64{0, 0.5, 0.99} {
		fmt.Fprintf(b, `<line x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f" stroke="#ddd"/><text x="%.1f" y="%.1f" text-anchor="end">%.0f %%</text>`+"\n",
			left, left+plotWidth, y(share), y(share), left-5, y(share)+4, 100*share)
	}
	for i, l := range lines {
		colour := plotColours[i%len(plotColours)]
		fmt.Fprintf(b, `<polyline fill="none" stroke="%s" stroke-width="1.5" points="`, colour)
		const points = 200
		for k := range points + 1 {
			if len(l.sorted) > 0 {
				at := l.sorted[min(k*len(l.sorted)/points, len(l.sorted)-1)]
				fmt.Fprintf(b, "%.1f,%.1f ", plotX(left, at.Seconds()), y(float64(k)/points))
			}
		}
		fmt.Fprintf(b, `"/><text x="%.1f" y="%.1f" fill="%s">%s</text>`+"\n", left+8, plotTop+14+14*float64(i), colour, l.name)
	}
}

func plotX(left, seconds float64) float64 {
	return left + plotWidth*(math.Log10(max(seconds, 0.1))+1)/4
}
