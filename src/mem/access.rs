//! Copies between guest and emulator memory that survive bad guest addresses.
//!
//! The routines below are the only code of the emulator that touches guest memory. When one of them faults, the
//! signal handler asks [`copy_fixup`] where to continue, and the routine reports the fault to its caller.

use std::arch::global_asm;

use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::addr::{Fault, GuestAddr, PAGE_SIZE};
use super::space::Space;

// Each routine's faulting instructions lie between its first label and its `_fix` label.
global_asm!(
    ".pushsection .text.emu_mem_access, \"ax\", @progbits",
    ".p2align 4",
    ".globl emu_mem_copy, emu_mem_copy_fix, emu_mem_load8, emu_mem_load16, emu_mem_load32, emu_mem_load64, emu_mem_cmpxchg32",
    ".globl emu_mem_load_fix, emu_mem_store8, emu_mem_store16, emu_mem_store32, emu_mem_store64, emu_mem_store_fix",
    ".hidden emu_mem_copy, emu_mem_copy_fix, emu_mem_load8, emu_mem_load16, emu_mem_load32, emu_mem_load64, emu_mem_cmpxchg32",
    ".hidden emu_mem_load_fix, emu_mem_store8, emu_mem_store16, emu_mem_store32, emu_mem_store64, emu_mem_store_fix",
    // (rdi destination, rsi source, rdx length) -> bytes not copied.
    "emu_mem_copy:",
    "mov rcx, rdx",
    "rep movsb",
    "emu_mem_copy_fix:",
    "mov rax, rcx",
    "ret",
    // (rdi source) -> rax value, rdx 1 on a fault.
    "emu_mem_load8:",
    "movzx eax, byte ptr [rdi]",
    "xor edx, edx",
    "ret",
    "emu_mem_load16:",
    "movzx eax, word ptr [rdi]",
    "xor edx, edx",
    "ret",
    "emu_mem_load32:",
    "mov eax, dword ptr [rdi]",
    "xor edx, edx",
    "ret",
    "emu_mem_load64:",
    "mov rax, qword ptr [rdi]",
    "xor edx, edx",
    "ret",
    // (rdi destination, esi expected, edx new) -> rax value seen, rdx 1 on a fault.
    "emu_mem_cmpxchg32:",
    "mov eax, esi",
    "lock cmpxchg dword ptr [rdi], edx",
    "xor edx, edx",
    "ret",
    "emu_mem_load_fix:",
    "mov edx, 1",
    "ret",
    // (rdi destination, rsi value) -> 1 on a fault.
    "emu_mem_store8:",
    "mov byte ptr [rdi], sil",
    "xor eax, eax",
    "ret",
    "emu_mem_store16:",
    "mov word ptr [rdi], si",
    "xor eax, eax",
    "ret",
    "emu_mem_store32:",
    "mov dword ptr [rdi], esi",
    "xor eax, eax",
    "ret",
    "emu_mem_store64:",
    "mov qword ptr [rdi], rsi",
    "xor eax, eax",
    "ret",
    "emu_mem_store_fix:",
    "mov eax, 1",
    "ret",
    ".popsection",
);

/// A loaded value, and whether the load faulted: returned in rax and rdx.
#[repr(C)]
struct Loaded {
    value: u64,
    fault: u64,
}

// SAFETY: the routines above, with these signatures under the System V calling convention.
// SAFETY: defined in the assembly of this file, with these arguments and results.
unsafe extern "C" {
    fn emu_mem_copy(to: *mut u8, from: *const u8, len: usize) -> usize;
    fn emu_mem_copy_fix();
    fn emu_mem_load8(from: *const u8) -> Loaded;
    fn emu_mem_load16(from: *const u8) -> Loaded;
    fn emu_mem_load32(from: *const u8) -> Loaded;
    fn emu_mem_load64(from: *const u8) -> Loaded;
    fn emu_mem_cmpxchg32(at: *mut u8, expected: u32, new: u32) -> Loaded;
    fn emu_mem_load_fix();
    fn emu_mem_store8(to: *mut u8, value: u64) -> u32;
    fn emu_mem_store16(to: *mut u8, value: u64) -> u32;
    fn emu_mem_store32(to: *mut u8, value: u64) -> u32;
    fn emu_mem_store64(to: *mut u8, value: u64) -> u32;
    fn emu_mem_store_fix();
}

/// For the SIGSEGV and SIGBUS handler: where to continue if `rip` is an access to guest memory by this module.
pub fn copy_fixup(rip: u64) -> Option<u64> {
    let within = |start: *const (), fix: *const ()| {
        let (start, fix) = (start as u64, fix as u64);
        (start..fix).contains(&rip).then_some(fix)
    };
    within(emu_mem_copy as *const (), emu_mem_copy_fix as *const ())
        .or_else(|| within(emu_mem_load8 as *const (), emu_mem_load_fix as *const ()))
        .or_else(|| within(emu_mem_store8 as *const (), emu_mem_store_fix as *const ()))
}

