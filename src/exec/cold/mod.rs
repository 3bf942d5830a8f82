//! Code that runs once or twice: interpreted, not translated.
//!
//! To translate an instruction takes as long as to execute it some thousand times, and more than half of what a program
//! executes at its start it executes once. So the run loop has a place interpreted the first times that it is reached
//! ([`Places`]) and translated from then on. The interpreter knows the instructions that such code consists of: integer
//! arithmetic, loads, stores and branches. At any other, at whatever faults, and at what is hot it leaves: the
//! state is then one from which translated code can begin the instruction, and it goes on from there. So it has no faults of its
//! own to report, and what an instruction means in the rare cases is said in one place, `lift`.

mod memory;
mod step;

use super::machine::Event;
use crate::cpu::cond::Cond;
use crate::cpu::model::Features;
use crate::cpu::state::CpuState;
use crate::diag::stats::stats;
use crate::ir::interp::{advance_it, holds};
use crate::isa::insn::{Decoded, Insn};
use crate::lift::block::{condition, it_state};
use crate::lift::decode::{Fetch, decode, fetch_at};
use crate::mem::{self, GuestAddr, Prot};
use std::cell::Cell;
use std::sync::atomic::{AtomicU32, Ordering};
use step::{Flow, Stepper};

/// Instructions that are interpreted on end, at most: of a loop whose places share an entry of the table some get translated,
/// too.
const LONGEST: u64 = 4096;

/// From here on up there are only the helpers of the kernel's page, which `lift` gives their meaning.
const KUSER: u32 = 0xffff_0000;

/// A program with more places than this repeats itself: from then on only first arrivals are interpreted.
const SHORT_PROGRAM: u32 = 2048;

/// From this many places on all are translated at once: what interpreting costs a long program has an end.
const LONG_PROGRAM: u32 = 8192;

/// How often places were reached, as far as that is known.
pub struct Places {
    /// Arrivals that are interpreted; 0: none; [`Places::ALWAYS`]: all.
    limit: u32,
    /// Places counted so far, those forgotten and counted again included.
    known: AtomicU32,
    /// By the low bits of the address: the rest of it, and a count below.
    counts: Box<[AtomicU32]>,
    features: Features,
    /// Addresses of A32 code that `lift` gives a meaning of its own.
    exempt: Box<[u32]>,
}

impl Places {
    /// A limit that no count reaches.
    pub const ALWAYS: u32 = Places::MOST + 1;
    /// The highest count.
    const MOST: u32 = (1 << Places::COUNT_BITS) - 1;
    const COUNT_BITS: u32 = 13;
    const INDEX_BITS: u32 = 14;

    /// For a processor with `features`. The A32 code at `exempt` is not to be interpreted.
    pub fn new(limit: u32, features: Features, exempt: Box<[u32]>) -> Places {
        let counted = limit > 0 && limit < Places::ALWAYS;
        let size = if counted { 1 << Places::INDEX_BITS } else { 0 };
        Places {
            limit: limit.min(Places::ALWAYS),
            known: AtomicU32::new(0),
            counts: (0..size).map(|_| AtomicU32::new(0)).collect(),
            features,
            exempt,
        }
    }

    /// The entry of `target` (T bit in bit 0), and what it holds when it is that of `target` with a count of 0.
    fn entry(&self, target: u32) -> (&AtomicU32, u32) {
        let index = (target >> 1) as usize % self.counts.len();
        let rest = target >> (Places::INDEX_BITS + 1) << 1 | target & 1;
        (&self.counts[index], rest << Places::COUNT_BITS)
    }

    /// The count in `entry`, if it is that of the place that `new` is of.
    fn count(entry: &AtomicU32, new: u32) -> u32 {
        match entry.load(Ordering::Relaxed) ^ new {
            count @ ..=Places::MOST => count,
            _ => 0,
        }
    }

    fn limit_now(&self) -> u32 {
        match self.known.load(Ordering::Relaxed) {
            ..SHORT_PROGRAM => self.limit,
            SHORT_PROGRAM..LONG_PROGRAM => self.limit.min(1),
            _ => 0,
        }
    }

