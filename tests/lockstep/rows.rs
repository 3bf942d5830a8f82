//! What the generator needs to know of a table row, found by decoding: which fields name core registers and what for,
//! whether it is an access to memory, and which group it belongs to.

use super::values::pick;
use emu::cpu::model::Features;
use emu::isa::generate::{Rng, encoding};
use emu::isa::insn::{DecodeResult, Insn};
use emu::isa::pattern::{Field, Row};
use emu::isa::{a32, t32};

/// What a register field is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    Data,
    /// Of an access to memory.
    Base,
    /// Offset register of an access to memory.
    Index,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Group {
    Core,
    Vfp,
    Simd,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Memory {
    No,
    Load,
    Store,
}

/// A row that decodes to an instruction on the processor in question.
pub struct RowInfo {
    pub thumb: bool,
    /// Index in its table.
    pub index: u16,
    pub row: &'static Row,
    pub group: Group,
    pub memory: Memory,
    /// Fields of four, or in 16-bit instructions three, bits that name core registers.
    pub core: Vec<(Field, Role)>,
    /// Four-bit fields of vector registers, and the bits that go with them.
    pub vector: Vec<Field>,
    pub vector_bits: Vec<Field>,
    /// It may name core registers that no field of `core` holds by itself: the second of a pair, or R8 and up in 16 bits.
    pub implicit: bool,
    /// Its address is always relative to the pc.
    pub literal: bool,
    /// A list of core registers.
    pub list: Option<Field>,
    /// Every other field of two bits and more.
    pub immediate: Vec<Field>,
    /// It does nothing but end the sequence.
    pub always_faults: bool,
    /// Its target is relative to the pc: only constructs of the generator make it.
    pub branch: bool,
}

/// Decodes the instruction `word` of a row of this width.
pub fn decode(word: u32, thumb: bool, narrow: bool, in_it: bool, features: Features) -> DecodeResult {
    match (thumb, narrow) {
        (false, _) => a32::decode(word, features),
        (true, true) => t32::decode(word as u16, 0, in_it, features),
        (true, false) => t32::decode((word >> 16) as u16, word as u16, in_it, features),
    }
}

/// Names of the structure members that hold core register `n`, as `Debug` shows them.
fn members(insn: &Insn, n: u32) -> Vec<String> {
    let text = format!("{insn:?}");
    let value = format!("Reg({n})");
    text.match_indices(&value)
        .map(|(at, _)| {
            let before = text[..at]
                .trim_end_matches("Reg(")
                .trim_end_matches("Some(")
                .trim_end_matches(": ");
            let start = before
                .rfind(|c: char| !(c.is_alphanumeric() || c == '_'))
                .map_or(0, |i| i + 1);
            before[start..].to_string()
        })
        .collect()
}

fn memory(name: &str) -> Memory {
    let starts = |list: &[&str]| list.iter().any(|p| name.starts_with(p));
    if starts(&["st", "swp", "push", "vst", "vpush"]) {
        Memory::Store
    } else if starts(&["ld", "pop", "vld", "vpop", "tb"]) {
        Memory::Load
    } else {
        Memory::No
    }
}

impl RowInfo {
    fn of(thumb: bool, index: usize, row: &'static Row, features: Features) -> Option<RowInfo> {
        let mut rng = Rng(index as u64 + 1);
        let narrow = row.is_narrow();
        if narrow && t32::is_wide(row.value as u16, features) {
            return None;
        }
        let find = |word: u32| match thumb {
            false => a32::find(word, features),
            true => t32::find(word, !narrow, features),
        };
        let insn_of = |word: u32| match decode(word, thumb, narrow, false, features) {
            Ok(d) if find(word) == Some(index) => Some(d.insn),
            _ => None,
        };
        let samples: Vec<(u32, Insn)> = (0..4000)
            .filter_map(|_| {
                let word = encoding(row, &mut rng);
                Some((word, insn_of(word)?))
            })
            .take(24)
            .collect();
        let (_, insn) = samples.first()?;
        let memory = memory(row.name);
        let mut info = RowInfo {
            thumb,
            index: index as u16,
            row,
            group: match insn {
                Insn::Vfp(_) => Group::Vfp,
                _ if row.requires.contains(Features::NEON) || row.name.starts_with('v') => Group::Simd,
                _ => Group::Core,
            },
            memory,
            core: Vec::new(),
            vector: Vec::new(),
            vector_bits: Vec::new(),
            implicit: narrow && row.pattern.contains('h') || row.name.ends_with('d') && memory != Memory::No,
            literal: samples
                .iter()
                .all(|(_, insn)| format!("{insn:?}").contains("base: Reg(15)")),
            list: None,
            immediate: Vec::new(),
            always_faults: samples
                .iter()
                .all(|(_, insn)| matches!(insn, Insn::Udf { .. } | Insn::Bkpt { .. } | Insn::Hlt { .. })),
            branch: matches!(
                insn,
                Insn::B { .. } | Insn::Bl { .. } | Insn::Cbz { .. } | Insn::It { .. } | Insn::Svc { .. }
            ),
        };
        for (name, field) in row.fields() {
            if name == 'c' && row.conditional {
                continue;
            }
            let role = samples
                .iter()
                .find_map(|&(word, _)| Self::role(word, field, memory, &insn_of));
            let vector = row.name.starts_with('v') && "DNM".contains(name.to_ascii_uppercase());
            match (role, field.width()) {
                (Some(role), 3..) => info.core.push((field, role)),
                (None, 8..) if "ldm stm push pop".split(' ').any(|n| row.name.starts_with(n)) => {
                    info.list = Some(field)
                }
                (None, 4) if vector || info.group == Group::Simd && "dnm".contains(name) => {
                    info.vector.push(field)
                }
                (None, 1) if vector || info.group == Group::Simd && "DNM".contains(name) => {
                    info.vector_bits.push(field)
                }
                (None, 2..) => info.immediate.push(field),
                _ => {}
            }
        }
        Some(info)
    }

    /// Whether `field` of `word` is a core register, and what for.
    fn role(word: u32, field: Field, memory: Memory, insn_of: &dyn Fn(u32) -> Option<Insn>) -> Option<Role> {
        if !(3..=4).contains(&field.width()) {
            return None;
        }
        // Values whose neighbours do not appear by themselves, as the second register of a pair does.
        let mut found: Option<Vec<String>> = None;
        for n in [2, 4, 6] {
            let insn = insn_of(field.set(word, n))?;
            let members = members(&insn, n);
            found = Some(match found {
                None => members,
                Some(before) => before.into_iter().filter(|m| members.contains(m)).collect(),
            });
        }
        let found = found?;
        let member = found.first()?;
        Some(match member.as_str() {
            "base" | "rn" if memory != Memory::No => Role::Base,
            "rm" if memory != Memory::No => Role::Index,
            _ => Role::Data,
        })
    }

    /// How results and reports call it.
    pub fn key(&self) -> String {
        let state = if self.thumb { "T32" } else { "A32" };
        let pattern: String = self.row.pattern.chars().filter(|c| *c != ' ').collect();
        format!("{state} {} {pattern}", self.row.name)
    }

    /// Whether an instruction of this row may load from memory or store.
    pub fn accesses(&self) -> bool {
        self.memory != Memory::No
    }
}

/// The implemented rows of both instruction sets.
pub struct Rows {
    pub features: Features,
    pub all: Vec<RowInfo>,
    a32: Vec<Option<u16>>,
    t32: Vec<Option<u16>>,
}

impl Rows {
    pub fn new(features: Features) -> Rows {
        let mut all = Vec::new();
        let mut index = |thumb: bool, rows: &'static [Row]| {
            let mut places = vec![None; rows.len()];
            for (i, row) in rows.iter().enumerate() {
                if !features.contains(row.requires) {
                    continue;
                }
                if let Some(info) = RowInfo::of(thumb, i, row, features) {
                    places[i] = Some(all.len() as u16);
                    all.push(info);
                }
            }
            places
        };
        let a32 = index(false, a32::rows());
        let t32 = index(true, t32::rows());
        Rows {
            features,
            all,
            a32,
            t32,
        }
    }

    /// Index in [`Rows::all`] of row `row` of a table.
    pub fn place(&self, thumb: bool, row: u16) -> Option<u16> {
        let table = if thumb { &self.t32 } else { &self.a32 };
        table[row as usize]
    }
}

/// A random one of the rows that `from` lists.
pub fn any<'a>(rng: &mut Rng, rows: &'a Rows, from: &[u16]) -> &'a RowInfo {
    &rows.all[pick(rng, from) as usize]
}
