//! Rows of the instruction tables: bit patterns read at compile time, and the lookup over them.
//!
//! A pattern is a string of 16 or 32 bits, most significant first. `0` and `1` are fixed, a letter is a bit of the
//! field with that name (a field may be scattered; its bits keep their order), `-` is a bit that is not looked at
//! (should-be-zero or should-be-one bits that hardware ignores). Spaces and underscores are ignored.

use super::insn::{Insn, Undecoded};
use crate::cpu::model::Features;

/// A named field of a pattern: up to four runs of bits, most significant run first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Field {
    /// `(lowest bit, width)`; width 0 ends the list.
    runs: [(u8, u8); 4],
}

/// Bits in a pattern: 16 or 32.
const fn pattern_bits(pattern: &str) -> u32 {
    let bytes = pattern.as_bytes();
    let mut bits = 0;
    let mut i = 0;
    while i < bytes.len() {
        if bytes[i] != b' ' && bytes[i] != b'_' {
            bits += 1;
        }
        i += 1;
    }
    assert!(bits == 16 || bits == 32, "a pattern has 16 or 32 bits");
    bits
}

/// Mask of the bits that `pattern` fixes, and their values.
pub const fn fixed_bits(pattern: &str) -> (u32, u32) {
    let bytes = pattern.as_bytes();
    pattern_bits(pattern);
    let (mut mask, mut value) = (0u32, 0u32);
    let mut i = 0;
    while i < bytes.len() {
        let (fixed, one) = match bytes[i] {
            b' ' | b'_' => {
                i += 1;
                continue;
            }
            b'0' => (1, 0),
            b'1' => (1, 1),
            b'-' | b'a'..=b'z' | b'A'..=b'Z' => (0, 0),
            _ => panic!("a pattern holds 0, 1, letters, '-', spaces and underscores"),
        };
        mask = mask << 1 | fixed;
        value = value << 1 | one;
        i += 1;
    }
    (mask, value)
}

impl Field {
    /// The field called `name` (one letter) of `pattern`. A compile-time error when there is none.
    pub const fn of(pattern: &str, name: &str) -> Field {
        assert!(name.len() == 1, "a field name is one letter");
        let letter = name.as_bytes()[0];
        let bytes = pattern.as_bytes();
        let mut bit = pattern_bits(pattern) as u8;
        let mut runs = [(0u8, 0u8); 4];
        let mut run = 0;
        let mut open = false;
        let mut i = 0;
        while i < bytes.len() {
            if bytes[i] != b' ' && bytes[i] != b'_' {
                bit -= 1;
                if bytes[i] == letter {
                    runs[run] = (bit, runs[run].1 + 1);
                    open = true;
                } else if open {
                    run += 1;
                    open = false;
                }
            }
            i += 1;
        }
        assert!(runs[0].1 != 0, "the pattern has no such field");
        Field { runs }
    }

    /// The field's value in `word`, its runs joined.
    #[inline(always)]
    pub const fn get(self, word: u32) -> u32 {
        let mut value = 0;
        let mut i = 0;
        while i < 4 {
            let (low, width) = self.runs[i];
            value = value << width | word >> low & ((1 << width) - 1);
            i += 1;
        }
        value
    }

    /// Number of bits.
    pub const fn width(self) -> u32 {
        let r = self.runs;
        (r[0].1 + r[1].1 + r[2].1 + r[3].1) as u32
    }

    /// `word` with the field set to the low bits of `value`.
    pub fn set(self, word: u32, value: u32) -> u32 {
        let mut word = word;
        let mut left = self.width();
        for (low, width) in self.runs {
            left -= u32::from(width);
            let ones = (1u32 << width) - 1;
            word = word & !(ones << low) | (value >> left & ones) << low;
        }
        word
    }
}

/// What a row's meaning may depend on besides the word.
#[derive(Clone, Copy, Debug)]
pub struct Context {
    pub features: Features,
    /// T32: inside an IT block, where the 16-bit data-processing forms leave the flags alone.
    pub in_it: bool,
}

/// Builds the instruction from a word that matches the row's pattern.
pub type Build = fn(u32, Context) -> Result<Insn, Undecoded>;

/// One line of an instruction table.
#[derive(Clone, Copy)]
pub struct Row {
    /// The mnemonic, lower case, without condition, S, width or data type suffixes.
    pub name: &'static str,
    /// The bit pattern (see the module's head). In T32 tables a leading `cccc` reads 1110 (see [`Row::in_t32`]).
    pub pattern: &'static str,
    pub mask: u32,
    pub value: u32,
    /// Features that must all be present; otherwise the row does not exist.
    pub requires: Features,
    /// Of two rows that match the same word the higher priority wins; rows of equal priority do not overlap.
    pub priority: u8,
    /// A32: `cccc` in bits 31 to 28, which matches every condition but 1111.
    pub conditional: bool,
    /// Where the word's bits are, compared with the pattern and with what `build` reads.
    pub layout: Layout,
    pub build: Build,
}