    fn is_exempt(&self, target: u32) -> bool {
        target >= KUSER || self.exempt.contains(&target)
    }

    /// Whether `target` is to be interpreted when it is reached next.
    pub fn is_cold(&self, target: u32) -> bool {
        if self.limit == 0 || self.is_exempt(target) {
            return false;
        }
        if self.limit == Places::ALWAYS {
            return true;
        }
        let (entry, new) = self.entry(target);
        Places::count(entry, new) < self.limit_now()
    }

    /// Counts an arrival at `target`; whether it is to be interpreted.
    fn arrive(&self, target: u32) -> bool {
        if self.limit == 0 || self.is_exempt(target) {
            return false;
        }
        if self.limit == Places::ALWAYS {
            return true;
        }
        let (entry, new) = self.entry(target);
        let count = Places::count(entry, new);
        if count >= self.limit_now() {
            return false;
        }
        if count == 0 {
            self.known.store(
                self.known.load(Ordering::Relaxed).saturating_add(1),
                Ordering::Relaxed,
            );
        }
        // Threads may lose each other's counts.
        entry.store(new | (count + 1), Ordering::Relaxed);
        true
    }
}

/// Why interpretation ended.
pub enum Left {
    /// The place that the state says is next may be translated already, or something waits.
    Find,
    /// The place is to be translated.
    Translate,
    Event(Event),
}

/// Executable guest memory, read afresh in each [`run`].
struct GuestCode {
    /// The last page looked at, and whether it is executable.
    page: Cell<(u32, bool)>,
    /// The last eight aligned bytes read, behind their address / 8.
    bytes: Cell<(u32, u64)>,
}

impl GuestCode {
    fn new() -> GuestCode {
        GuestCode {
            page: Cell::new((u32::MAX, false)),
            bytes: Cell::new((u32::MAX, 0)),
        }
    }

    fn read(&self, pc: u32) -> bool {
        let page = pc >> 12;
        if self.page.get().0 != page {
            let prot = mem::space().prot(GuestAddr(pc));
            self.page
                .set((page, prot.is_some_and(|p| p.contains(Prot::EXEC))));
        }
        if !self.page.get().1 {
            return false;
        }
        let Ok(bytes) = mem::space().read::<u64>(GuestAddr(pc & !7)) else {
            return false;
        };
        self.bytes.set((pc / 8, bytes));
        true
    }
}

impl Fetch for GuestCode {
    fn fetch16(&self, pc: u32) -> Option<u16> {
        if self.bytes.get().0 != pc / 8 && !self.read(pc) {
            return None;
        }
        Some((self.bytes.get().1 >> (pc % 8 * 8)) as u16)
    }

    fn fetch32(&self, pc: u32) -> Option<u32> {
        if pc % 8 > 4 || self.bytes.get().0 != pc / 8 && !self.read(pc) {
            return None;
        }
        Some((self.bytes.get().1 >> (pc % 8 * 8)) as u32)
    }
}

/// Instructions decoded before, by encoding: programs repeat themselves.
pub struct Memo {
    /// Behind what [`Memo::key`] says; made at first use.
    entries: Vec<(u64, Decoded)>,
}

impl Memo {
    const ENTRIES: usize = 512;
    const NOTHING: u64 = u64::MAX;

    pub fn new() -> Memo {
        Memo { entries: Vec::new() }
    }

    fn key(word: u32, size: u8, thumb: bool, in_it: bool) -> u64 {
        u64::from(word) | u64::from(size) << 32 | u64::from(thumb) << 40 | u64::from(in_it) << 41
    }

