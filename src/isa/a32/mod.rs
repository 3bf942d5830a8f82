//! The A32 instruction table and its decoder.
//!
//! A word that no row takes is UNDEFINED at the chosen model. UNPREDICTABLE words are executed as their pseudocode
//! reads unless a row's `unless` names them.

mod data;
mod media;
mod memory;
mod system;

use super::advsimd;
use super::coproc;
use super::insn::{Cond, DecodeResult, Decoded, Undecoded};
use super::pattern::{Context, Field, Index, Row, Select, concat, index_entries};
use super::vfp_half;
use crate::cpu::model::Features;

const PARTS: &[&[Row]] = &[
    data::ROWS,
    media::MULTIPLY,
    media::MEDIA,
    memory::SINGLE,
    memory::OTHER,
    system::ROWS,
    coproc::CONDITIONAL,
    coproc::VFP,
    coproc::UNCONDITIONAL,
    vfp_half::CONDITIONAL,
    vfp_half::UNCONDITIONAL,
    advsimd::SAME,
    advsimd::LONG,
    advsimd::SCALAR,
    advsimd::SHIFT,
    advsimd::MISC,
    advsimd::MEMORY,
    advsimd::TRANSFER,
    advsimd::UNCONDITIONAL,
];
const ROW_COUNT: usize = super::pattern::total(PARTS);
static ROWS: [Row; ROW_COUNT] = concat(PARTS);

/// The 4096 keys of the first-level lookup: bits 27 to 20 and 7 to 4; in the unconditional space, which is mostly
/// Advanced SIMD, bits 27 to 23, 21, 20, 11 to 8 and 6.
const UNCONDITIONAL_KEY: Field = Field::of("---- kkkk k-kk ---- ---- kkkk -k-- ----", "k");
const KEY: Field = Field::of("---- kkkk kkkk ---- ---- ---- kkkk ----", "k");
static CONDITIONAL: Index<4096, { index_entries(&ROWS, Select::Conditional, KEY) }> =
    Index::build(&ROWS, Select::Conditional, KEY);
static UNCONDITIONAL: Index<4096, { index_entries(&ROWS, Select::Unconditional, UNCONDITIONAL_KEY) }> =
    Index::build(&ROWS, Select::Unconditional, UNCONDITIONAL_KEY);

/// The instruction table. `Decoded::row` is an index into it.
pub fn rows() -> &'static [Row] {
    &ROWS
}

/// The mnemonic of row `row` of [`rows`].
pub fn row_name(row: u16) -> &'static str {
    ROWS[row as usize].name
}

/// The row that decodes `word`, whatever it then says of the word's fields.
pub fn find(word: u32, features: Features) -> Option<usize> {
    match word >> 28 {
        15 => UNCONDITIONAL.find(&ROWS, word, features),
        _ => CONDITIONAL.find(&ROWS, word, features),
    }
}

/// Decodes one A32 instruction word.
pub fn decode(word: u32, features: Features) -> DecodeResult {
    let row = find(word, features).ok_or(Undecoded::Undefined)?;
    let insn = (ROWS[row].build)(
        word,
        Context {
            features,
            in_it: false,
        },
    )?;
    Ok(Decoded {
        insn,
        cond: Cond::from_bits(word >> 28),
        size: 4,
        row: row as u16,
    })
}
