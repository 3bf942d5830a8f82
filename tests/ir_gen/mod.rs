//! Random valid IR blocks and states, reproducible from a seed, for comparing the interpreter with the back end.
//!
//! Blocks read and write memory in [`MEMORY`] for the most part; some accesses go elsewhere, so that faults are met.

use super::random::Random;
use emu::cpu::cond::Cond;
use emu::cpu::state::{CpuState, nzcv_to_fp_cmp};
use emu::ir::builder::Builder;
use emu::ir::ops::{Block, Flags, Inst, Op, Trap, Type, Value, effect};
use emu::ir::verify::settable;
use std::ops::Range;
use vector::{is_armv8, is_vector};

mod vector;

/// Guest addresses that random accesses mostly use. Whoever runs the blocks maps exactly this, and nothing within
/// 64 KiB of it.
pub const MEMORY: Range<u32> = 0x4000_0000..0x4000_1000;

/// Address of the first guest instruction.
pub const START: u32 = 0x1_0000;

/// What blocks may contain.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Guest instructions: the first `n` are the same for every larger number, so failures can be shrunk.
    pub insns: usize,
    /// Floating-point operations.
    pub fp: bool,
    /// Memory accesses, exclusives among them.
    pub memory: bool,
    /// Vector operations and, with `fp`, floating-point ones among them and the scalar ones that came with ARMv8.
    pub vector: bool,
}

/// The block that `seed` gives in `shape`.
pub fn block_of(seed: u64, shape: Shape) -> Block {
    let mut random = Random::new(seed);
    let thumb = random.below(2) == 1;
    let mut generator = Generator {
        builder: Builder::new(),
        pools: Default::default(),
        shape,
        random,
        next: START,
        thumb,
    };
    for _ in 0..shape.insns {
        generator.guest_instruction();
    }
    generator.terminator();
    let end = generator.next;
    let mut block = generator.builder.finish();
    block.start = START;
    block.end = end;
    block
}

/// A random state to run such a block on, its registers pointing into [`MEMORY`] now and then.
pub fn random_state(seed: u64) -> Box<CpuState> {
    let mut random = Random::new(seed ^ 0x5bd1_e995);
    let mut state = CpuState::new();
    for r in &mut state.r[..15] {
        *r = match random.below(3) {
            0 => MEMORY.start + random.below(0x1000) as u32,
            _ => word(&mut random),
        };
    }
    for d in &mut state.d {
        *d = match random.below(2) {
            0 => u64::from(single(&mut random)) << 32 | u64::from(single(&mut random)),
            _ => double(&mut random),
        };
    }
    state.set_nzcv(random.bits() as u32);
    state.q = random.below(2) as u8;
    state.set_ge_bits(random.below(16) as u32);
    // Half of the states have the default modes; cumulative bits start clear.
    if random.below(2) == 0 {
        state.fpscr = random.bits() as u32 & 0x07c0_0000;
    }
    state.fp_cmp = nzcv_to_fp_cmp(random.bits() as u32);
    state.tpidruro = random.bits() as u32;
    state.tpidrurw = random.bits() as u32;
    state
}

/// Words at which integer operations change their behaviour, and others.
fn word(random: &mut Random) -> u32 {
    let bits = random.bits() as u32;
    match random.below(3) {
        0 => random.pick(&[
            0,
            1,
            2,
            31,
            32,
            33,
            255,
            0x7fff_ffff,
            0x8000_0000,
            0x7fff_8000,
            u32::MAX,
        ]),
        1 => bits >> random.below(32),
        _ => bits,
    }
}

fn single(random: &mut Random) -> u32 {
    let bits = random.bits() as u32;
    match random.below(3) {
        // Zeros, denormals, infinities, both kinds of NaN, the ends of the integers.
        0 => {
            random.pick(&[
                0,
                1,
                0x0040_0000,
                0x007f_ffff,
                0x0080_0000,
                0x7f7f_ffff,
                0x7f80_0000,
                0x7f80_0001,
                0x7fc0_0000,
                0x7fe1_2345,
                0x4f00_0000,
                0x4f80_0000,
            ]) | bits & 0x8000_0000
        }
        // Near 1: sums cancel, products round.
        1 => 0x3f80_0000 ^ bits & 0x80ff_ffff,
        _ => bits,
    }
}

