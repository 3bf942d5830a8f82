//! Translations that a family of processes has in common: a program, and what it and its children execute.
//!
//! A program that starts translates the same interpreter and C library as the one before it. The store is a memory file
//! in which processes put what they translate and look before they translate: a log of entries that only grows, and an
//! index of where they begin. An entry holds, besides the code, the guest bytes that it was made from; it is good where
//! they are in memory as they were. So nothing is ever taken back, and there is no lock: an entry is complete before its
//! index slot names it, and what a killed process left half-written no slot names.
//!
//! Who can write here must not decide what the others execute, and a guest may get at the file. So an entry carries a
//! code (SipHash-2-4, 128 bits) over all of it under the family's [`Secret`], is copied before it is looked at, and is
//! not there if the code is wrong. The file's size is sealed. Who drops rights leaves (`exec::family`).

use super::arena::set_size;
use crate::x64::code::{Code, Exit, FpRow};
use siphasher::sip128::{Hasher128, SipHasher24};
use std::cell::RefCell;
use std::hash::Hasher;
use std::io;
use std::ops::Range;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};
use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Size of the file, most of which is never touched.
const SIZE: usize = 64 << 20;
/// Slots of the index, and the most that are looked at for one entry.
const SLOTS: usize = 1 << 17;
const REACH: usize = 16;
/// The index begins behind a page for the head, the entries behind the index.
const INDEX: usize = 4096;
const ENTRIES: usize = INDEX + 8 * SLOTS;
/// Entries begin at multiples of this.
const ALIGN: usize = 8;
/// Longest entry; blocks are far shorter.
const LONGEST: usize = 64 << 10;
/// Bytes of an entry's code.
const CODE: usize = 16;

/// Seals of a store's file: its size stays, or a mapping of it could end in SIGBUS.
const SEALS: i32 = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL;

/// F_SEAL_EXEC, which MFD_NOEXEC_SEAL sets.
const NOEXEC_SEAL: i32 = 0x20;

/// What those of a family know and others do not: the key of the code that each entry carries.
#[derive(Debug)]
pub struct Secret(Box<[u8; 16]>);

