//! Exceptions, hints, barriers, the status register and the coprocessor registers that user mode reaches.

use super::{Flow, Lifter};
use crate::cpu::model::Features;
use crate::ir::ops::{Flags, Inst, Op, Sys, Trap, Value};
use crate::isa::insn::{Barrier, Hint, Insn, Operand, Reg};

/// A CP15 access that user mode may make.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Cp15 {
    Thread(Sys),
    /// PMUSERENR: User mode has no access to the performance monitors, as Linux leaves it.
    NoMonitors,
    /// Data barriers: a fence.
    DataBarrier,
    /// Instruction barrier.
    Isb,
}

/// A CP15 encoding: read, opc1, CRn, CRm, opc2.
type Encoding = (bool, u8, u8, u8, u8);

/// User CP15 accesses: encoding, the feature they came with, what they are.
#[rustfmt::skip]
const CP15: &[(Encoding, Features, Cp15)] = &[
    ((true,  0, 13, 0,  2), Features::V6K, Cp15::Thread(Sys::Tpidrurw)),
    ((false, 0, 13, 0,  2), Features::V6K, Cp15::Thread(Sys::Tpidrurw)),
    ((true,  0, 13, 0,  3), Features::V6K, Cp15::Thread(Sys::Tpidruro)),
    ((true,  0, 9,  14, 0), Features::V7,  Cp15::NoMonitors),
    ((false, 0, 7,  5,  4), Features::V6,  Cp15::Isb),
    ((false, 0, 7,  10, 4), Features::V6,  Cp15::DataBarrier),
    ((false, 0, 7,  10, 5), Features::V6,  Cp15::DataBarrier),
];

fn cp15(insn: &Insn, features: Features) -> Option<Cp15> {
    let Insn::Coproc {
        load,
        cp: 15,
        opc1,
        crn,
        crm,
        opc2,
        rt,
    } = *insn
    else {
        return None;
    };
    if rt == Reg::PC {
        return None;
    }
    let key = (load, opc1, crn, crm, opc2);
    let row = CP15.iter().find(|row| row.0 == key)?;
    features.contains(row.1).then_some(row.2)
}

/// Whether a coprocessor access ends the block.
pub(crate) fn coprocessor_ends(insn: &Insn, features: Features) -> bool {
    !matches!(
        cp15(insn, features),
        Some(Cp15::Thread(_) | Cp15::NoMonitors | Cp15::DataBarrier)
    )
}

/// Whether a coprocessor access is the instruction barrier of ARMv6.
pub(crate) fn is_isb(insn: &Insn, features: Features) -> bool {
    cp15(insn, features) == Some(Cp15::Isb)
}

/// Whether UDF with this immediate is one of the breakpoints that the ARM kernel turns into SIGTRAP
/// (arch/arm/kernel/ptrace.c: 0xe7f001f0 in A32, 0xde01 and 0xf7f0a000 in T32).
fn is_udf_breakpoint(imm: u32, thumb: bool, size: u32) -> bool {
    match (thumb, size) {
        (false, _) => imm == 0x10,
        (true, 2) => imm == 1,
        (true, _) => imm == 0,
    }
}

