package watch

// events is a heap by time.
type events struct{ list []event }

func (h *events) len() int { return len(h.list) }

func (h *events) push(e event) {
	h.list = append(h.list, e)
	for i := len(h.list) - 1; i > 0; {
		parent := (i - 1) / 2
		if h.list[parent].at <= h.list[i].at {
			return
		}
		h.list[parent], h.list[i] = h.list[i], h.list[parent]
		i = parent
	}
}

func (h *events) pop() event {
	top, last := h.list[0], len(h.list)-1
	h.list[0] = h.list[last]
	h.list = h.list[:last]
	for i := 0; ; {
		child := 2*i + 1
		if child >= last {
			return top
		}
		if child+1 < last && h.list[child+1].at < h.list[child].at {
			child++
		}
		if h.list[i].at <= h.list[child].at {
			return top
		}
		h.list[i], h.list[child] = h.list[child], h.list[i]
		i = child
	}
}
