//! Random code sequences under qemu-arm and under `emu`, compared state for state (`tools/lockstep`).
//!
//! See `docs/testing.md`.

use clap::Parser;
use emu::cpu::model::Model;
use lockstep::campaign::Campaign;
use lockstep::case::Case;
use lockstep::desk::{Desk, Mismatch, Setting};
use lockstep::executors::{self, Variants};
use lockstep::generate::Isa;
use lockstep::report::report;
use lockstep::results::Results;
use lockstep::rows::Rows;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

#[path = "../tests/lockstep/mod.rs"]
mod lockstep;

#[derive(Parser)]
struct Options {
    /// How many cases to execute: a case is a sequence with one of its inputs
    #[arg(long, default_value_t = 1_000_000)]
    cases: u64,
    /// How many inputs each sequence runs with
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=64))]
    inputs: u16,
    /// What the sequences are of
    #[arg(long, value_enum, default_value = "mix")]
    isa: Isa,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Add to the results in FILE
    #[arg(long, value_name = "FILE")]
    results: Option<PathBuf>,
    /// Start at this batch
    #[arg(long, value_name = "BATCH", conflicts_with = "resume")]
    from: Option<u64>,
    /// Go on behind the last batch that FILE has of this group and seed
    #[arg(long, requires = "results")]
    resume: bool,
    /// Also run blocks of one instruction, floating point in software, each host feature switched off and all of them:
    /// one of these for each batch, in turn, or all. A 16th of the sequences, or all, also run in the IR interpreter
    #[arg(long, value_enum, default_value = "none")]
    variants: Variants,
    /// The processor
    #[arg(long, default_value = "max")]
    cpu: String,
    /// How often each row of the tables is to be executed at least
    #[arg(long, default_value_t = 1000)]
    quota: u64,
    /// Stop at so many differences
    #[arg(long, default_value_t = 8)]
    enough: usize,
    /// Where differences are kept as cases for the tests [default: fixtures/corpus]
    #[arg(long)]
    corpus: Option<PathBuf>,
    /// The emulator [default: beside this program]
    #[arg(long)]
    emu: Option<PathBuf>,
    /// Run this case only, and print all about it
    #[arg(long, value_name = "CASE")]
    replay: Option<PathBuf>,
    /// The guest program [default: fixtures/armhf/lockstep, or fixtures/armel/lockstep for processors before ARMv7]
    #[arg(long)]
    guest: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("lockstep: {error}");
            ExitCode::from(2)
        }
    }
}

/// User and system time of this process or of its ended children.
fn cpu_time(who: i32) -> f64 {
    // SAFETY: zero is a valid value, and the call fills the structure in.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(who, &mut usage);
        usage
    };
    let seconds = |t: libc::timeval| t.tv_sec as f64 + t.tv_usec as f64 / 1e6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

fn setting(options: &Options, model: &'static Model) -> Result<Setting, Box<dyn std::error::Error>> {
    let emu = match &options.emu {
        Some(emu) => emu.clone(),
        None => std::env::current_exe()?
            .parent()
            .and_then(|p| p.parent())
            .ok_or("no emulator")?
            .join("emu"),
    };
    let emu = emu.to_str().ok_or("a path that is not text")?;
    let fixtures = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let program = options
        .guest
        .clone()
        .unwrap_or_else(|| fixtures.join(executors::guest(model)));
    Ok(executors::setting(emu, model, &program, options.variants))
}

