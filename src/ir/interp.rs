//! Executes a block on the architectural state: the oracle for the translator, and what the run time uses to step
//! over single instructions and to settle floating-point traps.

use super::ops::{Block, Flags, Inst, Op, Sys, Trap, Value};
use super::vector::{Shape, VecOp};
use crate::cpu::state::{CpuState, NO_EXCLUSIVE, nzcv_to_fp_cmp};
use crate::softfp::{Mode, Status};
use arith::*;
pub use arith::{advance_it, holds};
pub use fp::{fp_flags, fp_op, read_fpscr, write_fpscr};
use memory::NoMemory;
pub use memory::{MemFault, Memory};
pub use parallel::parallel;
pub use vector::{QC, vec_op};

pub mod arith;
mod crypto;
mod fp;
mod memory;
mod parallel;
mod vector;
mod vector_fp;

/// How a block left. Guest addresses of jumps carry the T bit in bit 0; r15, T and ITSTATE of the state are already
/// those of the place where execution goes on, or of the instruction itself for traps and faults.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    Jump(u32),
    Call {
        target: u32,
        ret: u32,
    },
    CallInd {
        target: u32,
        ret: u32,
    },
    Return(u32),
    JumpInd(u32),
    Svc {
        imm: u32,
        next: u32,
    },
    /// The instruction at `pc` raised `kind`; see [`Trap`] for `imm`.
    Trap {
        kind: Trap,
        imm: u32,
        pc: u32,
    },
    /// A refused access by the instruction at `pc`.
    Fault {
        addr: u32,
        write: bool,
        pc: u32,
    },
    /// An access by the instruction at `pc` that must be aligned and isn't.
    AlignFault {
        addr: u32,
        pc: u32,
    },
}

/// Executes `block`, which [`super::verify`] accepts. Operations before a faulting one have taken effect.
pub fn run<M: Memory>(block: &Block, state: &mut CpuState, mem: &mut M) -> Exit {
    let mut run = Run {
        values: &mut vec![0; block.insts.len()],
        state,
        mem,
        pc: block.start,
        thumb: 0,
        it: 0,
    };
    let mut at = 0;
    while let Some(inst) = block.insts.get(at) {
        match run.step(inst) {
            Ok(Flow::Value(value)) => run.values[at] = value,
            Ok(Flow::Skip(label)) => {
                let rest = &block.insts[at..];
                let found = rest.iter().position(|i| i.op == Op::Label && i.imm == label);
                at += found.unwrap_or(rest.len());
            }
            Ok(Flow::Leave(exit)) => return run.leave(exit),
            Err(stop) => return run.stop(inst, stop),
        }
        at += 1;
    }
    // A block without a terminator is not one that the verifier accepts.
    run.leave(Exit::Trap {
        kind: Trap::Undefined,
        imm: 0,
        pc: run.pc,
    })
}

/// The value of one operation that needs no memory and doesn't leave, on operands given as raw bits. Flags, Q and GE
/// of `state` are read and written as in a block.
pub fn eval(inst: &Inst, args: [u64; 3], state: &mut CpuState) -> u64 {
    let operands = Inst {
        a: Value(0),
        b: Value(1),
        c: Value(2),
        ..*inst
    };
    let mut run = Run {
        values: &mut args.map(u128::from),
        state,
        mem: &mut NoMemory,
        pc: 0,
        thumb: 0,
        it: 0,
    };
    match run.step(&operands) {
        Ok(Flow::Value(value)) => value as u64,
        _ => 0,
    }
}

/// What follows an operation.
enum Flow {
    /// The next operation; this one's value (0 if it defines none).
    Value(u128),
    /// The operations after this label.
    Skip(u32),
    Leave(Exit),
}

/// Why an operation could not be executed.
enum Stop {
    Memory(MemFault),
    Alignment(u32),
}

impl From<MemFault> for Stop {
    fn from(fault: MemFault) -> Stop {
        Stop::Memory(fault)
    }
}

