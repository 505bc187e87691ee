package emulator

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
)

// captured takes an answer in, to be delivered damaged.
type captured struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (c *captured) Header() http.Header         { return c.header }
func (c *captured) WriteHeader(status int)      { c.status = status }
func (c *captured) Write(p []byte) (int, error) { return c.body.Write(p) }

// deliver sends the answer as the fault has it.
func (c *captured) deliver(w http.ResponseWriter, kind string) {
	body := c.body.Bytes()
	half := body[:len(body)/2]
	switch kind {
	case kindContentType:
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(c.status)
		_, _ = w.Write(body)
	case kindTruncate: // half of it, as if that were all
		w.Header().Set("Content-Type", c.header.Get("Content-Type"))
		w.WriteHeader(c.status)
		_, _ = w.Write(half)
	case kindReset:
		reset(w, c.header.Get("Content-Type"), c.status, half, len(body))
	}
}

// reset breaks the connection off in the middle of the body, with a RST where the connection is TCP's.
func reset(w http.ResponseWriter, contentType string, status int, half []byte, length int) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil { // HTTP/2, or no connection at all
		w.Header().Set("Content-Length", fmt.Sprint(length))
		w.WriteHeader(status)
		_, _ = w.Write(half)
		panic(http.ErrAbortHandler)
	}
	_, _ = fmt.Fprintf(conn, "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s",
		status, http.StatusText(status), contentType, length, half)
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}
