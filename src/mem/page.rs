//! The page table: one byte for each guest page, read without locks.
//!
//! The bytes lie eight to a 64-bit word and are read and written as words, so that every access to a word has one
//! size. Writers hold the lock of the mapping state; readers need none.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use super::addr::Prot;

/// The page is mapped, perhaps without any permission.
pub(super) const MAPPED: u8 = 1 << 3;
/// Translated code was read from the page.
pub(super) const CODE: u8 = 1 << 4;
/// The guest may write the page but the host may not: a write must first drop its translations.
pub(super) const WATCHED: u8 = 1 << 5;
/// MAP_SHARED: does not count as data.
pub(super) const SHARED: u8 = 1 << 6;
/// Part of the stack: does not count as data.
pub(super) const STACK: u8 = 1 << 7;

const WRITE: u8 = Prot::WRITE.bits();
const PAGES: usize = 1 << 20;
const WORDS: usize = PAGES / 8;
const ONES: u64 = 0x0101_0101_0101_0101;

/// What a range of pages holds.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(super) struct Summary {
    /// Mapped pages.
    pub mapped: u32,
    /// Pages that count against RLIMIT_DATA: private, writable, not stack.
    pub data: u32,
    /// Whether translated code was read from any.
    pub code: bool,
    /// Whether any is watched for writes.
    pub watched: bool,
}

impl Summary {
    fn add(&mut self, word: u64) {
        self.mapped += (word & spread(MAPPED)).count_ones();
        let data = (word >> WRITE.trailing_zeros())
            & !(word >> SHARED.trailing_zeros())
            & !(word >> STACK.trailing_zeros())
            & ONES;
        self.data += data.count_ones();
        self.code |= word & spread(CODE) != 0;
        self.watched |= word & spread(WATCHED) != 0;
    }
}

/// The same byte in all eight places.
fn spread(byte: u8) -> u64 {
    u64::from(byte) * ONES
}

/// The words of a page range with the mask of the bytes in range.
fn words(range: Range<u32>) -> impl Iterator<Item = (usize, u64)> {
    let (start, end) = (range.start as usize, range.end.max(range.start) as usize);
    let last = end.div_ceil(8);
    (start / 8..last).map(move |word| {
        let first = word * 8;
        let mut mask = u64::MAX;
        if start > first {
            mask &= u64::MAX << (8 * (start - first));
        }
        if end < first + 8 {
            mask &= !(u64::MAX << (8 * (end - first)));
        }
        (word, mask)
    })
}

/// The table. It costs memory only for the parts that were written.
pub(super) struct PageTable {
    words: &'static [AtomicU64],
}

