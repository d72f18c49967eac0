//! The binary: hands the arguments over and returns the exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    uploadfs::cli::main(std::env::args_os())
}
