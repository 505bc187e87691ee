package config

import _ "embed"

//go:embed schema.json
var schema []byte

// Schema is the JSON Schema (draft 2020-12) of a declaration. A test makes it of the
// types here and their comments.
func Schema() []byte { return schema }
