//! Executes random instruction words by the million (`tools/fuzz-words`): no panic, no hang, nothing outside the guest's
//! window.
//!
//! Progress is kept in a file, a line for each block of programs, so that a run can be stopped and taken up again. A
//! program is known by its number: the same number makes the same program and the same registers.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

#[path = "../tests/words/campaign.rs"]
mod campaign;
#[path = "../tests/words/program.rs"]
mod program;
#[path = "../tests/random/mod.rs"]
mod random;

/// Programs between two lines of the file.
const BLOCK: u64 = 4096;

#[derive(Parser)]
struct Options {
    /// How many instruction words to have executed in the end, each with registers of its own.
    #[arg(long, default_value_t = 10_000_000)]
    words: u64,
    /// Where results are kept; an existing file is taken up where it ends.
    #[arg(long, default_value = "target/fuzz-words.txt")]
    results: PathBuf,
    /// Execute one program only.
    #[arg(long, value_name = "PROGRAM")]
    only: Option<u64>,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("fuzz-words: {error}");
            ExitCode::from(2)
        }
    }
}

/// Whether every program so far went well.
fn run(options: &Options) -> Result<bool, Box<dyn std::error::Error>> {
    if let Some(number) = options.only {
        let outcome = campaign::run(number..number + 1);
        println!("{outcome:x?}");
        return Ok(outcome.bad.is_empty());
    }
    let (mut done, mut total) = (0, campaign::Outcome::default());
    // A line: first program, end, runs, how they ended, then the bad programs with their child's wait status.
    for line in std::fs::read_to_string(&options.results)
        .unwrap_or_default()
        .lines()
    {
        let fields: Vec<&str> = line.split_whitespace().collect();
        if let [start, end, runs, rest @ ..] = &fields[..]
            && start.parse() == Ok(done)
            && rest.len() >= campaign::ENDS.len()
        {
            done = end.parse()?;
            total.runs += runs.parse::<u64>()?;
            for (sum, n) in total.ends.iter_mut().zip(rest) {
                *sum += n.parse::<u64>()?;
            }
            total
                .bad
                .extend(rest[campaign::ENDS.len()..].iter().map(|_| (0, 0)));
        }
    }
    let mut results = File::options().create(true).append(true).open(&options.results)?;
    while total.runs < options.words {
        let end = done + BLOCK;
        let outcome = campaign::run(done..end);
        let numbers: Vec<String> = outcome.ends.iter().map(u64::to_string).collect();
        let bad: Vec<String> = outcome
            .bad
            .iter()
            .map(|(program, status)| format!("{program}:{status:#x}"))
            .collect();
        let line = format!(
            "{done} {end} {} {} {}",
            outcome.runs,
            numbers.join(" "),
            bad.join(" ")
        );
        writeln!(results, "{}", line.trim_end())?;
        println!("{}", line.trim_end());
        total.add(outcome);
        done = end;
    }
    let ends: Vec<String> = campaign::ENDS
        .iter()
        .zip(total.ends)
        .map(|(name, n)| format!("{name} {n}"))
        .collect();
    println!(
        "{} words executed: {}; {} bad",
        total.runs,
        ends.join(", "),
        total.bad.len()
    );
    Ok(total.bad.is_empty())
}
