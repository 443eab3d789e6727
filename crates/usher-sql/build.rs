//! Tells cargo that the migrations are part of the source: a new file among them has to be embedded.

#![allow(clippy::print_stdout, reason = "this is how a build script speaks to cargo")]

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