struct Run<'a, M> {
    /// Raw bits of the values defined so far.
    values: &'a mut [u128],
    state: &'a mut CpuState,
    mem: &'a mut M,
    /// The current guest instruction: address, T bit and ITSTATE before it.
    pc: u32,
    thumb: u8,
    it: u8,
}

impl<M: Memory> Run<'_, M> {
    /// Raw bits of an operand, 0 for one that is absent.
    fn vector(&self, v: Value) -> u128 {
        self.values.get(v.index()).copied().unwrap_or(0)
    }

    fn value(&self, v: Value) -> u64 {
        self.vector(v) as u64
    }

    fn word(&self, v: Value) -> u32 {
        self.value(v) as u32
    }

    /// Guest address of a load or store.
    fn address(&self, inst: &Inst) -> u32 {
        let index = self.word(inst.b) << (inst.aux >> 4);
        self.word(inst.a).wrapping_add(index).wrapping_add(inst.imm)
    }

    fn set_flags(&mut self, which: Flags, nzcv: u32) {
        let mask = u32::from(which.0) << 28;
        let old = self.state.nzcv();
        self.state.set_nzcv(old & !mask | nzcv & mask);
    }

    /// N and Z from a 32-bit result, C as given, V clear; of these, the ones in `inst.flags`.
    fn logical(&mut self, inst: &Inst, result: u32, carry: bool) -> u64 {
        self.set_flags(inst.flags, nz(result) | u32::from(carry) << 29);
        u64::from(result)
    }

    /// AddWithCarry.
    fn add(&mut self, inst: &Inst, a: u32, b: u32, carry: bool) -> u64 {
        let (sum, carry_out, overflow) = add_with_carry(a, b, carry);
        self.set_flags(
            inst.flags,
            nz(sum) | u32::from(carry_out) << 29 | u32::from(overflow) << 28,
        );
        u64::from(sum)
    }

    /// A shift by register: the amount is the bottom byte, and 0 leaves C alone.
    fn shift(&mut self, inst: &Inst, shift: fn(u32, u32) -> (u32, bool)) -> u64 {
        let (a, amount) = (self.word(inst.a), self.word(inst.b) & 0xff);
        let (result, carry) = if amount == 0 {
            (a, self.state.c != 0)
        } else {
            shift(a, amount)
        };
        self.logical(inst, result, carry)
    }

    fn saturated(&mut self, (result, saturated): (u32, bool)) -> u64 {
        self.state.q |= u8::from(saturated);
        u64::from(result)
    }

    /// A floating-point operation with FPSCR's modes, its exceptions accumulated there.
    fn fp(&mut self, inst: &Inst) -> u64 {
        let mut status = Status::default();
        let mode = Mode::from_fpscr(self.state.fpscr);
        let [a, b, c] = inst.operands().map(|v| self.value(v));
        let result = fp_op(inst.op, inst.aux, inst.imm, inst.imm2, a, b, c, mode, &mut status);
        self.state.fpscr |= status.0;
        if let Some(nzcv) = fp_flags(inst.op, result) {
            self.state.fp_cmp = nzcv_to_fp_cmp(nzcv);
        }
        result
    }

    fn vec_op(&mut self, inst: &Inst) -> u128 {
        let Some(op) = VecOp::from_aux(inst.aux) else {
            return 0;
        };
        let args = inst.operands().map(|v| self.vector(v));
        let (value, raised) = vec_op(op, Shape(inst.imm2 as u8), inst.imm, args, self.state.fpscr);
        self.state.fpscr |= raised;
        value
    }

    /// The element at `addr`, zero-extended.
    fn load_element(&mut self, addr: u32, shape: Shape) -> Result<u128, MemFault> {
        Ok(match shape.log2_bytes() {
            0 => self.mem.read8(addr)?.into(),
            1 => self.mem.read16(addr)?.into(),
            _ => self.mem.read32(addr)?.into(),
        })
    }

    /// Operations whose value or operand is a vector.
    fn vector_step(&mut self, inst: &Inst) -> Result<u128, MemFault> {
        let shape = Shape(inst.imm2 as u8);
        let (a, imm) = (self.vector(inst.a), inst.imm);
        let d = imm as usize & 31;
        // The place of lane `imm`.
        let at = imm.wrapping_mul(shape.esize()) & 127;
        Ok(match inst.op {
            Op::GetV => {
                let high = if shape.is_q() { self.state.d[d | 1] } else { 0 };
                u128::from(self.state.d[d]) | u128::from(high) << 64
            }
            Op::SetV => {
                self.state.d[d] = a as u64;
                if shape.is_q() {
                    self.state.d[d | 1] = (a >> 64) as u64;
                }
                0
            }
            Op::LoadV if shape.is_q() => self.mem.read128(self.address(inst))?,
            Op::LoadV => self.mem.read64(self.address(inst))?.into(),
            Op::StoreV => {
                let (addr, value) = (self.address(inst), self.vector(inst.c));
                if shape.is_q() {
                    self.mem.write128(addr, value)?;
                } else {
                    self.mem.write64(addr, value as u64)?;
                }
                0
            }
            Op::LoadDup => {
                let esize = shape.esize();
                let element = self.load_element(self.address(inst), shape)?;
                (0..8 * shape.bytes() / esize).fold(0, |all, i| all | element << (i * esize))
            }
            Op::LoadLane => {
                let at = (inst.imm2 >> 8) * shape.esize();
                let element = self.load_element(self.address(inst), shape)?;
                let ones = u128::MAX >> (128 - shape.esize());
                self.vector(inst.c) & !(ones << at) | element << at
            }
            Op::StoreLane => {
                let (addr, value) = (self.address(inst), self.vector(inst.c));
                let element = (value >> ((inst.imm2 >> 8) * shape.esize())) as u32;
                match shape.log2_bytes() {
                    0 => self.mem.write8(addr, element as u8)?,
                    1 => self.mem.write16(addr, element as u16)?,
                    _ => self.mem.write32(addr, element)?,
                }
                0
            }
            Op::VConst => {
                let half = u128::from(imm) | u128::from(inst.imm2) << 32;
                half | half << 64
            }
            Op::VDup => vector::build(shape.lanes(), shape.esize(), |_| a),
            Op::VExtract => {
                let unused = 64 - shape.esize();
                let bits = (a >> at) as u64;
                u128::from(if shape.is_unsigned() {
                    (bits << unused >> unused) as u32
                } else {
                    ((bits << unused) as i64 >> unused) as u32
                })
            }
            Op::VInsert => {
                let mask = u128::from(u64::MAX >> (64 - shape.esize())) << at;
                a & !mask | self.vector(inst.b) << at & mask
            }
            Op::VToI64 => a >> (64 * (imm & 1)) & u128::from(u64::MAX),
            Op::VFromI64 => a,
            Op::Vec | Op::VecSat | Op::VecFp => self.vec_op(inst),
            _ => 0,
        })
    }

    fn exclusive_load(&mut self, inst: &Inst) -> Result<u64, Stop> {
        let addr = self.word(inst.a);
        let value = self.read_sized(addr, inst.imm)?;
        self.state.ex_addr = u64::from(addr);
        self.state.ex_val = value;
        Ok(value)
    }

    /// 0 if the monitor was open for the address and memory still holds what the exclusive load saw, else 1.
    fn exclusive_store(&mut self, inst: &Inst) -> Result<u64, Stop> {
        let addr = self.word(inst.a);
        let new = self.value(inst.b);
        let stored = self.state.ex_addr == u64::from(addr)
            && self
                .mem
                .compare_exchange(addr, inst.imm, self.state.ex_val, new)?;
        self.state.ex_addr = NO_EXCLUSIVE;
        Ok(u64::from(!stored))
    }

    fn swap(&mut self, inst: &Inst) -> Result<u64, Stop> {
        let (addr, new) = (self.word(inst.a), self.value(inst.b));
        loop {
            let old = self.read_sized(addr, inst.imm)?;
            if self.mem.compare_exchange(addr, inst.imm, old, new)? {
                return Ok(old);
            }
        }
    }

    fn read_sized(&mut self, addr: u32, bytes: u32) -> Result<u64, MemFault> {
        Ok(match bytes {
            1 => u64::from(self.mem.read8(addr)?),
            2 => u64::from(self.mem.read16(addr)?),
            4 => u64::from(self.mem.read32(addr)?),
            _ => self.mem.read64(addr)?,
        })
    }

    fn store_release(&mut self, inst: &Inst) -> Result<(), MemFault> {
        let (addr, value) = (self.word(inst.a), self.word(inst.b));
        self.mem.fence();
        match inst.imm {
            1 => self.mem.write8(addr, value as u8)?,
            2 => self.mem.write16(addr, value as u16)?,
            _ => self.mem.write32(addr, value)?,
        }
        self.mem.fence();
        Ok(())
    }

    fn step(&mut self, inst: &Inst) -> Result<Flow, Stop> {
        let a = self.word(inst.a);
        let b = self.word(inst.b);
        let c = self.word(inst.c);
        let (a64, b64) = (self.value(inst.a), self.value(inst.b));
        let imm = inst.imm;
        let carry = self.state.c != 0;
        let register = imm as usize & 31;
        let value: u64 = match inst.op {
            Op::InsnStart => {
                self.pc = imm;
                self.thumb = inst.aux & 1;
                self.it = inst.imm2 as u8;
                0
            }
            Op::SkipUnless => {
                if !holds(inst.cond, self.state.nzcv()) {
                    return Ok(Flow::Skip(imm));
                }
                0
            }
            Op::Label | Op::Nop => 0,

            Op::GetReg => self.state.r[register & 15].into(),
            Op::SetReg => {
                self.state.r[register & 15] = a;
                0
            }
            Op::GetS => self.state.s(register).into(),
            Op::SetS => {
                self.state.set_s(register, a);
                0
            }
            Op::GetD => self.state.d[register],
            Op::SetD => {
                self.state.d[register] = a64;
                0
            }
            Op::GetNzcv => self.state.nzcv().into(),
            Op::SetNzcv => {
                self.set_flags(inst.flags, a);
                0
            }
            Op::SetC => {
                self.set_flags(Flags(inst.flags.0 & Flags::C.0), a << 29);
                0
            }
            Op::TestNz => {
                self.set_flags(inst.flags, nz(a));
                0
            }
            Op::TestNz64 => {
                self.set_flags(
                    inst.flags,
                    nz((a64 >> 32) as u32) & 0x8000_0000 | u32::from(a64 == 0) << 30,
                );
                0
            }
            Op::SetCond => holds(inst.cond, self.state.nzcv()).into(),
            Op::GetQ => self.state.q.into(),
            Op::SetQ => {
                self.state.q = (a & 1) as u8;
                0
            }
            Op::GetGe => self.state.ge.into(),
            Op::SetGe => {
                self.state.ge = a;
                0
            }
            Op::GetSys => u64::from(match sys(imm) {
                Some(Sys::Tpidruro) => self.state.tpidruro,
                Some(Sys::Tpidrurw) => self.state.tpidrurw,
                None => 0,
            }),
            Op::SetSys => {
                match sys(imm) {
                    Some(Sys::Tpidruro) => self.state.tpidruro = a,
                    Some(Sys::Tpidrurw) => self.state.tpidrurw = a,
                    None => {}
                };
                0
            }

            Op::Const => imm.into(),
            Op::Const64 => u64::from(imm) | u64::from(inst.imm2) << 32,

            Op::Add => self.add(inst, a, b, false),
            Op::Sub => self.add(inst, a, !b, true),
            Op::Adc => self.add(inst, a, b, carry),
            Op::Sbc => self.add(inst, a, !b, carry),
            Op::And => self.logical(inst, a & b, carry),
            Op::Or => self.logical(inst, a | b, carry),
            Op::Xor => self.logical(inst, a ^ b, carry),
            Op::AndNot => self.logical(inst, a & !b, carry),
            Op::OrNot => self.logical(inst, a | !b, carry),
            Op::Not => self.logical(inst, !a, carry),
            Op::Shl => {
                let (result, out) = lsl(a, imm);
                self.logical(inst, result, out)
            }
            Op::Shr => {
                let (result, out) = lsr(a, imm);
                self.logical(inst, result, out)
            }
            Op::Sar => {
                let (result, out) = asr(a, imm);
                self.logical(inst, result, out)
            }
            Op::Ror => {
                let (result, out) = ror(a, imm);
                self.logical(inst, result, out)
            }
            Op::Rrx => self.logical(inst, a >> 1 | u32::from(carry) << 31, a & 1 != 0),
            Op::ShlReg => self.shift(inst, lsl),
            Op::ShrReg => self.shift(inst, lsr),
            Op::SarReg => self.shift(inst, asr),
            Op::RorReg => self.shift(inst, ror),
            Op::Mul => self.logical(inst, a.wrapping_mul(b), carry),
            Op::UDiv => a.checked_div(b).unwrap_or(0).into(),
            Op::SDiv => u64::from(if b == 0 {
                0
            } else {
                (a as i32).wrapping_div(b as i32) as u32
            }),
            Op::Clz => a.leading_zeros().into(),
            Op::Rbit => a.reverse_bits().into(),
            Op::Rev => a.swap_bytes().into(),
            Op::Rev16 => a.swap_bytes().rotate_left(16).into(),
            Op::Sext8 => (a as i8 as u32).into(),
            Op::Sext16 => (a as i16 as u32).into(),
            Op::Zext8 => (a & 0xff).into(),
            Op::Zext16 => (a & 0xffff).into(),
            Op::Ubfx => (a >> (imm & 31) & ones(inst.imm2)).into(),
            Op::Sbfx => {
                let unused = 32 - inst.imm2.clamp(1, 32);
                let field = a >> (imm & 31) << unused;
                ((field as i32 >> unused) as u32).into()
            }
            Op::Bfi => {
                let mask = ones(inst.imm2) << (imm & 31);
                (a & !mask | b << (imm & 31) & mask).into()
            }
            Op::Select => u64::from(if holds(inst.cond, self.state.nzcv()) { a } else { b }),
            Op::BitSelect => (a & c | b & !c).into(),
            Op::Crc32 => crc32(a, b, imm, inst.aux & 1 != 0).into(),

            Op::UMul64 => u64::from(a) * u64::from(b),
            Op::SMul64 => (i64::from(a as i32) * i64::from(b as i32)) as u64,
            Op::Add64 => a64.wrapping_add(b64),
            Op::Sub64 => a64.wrapping_sub(b64),
            Op::Concat => u64::from(a) | u64::from(b) << 32,
            Op::Lo => u64::from(a64 as u32),
            Op::Hi => a64 >> 32,
            Op::Sext64 => a as i32 as u64,
            Op::Sar64 => (a64 as i64 >> (imm & 63)) as u64,

            Op::QAdd => self.saturated(saturate(i64::from(a as i32) + i64::from(b as i32), 32)),
            Op::QSub => self.saturated(saturate(i64::from(a as i32) - i64::from(b as i32), 32)),
            Op::AddSetQ => {
                let (sum, overflow) = (a as i32).overflowing_add(b as i32);
                self.saturated((sum as u32, overflow))
            }
            Op::NarrowSetQ => {
                let wide = a64 as i64;
                self.saturated((a, i64::from(wide as i32) != wide))
            }
            Op::SSat => self.saturated(saturate((a as i32).into(), imm)),
            Op::USat => self.saturated(saturate_unsigned((a as i32).into(), imm)),
            Op::SSat16 => self.saturated(each_half(a, |half| saturate(half, imm))),
            Op::USat16 => self.saturated(each_half(a, |half| saturate_unsigned(half, imm))),
            Op::Parallel => {
                let (result, ge) = parallel(inst.aux, a, b);
                if let Some(ge) = ge {
                    self.state.ge = ge;
                }
                result.into()
            }
            Op::Usada8 => {
                let bytes = a.to_le_bytes().into_iter().zip(b.to_le_bytes());
                let sum: u32 = bytes.map(|(x, y)| u32::from(x.abs_diff(y))).sum();
                sum.wrapping_add(c).into()
            }

            Op::Load8 => self.mem.read8(self.address(inst))?.into(),
            Op::LoadS8 => (self.mem.read8(self.address(inst))? as i8 as u32).into(),
            Op::Load16 => self.mem.read16(self.address(inst))?.into(),
            Op::LoadS16 => (self.mem.read16(self.address(inst))? as i16 as u32).into(),
            Op::Load32 | Op::LoadF32 => self.mem.read32(self.address(inst))?.into(),
            Op::Load64 | Op::LoadF64 => self.mem.read64(self.address(inst))?,
            Op::Store8 => {
                self.mem.write8(self.address(inst), c as u8)?;
                0
            }
            Op::Store16 => {
                self.mem.write16(self.address(inst), c as u16)?;
                0
            }
            Op::Store32 | Op::StoreF32 => {
                self.mem.write32(self.address(inst), c)?;
                0
            }
            Op::Store64 | Op::StoreF64 => {
                self.mem.write64(self.address(inst), self.value(inst.c))?;
                0
            }
            Op::CheckAlign => {
                let addr = a.wrapping_add(imm);
                if addr & inst.imm2 != 0 {
                    return Err(Stop::Alignment(addr));
                }
                0
            }
            Op::LoadEx | Op::LoadEx64 => self.exclusive_load(inst)?,
            Op::StoreEx | Op::StoreEx64 => self.exclusive_store(inst)?,
            Op::Clrex => {
                self.state.ex_addr = NO_EXCLUSIVE;
                0
            }
            Op::Swap => self.swap(inst)?,
            Op::Fence => {
                self.mem.fence();
                0
            }
            Op::StoreRel => {
                self.store_release(inst)?;
                0
            }

            Op::FCmp32 | Op::FCmp64 | Op::HalfCmp => {
                self.fp(inst);
                0
            }
            Op::F64ToJs => self.fp(inst) & 0xffff_ffff,
            Op::FAdd32
            | Op::FSub32
            | Op::FMul32
            | Op::FDiv32
            | Op::FSqrt32
            | Op::FMa32
            | Op::FNeg32
            | Op::FAbs32
            | Op::FAdd64
            | Op::FSub64
            | Op::FMul64
            | Op::FDiv64
            | Op::FSqrt64
            | Op::FMa64
            | Op::FNeg64
            | Op::FAbs64
            | Op::F32ToF64
            | Op::F64ToF32
            | Op::F32ToInt
            | Op::F64ToInt
            | Op::IntToF32
            | Op::IntToF64
            | Op::F32ToFixed
            | Op::F64ToFixed
            | Op::FixedToF32
            | Op::FixedToF64
            | Op::HalfToF32
            | Op::F32ToHalf
            | Op::FMinNm32
            | Op::FMaxNm32
            | Op::FMinNm64
            | Op::FMaxNm64
            | Op::FRint32
            | Op::FRint64
            | Op::F32Round
            | Op::F64Round
            | Op::HalfToF64
            | Op::F64ToHalf
            | Op::Half
            | Op::F32ToBf16 => self.fp(inst),
            Op::SelectF32 => u64::from(if holds(inst.cond, self.state.nzcv()) { a } else { b }),
            Op::SelectF64 => {
                if holds(inst.cond, self.state.nzcv()) {
                    a64
                } else {
                    b64
                }
            }
            Op::BitsToF32 | Op::F32ToBits => a.into(),
            Op::BitsToF64 | Op::F64ToBits => a64,
            Op::FlagsFromFp => {
                let nzcv = self.state.fp_nzcv();
                self.set_flags(inst.flags, nzcv);
                0
            }
            Op::GetFpscr => read_fpscr(self.state).into(),
            Op::SetFpscr => {
                write_fpscr(self.state, a);
                0
            }
            // The oracle has no clock; a C library that gets ENOSYS from the vDSO makes the system call.
            Op::ClockCall => {
                const ENOSYS: i32 = 38;
                (-ENOSYS as u32).into()
            }

            Op::ExitIf if holds(inst.cond, self.state.nzcv()) => {
                return Ok(Flow::Leave(Exit::Jump(imm)));
            }
            Op::ExitIfZero if a == 0 => return Ok(Flow::Leave(Exit::Jump(imm))),
            Op::ExitIfNonZero if a != 0 => return Ok(Flow::Leave(Exit::Jump(imm))),
            Op::ExitIf | Op::ExitIfZero | Op::ExitIfNonZero => 0,

            Op::Jump => return Ok(Flow::Leave(Exit::Jump(imm))),
            Op::Call => {
                return Ok(Flow::Leave(Exit::Call {
                    target: imm,
                    ret: inst.imm2,
                }));
            }
            Op::CallInd => {
                return Ok(Flow::Leave(Exit::CallInd {
                    target: a,
                    ret: inst.imm2,
                }));
            }
            Op::Return => return Ok(Flow::Leave(Exit::Return(a))),
            Op::JumpInd => return Ok(Flow::Leave(Exit::JumpInd(a))),
            Op::Svc => {
                return Ok(Flow::Leave(Exit::Svc { imm, next: inst.imm2 }));
            }
            Op::Trap => {
                return Ok(Flow::Leave(Exit::Trap {
                    kind: trap(inst.aux),
                    imm,
                    pc: self.pc,
                }));
            }
            Op::GetV
            | Op::SetV
            | Op::LoadV
            | Op::StoreV
            | Op::LoadDup
            | Op::LoadLane
            | Op::StoreLane
            | Op::VConst
            | Op::VDup
            | Op::VExtract
            | Op::VInsert
            | Op::VToI64
            | Op::VFromI64
            | Op::Vec
            | Op::VecSat
            | Op::VecFp => return Ok(Flow::Value(self.vector_step(inst)?)),
        };
        Ok(Flow::Value(value.into()))
    }

    /// Brings r15, T and ITSTATE to where `exit` leads.
    fn leave(&mut self, exit: Exit) -> Exit {
        match exit {
            Exit::Jump(target)
            | Exit::Call { target, .. }
            | Exit::CallInd { target, .. }
            | Exit::Return(target)
            | Exit::JumpInd(target)
            | Exit::Svc { next: target, .. } => {
                self.state.r[15] = target & !1;
                self.state.thumb = (target & 1) as u8;
                self.state.it = advance_it(self.it);
            }
            Exit::Trap { .. } | Exit::Fault { .. } | Exit::AlignFault { .. } => {
                self.state.r[15] = self.pc;
                self.state.thumb = self.thumb;
                self.state.it = self.it;
            }
        }
        exit
    }

    fn stop(&mut self, inst: &Inst, stop: Stop) -> Exit {
        let exit = match stop {
            Stop::Memory(fault) => Exit::Fault {
                addr: fault.addr,
                write: inst.op.effects() & super::ops::effect::WRITE != 0,
                pc: self.pc,
            },
            Stop::Alignment(addr) => Exit::AlignFault { addr, pc: self.pc },
        };
        self.leave(exit)
    }
}

fn sys(imm: u32) -> Option<Sys> {
    [Sys::Tpidruro, Sys::Tpidrurw]
        .into_iter()
        .find(|s| *s as u32 == imm)
}

/// The trap that `aux` names; what it doesn't name is undefined.
fn trap(aux: u8) -> Trap {
    [Trap::Breakpoint, Trap::FetchFault, Trap::Intrinsic, Trap::Yield]
        .into_iter()
        .find(|t| *t as u8 == aux)
        .unwrap_or(Trap::Undefined)
}
