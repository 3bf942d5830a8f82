//! System calls by every number with random arguments, by the million (`tools/random-calls`): strict, unprivileged, each
//! round in namespaces and a root of its own that are thrown away. The host is as it was, and the emulator does not complain.
//!
//! A round is known by its number, which is the guest's seed: all numbers, some calls of each. Results are kept in a file, a line for
//! each round, so that a run can be stopped and taken up again.

#[path = "../tests/host_state/mod.rs"]
mod host_state;

use clap::Parser;
use host_state::{Canary, is_root, unprivileged};
use std::error::Error;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

#[derive(Parser)]
struct Options {
    /// How many calls to have made in the end
    #[arg(long, default_value_t = 10_000_000)]
    calls: u64,
    /// Calls of each number in a round
    #[arg(long, default_value_t = 50)]
    each: u32,
    /// Where results are kept; an existing file is taken up where it ends
    #[arg(long, default_value = "target/random-calls.txt")]
    results: PathBuf,
    #[arg(long, default_value = "target/x86_64-unknown-linux-gnu/release/emu")]
    emu: PathBuf,
    /// One round only, without noting it
    #[arg(long, value_name = "ROUND")]
    only: Option<u64>,
}

/// A directory with `emu` and a root that the unprivileged user reads.
struct Place(PathBuf);

