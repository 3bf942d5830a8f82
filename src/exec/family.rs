//! The part of a process in what its family shares: see [`crate::cache::store`] and `docs/family.md`.
//!
//! A process founds a family when it first forks or executes a program; programs that one of the family executes are
//! handed the store's descriptor and, in a letter of its own, the secret. All of them have their libraries and
//! position-independent programs at the founder's addresses (stack and heap stay random for each), or no translation
//! would fit another process. Who gives up rights is no longer of the family: those that kept them trust what is there.

use super::runtime::{self, Runtime};
use super::translate::Compiled;
use crate::cache::store::{Kept, Key, Secret, Store, wipe};
use crate::cpu::location::Location;
use crate::diag::own_fd;
use crate::lift::Seen;
use crate::mem::{self, GuestAddr, Prot};
use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

/// The descriptor of the store; -1 without one.
static FD: AtomicI32 = AtomicI32::new(-1);
/// This process is of a family.
static MEMBER: AtomicBool = AtomicBool::new(false);
/// Device and inode of the store that this process has, or had.
static IDENTITY: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];
/// What the family agrees on (see [`allow`]); 0 where there is none and may be none.
static NOTE: AtomicU64 = AtomicU64::new(0);

/// Allows this process to found a family, whose programs are to be told `note` (not 0): how addresses were chosen.
pub fn allow(note: u64) {
    NOTE.store(note, Ordering::Relaxed);
}

/// The descriptor, which a guest must neither see nor close.
pub fn private_fd() -> Option<i32> {
    Some(FD.load(Ordering::Relaxed)).filter(|&fd| fd >= 0)
}

/// Whether a file of this device and inode is the store.
pub fn is_store(device: u64, inode: u64) -> bool {
    let [known_device, known_inode] = [0, 1].map(|i| IDENTITY[i].load(Ordering::Relaxed));
    inode != 0 && (known_device, known_inode) == (device, inode)
}

/// What one of a family tells the program that it executes.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Letter {
    secret: [u8; 16],
    note: u64,
    device: u64,
    inode: u64,
}

/// Descriptors for the next program, open across execve.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HandedOver {
    pub store: i32,
    /// A socket from which the letter is read. A socket, as nobody can open it anew under /proc/PID/fd.
    pub letter: i32,
}

/// The store and the letter for a program that is to be executed, if this process is of a family; the letter is made
/// here, the store's descriptor is this process's own. Both are close-on-exec still. For a table of descriptors that
/// nobody shares.
pub fn hand_over() -> Option<HandedOver> {
    let store = private_fd().filter(|_| MEMBER.load(Ordering::Relaxed))?;
    // In a table that threads do not share the number may be another file's.
    if !descriptor_is_store(store) {
        return None;
    }
    let mut ends = [0; 2];
    let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC;
    // SAFETY: two descriptors are written.
    if unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, ends.as_mut_ptr()) } != 0 {
        return None;
    }
    // SAFETY: made just now, without another owner.
    let [write, read] = ends.map(|fd| unsafe { OwnedFd::from_raw_fd(fd) });
    let mut letter = Letter {
        secret: runtime::get()?.secret()?,
        note: NOTE.load(Ordering::Relaxed),
        device: IDENTITY[0].load(Ordering::Relaxed),
        inode: IDENTITY[1].load(Ordering::Relaxed),
    };
    let bytes = letter.as_mut_bytes();
    // SAFETY: the bytes are valid for reads of their length.
    let sent = unsafe {
        let flags = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT;
        libc::send(write.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), flags)
    };
    wipe(bytes);
    (sent == size_of::<Letter>() as isize).then(|| HandedOver {
        store,
        letter: read.into_raw_fd(),
    })
}

fn descriptor_is_store(fd: i32) -> bool {
    // SAFETY: stat is plain integers, and a valid destination.
    let stat = unsafe {
        let mut stat: libc::stat = std::mem::zeroed();
        if libc::fstat(fd, &mut stat) != 0 {
            return false;
        }
        stat
    };
    is_store(stat.st_dev, stat.st_ino)
}

/// What the process before execve handed over.
pub struct Inherited {
    file: OwnedFd,
    store: Store,
    note: u64,
}

