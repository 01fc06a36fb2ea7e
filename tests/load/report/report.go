// Package report is what a load run found, as JSON for machines, as a plain table for people and as SVG for pages.
package report

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// Report is one run of the load generator.
type Report struct {
	Began   time.Time `json:"began"`
	System  string    `json:"system"`
	Machine Machine   `json:"machine"`
	Results []*Result `json:"results"`
}

// Machine is where it ran.
type Machine struct {
	CPUs   int    `json:"cpus"`
	Model  string `json:"model"`
	Kernel string `json:"kernel"`
	Go     string `json:"go"`
}

// ThisMachine describes the machine as far as the system tells.
func ThisMachine() Machine {
	m := Machine{CPUs: runtime.NumCPU(), Go: runtime.Version()}
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		_, after, _ := strings.Cut(string(text), "model name")
		line, _, _ := strings.Cut(after, "\n")
		m.Model = strings.TrimLeft(line, "\t :")
	}
	if text, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.Kernel = strings.TrimSpace(string(text))
	}
	return m
}

// Result is what one scenario found.
type Result struct {
	Scenario string   `json:"scenario"`
	About    string   `json:"about"`
	Rows     []Row    `json:"rows"`
	Charts   []Chart  `json:"charts,omitempty"`
	Notes    []string `json:"notes,omitempty"`
	Broken   []string `json:"broken,omitempty"` // promises of the server that did not hold
}

// Row is one line of a result's table.
type Row struct {
	Label   string   `json:"label"`
	Figures []Figure `json:"figures"`
}

// Figure is one number.
type Figure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit,omitempty"`
}

// Add appends a row.
func (r *Result) Add(label string, figures ...Figure) {
	r.Rows = append(r.Rows, Row{label, figures})
}

// Note appends a remark.
func (r *Result) Note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

// Break notes a promise that did not hold.
func (r *Result) Break(format string, args ...any) {
	r.Broken = append(r.Broken, fmt.Sprintf(format, args...))
}

// Table writes the result for people.
func (r *Result) Table(w io.Writer) {
	fmt.Fprintf(w, "\n%s: %s\n\n", r.Scenario, r.About)
	for start := 0; start < len(r.Rows); {
		end := start + 1
		for end < len(r.Rows) && sameColumns(r.Rows[start], r.Rows[end]) {
			end++
		}
		writeRows(w, r.Rows[start:end])
		start = end
	}
	for _, note := range r.Notes {
		fmt.Fprintf(w, "  note: %s\n", note)
	}
	for _, broken := range r.Broken {
		fmt.Fprintf(w, "  BROKEN: %s\n", broken)
	}
}

func sameColumns(a, b Row) bool {
	if len(a.Figures) != len(b.Figures) {
		return false
	}
	for i := range a.Figures {
		if a.Figures[i].Name != b.Figures[i].Name {
			return false
		}
	}
	return true
}

// writeRows writes rows of the same columns, as Markdown that is readable as it is.
func writeRows(w io.Writer, rows []Row) {
	cells := [][]string{{""}}
	for _, f := range rows[0].Figures {
		cells[0] = append(cells[0], f.Name)
	}
	for _, row := range rows {
		line := []string{row.Label}
		for _, f := range row.Figures {
			line = append(line, f.text())
		}
		cells = append(cells, line)
	}
	widths := make([]int, len(cells[0]))
	for _, line := range cells {
		for i, cell := range line {
			widths[i] = max(widths[i], len([]rune(cell)))
		}
	}
	for n, line := range cells {
		for i, cell := range line {
			pad := strings.Repeat(" ", widths[i]-len([]rune(cell)))
			if i == 0 {
				fmt.Fprintf(w, "| %s%s |", cell, pad)
			} else {
				fmt.Fprintf(w, " %s%s |", pad, cell)
			}
		}
		fmt.Fprintln(w)
		if n == 0 {
			for i, width := range widths {
				rule := strings.Repeat("-", width+2)
				if i > 0 {
					rule = rule[1:] + ":"
				}
				fmt.Fprintf(w, "|%s", rule)
			}
			fmt.Fprintln(w, "|")
		}
	}
	fmt.Fprintln(w)
}

// text is a figure with three significant digits, or all digits of a whole part that has more.
func (f Figure) text() string {
	v, digits := f.Value, 0
	for limit := 100.0; digits < 3 && v < limit && v > -limit; limit /= 10 {
		digits++
	}
	if v == float64(int64(v)) {
		digits = 0
	}
	text := group(strconv.FormatFloat(v, 'f', digits, 64))
	if f.Unit != "" {
		text += " " + f.Unit
	}
	return text
}

// group puts commas between the thousands of a number.
func group(number string) string {
	whole, fraction, _ := strings.Cut(number, ".")
	sign := ""
	if strings.HasPrefix(whole, "-") {
		sign, whole = "-", whole[1:]
	}
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if fraction != "" {
		fraction = "." + fraction
	}
	return sign + whole + fraction
}

// Write puts report.json and the charts into a directory.
func (r *Report) Write(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "report.json"), append(text, '\n'), 0o644); err != nil {
		return err
	}
	for _, result := range r.Results {
		for _, c := range result.Charts {
			if err := os.WriteFile(filepath.Join(dir, c.File+".svg"), c.SVG(), 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}
