package config_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/talus-tally/talus/pkg/config"
)

// env returns a getenv over name, value pairs.
func env(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func TestAnUnsetOrEmptyVariableMeansTheDefault(t *testing.T) {
	t.Parallel()
	r := config.From(env("EMPTY", "", "BLANK", "  "))

	text := r.String("UNSET", "x", "")
	count := r.Int("EMPTY", 7, 1, 9, "")
	wait := r.Duration("BLANK", time.Minute, 0, time.Hour, "")

	if text != "x" || count != 7 || wait != time.Minute || r.Err() != nil {
		t.Fatalf("got %q, %d, %v, %v", text, count, wait, r.Err())
	}
}

func TestANilEnvironmentFindsNothing(t *testing.T) {
	t.Parallel()
	if got := config.From(nil).Bool("ANY", true, ""); !got {
		t.Fatal("want the default")
	}
}

func TestTextIsTrimmed(t *testing.T) {
	t.Parallel()
	if got := config.From(env("A", " b \n")).String("A", "", ""); got != "b" {
		t.Fatalf("got %q", got)
	}
}

func TestWholeNumbersStayInTheirRange(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{"2": 2, "2000": 2000, "2,000": 2000, "1_000": 1000} {
		r := config.From(env("N", text))
		if got := r.Int("N", 5, 2, 2000, ""); got != want || r.Err() != nil {
			t.Errorf("%q: got %d, %v", text, got, r.Err())
		}
	}
	for _, text := range []string{"1", "2001", "many", "2.5", "99999999999999999999"} {
		r := config.From(env("N", text))
		if got := r.Int("N", 5, 2, 2000, ""); got != 5 || r.Err() == nil {
			t.Errorf("%q: got %d, %v; want the default and an error", text, got, r.Err())
		}
	}
}

func TestDurationsHaveAUnit(t *testing.T) {
	t.Parallel()
	good := map[string]time.Duration{"0": 0, "500ms": 500 * time.Millisecond, "24h": 24 * time.Hour, "7d": 168 * time.Hour, "1.5d": 36 * time.Hour}
	for text, want := range good {
		r := config.From(env("D", text))
		if got := r.Duration("D", time.Second, 0, 1000*time.Hour, ""); got != want || r.Err() != nil {
			t.Errorf("%q: got %v, %v", text, got, r.Err())
		}
	}
	for _, text := range []string{"10", "-1s", "d", "NaNd", "1e30d", "2000h", "soon"} {
		r := config.From(env("D", text))
		if got := r.Duration("D", time.Second, 0, 1000*time.Hour, ""); got != time.Second || r.Err() == nil {
			t.Errorf("%q: got %v, %v; want the default and an error", text, got, r.Err())
		}
	}
}

func TestSizesHaveUnitsOfPowersOf1024(t *testing.T) {
	t.Parallel()
	good := map[string]int64{"65536": 65536, "64KiB": 65536, "64kb": 65536, "64 k": 65536, "4MB": 4 << 20, "1.5GiB": 3 << 29, "12b": 12}
	for text, want := range good {
		r := config.From(env("S", text))
		if got := r.Bytes("S", 1, 0, 1<<40, ""); got != want || r.Err() != nil {
			t.Errorf("%q: got %d, %v", text, got, r.Err())
		}
	}
	for _, text := range []string{"-1", "MiB", "4MBit", "NaN", "1e300", "2000GiB"} {
		r := config.From(env("S", text))
		if got := r.Bytes("S", 1, 0, 1<<40, ""); got != 1 || r.Err() == nil {
			t.Errorf("%q: got %d, %v; want the default and an error", text, got, r.Err())
		}
	}
}

func TestAddressesHaveAPort(t *testing.T) {
	t.Parallel()
	for _, text := range []string{":0", ":8080", "127.0.0.1:65535", "[::1]:80", "localhost:1"} {
		r := config.From(env("A", text))
		if got := r.Address("A", ":1", ""); got != text || r.Err() != nil {
			t.Errorf("%q: got %q, %v", text, got, r.Err())
		}
	}
	for _, text := range []string{"8080", ":65536", ":-1", ":http", "::1:80"} {
		r := config.From(env("A", text))
		if got := r.Address("A", ":1", ""); got != ":1" || r.Err() == nil {
			t.Errorf("%q: got %q, %v; want the default and an error", text, got, r.Err())
		}
	}
}

func TestListsDropEmptyParts(t *testing.T) {
	t.Parallel()
	got := config.From(env("L", " a, b ,,c,")).List("L", nil, "")
	if want := []string{"a", "b", "c"}; !slices.Equal(got, want) {
		t.Fatalf("got %q", got)
	}
	r := config.From(env("L", " , "))
	if got := r.List("L", []string{"d"}, ""); !slices.Equal(got, []string{"d"}) || r.Err() == nil {
		t.Fatalf("got %q, %v; want the default and an error", got, r.Err())
	}
}

func TestChoicesAndTruthAreReadRegardlessOfCase(t *testing.T) {
	t.Parallel()
	r := config.From(env("C", "JSON", "B", "Yes", "Z", "off"))

	choice := r.Choice("C", "text", "", "text", "json")
	yes := r.Bool("B", false, "")
	no := r.Bool("Z", true, "")

	if choice != "json" || !yes || no || r.Err() != nil {
		t.Fatalf("got %q, %v, %v, %v", choice, yes, no, r.Err())
	}
}

func TestEveryBadValueIsNamedWithWhatIsAccepted(t *testing.T) {
	t.Parallel()
	r := config.From(env("A", "x", "B", "perhaps", "C", "blue", "D", "nowhere"))

	r.Int("A", 1, 0, 9, "")
	r.Bool("B", true, "")
	r.Choice("C", "red", "", "red", "green")
	r.Checked("D", "here", "a place", "", func(s string) bool { return s == "here" })

	want := "A=\"x\": want whole number from 0 to 9\n" +
		"B=\"perhaps\": want true or false\n" +
		"C=\"blue\": want one of red, green\n" +
		"D=\"nowhere\": want a place"
	if got := r.Err().Error(); got != want {
		t.Fatalf("got:\n%s\nwant:\n%s", got, want)
	}
	var bad *config.Error
	if !errors.As(r.Err(), &bad) || bad.Name != "A" {
		t.Fatalf("got %+v, want the first part as *config.Error", bad)
	}
}

func TestASecretIsNeverPrinted(t *testing.T) {
	t.Parallel()
	r := config.From(env("KEY", "hunter2", "SHORT", "abc"))
	long := func(s string) bool { return len(s) > 5 }

	if got := r.Secret("KEY", "a key", "", long); got != "hunter2" {
		t.Fatalf("got %q", got)
	}
	if got := r.Secret("SHORT", "more than five letters", "", long); got != "" {
		t.Fatalf("got %q", got)
	}
	var table strings.Builder
	if err := config.WriteTable(&table, r.Settings()); err != nil {
		t.Fatal(err)
	}
	if msg := r.Err().Error(); msg != "SHORT: want more than five letters" {
		t.Fatalf("got %q", msg)
	}
	if strings.Contains(table.String(), "hunter2") {
		t.Fatalf("secret in %s", table.String())
	}
}

func TestANameThatTwoServicesReadIsListedAndReportedOnce(t *testing.T) {
	t.Parallel()
	r := config.From(env("N", "x", "K", "y"))
	never := func(string) bool { return false }

	r.Int("N", 1, 0, 9, "first")
	r.Int("N", 1, 0, 9, "second")
	r.Secret("K", "a key", "", never)
	r.Secret("K", "a key", "", never)

	if s := r.Settings(); len(s) != 2 || s[0].About != "first" {
		t.Fatalf("got %+v", s)
	}
	if got := r.Err().Error(); strings.Count(got, "N=") != 1 || strings.Count(got, "K:") != 1 {
		t.Fatalf("got %q", got)
	}
}

func TestASettledVariableHoldsForAllThatReadItLater(t *testing.T) {
	t.Parallel()
	r := config.From(env("URL", "embedded", "STORE", ""))

	first := r.String("URL", "embedded", "")
	r.Settle("URL", "redis://127.0.0.1:1")
	r.Settle("STORE", "file")
	second := r.String("URL", "redis:", "")
	store := r.Checked("STORE", "redis:", "file", "", func(s string) bool { return s == "file" })

	if first != "embedded" || second != "redis://127.0.0.1:1" || store != "file" || r.Err() != nil {
		t.Fatalf("got %q, %q, %q, %v", first, second, store, r.Err())
	}
}
