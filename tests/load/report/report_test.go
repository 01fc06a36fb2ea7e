package report_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/talus-tally/talus/tests/load/report"
)

func sample() *report.Result {
	r := &report.Result{Scenario: "room", About: "one big room"}
	r.Add("10 clients", report.Figure{Name: "p99", Value: 1.23456, Unit: "ms"}, report.Figure{Name: "rate", Value: 1234567})
	r.Add("20 clients", report.Figure{Name: "p99", Value: 20, Unit: "ms"}, report.Figure{Name: "rate", Value: 0.5})
	r.Add("other", report.Figure{Name: "RSS", Value: 12.5, Unit: "MiB"})
	r.Note("a remark")
	r.Break("%d clients saw another branch", 3)
	r.Charts = []report.Chart{{File: "latency", Title: "a < b", X: "x", Y: "y", LogY: true, Series: []report.Series{
		{Name: "p99", Points: [][2]float64{{0, 0.5}, {10, 20}, {20, 3000}}}, {Name: "empty"},
	}}}
	return r
}

func TestATableIsReadableAsItIs(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	sample().Table(&out)
	const want = `
room: one big room

|            |     p99 |      rate |
|------------|--------:|----------:|
| 10 clients | 1.23 ms | 1,234,567 |
| 20 clients |   20 ms |     0.500 |

|       |      RSS |
|-------|---------:|
| other | 12.5 MiB |

  note: a remark
  BROKEN: 3 clients saw another branch
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}

func TestAReportIsWrittenWithItsPictures(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new")
	if err := (&report.Report{Machine: report.ThisMachine(), Results: []*report.Result{sample()}}).Write(dir); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "report.json"))
	if err != nil {
		t.Fatal(err)
	}
	var back report.Report
	if err := json.Unmarshal(text, &back); err != nil || back.Results[0].Rows[0].Figures[0].Value != 1.23456 || back.Machine.CPUs == 0 {
		t.Errorf("%v, %+v", err, back)
	}
	picture, err := os.ReadFile(filepath.Join(dir, "latency.svg"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(picture), "a &lt; b") {
		t.Error("the title is missing")
	}
}

func TestPicturesAreXMLWhateverTheirPointsAre(t *testing.T) {
	t.Parallel()
	for _, points := range [][][2]float64{nil, {{0, 0}}, {{1, 1}}, {{5, 5}, {5, 5}}, {{1e-12, -3}, {1e12, 1e9}}} {
		for _, log := range []bool{false, true} {
			c := report.Chart{LogX: log, LogY: log, Series: []report.Series{{Name: "<&>", Points: points}}}
			d := xml.NewDecoder(bytes.NewReader(c.SVG()))
			for {
				_, err := d.Token()
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil || bytes.Contains(c.SVG(), []byte("NaN")) {
					t.Fatalf("%v: %v\n%s", points, err, c.SVG())
				}
			}
		}
	}
}
