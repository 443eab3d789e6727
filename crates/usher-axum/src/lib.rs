//! Drives usher-auth connections on axum and tokio: upgrade, timers, close, key fetching.
