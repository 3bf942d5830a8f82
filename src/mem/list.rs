//! Which ranges are mapped, and the list for /proc/self/maps.

use std::collections::BTreeMap;
use std::ops::Range;

use super::addr::{PAGE_SHIFT, Prot, WINDOW};
use super::page::{MAPPED, STACK};
use super::space::{Space, State};

/// The mapped ranges in page numbers, neighbours joined. What is mapped in them the page table says.
#[derive(Default)]
pub(super) struct Extents {
    /// First page to the page after the last.
    map: BTreeMap<u32, u32>,
}

impl Extents {
    /// Adds a range, which may overlap what is there.
    pub fn insert(&mut self, range: Range<u32>) {
        let Range { mut start, mut end } = range;
        if let Some((&first, &last)) = self.map.range(..=start).next_back()
            && last >= start
        {
            if last >= end {
                return;
            }
            start = first;
        }
        while let Some((&first, &last)) = self.map.range(start..=end).next() {
            end = end.max(last);
            self.map.remove(&first);
        }
        self.map.insert(start, end);
    }

    /// Takes a range out.
    pub fn remove(&mut self, range: Range<u32>) {
        if let Some((_, last)) = self.map.range_mut(..range.start).next_back()
            && *last > range.start
        {
            let tail = *last;
            *last = range.start;
            if tail > range.end {
                self.map.insert(range.end, tail);
                return;
            }
        }
        while let Some((&first, &last)) = self.map.range(range.clone()).next() {
            self.map.remove(&first);
            if last > range.end {
                self.map.insert(range.end, last);
            }
        }
    }

    /// The first mapped range within `range`, cut to it.
    pub fn first_within(&self, range: Range<u32>) -> Option<Range<u32>> {
        if range.is_empty() {
            return None;
        }
        let before = self
            .map
            .range(..range.start)
            .next_back()
            .filter(|&(_, &last)| last > range.start);
        let (&first, &last) = before.or_else(|| self.map.range(range.clone()).next())?;
        Some(first.max(range.start)..last.min(range.end))
    }

    /// From the first to the last mapped page within `range`.
    pub fn hull(&self, range: Range<u32>) -> Option<Range<u32>> {
        let first = self.first_within(range.clone())?;
        let (_, &last) = self.map.range(..range.end).next_back()?;
        Some(first.start..last.min(range.end))
    }

    /// Whether nothing lies in the range; `gap` tells how many pages below a mapping must stay free as well.
    pub fn is_free(&self, range: Range<u32>, gap: impl Fn(u32) -> u32) -> bool {
        if let Some((&first, &last)) = self.map.range(..range.end).next_back()
            && first < range.end
            && last > range.start
        {
            return false;
        }
        match self.map.range(range.end..).next() {
            Some((&first, _)) => first.saturating_sub(gap(first)) >= range.end,
            None => true,
        }
    }

    /// The highest free range of `count` pages within `within` that starts at a multiple of `align`.
    pub fn top_down(
        &self,
        count: u32,
        align: u32,
        within: Range<u32>,
        gap: impl Fn(u32) -> u32,
    ) -> Option<u32> {
        let place = |bottom: u32, top: u32| {
            let start = top.checked_sub(count)?;
            let start = start - start % align;
            (start >= bottom).then_some(start)
        };
        let mut top = within.end;
        for (&first, &last) in self.map.range(..within.end).rev() {
            if let Some(start) = place(last.max(within.start), top) {
                return Some(start);
            }
            top = top.min(first.saturating_sub(gap(first)));
        }
        place(within.start, top)
    }

    /// The lowest free range of `count` pages within `within` that starts at a multiple of `align`.
    pub fn bottom_up(
        &self,
        count: u32,
        align: u32,
        within: Range<u32>,
        gap: impl Fn(u32) -> u32,
    ) -> Option<u32> {
        let place = |bottom: u32, top: u32| {
            let start = bottom.checked_next_multiple_of(align)?;
            (start.checked_add(count)? <= top).then_some(start)
        };
        let mut bottom = within.start;
        if let Some((_, &last)) = self.map.range(..=within.start).next_back() {
            bottom = bottom.max(last);
        }
        for (&first, &last) in self.map.range(within.start + 1..) {
            if let Some(start) = place(bottom, first.saturating_sub(gap(first)).min(within.end)) {
                return Some(start);
            }
            bottom = bottom.max(last);
        }
        place(bottom, within.end)
    }
}

