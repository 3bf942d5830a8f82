//! Command line entry point.

use emu::cli::{self, Config};
use emu::diag::{log, stats};
use std::ffi::OsString;
use std::path::Path;

fn main() {
    let config = match Config::parse(std::env::args_os(), &|name| std::env::var_os(name)) {
        Ok(config) => config,
        Err(stop) if stop.status == 0 => {
            print!("{}", stop.text);
            std::process::exit(0);
        }
        Err(stop) => fail(&stop.text, stop.status),
    };
    let mut items = config.log;
    items.set(log::Items::STRACE, config.strace);
    if let Err(error) = log::init(items, config.log_file.as_deref(), config.reexec.is_some()) {
        let file = config.log_file.as_deref().unwrap_or(Path::new("-"));
        fail(&format!("-D {}: {error}", file.display()), cli::EXIT_USAGE);
    }
    stats::set_count_execution(config.stats);
    let path = std::env::var_os("PATH").unwrap_or_else(|| OsString::from("/usr/local/bin:/usr/bin:/bin"));
    let found = match cli::find_program(&config.program, &path, &|p| p.to_path_buf()) {
        Ok(found) => found,
        Err(error) => fail(&error.to_string(), error.status()),
    };
    fail(
        &format!("{}: this build cannot execute guest code", found.guest.display()),
        cli::EXIT_CANNOT_RUN,
    );
}

/// One line on standard error, then the exit status.
fn fail(text: &str, status: i32) -> ! {
    eprintln!("emu: {text}");
    std::process::exit(status)
}
