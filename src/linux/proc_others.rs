//! What a guest reads under /proc about other guest processes: they run under `emu` too, and it must not show.
//!
//! Their command lines and environments the kernel shows itself (see [`publish`]); their program, mappings and sizes are made
//! here from what the host says about the part of their memory that is the guest's.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::sync::OnceLock;

use super::proc;
use super::proc_status::ABSENT;
use super::process::{Image, Process};
use super::signal::set::SigSet;
use super::task::PER_LINUX_32BIT;
use crate::confine::mm_map::{self, Shown};
use crate::exec::family;
use crate::mem::space;

/// Bytes of a guest's window.
const WINDOW: u64 = 1 << 32;

/// Has the kernel show other processes what the guest's memory holds: arguments as the program changes them,
/// environment, places of code and stack.
pub fn publish(process: &Process) {
    let image: &Image = &process.image;
    let host = |addr: u32| space().base() + u64::from(addr);
    if image.arg_start == 0 || image.code_end <= image.code_start {
        return;
    }
    mm_map::show(&Shown {
        code: host(image.code_start)..host(image.code_end),
        stack: host(image.stack_start),
        args: host(image.arg_start)..host(image.arg_end),
        env: host(image.env_start)..host(image.env_end),
        auxv: proc::auxv(process),
    });
}

/// Device and inode of the emulator's file.
fn emulator() -> Option<(u64, u64)> {
    static FILE: OnceLock<Option<(u64, u64)>> = OnceLock::new();
    *FILE.get_or_init(|| {
        let meta = fs::metadata("/proc/self/exe").ok()?;
        Some((meta.dev(), meta.ino()))
    })
}

/// The directory under /proc of another process (or a thread of it) that runs under this emulator, and the entry's name,
/// where `path` is one of its entries.
pub fn entry_of_guest(path: &[u8]) -> Option<(String, &[u8])> {
    entry(path, |name| NAMES.contains(&name))
}

/// The same of a directory of descriptors: the process's directory.
pub fn descriptors_of_guest(path: &[u8]) -> Option<String> {
    entry(path, |name| name == b"fd" || name == b"fdinfo").map(|(dir, _)| dir)
}

/// The name below a guest's directory, if it is that of a mapping's file.
pub fn mapping_of_guest(path: &[u8]) -> Option<&[u8]> {
    entry(path, |name| name.starts_with(b"map_files/")).map(|(_, name)| name)
}

/// Whether `path` is the directory of a guest's mappings.
pub fn is_mappings_of_guest(path: &[u8]) -> bool {
    entry(path, |name| name == b"map_files").is_some()
}

/// Whether `path` is an entry of another guest's that is by host addresses, or names the emulator's file: absent, as the caller's own is.
pub fn is_absent(path: &[u8]) -> bool {
    entry(path, |name| {
        matches!(name, b"numa_maps" | b"pagemap" | b"clear_refs")
    })
    .is_some()
}

fn entry(path: &[u8], wanted: impl Fn(&[u8]) -> bool) -> Option<(String, &[u8])> {
    let rest = path.strip_prefix(b"/proc/")?;
    let digits = rest.iter().position(|b| !b.is_ascii_digit()).filter(|&n| n > 0)?;
    let mut end = digits;
    let mut name = rest[digits..].strip_prefix(b"/")?;
    if let Some(below) = name.strip_prefix(b"task/") {
        let digits = below
            .iter()
            .position(|b| !b.is_ascii_digit())
            .filter(|&n| n > 0)?;
        end += "/task/".len() + digits;
        name = below[digits..].strip_prefix(b"/")?;
    }
    if !wanted(name) {
        return None;
    }
    let dir = format!("/proc/{}", std::str::from_utf8(&rest[..end]).ok()?);
    let meta = fs::metadata(format!("{dir}/exe")).ok()?;
    (emulator() == Some((meta.dev(), meta.ino()))).then_some((dir, name))
}

/// Entries that are made here.
const NAMES: [&[u8]; 8] = [
    b"exe",
    b"maps",
    b"cmdline",
    b"stat",
    b"statm",
    b"status",
    b"smaps",
    b"personality",
];

/// One line of the host's maps that lies in the guest's window.
struct Mapping {
    start: u64,
    end: u64,
    /// From the permissions on, as the host writes it.
    rest: String,
}

impl Mapping {
    fn path(&self) -> Option<&str> {
        self.rest.find('/').map(|at| &self.rest[at..])
    }

    fn is_reserve(&self) -> bool {
        self.rest.starts_with("---")
    }
}

/// The mappings of the window that holds host address `code`.
fn mappings(maps: &str, code: u64) -> Vec<Mapping> {
    let window = code & !(WINDOW - 1);
    let parse = |line: &str| {
        let (range, rest) = line.split_once(' ')?;
        let (start, end) = range.split_once('-')?;
        let address = |text: &str| u64::from_str_radix(text, 16).ok();
        let (start, end) = (address(start)?, address(end)?);
        (start >= window && end <= window + WINDOW).then(|| Mapping {
            start: start - window,
            end: end - window,
            rest: rest.to_string(),
        })
    };
    maps.lines()
        .filter_map(parse)
        .filter(|m| !m.is_reserve())
        .collect()
}

