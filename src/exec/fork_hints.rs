//! What children of fork had to translate and link for themselves, so that the next child finds it done.
//!
//! A child starts with a copy of its parent's code. What only children run (the rest of the C library's fork, the way
//! to exec or exit) would be translated in each of them, so a child notes the first things that it had to do in a page
//! that it shares with its parent, and the parent does them before it forks again. A note is a hint and no more: each
//! asks for something that is right at any time, whoever wrote it.

use crate::cpu::location::Location;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Words in the shared page: how many notes were taken, then the notes.
const WORDS: usize = 512;

/// Something that a child did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Note {
    /// Translated the block of a location.
    Translated(Location),
    /// Linked the exit with this identifier.
    Linked(u32),
    /// Entered the block of a location in the jump table.
    Filled(Location),
}

/// Bits 63-62 of a note say its kind, so that no note is 0.
const KIND: u32 = 62;
const TRANSLATED: u64 = 1;
const LINKED: u64 = 2;
const FILLED: u64 = 3;

impl Note {
    fn pack(self) -> u64 {
        match self {
            Note::Translated(location) => TRANSLATED << KIND | location.pack(),
            Note::Linked(id) => LINKED << KIND | u64::from(id),
            Note::Filled(location) => FILLED << KIND | location.pack(),
        }
    }

    fn unpack(word: u64) -> Option<Note> {
        let rest = word & !(3 << KIND);
        match word >> KIND {
            TRANSLATED => Some(Note::Translated(Location::unpack(rest))),
            LINKED => Some(Note::Linked(rest as u32)),
            FILLED => Some(Note::Filled(Location::unpack(rest))),
            _ => None,
        }
    }
}

/// The notes of a process's children, and of the process itself for its parent.
#[derive(Default)]
pub struct ForkHints {
    page: OnceLock<Option<&'static [AtomicU64; WORDS]>>,
    /// This process is a child of fork.
    child: AtomicBool,
}

impl ForkHints {
    /// Before fork: the shared page exists from now on, unless the host has no memory for it.
    pub fn prepare(&self) {
        self.page.get_or_init(|| {
            let (prot, flags) = (
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_ANONYMOUS,
            );
            let len = size_of::<[AtomicU64; WORDS]>();
            // SAFETY: a new mapping wherever the kernel likes.
            let p = unsafe { libc::mmap(ptr::null_mut(), len, prot, flags, -1, 0) };
            // SAFETY: zeroed, page-aligned, of that size, and never unmapped.
            (p != libc::MAP_FAILED).then(|| unsafe { &*p.cast::<[AtomicU64; WORDS]>() })
        });
    }

    /// In the child: notes are taken from now on.
    pub fn begin(&self) {
        self.child.store(true, Ordering::Relaxed);
    }

    /// Takes a note, in a child of fork, while there is room.
    #[inline]
    pub fn note(&self, note: Note) {
        if self.child.load(Ordering::Relaxed)
            && let Some(Some([count, notes @ ..])) = self.page.get()
            && count.load(Ordering::Relaxed) < notes.len() as u64
        {
            let at = count.fetch_add(1, Ordering::Relaxed) as usize;
            if let Some(slot) = notes.get(at) {
                slot.store(note.pack(), Ordering::Relaxed);
            }
        }
    }

    /// The notes taken since the last call.
    pub fn take(&self) -> Vec<Note> {
        let Some(Some([count, notes @ ..])) = self.page.get() else {
            return Vec::new();
        };
        if count.load(Ordering::Relaxed) == 0 {
            return Vec::new();
        }
        let taken = (count.swap(0, Ordering::Relaxed) as usize).min(notes.len());
        let words = notes[..taken].iter().map(|n| n.swap(0, Ordering::Relaxed));
        words.filter_map(Note::unpack).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_childs_notes_come_back_once() {
        let hints = ForkHints::default();
        let notes = [
            Note::Translated(Location::new(0xffff_fffe, true)),
            Note::Linked(u32::MAX),
            Note::Filled(Location::new(0x8000, false)),
        ];
        hints.prepare();
        hints.note(notes[0]);
        assert!(hints.take().is_empty(), "no child");
        hints.begin();
        notes.iter().for_each(|&n| hints.note(n));
        assert_eq!(hints.take(), notes);
        assert!(hints.take().is_empty());
        for _ in 0..2 * WORDS {
            hints.note(notes[0]);
        }
        assert_eq!(hints.take().len(), WORDS - 1);
    }
}
