package output

import _ "embed"

//go:embed schema/v1.json
var schemaV1 []byte

// Schema returns the JSON Schema (draft 2020-12) of the records, version 1.
func Schema() []byte { return append([]byte(nil), schemaV1...) }
