package jsonbody_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/talus-tally/talus/services/command/internal/jsonbody"
)

func TestBodiesThatCannotComeInAreRefused(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"empty":                "",
		"blank":                " \n\t",
		"broken":               `{"a":`,
		"two values":           `{} {}`,
		"a list":               `[1]`,
		"a word":               `null`,
		"invalid UTF-8":        "{\"a\":\"\xff\"}",
		"raw NUL":              "{\"a\":\"x\x00\"}",
		"escaped NUL":          `{"a":"x\u0000"}`,
		"escaped NUL in a key": `{"\u0000":1}`,
		"high surrogate only":  `{"a":"\ud83d"}`,
		"high then other":      `{"a":"\ud83d\u0041"}`,
		"low surrogate only":   `{"a":"\ude00"}`,
		"too deep":             strings.Repeat(`{"a":`, 65) + "1" + strings.Repeat("}", 65),
		"very deep":            strings.Repeat(`[`, 100_000),
	} {
		_, err := jsonbody.Parse([]byte(body), 64)

		if !errors.Is(err, jsonbody.ErrMalformed) {
			t.Errorf("%s: got %v, want a refusal", name, err)
		}
	}
}

func TestWhatLooksDangerousInsideAStringIsHarmless(t *testing.T) {
	t.Parallel()
	body := `{"a":"` + strings.Repeat("[{", 100) + `","b":"\\u0000","c":"\ud83d\ude00","d":"\"}"}`

	object, err := jsonbody.Parse([]byte(body), 4)

	if err != nil {
		t.Fatal(err)
	}
	for field, want := range map[string]string{"b": `\u0000`, "c": "😀", "d": `"}`} {
		if got, ok, err := object.Text(field); got != want || !ok || err != nil {
			t.Errorf("%s: got %q %v %v, want %q", field, got, ok, err, want)
		}
	}
}

func TestTheLastOfDuplicateFieldsCounts(t *testing.T) {
	t.Parallel()

	object, err := jsonbody.Parse([]byte(`{"a":1,"a":"x","\u0061":"y"}`), 8)

	if got, _, _ := object.Text("a"); err != nil || got != "y" {
		t.Fatalf("got %q %v, want y", got, err)
	}
}

func TestAFieldOfTheWrongTypeIsNamed(t *testing.T) {
	t.Parallel()
	object, err := jsonbody.Parse([]byte(`{"n":1.5,"neg":-1,"huge":1e999,"s":"x","l":[{},1],"o":{"k":true},"null":null}`), 8)
	if err != nil {
		t.Fatal(err)
	}
	for field, read := range map[string]func() error{
		"n":    func() error { _, _, err := object.Count("n"); return err },
		"neg":  func() error { _, _, err := object.Count("neg"); return err },
		"huge": func() error { _, _, err := object.Number("huge"); return err },
		"s":    func() error { _, _, err := object.Number("s"); return err },
		"o":    func() error { _, _, err := object.Text("o"); return err },
		"l":    func() error { _, _, err := object.Object("l"); return err },
		"l[1]": func() error { _, _, err := object.Objects("l"); return err },
	} {
		var wrong *jsonbody.FieldError
		if err := read(); !errors.As(err, &wrong) || wrong.Field != field || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: got %v, want an error that names it", field, err)
		}
	}
	if _, err := object.UUID("s"); err == nil {
		t.Error("a text that is no UUID was taken for one")
	}
	if _, _, err := object.Objects("s"); err == nil {
		t.Error("a text was taken for a list")
	}
}

func TestNullAndMissingFieldsAreNotGiven(t *testing.T) {
	t.Parallel()
	object, err := jsonbody.Parse([]byte(` { "a" : null } `), 8)
	if err != nil {
		t.Fatal(err)
	}
	for _, field := range []string{"a", "b"} {
		id, err := object.UUID(field)
		_, number, err1 := object.Number(field)
		_, count, err2 := object.Count(field)
		_, inner, err3 := object.Object(field)
		_, list, err4 := object.Objects(field)

		if number || count || inner || list || id != uuid.Nil || errors.Join(err, err1, err2, err3, err4) != nil {
			t.Errorf("%s counts as given", field)
		}
	}
}

func TestFieldsAreReadAsTheyAreWritten(t *testing.T) {
	t.Parallel()
	id := uuid.MustParse("0190a1b2-0000-7000-8000-000000000001")
	object, err := jsonbody.Parse([]byte(`{"id":"`+id.String()+`","n":7,"list":[ {"a":1} , {"b":[1,2]} ],"o":{"x":"y"}}`), 8)
	if err != nil {
		t.Fatal(err)
	}

	gotID, err1 := object.UUID("id")
	count, _, err2 := object.Count("n")
	list, _, err3 := object.Objects("list")
	inner, _, err4 := object.Object("o")

	if err := errors.Join(err1, err2, err3, err4); err != nil {
		t.Fatal(err)
	}
	if gotID != id || count != 7 || len(list) != 2 || string(list[1].Raw("b")) != "[1,2]" {
		t.Errorf("got %v %d %v", gotID, count, list)
	}
	if x, _, _ := inner.Text("x"); x != "y" {
		t.Errorf("inner object: got %q", x)
	}
}

func FuzzParseAgreesWithTheStandardLibrary(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"a":1}`, `{"a":{"b":[1,"x",null]},"c":-1e3}`, ` {"a" : "\"" , "b":[] } `, `{"a":"\u0041"}`, `[`, `{"\\":1}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		object, err := jsonbody.Parse(body, 64)
		if err != nil {
			return
		}
		var want map[string]json.RawMessage
		if err := json.Unmarshal(body, &want); err != nil {
			t.Fatalf("accepted %q: %v", body, err)
		}
		got := map[string]json.RawMessage{}
		for _, m := range object {
			got[m.Name] = m.Value
		}
		if len(got) != len(want) || len(want) > 0 && !reflect.DeepEqual(got, want) {
			t.Fatalf("%q: got %q, want %q", body, got, want)
		}
	})
}
