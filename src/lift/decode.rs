//! Fetches and decodes one instruction at a guest address; what translation asks about guest code.

use crate::cpu::model::Features;
use crate::isa::insn::{Decoded, Undecoded};
use crate::isa::{a32, t32};

/// The guest's executable memory.
pub trait Fetch {
    /// The halfword at the even address `pc`; `None` where it is unmapped or not executable.
    fn fetch16(&self, pc: u32) -> Option<u16>;

    /// Hears that a direct branch leads to `target` (T bit in bit 0), so that a block will start there.
    fn note_entry(&self, target: u32) {
        let _ = target;
    }

    /// Whether a block starts or will start at `target`, as far as is known: one that gets there had better end,
    /// lest the same code be translated twice.
    fn is_entry(&self, target: u32) -> bool {
        let _ = target;
        false
    }
}

/// The result of looking at an address.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Fetched {
    Insn {
        decoded: Decoded,
        /// The encoding: the A32 word, the T32 halfword, or both halfwords with the first one high.
        word: u32,
    },
    /// Does not decode; `size` bytes were looked at.
    Undecoded { why: Undecoded, word: u32, size: u8 },
    /// Fetching at this address faults.
    Fault(u32),
}

/// Fetches and decodes the instruction at `pc`. An A32 address that is not a multiple of four faults.
pub fn decode_at(pc: u32, thumb: bool, in_it: bool, fetch: &dyn Fetch, features: Features) -> Fetched {
    let Some(hw1) = fetch.fetch16(pc & !1) else {
        return Fetched::Fault(pc);
    };
    let second = |at: u32| fetch.fetch16(at).ok_or(at);
    if !thumb {
        if pc & 3 != 0 {
            return Fetched::Fault(pc);
        }
        let hw2 = match second(pc.wrapping_add(2)) {
            Ok(hw) => hw,
            Err(at) => return Fetched::Fault(at),
        };
        let word = u32::from(hw2) << 16 | u32::from(hw1);
        return match a32::decode(word, features) {
            Ok(decoded) => Fetched::Insn { decoded, word },
            Err(why) => Fetched::Undecoded { why, word, size: 4 },
        };
    }
    let wide = t32::is_wide(hw1, features);
    let hw2 = if wide {
        match second(pc.wrapping_add(2)) {
            Ok(hw) => hw,
            Err(at) => return Fetched::Fault(at),
        }
    } else {
        0
    };
    let word = if wide {
        u32::from(hw1) << 16 | u32::from(hw2)
    } else {
        u32::from(hw1)
    };
    match t32::decode(hw1, hw2, in_it, features) {
        Ok(decoded) => Fetched::Insn { decoded, word },
        Err(why) => Fetched::Undecoded {
            why,
            word,
            size: if wide { 4 } else { 2 },
        },
    }
}
