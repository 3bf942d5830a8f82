//! Vector operations against qemu-arm: every form on special and random lanes, 8-bit pairs and 16-bit lanes whole.

mod random;
mod vecstep;
mod vector_ops;

use emu::ir::vector::{Shape, VecOp};
use random::Random;
use vector_ops::{Case, Trial, case, cases, differences, exhaustive, random_trials};

fn agree(cases: &[Case], trials: &[Trial]) {
    assert!(!trials.is_empty());
    let found = differences(cases, trials);
    let first: Vec<&String> = found.iter().take(20).collect();
    assert!(
        found.is_empty(),
        "{} of {} differ: {first:#?}",
        found.len(),
        trials.len()
    );
}

/// Every form has an instruction, but for those that the table has for symmetry alone.
#[test]
fn forms_without_an_instruction() {
    let mut without: Vec<(VecOp, Shape)> = VecOp::ALL
        .iter()
        .flat_map(|&op| op.forms().map(move |(s, imm)| (op, s, imm)))
        .filter(|&(op, s, imm)| case(op, s, imm).is_err())
        .map(|(op, s, _)| (op, s))
        .collect();
    without.dedup();
    for (op, shape) in without {
        let expected = match op {
            VecOp::DupLane => shape.esize() == 64,
            VecOp::TrnEven | VecOp::TrnOdd => shape.esize() == 64,
            // VUZP and VZIP of two lanes are VTRN.
            VecOp::ZipLo | VecOp::ZipHi | VecOp::UzpEven | VecOp::UzpOdd => shape.lanes() == 2,
            VecOp::FRint => true,
            _ => false,
        };
        assert!(expected, "{op:?} {shape:?}");
    }
}

#[test]
fn random_lanes() {
    let cases = cases();
    let mut random = Random::new(11);
    for _ in 0..4 {
        agree(&cases, &random_trials(&cases, 60, &mut random));
    }
}

#[test]
fn all_pairs_of_bytes_and_all_16_bit_lanes() {
    let cases = cases();
    for chunk in cases.chunks(64) {
        let trials: Vec<Trial> = (0..chunk.len()).flat_map(|i| exhaustive(chunk, i)).collect();
        if !trials.is_empty() {
            agree(chunk, &trials);
        }
    }
}
