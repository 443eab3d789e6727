//! The binary `usher-bench`.

use std::process::ExitCode;

fn main() -> ExitCode {
    usher_bench::main()
}
