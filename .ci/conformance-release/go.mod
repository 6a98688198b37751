// The conformance suite of the distribution specification's tag v1.1.1, pinned for `go test -c`.
module swr.invalid/conformance-release

go 1.24.0

require github.com/opencontainers/distribution-spec/conformance v0.0.0-20250123160558-a139cc423184
