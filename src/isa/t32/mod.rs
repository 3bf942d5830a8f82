//! The T32 instruction tables (16-bit and 32-bit rows) and their decoder.
//!
//! A 32-bit instruction is the word `hw1 << 16 | hw2`. An encoding that no row takes is UNDEFINED at the chosen model;
//! UNPREDICTABLE encodings are executed as their pseudocode reads unless a row's `unless` names them.
//!
//! Before Thumb-2 the only 4-byte unit is the BL or BLX (immediate) prefix with its suffix, which we decode as one
//! instruction. A prefix without a suffix behind it and a suffix by itself are UNDEFINED here (the hardware would run
//! the halves separately; no compiler emits them apart).

mod data;
mod memory;
mod narrow;
mod system;

use super::advsimd;
use super::coproc;
use super::insn::{Cond, DecodeResult, Decoded, Insn, Undecoded};
use super::pattern::{Context, Field, Index, Row, Select, concat, index_entries, total};
use super::vfp_half;
use crate::cpu::model::Features;

const PARTS: &[&[Row]] = &[
    narrow::ROWS,
    data::IMMEDIATE,
    data::REGISTER,
    data::MULTIPLY,
    memory::SINGLE,
    memory::OTHER,
    system::ROWS,
    &in_t32::<{ coproc::CONDITIONAL.len() }>(coproc::CONDITIONAL),
    &in_t32::<{ coproc::VFP.len() }>(coproc::VFP),
    coproc::UNCONDITIONAL,
    &in_t32::<{ vfp_half::CONDITIONAL.len() }>(vfp_half::CONDITIONAL),
    vfp_half::UNCONDITIONAL,
    &advsimd::in_t32::<{ advsimd::SAME.len() }>(advsimd::SAME),
    &advsimd::in_t32::<{ advsimd::LONG.len() }>(advsimd::LONG),
    &advsimd::in_t32::<{ advsimd::SCALAR.len() }>(advsimd::SCALAR),
    &advsimd::in_t32::<{ advsimd::SHIFT.len() }>(advsimd::SHIFT),
    &advsimd::in_t32::<{ advsimd::MISC.len() }>(advsimd::MISC),
    &advsimd::in_t32::<{ advsimd::MEMORY.len() }>(advsimd::MEMORY),
    &in_t32::<{ advsimd::TRANSFER.len() }>(advsimd::TRANSFER),
    advsimd::UNCONDITIONAL,
];
const ROW_COUNT: usize = total(PARTS);
static ROWS: [Row; ROW_COUNT] = concat(PARTS);

/// A32's conditional coprocessor rows as T32 has them: under 1110.
const fn in_t32<const N: usize>(rows: &[Row]) -> [Row; N] {
    let mut all = [rows[0]; N];
    let mut i = 0;
    while i < N {
        all[i] = rows[i].in_t32();
        i += 1;
    }
    all
}

/// 16-bit instructions: bits 15 to 6.
const NARROW_KEY: Field = Field::of("kkkk kkkk kk-- ----", "k");
/// 32-bit instructions: bits 28 to 20 of the word, then 15 and 7 to 4.
const WIDE_KEY: Field = Field::of("---k kkkk kkkk ---- k--- ---- kkkk ----", "k");
/// Advanced SIMD data processing: bits 23, 21, 20, 11 to 8 and 6.
const DATA_KEY: Field = Field::of("---- ---- k-kk ---- ---- kkkk -k-- ----", "k");
static NARROW: Index<1024, { index_entries(&ROWS, Select::Narrow, NARROW_KEY) }> =
    Index::build(&ROWS, Select::Narrow, NARROW_KEY);
static WIDE: Index<16384, { index_entries(&ROWS, Select::Wide, WIDE_KEY) }> =
    Index::build(&ROWS, Select::Wide, WIDE_KEY);
static WIDE_DATA: Index<256, { index_entries(&ROWS, Select::WideData, DATA_KEY) }> =
    Index::build(&ROWS, Select::WideData, DATA_KEY);

/// The instruction table, 16-bit rows first. `Decoded::row` is an index into it.
pub fn rows() -> &'static [Row] {
    &ROWS
}

/// The mnemonic of row `row` of [`rows`].
pub fn row_name(row: u16) -> &'static str {
    ROWS[row as usize].name
}

/// Whether the instruction that starts with `hw1` has a second halfword.
pub fn is_wide(hw1: u16, features: Features) -> bool {
    match hw1 >> 11 {
        0b11110 => true,
        0b11101 | 0b11111 => features.contains(Features::V6T2),
        _ => false,
    }
}

/// The row that decodes an instruction: a word `hw1 << 16 | hw2` when `wide`, else `hw1`.
pub fn find(word: u32, wide: bool, features: Features) -> Option<usize> {
    match wide {
        true if word >> 24 & 15 == 15 => WIDE_DATA.find(&ROWS, word, features),
        true => WIDE.find(&ROWS, word, features),
        false => NARROW.find(&ROWS, word, features),
    }
}

/// Decodes one T32 instruction. `hw2` is the halfword that follows `hw1`, looked at only when [`is_wide`] says so.
/// `in_it` says whether the instruction is inside an IT block: the 16-bit data-processing forms set the flags only
/// outside.
pub fn decode(hw1: u16, hw2: u16, in_it: bool, features: Features) -> DecodeResult {
    let wide = is_wide(hw1, features);
    let word = if wide {
        u32::from(hw1) << 16 | u32::from(hw2)
    } else {
        u32::from(hw1)
    };
    let row = find(word, wide, features).ok_or(Undecoded::Undefined)?;
    let found = &ROWS[row];
    let insn = (found.build)(found.as_pattern(word), Context { features, in_it })?;
    let cond = match insn {
        // The conditional forms; the unconditional ones are 11100 and, wide, have bit 12 set.
        Insn::B { .. } if wide && word & 0x1000 == 0 => Cond::from_bits(word >> 22),
        Insn::B { .. } if !wide && word >> 12 == 0b1101 => Cond::from_bits(word >> 8),
        _ => Cond::Al,
    };
    Ok(Decoded {
        insn,
        cond,
        size: if wide { 4 } else { 2 },
        row: row as u16,
    })
}