/// A line of /proc/self/maps as the guest is to see it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MapEntry {
    pub start: u32,
    /// The address after the last one.
    pub end: u32,
    pub prot: Prot,
    pub shared: bool,
    /// Bytes into the file.
    pub offset: u64,
    /// Major and minor number of the file's device.
    pub dev: (u32, u32),
    pub inode: u64,
    /// The file as the host names it, or a name in brackets; empty for anonymous memory.
    pub path: Vec<u8>,
}

/// A line of the host's /proc/self/maps.
pub(super) struct HostEntry {
    pub start: u64,
    pub end: u64,
    shared: bool,
    offset: u64,
    dev: (u32, u32),
    inode: u64,
    path: Vec<u8>,
}

pub(super) fn parse_line(line: &[u8]) -> Option<HostEntry> {
    let hex = |text: &[u8]| u64::from_str_radix(std::str::from_utf8(text).ok()?, 16).ok();
    let mut fields = line.splitn(6, |&b| b == b' ');
    let (start, end) = split(fields.next()?, b'-')?;
    let flags = fields.next()?;
    let offset = fields.next()?;
    let (major, minor) = split(fields.next()?, b':')?;
    let inode = fields.next()?;
    let path = fields.next().unwrap_or_default().trim_ascii_start();
    Some(HostEntry {
        start: hex(start)?,
        end: hex(end)?,
        shared: flags.get(3) == Some(&b's'),
        offset: hex(offset)?,
        dev: (hex(major)? as u32, hex(minor)? as u32),
        inode: std::str::from_utf8(inode).ok()?.parse().ok()?,
        path: path.to_vec(),
    })
}

fn split(text: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let i = text.iter().position(|&b| b == at)?;
    Some((&text[..i], &text[i + 1..]))
}

impl Space {
    /// The guest's mappings, ascending. Files are as the host shows them (deleted ones, names of shared memory and
    /// all); permissions are the guest's; nothing of the emulator's is listed. Where the host's list cannot be read,
    /// every mapping is shown as anonymous.
    pub fn maps(&self) -> Vec<MapEntry> {
        let text = std::fs::read("/proc/self/maps").unwrap_or_default();
        let state = self.lock();
        let base = self.base();
        let mut host: Vec<HostEntry> = text
            .split(|&b| b == b'\n')
            .filter_map(parse_line)
            .filter(|entry| entry.end > base && entry.start < base + WINDOW)
            .collect();
        if host.is_empty() {
            host.push(HostEntry {
                start: base,
                end: base + WINDOW,
                shared: false,
                offset: 0,
                dev: (0, 0),
                inode: 0,
                path: Vec::new(),
            });
        }
        let mut list: Vec<MapEntry> = Vec::new();
        for entry in &host {
            self.pieces(&state, entry, |piece| push(&mut list, piece));
        }
        list
    }

    /// The guest's mappings within one of the host's, which may be several and may leave parts out.
    pub(super) fn pieces(&self, state: &State, entry: &HostEntry, mut each: impl FnMut(MapEntry)) {
        let base = self.base();
        let first = (entry.start.max(base) - base) >> PAGE_SHIFT;
        let end = ((entry.end.min(base + WINDOW).max(base) - base) >> PAGE_SHIFT) as u32;
        let mut page = self.table.first_mapped(first.min(u64::from(end)) as u32..end);
        while page < end {
            let mask = MAPPED | STACK | Prot::all().bits();
            let until = state.name_end(page, self.table.run_end(page, end, mask));
            let into = self.at(page) - entry.start;
            each(MapEntry {
                start: page << PAGE_SHIFT,
                end: until << PAGE_SHIFT,
                prot: Prot::from_bits_truncate(self.table.get(page)),
                shared: entry.shared,
                offset: if entry.inode == 0 { 0 } else { entry.offset + into },
                dev: entry.dev,
                inode: entry.inode,
                path: match state.name(page, until) {
                    Some(name) if entry.inode == 0 => name.as_bytes().to_vec(),
                    _ => entry.path.clone(),
                },
            });
            page = self.table.first_mapped(until..end);
        }
    }
}

impl MapEntry {
    /// Takes in the mapping that follows if the guest cannot tell them apart.
    pub(super) fn join(&mut self, next: &MapEntry) -> bool {
        let joined = self.end == next.start
            && (self.prot, self.shared, self.dev, self.inode)
                == (next.prot, next.shared, next.dev, next.inode)
            && self.path == next.path
            && (next.inode == 0 || self.offset + u64::from(self.end - self.start) == next.offset);
        if joined {
            self.end = next.end;
        }
        joined
    }
}

/// Appends an entry, joined to the last one where possible.
fn push(list: &mut Vec<MapEntry>, entry: MapEntry) {
    if !list.last_mut().is_some_and(|last| last.join(&entry)) {
        list.push(entry);
    }
}

