//! A code sequence as the generator makes it and as it is reduced: items with symbolic targets, laid out late.

use super::encode;
use super::layout::{BATCH_CODE, CODE_WORDS, LEAVE, MODIFIES};

/// What of an item depends on where another one is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fix {
    /// A branch instruction; the encoding has its place's offset filled in.
    Branch(encode::Branch),
    /// ADR, or its A32 relatives.
    Address { rd: u8 },
    /// LDR (literal), a word.
    Literal { rt: u8 },
    /// ADD or MOV of 1 to the register if the target is T32 code: a second step behind `Address`.
    State { rd: u8 },
    /// A word of data: the address of the target, T bit included.
    Pointer,
    /// Entry of the table of a TBB or TBH: half the distance from item `table`.
    TableEntry { half: bool, table: u16 },
}

/// One instruction or a few that belong together (an IT block), or data.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Item {
    pub thumb: bool,
    /// Little-endian halfwords in order of address.
    pub code: Vec<u16>,
    pub fix: Option<(Fix, u16)>,
    /// Starts at a multiple of four.
    pub aligned: bool,
    /// It is not for the reducer to leave out.
    pub pinned: bool,
    /// Padding before it is never executed.
    pub unreachable_before: bool,
    /// Not an instruction.
    pub data: bool,
}

impl Item {
    pub fn a32(word: u32) -> Item {
        Item {
            thumb: false,
            code: vec![word as u16, (word >> 16) as u16],
            fix: None,
            aligned: true,
            pinned: false,
            unreachable_before: false,
            data: false,
        }
    }

    pub fn t32(code: Vec<u16>) -> Item {
        Item {
            thumb: true,
            aligned: false,
            code,
            ..Item::a32(0)
        }
    }

    /// An instruction of `word`'s width.
    pub fn of(thumb: bool, narrow: bool, word: u32) -> Item {
        match (thumb, narrow) {
            (false, _) => Item::a32(word),
            (true, true) => Item::t32(vec![word as u16]),
            (true, false) => Item::t32(vec![(word >> 16) as u16, word as u16]),
        }
    }

    /// A word of data.
    pub fn data(word: u32) -> Item {
        Item {
            pinned: true,
            unreachable_before: true,
            data: true,
            ..Item::a32(word)
        }
    }

    /// The way out, LDR pc; in T32 it is aligned by a NOP before it if need be. Without Thumb-2: BX pc, and LDR pc in A32.
    pub fn exit(thumb: bool, thumb2: bool) -> Item {
        let halves = |word: u32| [word as u16, (word >> 16) as u16];
        let [low, high] = halves(LEAVE);
        let code = match (thumb, thumb2) {
            (true, true) => vec![0xf8df, 0xf000, low, high],
            (true, false) => vec![0x4778, NOP, 0xf004, 0xe51f, low, high],
            (false, _) => vec![0xf004, 0xe51f, low, high],
        };
        Item {
            thumb,
            code,
            aligned: true,
            pinned: true,
            ..Item::a32(0)
        }
    }

    pub fn fixed(self, fix: Fix, target: u16) -> Item {
        Item {
            fix: Some((fix, target)),
            ..self
        }
    }
}

/// A sequence; it starts at its first item.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sequence {
    pub items: Vec<Item>,
}

/// Where an item of a laid-out sequence is.
pub struct Layout {
    pub code: [u32; CODE_WORDS],
    /// Offset of each item.
    pub at: Vec<u16>,
}

impl Layout {
    /// `count` halfwords from offset `at` on.
    pub fn halfwords(&self, at: u16, count: usize) -> Vec<u16> {
        let half = |i: usize| (self.code[i / 2] >> (16 * (i % 2))) as u16;
        (usize::from(at) / 2..).take(count).map(half).collect()
    }
}

/// What unused places hold: UDF in both states.
const FILLER: u16 = 0xdefe;
/// MOV r8, r8: ARMv5 has no other.
const NOP: u16 = 0x46c0;

impl Sequence {
    /// Places the items behind one another and fills the offsets in; `None` where that does not fit.
    pub fn lay_out(&self, base: u32) -> Option<Layout> {
        let mut halves: Vec<u16> = Vec::with_capacity(2 * CODE_WORDS);
        let mut at = Vec::with_capacity(self.items.len());
        for item in &self.items {
            if item.aligned && halves.len() % 2 == 1 {
                halves.push(if item.unreachable_before { FILLER } else { NOP });
            }
            at.push(2 * halves.len() as u16);
            halves.extend(&item.code);
        }
        if halves.len() > 2 * CODE_WORDS {
            return None;
        }
        for (index, item) in self.items.iter().enumerate() {
            let Some((fix, target)) = item.fix else { continue };
            let (from, to) = (u32::from(at[index]), u32::from(at[target as usize]));
            let thumb = self.items[target as usize].thumb;
            let place = &mut halves[from as usize / 2..][..item.code.len()];
            match fix {
                Fix::Branch(branch) => encode::branch(branch, item.thumb, place, from, to)?,
                Fix::Address { rd } => encode::address(rd, item.thumb, place, from, to)?,
                Fix::Literal { rt } => encode::literal(rt, item.thumb, place, from, to)?,
                Fix::State { rd } => encode::set_state(rd, item.thumb, thumb, place),
                Fix::Pointer => {
                    let pointer = base + to + u32::from(thumb);
                    place.copy_from_slice(&[pointer as u16, (pointer >> 16) as u16]);
                }
                Fix::TableEntry { half, table } => {
                    let distance = to.checked_sub(u32::from(at[table as usize]))? / 2;
                    if !half && distance > 255 {
                        return None;
                    }
                    place[0] = if half {
                        distance as u16
                    } else {
                        distance as u16 | (distance as u16) << 8
                    };
                }
            }
        }
        // UDF #0xdefe and, as halfwords, UDF #0xfe.
        let mut code = [0xe7ff_defe; CODE_WORDS];
        for (i, half) in halves.iter().enumerate() {
            let shift = 16 * (i % 2);
            code[i / 2] = code[i / 2] & !(0xffff << shift) | u32::from(*half) << shift;
        }
        Some(Layout { code, at })
    }

    /// The state it starts in.
    pub fn thumb(&self) -> bool {
        self.items.first().is_some_and(|i| i.thumb)
    }

    /// Without item `index`; branches to it go to what follows, which there must be.
    pub fn without(&self, index: usize) -> Option<Sequence> {
        let mut items = self.items.clone();
        items.remove(index);
        let moved = |target: &mut u16| {
            if usize::from(*target) > index {
                *target -= 1;
            }
        };
        for item in &mut items {
            if let Some((fix, target)) = &mut item.fix {
                moved(target);
                if let Fix::TableEntry { table, .. } = fix {
                    moved(table);
                }
            }
        }
        let targets = items.iter().filter_map(|i| i.fix).map(|(_, target)| target);
        (targets.max().unwrap_or(0) < items.len() as u16).then_some(Sequence { items })
    }
}

/// Where in the arena slot `slot` with these flags starts, of a batch whose code is at `at`.
pub fn slot_place(at: u32, slot: usize, flags: u32) -> u32 {
    let part = if flags & MODIFIES != 0 { BATCH_CODE } else { 0 };
    at + part + (slot * CODE_WORDS * 4) as u32
}
