package output

import (
	_ "embed"
	"slices"
	"sync"

	"netprobe/internal/packed"
)

//go:generate go run netprobe/internal/packed/gen schema/v1.json

// schemaPacked is schema/v1.json.
//
//go:embed schema/v1.json.flate
var schemaPacked []byte

var schemaV1 = sync.OnceValue(func() []byte { return packed.Unpack(schemaPacked) })

// Schema returns the JSON Schema (draft 2020-12) of the records, version 1.
func Schema() []byte { return slices.Clone(schemaV1()) }
