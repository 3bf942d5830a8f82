//! Blocks as text, for `-d ir` and for test failures.

use super::ops::{Block, Inst, Op, Sys, Trap, Type, effect};
use super::vector::{Shape, VecOp};
use std::fmt::{self, Write};

/// `block` as text, a line for each operation under a line for each guest instruction.
pub fn print(block: &Block) -> String {
    Text(block).to_string()
}

/// Displays a block.
pub struct Text<'a>(pub &'a Block);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, inst) in self.0.insts.iter().enumerate() {
            line(f, at, inst)?;
        }
        Ok(())
    }
}

fn line(f: &mut fmt::Formatter<'_>, at: usize, inst: &Inst) -> fmt::Result {
    match inst.op {
        Op::InsnStart => {
            let state = if inst.aux & 1 == 1 { "T32" } else { "A32" };
            write!(f, "{:#010x} {state}", inst.imm)?;
            if inst.imm2 != 0 {
                write!(f, " it={:#04x}", inst.imm2)?;
            }
            return writeln!(f);
        }
        Op::Label => return writeln!(f, "L{}:", inst.imm),
        _ => {}
    }
    let mut text = String::new();
    if inst.op.result() != Type::None {
        write!(text, "v{at} = ")?;
    }
    text.push_str(inst.op.name());
    if !inst.flags.is_empty() {
        write!(text, ".{:?}", inst.flags)?;
    }
    if inst.op.effects() & effect::READS_COND != 0 {
        write!(text, ".{:?}", inst.cond)?;
    }
    arguments(&mut text, inst)?;
    writeln!(f, "    {text}")
}

/// Operands and immediates, in the notation of the operation.
fn arguments(out: &mut String, inst: &Inst) -> fmt::Result {
    let (a, b, c) = (inst.a, inst.b, inst.c);
    let (imm, imm2) = (inst.imm, inst.imm2);
    match inst.op {
        Op::GetReg => write!(out, " r{imm}"),
        Op::SetReg => write!(out, " r{imm}, {a:?}"),
        Op::GetS => write!(out, " s{imm}"),
        Op::SetS => write!(out, " s{imm}, {a:?}"),
        Op::GetV => write!(out, " {}", vector_register(inst)),
        Op::SetV => write!(out, " {}, {a:?}", vector_register(inst)),
        Op::VConst => write!(out, " {:#x}", u64::from(imm) | u64::from(imm2) << 32),
        Op::VDup => write!(out, ".{:?} {a:?}", Shape(imm2 as u8)),
        Op::VExtract => write!(out, ".{:?} {a:?}[{imm}]", Shape(imm2 as u8)),
        Op::VInsert => write!(out, ".{:?} {a:?}[{imm}], {b:?}", Shape(imm2 as u8)),
        Op::Vec | Op::VecSat | Op::VecFp => vector(out, inst),
        Op::GetD => write!(out, " d{imm}"),
        Op::SetD => write!(out, " d{imm}, {a:?}"),
        Op::GetSys => write!(out, " {}", sys(imm)),
        Op::SetSys => write!(out, " {}, {a:?}", sys(imm)),
        Op::Const => write!(out, " {imm:#x}"),
        Op::Const64 => write!(out, " {:#x}", u64::from(imm) | u64::from(imm2) << 32),
        Op::SkipUnless => write!(out, " L{imm}"),
        Op::ExitIf | Op::Jump => write!(out, " {imm:#x}"),
        Op::ExitIfZero | Op::ExitIfNonZero => write!(out, " {a:?}, {imm:#x}"),
        Op::Call => write!(out, " {imm:#x}, return {imm2:#x}"),
        Op::CallInd => write!(out, " {a:?}, return {imm2:#x}"),
        Op::Svc => write!(out, " #{imm:#x}, next {imm2:#x}"),
        Op::Trap => write!(out, " {}, {imm:#x}", trap(inst.aux)),
        Op::CheckAlign => {
            write!(out, " [{a:?}")?;
            displacement(out, imm)?;
            write!(out, "], mask {imm2}")
        }
        Op::Ubfx | Op::Sbfx => write!(out, " {a:?}, lsb {imm}, width {imm2}"),
        Op::Bfi => write!(out, " {a:?}, {b:?}, lsb {imm}, width {imm2}"),
        _ if is_access(inst.op) => {
            if matches!(inst.op, Op::LoadV | Op::StoreV) {
                write!(out, ".{}", 8 * Shape(imm2 as u8).bytes())?;
            }
            if matches!(inst.op, Op::LoadDup | Op::LoadLane | Op::StoreLane) {
                write!(out, ".{:?}", Shape(imm2 as u8))?;
            }
            write!(out, " [{a:?}")?;
            if !b.is_none() {
                write!(out, " + {b:?}")?;
                if inst.aux >> 4 != 0 {
                    write!(out, " << {}", inst.aux >> 4)?;
                }
            }
            displacement(out, imm)?;
            out.push(']');
            if c.is_none() {
                Ok(())
            } else if matches!(inst.op, Op::LoadLane | Op::StoreLane) {
                write!(out, ", {c:?}[{}]", imm2 >> 8)
            } else {
                write!(out, ", {c:?}")
            }
        }
        _ => {
            let mut separator = " ";
            for value in inst.operands().into_iter().filter(|v| !v.is_none()) {
                write!(out, "{separator}{value:?}")?;
                separator = ", ";
            }
            if imm != 0 {
                write!(out, "{separator}#{imm}")?;
                separator = ", ";
            }
            if imm2 != 0 {
                write!(out, "{separator}#{imm2}")?;
                separator = ", ";
            }
            if inst.aux != 0 {
                write!(out, "{separator}aux {:#x}", inst.aux)?;
            }
            Ok(())
        }
    }
}

