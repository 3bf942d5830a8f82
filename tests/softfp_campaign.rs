//! `softfp` and the vector operations against qemu-arm at length, on two threads:
//! `cargo test --release --test softfp_campaign -- ARGUMENTS`.
//!
//! - `TRIALS [SEED]`: that many random trials in all, over scalar operations and modes. Without arguments, a short run.
//! - `each TRIALS [SEED]`: that many for each scalar operation with single- or double-precision operands.
//! - `halves`: every half-precision value through the one-operand operations, in every mode.
//! - `pairs [FIRST [COUNT]]`: every pair of half-precision values through the vector operations, with and without FZ16; of all
//!   operations or of COUNT of them from FIRST on, each some minutes of one core (`tests/vector_qemu.rs` has some rows of them).
//! - `vectors TRIALS [SEED]`: that many random vectors for each form of the vector operations.

mod onestep;
mod qemu_guest;
mod random;
mod softfp_ops;
mod vecstep;
mod vector_ops;

use random::Random;
use softfp_ops::{Kind, random_trial, random_trials};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Trials of one qemu-arm process.
const BATCH: usize = 500_000;

/// Tried, and how many of them differ.
type Tally = (usize, Vec<String>);

/// Runs `count` jobs by number on two threads; prints the first differences and the sums.
fn run(what: &str, count: usize, job: impl Fn(usize) -> Tally + Sync) -> ExitCode {
    let (next, done, differing) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    let worker = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return;
            }
            let (tried, found) = job(number);
            for line in found.iter().take(5) {
                println!("{line}");
            }
            done.fetch_add(tried, Ordering::Relaxed);
            differing.fetch_add(found.len(), Ordering::Relaxed);
            if count > 20 && number % (count / 20) == 0 {
                println!("{what}: {number} of {count} jobs");
            }
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(worker);
        worker();
    });
    let (done, differing) = (done.into_inner(), differing.into_inner());
    println!("{what} against qemu-arm: {done} trials, {differing} differ");
    if differing == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// `total` random trials over everything.
fn mixed(total: usize, seed: u64) -> ExitCode {
    let cases = softfp_ops::cases();
    let jobs = total.div_ceil(BATCH);
    run("softfp", jobs, |number| {
        let count = BATCH.min(total - number * BATCH);
        let trials = random_trials(&cases, count, &mut Random::new(seed + number as u64));
        (count, softfp_ops::differences(&cases, &trials))
    })
}

fn each(per_case: usize, seed: u64) -> ExitCode {
    let cases = softfp_ops::plain();
    let wide: Vec<usize> = (0..cases.len())
        .filter(|&i| !cases[i].operands.contains(&Kind::Half))
        .collect();
    let batches = per_case.div_ceil(BATCH);
    run("each of softfp", wide.len() * batches, |number| {
        let (case, batch) = (wide[number / batches], number % batches);
        let count = BATCH.min(per_case - batch * BATCH);
        let mut random = Random::new(seed + number as u64);
        let trials: Vec<_> = (0..count)
            .map(|_| random_trial(&cases, case, &mut random))
            .collect();
        (count, softfp_ops::differences(&cases, &trials))
    })
}

fn halves() -> ExitCode {
    let cases = softfp_ops::cases();
    let of_halves: Vec<usize> = (0..cases.len())
        .filter(|&i| cases[i].operands == [Kind::Half])
        .collect();
    // AHP, DN, FZ, RMode and FZ16.
    let modes: Vec<u32> = (0..64).map(|m| (m & 31) << 22 | (m >> 5) << 19).collect();
    run("halves", of_halves.len() * modes.len(), |number| {
        let (case, fpscr) = (of_halves[number / 64], modes[number % 64]);
        let trials: Vec<_> = (0..=0xffff)
            .map(|v| softfp_ops::Trial {
                case,
                fpscr,
                operands: [v, 0, 0],
            })
            .collect();
        (trials.len(), softfp_ops::differences(&cases, &trials))
    })
}

fn pairs(from: usize, count: usize) -> ExitCode {
    /// First operands of a job.
    const ROWS: u32 = 512;
    let cases = vector_ops::half_pairs();
    let chunks = (0x1_0000 / ROWS) as usize;
    let wanted = &cases[from.min(cases.len())..cases.len().min(from.saturating_add(count))];
    for (number, case) in cases.iter().enumerate() {
        let which = if wanted.iter().any(|c| std::ptr::eq(c, case)) {
            ""
        } else {
            ", not now"
        };
        println!("{number}: {:?} {:?}{which}", case.op, case.shape);
    }
    run("pairs of halves", wanted.len() * 2 * chunks, |number| {
        let (case, rest) = (&wanted[number / (2 * chunks)], number % (2 * chunks));
        let fpscr = if rest & 1 == 0 { 0 } else { vector_ops::FZ16 };
        let first = rest as u32 / 2 * ROWS;
        vector_ops::pairs(case, fpscr, first..first + ROWS)
    })
}

fn vectors(per_form: usize, seed: u64) -> ExitCode {
    let cases = vector_ops::cases();
    const GROUP: usize = 64;
    let groups = cases.len().div_ceil(GROUP);
    let each = (BATCH / GROUP).min(per_form);
    let rounds = per_form.div_ceil(each);
    run("vectors", groups * rounds, |number| {
        let group = &cases[number % groups * GROUP..];
        let group = &group[..group.len().min(GROUP)];
        let mut random = Random::new(seed + number as u64);
        let trials = vector_ops::random_trials(group, each, &mut random);
        (trials.len(), vector_ops::differences(group, &trials))
    })
}

fn main() -> ExitCode {
    // Words that are neither ours nor numbers are the test runner's options and filters.
    let words: Vec<String> = std::env::args().skip(1).collect();
    let numbers: Vec<u64> = words.iter().filter_map(|w| w.parse().ok()).collect();
    let count = |default: usize| numbers.first().map_or(default, |&n| n as usize);
    let seed = numbers.get(1).copied().unwrap_or(2);
    match words.iter().map(String::as_str).find(|w| MODES.contains(w)) {
        Some("each") => each(count(100_000), seed),
        Some("halves") => halves(),
        Some("pairs") => pairs(count(0), numbers.get(1).map_or(usize::MAX, |&n| n as usize)),
        Some("vectors") => vectors(count(1_000), seed),
        _ => mixed(count(200_000), seed),
    }
}

const MODES: [&str; 4] = ["each", "halves", "pairs", "vectors"];