/// Field `number` of proc_pid_stat(5).
fn stat_field(stat: &str, number: usize) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(") ")?;
    rest.split(' ').nth(number - 3)?.trim().parse().ok()
}

/// Path of the program of a guest process.
pub fn exe(dir: &str) -> Option<Vec<u8>> {
    let code = stat_field(&fs::read_to_string(format!("{dir}/stat")).ok()?, 26)?;
    let maps = fs::read_to_string(format!("{dir}/maps")).ok()?;
    let at = code % WINDOW;
    let found = mappings(&maps, code)
        .into_iter()
        .find(|m| (m.start..m.end).contains(&at))?;
    Some(found.path()?.as_bytes().to_vec())
}

/// The contents of an entry, if they are made here. `None` leaves it to the host.
pub fn contents(dir: &str, name: &[u8]) -> Option<Vec<u8>> {
    if name == b"exe" {
        return None;
    }
    let host = fs::read(format!("{dir}/{}", std::str::from_utf8(name).ok()?)).ok()?;
    if name == b"cmdline" {
        return Some(guest_cmdline(host));
    }
    let text = String::from_utf8_lossy(&host).into_owned();
    let stat = fs::read_to_string(format!("{dir}/stat")).ok()?;
    let maps = match name {
        b"maps" => text.clone(),
        _ => fs::read_to_string(format!("{dir}/maps")).ok()?,
    };
    let code = stat_field(&stat, 26)?;
    let all = mappings(&maps, code);
    let size: u64 = all.iter().map(|m| m.end - m.start).sum();
    let out = match name {
        b"maps" => all
            .iter()
            .map(|m| format!("{:08x}-{:08x} {}\n", m.start, m.end, m.rest))
            .collect(),
        b"stat" => stat_line(&text, code, size),
        b"statm" => {
            let rest = text.split_once(' ').map_or("", |(_, rest)| rest);
            format!("{} {rest}", size / 4096)
        }
        b"status" => status(&text, size),
        b"personality" => format!("{PER_LINUX_32BIT:08x}\n"),
        _ => smaps(&text, code),
    };
    Some(out.into_bytes())
}

/// proc_pid_stat(5): `size` bytes mapped, and of the addresses those that are in the window of `code`, from its start.
fn stat_line(stat: &str, code: u64, size: u64) -> String {
    /// vsize, rsslim; then what holds addresses.
    const VSIZE: usize = 23;
    const RSSLIM: usize = 25;
    const ADDRESSES: [usize; 13] = [26, 27, 28, 29, 30, 35, 45, 46, 47, 48, 49, 50, 51];
    let Some((name, rest)) = stat.rsplit_once(") ") else {
        return stat.to_string();
    };
    let window = code & !(WINDOW - 1);
    let mut fields: Vec<String> = rest.trim_end().split(' ').map(str::to_string).collect();
    for (number, field) in (3..).zip(&mut fields) {
        if number == VSIZE {
            *field = size.to_string();
        } else if number == RSSLIM {
            *field = u32::MAX.to_string();
        } else if ADDRESSES.contains(&number) {
            let offset = field.parse::<u64>().unwrap_or(0).wrapping_sub(window);
            *field = if offset < WINDOW { offset } else { 0 }.to_string();
        }
    }
    format!("{name}) {}\n", fields.join(" "))
}

