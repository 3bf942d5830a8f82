//! Instructions to IR: forms blocks of guest instructions and says in IR what each does, one file per instruction class.
//!
//! The entry is [`translate_block`]. `block` walks the guest code and owns control flow inside the block (IT blocks,
//! predicated runs, side exits); the class files append the operations of one instruction each. Rules that every
//! class file keeps, because the back end and precise faults rely on them:
//! - what may fault comes before the instruction's first write of a guest register or of flags (except that loads
//!   of several registers write each as it arrives, the base last);
//! - an operation that sets flags comes before the register write of the same instruction;
//! - only instructions for which [`block::ends_block`] holds append a terminator, and they always do (or say
//!   [`Flow::Goto`]).

mod alu;
pub mod block;
mod branch;
mod clocks;
pub mod decode;
mod exclusive;
pub mod flags;
pub mod intrinsic;
mod kuser;
mod media;
mod mem;
mod mul;
mod multiple;
mod simd;
mod simd_fp;
mod simd_mem;
mod simd_shift;
mod system;
mod vfp;
mod vfp_half;
mod vfp_vector;

#[cfg(test)]
mod simd_tests;

pub use block::{Buffers, translate_block, translate_with};
pub use clocks::ClockFunction;
pub use decode::{Code, Decodings, Fetch, Fetched, Seen, decode_at};
pub use flags::flags_live_at;
pub use kuser::is_entry as is_kuser_entry;

use crate::cpu::location::FpKey;
use crate::cpu::model::{Features, Model};
use crate::ir::builder::Builder;
use crate::ir::ops::{Op, Trap, Value};
use crate::isa::insn::{Insn, Reg};

/// What translation depends on besides the guest's code.
#[derive(Clone, Debug)]
pub struct Context {
    /// What decodes, and which architecture version's rules hold for interworking.
    pub features: Features,
    /// FPSID and MVFR values.
    pub model: Model,
    /// Guest instructions a block holds at most (IT blocks are finished all the same); 1 steps singly.
    pub max_insns: usize,
    /// Whether blocks that start at a helper entry of the kuser page get its meaning directly.
    pub kuser: bool,
    /// Clock functions of the vDSO whose meaning blocks get directly.
    pub clocks: Vec<ClockFunction>,
}

/// Block length the translator uses.
pub const MAX_INSNS: usize = 64;

impl Context {
    pub fn new(model: &Model) -> Context {
        Context {
            features: model.features,
            model: *model,
            max_insns: MAX_INSNS,
            kuser: true,
            clocks: Vec::new(),
        }
    }
}

/// Where control goes after an instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Flow {
    /// To the next instruction.
    Next,
    /// Out of the block: a terminator has been appended.
    Ended,
    /// To this address in the same instruction set, in the same block if the block's limits allow.
    Goto(u32),
}

/// The block being built and the instruction being lifted.
pub(crate) struct Lifter<'a> {
    pub b: Builder,
    pub ctx: &'a Context,
    pub thumb: bool,
    pub fp: FpKey,
    /// Address of the current instruction.
    pub pc: u32,
    /// Its size in bytes.
    pub size: u32,
    /// Its encoding, for the log (first halfword high for 32-bit T32).
    pub word: u32,
    /// Registers that the instruction before this one popped: `pop {r1}; bx r1` is how Thumb code for ARMv4T returns.
    pub popped: u16,
}