/// The D or Q register of GetV and SetV.
fn vector_register(inst: &Inst) -> String {
    if Shape(inst.imm2 as u8).is_q() {
        format!("q{}", inst.imm / 2)
    } else {
        format!("d{}", inst.imm)
    }
}

/// A vector operation: `.Add.4x32 v1, v2`.
fn vector(out: &mut String, inst: &Inst) -> fmt::Result {
    match VecOp::from_aux(inst.aux) {
        Some(op) => write!(out, ".{}", op.name())?,
        None => write!(out, ".op{}", inst.aux)?,
    }
    write!(out, ".{:?}", Shape(inst.imm2 as u8))?;
    let mut separator = " ";
    for value in inst.operands().into_iter().filter(|v| !v.is_none()) {
        write!(out, "{separator}{value:?}")?;
        separator = ", ";
    }
    if inst.imm != 0 {
        write!(out, "{separator}#{}", inst.imm)?;
    }
    Ok(())
}

/// The signed `imm` of an address, unless it is 0.
fn displacement(out: &mut String, imm: u32) -> fmt::Result {
    match imm as i32 {
        0 => Ok(()),
        disp if disp < 0 => write!(out, " - {:#x}", disp.unsigned_abs()),
        disp => write!(out, " + {disp:#x}"),
    }
}

/// Loads and stores with an address of base, index and displacement.
fn is_access(op: Op) -> bool {
    op.args().starts_with("i?")
}

fn sys(imm: u32) -> String {
    match imm {
        x if x == Sys::Tpidruro as u32 => "tpidruro".into(),
        x if x == Sys::Tpidrurw as u32 => "tpidrurw".into(),
        other => format!("sys{other}"),
    }
}

fn trap(aux: u8) -> String {
    let known = [
        Trap::Undefined,
        Trap::Breakpoint,
        Trap::FetchFault,
        Trap::Intrinsic,
        Trap::Yield,
    ];
    match known.into_iter().find(|t| *t as u8 == aux) {
        Some(trap) => format!("{trap:?}"),
        None => format!("trap{aux}"),
    }
}
