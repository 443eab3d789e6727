//! Rooms through their front door: frames in as text, frames out as JSON.

mod support;

mod presence;
mod rights;
mod s7;

mod nodes;
mod records;

mod model;
mod storm;