/// How the words of a row look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Layout {
    /// As the pattern says.
    Plain,
    /// T32 of Advanced SIMD data processing: 111x 1111, where the pattern (A32) has 1111 001x.
    Data,
    /// T32 of element and structure accesses: 1111 1001, where the pattern has 1111 0100.
    Access,
}

/// Priorities are 0 to this.
pub const MAX_PRIORITY: u8 = 3;

impl Row {
    pub const fn new(
        name: &'static str,
        pattern: &'static str,
        requires: Features,
        priority: u8,
        build: Build,
    ) -> Row {
        let (mask, value) = fixed_bits(pattern);
        assert!(priority <= MAX_PRIORITY);
        let conditional = pattern.as_bytes()[0] == b'c';
        Row {
            name,
            pattern,
            mask,
            value,
            requires,
            priority,
            conditional,
            layout: Layout::Plain,
            build,
        }
    }

    /// The T32 row of an A32 row that has the same bits under condition 1110 (VFP and coprocessor instructions).
    pub const fn in_t32(self) -> Row {
        assert!(self.conditional);
        Row {
            mask: self.mask | 0xf000_0000,
            value: self.value | 0xe000_0000,
            conditional: false,
            ..self
        }
    }

    /// The T32 row of an A32 row of Advanced SIMD data processing or of an element or structure access.
    pub const fn simd_in_t32(self) -> Row {
        let layout = match self.value >> 24 {
            0xf4 => Layout::Access,
            _ => Layout::Data,
        };
        assert!(self.mask >> 25 == 0x7f && (self.value >> 25 == 0x79 || self.value >> 24 == 0xf4));
        let (mask, value) = (self.mask & 0x00ff_ffff, self.value & 0x00ff_ffff);
        let (mask, value) = match layout {
            Layout::Access => (0xff00_0000 | mask, 0xf900_0000 | value),
            _ => (
                0xef00_0000 | (self.mask >> 24 & 1) << 28 | mask,
                0xef00_0000 | (self.value >> 24 & 1) << 28 | value,
            ),
        };
        Row {
            mask,
            value,
            layout,
            ..self
        }
    }

    /// `word`, which fits the row, with its bits where the pattern has them.
    #[inline]
    pub const fn as_pattern(&self, word: u32) -> u32 {
        let low = word & 0x00ff_ffff;
        match self.layout {
            Layout::Plain => word,
            Layout::Data => 0xf200_0000 | (word >> 28 & 1) << 24 | low,
            Layout::Access => 0xf400_0000 | low,
        }
    }

    const fn is_simd_data(&self) -> bool {
        matches!(self.layout, Layout::Data)
    }

    /// Whether the row's pattern is 16 bits wide.
    pub fn is_narrow(&self) -> bool {
        pattern_bits(self.pattern) == 16
    }

    /// Whether `word` fits the pattern, features and priorities aside.
    pub fn matches(&self, word: u32) -> bool {
        word & self.mask == self.value && !(self.conditional && word >> 28 == 15)
    }

    /// Name and place of every field of the pattern, in order of first appearance (see [`Row::as_pattern`]).
    pub fn fields(&self) -> Vec<(char, Field)> {
        let mut seen: Vec<(char, Field)> = Vec::new();
        for c in self.pattern.chars().filter(char::is_ascii_alphabetic) {
            if seen.iter().all(|&(name, _)| name != c) {
                seen.push((c, Field::of(self.pattern, c.encode_utf8(&mut [0; 4]))));
            }
        }
        seen
    }
}

/// What the right-hand side of a row may be.
pub trait Outcome {
    fn outcome(self) -> Result<Insn, Undecoded>;
}

impl Outcome for Insn {
    fn outcome(self) -> Result<Insn, Undecoded> {
        Ok(self)
    }
}

impl Outcome for Undecoded {
    fn outcome(self) -> Result<Insn, Undecoded> {
        Err(self)
    }
}

impl Outcome for Result<Insn, Undecoded> {
    fn outcome(self) -> Result<Insn, Undecoded> {
        self
    }
}

/// A table: `"name" "pattern" FEATURES [fields] unless(condition) => instruction;`, one row a line.
///
/// `FEATURES` may be followed by `^n`, the row's priority. The field list may end in `; cx` to have the [`Context`].
/// `unless` names the words that are UNPREDICTABLE and which we treat as UNDEFINED; UNPREDICTABLE words that it does
/// not name decode like their neighbours, as they do in QEMU: pc as an operand reads as usual, and a result in pc
/// where the architecture has none is the lifter's to drop.
macro_rules! rows {
    ($( $name:literal $pattern:literal $requires:ident $(^ $priority:literal)? [$($field:ident)* $(; $cx:ident)?]
        $(unless ($unless:expr))? => $build:expr; )*) => {
        &[$( $crate::isa::pattern::Row::new($name, $pattern, $requires, 0 $(+ $priority)?, {
            #[allow(non_snake_case, reason = "D, N and M are the architecture's names of the extra register bits")]
            fn build(_word: u32, _cx: $crate::isa::pattern::Context)
                -> Result<$crate::isa::insn::Insn, $crate::isa::insn::Undecoded> {
                $(let $field = const { $crate::isa::pattern::Field::of($pattern, stringify!($field)) }.get(_word);)*
                $(let $cx = _cx;)?
                $(if $unless {
                    return Err($crate::isa::insn::Undecoded::Unpredictable);
                })?
                $crate::isa::pattern::Outcome::outcome($build)
            }
            build
        }) ),*]
    };
}
pub(super) use rows;

