//! HTTP API, configuration and wiring; the binary usher.