    /// The instruction at `pc`, if it can be fetched and decodes. By value: to read back what has just been written to the
    /// table would be to wait for the memory.
    #[inline]
    fn at(
        &mut self,
        pc: u32,
        thumb: bool,
        in_it: bool,
        code: &GuestCode,
        features: Features,
    ) -> Option<Decoded> {
        let (word, size) = fetch_at(pc, thumb, code, features).ok()?;
        let key = Memo::key(word, size, thumb, in_it);
        let index = (word.wrapping_mul(0x9e37_79b9) >> 16) as usize % Memo::ENTRIES;
        match self.entries.get(index) {
            Some(entry) if entry.0 == key => Some(entry.1),
            _ => {
                let decoded = decode(word, size, thumb, in_it, features).ok()?;
                if self.entries.is_empty() {
                    self.entries.resize(Memo::ENTRIES, (Memo::NOTHING, decoded));
                }
                self.entries[index] = (key, decoded);
                Some(decoded)
            }
        }
    }
}

/// Interprets from the place that `state` says is next, if it is to be interpreted, up to one that isn't, an event,
/// or something in `pending`.
pub fn run(state: &mut CpuState, pending: &AtomicU32, places: &Places, memo: &mut Memo) -> Left {
    if !places.arrive(state.r[15] | u32::from(state.thumb)) {
        return Left::Translate;
    }
    let code = GuestCode::new();
    let mut executed = 0;
    let left = loop {
        if pending.load(Ordering::Relaxed) != 0 {
            break Left::Find;
        }
        if executed == LONGEST {
            break Left::Translate;
        }
        let (pc, thumb, it) = (state.r[15], state.thumb != 0, state.it);
        let Some(decoded) = memo.at(pc, thumb, it != 0, &code, places.features) else {
            break Left::Translate;
        };
        let next = pc.wrapping_add(u32::from(decoded.size));
        let flow = match holds_now(state, &decoded) {
            true => Stepper::new(state, places.features, decoded.size).step(&decoded.insn),
            false => Some(Flow::Next),
        };
        let Some(flow) = flow else {
            break Left::Translate;
        };
        executed += 1;
        state.it = match decoded.insn {
            Insn::It { cond, mask } => it_state(cond, mask),
            _ => advance_it(it),
        };
        match flow {
            Flow::Next => state.r[15] = next,
            Flow::Branch(target) => {
                state.r[15] = target & !1;
                state.thumb = (target & 1) as u8;
                state.it = 0;
                if !places.arrive(target) {
                    break Left::Find;
                }
            }
            Flow::Call(imm) => {
                state.r[15] = next;
                break Left::Event(Event::Syscall { imm });
            }
        }
    };
    stats().interpreted.add(executed);
    left
}

fn holds_now(state: &CpuState, decoded: &Decoded) -> bool {
    match condition(decoded, state.it) {
        Cond::Al => true,
        cond => holds(cond, state.nzcv()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(limit: u32) -> Places {
        Places::new(limit, Features::V7, Box::new([0x9000]))
    }

    #[test]
    fn a_place_is_interpreted_as_often_as_the_limit_says() {
        let places = places(2);
        for _ in 0..2 {
            assert!(places.is_cold(0x8001));
            assert!(places.arrive(0x8001));
        }
        assert!(!places.is_cold(0x8001));
        assert!(!places.arrive(0x8001));
        // The other instruction set, and another address with the same entry, are other places.
        assert!(places.is_cold(0x8000));
        assert!(places.arrive(0x8001 + (2 << Places::INDEX_BITS)));
        assert!(places.is_cold(0x8001), "forgotten for the other's sake");
    }

    #[test]
    fn a_program_of_many_places_has_each_interpreted_once_then_none() {
        let places = places(2);
        for n in 0..SHORT_PROGRAM {
            assert!(places.arrive(0x8000 + 2 * n));
        }
        assert!(places.arrive(0x10_0000), "the first time");
        assert!(!places.arrive(0x10_0000));
        for n in SHORT_PROGRAM + 1..LONG_PROGRAM {
            assert!(places.arrive(0x8000 + 2 * n));
        }
        assert!(!places.arrive(0x20_0000));
    }

    #[test]
    fn never_and_always() {
        assert!(!places(0).arrive(0x8000));
        let always = places(Places::ALWAYS);
        assert!((0..10_000).all(|_| always.arrive(0x8000)));
        assert!(!always.arrive(0x9000), "exempt");
        assert!(!always.arrive(0xffff_0fe0), "a kernel helper");
    }
}
