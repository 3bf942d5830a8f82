//! Which blocks were made from which guest bytes, by guest page, so that a change of memory finds what it outdates.

use super::blocks::{BlockId, Blocks};
use std::ops::Range;

pub const PAGE: u32 = 4096;
const PAGES: usize = 1 << 20;
/// Pages a bit of [`PageIndex::used`] stands for.
const GROUP: usize = 1024;
const NONE: u32 = 0;

/// A block's bytes in one page.
#[derive(Clone, Copy)]
struct Node {
    block: BlockId,
    /// Offsets in the page, `first..=last`.
    first: u16,
    last: u16,
    next: u32,
}

/// The index. Heads are four bytes a guest page, of which only those in use take memory.
pub struct PageIndex {
    /// First node of each page; node 0 is never used.
    heads: Vec<u32>,
    /// Groups that have (had) nodes.
    used: [bool; PAGES / GROUP],
    nodes: Vec<Node>,
    /// Chain of free nodes.
    free: u32,
}

/// `[start, end)` as addresses that don't wrap: an `end` of 0 is the end of the address space.
pub fn widen(start: u32, end: u32) -> Range<u64> {
    u64::from(start)..if end == 0 && start != 0 {
        1 << 32
    } else {
        u64::from(end)
    }
}

impl Default for PageIndex {
    fn default() -> Self {
        Self::new()
    }
}

impl PageIndex {
    pub fn new() -> PageIndex {
        PageIndex {
            // Zeroed by the allocator, that is, mapped and untouched.
            heads: vec![NONE; PAGES],
            used: [false; PAGES / GROUP],
            nodes: Vec::new(),
            free: NONE,
        }
    }

    /// Notes that `block` depends on the bytes in `range`.
    pub fn insert(&mut self, block: BlockId, range: Range<u64>) {
        let mut at = range.start;
        while at < range.end {
            let page = (at / u64::from(PAGE)) as usize & (PAGES - 1);
            let page_end = (at / u64::from(PAGE) + 1) * u64::from(PAGE);
            let end = range.end.min(page_end);
            let node = Node {
                block,
                first: (at % u64::from(PAGE)) as u16,
                last: ((end - 1) % u64::from(PAGE)) as u16,
                next: self.heads[page],
            };
            self.heads[page] = self.new_node(node);
            self.used[page / GROUP] = true;
            at = end;
        }
    }

    fn new_node(&mut self, node: Node) -> u32 {
        if self.free != NONE {
            let index = self.free;
            let slot = &mut self.nodes[index as usize - 1];
            self.free = slot.next;
            *slot = node;
            return index;
        }
        self.nodes.push(node);
        self.nodes.len() as u32
    }

    /// Appends to `out` the live blocks that depend on bytes in `range`, some of them twice perhaps, and drops
    /// them and the dead from the lists of its pages.
    pub fn take(&mut self, range: Range<u64>, blocks: &Blocks, out: &mut Vec<BlockId>) {
        let last_page = (range.end.saturating_sub(1) / u64::from(PAGE)).min(PAGES as u64 - 1) as usize;
        let mut page = (range.start / u64::from(PAGE)) as usize;
        if range.is_empty() {
            return;
        }
        while page <= last_page {
            if !self.used[page / GROUP] {
                page = (page / GROUP + 1) * GROUP;
                continue;
            }
            if self.heads[page] != NONE {
                let base = page as u64 * u64::from(PAGE);
                self.take_from_page(page, &range, base, blocks, out);
            }
            page += 1;
        }
    }

    fn take_from_page(
        &mut self,
        page: usize,
        range: &Range<u64>,
        base: u64,
        blocks: &Blocks,
        out: &mut Vec<BlockId>,
    ) {
        let mut kept = NONE;
        let mut index = std::mem::replace(&mut self.heads[page], NONE);
        while index != NONE {
            let node = &mut self.nodes[index as usize - 1];
            let next = node.next;
            let hit = base + u64::from(node.first) < range.end && range.start <= base + u64::from(node.last);
            let dead = blocks.get(node.block).dead;
            if hit && !dead {
                out.push(node.block);
            }
            if hit || dead {
                node.next = self.free;
                self.free = index;
            } else {
                node.next = kept;
                kept = index;
            }
            index = next;
        }
        self.heads[page] = kept;
    }

    /// Whether any block, dead or alive, was noted in the page of `addr`.
    pub fn has_code(&self, addr: u32) -> bool {
        self.heads[(addr / PAGE) as usize] != NONE
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = PageIndex::new();
    }
}
