//! `softfp` against qemu-arm on random operands, as many as wanted:
//! `cargo test --release --test softfp_campaign -- TRIALS [SEED]`. Without a number, a short run.

mod onestep;
mod random;
mod softfp_ops;

use random::Random;
use softfp_ops::{cases, differences, random_trials};
use std::process::ExitCode;

/// Trials of one qemu-arm process.
const BATCH: usize = 1_000_000;

fn main() -> ExitCode {
    // Words that aren't numbers are the test runner's options and filters.
    let mut numbers = std::env::args().skip(1).filter_map(|a| a.parse::<u64>().ok());
    let total = numbers.next().unwrap_or(200_000) as usize;
    let seed = numbers.next().unwrap_or(2);
    let cases = cases();
    let mut random = Random::new(seed);
    let (mut done, mut differing) = (0, 0);
    while done < total {
        let trials = random_trials(&cases, BATCH.min(total - done), &mut random);
        let found = differences(&cases, &trials);
        for line in found.iter().take(20) {
            println!("{line}");
        }
        done += trials.len();
        differing += found.len();
    }
    println!("softfp against qemu-arm, seed {seed}: {done} trials, {differing} differ");
    if differing == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
