package emulator

import (
	"net/http"
	"net/netip"
)

// circumstances are those of a request.
func (e *Emulator) circumstances(r *request) circumstances {
	at := circumstances{now: e.clock.now(), secure: r.secure}
	if addr, err := netip.ParseAddrPort(r.remote); err == nil {
		at.source = addr.Addr().Unmap()
	}
	return at
}

// authorize decides as RAM does: an explicit Deny wins, else somebody has to allow it. Within an account that is either
// the caller's policies or the secret's; across accounts it takes both.
func (e *Emulator) authorize(op operation, caller identity, t subject, r *request) error {
	if e.directory.open && caller.limit == nil {
		return nil
	}
	if resources[op.name] == 0 && caller.kind != kindRoot {
		return errDenied
	}
	q := question{action: op.service() + op.name, resource: t.resource, principals: caller.principals(), at: e.circumstances(r)}
	own := caller.judgeAll(q, t.more)
	of := silent
	if st, ok := e.accounts.find(t.account); ok && (resources[op.name] == oneSecret || resources[op.name] == oneTagged) {
		if p, err := st.policy(t.secret); err == nil {
			q.resource = "*" // as such a policy writes it: the secret it belongs to
			of = p.judge(q)
		}
	}
	if e.directory.open {
		of = allowed
	}
	granted := own == allowed || of == allowed
	if t.account != caller.account {
		granted = own == allowed && of == allowed
	}
	if !granted || own == denied || of == denied {
		return deniedFault(op.name)
	}
	return nil
}

// judgeAll asks about further resources too: each has to be allowed, and none may be denied.
func (id identity) judgeAll(q question, more []string) verdict {
	least := id.judge(q)
	for _, resource := range more {
		q.resource = resource
		switch v := id.judge(q); {
		case v == denied || least == denied:
			least = denied
		case v == silent:
			least = silent
		}
	}
	return least
}

// deniedFault is a 403 everywhere but, by its page, for GetSecretPolicy.
func deniedFault(action string) *fault {
	if action == "GetSecretPolicy" {
		f := *errDenied
		f.status = http.StatusBadRequest
		return &f
	}
	return errDenied
}
