package render

// Keep leaves what is published to those who read it, and unlocks the directory. What
// was published before goes: nobody would be left to sweep it.
func (d *Dir) Keep() error {
	d.SweepAll()
	d.release()
	return nil
}
