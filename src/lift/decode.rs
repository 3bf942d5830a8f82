//! Fetches and decodes one instruction at a guest address, and remembers it; what translation asks about guest code.

use super::{Context, block, flags};
use crate::cpu::model::Features;
use crate::ir::ops::Flags;
use crate::isa::insn::{DecodeResult, Decoded, Insn, Undecoded};
use crate::isa::{a32, t32};

/// The guest's executable memory.
pub trait Fetch {
    /// The halfword at the even address `pc`; `None` where it is unmapped or not executable.
    fn fetch16(&self, pc: u32) -> Option<u16>;

    /// The halfwords at the even address `pc` and behind it (in bits 31-16), if one look at memory yields both: a mere
    /// short cut.
    fn fetch32(&self, pc: u32) -> Option<u32> {
        let _ = pc;
        None
    }

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

/// Fetches the instruction at `pc`: its encoding as in [`Fetched`], and its size in bytes. An A32 address that is not a
/// multiple of four faults.
///
/// # Errors
/// The address at which fetching faults.
#[inline]
pub fn fetch_at(pc: u32, thumb: bool, fetch: &dyn Fetch, features: Features) -> Result<(u32, u8), u32> {
    if !thumb && pc & 3 != 0 {
        return Err(pc);
    }
    let both = fetch.fetch32(pc & !1);
    let first = match both {
        Some(both) => both as u16,
        None => fetch.fetch16(pc & !1).ok_or(pc)?,
    };
    if thumb && !t32::is_wide(first, features) {
        return Ok((first.into(), 2));
    }
    let at = pc.wrapping_add(2);
    let second = match both {
        Some(both) => (both >> 16) as u16,
        None => fetch.fetch16(at).ok_or(at)?,
    };
    let (high, low) = if thumb { (first, second) } else { (second, first) };
    Ok((u32::from(high) << 16 | u32::from(low), 4))
}

/// Decodes what [`fetch_at`] has fetched.
#[inline]
pub fn decode(word: u32, size: u8, thumb: bool, in_it: bool, features: Features) -> DecodeResult {
    match (thumb, size) {
        (false, _) => a32::decode(word, features),
        (true, 2) => t32::decode(word as u16, 0, in_it, features),
        (true, _) => t32::decode((word >> 16) as u16, word as u16, in_it, features),
    }
}

/// Fetches and decodes the instruction at `pc`.
pub fn decode_at(pc: u32, thumb: bool, in_it: bool, fetch: &dyn Fetch, features: Features) -> Fetched {
    match fetch_at(pc, thumb, fetch, features) {
        Err(at) => Fetched::Fault(at),
        Ok((word, size)) => match decode(word, size, thumb, in_it, features) {
            Ok(decoded) => Fetched::Insn { decoded, word },
            Err(why) => Fetched::Undecoded { why, word, size },
        },
    }
}

/// Where a direct branch leads, in the instruction set that it is in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Branch {
    None,
    /// `B`, whose condition is that of the instruction.
    To(u32),
    /// `CBZ` and `CBNZ`.
    OnZero(u32),
    /// `BL`, `BLX` (immediate) to the same instruction set.
    Call(u32),
}

/// What is at an address, with what block forming and the look ahead for flags ask of it.
#[derive(Clone, Copy, Debug)]
pub struct Looked {
    pub fetched: Fetched,
    pub branch: Branch,
    /// Whether it ends a block ([`block::ends_block`]).
    pub ends: bool,
    /// Flags that it reads (its condition apart), certainly writes and may write, when it is executed.
    pub reads: Flags,
    pub writes: Flags,
    pub may_write: Flags,
}

impl Looked {
    fn new(pc: u32, thumb: bool, fetched: Fetched, features: Features) -> Looked {
        let Fetched::Insn { ref decoded, .. } = fetched else {
            return Looked {
                fetched,
                branch: Branch::None,
                ends: true,
                reads: Flags::NONE,
                writes: Flags::NONE,
                may_write: Flags::NONE,
            };
        };
        let base = pc.wrapping_add(if thumb { 4 } else { 8 });
        Looked {
            branch: match decoded.insn {
                Insn::B { offset } => Branch::To(base.wrapping_add_signed(offset)),
                Insn::Cbz { offset, .. } => Branch::OnZero(base.wrapping_add_signed(offset)),
                Insn::Bl {
                    offset,
                    exchange: false,
                } => Branch::Call(base.wrapping_add_signed(offset)),
                _ => Branch::None,
            },
            ends: block::ends_block(&decoded.insn, features),
            reads: flags::read(&decoded.insn),
            writes: flags::written(&decoded.insn),
            may_write: flags::may_write(&decoded.insn),
            fetched,
        }
    }
}