/// Whether nothing differs and every row was exercised.
fn run(options: &Options) -> Result<bool, Box<dyn std::error::Error>> {
    let model = Model::by_name(&options.cpu).ok_or("no such processor")?;
    let setting = setting(options, model)?;
    if let Some(path) = &options.replay {
        let case = Case::from_text(&std::fs::read_to_string(path)?)?;
        let mut desk = Desk::new(&setting)?;
        let mismatch = desk.check(&case, true)?;
        let shown = mismatch.clone().unwrap_or(Mismatch {
            who: "all".into(),
            input: 0,
            what: "agree".into(),
            outputs: None,
        });
        println!("{}", report(&mut desk, &case, &shown));
        return Ok(mismatch.is_none());
    }
    let rows = Rows::new(model.features);
    let group = format!("{:?}", options.isa).to_lowercase();
    let mut results = match &options.results {
        Some(path) => Results::read(path)?,
        None => Results::default(),
    };
    let mut campaign = Campaign::new(&setting, &rows, options.isa, options.seed, options.inputs.into())?;
    campaign.enough = options.enough;
    campaign.interpret = match options.variants {
        Variants::None => 0,
        Variants::Turn => 16,
        Variants::All => 1,
    };
    let key = (group.clone(), options.seed);
    if options.resume {
        campaign.totals = results.groups.get(&key).copied().unwrap_or_default();
    }
    campaign.totals.next = options.from.unwrap_or(campaign.totals.next);
    campaign.distinct = results.distinct.get(&group).cloned().unwrap_or_default();
    campaign.coverage.restore(&rows, &results.rows);
    let corpus = options
        .corpus
        .clone()
        .unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/corpus"));
    let (start, cpu, before) = (Instant::now(), cpu_time(libc::RUSAGE_SELF), campaign.totals);
    let mut left = options.cases;
    let mut kept = 0;
    let mut last = Instant::now();
    while left > 0 && campaign.found.len() < options.enough {
        let step = left.min(1 << 14);
        campaign.run(step)?;
        left -= step;
        for found in &campaign.found[kept..] {
            println!(
                "\n==== {group} seed {} batch {} slot {}\nfirst {}\n{}",
                found.seed, found.batch, found.slot, found.first, found.report
            );
            std::fs::create_dir_all(&corpus)?;
            let name = format!("{group}-{}-{}-{}.case", found.seed, found.batch, found.slot);
            let mut remarks = vec![format!("{}: {}", found.mismatch.who, found.mismatch.what)];
            remarks.extend(lockstep::report::assembly(&found.case));
            std::fs::write(corpus.join(name), found.case.to_text(&remarks))?;
        }
        kept = campaign.found.len();
        if let Some(path) = &options.results {
            results.groups.insert(key.clone(), campaign.totals);
            results.distinct.insert(group.clone(), campaign.distinct.clone());
            for (place, info) in rows.all.iter().enumerate() {
                results
                    .rows
                    .insert(info.key(), campaign.coverage.get(place as u16));
            }
            results.write(path)?;
        }
        if last.elapsed() > Duration::from_secs(60) {
            last = Instant::now();
            println!("{}", campaign.totals.to_text());
        }
    }
    let wall = start.elapsed().as_secs_f64();
    let (totals, missing) = (campaign.totals, campaign.missing(options.quota));
    let distinct = campaign.distinct.estimate();
    let clean = campaign.found.is_empty();
    for (reason, times) in &campaign.excused {
        println!("not compared: {reason}: {times}");
    }
    drop(campaign);
    let host = cpu_time(libc::RUSAGE_SELF) - cpu;
    let cpu = host + cpu_time(libc::RUSAGE_CHILDREN);
    let (sequences, cases) = (totals.sequences - before.sequences, totals.cases - before.cases);
    println!("{group} seed {}: {}", options.seed, totals.to_text());
    println!("about {distinct:.3e} distinct sequences");
    for (what, seconds) in [("wall", wall), ("processor time, all processes together", cpu)] {
        let (sequences, cases) = (sequences as f64 / seconds, cases as f64 / seconds);
        println!("{sequences:.0} sequences and {cases:.0} cases a second of {what}");
    }
    let microseconds = |seconds: f64| 1e6 * seconds / sequences.max(1) as f64;
    let mut parts = vec![format!("host {:.1}", microseconds(host))];
    let spent = lockstep::process::SPENT.lock().map_err(|_| "a thread panicked")?;
    parts.extend(
        spent
            .iter()
            .map(|(name, seconds)| format!("{name} {:.1}", microseconds(*seconds))),
    );
    println!(
        "microseconds of processor time for a sequence: {}",
        parts.join(", ")
    );
    for row in &missing {
        println!("below the quota: {row}");
    }
    Ok(clean && missing.is_empty())
}
