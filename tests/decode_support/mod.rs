//! Compares the decoders with capstone, and sorts every disagreement into a named class.

pub mod arbiter;
pub mod capstone;
pub mod classes;
pub mod names;
pub mod report;
pub mod text;

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
                let texts = text::alternatives(&decoded.insn);
                match texts.is_empty() {
                    true => names::mnemonic(self, decoded) == *theirs,
                    false => {
                        let cond = if self.set == Set::A32 { self.word >> 28 } else { 14 };
                        let theirs = text::plain(&self.text);
                        texts.iter().any(|t| t.with_condition(cond) == theirs)
                    }
                }
            }
            _ => false,
        }
    }
}

/// A random word of the Advanced SIMD and floating-point spaces: the first byte of each, and coprocessors 8 to 15.
fn simd_space(set: Set, rng: &mut Rng) -> u32 {
    let tops: &[u32] = match set {
        Set::A32 => &[0xf2, 0xf3, 0xf4, 0xfc, 0xfd, 0xfe, 0xec, 0xed, 0xee],
        _ => &[0xef, 0xff, 0xf9, 0xfc, 0xfd, 0xfe, 0xec, 0xed, 0xee],
    };
    let top = tops[rng.below(tops.len() as u32) as usize];
    let word = rng.next_u32() & 0x00ff_ffff | top << 24;
    match top & 15 {
        0xc..=0xe => word | 0x800,
        _ => word,
    }
}

/// The words that are compared: all 16-bit instructions, or `count` words: one in four uniformly random, one in four
/// random in the Advanced SIMD and floating-point spaces, and the rest random encodings of random rows.
pub fn words(set: Set, count: usize) -> Box<dyn Iterator<Item = u32>> {
    let mut rng = Rng(0x1234 + set as u64);
    match set {
        Set::T16 => Box::new((0..0x1_0000).filter(|&w| !t32::is_wide(w as u16, Features::all()))),
        Set::A32 => Box::new((0..count).map(move |i| match i % 4 {
            0 => rng.next_u32(),
            2 => simd_space(set, &mut rng),
            _ => generate::encoding(
                &a32::rows()[rng.below(a32::rows().len() as u32) as usize],
                &mut rng,
            ),
        })),
        Set::T32 => {
            let rows: Vec<&Row> = t32::rows().iter().filter(|r| !r.is_narrow()).collect();
            Box::new((0..count).map(move |i| match i % 4 {
                // The first five bits are 11101, 11110 or 11111.
                0 => (29 + rng.below(3)) << 27 | rng.next_u32() >> 5,
                2 => simd_space(set, &mut rng),
                _ => generate::encoding(rows[rng.below(rows.len() as u32) as usize], &mut rng),
            }))
        }
    }
}

/// Words that we and capstone refuse and QEMU executes: what only QEMU has.
///
/// The FPA coprocessors 1 and 2, which its Linux user mode emulates for the old ABI; VMOV of S31 and the register after
/// it; element and structure accesses in registers past D31; VFMA and VFMS of Advanced SIMD where there
/// is no VFPv4. The 16-bit hints before Thumb-2, too, which the architecture has as UNDEFINED (and later versions of QEMU).
pub fn qemu_only(view: &View, features: Features) -> bool {
    if view.set == Set::T16 && view.word & 0xff0f == 0xbf00 && !features.contains(Features::V6T2) {
        return true;
    }
    let vfma = |word: u32| word & 0x0f90_0f10 == 0x0200_0c10;
    if !features.contains(Features::VFP4) && features.contains(Features::NEON) {
        let a32 = view.set == Set::A32 && view.word >> 24 == 0xf2 && vfma(view.word);
        let t32 =
            view.set == Set::T32 && view.word >> 24 == 0xef && vfma(view.word & 0x00ff_ffff | 0x0200_0000);
        if a32 || t32 {
            return true;
        }
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
