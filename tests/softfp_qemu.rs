//! `softfp` against qemu-arm: every operation, every FPSCR mode, every pair (triple, for fused multiply-add) of
//! special values, and every half-precision value.

mod onestep;
mod random;
mod softfp_ops;

use random::Random;
use softfp_ops::{Case, Kind, Trial, cases, differences, random_trials, specials};

/// Every combination of RMode, FZ, DN and AHP, as FPSCR bits 26 to 22.
fn modes() -> impl Iterator<Item = u32> {
    (0..32).map(|m| m << 22)
}

/// Panics with the first few differences.
fn agree(cases: &[Case], trials: &[Trial]) {
    let differences = differences(cases, trials);
    assert!(
        differences.is_empty(),
        "{} of {} differ:\n{}",
        differences.len(),
        trials.len(),
        differences[..differences.len().min(20)].join("\n")
    );
}

/// The grid of special values in every mode, for the cases of that many operands.
fn grid(operands: usize, wanted: fn(&Case) -> bool) {
    let cases = cases();
    let mut trials = Vec::new();
    for (index, case) in cases.iter().enumerate() {
        if case.operands.len() != operands || !wanted(case) {
            continue;
        }
        // AHP matters to half precision alone.
        let half = case.operands[0] == Kind::Half || case.result == Kind::Half;
        let values = specials(case.operands[0]);
        for fpscr in modes().filter(|m| half || m >> 26 == 0) {
            for i in 0..values.len().pow(operands as u32) {
                let digit = |place: u32| values[i / values.len().pow(place) % values.len()];
                trials.push(Trial {
                    case: index,
                    fpscr,
                    operands: [digit(0), digit(1), digit(2)],
                });
            }
        }
    }
    assert!(!trials.is_empty());
    agree(&cases, &trials);
}

#[test]
fn one_operand() {
    grid(1, |case| case.imm2 == 0);
}

#[test]
fn fixed_point_of_every_width_and_fraction() {
    grid(1, |case| case.imm2 != 0);
}

#[test]
fn two_operands() {
    grid(2, |_| true);
}

#[test]
fn fused_multiply_add_single() {
    grid(3, |case| case.result == Kind::Single);
}

#[test]
fn fused_multiply_add_double() {
    grid(3, |case| case.result == Kind::Double);
}

#[test]
fn random_operands() {
    let cases = cases();
    agree(&cases, &random_trials(&cases, 500_000, &mut Random::new(1)));
}
