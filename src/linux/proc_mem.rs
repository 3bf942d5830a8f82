//! /proc/self/{maps,smaps,smaps_rollup,statm} and the sizes in status and stat: the guest's memory, nothing of the
//! emulator's (fs/proc/task_mmu.c).

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use super::process::Process;
use crate::mem::{MapEntry, MemoryUse, Prot, Used, space};

const PAGE: u64 = 4096;
/// Width of sizes in status and smaps.
const WIDTH: usize = 8;

/// fs/proc/task_mmu.c show_map_vma, for a 32-bit kernel: names start at column 49.
pub fn maps(entries: &[MapEntry]) -> String {
    let mut out = String::new();
    for entry in entries {
        show_map(&mut out, entry);
    }
    out
}

fn show_map(out: &mut String, e: &MapEntry) {
    const NAME_COLUMN: usize = 49;
    let flag = |on: bool, c: char| if on { c } else { '-' };
    let mut line = format!(
        "{:08x}-{:08x} {}{}{}{} {:08x} {:02x}:{:02x} {}",
        e.start,
        e.end,
        flag(e.prot.contains(Prot::READ), 'r'),
        flag(e.prot.contains(Prot::WRITE), 'w'),
        flag(e.prot.contains(Prot::EXEC), 'x'),
        if e.shared { 's' } else { 'p' },
        e.offset,
        e.dev.0,
        e.dev.1,
        e.inode,
    );
    line.push(' ');
    if !e.path.is_empty() {
        while line.len() < NAME_COLUMN {
            line.push(' ');
        }
        line.push_str(&String::from_utf8_lossy(&e.path).replace('\n', "\\012"));
    }
    let _ = writeln!(out, "{line}");
}

fn show_size(out: &mut String, name: &str, kib: u64) {
    // The name with its colon takes 16 columns.
    let _ = writeln!(out, "{:<16}{kib:WIDTH$} kB", format!("{name}:"));
}

/// /proc/self/smaps.
pub fn smaps() -> String {
    let usage = space().memory_use();
    let mut out = String::new();
    for used in &usage.mappings {
        show_map(&mut out, &used.entry);
        show_size(&mut out, "Size", len(&used.entry) >> 10);
        show_size(&mut out, "KernelPageSize", PAGE >> 10);
        show_size(&mut out, "MMUPageSize", PAGE >> 10);
        for (name, &kib) in usage.names.iter().zip(&used.kib) {
            show_size(&mut out, name, kib);
        }
        let _ = writeln!(out, "THPeligible:    {:WIDTH$}", 0);
        let _ = writeln!(out, "VmFlags: {} ", flags(used).join(" "));
    }
    out
}

/// The two-letter flags of VmFlags, in the kernel's order: permissions, the rest.
fn flags(used: &Used) -> Vec<&str> {
    let prot = used.entry.prot;
    let mut out = Vec::new();
    let mut set = |on: bool, name: &'static str| {
        if on {
            out.push(name);
        }
    };
    set(prot.contains(Prot::READ), "rd");
    set(prot.contains(Prot::WRITE), "wr");
    set(prot.contains(Prot::EXEC), "ex");
    let stack = used.entry.path == b"[stack]";
    // How the emulator maps a stack: whole, and without huge pages.
    let own = |flag: &str| stack && ["nr", "nh"].contains(&flag);
    let (before, after): (Vec<&str>, Vec<&str>) = used
        .flags
        .iter()
        .map(String::as_str)
        .filter(|flag| !own(flag))
        .partition(|flag| ["sh", "mr", "mw", "me", "ms"].contains(flag));
    out.extend(before);
    if stack {
        out.push("gd");
    }
    out.extend(after);
    out
}

/// /proc/self/smaps_rollup: one mapping from the first to the last.
pub fn smaps_rollup() -> String {
    let usage = space().memory_use();
    let (Some(first), Some(last)) = (usage.mappings.first(), usage.mappings.last()) else {
        return String::new();
    };
    let mut out = String::new();
    show_map(
        &mut out,
        &MapEntry {
            start: first.entry.start,
            end: last.entry.end,
            prot: Prot::empty(),
            shared: false,
            offset: 0,
            dev: (0, 0),
            inode: 0,
            path: b"[rollup]".to_vec(),
        },
    );
    for name in &usage.names {
        show_size(&mut out, name, usage.total(name));
        // These three stand in the rollup only.
        if name == "Pss_Dirty" {
            let kinds = Kinds::of(&usage, "Pss");
            show_size(&mut out, "Pss_Anon", kinds.anonymous);
            show_size(&mut out, "Pss_File", kinds.file);
            show_size(&mut out, "Pss_Shmem", kinds.shmem);
        }
    }
    out
}

/// A sum by what the pages are, in KiB.
#[derive(Clone, Copy, Default)]
struct Kinds {
    anonymous: u64,
    file: u64,
    shmem: u64,
}

impl Kinds {
    /// Of `name` (Rss or Pss).
    fn of(usage: &MemoryUse, name: &str) -> Kinds {
        let mut out = Kinds::default();
        for used in &usage.mappings {
            let all = usage.of(used, name);
            let anonymous = usage.of(used, "Anonymous").min(all);
            if used.entry.inode == 0 {
                out.anonymous += all;
            } else if is_shmem(&used.entry) {
                out.anonymous += anonymous;
                out.shmem += all - anonymous;
            } else {
                out.anonymous += anonymous;
                out.file += all - anonymous;
            }
        }
        out
    }
}