/// Instructions decoded lately, by address: several blocks and the look ahead for flags see the same ones. Good as long
/// as no guest code changes.
#[derive(Default)]
pub struct Decodings {
    /// What [`Decodings::key`] was when the entry was made, and the entry; made at first use.
    entries: Vec<(u64, Looked)>,
    /// The count of code changes that the entries are of, and a number of its own in the keys.
    changes: u64,
    stamp: u32,
}

impl Decodings {
    const ENTRIES: usize = 1024;
    const NOTHING: u64 = u64::MAX;
    /// Stamps are below this: 30 bits of a key.
    const STAMPS: u32 = (1 << 30) - 1;

    /// Forgets everything if code has changed since `changes` was last another number.
    pub fn at_change(&mut self, changes: u64) {
        if self.changes == changes {
            return;
        }
        self.changes = changes;
        self.stamp += 1;
        if self.stamp == Decodings::STAMPS {
            self.stamp = 0;
            self.entries.clear();
        }
    }

    fn key(&self, pc: u32, thumb: bool, in_it: bool) -> u64 {
        u64::from(pc) | u64::from(thumb) << 32 | u64::from(in_it) << 33 | u64::from(self.stamp) << 34
    }
}

/// An encoding that a translation rests on, in [`Fetched`]'s form.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seen {
    pub pc: u32,
    pub word: u32,
    /// In bytes.
    pub size: u8,
    pub thumb: bool,
}

impl Seen {
    /// The bytes in memory order; the first [`Seen::size`] count.
    pub fn bytes(&self) -> [u8; 4] {
        match (self.thumb, self.size) {
            (true, 4) => self.word.rotate_left(16).to_le_bytes(),
            _ => self.word.to_le_bytes(),
        }
    }
}

/// Guest code as one translation sees it.
pub struct Code<'a> {
    pub fetch: &'a dyn Fetch,
    pub ctx: &'a Context,
    pub decodings: &'a mut Decodings,
    /// Where to note all encodings looked at, if somebody wants to know.
    pub seen: Option<&'a mut Vec<Seen>>,
}

impl Code<'_> {
    /// What is at `pc`; `in_it` says whether an IT block reaches there.
    #[inline(always)]
    pub fn at(&mut self, pc: u32, thumb: bool, in_it: bool) -> &Looked {
        let key = self.decodings.key(pc, thumb, in_it);
        let index = (pc >> 1) as usize % Decodings::ENTRIES;
        if self.decodings.entries.get(index).is_none_or(|e| e.0 != key) {
            self.look(pc, thumb, in_it, key, index);
        }
        if self.seen.is_some() {
            self.see(pc, thumb, index);
        }
        &self.decodings.entries[index].1
    }

    #[inline(never)]
    fn see(&mut self, pc: u32, thumb: bool, index: usize) {
        let (word, size) = match self.decodings.entries[index].1.fetched {
            Fetched::Insn { ref decoded, word } => (word, decoded.size),
            Fetched::Undecoded { word, size, .. } => (word, size),
            Fetched::Fault(_) => (0, 0),
        };
        let seen = Seen {
            pc,
            word,
            size,
            thumb,
        };
        if let Some(all) = &mut self.seen {
            all.push(seen);
        }
    }

    #[inline(never)]
    fn look(&mut self, pc: u32, thumb: bool, in_it: bool, key: u64, index: usize) {
        let features = self.ctx.features;
        let fetched = decode_at(pc, thumb, in_it, self.fetch, features);
        // Nobody says when something is mapped where nothing was.
        let key = match fetched {
            Fetched::Fault(_) => Decodings::NOTHING,
            _ => key,
        };
        let looked = Looked::new(pc, thumb, fetched, features);
        let entries = &mut self.decodings.entries;
        if entries.is_empty() {
            entries.resize(Decodings::ENTRIES, (Decodings::NOTHING, looked));
        }
        entries[index] = (key, looked);
    }
}
