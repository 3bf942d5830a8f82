//! What the guest reads under /proc in place of the emulator's own entries.

use std::ffi::{CString, OsStr};
use std::io::Write as _;
use std::os::fd::{FromRawFd, IntoRawFd};
use std::os::unix::ffi::OsStrExt;

use super::call::{SyscallContext, host};
use super::errno::{Errno, SysResult};
use super::process::Process;
use super::{guest, proc_cpu, proc_mem, proc_others, proc_status, ptrace};
use crate::mem::space;

/// The entry's name where a path is one of the caller's own process or thread: `maps` of /proc/self/maps,
/// /proc/thread-self/maps, /proc/PID/maps, /proc/self/task/TID/maps.
pub fn is_own(path: &[u8]) -> Option<&[u8]> {
    let rest = path.strip_prefix(b"/proc/")?;
    let rest = match rest
        .strip_prefix(b"self/")
        .or_else(|| rest.strip_prefix(b"thread-self/"))
    {
        Some(rest) => rest,
        None => {
            let (pid, rest) = split_number(rest)?;
            (pid == std::process::id()).then_some(rest)?
        }
    };
    match rest.strip_prefix(b"task/") {
        // Every thread has the process's view of these files.
        Some(rest) => split_number(rest).map(|(_, rest)| rest),
        None => Some(rest),
    }
}

/// Whether an entry of this name, somewhere under /proc, may be one that is made here or is not the guest's to see.
pub fn is_changed(name: &[u8]) -> bool {
    const NAMES: [&[u8]; 15] = [
        b"exe",
        b"maps",
        b"smaps",
        b"smaps_rollup",
        b"cmdline",
        b"environ",
        b"auxv",
        b"stat",
        b"status",
        b"statm",
        b"personality",
        b"mem",
        b"numa_maps",
        b"pagemap",
        b"cpuinfo",
    ];
    NAMES.contains(&name)
        || name == b"clear_refs"
        || !name.is_empty() && name.iter().all(u8::is_ascii_digit)
        || is_range(name)
}

/// Whether a name is that of a mapping in /proc/PID/map_files: its addresses.
pub fn is_range(name: &[u8]) -> bool {
    name.contains(&b'-') && name.iter().all(|&b| b == b'-' || b.is_ascii_hexdigit())
}

/// Whether the name of a mapping says that it isn't in the guest's window.
pub fn is_outside(name: &[u8]) -> bool {
    let end = name.rsplit(|&b| b == b'-').next();
    let end = end.and_then(|end| u64::from_str_radix(std::str::from_utf8(end).ok()?, 16).ok());
    space().base() != 0 || end.is_none_or(|end| end > 1 << 32)
}

/// A decimal number up to a slash, and what follows the slash.
fn split_number(text: &[u8]) -> Option<(u32, &[u8])> {
    let end = text.iter().position(|&b| b == b'/')?;
    let number = std::str::from_utf8(&text[..end]).ok()?.parse().ok()?;
    Some((number, &text[end + 1..]))
}