impl Inherited {
    /// Takes both descriptors, once, at start, and closes that of the letter.
    ///
    /// # Errors
    /// Where they are no store's and no letter's.
    pub fn take(from: HandedOver) -> io::Result<Inherited> {
        // SAFETY: the process that executed us opened them at these numbers for us alone; another number only gives errors.
        let (file, socket) = unsafe {
            if libc::fcntl(from.letter, libc::F_GETFD) < 0
                || libc::fcntl(from.store, libc::F_SETFD, libc::FD_CLOEXEC) != 0
            {
                return Err(io::Error::last_os_error());
            }
            (
                OwnedFd::from_raw_fd(from.store),
                OwnedFd::from_raw_fd(from.letter),
            )
        };
        let mut letter = Letter::new_zeroed();
        let bytes = letter.as_mut_bytes();
        // SAFETY: the buffer is valid for writes of its length.
        let n = unsafe {
            let flags = libc::MSG_DONTWAIT;
            libc::recv(socket.as_raw_fd(), bytes.as_mut_ptr().cast(), bytes.len(), flags)
        };
        drop(socket);
        if n != size_of::<Letter>() as isize {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let secret = Secret::from_bytes(&letter.secret);
        wipe(&mut letter.secret);
        let store = Store::map(&file, secret)?;
        if store.identity() != (letter.device, letter.inode) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok(Inherited {
            file,
            store,
            note: letter.note,
        })
    }

    /// What the founder said.
    pub fn note(&self) -> u64 {
        self.note
    }

    /// Uses it from now on. Execution has been started.
    pub fn join(self) {
        if let Some(runtime) = runtime::get() {
            enter(runtime, self.file, self.store, self.note);
        }
    }
}

/// From now on this process is of the family that has this store.
fn enter(runtime: &Runtime, file: OwnedFd, store: Store, note: u64) {
    let (device, inode) = store.identity();
    IDENTITY[0].store(device, Ordering::Relaxed);
    IDENTITY[1].store(inode, Ordering::Relaxed);
    runtime.set_store(Some(store));
    // Before the note, which would let another thread found a second family.
    FD.store(file.into_raw_fd(), Ordering::Release);
    NOTE.store(note, Ordering::Release);
    MEMBER.store(true, Ordering::Relaxed);
}

/// Founds a family if there is none and this process may: to be called before a fork or execve. Where
/// the limits allow no descriptor for it, there is no family.
pub fn found() {
    // Of two threads that come here at once, one founds the family; where it cannot be, it is not tried again.
    if NOTE.load(Ordering::Acquire) == 0 || private_fd().is_some() {
        return;
    }
    let note = NOTE.swap(0, Ordering::AcqRel);
    let Some(runtime) = runtime::get().filter(|runtime| note != 0 && runtime.shares()) else {
        return;
    };
    if let Ok((file, store)) = make() {
        enter(runtime, file, store, note);
    }
}

/// A store, and its descriptor, out of the guest's way.
fn make() -> io::Result<(OwnedFd, Store)> {
    let file = Store::create()?;
    let file = own_fd::copy_high(file.as_fd())?;
    let store = Store::map(&file, Secret::random()?)?;
    Ok((file, store))
}

/// Leaves the family for good, before rights are given up: the secret is forgotten. Programs executed later have
/// addresses of their own, and may found another. The descriptor stays, hidden, where a process with other rights may
/// use the table that it is in (`shared_table`), and is closed elsewhere.
pub fn leave(shared_table: bool) {
    NOTE.store(0, Ordering::Relaxed);
    if !MEMBER.swap(false, Ordering::Relaxed) {
        return;
    }
    if let Some(runtime) = runtime::get() {
        runtime.set_store(None);
    }
    if !shared_table {
        let fd = FD.swap(-1, Ordering::Relaxed);
        if descriptor_is_store(fd) {
            // SAFETY: ours alone, and no longer known to anyone.
            unsafe { libc::close(fd) };
        }
    }
}

/// The guest's memory as translations are compared with it.
pub(super) struct Guest<'a> {
    /// To be called before guest code is read from a page (address >> 12).
    pub read_page: &'a dyn Fn(u32),
}

/// Longest range that is compared or kept: blocks span less.
const LONGEST_RANGE: usize = 1 << 12;

