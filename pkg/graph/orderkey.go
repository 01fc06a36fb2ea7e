package graph

import "strings"

// Order keys are fractional indices: between any two there is always a third, so a node finds its place without a write
// to its siblings. A key is an integer of variable width and a fraction, in base 62 with digits in byte order. The first
// letter of the integer tells its width: 'a' one digit, 'b' two and so on upwards, 'Z' one digit, 'Y' two and so on
// downwards. Thus appending and prepending step the integer and keep keys short, and only insertions at one and the same
// place in the middle make the fraction grow. A fraction never ends in the digit zero.

const (
	// MaxOrderKey is the greatest length of an order key in bytes. An insertion that would need a longer one spreads
	// the keys around it anew.
	MaxOrderKey = 64

	digits    = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	firstKey  = "a0"
	lowestInt = "A00000000000000000000000000"
)

// OrderKeys returns n ascending order keys for siblings that are loaded together.
func OrderKeys(n int) []string { return spread(make([]string, 0, n), "", "", n) }

// between returns a key above lo and below hi; an empty bound is open.
func between(lo, hi string) string {
	switch {
	case lo == "" && hi == "":
		return firstKey
	case lo == "":
		whole, fraction := split(hi)
		if fraction != "" && whole != lowestInt {
			return whole
		}
		if whole == lowestInt {
			return whole + middle("", fraction)
		}
		if down := decrement(whole); down != lowestInt {
			return down
		}
		return lowestInt + middle("", "")
	}
	whole, fraction := split(lo)
	if hi != "" {
		if top, above := split(hi); top == whole {
			return whole + middle(fraction, above)
		}
	}
	if up, ok := increment(whole); ok && (hi == "" || up < hi) {
		return up
	}
	return whole + middle(fraction, "")
}

// spread appends n ascending keys between lo and hi to keys, as short as they can be.
func spread(keys []string, lo, hi string, n int) []string {
	switch {
	case n == 0:
		return keys
	case hi == "":
		for range n {
			lo = between(lo, "")
			keys = append(keys, lo)
		}
		return keys
	case lo == "":
		at := len(keys)
		keys = append(keys, make([]string, n)...)
		for i := at + n - 1; i >= at; i-- {
			hi = between("", hi)
			keys[i] = hi
		}
		return keys
	}
	mid := between(lo, hi)
	keys = spread(keys, lo, mid, (n-1)/2)
	keys = append(keys, mid)
	return spread(keys, mid, hi, n-1-(n-1)/2)
}

// middle returns a fraction between the fractions a and b; an empty b stands for one.
func middle(a, b string) string {
	same := 0
	for same < len(b) && digitAt(a, same) == digit(b[same]) {
		same++
	}
	if same > 0 {
		return b[:same] + middle(a[min(same, len(a)):], b[same:])
	}
	low, high := digitAt(a, 0), len(digits)
	if b != "" {
		high = digit(b[0])
	}
	if high-low > 1 {
		return digits[(low+high)/2 : (low+high)/2+1]
	}
	if len(b) > 1 {
		return b[:1]
	}
	return digits[low:low+1] + middle(a[min(1, len(a)):], "")
}

// increment returns the next integer, false after the highest.
func increment(whole string) (string, bool) {
	d := []byte(whole)
	for i := len(d) - 1; i > 0; i-- {
		if v := digit(d[i]); v+1 < len(digits) {
			d[i] = digits[v+1]
			return string(d), true
		}
		d[i] = '0'
	}
	switch head := d[0]; head {
	case 'z':
		return "", false
	case 'Z':
		return firstKey, true
	default:
		return string(head+1) + strings.Repeat("0", width(head+1)), true
	}
}

// decrement returns the integer before whole, which is not lowestInt.
func decrement(whole string) string {
	d := []byte(whole)
	for i := len(d) - 1; i > 0; i-- {
		if v := digit(d[i]); v > 0 {
			d[i] = digits[v-1]
			return string(d)
		}
		d[i] = 'z'
	}
	if d[0] == 'a' {
		return "Zz"
	}
	return string(d[0]-1) + strings.Repeat("z", width(d[0]-1))
}

// split cuts a valid key into integer and fraction.
func split(key string) (whole, fraction string) {
	w := 1 + width(key[0])
	return key[:w], key[w:]
}

// width returns how many digits follow the first letter of an integer, 0 for what is no such letter.
func width(head byte) int {
	switch {
	case 'a' <= head && head <= 'z':
		return int(head-'a') + 1
	case 'A' <= head && head <= 'Z':
		return int('Z'-head) + 1
	}
	return 0
}

// digit returns the value of a base 62 digit, -1 for what is none.
func digit(c byte) int { return strings.IndexByte(digits, c) }

// digitAt returns the value of digit i of a fraction, which is zero behind its end.
func digitAt(fraction string, i int) int {
	if i < len(fraction) {
		return digit(fraction[i])
	}
	return 0
}

// validKey reports whether key is an order key.
func validKey(key string) bool {
	if key == "" || len(key) > MaxOrderKey || key == lowestInt {
		return false
	}
	w := width(key[0])
	if w == 0 || len(key) < 1+w || (len(key) > 1+w && key[len(key)-1] == '0') {
		return false
	}
	for i := range len(key) {
		if digit(key[i]) < 0 {
			return false
		}
	}
	return true
}
