package graph

// roomyKey is the length up to which re-keyed siblings go: short enough that the next re-keying is hundreds of
// insertions away.
const roomyKey = MaxOrderKey / 2

// place finds the order key with which a node stands at index among the children of parent, counted without moving, the
// node itself if it is in the graph already (else nil). An index behind the end, or End, means the end. Where keys
// have grown too long, the siblings around the place get new ones: those touches come first in the change.
func (g *Graph) place(parent NodeID, index int, moving *Node) (order string, rekeyed []Touch, err error) {
	gap := gapIn(g.list(parent), parent, moving)
	if index < 0 || index > gap.n {
		index = gap.n
	}
	if index == gap.own {
		return moving.Order, nil, nil
	}
	order = between(gap.key(index-1), gap.key(index))
	if len(order) <= MaxOrderKey {
		return order, nil, nil
	}
	return gap.rekey(index)
}

// gap is a sibling list seen without one of its nodes.
type gap struct {
	list *siblings
	n    int // siblings without the node
	own  int // place of the node that is left out, -1 for none
}

func gapIn(list *siblings, parent NodeID, moving *Node) gap {
	if moving == nil || moving.Parent != parent {
		return gap{list: list, n: list.len(), own: -1}
	}
	return gap{list: list, n: list.len() - 1, own: list.index(moving)}
}

// at returns sibling i, nil outside the list.
func (s gap) at(i int) *Node {
	if i < 0 || i >= s.n {
		return nil
	}
	if s.own >= 0 && i >= s.own {
		i++
	}
	return s.list.at(i)
}

// key returns the order key of sibling i, empty outside the list.
func (s gap) key(i int) string {
	if n := s.at(i); n != nil {
		return n.Order
	}
	return ""
}

// rekey gives new keys to the fewest siblings around index, doubling, that make room for one more there.
func (s gap) rekey(index int) (order string, rekeyed []Touch, err error) {
	for reach := 8; ; reach *= 2 {
		from, to := max(0, index-reach), min(s.n, index+reach)
		if to-from >= MaxTouches {
			return "", nil, reject(TooLarge, "the siblings around place %d have no room left for another node", index)
		}
		keys := spread(nil, s.key(from-1), s.key(to), to-from+1)
		whole := from == 0 && to == s.n
		if !whole && longest(keys) > roomyKey {
			continue
		}
		for i := from; i < to; i++ {
			key := keys[i-from]
			if i >= index {
				key = keys[i-from+1]
			}
			if n := s.at(i); n.Order != key {
				rekeyed = append(rekeyed, Touch{Before: n, After: n.with(func(n *Node) { n.Order = key })})
			}
		}
		return keys[index-from], rekeyed, nil
	}
}

func longest(keys []string) int {
	n := 0
	for _, k := range keys {
		n = max(n, len(k))
	}
	return n
}