impl State {
    /// Pages of the heap.
    fn heap(&self) -> Range<u32> {
        self.start_brk >> PAGE_SHIFT..self.brk.div_ceil(1 << PAGE_SHIFT)
    }

    /// Cuts a run of pages that starts at `page` where the kernel's name of it begins or ends.
    fn name_end(&self, page: u32, end: u32) -> u32 {
        let heap = self.heap();
        self.named
            .iter()
            .flat_map(|(range, _)| [range.start, range.end])
            .chain([heap.start, heap.end])
            .filter(|&edge| edge > page)
            .fold(end, u32::min)
    }

    /// The kernel's name of a run of anonymous pages.
    fn name(&self, page: u32, end: u32) -> Option<&'static str> {
        if let Some((_, name)) = self.named.iter().find(|(range, _)| range.contains(&page)) {
            return Some(name);
        }
        if self.heap().contains(&page) {
            return Some("[heap]");
        }
        (page..end)
            .contains(&(self.start_stack >> PAGE_SHIFT))
            .then_some("[stack]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(e: &Extents) -> Vec<Range<u32>> {
        e.map.iter().map(|(&first, &last)| first..last).collect()
    }

    #[test]
    fn insert_joins_and_remove_splits() {
        let mut e = Extents::default();
        e.insert(10..20);
        e.insert(30..40);
        e.insert(20..25);
        assert_eq!(ranges(&e), [10..25, 30..40]);
        e.insert(24..31);
        assert_eq!(ranges(&e), vec![10..40; 1]);
        e.remove(15..18);
        assert_eq!(ranges(&e), [10..15, 18..40]);
        e.remove(0..11);
        e.remove(39..100);
        assert_eq!(ranges(&e), [11..15, 18..39]);
        e.remove(12..20);
        assert_eq!(ranges(&e), [11..12, 20..39]);
        e.remove(0..100);
        assert_eq!(ranges(&e), []);
    }

    /// A model with one bit a page agrees after many operations.
    #[test]
    fn agrees_with_a_bitmap() {
        let mut e = Extents::default();
        let mut bits = [false; 128];
        let mut seed = 1u64;
        for _ in 0..20_000 {
            seed = seed
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            let start = (seed >> 33) as usize % 128;
            let end = (start + 1 + (seed >> 43) as usize % 20).min(128);
            let add = seed >> 60 & 1 == 0;
            if add {
                e.insert(start as u32..end as u32);
            } else {
                e.remove(start as u32..end as u32);
            }
            bits[start..end].fill(add);
            let free = |a: usize, b: usize| bits[a..b].iter().all(|&b| !b);
            let count = 1 + (seed >> 53) as usize % 9;
            let down = (0..=128 - count)
                .rev()
                .find(|&s| free(s, s + count))
                .map(|s| s as u32);
            let up = (0..=128 - count).find(|&s| free(s, s + count)).map(|s| s as u32);
            assert_eq!(e.top_down(count as u32, 1, 0..128, |_| 0), down);
            assert_eq!(e.bottom_up(count as u32, 1, 0..128, |_| 0), up);
            let aligned = (0..=128 - count)
                .rev()
                .find(|&s| s % 4 == 0 && free(s, s + count));
            assert_eq!(
                e.top_down(count as u32, 4, 0..128, |_| 0),
                aligned.map(|s| s as u32)
            );
            assert_eq!(e.is_free(start as u32..end as u32, |_| 0), free(start, end));
            let first = (start..end).find(|&p| bits[p]).map(|p| p as u32);
            let stop = first.map(|p| (p as usize..end).find(|&q| !bits[q]).unwrap_or(end) as u32);
            let last = (start..end).rev().find(|&p| bits[p]).map(|p| p as u32 + 1);
            let range = start as u32..end as u32;
            assert_eq!(e.first_within(range.clone()), first.zip(stop).map(|(a, b)| a..b));
            assert_eq!(e.hull(range), first.zip(last).map(|(a, b)| a..b));
            let runs: Vec<_> = ranges(&e);
            assert!(runs.windows(2).all(|w| w[0].end < w[1].start));
        }
    }

    #[test]
    fn host_lines_parse() {
        let e = parse_line(b"10000-11000 r--s 00002000 fe:01 1234                       /tmp/a b (deleted)")
            .expect("a line");
        assert_eq!(
            (e.start, e.end, e.shared, e.offset, e.inode),
            (0x10000, 0x11000, true, 0x2000, 1234)
        );
        assert_eq!((e.dev, &e.path[..]), ((0xfe, 1), &b"/tmp/a b (deleted)"[..]));
        assert!(parse_line(b"").is_none());
    }
}