fn double(random: &mut Random) -> u64 {
    let bits = random.bits();
    match random.below(3) {
        0 => {
            random.pick(&[
                0,
                1,
                0x000f_ffff_ffff_ffff,
                0x0010_0000_0000_0000,
                0x380f_ffff_e000_0000,
                0x47ef_ffff_f000_0000,
                0x7fef_ffff_ffff_ffff,
                0x7ff0_0000_0000_0000,
                0x7ff0_0000_0000_0001,
                0x7ff8_0000_0000_0000,
                0x7ffc_1234_5678_9abc,
                0x41e0_0000_0000_0000,
            ]) | bits & 0x8000_0000_0000_0000
        }
        1 => 0x3ff0_0000_0000_0000 ^ bits & 0x801f_ffff_ffff_ffff,
        _ => bits,
    }
}

struct Generator {
    builder: Builder,
    /// Values in reach, by type: I32, I64, F32, F64, vectors; then vectors whose upper half is defined.
    pools: [Vec<Value>; 6],
    shape: Shape,
    random: Random,
    /// Address of the next guest instruction.
    next: u32,
    thumb: bool,
}

impl Generator {
    /// InsnStart, operations that may fault, the others, then writes of the context; perhaps all of it predicated.
    fn guest_instruction(&mut self) {
        self.builder.insn_start(self.next, self.thumb, 0);
        self.next += 4;
        let label = (self.random.below(6) == 0).then(|| {
            let cond = self.cond();
            self.builder.skip_unless(cond)
        });
        if self.shape.memory && self.random.below(3) == 0 {
            self.operation(|op| op.effects() & effect::FAULT != 0 || op == Op::Fence);
        }
        let vector = self.shape.vector;
        for _ in 0..1 + self.random.below(4) {
            if vector && self.random.below(2) == 0 {
                self.operation(|op| is_vector(op) && op.effects() & effect::FAULT == 0);
            } else {
                self.operation(|op| op.effects() & (effect::FAULT | effect::CONTROL) == 0);
            }
        }
        for _ in 0..self.random.below(3) {
            self.operation(|op| matches!(op, Op::SetReg | Op::SetS | Op::SetD));
        }
        if vector && self.random.below(2) == 0 {
            self.operation(|op| op == Op::SetV);
        }
        if self.random.below(12) == 0 {
            self.operation(|op| matches!(op, Op::ExitIf | Op::ExitIfZero | Op::ExitIfNonZero));
        }
        if let Some(label) = label {
            self.builder.label(label);
            self.pools = Default::default();
        }
    }

    fn terminator(&mut self) {
        self.builder.insn_start(self.next, self.thumb, 0);
        self.next += 4;
        self.operation(|op| op.effects() & effect::TERMINATOR != 0);
    }

    fn cond(&mut self) -> Cond {
        Cond::from_bits(self.random.below(14) as u32)
    }