/// Opens `path` if its contents are made here. `flags` are the guest's.
pub fn open(ctx: &SyscallContext<'_>, path: &[u8], flags: u32) -> Option<SysResult> {
    if !path.starts_with(b"/proc/") || !exists(path) {
        return None;
    }
    let contents = if path == b"/proc/cpuinfo" {
        proc_cpu::cpuinfo(ctx.process.settings.model).into_bytes()
    } else if let Some(auxv) = auxv_of_tracee(path) {
        auxv
    } else if is_own(path).is_none() {
        if proc_others::is_absent(path) {
            return Some(Err(Errno::ENOENT));
        }
        let (dir, name) = proc_others::entry_of_guest(path)?;
        proc_others::contents(&dir, name)?
    } else {
        match is_own(path)? {
            b"maps" => proc_mem::maps(&space().maps()).into_bytes(),
            b"smaps" => proc_mem::smaps().into_bytes(),
            b"smaps_rollup" => proc_mem::smaps_rollup().into_bytes(),
            b"cmdline" => cmdline(ctx.process),
            b"environ" => environ(ctx.process),
            b"auxv" => auxv(ctx.process),
            b"stat" => match stat(ctx.process, path) {
                Some(text) => text.into_bytes(),
                None => return Some(Err(Errno::ENOENT)),
            },
            b"status" => match proc_status::status(ctx, path) {
                Some(text) => text.into_bytes(),
                None => return Some(Err(Errno::ENOENT)),
            },
            b"personality" => format!("{:08x}\n", ctx.task.personality).into_bytes(),
            b"statm" => proc_mem::Sizes::of(ctx.process, 0).statm().into_bytes(),
            // Memory by host address would reach the emulator.
            b"mem" => return Some(Err(Errno::EACCES)),
            b"numa_maps" | b"pagemap" | b"clear_refs" => {
                return Some(Err(Errno::ENOENT));
            }
            _ => return None,
        }
    };
    Some(serve(&contents, flags))
}

/// /proc/PID/auxv of a process that the guest traces.
fn auxv_of_tracee(path: &[u8]) -> Option<Vec<u8>> {
    let (pid, rest) = split_number(path.strip_prefix(b"/proc/")?)?;
    let entry = match rest.strip_prefix(b"task/") {
        Some(rest) => split_number(rest)?.1,
        None => rest,
    };
    (entry == b"auxv").then(|| ptrace::auxv(pid as i32))?
}

/// Whether the host has the file: in a chroot /proc need not be mounted.
fn exists(path: &[u8]) -> bool {
    std::fs::symlink_metadata(OsStr::from_bytes(path)).is_ok()
}

/// A read-only descriptor with these contents.
fn serve(contents: &[u8], flags: u32) -> SysResult {
    if flags & libc::O_ACCMODE as u32 != libc::O_RDONLY as u32 {
        return Err(Errno::EACCES);
    }
    if flags & super::abi::open::O_DIRECTORY != 0 {
        return Err(Errno::ENOTDIR);
    }
    // SAFETY: a C string and flags; the result is a new descriptor that the File below owns.
    let fd = unsafe {
        host(
            libc::SYS_memfd_create,
            &[c"proc".as_ptr() as u64, libc::MFD_CLOEXEC.into()],
        )?
    };
    // SAFETY: as above.
    let mut file = unsafe { std::fs::File::from_raw_fd(fd as i32) };
    file.write_all(contents)?;
    // Opened again, so that it is read-only, at offset 0, and close-on-exec only if asked for.
    let name = CString::new(format!("/proc/self/fd/{fd}")).map_err(|_| Errno::EINVAL)?;
    let keep = (libc::O_CLOEXEC | libc::O_NONBLOCK) as u32;
    let flags = flags & keep | libc::O_RDONLY as u32;
    // SAFETY: the name lives over the call.
    let again = unsafe { host(libc::SYS_open, &[name.as_ptr() as u64, flags.into()]) };
    match again {
        Ok(fd) => Ok(fd as u32),
        // No /proc on the host (a chroot): the first descriptor will do.
        Err(_) => {
            use std::io::Seek;
            file.rewind()?;
            Ok(file.into_raw_fd() as u32)
        }
    }
}

/// Strings between two guest addresses, as the guest has them now (programs overwrite them to change their title).
fn strings(start: u32, end: u32, original: &[Vec<u8>]) -> Vec<u8> {
    let len = end.saturating_sub(start) as usize;
    if start != 0
        && let Ok(bytes) = guest::get_vec(start, len)
    {
        return bytes;
    }
    original
        .iter()
        .flat_map(|s| s.iter().copied().chain([0]))
        .collect()
}

fn cmdline(process: &Process) -> Vec<u8> {
    strings(
        process.image.arg_start,
        process.image.arg_end,
        &process.image.argv,
    )
}