impl Space {
    /// Reads a value at `a`. One access where its size is 1, 2, 4 or 8 bytes, so that aligned words do not tear.
    pub fn read<T: FromBytes>(&self, a: GuestAddr) -> Result<T, Fault> {
        let size = size_of::<T>();
        let from = self.check(a, size as u64)?;
        let mut value = T::new_zeroed();
        let to: *mut T = &mut value;
        // SAFETY: the source lies in the guest's window and faults are fixed up; the destination is a local of
        // `size` bytes for which every bit pattern is valid.
        unsafe {
            let loaded = match size {
                1 => emu_mem_load8(from),
                2 => emu_mem_load16(from),
                4 => emu_mem_load32(from),
                8 => emu_mem_load64(from),
                _ => Loaded {
                    value: 0,
                    fault: emu_mem_copy(to.cast(), from, size) as u64,
                },
            };
            if loaded.fault != 0 {
                return Err(Fault);
            }
            if matches!(size, 1 | 2 | 4 | 8) {
                std::ptr::copy_nonoverlapping((&raw const loaded.value).cast::<u8>(), to.cast(), size);
            }
        }
        Ok(value)
    }

    /// Writes a value at `a`; one access where its size is 1, 2, 4 or 8 bytes. After a fault part may be written.
    pub fn write<T: IntoBytes + Immutable>(&self, a: GuestAddr, value: &T) -> Result<(), Fault> {
        let bytes = value.as_bytes();
        let to = self.check(a, bytes.len() as u64)?;
        let mut word = [0u8; 8];
        if bytes.len() <= 8 {
            word[..bytes.len()].copy_from_slice(bytes);
        }
        let word = u64::from_le_bytes(word);
        // SAFETY: the destination lies in the guest's window and faults are fixed up.
        let left = unsafe {
            match bytes.len() {
                // A string instruction takes longer to begin than these two (a timespec) to end.
                16 => {
                    let half = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
                    (emu_mem_store64(to, half(0)) | emu_mem_store64(to.add(8), half(8))) as usize
                }
                1 => emu_mem_store8(to, word) as usize,
                2 => emu_mem_store16(to, word) as usize,
                4 => emu_mem_store32(to, word) as usize,
                8 => emu_mem_store64(to, word) as usize,
                len => emu_mem_copy(to, bytes.as_ptr(), len),
            }
        };
        if left == 0 { Ok(()) } else { Err(Fault) }
    }

    /// Fills `bytes` from guest memory at `a`.
    pub fn read_bytes(&self, a: GuestAddr, bytes: &mut [u8]) -> Result<(), Fault> {
        match self.read_prefix(a, bytes)? {
            read if read == bytes.len() => Ok(()),
            _ => Err(Fault),
        }
    }

    /// Reads what can be read from `a` on, up to the length of `bytes`; returns how many bytes.
    pub fn read_prefix(&self, a: GuestAddr, bytes: &mut [u8]) -> Result<usize, Fault> {
        let from = self.check(a, bytes.len() as u64)?;
        // SAFETY: the source lies in the guest's window and faults are fixed up; the destination is `bytes`.
        let left = unsafe { emu_mem_copy(bytes.as_mut_ptr(), from, bytes.len()) };
        Ok(bytes.len() - left)
    }

    /// Writes `bytes` to guest memory at `a`. After a fault part may be written.
    pub fn write_bytes(&self, a: GuestAddr, bytes: &[u8]) -> Result<(), Fault> {
        let to = self.check(a, bytes.len() as u64)?;
        // SAFETY: the destination lies in the guest's window and faults are fixed up.
        let left = unsafe { emu_mem_copy(to, bytes.as_ptr(), bytes.len()) };
        if left == 0 { Ok(()) } else { Err(Fault) }
    }

    /// Compares and exchanges the word at `a` (which should be aligned) with full barriers; returns the value seen.
    pub fn cmpxchg_u32(&self, a: GuestAddr, expected: u32, new: u32) -> Result<u32, Fault> {
        let at = self.check(a, 4)?;
        // SAFETY: the word lies in the guest's window and faults are fixed up.
        let loaded = unsafe { emu_mem_cmpxchg32(at, expected, new) };
        if loaded.fault == 0 {
            Ok(loaded.value as u32)
        } else {
            Err(Fault)
        }
    }

    /// Reads a string up to its NUL, which is not returned. A string of `max` bytes or more is cut to `max`: the
    /// caller that treats this as an error compares the length.
    pub fn read_cstr(&self, a: GuestAddr, max: usize) -> Result<Vec<u8>, Fault> {
        let mut text = Vec::new();
        let mut at = a;
        while text.len() < max {
            // Up to the end of the page, so that the string's own last page is the last one touched.
            let chunk = (PAGE_SIZE - at.0 % PAGE_SIZE).min(256) as usize;
            let chunk = chunk.min(max - text.len());
            let mut bytes = [0u8; 256];
            let read = self.read_prefix(at, &mut bytes[..chunk])?;
            if let Some(end) = bytes[..read].iter().position(|&b| b == 0) {
                // Callers append the NUL again.
                text.reserve_exact(end + 1);
                text.extend_from_slice(&bytes[..end]);
                return Ok(text);
            }
            if read < chunk {
                return Err(Fault);
            }
            text.extend_from_slice(&bytes[..chunk]);
            at = at.checked_add(chunk as u32).ok_or(Fault)?;
        }
        Ok(text)
    }
}