    /// A random operation among the `wanted`.
    fn operation(&mut self, wanted: fn(Op) -> bool) {
        let (fp, vector) = (self.shape.fp, self.shape.vector);
        let candidates: Vec<Op> = Op::ALL
            .iter()
            .copied()
            .filter(|&op| wanted(op) && (fp || !is_fp(op)))
            // Control structure is the generator's own; new modes end a block, so they are the caller's; the oracle has
            // no clock.
            .filter(|op| {
                let left_out = [
                    Op::InsnStart,
                    Op::SkipUnless,
                    Op::Label,
                    Op::SetFpscr,
                    Op::ClockCall,
                ];
                !left_out.contains(op) && (vector || !is_vector(*op) && !is_armv8(*op))
            })
            .collect();
        let op = self.random.pick(&candidates);
        let mut inst = Inst::new(op);
        let kinds: Vec<u8> = if is_vector(op) {
            self.vector_operands(&mut inst);
            Vec::new()
        } else {
            op.args().bytes().collect()
        };
        for (i, kind) in kinds.into_iter().enumerate() {
            let value = match kind {
                b'?' if self.random.below(2) == 0 => Value::NONE,
                b'?' | b'i' => self.value(Type::I32),
                b'l' => self.value(Type::I64),
                b's' => self.value(Type::F32),
                _ => self.value(Type::F64),
            };
            match i {
                0 => inst.a = value,
                1 => inst.b = value,
                _ => inst.c = value,
            }
        }
        if op.effects() & effect::FLAGS != 0 {
            // N and Z come together (a rule of the IR).
            let f = self.random.below(16) as u8;
            let f = if f & Flags::NZ.0 != 0 { f | Flags::NZ.0 } else { f };
            inst.flags = Flags(f & settable(op).0);
        }
        if op.effects() & effect::READS_COND != 0 {
            inst.cond = self.cond();
        }
        self.fields(&mut inst);
        let value = self.builder.push(inst);
        if op.result() == Type::Vec {
            self.pool_vector(&inst, value);
        } else if let Some(pool) = pool(op.result()) {
            self.pools[pool].push(value);
        }
    }

    /// A value in reach, or a new one.
    fn value(&mut self, ty: Type) -> Value {
        let Some(index) = pool(ty) else {
            return Value::NONE;
        };
        if !self.pools[index].is_empty() && self.random.below(4) != 0 {
            // The latest are the likeliest: chains of operations, few dead values.
            let len = self.pools[index].len() as u64;
            let back = self.random.below(len).min(self.random.below(len));
            return self.pools[index][(len - 1 - back) as usize];
        }
        let inst = match (ty, self.random.below(3)) {
            (Type::I32, 0) => Inst {
                imm: word(&mut self.random),
                ..Inst::new(Op::Const)
            },
            (Type::I32, _) => Inst {
                imm: self.random.below(15) as u32,
                ..Inst::new(Op::GetReg)
            },
            (Type::I64, _) => {
                let bits = double(&mut self.random);
                Inst {
                    imm: bits as u32,
                    imm2: (bits >> 32) as u32,
                    ..Inst::new(Op::Const64)
                }
            }
            (Type::F32, _) => Inst {
                imm: self.random.below(32) as u32,
                ..Inst::new(Op::GetS)
            },
            _ => Inst {
                imm: self.random.below(32) as u32,
                ..Inst::new(Op::GetD)
            },
        };
        let value = self.builder.push(inst);
        self.pools[index].push(value);
        value
    }

