package emulator

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

const controlPath = "/_emulator/"

// metadataHost is where programs look for the metadata of their instance; a local redirection keeps it as the Host.
const metadataHost = "100.100.100.200"

// guard keeps browsers out of what asks for no signature: a page of another origin, and on loopback a page whose name was
// made to mean this address. It reports whether the request may go on.
func guard(w http.ResponseWriter, r *http.Request) bool {
	// The standard check lets every GET pass, and some of these answers are credentials.
	site := r.Header.Get("Sec-Fetch-Site")
	if err := http.NewCrossOriginProtection().Check(r); err != nil || site != "" && site != "same-origin" && site != "none" {
		plainText(w, http.StatusForbidden, "cross-origin request\n")
		return false
	}
	if onLoopback(r) && !localHost(r.Host) {
		plainText(w, http.StatusForbidden, "foreign host\n")
		return false
	}
	return true
}

// onLoopback tells whether the request came in over the loopback address.
func onLoopback(r *http.Request) bool {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return false // called in process
	}
	addr, err := netip.ParseAddrPort(local.String())
	return err == nil && addr.Addr().Unmap().IsLoopback()
}

func localHost(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && addr.Unmap().IsLoopback() || strings.EqualFold(host, "localhost") || host == metadataHost
}

// serveControl is the emulator's own interface. It takes no signature: who reaches the port may use it.
func (e *Emulator) serveControl(w http.ResponseWriter, r *http.Request) {
	if !guard(w, r) {
		return
	}
	var reply any
	err := errNoControl
	switch r.Method + " " + strings.TrimPrefix(r.URL.Path, controlPath) {
	case "GET clock":
		reply, err = e.clockReply(), nil
	case "POST clock":
		if err = e.moveClock(r.Body); err == nil {
			reply = e.clockReply()
		}
	case "GET faults":
		reply, err = e.faults.text(), nil
	case "POST faults":
		var rules []Fault
		if err = strictly(r.Body, &rules); err == nil {
			err = e.faults.add(rules)
		}
		reply = e.faults.text()
	case "DELETE faults":
		e.faults.clear()
		reply, err = e.faults.text(), nil
	case "GET requests":
		reply, err = e.journal.list(), nil
	case "DELETE requests":
		e.journal.clear()
		reply, err = e.journal.list(), nil
	}
	switch {
	case errors.Is(err, errNoControl):
		plainText(w, http.StatusNotFound, err.Error()+"\n")
	case err != nil:
		plainText(w, http.StatusBadRequest, err.Error()+"\n")
	default:
		write(w, http.StatusOK, "", reply)
	}
}

var (
	errNoControl = errors.New("GET and POST " + controlPath + "clock; GET, POST and DELETE " + controlPath + "faults; GET and DELETE " + controlPath + "requests")
	errJSON      = errors.New("not the JSON that is wanted here")
	errMove      = errors.New(`want {"advance": "24h"} or {"set": "2026-01-02T03:04:05Z"}`)
)

// strictly decodes one JSON document.
func strictly(body io.Reader, into any) error {
	dec := json.NewDecoder(io.LimitReader(body, maxBody))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return fmt.Errorf("%w: %s", errJSON, strings.TrimPrefix(err.Error(), "json: "))
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errJSON
	}
	return nil
}

type clockReply struct {
	Now   time.Time `json:"now"`
	Ahead string    `json:"ahead"` // of the real clock
}

func (e *Emulator) clockReply() clockReply {
	now := e.clock.now()
	return clockReply{Now: now.UTC(), Ahead: now.Sub(e.clock.real()).Round(time.Second).String()}
}

// moveClock reads one of two moves.
func (e *Emulator) moveClock(body io.Reader) error {
	var move struct {
		Advance string    `json:"advance"`
		Set     time.Time `json:"set"`
	}
	if strictly(body, &move) != nil || (move.Advance == "") == move.Set.IsZero() {
		return errMove
	}
	if move.Advance == "" {
		return e.commit(func() error { return e.clock.set(move.Set) })
	}
	d, err := time.ParseDuration(move.Advance)
	if err != nil {
		return errMove
	}
	return e.Advance(d)
}
