//! A stopped tracee's memory: single words, and the calls that move more at once.

use std::mem::offset_of;

use super::block::{DIRTY_WORDS, Dirty, Image};
use super::host;
use super::tracer::tracees;
use crate::linux::errno::{Errno, SysResult};
use crate::linux::{guest, mm};

/// Bits of a page's byte in the page table of `mem`.
const MAPPED: u8 = 1 << 3;
const CODE: u8 = 1 << 4;
const PAGE: u32 = 4096;

fn page(tid: i32, image: &Image, addr: u32) -> Result<u8, Errno> {
    host::get(tid, image.place.pages + u64::from(addr >> 12)).map_err(|_| Errno::EIO)
}

/// Whether a word at `addr` is in the guest's memory.
fn check(tid: i32, image: &Image, addr: u32) -> Result<(), Errno> {
    let last = addr.checked_add(3).ok_or(Errno::EIO)?;
    for at in [addr, last] {
        if page(tid, image, at)? & MAPPED == 0 {
            return Err(Errno::EIO);
        }
    }
    Ok(())
}

/// The host's words around the guest's at `addr`, as bytes, with the host address of the first and how many they are.
fn around(tid: i32, image: &Image, addr: u32) -> Result<([u8; 16], u64, usize), Errno> {
    check(tid, image, addr)?;
    let at = image.place.base + u64::from(addr);
    let (first, words) = (at & !7, if at & 7 > 4 { 2 } else { 1 });
    let mut bytes = [0; 16];
    for (i, part) in bytes.chunks_exact_mut(8).enumerate().take(words) {
        let word = host::peek(tid, first + 8 * i as u64).map_err(|_| Errno::EIO)?;
        part.copy_from_slice(&word.to_le_bytes());
    }
    Ok((bytes, first, words))
}

/// PTRACE_PEEKTEXT.
pub fn peek(tid: i32, image: &Image, addr: u32) -> Result<u32, Errno> {
    let (bytes, ..) = around(tid, image, addr)?;
    let at = ((image.place.base + u64::from(addr)) & 7) as usize;
    Ok(u32::from_le_bytes(std::array::from_fn(|i| bytes[at + i])))
}

/// PTRACE_POKETEXT.
pub fn poke(tid: i32, image: &Image, addr: u32, value: u32) -> Result<(), Errno> {
    let (mut bytes, first, words) = around(tid, image, addr)?;
    let at = ((image.place.base + u64::from(addr)) & 7) as usize;
    bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
    for (i, part) in bytes.chunks_exact(8).enumerate().take(words) {
        let word = u64::from_le_bytes(std::array::from_fn(|j| part[j]));
        host::poke(tid, first + 8 * i as u64, word).map_err(|_| Errno::EIO)?;
    }
    if (page(tid, image, addr)? | page(tid, image, addr + 3)?) & CODE != 0 {
        note_dirty(tid, image, addr & !3)?;
        if addr & 3 != 0 {
            note_dirty(tid, image, (addr & !3) + 4)?;
        }
    }
    Ok(())
}

/// Tells the tracee's process that code at `word` is not what it was.
fn note_dirty(tid: i32, image: &Image, word: u32) -> Result<(), Errno> {
    let written_at = image.place.dirty + offset_of!(Dirty, written) as u64;
    let written: u32 = host::get(tid, written_at)?;
    let entry = offset_of!(Dirty, words) + 4 * (written as usize % DIRTY_WORDS);
    host::put(tid, image.place.dirty + entry as u64, &word)?;
    host::put(tid, written_at, &written.wrapping_add(1))
}

/// A stopped tracee's block: of thread `tid`, or of any thread of process `tid`.
fn stopped<R>(tid: i32, then: impl FnOnce(i32, &Image) -> R) -> Option<R> {
    let tracees = tracees();
    let image = |t: &super::tracer::Tracee| t.stop.as_ref().and_then(|s| s.image.clone());
    let own = tracees.get(&tid).and_then(image).map(|i| (tid, i));
    let (tid, image) = own.or_else(|| {
        tracees
            .iter()
            .filter_map(|(&tid, t)| image(t).map(|i| (tid, i)))
            .find(|(_, i)| i.place.pid == tid)
    })?;
    Some(then(tid, &image))
}

/// /proc/PID/auxv of a stopped tracee.
pub fn auxv(pid: i32) -> Option<Vec<u8>> {
    // As many words as a vector has at most.
    const MOST: u64 = 4096;
    stopped(pid, |tid, image| {
        let mut bytes = vec![0; image.place.auxv_len.min(MOST) as usize];
        host::read(tid, image.place.auxv, &mut bytes).ok().map(|()| bytes)
    })?
}

/// process_vm_readv and process_vm_writev on a stopped tracee; `None` if `tid` is none.
pub fn process_vm(
    tid: i32,
    local: &[(u32, u32)],
    remote: u32,
    remote_count: u32,
    write: bool,
) -> Option<SysResult> {
    let tracees = tracees();
    let image = tracees.get(&tid)?.stop.as_ref()?.image.as_ref()?;
    let remote = match mm::read_iovec(remote, remote_count) {
        Ok(remote) => remote,
        Err(errno) => return Some(Err(errno)),
    };
    let mut local = local.iter().copied();
    let (mut here, mut left) = (0u32, 0u32);
    let mut done = 0u32;
    for (mut there, mut len) in remote {
        while len > 0 {
            while left == 0 {
                match local.next() {
                    Some(next) => (here, left) = next,
                    None => return Some(Ok(done)),
                }
            }
            let n = len.min(left).min(PAGE - there % PAGE);
            if move_some(tid, image, here, there, n, write).is_err() {
                return Some(if done == 0 { Err(Errno::EFAULT) } else { Ok(done) });
            }
            (here, left) = (here.wrapping_add(n), left - n);
            (there, len) = (there.wrapping_add(n), len - n);
            done += n;
        }
    }
    Some(Ok(done))
}

/// Moves bytes that are within one page of the tracee's, as far as its permissions go.
fn move_some(tid: i32, image: &Image, here: u32, there: u32, len: u32, write: bool) -> Result<(), Errno> {
    const WRITE: u8 = crate::mem::Prot::WRITE.bits();
    let byte = page(tid, image, there)?;
    if byte & MAPPED == 0 || write && byte & WRITE == 0 {
        return Err(Errno::EFAULT);
    }
    let at = image.place.base + u64::from(there);
    let mut bytes = vec![0; len as usize];
    if !write {
        host::read(tid, at, &mut bytes)?;
        return guest::put_bytes(here, &bytes);
    }
    guest::get_bytes(here, &mut bytes)?;
    if byte & CODE == 0 {
        return host::write(tid, at, &bytes);
    }
    // The host may have the page write-protected, and translations must go.
    for (i, byte) in bytes.iter().enumerate() {
        let word_at = (there + i as u32) & !3;
        let mut word = peek(tid, image, word_at)?.to_le_bytes();
        word[((there + i as u32) & 3) as usize] = *byte;
        poke(tid, image, word_at, u32::from_le_bytes(word))?;
    }
    Ok(())
}
