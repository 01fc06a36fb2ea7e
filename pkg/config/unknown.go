package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Unknown is a variable that carries the program's prefix and that no setting reads.
type Unknown struct {
	Name    string // as found in the environment
	Nearest string // the most similar setting; empty when none is near
}

// String says what was found and, when there is one, what may have been meant.
func (u Unknown) String() string {
	if u.Nearest == "" {
		return u.Name + " is not a setting"
	}
	return fmt.Sprintf("%s is not a setting; did you mean %s?", u.Name, u.Nearest)
}

// UnknownNames returns, sorted, the names in environ (as os.Environ gives it) that begin with prefix and are not among
// known. Names that begin with one of the ignored prefixes, such as those that only tests read, are left out.
func UnknownNames(environ []string, prefix string, known []Setting, ignored ...string) []Unknown {
	var unknown []Unknown
	for _, entry := range environ {
		name, _, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, prefix) || isKnown(known, name) || hasAnyPrefix(name, ignored) {
			continue
		}
		unknown = append(unknown, Unknown{Name: name, Nearest: nearest(name, prefix, known)})
	}
	slices.SortFunc(unknown, func(a, b Unknown) int { return cmp.Compare(a.Name, b.Name) })
	return unknown
}

func isKnown(known []Setting, name string) bool {
	return slices.ContainsFunc(known, func(s Setting) bool { return s.Name == name })
}

func hasAnyPrefix(name string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(name, p) })
}

// nearest finds the setting whose name differs in the fewest letters, if those are at most half of what follows the
// prefix: further away a guess would mislead.
func nearest(name, prefix string, known []Setting) string {
	best, bestDistance := "", len(name)
	for _, s := range known {
		if d := distance(name, s.Name); d < bestDistance {
			best, bestDistance = s.Name, d
		}
	}
	if bestDistance > (len(name)-len(prefix)+1)/2 {
		return ""
	}
	return best
}

// distance is the Levenshtein distance of two names: letters to insert, drop or replace.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			above := row[j+1]
			row[j+1] = min(above+1, row[j]+1, diagonal+cost)
			diagonal = above
		}
	}
	return row[len(b)]
}
