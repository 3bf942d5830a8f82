//! The mnemonic that an instruction has in assembly language, from its decoded form.
//!
//! Made from the fields, not from the table's name, so that the comparison sees a swapped or misplaced field too.

use super::View;
use emu::isa::insn::*;

fn shift(src: &Operand) -> Option<&'static str> {
    let kind = match src {
        Operand::ShiftImm { shift, .. } | Operand::ShiftReg { shift, .. } => shift,
        _ => return None,
    };
    Some(["lsl", "lsr", "asr", "ror", "rrx"][*kind as usize])
}

fn half(high: bool) -> char {
    if high { 't' } else { 'b' }
}

fn x(swap: bool) -> &'static str {
    if swap { "x" } else { "" }
}

/// The mnemonic, lower case, without condition, S, width and data type.
pub fn mnemonic(view: &View, decoded: &Decoded) -> String {
    let name = view.row.expect("a decoded word has a row").name;
    match decoded.insn {
        Insn::Mov { src, .. } => shift(&src).unwrap_or(name).to_string(),
        Insn::SmlaXY { n_high, m_high, .. }
        | Insn::SmlalXY { n_high, m_high, .. }
        | Insn::SmulXY { n_high, m_high, .. } => format!("{name}{}{}", half(n_high), half(m_high)),
        Insn::SmlaWY { m_high, .. } | Insn::SmulWY { m_high, .. } => format!("{name}{}", half(m_high)),
        Insn::Smlad { swap, .. } | Insn::Smuad { swap, .. } | Insn::Smlald { swap, .. } => {
            format!("{name}{}", x(swap))
        }
        Insn::Smmla { round, .. } | Insn::Smmul { round, .. } => {
            format!("{name}{}", if round { "r" } else { "" })
        }
        // One register is written as a plain load or store with writeback in A32.
        Insn::LoadMultiple {
            rn: Reg::SP,
            writeback: true,
            mode: Multi::Ia,
            ..
        } => "pop".to_string(),
        Insn::StoreMultiple {
            rn: Reg::SP,
            writeback: true,
            mode: Multi::Db,
            ..
        } => "push".to_string(),
        Insn::Vfp(Vfp::LoadMultiple {
            double: true,
            words,
            decrement,
            ..
        }) if words & 1 == 1 => {
            format!("fldm{}x", if decrement { "db" } else { "ia" })
        }
        Insn::Vfp(Vfp::StoreMultiple {
            double: true,
            words,
            decrement,
            ..
        }) if words & 1 == 1 => {
            format!("fstm{}x", if decrement { "db" } else { "ia" })
        }
        Insn::Vfp(Vfp::LoadMultiple {
            rn: Reg::SP,
            writeback: true,
            decrement: false,
            ..
        }) => "vpop".to_string(),
        Insn::Vfp(Vfp::StoreMultiple {
            rn: Reg::SP,
            writeback: true,
            decrement: true,
            ..
        }) => "vpush".to_string(),
        Insn::MovW { .. } => "mov".to_string(),
        _ => name.to_string(),
    }
}
