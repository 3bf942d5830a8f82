//! Guest memory as a trace shows it: pointers, strings, numbers; nothing here fails, what cannot be read is an address.

use std::fmt::Write;

use crate::linux::table::flags::Names;
use crate::mem::{GuestAddr, space};

/// Bytes shown of a buffer or string.
pub const SHOWN: usize = 32;
/// Elements shown of an array.
pub const ELEMENTS: u32 = 32;

pub fn pointer(v: u32) -> String {
    if v == 0 { "NULL".into() } else { format!("{v:#x}") }
}

/// Permissions: octal, three digits at least.
pub fn octal(v: u32) -> String {
    format!("{:0>3}", format!("0{v:o}"))
}

/// An integer of `N` bytes.
fn little<const N: usize>(addr: u32) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    space().read_bytes(GuestAddr(addr), &mut bytes).ok()?;
    Some(bytes)
}

pub fn half(addr: u32) -> Option<u16> {
    little(addr).map(u16::from_le_bytes)
}

pub fn word(addr: u32) -> Option<u32> {
    little(addr).map(u32::from_le_bytes)
}

pub fn long(addr: u32) -> Option<u64> {
    little(addr).map(u64::from_le_bytes)
}

/// `N` words.
pub fn words<const N: usize>(addr: u32) -> Option<[u32; N]> {
    let mut out = [0; N];
    for (i, slot) in out.iter_mut().enumerate() {
        *slot = word(addr.checked_add(4 * i as u32)?)?;
    }
    Some(out)
}

/// `len` bytes.
pub fn raw(addr: u32, len: usize) -> Option<Vec<u8>> {
    let mut data = vec![0; len];
    (addr != 0).then_some(())?;
    space().read_bytes(GuestAddr(addr), &mut data).ok()?;
    Some(data)
}

/// A NUL-terminated string, whole.
pub fn string(addr: u32) -> String {
    if addr == 0 {
        return "NULL".into();
    }
    match space().read_cstr(GuestAddr(addr), 4096) {
        Ok(text) => quoted(&text),
        Err(_) => format!("{addr:#x}"),
    }
}

/// `len` bytes of a buffer, as far as they are shown.
pub fn bytes(addr: u32, len: u32) -> String {
    let Some(data) = raw(addr, (len as usize).min(SHOWN)) else {
        return pointer(addr);
    };
    let mut text = quoted(&data);
    if len as usize > SHOWN {
        text.push_str("...");
    }
    text
}

/// The same where the text may end in a NUL that belongs to it.
pub fn text(addr: u32, len: u32) -> String {
    let data = raw(addr, (len as usize).min(SHOWN));
    match data.as_deref() {
        Some([text @ .., 0]) if len as usize <= SHOWN => quoted(text),
        _ => bytes(addr, len),
    }
}

/// Bytes that are no text.
pub fn hexadecimal(addr: u32, len: u32) -> Option<String> {
    let mut out = String::from("\"");
    for b in raw(addr, (len as usize).min(SHOWN))? {
        let _ = write!(out, "\\x{b:02x}");
    }
    out.push_str(if len as usize > SHOWN { "\"..." } else { "\"" });
    Some(out)
}

/// As strace quotes: C escapes, octal for what has none.
pub fn quoted(data: &[u8]) -> String {
    let mut out = String::with_capacity(data.len() + 2);
    out.push('"');
    for (i, &b) in data.iter().enumerate() {
        match b {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\t' => out.push_str("\\t"),
            b'\r' => out.push_str("\\r"),
            0x0b => out.push_str("\\v"),
            0x0c => out.push_str("\\f"),
            0x20..=0x7e => out.push(b.into()),
            // Three digits where a digit follows, so that it is not read as part of the escape.
            _ => {
                let _ = if data.get(i + 1).is_some_and(u8::is_ascii_digit) {
                    write!(out, "\\{b:03o}")
                } else {
                    write!(out, "\\{b:o}")
                };
            }
        }
    }
    out.push('"');
    out
}

/// Named bits or a named value.
pub fn flags(names: &Names, value: u32) -> String {
    let mut out = String::new();
    names.show(value, &mut out);
    out
}

/// An array of `count` elements, each shown by `f` from its address.
pub fn array(addr: u32, count: u32, size: u32, f: impl Fn(u32) -> Option<String>) -> Option<String> {
    if addr == 0 {
        return None;
    }
    let mut parts = Vec::new();
    for i in 0..count.min(ELEMENTS) {
        parts.push(f(addr.checked_add(i * size)?)?);
    }
    if count > ELEMENTS {
        parts.push("...".into());
    }
    Some(format!("[{}]", parts.join(", ")))
}

/// A pointer to one signed number.
pub fn number(addr: u32) -> Option<String> {
    Some(format!("[{}]", word(addr)? as i32))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As strace 6.1 shows the same bytes.
    #[test]
    fn quoting() {
        assert_eq!(quoted(b"a\"b\n\x01\x001\xff"), "\"a\\\"b\\n\\1\\0001\\377\"");
    }
}
