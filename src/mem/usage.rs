//! How much memory the guest's mappings take: the host's /proc/self/smaps, cut to the guest's window.

use std::fs::File;
use std::os::unix::fs::FileExt;

use super::addr::{PAGE_SHIFT, WINDOW};
use super::list::{HostEntry, MapEntry, parse_line};
use super::space::Space;

/// Lines of smaps that are not sums over pages; those that an ARM kernel has, too, the reader of [`MemoryUse`] makes.
const NO_SUMS: [&str; 6] = [
    "Size",
    "KernelPageSize",
    "MMUPageSize",
    "THPeligible",
    "ProtectionKey",
    "VmFlags",
];
/// Bytes of a page's entry in pagemap; its bits for "in memory" and "swapped out".
const PAGEMAP_ENTRY: usize = 8;
const PRESENT_OR_SWAPPED: u64 = 3 << 62;

/// The guest's mappings with what each takes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct MemoryUse {
    /// What is counted, in the host's order: `Rss`, `Pss`, `Private_Dirty` and so on.
    pub names: Vec<String>,
    /// Ascending, as in [`Space::maps`].
    pub mappings: Vec<Used>,
}

/// A mapping and what it takes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Used {
    pub entry: MapEntry,
    /// In KiB, one for each of [`MemoryUse::names`].
    pub kib: Vec<u64>,
    /// The kernel's two-letter flags, without those that the guest's permissions decide.
    pub flags: Vec<String>,
}

impl MemoryUse {
    /// What a mapping takes of `name`, in KiB; 0 for what the host does not count.
    pub fn of(&self, used: &Used, name: &str) -> u64 {
        let at = self.names.iter().position(|n| n == name);
        at.and_then(|i| used.kib.get(i).copied()).unwrap_or(0)
    }

    /// The sum over all mappings of `name`, in KiB.
    pub fn total(&self, name: &str) -> u64 {
        self.mappings.iter().map(|used| self.of(used, name)).sum()
    }

    fn add(&mut self, used: Used) {
        if let Some(last) = self.mappings.last_mut()
            && last.flags == used.flags
            && last.entry.join(&used.entry)
        {
            for (sum, kib) in last.kib.iter_mut().zip(&used.kib) {
                *sum += kib;
            }
            return;
        }
        self.mappings.push(used);
    }
}

/// One mapping of the host's smaps.
struct HostUse {
    entry: HostEntry,
    sums: Vec<(String, u64)>,
    flags: Vec<String>,
}

/// Reads smaps.
fn parse(text: &str) -> Vec<HostUse> {
    let mut list: Vec<HostUse> = Vec::new();
    for line in text.lines() {
        if let Some(entry) = parse_line(line.as_bytes()) {
            list.push(HostUse {
                entry,
                sums: Vec::new(),
                flags: Vec::new(),
            });
            continue;
        }
        let (Some((name, value)), Some(last)) = (line.split_once(':'), list.last_mut()) else {
            continue;
        };
        if name == "VmFlags" {
            let kept = |flag: &&str| !["rd", "wr", "ex"].contains(flag);
            last.flags = value
                .split_whitespace()
                .filter(kept)
                .map(str::to_string)
                .collect();
        } else if !NO_SUMS.contains(&name)
            && let Some(kib) = value.split_whitespace().next().and_then(|n| n.parse().ok())
        {
            last.sums.push((name.to_string(), kib));
        }
    }
    list
}

impl Space {
    /// What the guest's mappings take. Where the host's list cannot be read, nothing.
    pub fn memory_use(&self) -> MemoryUse {
        let text = std::fs::read("/proc/self/smaps").unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let base = self.base();
        let state = self.lock();
        let mut out = MemoryUse::default();
        for host in parse(&text) {
            if host.entry.end <= base || host.entry.start >= base + WINDOW {
                continue;
            }
            if out.names.is_empty() {
                out.names = host.sums.iter().map(|(name, _)| name.clone()).collect();
            }
            let mut pieces = Vec::new();
            self.pieces(&state, &host.entry, |piece| pieces.push(piece));
            let weights = self.weights(&host, &pieces);
            let all: u64 = weights.iter().sum();
            for (entry, weight) in pieces.into_iter().zip(weights) {
                // Whole pages: what is counted in one mapping of the host's is shared out by pages in memory.
                let share = |kib: u64| match all {
                    0 => 0,
                    _ if weight == all => kib,
                    _ => (kib * weight / all) & !3,
                };
                out.add(Used {
                    entry,
                    kib: host.sums.iter().map(|&(_, kib)| share(kib)).collect(),
                    flags: host.flags.clone(),
                });
            }
        }
        out
    }

    /// How many pages of each piece are somewhere; 1 and nothing else where there is one piece.
    fn weights(&self, host: &HostUse, pieces: &[MapEntry]) -> Vec<u64> {
        if pieces.len() == 1 || host.sums.iter().all(|&(_, kib)| kib == 0) {
            return vec![1; pieces.len()];
        }
        let Ok(pagemap) = File::open("/proc/self/pagemap") else {
            return pieces
                .iter()
                .map(|p| u64::from((p.end - p.start) >> PAGE_SHIFT))
                .collect();
        };
        let count = |piece: &MapEntry| {
            let pages = ((piece.end - piece.start) >> PAGE_SHIFT) as usize;
            let mut entries = vec![0; pages * PAGEMAP_ENTRY];
            let at = ((self.base() + u64::from(piece.start)) >> PAGE_SHIFT) * PAGEMAP_ENTRY as u64;
            // What cannot be read counts as absent.
            let _ = pagemap.read_exact_at(&mut entries, at);
            let there = |bytes: &[u8; PAGEMAP_ENTRY]| u64::from_le_bytes(*bytes) & PRESENT_OR_SWAPPED != 0;
            entries.as_chunks().0.iter().filter(|bytes| there(bytes)).count() as u64
        };
        pieces.iter().map(count).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smaps_of_a_kernel() {
        let text = "00010000-0001a000 r-xp 00000000 b3:02 1704       /bin/cat\n\
                    Size:                 40 kB\n\
                    Rss:                  16 kB\n\
                    Private_Clean:        12 kB\n\
                    THPeligible:           0\n\
                    VmFlags: rd ex mr mw me \n";
        let list = parse(text);
        assert_eq!(list.len(), 1);
        assert_eq!((list[0].entry.start, list[0].entry.end), (0x10000, 0x1a000));
        let sums: Vec<_> = list[0].sums.iter().map(|(name, n)| (name.as_str(), *n)).collect();
        assert_eq!(sums, [("Rss", 16), ("Private_Clean", 12)]);
        assert_eq!(list[0].flags, ["mr", "mw", "me"]);
    }
}