impl Place {
    fn new(emu: &Path) -> Result<Place, Box<dyn Error>> {
        let top = Path::new(env!("CARGO_MANIFEST_DIR"));
        let place = Place(std::env::temp_dir().join(format!("random-calls-{}", std::process::id())));
        for dir in ["root/bin", "root/proc", "root/dev", "root/tmp"] {
            std::fs::create_dir_all(place.0.join(dir))?;
        }
        std::fs::copy(emu, place.0.join("emu")).map_err(|e| format!("{}: {e}", emu.display()))?;
        std::fs::copy(
            top.join("target/guests/busybox"),
            place.0.join("root/bin/busybox"),
        )
        .map_err(|e| format!("busybox for armhf: {e}; tools/fetch-guests downloads it"))?;
        let built = Command::new("arm-linux-gnueabihf-gcc")
            .args(["-O1", "-w", "-static", "-pthread", "-marm", "-o"])
            .args([
                &place.0.join("root/bin/random"),
                &top.join("fixtures/hostile/random.c"),
            ])
            .status()?;
        match built.success() {
            true => Ok(place),
            false => Err("the guest does not compile".into()),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Best effort: it lies among other temporary files.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// How a fault begins that may be others' doing.
const HOST: &str = "the host: ";

/// What a round came to.
struct Round {
    calls: u64,
    /// The guest's last line.
    said: String,
    faults: Vec<String>,
}

/// Where `pattern` is in `bytes`, from `start` on.
fn find(bytes: &[u8], start: usize, pattern: &[u8]) -> Option<usize> {
    let rest = &bytes[start..];
    // SAFETY: both are valid for their lengths; memmem only reads, and is quick over gigabytes.
    let found = unsafe {
        libc::memmem(
            rest.as_ptr().cast(),
            rest.len(),
            pattern.as_ptr().cast(),
            pattern.len(),
        )
    };
    (!found.is_null()).then(|| found as usize - bytes.as_ptr() as usize)
}

/// What the emulator would say, looked for in what the guest writes, which may be anything and gigabytes of it.
fn complaints(mut from: impl Read) -> Vec<String> {
    // The longest pattern may lie across two reads.
    const KEPT: usize = 16;
    const PATTERNS: [&[u8]; 2] = [b"panicked at", b"emu: "];
    let mut found = Vec::new();
    let mut bytes = vec![0; 1 << 20];
    let mut kept = 0;
    while let Ok(n) = from.read(&mut bytes[kept..]) {
        if n == 0 {
            break;
        }
        let end = kept + n;
        for pattern in PATTERNS {
            let mut at = 0;
            while let Some(place) = find(&bytes[..end], at, pattern) {
                let text = String::from_utf8_lossy(&bytes[place..end.min(place + 200)]).replace('\n', " ");
                if found.len() < 20 {
                    found.push(text);
                }
                at = place + 1;
            }
        }
        kept = end.min(KEPT);
        bytes.copy_within(end - kept..end, 0);
    }
    found
}

fn round(number: u64, place: &Place, canary: &Canary, each: u32) -> Result<Round, Box<dyn Error>> {
    let before = host_state::note(canary, &[&place.0]);
    let root = place.0.join("root");
    let mut command = unprivileged(place.0.join("emu"));
    command
        .env_clear()
        .args(["--pids", "200", "--timeout", "900", "--overlay"])
        .arg(&root)
        .arg("/")
        .arg("--root")
        .arg(&root);
    command
        .arg("/bin/random")
        .args([number.to_string(), each.to_string()]);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let errors = child.stderr.take().ok_or("no pipe")?;
    let reader = std::thread::spawn(move || complaints(errors));
    let mut out = String::new();
    child.stdout.take().ok_or("no pipe")?.read_to_string(&mut out)?;
    let status = child.wait()?;
    let mut faults = reader.join().map_err(|_| "the reader failed")?;
    let changed = host_state::differences(&before, &host_state::note(canary, &[&place.0]));
    faults.extend(changed.into_iter().map(|line| match line.starts_with("canary") {
        true => line,
        false => format!("{HOST}{line}"),
    }));
    let said = out.trim().to_string();
    let words: Vec<_> = said.split(' ').collect();
    let calls = words
        .iter()
        .position(|w| *w == "calls,")
        .and_then(|at| words[at.checked_sub(1)?].parse().ok());
    if !status.success() || calls.is_none() {
        faults.push(format!("{status}"));
    }
    Ok(Round {
        calls: calls.unwrap_or(0),
        said,
        faults,
    })
}

/// Rounds and calls that a file of results tells of, and whether there were faults.
fn taken_up(results: &Path) -> (u64, u64, bool) {
    let text = std::fs::read_to_string(results).unwrap_or_default();
    let (mut rounds, mut calls, mut faults) = (0, 0, false);
    for line in text.lines() {
        let words: Vec<_> = line.split(' ').collect();
        if let ["round", number, count, ..] = words[..] {
            rounds = rounds.max(number.parse::<u64>().map_or(0, |n| n + 1));
            calls += count.parse().unwrap_or(0);
        } else {
            faults |= line.starts_with("fault");
        }
    }
    (rounds, calls, faults)
}

fn run(options: &Options) -> Result<bool, Box<dyn Error>> {
    let place = Place::new(&options.emu)?;
    let canary = Canary::new(&place.0);
    if let Some(number) = options.only {
        let round = round(number, &place, &canary, options.each)?;
        println!("{}", round.said);
        round.faults.iter().for_each(|fault| println!("{fault}"));
        return Ok(round.faults.is_empty());
    }
    let (mut number, mut calls, mut faults) = taken_up(&options.results);
    let mut results = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&options.results)?;
    while calls < options.calls {
        let start = Instant::now();
        let mut round = round(number, &place, &canary, options.each)?;
        // Others may change the host meanwhile, but hardly in each of three turns; the canary is nobody else's.
        for _ in 0..2 {
            if !round.faults.is_empty() && round.faults.iter().all(|f| f.starts_with(HOST)) {
                round = self::round(number, &place, &canary, options.each)?;
            }
        }
        let mut line = format!(
            "round {number} {} {:.1} s: {}\n",
            round.calls,
            start.elapsed().as_secs_f64(),
            round.said
        );
        for fault in &round.faults {
            faults = true;
            line += &format!("fault: {}\n", fault.chars().take(600).collect::<String>());
        }
        results.write_all(line.as_bytes())?;
        calls += round.calls;
        number += 1;
        if calls == 0 && number > 10 {
            return Err(format!("no calls are made: {line}").into());
        }
    }
    println!(
        "{calls} calls in {number} rounds, {}",
        if faults { "FAULTS" } else { "no fault" }
    );
    Ok(!faults)
}

fn main() -> ExitCode {
    if !is_root() {
        println!("as the caller: an unprivileged user already");
    }
    match run(&Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("random-calls: {error}");
            ExitCode::FAILURE
        }
    }
}
