//! The `aurora` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    aurora::main()
}