impl Secret {
    /// A new one.
    ///
    /// # Errors
    /// The host's error when it has no random bytes.
    pub fn random() -> io::Result<Secret> {
        let mut bytes = Box::new([0; 16]);
        // SAFETY: the buffer has that length.
        let n = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
        match n {
            16 => Ok(Secret(bytes)),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// One that another process made.
    pub fn from_bytes(bytes: &[u8; 16]) -> Secret {
        Secret(Box::new(*bytes))
    }

    /// To hand it to another process.
    pub fn bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The code of an entry's `bytes`.
    fn code(&self, bytes: &[u8]) -> [u8; 16] {
        let mut hasher = SipHasher24::new_with_key(&self.0);
        hasher.write(bytes);
        hasher.finish128().as_bytes()
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        wipe(&mut *self.0);
    }
}

/// Overwrites what is not to stay in memory.
pub fn wipe(bytes: &mut [u8]) {
    for byte in bytes {
        // SAFETY: a valid byte; the write happens although nobody reads it.
        unsafe { ptr::write_volatile(byte, 0) };
    }
}

/// The first words of the file.
#[repr(C)]
struct Head {
    /// Bytes of the file that are taken; may run beyond its end.
    used: AtomicU64,
}

/// What an entry is found by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Key {
    /// [`crate::cpu::location::Location::pack`].
    pub location: u64,
    /// Everything else that the code depends on, hashed.
    pub settings: u64,
    /// The first guest bytes: different programs lie at the same addresses.
    pub head: u32,
}

impl Key {
    /// A number for the index and one to compare there, never 0.
    fn hash(self) -> (usize, u32) {
        const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
        let mixed = (self.location ^ self.settings ^ u64::from(self.head) << 32).wrapping_mul(ODD);
        // Neighbours in the guest are neighbours in the index, so that a program touches few of its pages.
        let slot = (self.location >> 1) as usize ^ (self.settings as usize & 0xff) << 9;
        (slot % SLOTS, (mixed >> 32) as u32 | 1)
    }
}

/// The fixed part of an entry. Behind it: ranges, pieces, exits, floating-point rows, guest bytes, packed rows, code.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Clone, Copy)]
#[repr(C)]
struct Entry {
    /// The code over everything behind it.
    code_of_rest: [u8; CODE],
    location: u64,
    settings: u64,
    head: u64,
    ranges: u32,
    pieces: u32,
    guest: u32,
    exits: u32,
    fp_rows: u32,
    rows: u32,
    code: u32,
    guest_insns: u32,
    simd_insns: u32,
    loop_head: u32,
    hot_bytes: u32,
    pool: u32,
}

/// A translation.
#[derive(Debug)]
pub struct Kept {
    /// Packed rows instead of rows, where the store gives it.
    pub code: Code,
    /// The guest bytes it was made from, `[start, end)`.
    pub ranges: Vec<Range<u64>>,
}

/// The store, mapped.
#[derive(Debug)]
pub struct Store {
    base: *mut u8,
    secret: Secret,
    /// Device and inode of the file.
    identity: (u64, u64),
    /// An entry on its way in or out.
    scratch: RefCell<Vec<u8>>,
}

// SAFETY: the mapping is the store's own until it is dropped, and no thread's in particular.
unsafe impl Send for Store {}

impl Store {
    /// A new memory file with an empty store.
    ///
    /// # Errors
    /// The host's error when there is no memory for it.
    pub fn create() -> io::Result<OwnedFd> {
        const MFD_NOEXEC_SEAL: u32 = 8;
        let mut last = io::Error::from_raw_os_error(libc::EINVAL);
        // Kernels before 6.3 don't know MFD_NOEXEC_SEAL.
        let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
        for flags in [flags | MFD_NOEXEC_SEAL, flags] {
            // SAFETY: the name is a literal with its terminating zero.
            let fd = unsafe { libc::memfd_create(c"translations".as_ptr(), flags) };
            if fd < 0 {
                last = io::Error::last_os_error();
                continue;
            }
            // SAFETY: `fd` was just opened and has no other owner.
            let file = unsafe { OwnedFd::from_raw_fd(fd) };
            set_size(&file, SIZE)?;
            // SAFETY: fcntl on an open descriptor.
            return match unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, SEALS) } {
                0 => Ok(file),
                _ => Err(io::Error::last_os_error()),
            };
        }
        Err(last)
    }

    /// Maps the store in `file`, whose entries are made under `secret`.
    ///
    /// # Errors
    /// The host's error; `InvalidData` when the file is no store.
    pub fn map(file: &OwnedFd, secret: Secret) -> io::Result<Store> {
        let fd = file.as_raw_fd();
        // SAFETY: stat is plain integers, and a valid destination; of a descriptor that is no memory file F_GET_SEALS is
        // an error.
        let (stat, seals) = unsafe {
            let mut stat: libc::stat = std::mem::zeroed();
            if libc::fstat(fd, &mut stat) != 0 {
                return Err(io::Error::last_os_error());
            }
            (stat, libc::fcntl(fd, libc::F_GET_SEALS))
        };
        if stat.st_size != SIZE as libc::off_t || seals != SEALS && seals != SEALS | NOEXEC_SEAL {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let (prot, flags) = (
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_SHARED | libc::MAP_NORESERVE,
        );
        // SAFETY: a new mapping, where the kernel likes.
        let base = unsafe { libc::mmap(std::ptr::null_mut(), SIZE, prot, flags, fd, 0) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Store {
            base: base.cast(),
            secret,
            identity: (stat.st_dev, stat.st_ino),
            scratch: RefCell::default(),
        })
    }

    fn head(&self) -> &Head {
        // SAFETY: the mapping begins with it, page-aligned; all accesses are atomic.
        unsafe { &*self.base.cast::<Head>() }
    }

    fn slot(&self, index: usize) -> &AtomicU64 {
        // SAFETY: within the index, 8-aligned; all accesses are atomic.
        unsafe { &*self.base.add(INDEX + 8 * (index % SLOTS)).cast::<AtomicU64>() }
    }

    pub fn secret(&self) -> &Secret {
        &self.secret
    }

    /// Device and inode of the file.
    pub fn identity(&self) -> (u64, u64) {
        self.identity
    }

    /// Nothing more can be put in.
    pub fn is_full(&self) -> bool {
        self.head().used.load(Ordering::Relaxed) > (SIZE - ENTRIES - LONGEST) as u64
    }

    /// Appends to `out` the `len` bytes at `offset`, if they lie among the entries.
    fn copy_out(&self, offset: usize, len: usize, out: &mut Vec<u8>) -> Option<()> {
        if offset < ENTRIES || len > LONGEST || offset + len > SIZE {
            return None;
        }
        out.reserve(len);
        // SAFETY: the source lies in the mapping; the destination has room, and is initialised by the copy.
        unsafe {
            std::ptr::copy_nonoverlapping(self.base.add(offset), out.as_mut_ptr().add(out.len()), len);
            out.set_len(out.len() + len);
        }
        Some(())
    }

    /// The entry at `offset` and the bytes behind its fixed part, if it is one of `key`'s and one of ours made it. Others
    /// may write to the store meanwhile: what is looked at is a copy, all of which the code covers.
    fn read<'a>(&self, offset: usize, key: Key, bytes: &'a mut Vec<u8>) -> Option<(Entry, &'a [u8])> {
        bytes.clear();
        self.copy_out(offset, size_of::<Entry>(), bytes)?;
        let entry = Entry::read_from_bytes(bytes).ok()?;
        if entry.key() != key {
            return None;
        }
        self.copy_out(offset + size_of::<Entry>(), entry.len()?, bytes)?;
        (self.secret.code(&bytes[CODE..]) == entry.code_of_rest)
            .then_some((entry, &bytes[size_of::<Entry>()..]))
    }

    /// What was put in with `key` where `same` says of all its pieces that the guest's memory holds these bytes.
    pub fn get(&self, key: Key, mut same: impl FnMut(Range<u32>, &[u8]) -> bool) -> Option<Kept> {
        let (first, tag) = key.hash();
        let mut bytes = self.scratch.borrow_mut();
        for step in 0..REACH {
            let slot = self.slot(first + step).load(Ordering::Acquire);
            if slot == 0 {
                return None;
            }
            if (slot >> 32) as u32 != tag {
                continue;
            }
            if let Some((entry, rest)) = self.read(slot as u32 as usize * ALIGN, key, &mut bytes)
                && let Some(kept) = entry.unpack(rest, &mut same)
            {
                return Some(kept);
            }
        }
        None
    }

    /// Puts a translation in. `rows` are its rows packed, `guest` the bytes of `pieces`, one after the other, that it was
    /// made from. Where there is no room, or the code has what the store cannot hold, nothing happens.
    pub fn put(
        &self,
        key: Key,
        (code, ranges): (&Code, &[Range<u64>]),
        rows: &[u8],
        pieces: &[Range<u32>],
        guest: &[u8],
    ) {
        let fp_rows: Option<Vec<[u32; FpRow::WORDS]>> = code.fp_rows.iter().map(FpRow::to_words).collect();
        let (Some(fp_rows), true) = (fp_rows, code.early.is_empty()) else {
            return;
        };
        let entry = Entry {
            code_of_rest: [0; CODE],
            location: key.location,
            settings: key.settings,
            head: key.head.into(),
            ranges: ranges.len() as u32,
            pieces: pieces.len() as u32,
            guest: guest.len() as u32,
            exits: code.exits.len() as u32,
            fp_rows: fp_rows.len() as u32,
            rows: rows.len() as u32,
            code: code.bytes.len() as u32,
            guest_insns: code.guest_insns,
            simd_insns: code.simd_insns,
            loop_head: code.loop_head,
            hot_bytes: code.hot_bytes,
            pool: code.pool,
        };
        let Some(len) = entry.len() else { return };
        let mut bytes = self.scratch.borrow_mut();
        bytes.clear();
        bytes.reserve(size_of::<Entry>() + len);
        bytes.extend_from_slice(entry.as_bytes());
        for range in ranges {
            bytes.extend_from_slice([range.start, range.end].as_bytes());
        }
        for piece in pieces {
            bytes.extend_from_slice([piece.start, piece.end].as_bytes());
        }
        for exit in &code.exits {
            bytes.extend_from_slice([exit.patch, exit.stub, exit.id_imm, exit.target].as_bytes());
        }
        bytes.extend_from_slice(fp_rows.as_bytes());
        bytes.extend_from_slice(guest);
        bytes.extend_from_slice(rows);
        bytes.extend_from_slice(&code.bytes);
        let code = self.secret.code(&bytes[CODE..]);
        bytes[..CODE].copy_from_slice(&code);
        let room = bytes.len().next_multiple_of(ALIGN);
        if self.is_full() {
            return;
        }
        let used = self.head().used.fetch_add(room as u64, Ordering::Relaxed);
        // Whatever a guest has written there.
        if used > (SIZE - ENTRIES - room) as u64 {
            return;
        }
        let offset = ENTRIES + used as usize;
        // SAFETY: the range lies in the mapping and is ours alone: each `fetch_add` gave out another one.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.base.add(offset), bytes.len()) };
        let (first, tag) = key.hash();
        let word = u64::from(tag) << 32 | (offset / ALIGN) as u64;
        for step in 0..REACH {
            let slot = self.slot(first + step);
            if slot.load(Ordering::Relaxed) == 0
                && slot
                    .compare_exchange(0, word, Ordering::Release, Ordering::Relaxed)
                    .is_ok()
            {
                return;
            }
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // SAFETY: the mapping is our own, and nothing refers to it any more.
        unsafe { libc::munmap(self.base.cast(), SIZE) };
    }
}

