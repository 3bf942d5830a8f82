//! Random IR blocks in the interpreter: they are valid, cover every operation, and stop precisely.

mod guest_memory;
mod ir_gen;
mod random;

use emu::cpu::state::CpuState;
use emu::ir::interp::{Exit, run};
use emu::ir::ops::{Block, Inst, Op};
use emu::ir::print::print;
use emu::ir::vector::VecOp;
use emu::ir::verify::verify;
use guest_memory::Window;
use ir_gen::{MEMORY, Shape, block_of, random_state};
use proptest::prelude::*;
use std::collections::HashSet;

/// MEMORY filled from a seed.
fn memory(seed: u64) -> Window {
    let mut random = random::Random::new(seed);
    Window {
        start: MEMORY.start,
        bytes: MEMORY.map(|_| random.bits() as u8).collect(),
    }
}

/// Everything that a guest can see of a state.
fn visible(state: &CpuState) -> impl PartialEq + std::fmt::Debug + use<> {
    (
        (state.r, state.cpsr(), state.ge, state.d),
        (
            state.fp_nzcv(),
            state.fpscr,
            state.qc,
            state.ex_addr,
            state.ex_val,
        ),
        (state.tpidruro, state.tpidrurw),
    )
}

/// `block` up to the last guest instruction that starts at `pc`, then a jump there.
fn up_to(block: &Block, pc: u32, thumb: bool) -> Block {
    let at = block
        .insts
        .iter()
        .rposition(|i| i.op == Op::InsnStart && i.imm == pc);
    let mut insts = block.insts[..at.expect("the instruction that faulted") + 1].to_vec();
    insts.push(Inst {
        imm: pc | u32::from(thumb),
        ..Inst::new(Op::Jump)
    });
    Block {
        insts,
        ..block.clone()
    }
}

#[test]
fn every_operation_is_generated() {
    let insts: Vec<Inst> = (0..4000)
        .flat_map(|seed| {
            let insns = 1 + (seed % 12) as usize;
            block_of(
                seed,
                Shape {
                    insns,
                    fp: true,
                    memory: true,
                    vector: true,
                },
            )
            .insts
        })
        .collect();
    let seen: HashSet<Op> = insts.iter().map(|i| i.op).collect();
    let vectors: HashSet<VecOp> = insts
        .iter()
        .filter(|i| matches!(i.op, Op::Vec | Op::VecSat | Op::VecFp))
        .filter_map(|i| VecOp::from_aux(i.aux))
        .collect();
    // A new mode ends a block by a jump: the back end's own test writes FPSCR. The oracle has no clock.
    let missing: Vec<&Op> = Op::ALL
        .iter()
        .filter(|op| !seen.contains(op) && !matches!(op, Op::SetFpscr | Op::ClockCall))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
    let missing: Vec<&VecOp> = VecOp::ALL.iter().filter(|op| !vectors.contains(op)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn blocks_are_valid_and_stop_precisely(seed in any::<u64>(), insns in 1..16usize) {
        let block = block_of(seed, Shape { insns, fp: true, memory: true, vector: true });
        prop_assert_eq!(verify(&block), Ok(()), "\n{}", print(&block));
        let mut state = random_state(seed);
        let mut mem = memory(seed);
        let exit = run(&block, &mut state, &mut mem);
        let target = match exit {
            Exit::Jump(t) | Exit::Return(t) | Exit::JumpInd(t) => Some(t),
            Exit::Call { target, .. } | Exit::CallInd { target, .. } => Some(target),
            Exit::Svc { next, .. } => Some(next),
            Exit::Trap { .. } | Exit::Fault { .. } | Exit::AlignFault { .. } => None,
        };
        if let Some(target) = target {
            prop_assert_eq!((state.r[15], u32::from(state.thumb)), (target & !1, target & 1));
        }
        // The state of a fault or trap is that before its instruction. (A trap's operations before it may have
        // taken effect only if they belong to another instruction, which is so here.)
        if let Exit::Trap { pc, .. } | Exit::Fault { pc, .. } | Exit::AlignFault { pc, .. } = exit {
            let mut before = random_state(seed);
            let mut mem_before = memory(seed);
            let prefix = up_to(&block, pc, state.thumb != 0);
            run(&prefix, &mut before, &mut mem_before);
            prop_assert_eq!(visible(&before), visible(&state), "\n{}", print(&block));
            prop_assert_eq!(mem_before, mem);
        }
    }
}
