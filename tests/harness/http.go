package harness

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"testing"
	"time"
)

// Answer is what an instance said.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Decode reads the JSON body into v and fails the test if it is none.
func (a Answer) Decode(t testing.TB, v any) {
	t.Helper()
	if err := json.Unmarshal(a.Body, v); err != nil {
		t.Fatalf("answer %d is not the JSON we expected: %v\n%.500s", a.Status, err, a.Body)
	}
}

// Code is the problem code in the body, or empty.
func (a Answer) Code() string {
	var p struct {
		Error struct{ Code string }
	}
	_ = json.Unmarshal(a.Body, &p) // an answer without a problem has no code
	return p.Error.Code
}

var client = &http.Client{
	Timeout:   60 * time.Second,
	Transport: &http.Transport{MaxIdleConnsPerHost: 64, MaxIdleConns: 256},
}

// Do sends one request with a JSON body (none if nil) and extra headers as pairs of name and value. The error is a
// failure to get any answer.
func Do(method, url string, body any, header ...string) (Answer, error) {
	var r io.Reader
	switch b := body.(type) {
	case nil:
	case []byte:
		r = bytes.NewReader(b)
	default:
		text, err := json.Marshal(body)
		if err != nil {
			return Answer{}, err
		}
		r = bytes.NewReader(text)
	}
	req, err := http.NewRequest(method, url, r)
	if err != nil {
		return Answer{}, err
	}
	if r != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := client.Do(req)
	if err != nil {
		return Answer{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return Answer{Status: resp.StatusCode, Header: resp.Header, Body: text}, err
}

// Must is Do for a test that expects one certain status.
func Must(t testing.TB, want int, method, url string, body any, header ...string) Answer {
	t.Helper()
	a, err := Do(method, url, body, header...)
	if err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
	if a.Status != want {
		t.Fatalf("%s %s: status %d, want %d\n%.500s", method, url, a.Status, want, a.Body)
	}
	return a
}

func awaitReady(t testing.TB, url string) {
	t.Helper()
	Eventually(t, "ready: "+url, func() bool {
		a, err := Do(http.MethodGet, url+"/readyz", nil)
		return err == nil && a.Status == http.StatusOK
	})
}

// Eventually waits until ok holds, and fails the test after Patience.
func Eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(Patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("never happened in %v: %s", Patience, what)
		}
		<-tick.C
	}
}