impl Entry {
    fn key(&self) -> Key {
        Key {
            location: self.location,
            settings: self.settings,
            head: self.head as u32,
        }
    }

    /// Bytes behind the fixed part; `None` if they are more than an entry may have.
    fn len(&self) -> Option<usize> {
        let words = 16 * (u64::from(self.ranges) + u64::from(self.exits)) + 8 * u64::from(self.pieces);
        let words = words + size_of::<[u32; FpRow::WORDS]>() as u64 * u64::from(self.fp_rows);
        let bytes = u64::from(self.guest) + u64::from(self.rows) + u64::from(self.code);
        let len = usize::try_from(words + bytes).ok()?;
        (len <= LONGEST - size_of::<Entry>()).then_some(len)
    }

    /// What the bytes behind the fixed part say, if `same` says yes to each piece.
    fn unpack(&self, bytes: &[u8], same: &mut dyn FnMut(Range<u32>, &[u8]) -> bool) -> Option<Kept> {
        let (ranges, bytes) = <[[U64; 2]]>::ref_from_prefix_with_elems(bytes, self.ranges as usize).ok()?;
        let (pieces, bytes) = <[[U32; 2]]>::ref_from_prefix_with_elems(bytes, self.pieces as usize).ok()?;
        let (exits, bytes) = <[[U32; 4]]>::ref_from_prefix_with_elems(bytes, self.exits as usize).ok()?;
        let (fp_rows, bytes) =
            <[[U32; FpRow::WORDS]]>::ref_from_prefix_with_elems(bytes, self.fp_rows as usize).ok()?;
        let (mut guest, bytes) = bytes.split_at_checked(self.guest as usize)?;
        let (rows, bytes) = bytes.split_at_checked(self.rows as usize)?;
        for [start, end] in pieces.iter().map(|p| p.map(U32::get)) {
            let (own, rest) = guest.split_at_checked(end.checked_sub(start)? as usize)?;
            if !same(start..end, own) {
                return None;
            }
            guest = rest;
        }
        let exits = exits
            .iter()
            .map(|e| e.map(U32::get))
            .map(|[patch, stub, id_imm, target]| Exit {
                patch,
                stub,
                id_imm,
                target,
            });
        let code = Code {
            bytes: bytes.to_vec(),
            exits: exits.collect(),
            packed_rows: rows.to_vec(),
            fp_rows: fp_rows
                .iter()
                .map(|row| FpRow::from_words(row.map(U32::get)))
                .collect::<Option<_>>()?,
            guest_insns: self.guest_insns,
            simd_insns: self.simd_insns,
            loop_head: self.loop_head,
            hot_bytes: self.hot_bytes,
            pool: self.pool,
            ..Code::default()
        };
        let ranges = ranges.iter().map(|[start, end]| start.get()..end.get()).collect();
        Some(Kept { code, ranges })
    }
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