impl Guest<'_> {
    fn executable(&self, page: u32) -> bool {
        (self.read_page)(page);
        let prot = mem::space().prot(GuestAddr(page << 12));
        prot.is_some_and(|p| p.contains(Prot::EXEC))
    }

    /// The bytes in `[start, end)`, all of them executable, appended to `out`.
    fn read(&self, range: &Range<u32>, out: &mut Vec<u8>) -> Option<()> {
        let len = range.end.checked_sub(range.start).filter(|&n| n > 0)? as usize;
        if len > LONGEST_RANGE {
            return None;
        }
        for page in range.start >> 12..=(range.end - 1) >> 12 {
            if !self.executable(page) {
                return None;
            }
        }
        let from = out.len();
        out.resize(from + len, 0);
        let done = mem::space()
            .read_prefix(GuestAddr(range.start), &mut out[from..])
            .ok()?;
        (done == len).then_some(())
    }

    fn key(&self, location: Location, settings: u64) -> Option<Key> {
        let mut head = Vec::with_capacity(4);
        let pc = location.pc & !1;
        self.read(&(pc..pc.checked_add(2)?), &mut head)?;
        Some(Key {
            location: location.pack(),
            settings,
            head: u16::from_le_bytes(*head.first_chunk()?).into(),
        })
    }

    /// The translation of `location` that `store` has for the code as it is in memory.
    pub fn find(&self, store: &Store, location: Location, settings: u64) -> Option<Kept> {
        let mut bytes = Vec::new();
        store.get(self.key(location, settings)?, |range, kept| {
            bytes.clear();
            self.read(&range, &mut bytes).is_some() && bytes == kept
        })
    }

    /// Gives `store` a translation and its packed rows, if all that it was made from is code that the guest does not write
    /// itself. The bytes kept are those that were decoded: a file may have changed under its mapping meanwhile.
    pub fn keep(
        &self,
        store: &Store,
        location: Location,
        settings: u64,
        compiled: &Compiled,
        rows: &[u8],
    ) -> Option<()> {
        let key = self.key(location, settings)?;
        let (pieces, bytes) = pieces(&compiled.seen, &compiled.ranges)?;
        let writable = |page: u32| {
            let prot = mem::space().prot(GuestAddr(page << 12));
            prot.is_none_or(|p| p.contains(Prot::WRITE))
        };
        let own = |piece: &Range<u32>| !(piece.start >> 12..=(piece.end - 1) >> 12).any(writable);
        pieces.iter().all(own).then(|| {
            let made = (&compiled.code, compiled.ranges.as_slice());
            store.put(key, made, rows, &pieces, &bytes);
        })
    }
}

/// The guest code in `ranges` as it was `seen`: where, and its bytes. `None` if nothing was, or one place as two things.
fn pieces(seen: &[Seen], ranges: &[Range<u64>]) -> Option<(Vec<Range<u32>>, Vec<u8>)> {
    // What lies elsewhere was looked at for hints only.
    let matters = |s: &&Seen| ranges.iter().any(|r| r.contains(&u64::from(s.pc)));
    let mut seen: Vec<&Seen> = seen.iter().filter(|s| s.size != 0).filter(matters).collect();
    seen.sort_unstable_by_key(|s| s.pc);
    seen.dedup();
    let (mut pieces, mut bytes): (Vec<Range<u32>>, Vec<u8>) = Default::default();
    for one in seen {
        let end = one.pc.checked_add(one.size.into())?;
        match pieces.last_mut() {
            Some(last) if one.pc < last.end => return None,
            Some(last) if one.pc == last.end => last.end = end,
            _ => pieces.push(one.pc..end),
        }
        bytes.extend_from_slice(&one.bytes()[..usize::from(one.size)]);
    }
    (!pieces.is_empty()).then_some((pieces, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(pc: u32, word: u32, size: u8, thumb: bool) -> Seen {
        Seen {
            pc,
            word,
            size,
            thumb,
        }
    }

    #[test]
    fn pieces_are_what_was_decoded() {
        let all = [
            seen(0x8004, 0xf3af_8000, 4, true), // nop.w
            seen(0x8002, 0xbf00, 2, true),
            seen(0x8002, 0xbf00, 2, true),
            seen(0x9000, 0xe12f_ff1e, 4, false),
            seen(0xa000, 0xbf00, 2, true), // outside
            seen(0x8008, 0, 0, true),      // a fault
        ];
        let ranges = [0x8000..0x8010, 0x9000..0x9004];
        let (pieces, bytes) = pieces(&all, &ranges).unwrap();
        assert_eq!(pieces, [0x8002..0x8008, 0x9000..0x9004]);
        assert_eq!(
            bytes,
            [0x00, 0xbf, 0xaf, 0xf3, 0x00, 0x80, 0x1e, 0xff, 0x2f, 0xe1]
        );
    }

    #[test]
    fn nothing_or_a_contradiction_is_not_kept() {
        let ranges = [0x8000..0x8010, 0xb000..0xb004];
        assert!(pieces(&[], &ranges).is_none());
        assert!(pieces(&[seen(0xa000, 0xbf00, 2, true)], &ranges).is_none());
        let overlapping = [seen(0x8000, 0xf3af_8000, 4, true), seen(0x8002, 0x8000, 2, true)];
        assert!(pieces(&overlapping, &ranges).is_none());
    }
}