impl Lifter<'_> {
    /// The pc as the current instruction reads it.
    pub fn pc_read(&self) -> u32 {
        self.pc.wrapping_add(if self.thumb { 4 } else { 8 })
    }

    /// The pc as a literal load or ADR reads it: Align(pc, 4).
    pub fn pc_aligned(&self) -> u32 {
        self.pc_read() & !3
    }

    /// Address of the next instruction.
    pub fn next(&self) -> u32 {
        self.pc.wrapping_add(self.size)
    }

    /// An address in the current instruction set as exits carry it.
    pub fn target(&self, pc: u32) -> u32 {
        if self.thumb { pc | 1 } else { pc & !1 }
    }

    /// The next instruction as exits carry it.
    pub fn next_target(&self) -> u32 {
        self.target(self.next())
    }

    pub fn has(&self, features: Features) -> bool {
        self.ctx.features.contains(features)
    }

    /// Value of a core register; the pc reads as a constant.
    pub fn reg(&mut self, r: Reg) -> Value {
        if r == Reg::PC {
            let pc = self.pc_read();
            self.b.iconst(pc)
        } else {
            self.b.get_reg(r.0)
        }
    }

    /// Writes a core register other than the pc. (The decoders call the pc as destination unpredictable wherever
    /// this is used with a register from an encoding; a pc that gets here all the same is not written.)
    pub fn set(&mut self, r: Reg, v: Value) {
        if r != Reg::PC {
            self.b.set_reg(r.0, v);
        }
    }

    pub fn add_const(&mut self, v: Value, n: u32) -> Value {
        if n == 0 {
            return v;
        }
        let c = self.b.iconst(n);
        self.b.op2(Op::Add, v, c)
    }

    /// Ends the block with the undefined-instruction trap at the current instruction.
    pub fn undefined(&mut self) -> Flow {
        let word = self.word;
        self.b.trap(Trap::Undefined, word);
        Flow::Ended
    }

    /// Appends the operations of `insn`, taken as unconditional.
    pub fn lift(&mut self, insn: &Insn) -> Flow {
        use Insn::*;
        match *insn {
            Alu { op, s, rd, rn, src } => self.alu(op, s, rd, rn, src),
            Mov { s, rd, src } => self.mov(s, rd, src, false),
            Mvn { s, rd, src } => self.mov(s, rd, src, true),
            Test { op, rn, src } => self.test(op, rn, src),
            MovW { rd, imm } => self.movw(rd, imm),
            MovT { rd, imm } => self.movt(rd, imm),
            Adr { rd, offset } => self.adr(rd, offset),

            Mul { .. }
            | Mla { .. }
            | Mls { .. }
            | MulLong { .. }
            | Umaal { .. }
            | SmulXY { .. }
            | SmlaXY { .. }
            | SmulWY { .. }
            | SmlaWY { .. }
            | SmlalXY { .. }
            | Smuad { .. }
            | Smlad { .. }
            | Smlald { .. }
            | Smmul { .. }
            | Smmla { .. }
            | Div { .. } => self.multiply(insn),

            Usad8 { .. }
            | Usada8 { .. }
            | QAdd { .. }
            | Sat { .. }
            | Sat16 { .. }
            | Parallel { .. }
            | Sel { .. }
            | Extend { .. }
            | Pkh { .. }
            | Rev { .. }
            | Clz { .. }
            | Bfc { .. }
            | Bfi { .. }
            | Bfx { .. }
            | Crc32 { .. } => self.media(insn),

            Load {
                size,
                signed,
                rt,
                addr,
                ..
            } => self.load(size, signed, rt, &addr),
            Store { size, rt, addr, .. } => self.store(size, rt, &addr),
            LoadDual { rt, rt2, addr } => self.load_dual(rt, rt2, &addr),
            StoreDual { rt, rt2, addr } => self.store_dual(rt, rt2, &addr),
            LoadMultiple {
                rn,
                regs,
                mode,
                writeback,
            } => self.load_multiple(rn, regs, mode, writeback),
            StoreMultiple {
                rn,
                regs,
                mode,
                writeback,
            } => self.store_multiple(rn, regs, mode, writeback),
            LoadExclusive {
                size,
                rt,
                rt2,
                rn,
                imm,
                ..
            } => self.load_exclusive(size, rt, rt2, rn, imm),
            StoreExclusive {
                size,
                rd,
                rt,
                rt2,
                rn,
                imm,
                ..
            } => self.store_exclusive(size, rd, rt, rt2, rn, imm),
            LoadAcquire { size, rt, rn } => self.load_acquire(size, rt, rn),
            StoreRelease { size, rt, rn } => self.store_release(size, rt, rn),
            Clrex => self.clrex(),
            Swp { byte, rt, rt2, rn } => self.swap(byte, rt, rt2, rn),
            Preload => Flow::Next,

            B { offset } => Flow::Goto(self.pc_read().wrapping_add_signed(offset)),
            Bl { offset, exchange } => self.branch_link(offset, exchange),
            Bx { rm } | Bxj { rm } => self.branch_exchange(rm),
            BlxReg { rm } => self.call_register(rm),
            Cbz { nonzero, rn, offset } => self.compare_branch(nonzero, rn, offset),
            TableBranch { half, rn, rm } => self.table_branch(half, rn, rm),
            // The block former keeps ITSTATE; by itself the instruction does nothing.
            It { .. } => Flow::Next,

            Svc { imm } => self.supervisor_call(imm),
            Bkpt { .. } => self.breakpoint(),
            Hlt { .. } => self.undefined(),
            Udf { imm } => self.permanently_undefined(imm),
            Hint(hint) => self.hint(hint),
            Barrier(barrier) => self.barrier(barrier),
            Mrs { rd } => self.read_apsr(rd),
            Msr { nzcvq, g, src } => self.write_apsr(nzcvq, g, src),
            Setend { big } => self.set_endian(big),
            PrivilegedNop => Flow::Next,
            Coproc { .. } => self.coprocessor(insn),

            Vfp(ref vfp) => self.vfp(vfp),
            Simd(ref simd) => {
                self.b.block_mut().simd_insns += 1;
                self.simd(simd)
            }
        }
    }
}
