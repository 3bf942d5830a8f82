//! Loads mutated ELF files by the million (`tools/fuzz-loader`): no panic, no hang, nothing outside the guest's window.
//!
//! Progress is kept in a file, a line for each block of cases, so that a run can be stopped and taken up again. A case
//! is known by its number: the same number makes the same file.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

#[path = "../tests/loader/campaign.rs"]
mod campaign;
#[path = "../tests/loader/elf.rs"]
mod elf;
#[path = "../tests/loader/mutate.rs"]
mod mutate;
#[path = "../tests/loader/random.rs"]
mod random;

/// Cases between two lines of the file.
const BLOCK: u64 = 10_000;

#[derive(Parser)]
struct Options {
    /// How many cases to have run in the end.
    #[arg(long, default_value_t = 1_000_000)]
    cases: u64,
    /// Where results are kept; an existing file is taken up where it ends.
    #[arg(long, default_value = "target/fuzz-loader.txt")]
    results: PathBuf,
    /// Write the file of one case to this path and stop.
    #[arg(long, value_names = ["CASE", "FILE"], num_args = 2)]
    show: Option<Vec<String>>,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("fuzz-loader: {error}");
            ExitCode::from(2)
        }
    }
}

/// Whether every case so far went well.
fn run(options: &Options) -> Result<bool, Box<dyn std::error::Error>> {
    if let Some([case, path]) = options.show.as_deref() {
        std::fs::write(path, mutate::mutant(&mutate::seeds(), case.parse()?))?;
        return Ok(true);
    }
    let (mut done, mut bad) = (0, 0);
    // A line: first case, end, loaded, refused, then the numbers of bad cases with their wait status.
    for line in std::fs::read_to_string(&options.results)
        .unwrap_or_default()
        .lines()
    {
        let fields: Vec<&str> = line.split_whitespace().collect();
        if let [start, end, _, _, rest @ ..] = &fields[..]
            && start.parse() == Ok(done)
        {
            done = end.parse()?;
            bad += rest.len();
        }
    }
    let mut results = File::options().create(true).append(true).open(&options.results)?;
    while done < options.cases {
        let end = (done + BLOCK).min(options.cases);
        let outcome = campaign::run(done..end);
        let list: Vec<String> = outcome
            .bad
            .iter()
            .map(|(case, status)| format!("{case}:{status:#x}"))
            .collect();
        let line = format!(
            "{done} {end} {} {} {}",
            outcome.loaded,
            outcome.refused,
            list.join(" ")
        );
        writeln!(results, "{}", line.trim_end())?;
        println!("{}", line.trim_end());
        bad += outcome.bad.len();
        done = end;
    }
    println!("{done} cases, {bad} bad");
    Ok(bad == 0)
}
