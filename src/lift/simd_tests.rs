//! Shapes of the IR of Advanced SIMD instructions: order of reads, writes and faults, and what wide accesses become.

use super::{Context, Lifter};
use crate::cpu::location::FpKey;
use crate::cpu::model::Model;
use crate::ir::builder::Builder;
use crate::ir::ops::{Inst, Op, effect};
use crate::ir::vector::{Shape, VecOp};
use crate::ir::verify;
use crate::isa::insn::{Insn, Reg};
use crate::isa::simd::{Lane, PostIndex, Simd, SimdAddress, SimdPermute, SimdThree, Structures};

/// The operations of `simds` in one block, InsnStart and the terminator apart.
fn lift(simds: &[Simd]) -> Vec<Inst> {
    let model = Model::all().iter().find(|m| m.name == "max").expect("the model");
    let ctx = Context::new(model);
    let mut lifter = Lifter {
        b: Builder::new(),
        ctx: &ctx,
        thumb: false,
        fp: FpKey::SCALAR,
        pc: 0x8000,
        size: 4,
        word: 0,
        popped: 0,
    };
    for simd in simds {
        lifter.b.insn_start(lifter.pc, false, 0);
        lifter.lift(&Insn::Simd(*simd));
        lifter.pc += 4;
    }
    lifter.b.jump(lifter.pc);
    let block = lifter.b.finish();
    verify::verify(&block).unwrap_or_else(|e| panic!("{simds:?}: {e}\n{:#?}", block.insts));
    block
        .insts
        .into_iter()
        .filter(|i| i.op != Op::InsnStart && i.op != Op::Jump)
        .collect()
}

/// Operations by name, those on vector registers with the register.
fn names(simds: &[Simd]) -> Vec<String> {
    let name = |i: &Inst| match i.op {
        Op::Vec | Op::VecSat | Op::VecFp => format!("{:?}", VecOp::from_aux(i.aux).expect("an operation")),
        Op::GetV | Op::SetV if Shape(i.imm2 as u8).is_q() => format!("{:?} q{}", i.op, i.imm / 2),
        Op::GetV | Op::SetV => format!("{:?} d{}", i.op, i.imm),
        Op::LoadV | Op::StoreV => format!("{:?} {}+{}", i.op, Shape(i.imm2 as u8).bytes(), i.imm),
        op => format!("{op:?}"),
    };
    lift(simds).iter().map(name).collect()
}

fn three(op: SimdThree, d: u8, n: u8, m: u8) -> Simd {
    Simd::Three {
        op,
        size: 0,
        unsigned: false,
        q: true,
        d,
        n,
        m,
    }
}

const AT_R1: SimdAddress = SimdAddress {
    rn: Reg(1),
    align: 1,
    post: PostIndex::None,
};

fn structures(elements: u8, groups: u8, inc: u8, size: u8, d: u8) -> Structures {
    Structures {
        elements,
        groups,
        inc,
        size,
        d,
        addr: AT_R1,
    }
}

#[test]
fn both_registers_of_a_permutation_are_read_first() {
    for op in [
        SimdPermute::Swp,
        SimdPermute::Trn,
        SimdPermute::Uzp,
        SimdPermute::Zip,
    ] {
        for (d, m) in [(0, 2), (4, 4)] {
            let simd = Simd::Permute {
                op,
                size: 0,
                q: true,
                d,
                m,
            };
            let insts = lift(&[simd]);
            let write = insts.iter().position(|i| i.op == Op::SetV).expect("a result");
            let read = insts.iter().rposition(|i| i.op == Op::GetV).expect("an operand");
            assert!(read < write, "{insts:?}");
            assert_eq!(insts.iter().filter(|i| i.op == Op::SetV).count(), 2);
        }
    }
}

#[test]
fn moves_and_clearing_compute_nothing() {
    assert_eq!(names(&[three(SimdThree::Orr, 0, 2, 2)]), ["GetV q1", "SetV q0"]);
    assert_eq!(
        names(&[three(SimdThree::Eor, 0, 2, 2)]),
        ["GetV q1", "VConst", "SetV q0"]
    );
}

#[test]
fn what_an_instruction_leaves_serves_the_next() {
    let twice = [three(SimdThree::Add, 0, 2, 4), three(SimdThree::Mul, 0, 0, 4)];
    assert_eq!(
        names(&twice),
        ["GetV q1", "GetV q2", "Add", "SetV q0", "Mul", "SetV q0"]
    );
    let scalar = Simd::ByScalar {
        op: SimdThree::Mul,
        size: 1,
        q: false,
        d: 4,
        n: 4,
        m: 1,
        index: 2,
    };
    let insts = lift(&[three(SimdThree::Add, 0, 2, 4), scalar]);
    let dup = insts
        .iter()
        .find(|i| VecOp::from_aux(i.aux) == Some(VecOp::DupLane))
        .expect("the scalar");
    // D1's third lane of 16 bits is the seventh of Q0, which is at hand.
    assert_eq!(dup.imm, 6);
}

/// No register changes before everything has been loaded, and accesses are as wide as they can be.
#[test]
fn loads_come_before_writes() {
    for simd in [
        Simd::Load(structures(1, 4, 1, 0, 3)),
        Simd::Load(structures(2, 2, 2, 1, 5)),
        Simd::Load(structures(3, 1, 2, 2, 1)),
        Simd::Load(structures(4, 1, 1, 0, 0)),
        Simd::Load(structures(4, 1, 2, 2, 1)),
        Simd::LoadLane(Lane {
            elements: 3,
            inc: 2,
            size: 1,
            index: 1,
            d: 1,
            addr: AT_R1,
        }),
        Simd::LoadAllLanes {
            elements: 4,
            regs: 1,
            inc: 1,
            size: 2,
            d: 7,
            addr: AT_R1,
        },
    ] {
        let insts = lift(&[simd]);
        let fault = |i: &Inst| i.op.effects() & effect::FAULT != 0;
        let last = insts.iter().rposition(fault).expect("a load");
        let write = insts.iter().position(|i| i.op == Op::SetV).expect("a result");
        assert!(last < write, "{simd:?}: {insts:?}");
    }
    assert_eq!(
        names(&[Simd::Load(structures(1, 4, 1, 0, 3))]),
        [
            "GetReg",
            "LoadV 8+0",
            "LoadV 16+8",
            "LoadV 8+24",
            "SetV d3",
            "SetV q2",
            "SetV d6"
        ]
    );
    assert_eq!(
        names(&[Simd::Load(structures(4, 1, 1, 2, 0))]),
        [
            "GetReg",
            "LoadV 16+0",
            "LoadV 16+16",
            "ZipLo",
            "ZipHi",
            "SetV q0",
            "SetV q1"
        ]
    );
}

#[test]
fn alignment_comes_first_and_the_base_last() {
    let addr = SimdAddress {
        rn: Reg(1),
        align: 32,
        post: PostIndex::Reg(Reg(1)),
    };
    let insts = lift(&[Simd::Store(Structures {
        addr,
        ..structures(4, 1, 2, 0, 0)
    })]);
    let check = insts
        .iter()
        .position(|i| i.op == Op::CheckAlign)
        .expect("a check");
    assert_eq!(insts[check].imm2, 31);
    assert!(check < insts.iter().position(|i| i.op == Op::StoreV).expect("a store"));
    let last = insts.last().expect("an operation");
    assert_eq!(last.op, Op::SetReg);
    // rn + rm, both as before.
    let sum = insts.iter().rev().find(|i| i.op == Op::Add).expect("the sum");
    assert_eq!(sum.a, sum.b);
}
