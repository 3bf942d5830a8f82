//! What the translator keeps of guest code from one block to the next: where blocks start, and flags live there.

use crate::ir::ops::Flags;
use std::cell::Cell;
use std::ops::Range;

/// A set of guest addresses: a bit for each halfword, the address modulo 32 MiB, so that it may hold more than was put
/// in. Only what is used takes memory.
pub struct AddressSet(Vec<u64>);

const BITS: usize = 1 << 24;

impl AddressSet {
    pub fn new() -> AddressSet {
        AddressSet(vec![0; BITS / 64])
    }

    /// A form that can be added to through a shared reference.
    pub fn shared(&mut self) -> SharedSet<'_> {
        SharedSet(Cell::from_mut(self.0.as_mut_slice()).as_slice_of_cells())
    }
}

#[derive(Clone, Copy)]
pub struct SharedSet<'a>(&'a [Cell<u64>]);

impl SharedSet<'_> {
    fn place(&self, address: u32) -> (&Cell<u64>, u64) {
        let bit = (address >> 1) as usize % BITS;
        (&self.0[bit / 64], 1 << (bit % 64))
    }

    pub fn insert(self, address: u32) {
        let (word, bit) = self.place(address);
        word.set(word.get() | bit);
    }

    pub fn may_contain(self, address: u32) -> bool {
        let (word, bit) = self.place(address);
        word.get() & bit != 0
    }
}

/// Pieces of guest code that a remembered answer may depend on.
const PIECES: usize = 3;

/// Flags live at a guest address, and the code that says so.
#[derive(Clone, Copy)]
struct Answer {
    target: u32,
    flags: Flags,
    /// Count of code changes that it is of.
    changes: u64,
    /// `(start, length)`; unused ones have length 0. An answer has at least one.
    pieces: [(u32, u16); PIECES],
}

const NO_ANSWER: Answer = Answer {
    target: 0,
    flags: Flags::NONE,
    changes: 0,
    pieces: [(0, 0); PIECES],
};

/// Which flags are live at guest addresses looked at lately. Void as soon as any code changes.
pub struct LiveFlags {
    answers: Vec<Answer>,
    /// The count of code changes now.
    changes: u64,
}

impl LiveFlags {
    const ANSWERS: usize = 1024;

    pub fn new() -> LiveFlags {
        LiveFlags {
            answers: vec![NO_ANSWER; LiveFlags::ANSWERS],
            changes: 0,
        }
    }

    /// Forgets everything if code has changed since `changes` was last another number.
    pub fn at_change(&mut self, changes: u64) {
        self.changes = changes;
    }

    fn index(target: u32) -> usize {
        (target.wrapping_mul(0x9e37_79b1) >> 16) as usize % LiveFlags::ANSWERS
    }

    /// The flags live at `target`, if need be from `look`; the code that this depends on is appended to `read`.
    pub fn get_or(
        &mut self,
        target: u32,
        read: &mut Vec<Range<u64>>,
        look: impl FnOnce(&mut Vec<Range<u64>>) -> Flags,
    ) -> Flags {
        if let Some(flags) = self.get(target, read) {
            return flags;
        }
        let before = read.len();
        let flags = look(read);
        self.put(target, flags, &read[before..]);
        flags
    }

    /// The flags live at `target`, if known; the code that this depends on is appended to `read`.
    fn get(&self, target: u32, read: &mut Vec<Range<u64>>) -> Option<Flags> {
        let answer = &self.answers[LiveFlags::index(target)];
        if answer.target != target || answer.changes != self.changes || answer.pieces[0].1 == 0 {
            return None;
        }
        for (start, len) in answer.pieces.into_iter().filter(|p| p.1 != 0) {
            let start = u64::from(start);
            read.push(start..start + u64::from(len));
        }
        Some(answer.flags)
    }

    /// Keeps an answer that depends on the code in `read`, unless that is too scattered.
    fn put(&mut self, target: u32, flags: Flags, read: &[Range<u64>]) {
        let mut answer = Answer {
            target,
            flags,
            changes: self.changes,
            ..NO_ANSWER
        };
        if read.is_empty() || read.len() > PIECES {
            return;
        }
        for (piece, range) in answer.pieces.iter_mut().zip(read) {
            match u16::try_from(range.end - range.start) {
                Ok(len) => *piece = (range.start as u32, len),
                Err(_) => return,
            }
        }
        self.answers[LiveFlags::index(target)] = answer;
    }
}

/// Sorts `ranges` and joins those that touch.
pub fn join(ranges: &mut Vec<Range<u64>>) {
    ranges.sort_unstable_by_key(|r| r.start);
    ranges.dedup_by(|next, last| {
        let touches = next.start <= last.end;
        if touches {
            last.end = last.end.max(next.end);
        }
        touches
    });
}

#[cfg(test)]
#[allow(clippy::single_range_in_vec_init, reason = "lists of one range are meant")]
mod tests {
    use super::*;

    #[test]
    fn sets_hold_what_was_put_in() {
        let mut set = AddressSet::new();
        let shared = set.shared();
        shared.insert(0xffff_fffe);
        shared.insert(0x8000);
        assert!(shared.may_contain(0xffff_fffe) && shared.may_contain(0x8001));
        assert!(!shared.may_contain(0x8002) && !shared.may_contain(0));
    }

    #[test]
    fn answers_come_with_what_they_depend_on_until_code_changes() {
        let mut live = LiveFlags::new();
        let mut read = vec![];
        assert_eq!(live.get(0, &mut read), None);
        live.put(0x8001, Flags::C, &[0x8000..0x8010, 0x9000..0x9004]);
        assert_eq!(live.get(0x8001, &mut read), Some(Flags::C));
        assert_eq!(read, [0x8000..0x8010, 0x9000..0x9004]);
        live.put(0x9001, Flags::C, &[0..2, 4..6, 8..10, 12..14]);
        live.put(0xa001, Flags::C, &[0..1 << 16]);
        live.put(0xb001, Flags::C, &[]);
        for target in [0x9001, 0xa001, 0xb001, 0x8003] {
            assert_eq!(live.get(target, &mut read), None);
        }
        live.at_change(1);
        assert_eq!(live.get(0x8001, &mut read), None);
    }

    #[test]
    fn touching_ranges_become_one() {
        let mut ranges = vec![8..10, 0..4, 2..3, 4..6, 20..21];
        join(&mut ranges);
        assert_eq!(ranges, [0..6, 8..10, 20..21]);
    }
}