/// The concatenation of `parts`, whose lengths add up to `N`.
pub const fn concat<const N: usize>(parts: &[&[Row]]) -> [Row; N] {
    let mut all = [parts[0][0]; N];
    let (mut part, mut at) = (0, 0);
    while part < parts.len() {
        let mut i = 0;
        while i < parts[part].len() {
            all[at] = parts[part][i];
            at += 1;
            i += 1;
        }
        part += 1;
    }
    assert!(at == N);
    all
}

/// First-level lookup: for every value of the key bits the rows that can match, highest priority first.
pub struct Index<const KEYS: usize, const ENTRIES: usize> {
    key: Field,
    /// End of each key's list in `entries`; it starts where the previous key's ends.
    ends: [u16; KEYS],
    entries: [u16; ENTRIES],
}

/// Which rows an index holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Select {
    Conditional,
    Unconditional,
    Narrow,
    /// 32-bit T32, but for the next.
    Wide,
    /// 32-bit T32 of Advanced SIMD data processing.
    WideData,
}

impl Select {
    const fn takes(self, row: &Row) -> bool {
        match self {
            Select::Conditional => row.conditional,
            Select::Unconditional => !row.conditional,
            Select::Narrow => pattern_bits(row.pattern) == 16,
            Select::Wide => pattern_bits(row.pattern) == 32 && !row.is_simd_data(),
            Select::WideData => row.is_simd_data(),
        }
    }
}

/// Number of (key, row) pairs of an index: its `ENTRIES`.
pub const fn index_entries(rows: &[Row], select: Select, key: Field) -> usize {
    let mut total = 0;
    let mut i = 0;
    while i < rows.len() {
        if select.takes(&rows[i]) {
            total += 1 << (key.width() - key.get(rows[i].mask).count_ones());
        }
        i += 1;
    }
    total
}

impl<const KEYS: usize, const ENTRIES: usize> Index<KEYS, ENTRIES> {
    /// Builds the index of those of `rows` that `select` takes; `key` has log2(`KEYS`) bits.
    pub const fn build(rows: &[Row], select: Select, key: Field) -> Self {
        assert!(KEYS == 1 << key.width() && ENTRIES < 1 << 16 && rows.len() < 1 << 16);
        let mut lengths = [0u16; KEYS];
        let mut i = 0;
        while i < rows.len() {
            if select.takes(&rows[i]) {
                let (base, free) = Self::keys(&rows[i], key);
                let mut sub = 0;
                loop {
                    lengths[base | sub] += 1;
                    sub = sub.wrapping_sub(free) & free;
                    if sub == 0 {
                        break;
                    }
                }
            }
            i += 1;
        }
        // `ends` first holds each key's start, and is moved on as its entries are filled in.
        let mut ends = [0u16; KEYS];
        let mut k = 1;
        while k < KEYS {
            ends[k] = ends[k - 1] + lengths[k - 1];
            k += 1;
        }
        let mut entries = [0u16; ENTRIES];
        let mut priority = MAX_PRIORITY + 1;
        while priority > 0 {
            priority -= 1;
            let mut i = 0;
            while i < rows.len() {
                if rows[i].priority == priority && select.takes(&rows[i]) {
                    let (base, free) = Self::keys(&rows[i], key);
                    let mut sub = 0;
                    loop {
                        let slot = &mut ends[base | sub];
                        entries[*slot as usize] = i as u16;
                        *slot += 1;
                        sub = sub.wrapping_sub(free) & free;
                        if sub == 0 {
                            break;
                        }
                    }
                }
                i += 1;
            }
        }
        Index { key, ends, entries }
    }

    /// The keys that a row can have: a base, and the mask of bits that are free.
    const fn keys(row: &Row, key: Field) -> (usize, usize) {
        let fixed = key.get(row.mask) as usize;
        (key.get(row.value) as usize, (KEYS - 1) & !fixed)
    }

    /// The row that decodes `word`, as its index in `rows`.
    #[inline]
    pub fn find(&self, rows: &[Row], word: u32, features: Features) -> Option<usize> {
        let key = self.key.get(word) as usize;
        let start = if key == 0 { 0 } else { self.ends[key - 1] as usize };
        self.entries[start..self.ends[key] as usize]
            .iter()
            .map(|&row| row as usize)
            .find(|&row| {
                let row = &rows[row];
                word & row.mask == row.value && features.contains(row.requires)
            })
    }
}

/// Number of rows in all of `parts`.
pub const fn total(parts: &[&[Row]]) -> usize {
    let (mut part, mut sum) = (0, 0);
    while part < parts.len() {
        sum += parts[part].len();
        part += 1;
    }
    sum
}
