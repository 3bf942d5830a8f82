//! Finding out what kind of program a file is.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use goblin::elf::header;

use super::error::{LoadError, Problem};

/// How much of a file the kernel looks at to tell its kind (BINPRM_BUF_SIZE).
const HEAD: usize = 256;

/// What a file is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A 32-bit ARM ELF file, perhaps one that [`plan`](super::plan) refuses.
    Arm32,
    /// A script: its interpreter, and the one argument that its first line may hold.
    Script {
        interpreter: Vec<u8>,
        argument: Option<Vec<u8>>,
    },
    /// A 64-bit x86 ELF file, which the host executes itself.
    X86_64,
    /// Another machine's ELF file.
    OtherElf { machine: u16 },
    /// None of these.
    Unknown,
}

/// A file that is there and may be executed.
#[derive(Debug)]
pub struct Program {
    pub file: File,
    pub path: PathBuf,
    pub kind: Kind,
}

/// Opens a file for reading without waiting: a FIFO is found out to be no program, not waited for. Regular files know no difference.
pub(super) fn open_file(path: &Path) -> io::Result<File> {
    File::options()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)
}

/// Opens a program and finds out what it is. The file must be regular and executable by this process.
pub fn open_program(path: &Path) -> Result<Program, LoadError> {
    let open = || {
        let file = open_file(path).map_err(|error| match error.raw_os_error() {
            Some(libc::ENOENT) => Problem::NotFound,
            Some(libc::EACCES) => Problem::Permission("read"),
            _ => Problem::Io {
                action: "open",
                error,
            },
        })?;
        let kind = identify(&file)?;
        executable(&file)?;
        Ok((file, kind))
    };
    match open() {
        Ok((file, kind)) => Ok(Program {
            file,
            path: path.into(),
            kind,
        }),
        Err(problem) => Err(LoadError {
            path: path.into(),
            problem,
        }),
    }
}

/// Finds out what an open file is. A file that is not regular is an error.
pub fn identify(file: &File) -> Result<Kind, Problem> {
    let io = |error| Problem::Io {
        action: "read",
        error,
    };
    let meta = file.metadata().map_err(io)?;
    if meta.is_dir() {
        return Err(Problem::Directory);
    }
    if !meta.is_file() {
        return Err(Problem::NotRegular);
    }
    let mut head = [0; HEAD];
    let mut len = 0;
    while len < HEAD {
        match file.read_at(&mut head[len..], len as u64).map_err(io)? {
            0 => break,
            read => len += read,
        }
    }
    kind(&head[..len])
}

/// EACCES unless this process may execute the file.
fn executable(file: &File) -> Result<(), Problem> {
    // SAFETY: an empty path with AT_EMPTY_PATH names the descriptor itself.
    let may = unsafe {
        libc::faccessat(
            file.as_raw_fd(),
            c"".as_ptr(),
            libc::X_OK,
            libc::AT_EMPTY_PATH | libc::AT_EACCESS,
        )
    };
    if may == 0 {
        return Ok(());
    }
    match io::Error::last_os_error() {
        error if error.raw_os_error() == Some(libc::EACCES) => Err(Problem::Permission("execute")),
        error => Err(Problem::Io {
            action: "check the permissions of",
            error,
        }),
    }
}

/// The kind of a file that begins with `head` ([`HEAD`] bytes, or the whole file).
pub(super) fn kind(head: &[u8]) -> Result<Kind, Problem> {
    if head.starts_with(b"#!") {
        return script(head);
    }
    if !head.starts_with(header::ELFMAG) {
        return Ok(Kind::Unknown);
    }
    let (Some(&class), Some(&data), Some(&[a, b])) = (
        head.get(header::EI_CLASS),
        head.get(header::EI_DATA),
        head.get(18..20),
    ) else {
        return Err(Problem::Truncated {
            what: "the ELF header",
            end: 52,
            size: head.len() as u64,
        });
    };
    let machine = if data == header::ELFDATA2MSB {
        u16::from_be_bytes([a, b])
    } else {
        u16::from_le_bytes([a, b])
    };
    Ok(match (machine, class) {
        (header::EM_ARM, header::ELFCLASS32) => Kind::Arm32,
        (header::EM_X86_64, header::ELFCLASS64) => Kind::X86_64,
        _ => Kind::OtherElf { machine },
    })
}