impl Lifter<'_> {
    pub fn supervisor_call(&mut self, imm: u32) -> Flow {
        let next = self.next_target();
        self.b.svc(imm, next);
        Flow::Ended
    }

    pub fn breakpoint(&mut self) -> Flow {
        self.b.trap(Trap::Breakpoint, 0);
        Flow::Ended
    }

    pub fn permanently_undefined(&mut self, imm: u32) -> Flow {
        if is_udf_breakpoint(imm, self.thumb, self.size) {
            return self.breakpoint();
        }
        self.undefined()
    }

    pub fn hint(&mut self, hint: Hint) -> Flow {
        match hint {
            Hint::Wfe | Hint::Wfi => {
                let next = self.next_target();
                self.b.trap(Trap::Yield, next);
                Flow::Ended
            }
            Hint::Nop | Hint::Yield | Hint::Sev | Hint::Sevl | Hint::Dbg | Hint::Csdb | Hint::Esb => {
                Flow::Next
            }
        }
    }

    fn fence(&mut self) -> Flow {
        self.b.push(Inst::new(Op::Fence));
        Flow::Next
    }

    /// Ends the block, so that what follows is fetched anew.
    fn resynchronise(&mut self) -> Flow {
        let next = self.next_target();
        self.b.jump(next);
        Flow::Ended
    }

    pub fn barrier(&mut self, barrier: Barrier) -> Flow {
        match barrier {
            Barrier::Dmb | Barrier::Dsb => self.fence(),
            Barrier::Isb => self.resynchronise(),
        }
    }

    /// MRS APSR: NZCV, Q and GE, with the mode bits of user mode.
    pub fn read_apsr(&mut self, rd: Reg) -> Flow {
        let nzcv = self.b.push(Inst::new(Op::GetNzcv));
        let q = self.b.push(Inst::new(Op::GetQ));
        let q = self.b.op1i(Op::Shl, q, 27);
        let ge = self.b.push(Inst::new(Op::GetGe));
        // One bit of each byte of the mask, then summed into the top byte by the multiplication.
        let bits = self.b.iconst(0x0804_0201);
        let ge = self.b.op2(Op::And, ge, bits);
        let sum = self.b.iconst(0x0101_0101);
        let ge = self.b.op2(Op::Mul, ge, sum);
        let ge = self.b.op1i(Op::Shr, ge, 24);
        let ge = self.b.op1i(Op::Shl, ge, 16);
        let mode = self.b.iconst(0x10);
        let v = self.b.op2(Op::Or, nzcv, q);
        let v = self.b.op2(Op::Or, v, ge);
        let v = self.b.op2(Op::Or, v, mode);
        self.set(rd, v);
        Flow::Next
    }

    /// MSR APSR.
    pub fn write_apsr(&mut self, nzcvq: bool, g: bool, src: Operand) -> Flow {
        let v = self.operand(src);
        if nzcvq {
            self.b.op2f(Op::SetNzcv, v, Value::NONE, Flags::NZCV);
            let q = self.b.op1i(Op::Shr, v, 27);
            self.b.op1(Op::SetQ, q);
        }
        if g {
            // Bit i of the four to bit 0 of byte i, then to the whole byte.
            let ge = self.b.field(Op::Ubfx, v, 16, 4);
            let spread = self.b.iconst(0x0020_4081);
            let ge = self.b.op2(Op::Mul, ge, spread);
            let low = self.b.iconst(0x0101_0101);
            let ge = self.b.op2(Op::And, ge, low);
            let whole = self.b.iconst(0xff);
            let ge = self.b.op2(Op::Mul, ge, whole);
            self.b.op1(Op::SetGe, ge);
        }
        Flow::Next
    }

    /// SETEND: big-endian data is not supported.
    pub fn set_endian(&mut self, big: bool) -> Flow {
        if big { self.undefined() } else { Flow::Next }
    }

    pub fn coprocessor(&mut self, insn: &Insn) -> Flow {
        let Insn::Coproc { load, rt, .. } = *insn else {
            return self.undefined();
        };
        match cp15(insn, self.ctx.features) {
            Some(Cp15::Thread(sys)) if load => {
                let v = self.b.get_sys(sys);
                self.set(rt, v);
                Flow::Next
            }
            Some(Cp15::Thread(sys)) => {
                let v = self.reg(rt);
                self.b.set_sys(sys, v);
                Flow::Next
            }
            Some(Cp15::NoMonitors) => {
                let none = self.b.iconst(0);
                self.set(rt, none);
                Flow::Next
            }
            Some(Cp15::DataBarrier) => self.fence(),
            Some(Cp15::Isb) => self.resynchronise(),
            None => self.undefined(),
        }
    }
}
