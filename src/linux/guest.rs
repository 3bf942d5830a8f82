//! Guest memory as handlers use it: checked pointers for the host kernel, and copies that answer EFAULT.

use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::errno::Errno;
use crate::mem::{GuestAddr, space};

/// Host address of `len` bytes that the kernel is to read; NULL stays NULL.
pub fn src(addr: u32, len: u32) -> Result<u64, Errno> {
    if addr == 0 {
        return Ok(0);
    }
    Ok(space().check(GuestAddr(addr), len.into())? as u64)
}

/// Host address of `len` bytes that the kernel is to write; NULL stays NULL.
pub fn dst(addr: u32, len: u32) -> Result<u64, Errno> {
    if addr == 0 {
        return Ok(0);
    }
    Ok(space().check_write(GuestAddr(addr), len.into())? as u64)
}

/// Reads a structure.
pub fn get<T: FromBytes>(addr: u32) -> Result<T, Errno> {
    Ok(space().read(GuestAddr(addr))?)
}

/// Reads a structure, `None` for a null pointer.
pub fn get_opt<T: FromBytes>(addr: u32) -> Result<Option<T>, Errno> {
    if addr == 0 { Ok(None) } else { get(addr).map(Some) }
}

/// Writes a structure.
pub fn put<T: IntoBytes + Immutable>(addr: u32, value: &T) -> Result<(), Errno> {
    Ok(space().write(GuestAddr(addr), value)?)
}

/// Writes a structure unless the pointer is null.
pub fn put_opt<T: IntoBytes + Immutable>(addr: u32, value: &T) -> Result<(), Errno> {
    if addr == 0 { Ok(()) } else { put(addr, value) }
}

/// Fills `out`.
pub fn get_bytes(addr: u32, out: &mut [u8]) -> Result<(), Errno> {
    Ok(space().read_bytes(GuestAddr(addr), out)?)
}

/// Reads `len` bytes; callers bound `len`.
pub fn get_vec(addr: u32, len: usize) -> Result<Vec<u8>, Errno> {
    // Whatever lies outside the window must not cost an allocation of its length.
    space().check(GuestAddr(addr), len as u64)?;
    let mut out = vec![0; len];
    get_bytes(addr, &mut out)?;
    Ok(out)
}

pub fn put_bytes(addr: u32, bytes: &[u8]) -> Result<(), Errno> {
    Ok(space().write_bytes(GuestAddr(addr), bytes)?)
}

/// Reads `count` structures from an array.
pub fn get_array<T: FromBytes>(addr: u32, count: usize) -> Result<Vec<T>, Errno> {
    let size = size_of::<T>() as u64;
    space().check(GuestAddr(addr), size * count as u64)?;
    (0..count)
        .map(|i| get(addr.wrapping_add((size * i as u64) as u32)))
        .collect()
}

/// Writes structures one after the other.
pub fn put_array<T: IntoBytes + Immutable>(addr: u32, values: &[T]) -> Result<(), Errno> {
    let size = size_of::<T>() as u32;
    values
        .iter()
        .enumerate()
        .try_for_each(|(i, v)| put(addr.wrapping_add(size * i as u32), v))
}

/// Longest path, its NUL included.
pub const PATH_MAX: usize = 4096;

/// A NUL-terminated path: EFAULT, or ENAMETOOLONG at PATH_MAX.
pub fn path(addr: u32) -> Result<Vec<u8>, Errno> {
    let bytes = space().read_cstr(GuestAddr(addr), PATH_MAX)?;
    if bytes.len() >= PATH_MAX {
        Err(Errno::ENAMETOOLONG)
    } else {
        Ok(bytes)
    }
}
