package report

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"math"
)

// Chart is curves over one axis.
type Chart struct {
	File       string   `json:"file"` // name without extension
	Title      string   `json:"title"`
	X          string   `json:"x"`
	Y          string   `json:"y"`
	LogX, LogY bool     `json:"-"`
	Series     []Series `json:"series"`
}

// Series is one curve.
type Series struct {
	Name   string       `json:"name"`
	Points [][2]float64 `json:"points"`
}

// The size of a picture in pixels, and of the margins around the axes.
const (
	width, height                    = 720, 400
	left, right, top, bottom         = 70, 150, 40, 50
	innerWidth, innerHeight          = width - left - right, height - top - bottom
	ink, paper, faint                = "#1f2937", "#ffffff", "#e5e7eb"
	fontFamily                       = "system-ui,sans-serif"
	smallest                 float64 = 1e-9
)

// colours tell curves apart, also for people who do not see all colours (Okabe and Ito).
func colours() []string {
	return []string{"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"}
}

// axis maps values to pixels.
type axis struct {
	low, high float64
	log       bool
}

// newAxis makes an axis for all values; a linear one begins at 0.
func newAxis(values []float64, log bool) axis {
	a := axis{low: math.Inf(1), high: math.Inf(-1), log: log}
	for _, v := range values {
		if log {
			v = max(v, smallest)
		}
		a.low, a.high = min(a.low, v), max(a.high, v)
	}
	if len(values) == 0 {
		a.low, a.high = 1, 1
	}
	if log {
		a.low = math.Pow(10, math.Floor(math.Log10(a.low)+1e-9))
		a.high = math.Pow(10, math.Ceil(math.Log10(a.high)-1e-9))
		if a.low == a.high {
			a.high *= 10
		}
		return a
	}
	a.low = min(a.low, 0)
	step := a.step()
	a.high = math.Ceil(a.high/step-1e-9) * step
	if a.high == a.low {
		a.high = a.low + 1
	}
	return a
}

// step is a round distance between about five marks of a linear axis.
func (a axis) step() float64 {
	span := max(a.high-a.low, smallest)
	unit := math.Pow(10, math.Floor(math.Log10(span/5)))
	for _, times := range []float64{1, 2, 5, 10} {
		if span/(unit*times) <= 6 {
			return unit * times
		}
	}
	return unit * 10
}

// at is the place of a value between 0 and 1.
func (a axis) at(v float64) float64 {
	if a.log {
		return (math.Log10(max(v, smallest)) - math.Log10(a.low)) / (math.Log10(a.high) - math.Log10(a.low))
	}
	return (v - a.low) / (a.high - a.low)
}

// marks are the values that the axis names.
func (a axis) marks() (marks []float64) {
	if a.log {
		for v := a.low; v <= a.high*1.001; v *= 10 {
			marks = append(marks, v)
		}
		return marks
	}
	for v := a.low; v <= a.high+a.step()/2; v += a.step() {
		marks = append(marks, v)
	}
	return marks
}

// SVG draws the chart.
func (c Chart) SVG() []byte {
	var xs, ys []float64
	for _, s := range c.Series {
		for _, p := range s.Points {
			xs, ys = append(xs, p[0]), append(ys, p[1])
		}
	}
	d := drawing{x: newAxis(xs, c.LogX), y: newAxis(ys, c.LogY)}
	d.printf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="%s" font-size="12" fill="%s">`, width, height, fontFamily, ink)
	d.printf(`<rect width="%d" height="%d" fill="%s"/>`, width, height, paper)
	d.text(left, 22, "start", `font-size="15" font-weight="600"`, c.Title)
	d.grid()
	d.text(left+innerWidth/2, height-10, "middle", "", c.X)
	d.text(0, 0, "middle", fmt.Sprintf(`transform="translate(16 %d) rotate(-90)"`, top+innerHeight/2), c.Y)
	for i, s := range c.Series {
		d.curve(s, colours()[i%len(colours())], i)
	}
	d.printf("</svg>\n")
	return d.out.Bytes()
}

// drawing is a picture in the making.
type drawing struct {
	x, y axis
	out  bytes.Buffer
}

func (d *drawing) printf(format string, args ...any) { fmt.Fprintf(&d.out, format, args...) }

func (d *drawing) text(x, y float64, anchor, more, text string) {
	d.printf(`<text x="%.1f" y="%.1f" text-anchor="%s" %s>`, x, y, anchor, more)
	_ = xml.EscapeText(&d.out, []byte(text)) // a buffer takes everything
	d.printf("</text>")
}

func (d *drawing) place(p [2]float64) (x, y float64) {
	return left + d.x.at(p[0])*innerWidth, top + (1-d.y.at(p[1]))*innerHeight
}

func (d *drawing) grid() {
	for _, v := range d.x.marks() {
		x, _ := d.place([2]float64{v, d.y.low})
		d.printf(`<path d="M%.1f %d v%d" stroke="%s"/>`, x, top, innerHeight, faint)
		d.text(x, top+innerHeight+18, "middle", "", short(v))
	}
	for _, v := range d.y.marks() {
		_, y := d.place([2]float64{d.x.low, v})
		d.printf(`<path d="M%d %.1f h%d" stroke="%s"/>`, left, y, innerWidth, faint)
		d.text(left-8, y+4, "end", "", short(v))
	}
	d.printf(`<path d="M%d %d v%d h%d" fill="none" stroke="%s"/>`, left, top, innerHeight, innerWidth, ink)
}

func (d *drawing) curve(s Series, colour string, i int) {
	d.printf(`<polyline fill="none" stroke="%s" stroke-width="2" points="`, colour)
	for _, p := range s.Points {
		x, y := d.place(p)
		d.printf("%.1f,%.1f ", x, y)
	}
	d.printf(`"/>`)
	for _, p := range s.Points {
		x, y := d.place(p)
		d.printf(`<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>`, x, y, colour)
	}
	y := float64(top + 10 + 18*i)
	d.printf(`<rect x="%d" y="%.1f" width="12" height="3" fill="%s"/>`, width-right+12, y-4, colour)
	d.text(width-right+30, y, "start", "", s.Name)
}

// short is a number as an axis names it.
func short(v float64) string {
	switch {
	case v >= 1e6:
		return fmt.Sprintf("%gM", v/1e6)
	case v >= 1e4:
		return fmt.Sprintf("%gk", v/1e3)
	default:
		return fmt.Sprintf("%.4g", v)
	}
}
