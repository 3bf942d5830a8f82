//! Compares the decoders with capstone, and sorts every disagreement into a named class.

pub mod arbiter;
pub mod capstone;
pub mod classes;
pub mod names;
pub mod report;
pub mod simd_text;

use emu::cpu::model::Features;
use emu::isa::generate::{self, Rng};
use emu::isa::insn::{DecodeResult, Undecoded};
use emu::isa::pattern::Row;
use emu::isa::{a32, t32};

#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord)]
pub enum Set {
    /// 16-bit T32.
    T16,
    A32,
    /// 32-bit T32, `hw1 << 16 | hw2`.
    T32,
}

impl Set {
    pub const ALL: [Set; 3] = [Set::T16, Set::A32, Set::T32];

    pub fn name(self) -> &'static str {
        ["t16", "a32", "t32"][self as usize]
    }
}

/// One instruction seen by both decoders.
pub struct View {
    pub set: Set,
    pub word: u32,
    pub ours: DecodeResult,
    /// The row that took the word, whatever it then said of it.
    pub row: Option<&'static Row>,
    /// Capstone's base mnemonic, `None` where it decodes nothing.
    pub capstone: Option<String>,
    /// The whole of what it writes.
    pub text: String,
}

impl View {
    pub fn of(set: Set, word: u32, features: Features, capstone: &capstone::Disassembler) -> View {
        let (ours, row, capstone) = match set {
            Set::A32 => (
                a32::decode(word, features),
                a32::find(word, features).map(|r| &a32::rows()[r]),
                capstone.a32(word),
            ),
            Set::T16 => (
                t32::decode(word as u16, 0, false, features),
                t32::find(word, false, features).map(|r| &t32::rows()[r]),
                capstone.narrow(word),
            ),
            Set::T32 => (
                t32::decode((word >> 16) as u16, word as u16, false, features),
                t32::find(word, true, features).map(|r| &t32::rows()[r]),
                capstone.wide(word),
            ),
        };
        let (capstone, text) = capstone.map(|seen| (seen.name, seen.text)).unzip();
        View {
            set,
            word,
            ours,
            row,
            capstone,
            text: text.unwrap_or_default(),
        }
    }

    /// Both call it invalid, or both valid by the same mnemonic; of Advanced SIMD and ARMv8 VFP every operand agrees.
    pub fn agrees(&self) -> bool {
        match (&self.ours, &self.capstone) {
            (Err(_), None) => true,
            (Ok(decoded), Some(theirs)) => {
                let texts = simd_text::alternatives(&decoded.insn);
                match texts.is_empty() {
                    true => names::mnemonic(self, decoded) == *theirs,
                    false => {
                        let cond = if self.set == Set::A32 { self.word >> 28 } else { 14 };
                        let theirs = simd_text::plain(&self.text);
                        texts.iter().any(|t| t.with_condition(cond) == theirs)
                    }
                }
            }
            _ => false,
        }
    }
}

/// The words that are compared: all 16-bit instructions, or `count` words, of which every other one is uniformly random
/// and the rest are random encodings of random rows.
pub fn words(set: Set, count: usize) -> Box<dyn Iterator<Item = u32>> {
    let mut rng = Rng(0x1234 + set as u64);
    match set {
        Set::T16 => Box::new((0..0x1_0000).filter(|&w| !t32::is_wide(w as u16, Features::all()))),
        Set::A32 => Box::new((0..count).map(move |i| match i % 2 {
            0 => rng.next_u32(),
            _ => generate::encoding(
                &a32::rows()[rng.below(a32::rows().len() as u32) as usize],
                &mut rng,
            ),
        })),
        Set::T32 => {
            let rows: Vec<&Row> = t32::rows().iter().filter(|r| !r.is_narrow()).collect();
            Box::new((0..count).map(move |i| match i % 2 {
                // The first five bits are 11101, 11110 or 11111.
                0 => (29 + rng.below(3)) << 27 | rng.next_u32() >> 5,
                _ => generate::encoding(rows[rng.below(rows.len() as u32) as usize], &mut rng),
            }))
        }
    }
}

/// Words that we and capstone refuse and QEMU executes: what only QEMU has.
///
/// The FPA coprocessors 1 and 2, which its Linux user mode emulates for the old ABI; VMOV of S31 and the register after
/// it; element and structure accesses in registers past D31. The 16-bit hints before Thumb-2, too, which the architecture has as UNDEFINED (and later versions of QEMU).
pub fn qemu_only(view: &View, features: Features) -> bool {
    if view.set == Set::T16 && view.word & 0xff0f == 0xbf00 && !features.contains(Features::V6T2) {
        return true;
    }
    let (top, coprocessor) = (view.word >> 24, view.word >> 8 & 15);
    if view.ours.is_ok() || view.capstone.is_some() {
        return false;
    }
    if view.ours == Err(Undecoded::Unpredictable) && view.row.is_some_and(classes::is_simd_access) {
        return true;
    }
    match view.set {
        Set::T16 => false,
        Set::A32 if matches!(top, 0xfc..=0xff) && matches!(coprocessor, 1 | 2) => true,
        Set::A32 if top < 0xf0 && matches!(top & 15, 0xc..=0xe) && matches!(coprocessor, 1 | 2) => true,
        _ => top & 15 == 0xc && view.word & 0x00e0_0fff == 0x0040_0a3f,
    }
}

/// The instructions that Linux takes as breakpoints: SIGTRAP, not SIGILL (arch/arm/kernel/ptrace.c).
pub fn linux_breakpoint(set: Set, word: u32) -> bool {
    match set {
        Set::A32 => word & 0x0fff_ffff == 0x07f0_01f0,
        Set::T16 => word == 0xde01,
        Set::T32 => word == 0xf7f0_a000,
    }
}
