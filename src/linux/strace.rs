//! `--strace`: one line a call, as strace writes it, from the table's rows.

use std::fmt::Write;

use super::call::SyscallResult;
use super::errno::Errno;
use super::table::{Arg, Handler, Row, flags};
use crate::diag::log::{self, Items};
use crate::mem::{GuestAddr, space};

/// Bytes shown of a buffer or string.
const SHOWN: usize = 32;

/// Starts a call's line: name and what can be shown before the call runs. For calls that do not return here the
/// line is written at once.
pub fn before(row: &Row, args: &[u32; 6]) -> Vec<String> {
    let mut shown = each(row, args, |arg, i| show(arg, i, args, None));
    // A mode that open flags do not ask for is not an argument.
    if let [.., Arg::Flags(set), Arg::Mode] = row.args
        && std::ptr::eq(*set, &flags::OPEN)
        && args[shown.len() - 2] & (flags::O_CREAT | flags::O_TMPFILE) == 0
    {
        shown.pop();
    }
    if matches!(row.handler, Handler::Control(_)) {
        log::line(format_args!("{} {}({}) = ?", tid(), row.name, shown.join(", ")));
        return Vec::new();
    }
    shown
}

/// Completes and writes the line.
pub fn after(mut line: Vec<String>, row: &Row, args: &[u32; 6], result: SyscallResult) {
    let SyscallResult::Return(value) = result else {
        return;
    };
    if matches!(row.handler, Handler::Control(_)) {
        return;
    }
    let failed = (-4095..0).contains(&value);
    if !failed {
        let written = each(row, args, |arg, i| match arg {
            Arg::OutBuf(_) | Arg::Out(_) => show(arg, i, args, Some(value as u32)),
            _ => String::new(),
        });
        for (slot, text) in line.iter_mut().zip(written) {
            if !text.is_empty() {
                *slot = text;
            }
        }
    }
    let call = format!("{} {}({})", tid(), row.name, line.join(", "));
    log::line(format_args!("{call:<40} = {}", show_result(row, value)));
}

/// A call that the guest's own seccomp did not let through.
pub fn refused(nr: u32, args: &[u32; 6], end: SyscallResult) {
    if !log::enabled(Items::STRACE) {
        return;
    }
    let row = super::table::lookup_arm(nr);
    let call = match row {
        Some(row) => {
            let shown = each(row, args, |arg, i| show(arg, i, args, None));
            format!("{} {}({})", tid(), row.name, shown.join(", "))
        }
        None => format!(
            "{} syscall_{nr:#x}({:#x}, {:#x}, {:#x})",
            tid(),
            args[0],
            args[1],
            args[2]
        ),
    };
    let result = match (end, row) {
        (SyscallResult::Return(value), Some(row)) => show_result(row, value),
        (SyscallResult::Return(value), None) => value.to_string(),
        _ => "?".into(),
    };
    log::line(format_args!("{call:<40} = {result} (seccomp)"));
}

/// A row without handler: a line for `-d unimp` (`--strace` writes its own).
pub fn unimplemented(row: &Row, args: &[u32; 6]) {
    crate::log_line!(
        Items::UNIMP,
        "{} unimplemented system call {}({:#x}, {:#x}, {:#x}, {:#x}): ENOSYS",
        tid(),
        row.name,
        args[0],
        args[1],
        args[2],
        args[3]
    );
}

/// A number without row.
pub fn unknown(nr: u32, args: &[u32; 6]) {
    crate::log_line!(
        Items::UNIMP | Items::STRACE,
        "{} syscall_{nr:#x}({:#x}, {:#x}, {:#x}, {:#x}) = -1 ENOSYS (Function not implemented)",
        tid(),
        args[0],
        args[1],
        args[2],
        args[3]
    );
}

fn tid() -> i32 {
    // SAFETY: gettid has no preconditions.
    unsafe { libc::gettid() }
}

fn each(row: &Row, args: &[u32; 6], mut f: impl FnMut(Arg, usize) -> String) -> Vec<String> {
    let mut word = 0;
    let mut out = Vec::new();
    for &arg in row.args {
        if !matches!(arg, Arg::Pad) && word < args.len() {
            out.push(f(arg, word));
        }
        word += arg.words();
    }
    out
}

fn show(arg: Arg, i: usize, args: &[u32; 6], returned: Option<u32>) -> String {
    let v = args[i];
    match arg {
        Arg::Int | Arg::Fd => (v as i32).to_string(),
        Arg::DirFd if v as i32 == libc::AT_FDCWD => "AT_FDCWD".into(),
        Arg::DirFd => (v as i32).to_string(),
        Arg::Uint | Arg::Len => v.to_string(),
        Arg::Hex => format!("{v:#x}"),
        Arg::Mode => format!("0{v:o}"),
        Arg::Sig => flags::signal_name(v),
        Arg::Flags(names) => {
            let mut out = String::new();
            names.show(v, &mut out);
            out
        }
        Arg::Off64 => (super::call::join(v, args.get(i + 1).copied().unwrap_or(0)) as i64).to_string(),
        Arg::Path | Arg::LinkPath | Arg::PathAt(_) | Arg::Str => string(v),
        Arg::Name | Arg::LinkName | Arg::NameAt(_) => string(v),
        Arg::Buf(len) => bytes(v, args[len]),
        Arg::OutBuf(len) => match returned {
            Some(n) => bytes(v, n.min(args[len])),
            None => pointer(v),
        },
        Arg::Ptr | Arg::In(_) | Arg::Out(_) | Arg::Array(..) => pointer(v),
        Arg::Pad => String::new(),
    }
}

fn pointer(v: u32) -> String {
    if v == 0 { "NULL".into() } else { format!("{v:#x}") }
}

fn string(addr: u32) -> String {
    if addr == 0 {
        return "NULL".into();
    }
    match space().read_cstr(GuestAddr(addr), 4096) {
        Ok(text) => quoted(&text),
        Err(_) => format!("{addr:#x}"),
    }
}

fn bytes(addr: u32, len: u32) -> String {
    let mut data = vec![0; (len as usize).min(SHOWN)];
    if addr == 0 || space().read_bytes(GuestAddr(addr), &mut data).is_err() {
        return pointer(addr);
    }
    let mut text = quoted(&data);
    if len as usize > SHOWN {
        text.push_str("...");
    }
    text
}

/// As strace quotes: C escapes, octal for what has none.
fn quoted(data: &[u8]) -> String {
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

fn show_result(row: &Row, value: i32) -> String {
    if (-4095..0).contains(&value) {
        let errno = Errno(-value);
        return match errno.name() {
            Some(name) if errno.0 == super::errno::ERESTARTSYS => format!("? {name} ({})", errno.text()),
            Some(name) => format!("-1 {name} ({})", errno.text()),
            None => format!("-1 (errno {})", errno.0),
        };
    }
    match row.name {
        "brk" | "mmap2" | "mremap" | "shmat" => format!("{:#x}", value as u32),
        "umask" => format!("0{value:o}"),
        _ => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As strace 6.1 shows the same bytes.
    #[test]
    fn quoting() {
        assert_eq!(quoted(b"a\"b\n\x01\x001\xff"), "\"a\\\"b\\n\\1\\0001\\377\"");
    }

    #[test]
    fn results() {
        let row = super::super::table::lookup_name("openat").expect("a row");
        assert_eq!(show_result(row, -2), "-1 ENOENT (No such file or directory)");
        assert_eq!(show_result(row, 3), "3");
        let row = super::super::table::lookup_name("mmap2").expect("a row");
        assert_eq!(show_result(row, -0x1000_0000), "0xf0000000");
    }
}
