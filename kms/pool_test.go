package kms

// closeIdle lets go of what would outlive a test.
func (c *Client) closeIdle() {
	c.transport.plain.CloseIdleConnections()
	if t, err := c.transport.secure(); err == nil {
		t.CloseIdleConnections()
	}
}