impl PageTable {
    /// Maps an empty table. Errors are the host's errno.
    pub fn new() -> Result<PageTable, i32> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a fresh anonymous mapping.
        let got = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                PAGES,
                libc::PROT_READ | libc::PROT_WRITE,
                flags,
                -1,
                0,
            )
        };
        if got == libc::MAP_FAILED {
            return Err(std::io::Error::last_os_error()
                .raw_os_error()
                .unwrap_or(libc::ENOMEM));
        }
        // SAFETY: PAGES zeroed bytes, page-aligned, never unmapped, reached through this slice only.
        let words = unsafe { std::slice::from_raw_parts(got as *const AtomicU64, WORDS) };
        Ok(PageTable { words })
    }

    /// Where the bytes are.
    pub fn address(&self) -> u64 {
        self.words.as_ptr() as u64
    }

    /// The byte of a page.
    pub fn get(&self, page: u32) -> u8 {
        let page = page as usize % PAGES;
        (self.words[page / 8].load(Ordering::Acquire) >> (8 * (page % 8))) as u8
    }

    /// Sets the byte of a page.
    pub fn set(&self, page: u32, byte: u8) {
        self.replace(page..page + 1, 0, byte);
    }

    /// New bytes are the old ones and `keep`, or `set`. Returns what the range held before.
    pub fn replace(&self, range: Range<u32>, keep: u8, set: u8) -> Summary {
        let mut before = Summary::default();
        for (word, mask) in words(range) {
            let old = self.words[word].load(Ordering::Relaxed);
            // Most of a large range is empty.
            if old == 0 && set == 0 {
                continue;
            }
            before.add(old & mask);
            let new = (old & spread(keep) | spread(set)) & mask | old & !mask;
            if new != old {
                self.words[word].store(new, Ordering::Release);
            }
        }
        before
    }

    /// What a range holds.
    pub fn summary(&self, range: Range<u32>) -> Summary {
        let mut sum = Summary::default();
        for (word, mask) in words(range) {
            match self.words[word].load(Ordering::Relaxed) & mask {
                0 => {}
                held => sum.add(held),
            }
        }
        sum
    }

    /// How many pages of the range have `bits` where `mask` is set.
    pub fn count(&self, range: Range<u32>, mask: u8, bits: u8) -> u32 {
        let mut count = 0;
        for (word, within) in words(range) {
            let differ = (self.words[word].load(Ordering::Relaxed) ^ spread(bits)) & spread(mask);
            // Any difference in a byte becomes its lowest bit.
            let differ = differ | differ >> 4;
            let differ = differ & spread(0x0f);
            let differ = differ | differ >> 2;
            let differ = (differ | differ >> 1) & ONES;
            count += (!differ & ONES & within).count_ones();
        }
        count
    }

    /// The first page of the range that is not mapped, or the end of the range.
    pub fn first_unmapped(&self, range: Range<u32>) -> u32 {
        let end = range.end;
        for (word, mask) in words(range) {
            let holes = !self.words[word].load(Ordering::Relaxed) & spread(MAPPED) & mask;
            if holes != 0 {
                return word as u32 * 8 + holes.trailing_zeros() / 8;
            }
        }
        end
    }

    /// The first mapped page of the range, or the end of the range.
    pub fn first_mapped(&self, range: Range<u32>) -> u32 {
        let end = range.end;
        for (word, mask) in words(range) {
            let mapped = self.words[word].load(Ordering::Relaxed) & spread(MAPPED) & mask;
            if mapped != 0 {
                return word as u32 * 8 + mapped.trailing_zeros() / 8;
            }
        }
        end
    }

    /// Whether every page of the range has `bits` where `mask` is set.
    pub fn all_equal(&self, range: Range<u32>, mask: u8, bits: u8) -> bool {
        words(range).all(|(word, within)| {
            (self.words[word].load(Ordering::Relaxed) ^ spread(bits)) & spread(mask) & within == 0
        })
    }

    /// The end of the run of pages from `page` on (up to `end`) that equal it in the bits of `mask`.
    pub fn run_end(&self, page: u32, end: u32, mask: u8) -> u32 {
        let byte = self.get(page);
        for (word, within) in words(page..end) {
            let differ = (self.words[word].load(Ordering::Relaxed) ^ spread(byte)) & spread(mask) & within;
            if differ != 0 {
                return word as u32 * 8 + differ.trailing_zeros() / 8;
            }
        }
        end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_split_at_any_page() {
        let table = PageTable::new().expect("map");
        table.replace(5..21, 0, MAPPED | WRITE);
        assert_eq!(
            table.summary(0..64),
            Summary {
                mapped: 16,
                data: 16,
                ..Summary::default()
            }
        );
        table.replace(9..11, !WRITE, CODE);
        let sum = table.summary(0..64);
        assert_eq!((sum.mapped, sum.data, sum.code), (16, 14, true));
        assert_eq!(table.first_unmapped(5..64), 21);
        assert_eq!(table.first_mapped(0..64), 5);
        assert_eq!(table.first_mapped(21..64), 64);
        assert_eq!(table.run_end(5, 64, WRITE), 9);
        assert_eq!(table.run_end(9, 64, WRITE), 11);
        assert!(table.all_equal(5..9, MAPPED | WRITE, MAPPED | WRITE));
        assert!(!table.all_equal(5..10, MAPPED | WRITE, MAPPED | WRITE));
        assert_eq!(table.get(21), 0);
        table.set(PAGES as u32 - 1, MAPPED);
        assert_eq!(table.first_unmapped(PAGES as u32 - 1..PAGES as u32), PAGES as u32);
    }

    #[test]
    fn shared_and_stack_pages_are_no_data() {
        let table = PageTable::new().expect("map");
        table.replace(0..8, 0, MAPPED | WRITE | SHARED);
        table.replace(8..16, 0, MAPPED | WRITE | STACK);
        table.replace(16..24, 0, MAPPED | Prot::READ.bits());
        assert_eq!(table.summary(0..24).data, 0);
        assert_eq!(table.count(4..20, MAPPED | SHARED, MAPPED | SHARED), 4);
        assert_eq!(table.count(4..20, MAPPED | SHARED | STACK, MAPPED), 4);
        assert_eq!(table.count(0..40, WRITE, WRITE), 16);
    }
}
