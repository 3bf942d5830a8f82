//! The log behind `-d`, `-D` and `--strace`: whole lines, one write(2) each where they fit, usable in a signal handler.

use bitflags::bitflags;
use std::fmt::{self, Write};
use std::io;
use std::os::fd::IntoRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

bitflags! {
    /// What is logged.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct Items: u32 {
        /// Guest code of every block translated.
        const IN_ASM = 1 << 0;
        /// Its intermediate representation, after the passes.
        const IR = 1 << 1;
        /// The host code made from it.
        const OUT_ASM = 1 << 2;
        /// Every entry of a block.
        const EXEC = 1 << 3;
        /// Instructions and system calls that are not implemented.
        const UNIMP = 1 << 4;
        /// System calls (`--strace`, not in `-d`).
        const STRACE = 1 << 5;
        /// What confinement denies.
        const POLICY = 1 << 6;
    }
}

/// Names as `-d` takes them.
#[rustfmt::skip]
const NAMES: [(&str, Items); 6] = [
    ("in_asm",  Items::IN_ASM),
    ("ir",      Items::IR),
    ("out_asm", Items::OUT_ASM),
    ("exec",    Items::EXEC),
    ("unimp",   Items::UNIMP),
    ("policy",  Items::POLICY),
];

impl Items {
    /// A comma list of names to items.
    pub fn parse(list: &str) -> Result<Items, String> {
        list.split(',').try_fold(Items::empty(), |acc, word| {
            match NAMES.iter().find(|(name, _)| *name == word) {
                Some((_, item)) => Ok(acc | *item),
                None => {
                    let known: Vec<_> = NAMES.iter().map(|(name, _)| *name).collect();
                    Err(format!("no log item {word:?}; there are {}", known.join(", ")))
                }
            }
        })
    }

    /// The inverse of [`Items::parse`].
    pub fn to_list(self) -> String {
        let on = NAMES.iter().filter(|(_, item)| self.contains(*item));
        on.map(|(name, _)| *name).collect::<Vec<_>>().join(",")
    }
}

static ENABLED: AtomicU32 = AtomicU32::new(0);
static FD: AtomicI32 = AtomicI32::new(libc::STDERR_FILENO);

/// Chooses what is logged and, with `file`, where. `append` keeps what the file holds (a process after execve).
pub fn init(items: Items, file: Option<&Path>, append: bool) -> io::Result<()> {
    if let Some(path) = file {
        // Always O_APPEND: the processes of a guest share the file.
        let mut options = std::fs::OpenOptions::new();
        options.append(true).create(true).custom_flags(libc::O_CLOEXEC);
        let opened = options.open(path)?;
        if !append {
            opened.set_len(0).or_else(|e| {
                if e.raw_os_error() == Some(libc::EINVAL) {
                    Ok(())
                } else {
                    Err(e)
                }
            })?;
        }
        let fd = super::own_fd::move_high(opened.into());
        FD.store(fd.into_raw_fd(), Ordering::Relaxed);
    }
    ENABLED.store(items.bits(), Ordering::Relaxed);
    Ok(())
}

/// As [`init`], where the process before execve has left the log open as `fd`.
pub fn init_open(items: Items, fd: i32) {
    // SAFETY: the descriptor was handed down for this; a number that is none only gives an error.
    if unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) } == 0 {
        FD.store(fd, Ordering::Relaxed);
    }
    ENABLED.store(items.bits(), Ordering::Relaxed);
}

/// Whether any of `items` is on: one relaxed load.
#[inline]
pub fn enabled(items: Items) -> bool {
    ENABLED.load(Ordering::Relaxed) & items.bits() != 0
}

/// The log's own descriptor, which the guest must not see; `None` while it is standard error.
pub fn private_fd() -> Option<i32> {
    Some(FD.load(Ordering::Relaxed)).filter(|&fd| fd > libc::STDERR_FILENO)
}

/// Writes one line (the newline is added) whatever is enabled: `log::line(format_args!(...))`.
/// No allocation and no lock, so it may be called in a signal handler; errors of the descriptor are ignored.
pub fn line(text: fmt::Arguments<'_>) {
    write_line(FD.load(Ordering::Relaxed), text);
}

/// As [`line`], to standard error: the last words of a program that cannot go on.
pub fn fatal(text: fmt::Arguments<'_>) {
    write_line(libc::STDERR_FILENO, text);
}

fn write_line(fd: i32, text: fmt::Arguments<'_>) {
    let mut out = LineBuffer {
        fd,
        used: 0,
        bytes: [0; 2048],
    };
    // A formatter's error only cuts the line short.
    let _ = out.write_fmt(text);
    let _ = out.write_str("\n");
    out.flush();
}

/// Formats and writes a line if one of the items is on.
#[macro_export]
macro_rules! log_line {
    ($items:expr, $($arg:tt)*) => {
        if $crate::diag::log::enabled($items) {
            $crate::diag::log::line(format_args!($($arg)*));
        }
    };
}

/// Collects a line on the stack.
struct LineBuffer {
    fd: i32,
    used: usize,
    bytes: [u8; 2048],
}

impl LineBuffer {
    fn flush(&mut self) {
        let mut rest = &self.bytes[..self.used];
        while !rest.is_empty() {
            // SAFETY: `rest` is valid for reads of its length; a closed descriptor gives EBADF.
            let n = unsafe { libc::write(self.fd, rest.as_ptr().cast(), rest.len()) };
            if n > 0 {
                rest = &rest[n as usize..];
            } else if io::Error::last_os_error().raw_os_error() != Some(libc::EINTR) {
                break;
            }
        }
        self.used = 0;
    }
}

impl Write for LineBuffer {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            if self.used == self.bytes.len() {
                self.flush();
            }
            let n = rest.len().min(self.bytes.len() - self.used);
            self.bytes[self.used..self.used + n].copy_from_slice(&rest[..n]);
            self.used += n;
            rest = &rest[n..];
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_round_trip_and_unknown_names_are_refused() {
        assert_eq!(Items::parse("in_asm,unimp"), Ok(Items::IN_ASM | Items::UNIMP));
        assert_eq!(Items::parse("exec,ir").unwrap().to_list(), "ir,exec");
        assert!(Items::parse("").is_err());
        assert!(Items::parse("in_asm,cpu").unwrap_err().contains("out_asm"));
    }

    #[test]
    fn a_long_line_arrives_whole() {
        let mut fds = [0; 2];
        // SAFETY: pipe2 writes two descriptors into the array.
        assert_eq!(unsafe { libc::pipe2(fds.as_mut_ptr(), libc::O_CLOEXEC) }, 0);
        let mut buffer = LineBuffer {
            fd: fds[1],
            used: 0,
            bytes: [0; 2048],
        };
        let long = "x".repeat(5000);
        write!(buffer, "{long}|{}", 7).unwrap();
        buffer.flush();
        let mut got = vec![0u8; 6000];
        // SAFETY: `got` is valid for writes of its length.
        let n = unsafe { libc::read(fds[0], got.as_mut_ptr().cast(), got.len()) };
        assert_eq!(&got[..n as usize], format!("{long}|7").as_bytes());
        // SAFETY: both ends are this test's own.
        unsafe { (libc::close(fds[0]), libc::close(fds[1])) };
    }
}