/// Splits the first line of a script as the kernel's load_script does (fs/binfmt_script.c).
fn script(head: &[u8]) -> Result<Kind, Problem> {
    let blank = |b: &u8| matches!(b, b' ' | b'\t');
    let line = &head[2..];
    // The kernel's buffer is NUL-padded: a NUL ends the line as well.
    let (line, whole, newline) = match line.iter().position(|&b| b == b'\n' || b == 0) {
        Some(end) => (&line[..end], true, line[end] == b'\n'),
        None => (line, head.len() < HEAD, false),
    };
    let Some(start) = line.iter().position(|b| !blank(b)) else {
        return Err(if whole && !newline {
            Problem::EmptyScript
        } else {
            Problem::Script
        });
    };
    let line = &line[start..];
    let end = line.iter().position(blank);
    if end.is_none() && !whole {
        // The interpreter's name may go on.
        return Err(Problem::Script);
    }
    let (interpreter, rest) = line.split_at(end.unwrap_or(line.len()));
    let argument = rest.trim_ascii();
    Ok(Kind::Script {
        interpreter: interpreter.to_vec(),
        argument: (!argument.is_empty()).then(|| argument.to_vec()),
    })
}

/// A machine's name for people.
pub(super) fn machine_name(machine: u16) -> String {
    #[rustfmt::skip]
    let names: [(u16, &str); 11] = [
        (header::EM_386, "32-bit x86"),
        (header::EM_68K, "m68k"),
        (header::EM_MIPS, "MIPS"),
        (header::EM_PPC, "32-bit PowerPC"),
        (header::EM_PPC64, "64-bit PowerPC"),
        (header::EM_S390, "S/390"),
        (header::EM_ARM, "64-bit objects marked ARM"),
        (header::EM_SPARCV9, "SPARC"),
        (header::EM_X86_64, "x86-64"),
        (header::EM_AARCH64, "AArch64 (64-bit ARM)"),
        (header::EM_RISCV, "RISC-V"),
    ];
    match names.iter().find(|(number, _)| *number == machine) {
        Some((_, name)) => (*name).to_string(),
        None => format!("machine number {machine}"),
    }
}

/// The path as a program sees it in AT_EXECFN.
pub(super) fn path_bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &[u8]) -> Option<(Vec<u8>, Option<Vec<u8>>)> {
        match kind(text) {
            Ok(Kind::Script {
                interpreter,
                argument,
            }) => Some((interpreter, argument)),
            _ => None,
        }
    }

    #[test]
    fn first_lines_of_scripts() {
        let plain = |name: &str| Some((name.as_bytes().to_vec(), None));
        assert_eq!(of(b"#!/bin/sh\necho"), plain("/bin/sh"));
        assert_eq!(of(b"#! \t/bin/sh  \n"), plain("/bin/sh"));
        assert_eq!(of(b"#!/bin/sh"), plain("/bin/sh"));
        let with = |name: &str, arg: &str| Some((name.as_bytes().to_vec(), Some(arg.as_bytes().to_vec())));
        assert_eq!(
            of(b"#!/usr/bin/env -S python3 -u \n"),
            with("/usr/bin/env", "-S python3 -u")
        );
        assert_eq!(of(b"#!\n"), None);
        assert_eq!(of(b"#!   "), None);
        // What Linux answers (6.18, fs/binfmt_script.c, the same since 5.1).
        let errno = |text: &[u8]| kind(text).err().map(|problem| problem.errno());
        for text in [&b"#!"[..], b"#! \t", b"#!\0", b"#! \0x\n", b"#!\0/bin/true\n"] {
            assert_eq!(errno(text), Some(libc::EACCES), "{text:?}");
        }
        let mut blank = b"#!".to_vec();
        blank.resize(HEAD, b' ');
        for text in [&b"#!\n"[..], b"#!  \n", b"#!  \n\0", &blank] {
            assert_eq!(errno(text), Some(libc::ENOEXEC), "{text:?}");
        }
        let mut long = b"#!/".to_vec();
        long.resize(HEAD, b'a');
        assert_eq!(of(&long), None);
        // An argument that is cut off is cut off in the kernel, too.
        long[100] = b' ';
        assert_eq!(
            of(&long).map(|(name, arg)| (name.len(), arg.map(|a| a.len()))),
            Some((98, Some(155)))
        );
    }

    #[test]
    fn kinds() {
        let elf = |class: u8, data: u8, machine: u8| {
            let mut head = [0u8; 64];
            head[..4].copy_from_slice(b"\x7fELF");
            (head[4], head[5]) = (class, data);
            head[if data == 2 { 19 } else { 18 }] = machine;
            kind(&head).ok()
        };
        assert_eq!(elf(1, 1, 40), Some(Kind::Arm32));
        assert_eq!(elf(1, 2, 40), Some(Kind::Arm32));
        assert_eq!(elf(2, 1, 62), Some(Kind::X86_64));
        assert_eq!(elf(1, 1, 62), Some(Kind::OtherElf { machine: 62 }));
        assert_eq!(elf(2, 1, 183), Some(Kind::OtherElf { machine: 183 }));
        assert_eq!(kind(b"").ok(), Some(Kind::Unknown));
        assert_eq!(kind(b"hello").ok(), Some(Kind::Unknown));
        assert!(matches!(kind(b"\x7fELF"), Err(Problem::Truncated { .. })));
    }
}
