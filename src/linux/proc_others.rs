//! What a guest reads under /proc about other guest processes: they run under `emu` too, and it must not show.
//!
//! Their command lines and environments the kernel shows itself (see [`publish`]); their program, mappings and sizes are made
//! here from what the host says about the part of their memory that is the guest's.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::sync::OnceLock;

use super::process::{Image, Process};
use crate::confine::mm_map::{self, Shown};
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
    if !NAMES.contains(&name) {
        return None;
    }
    let dir = format!("/proc/{}", std::str::from_utf8(&rest[..end]).ok()?);
    let meta = fs::metadata(format!("{dir}/exe")).ok()?;
    (emulator() == Some((meta.dev(), meta.ino()))).then_some((dir, name))
}

/// Entries that are made here.
const NAMES: [&[u8]; 7] = [
    b"exe", b"maps", b"cmdline", b"stat", b"statm", b"status", b"smaps",
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
        b"stat" => replace_field(&text, 23 - 3, size),
        b"statm" => {
            let rest = text.split_once(' ').map_or("", |(_, rest)| rest);
            format!("{} {rest}", size / 4096)
        }
        b"status" => status(&text, size),
        // Every mapping with the host's accounts of it.
        _ => return Some(Vec::new()),
    };
    Some(out.into_bytes())
}

fn replace_field(stat: &str, index: usize, value: u64) -> String {
    let Some((name, rest)) = stat.rsplit_once(") ") else {
        return stat.to_string();
    };
    let mut fields: Vec<String> = rest.trim_end().split(' ').map(str::to_string).collect();
    if let Some(field) = fields.get_mut(index) {
        *field = value.to_string();
    }
    format!("{name}) {}\n", fields.join(" "))
}

fn status(text: &str, size: u64) -> String {
    let line = |line: &str| match line.split_once(':') {
        Some((key @ ("VmPeak" | "VmSize"), _)) => format!("{key}:\t{:8} kB\n", size >> 10),
        _ => format!("{line}\n"),
    };
    text.lines().map(line).collect()
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
    fn command_lines_of_the_emulator_become_the_guests() {
        let host = b"emu\0--reexec\x00900\0--cpu\0max\0-0\0-sh\0--\0/bin/sh\0-c\0ls\0";
        assert_eq!(guest_cmdline(host.to_vec()), b"-sh\0-c\0ls\0");
        assert_eq!(guest_cmdline(b"sh\0-c\0".to_vec()), b"sh\0-c\0");
    }

    #[test]
    fn fields() {
        let stat = "7 (a) b) R 1 2 3\n";
        assert_eq!(stat_field(stat, 5), Some(2));
        assert_eq!(replace_field(stat, 1, 9), "7 (a) b) R 9 2 3\n");
        assert_eq!(
            status("Name:\tx\nVmSize:\t 12 kB\n", 8192),
            "Name:\tx\nVmSize:\t       8 kB\n"
        );
    }
}
