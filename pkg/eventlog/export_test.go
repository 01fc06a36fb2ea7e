package eventlog

// Waiting is the number of callers whose scripts wait for a round trip.
func (l *Log) Waiting() int {
	l.courier.mu.Lock()
	defer l.courier.mu.Unlock()
	return len(l.courier.waiting)
}
