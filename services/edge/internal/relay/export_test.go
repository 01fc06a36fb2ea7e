package relay

// AddressOf is where the edge of a session can be reached, as a request looks for it.
func (r *Relay) AddressOf(session string) string { return r.address(ownerOf(session)) }