fn environ(process: &Process) -> Vec<u8> {
    strings(
        process.image.env_start,
        process.image.env_end,
        &process.image.envp,
    )
}

/// The auxiliary vector as the guest's file of it has it.
pub fn auxv(process: &Process) -> Vec<u8> {
    process
        .image
        .auxv
        .iter()
        .flat_map(|(kind, value)| [kind.to_le_bytes(), value.to_le_bytes()].concat())
        .collect()
}

/// The host's line with the guest's sizes and addresses (fs/proc/array.c do_task_stat).
fn stat(process: &Process, path: &[u8]) -> Option<String> {
    let host = std::fs::read_to_string(std::str::from_utf8(path).ok()?).ok()?;
    let image = &process.image;
    let numbers = StatNumbers {
        vsize: space().mapped_bytes(),
        rss: proc_mem::Sizes::of(process, 0).rss >> 2,
        code: (image.code_start, image.code_end),
        stack: image.stack_start,
        args: (image.arg_start, image.arg_end),
        env: (image.env_start, image.env_end),
    };
    Some(numbers.patch(&host))
}

/// What /proc/PID/stat says about the address space.
struct StatNumbers {
    vsize: u64,
    /// Pages.
    rss: u64,
    code: (u32, u32),
    stack: u32,
    args: (u32, u32),
    env: (u32, u32),
}

impl StatNumbers {
    /// Replaces the fields; their numbers are those of proc_pid_stat(5).
    fn patch(&self, host: &str) -> String {
        let Some(name_end) = host.rfind(')') else {
            return host.to_string();
        };
        let (name, rest) = host.split_at(name_end + 1);
        let mut fields: Vec<String> = rest.split_whitespace().map(str::to_string).collect();
        let mut set = |number: usize, value: String| {
            if let Some(field) = fields.get_mut(number - 3) {
                *field = value;
            }
        };
        set(23, self.vsize.to_string());
        set(24, self.rss.to_string());
        set(25, u32::MAX.to_string());
        set(26, self.code.0.to_string());
        set(27, self.code.1.to_string());
        set(28, self.stack.to_string());
        for number in [29, 30, 35, 45, 46, 47] {
            set(number, "0".into());
        }
        set(48, self.args.0.to_string());
        set(49, self.args.1.to_string());
        set(50, self.env.0.to_string());
        set(51, self.env.1.to_string());
        format!("{name} {}\n", fields.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_entries() {
        let pid = std::process::id();
        assert_eq!(is_own(b"/proc/self/maps"), Some(&b"maps"[..]));
        assert_eq!(is_own(format!("/proc/{pid}/stat").as_bytes()), Some(&b"stat"[..]));
        assert_eq!(
            is_own(format!("/proc/self/task/{pid}/stat").as_bytes()),
            Some(&b"stat"[..])
        );
        assert_eq!(is_own(b"/proc/1/maps").filter(|_| pid != 1), None);
        assert_eq!(is_own(b"/proc/cpuinfo"), None);
        assert_eq!(is_own(b"/etc/passwd"), None);
    }

    #[test]
    fn stat_fields() {
        let host = "7 (a b) c) R ".to_string()
            + &(4..=52).map(|n| n.to_string()).collect::<Vec<_>>().join(" ")
            + "\n";
        let numbers = StatNumbers {
            vsize: 9000,
            rss: 12,
            code: (1, 2),
            stack: 77,
            args: (3, 4),
            env: (5, 6),
        };
        let out = numbers.patch(&host);
        let fields: Vec<&str> = out
            .rsplit_once(')')
            .expect("a name")
            .1
            .split_whitespace()
            .collect();
        assert_eq!(out.split(' ').next(), Some("7"));
        assert_eq!(
            (fields[0], fields[20], fields[21], fields[25], fields[49]),
            ("R", "9000", "12", "77", "52")
        );
    }
}
