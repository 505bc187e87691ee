package emulator

import (
	"net/http"
	"slices"
	"strings"
)

const (
	apiVersion = "2016-01-20" // of KMS
	stsVersion = "2015-04-01"
)

// operation is what a request asks for: an action of KMS or, when sts is not nil, of STS, which the same port serves.
type operation struct {
	action
	name     string
	sts      func(*Emulator, stsCall) (any, error)
	unsigned bool
}

// service is the prefix of the action's name in policies.
func (op operation) service() string {
	if op.sts != nil {
		return "sts:"
	}
	return "kms:"
}

// operation finds the table entry of the request. V3 names the action in headers, V1 in parameters.
func (r *request) operation() (operation, error) {
	name, version := r.params["Action"], r.params["Version"]
	if r.isV3() {
		name, version = r.header.Get("X-Acs-Action"), r.header.Get("X-Acs-Version")
	}
	if name == "" {
		return operation{}, missing("Action")
	}
	if version == "" {
		return operation{}, missing("Version")
	}
	op, ok := operation{name: name}, false
	switch version {
	case apiVersion:
		op.action, ok = actions[name]
	case stsVersion:
		op, ok = stsOperations[name]
	default:
		return operation{}, errVersion
	}
	if !ok {
		return operation{}, errUnknownAction
	}
	if name == "SetSecretPolicy" && r.method != http.MethodPost { // alone in this
		return operation{}, errUnsupportedMethod
	}
	if format := r.params["Format"]; format != "" && !strings.EqualFold(format, "JSON") && !isXML(format) {
		return operation{}, errFormat
	}
	return op, nil
}

// perform does what a believed request asks for, if it may.
func (e *Emulator) perform(op operation, caller identity, t subject, req *request, id string) (any, error) {
	if err := op.check(req.params); err != nil {
		return nil, err
	}
	if op.sts != nil {
		return op.sts(e, stsCall{caller: caller, at: e.circumstances(req), params: req.params, requestID: id})
	}
	dry, err := op.dryRun(req.params)
	if err != nil {
		return nil, err
	}
	var reply any
	err = e.commit(func() (err error) {
		reply, err = e.execute(op, caller, t, req, id)
		return err
	})
	if dry {
		return nil, dryFault(err)
	}
	return reply, err
}

// execute asks the policies before it looks for anything, so that those who may not read don't learn what there is.
func (e *Emulator) execute(op operation, caller identity, t subject, req *request, id string) (any, error) {
	if err := e.authorize(op, caller, t, req); err != nil {
		return nil, err
	}
	if err := e.authorizeKey(op, caller, t, req); err != nil {
		return nil, err
	}
	st, ok := e.accounts.find(t.account)
	if t.account == caller.account {
		st, ok = e.accounts.open(t.account), true
	}
	if !ok {
		return nil, errNotFound
	}
	return op.run(call{store: st, requestID: id, params: op.own(req.params)})
}

// dryRun reads the parameter of those actions that have it.
func (a action) dryRun(p params) (bool, error) {
	if !slices.Contains(a.optional, "DryRun") {
		return false, nil
	}
	return p.boolean("DryRun")
}

// own is what the action itself sees: DryRun is dealt with here. The actions that have it change nothing, so that a dry
// run is a real one whose answer stays here.
func (a action) own(p params) params {
	if !slices.Contains(a.optional, "DryRun") || p["DryRun"] == "" {
		return p
	}
	rest := make(params, len(p))
	for name, value := range p {
		if name != "DryRun" {
			rest[name] = value
		}
	}
	return rest
}

// dryFault is the outcome of a dry run, which never is a success. Statuses and texts are not documented.
func dryFault(err error) *fault {
	f := asFault(err)
	switch {
	case err == nil:
		return errDryRun
	case f.status >= http.StatusInternalServerError:
		return f
	case f.code == errDenied.code:
		return errDryDenied
	}
	return &fault{http.StatusBadRequest, "ValidationError", f.message, false}
}
