//! Why a program cannot be loaded: one line for the user, an errno for the guest, an exit status for the shell.

use std::fmt;
use std::path::PathBuf;

use super::open::machine_name;

/// A file and what is wrong with it.
#[derive(Debug)]
pub struct LoadError {
    pub path: PathBuf,
    pub problem: Problem,
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    #[error("no such file")]
    NotFound,
    #[error("no permission to {0} it; check its mode and that of the directories above it")]
    Permission(&'static str),
    #[error("is a directory, not a program")]
    Directory,
    #[error("is not a regular file, so it cannot be a program")]
    NotRegular,
    #[error("cannot {action} it: {error}")]
    Io {
        action: &'static str,
        error: std::io::Error,
    },
    #[error("is neither an ELF program nor a script that begins with #!")]
    UnknownFormat,
    #[error("script: its first line names no interpreter that fits in 255 bytes")]
    Script,
    #[error("script: the file ends before its first line names an interpreter")]
    EmptyScript,
    #[error("truncated: {what} would end at byte {end} but the file has {size}; copy the file again")]
    Truncated { what: &'static str, end: u64, size: u64 },
    #[error("is a 64-bit program; only 32-bit ARM programs run here")]
    Class,
    #[error("is a big-endian ARM program ({}); only little-endian ones run here", if *.be8 { "BE8" } else { "BE32" })]
    BigEndian { be8: bool },
    #[error("is a program for {}, not for 32-bit ARM", machine_name(*.0))]
    Machine(u16),
    #[error("has no EABI version in its ELF flags (the old OABI); rebuild it for EABI")]
    Oabi,
    #[error("has EABI version {0} in its ELF flags; only 4 and 5 are supported")]
    EabiVersion(u32),
    #[error("is not a program: ELF type {}", type_name(*.0))]
    Type(u16),
    #[error("broken ELF file: {0}")]
    Broken(&'static str),
    #[error("broken ELF file: segment {index}: {what}")]
    Segment { index: usize, what: &'static str },
    #[error(
        "its segment at {address:#x} lies below {lowest:#x}, the lowest address that a program can have \
         (vm.mmap_min_addr); link the program higher"
    )]
    TooLow { address: u32, lowest: u32 },
    #[error("its segments ({start:#x} to {end:#x}) overlap the stack or the kernel's pages")]
    Overlap { start: u32, end: u32 },
    #[error("no room for it: needs {0:#x} bytes in one piece")]
    NoRoom(u32),
    #[error("cannot map {what} at {address:#x}: {}", std::io::Error::from_raw_os_error(*.errno))]
    Map {
        what: &'static str,
        address: u32,
        errno: i32,
    },
    #[error(
        "needs the interpreter {}, which was not found{}; give the directory that holds the ARM system's files \
         with -L", printable(.path), within(.sysroot)
    )]
    NoInterpreter { path: Vec<u8>, sysroot: Option<PathBuf> },
    #[error("its interpreter {}: {problem}", printable(.path))]
    Interpreter { path: Vec<u8>, problem: Box<Problem> },
    #[error(
        "arguments and environment need {0} bytes, more than a quarter of the stack limit; raise it with -s"
    )]
    ArgumentsTooLong(u64),
}

impl Problem {
    /// What execve(2) says of such a file.
    pub fn errno(&self) -> i32 {
        match self {
            Problem::NotFound | Problem::NoInterpreter { .. } => libc::ENOENT,
            // The kernel opens an interpreter without a name: the working directory, which cannot be executed.
            Problem::EmptyScript => libc::EACCES,
            Problem::Permission(_) | Problem::Directory | Problem::NotRegular => libc::EACCES,
            Problem::Io { error, .. } => error.raw_os_error().unwrap_or(libc::EIO),
            Problem::NoRoom(_) => libc::ENOMEM,
            Problem::Map { errno, .. } => *errno,
            Problem::Interpreter { problem, .. } => match problem.errno() {
                libc::ENOEXEC => libc::ELIBBAD,
                errno => errno,
            },
            Problem::ArgumentsTooLong(_) => libc::E2BIG,
            _ => libc::ENOEXEC,
        }
    }
}

impl LoadError {
    /// What execve(2) says of such a file.
    pub fn errno(&self) -> i32 {
        self.problem.errno()
    }

    /// A shell's exit status: 127 where something was not found, else 126.
    pub fn exit_code(&self) -> i32 {
        if self.errno() == libc::ENOENT { 127 } else { 126 }
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use std::os::unix::ffi::OsStrExt;
        write!(
            f,
            "{}: {}",
            printable(self.path.as_os_str().as_bytes()),
            self.problem
        )
    }
}

impl std::error::Error for LoadError {}

/// Bytes of a file name as one line of text.
pub(super) fn printable(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes)
        .chars()
        .flat_map(|c| {
            let (plain, escaped) = if c.is_control() {
                (None, Some(c.escape_default()))
            } else {
                (Some(c), None)
            };
            plain.into_iter().chain(escaped.into_iter().flatten())
        })
        .collect()
}

fn within(sysroot: &Option<PathBuf>) -> String {
    match sysroot {
        Some(dir) => format!(" (also looked under {})", dir.display()),
        None => String::new(),
    }
}

fn type_name(e_type: u16) -> String {
    match e_type {
        1 => "relocatable object".into(),
        4 => "core dump".into(),
        other => format!("{other:#x}"),
    }
}