/// Memory that has a name but no file on a disk: /dev/zero, memfd, SysV and POSIX shared memory.
fn is_shmem(entry: &MapEntry) -> bool {
    [&b"/memfd:"[..], b"/SYSV", b"/dev/zero", b"/dev/shm/"]
        .iter()
        .any(|name| entry.path.starts_with(name))
}

fn len(entry: &MapEntry) -> u64 {
    u64::from(entry.end.wrapping_sub(entry.start))
}

/// The sizes that status, stat and statm show, in KiB.
pub struct Sizes {
    pub peak: u64,
    pub size: u64,
    pub locked: u64,
    pub high_water: u64,
    pub rss: u64,
    pub anonymous: u64,
    pub file: u64,
    pub shmem: u64,
    pub data: u64,
    pub stack: u64,
    pub code: u64,
    pub library: u64,
    pub page_tables: u64,
    pub swap: u64,
}

/// The most that was seen in memory, in KiB.
static HIGH_WATER: AtomicU64 = AtomicU64::new(0);

impl Sizes {
    /// Those of the process now. `beyond` is how much more the host says was in memory once than is now, in KiB.
    pub fn of(process: &Process, beyond: u64) -> Sizes {
        let usage = space().memory_use();
        let kinds = Kinds::of(&usage, "Rss");
        let rss = kinds.anonymous + kinds.file + kinds.shmem;
        let now = rss + beyond;
        let high_water = HIGH_WATER.fetch_max(now, Ordering::Relaxed).max(now);
        let mut sizes = Sizes {
            peak: space().peak_bytes() >> 10,
            size: space().mapped_bytes() >> 10,
            locked: usage.total("Locked"),
            high_water,
            rss,
            anonymous: kinds.anonymous,
            file: kinds.file,
            shmem: kinds.shmem,
            data: 0,
            stack: 0,
            code: 0,
            library: 0,
            page_tables: 0,
            swap: usage.total("Swap"),
        };
        // What lies in 2 MiB shares a page of the table.
        let mut tables = std::collections::BTreeSet::new();
        for used in &usage.mappings {
            let entry = &used.entry;
            let kib = len(entry) >> 10;
            // vm_stat_account of mm/mmap.c.
            if entry.path == b"[stack]" {
                sizes.stack += kib;
            } else if entry.prot.contains(Prot::WRITE) {
                sizes.data += if entry.shared { 0 } else { kib };
            } else if entry.prot.contains(Prot::EXEC) {
                sizes.library += kib;
            }
            if usage.of(used, "Rss") != 0 {
                tables.extend(entry.start >> 21..=(entry.end - 1) >> 21);
            }
        }
        let image = &process.image;
        let code =
            u64::from(image.code_end).next_multiple_of(PAGE) - u64::from(image.code_start) / PAGE * PAGE;
        sizes.code = code >> 10;
        sizes.library = sizes.library.saturating_sub(sizes.code);
        sizes.page_tables = tables.len() as u64 * (PAGE >> 10);
        sizes
    }

    /// The line of status whose name is `key`, without the name.
    pub fn status_line(&self, key: &str) -> Option<String> {
        let kib = match key {
            "VmPeak" => self.peak,
            "VmSize" => self.size,
            "VmLck" => self.locked,
            "VmHWM" => self.high_water,
            "VmRSS" => self.rss,
            "RssAnon" => self.anonymous,
            "RssFile" => self.file,
            "RssShmem" => self.shmem,
            "VmData" => self.data,
            "VmStk" => self.stack,
            "VmExe" => self.code,
            "VmLib" => self.library,
            "VmPTE" => self.page_tables,
            "VmSwap" => self.swap,
            _ => return None,
        };
        Some(format!("{kib:WIDTH$} kB"))
    }

    /// /proc/self/statm, in pages: size, resident, shared, text, 0, data with stack, 0.
    pub fn statm(&self) -> String {
        let pages = |kib: u64| kib / (PAGE >> 10);
        format!(
            "{} {} {} {} 0 {} 0\n",
            pages(self.size),
            pages(self.rss),
            pages(self.file + self.shmem),
            pages(self.code),
            pages(self.data + self.stack)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line of an ARMv7 machine's /proc/self/maps.
    #[test]
    fn map_lines() {
        let entry = MapEntry {
            start: 0x10000,
            end: 0x1a000,
            prot: Prot::READ | Prot::EXEC,
            shared: false,
            offset: 0,
            dev: (0xb3, 2),
            inode: 1704,
            path: b"/bin/cat".to_vec(),
        };
        assert_eq!(
            maps(&[entry]),
            "00010000-0001a000 r-xp 00000000 b3:02 1704       /bin/cat\n"
        );
    }

    /// As fs/proc/task_mmu.c aligns them.
    #[test]
    fn size_lines() {
        let mut out = String::new();
        show_size(&mut out, "Rss", 8);
        show_size(&mut out, "Private_Hugetlb", 0);
        assert_eq!(out, "Rss:                   8 kB\nPrivate_Hugetlb:       0 kB\n");
    }
}
