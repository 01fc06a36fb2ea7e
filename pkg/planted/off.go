//go:build !planted

package planted

// Is reports whether this process has the bug.
func Is(Bug) bool { return false }

// Sometimes is Is, once in a while.
func Sometimes(Bug) bool { return false }

// Script is the text of a Redis script with the bug that this process has, if that is one of the script.
func Script(text string) string { return text }