    /// Immediates and `aux`, and for accesses an address that is mostly in range.
    fn fields(&mut self, inst: &mut Inst) {
        let random = &mut self.random;
        let mut below = |n: u64| random.below(n) as u32;
        match inst.op {
            Op::GetReg | Op::SetReg => inst.imm = below(15),
            Op::GetS | Op::SetS | Op::GetD | Op::SetD => inst.imm = below(32),
            Op::GetSys | Op::SetSys => inst.imm = below(2),
            Op::Const => inst.imm = word(random),
            Op::Const64 => (inst.imm, inst.imm2) = (word(random), word(random)),
            Op::Shl | Op::Ror => inst.imm = 1 + below(31),
            Op::Shr | Op::Sar | Op::SSat => inst.imm = 1 + below(32),
            Op::USat => inst.imm = below(32),
            Op::SSat16 => inst.imm = 1 + below(16),
            Op::USat16 => inst.imm = below(16),
            Op::Sar64 => inst.imm = below(64),
            Op::Ubfx | Op::Sbfx | Op::Bfi => {
                inst.imm = below(32);
                inst.imm2 = 1 + below(32 - u64::from(inst.imm));
            }
            Op::Crc32 => (inst.imm, inst.aux) = (1 << below(3), below(2) as u8),
            Op::Parallel => inst.aux = (8 * below(6) + below(6)) as u8,
            Op::StoreRel | Op::LoadEx | Op::StoreEx => inst.imm = 1 << below(3),
            Op::LoadEx64 | Op::StoreEx64 => inst.imm = 8,
            Op::Swap => inst.imm = 1 << (2 * below(2)),
            Op::CheckAlign => {
                inst.imm = below(2) * 4;
                inst.imm2 = (2 << below(5)) - 1;
            }
            Op::F32ToFixed | Op::F64ToFixed | Op::FixedToF32 | Op::FixedToF64 => {
                inst.imm2 = 16 << below(2);
                inst.imm = u32::from(inst.imm2 == 32) + below(u64::from(inst.imm2));
                inst.aux = below(2) as u8;
            }
            Op::F32ToInt | Op::F64ToInt => inst.aux = below(4) as u8,
            Op::IntToF32 | Op::IntToF64 | Op::FCmp32 | Op::FCmp64 => inst.aux = below(2) as u8,
            Op::ExitIf | Op::ExitIfZero | Op::ExitIfNonZero | Op::Jump => inst.imm = target(random),
            Op::Call => (inst.imm, inst.imm2) = (target(random), self.next | u32::from(self.thumb)),
            Op::CallInd => inst.imm2 = self.next | u32::from(self.thumb),
            Op::Svc => inst.imm2 = self.next | u32::from(self.thumb),
            Op::Trap => {
                let kinds = [Trap::Undefined, Trap::Breakpoint, Trap::Yield];
                inst.aux = random.pick(&kinds) as u8;
                inst.imm = random.below(256) as u32;
            }
            _ => self.scalar_fields(inst),
        }
        if inst.op.effects() & effect::FAULT != 0 && inst.op != Op::CheckAlign {
            self.address(inst);
        }
    }

    /// Bends the base into MEMORY (with the index and displacement small), except one time in twelve. Exclusives,
    /// exchanges and store-releases are aligned, as their CheckAlign would see to.
    fn address(&mut self, inst: &mut Inst) {
        if self.random.below(12) == 0 && inst.op.args().starts_with("i?") {
            inst.imm = word(&mut self.random);
            inst.aux = (self.random.below(4) as u8) << 4;
            if inst.b.is_none() {
                inst.aux = 0;
            }
            return;
        }
        let indexed = inst.op.args().starts_with("i?");
        let align = if indexed { 0 } else { 7 };
        let offset = self.masked(inst.a, 0x7ff & !align);
        let base = self.builder.iconst(MEMORY.start + 0x100);
        inst.a = self.builder.op2(Op::Or, offset, base);
        if indexed {
            inst.imm = (self.random.below(0x200) as u32).wrapping_sub(0x100);
            if !inst.b.is_none() {
                inst.b = self.masked(inst.b, 0x3f);
                inst.aux = (self.random.below(4) as u8) << 4;
            }
        }
    }

    fn masked(&mut self, value: Value, mask: u32) -> Value {
        let mask = self.builder.iconst(mask);
        self.builder.op2(Op::And, value, mask)
    }
}

/// A jump target: in T32 state any even address, in A32 a multiple of four.
fn target(random: &mut Random) -> u32 {
    let address = START + (random.below(0x1000) as u32) * 4;
    address | random.below(2) as u32
}

fn is_fp(op: Op) -> bool {
    op.effects() & effect::FP_TRAP != 0
        || matches!(op.result(), Type::F32 | Type::F64)
        || op.args().contains(['s', 'd'])
        || matches!(op, Op::FlagsFromFp | Op::GetFpscr | Op::SetFpscr)
}

/// Index of the pool of a type.
fn pool(ty: Type) -> Option<usize> {
    match ty {
        Type::None => None,
        Type::I32 => Some(0),
        Type::I64 => Some(1),
        Type::F32 => Some(2),
        Type::F64 => Some(3),
        // These have pools of their own.
        Type::Vec => None,
    }
}
