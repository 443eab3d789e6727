//! The transports over plain HTTP, one file an endpoint or two.

pub(crate) mod answer;
pub(crate) mod framing;
pub(crate) mod info;
pub(crate) mod pages;
pub(crate) mod polling;
pub(crate) mod sending;
pub(crate) mod streaming;