/// What the host cannot say (the guest's own filters, its handlers of faults' signals) reads as if there were none.
fn status(text: &str, size: u64) -> String {
    let line = |line: &str| match line.split_once(':') {
        Some((key, _)) if ABSENT.contains(&key) => String::new(),
        Some((key @ ("VmPeak" | "VmSize"), _)) => format!("{key}:\t{:8} kB\n", size >> 10),
        Some((key @ ("Seccomp" | "Seccomp_filters"), _)) => format!("{key}:\t0\n"),
        Some(("SigCgt", set)) => {
            let caught = u64::from_str_radix(set.trim(), 16).unwrap_or(0);
            format!(
                "SigCgt:\t{:016x}\n",
                SigSet(caught).without(SigSet::SYNCHRONOUS).0
            )
        }
        _ => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

/// The parts of a host's smaps that are about the window of `code`, with the lines that an ARM kernel has.
fn smaps(text: &str, code: u64) -> String {
    let (mut out, mut shown) = (String::new(), false);
    for line in text.lines() {
        let heads = line.split(' ').next().is_some_and(|word| word.contains('-'));
        if heads {
            let mapping = mappings(line, code).pop();
            shown = mapping.is_some();
            if let Some(m) = mapping {
                out += &format!("{:08x}-{:08x} {}\n", m.start, m.end, m.rest);
            }
        } else if shown && !line.starts_with("ProtectionKey:") {
            out += line;
            out.push('\n');
        }
    }
    out
}

/// Whether number `fd` of another process is the emulator's own there: its program or what it shares.
pub fn is_own_fd(dir: &str, fd: i32) -> bool {
    fs::metadata(format!("{dir}/fd/{fd}")).is_ok_and(|meta| {
        emulator() == Some((meta.dev(), meta.ino())) || family::is_store(meta.dev(), meta.ino())
    })
}

/// Whether a path names such a number of another guest's: /proc/PID/fd/900, /proc/PID/fdinfo/900.
pub fn names_own_fd(path: &[u8]) -> bool {
    let number = |name: &[u8]| -> Option<i32> {
        let digits = name
            .strip_prefix(b"fd/")
            .or_else(|| name.strip_prefix(b"fdinfo/"))?;
        std::str::from_utf8(digits).ok()?.parse().ok()
    };
    entry(path, |name| number(name).is_some())
        .is_some_and(|(dir, name)| number(name).is_some_and(|fd| is_own_fd(&dir, fd)))
}

/// Until [`publish`] has been called after execve (or where the kernel cannot), the host shows the emulator's own command
/// line: `emu --reexec N ... -0 ARGV0 -- NAME ARGS`.
fn guest_cmdline(host: Vec<u8>) -> Vec<u8> {
    if !host.starts_with(b"emu\0--reexec\0") {
        return host;
    }
    let words: Vec<&[u8]> = host.split(|&b| b == 0).collect();
    let Some(at) = words.windows(3).position(|w| w[0] == b"-0" && w[2] == b"--") else {
        return host;
    };
    let mut out = words[at + 1].to_vec();
    out.push(0);
    out.extend(words.get(at + 4..).unwrap_or_default().join(&0));
    out
}

/// The last part of the path that was executed: what the kernel calls the process (`comm`).
pub fn process_name(process: &Process) -> Option<std::ffi::CString> {
    let name = &process.image.filename;
    let base = name.rsplit(|&b| b == b'/').next().unwrap_or(name);
    std::ffi::CString::new(base).ok()
}

/// What a link under /proc names, if it is another guest's program.
pub fn link_target(path: &[u8]) -> Option<Vec<u8>> {
    let (dir, name) = entry_of_guest(path)?;
    (name == b"exe").then(|| exe(&dir)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAPS: &str = "\
00010000-00020000 r--p 00000000 08:01 77                                 /bin/busybox
00020000-00030000 ---p 00000000 00:00 0 
7efff000-7f000000 rw-p 00000000 00:00 0 
7f1200000000-7f1200001000 r-xp 00000000 08:01 99                         /usr/bin/emu
";

    #[test]
    fn only_the_window_shows() {
        let all = mappings(MAPS, 0x10054);
        assert_eq!(all.len(), 2);
        assert_eq!(all[0].path(), Some("/bin/busybox"));
        let elsewhere = MAPS.replace("000", "7abc000");
        assert!(mappings(&elsewhere, 0x10054).len() <= 1);
    }

    #[test]
    fn smaps_of_the_window() {
        let text = "00010000-00020000 r--p 00000000 08:01 77   /bin/busybox\nSize: 64 kB\nProtectionKey: 0\n\
                    7f1200000000-7f1200001000 r-xp 00000000 08:01 99   /usr/bin/emu\nSize: 4 kB\n";
        assert_eq!(
            smaps(text, 0x10054),
            "00010000-00020000 r--p 00000000 08:01 77   /bin/busybox\nSize: 64 kB\n"
        );
    }

    #[test]
    fn command_lines_of_the_emulator_become_the_guests() {
        let host = b"emu\0--reexec\x00900\0--cpu\0max\0-0\0-sh\0--\0/bin/sh\0-c\0ls\0";
        assert_eq!(guest_cmdline(host.to_vec()), b"-sh\0-c\0ls\0");
        assert_eq!(guest_cmdline(b"sh\0-c\0".to_vec()), b"sh\0-c\0");
    }

    #[test]
    fn fields() {
        let stat = "7 (a) b) R 1 2 3\n";
        assert_eq!(stat_field(stat, 5), Some(2));
        let words: Vec<String> = (4..=52).map(|n| n.to_string()).collect();
        let host = format!("7 (a) b) R {}\n", words.join(" "));
        let host = host.replace(" 26 ", " 65556 ").replace(" 47 ", " 4294967296 ");
        let guest = stat_line(&host, 0x10054, 4096);
        let field = |number: usize| guest.rsplit_once(") ")?.1.split(' ').nth(number - 3);
        assert_eq!(
            [23, 25, 26, 45, 47, 48].map(|n| field(n).unwrap_or("")),
            ["4096", "4294967295", "65556", "45", "0", "48"]
        );
        assert_eq!(
            status("Name:\tx\nVmSize:\t 12 kB\n", 8192),
            "Name:\tx\nVmSize:\t       8 kB\n"
        );
    }
}
