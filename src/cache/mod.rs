//! The code cache: code memory, the blocks in it, the links between them, and their end when guest code changes.
//!
//! All of it is behind one lock (the caller's), which translated code never takes: it finds its way by patched jumps
//! and the jump tables alone. A thread in translated code holds no lock, so a signal handler that interrupted one may
//! take it.
//!
//! A block that is outdated is *killed*: its jump-table entry is emptied, jumps to it are led back to their stubs,
//! and its first byte becomes `int3`, which sends a thread that was just about to enter to the run loop. A thread
//! inside it finishes it, as the architecture allows until the thread itself synchronises. Its memory is used again
//! only after all threads have left translated code ([`Cache::retire`], then [`Cache::restart`]).

pub mod arena;
pub mod blocks;
pub mod jump_table;
pub mod links;
pub mod pages;
pub mod rows;
pub mod store;

#[cfg(test)]
mod tests;

use crate::cpu::location::{FpKey, Location};
use crate::diag::stats::stats;
use crate::x64::code::{Code, FpRow, Row};
use arena::{Arena, Place};
use blocks::{Block, BlockId, Blocks, LocationMap};
use jump_table::{Form, JumpTable};
use links::Links;
use pages::PageIndex;
use std::io;
use std::ops::Range;
use std::os::fd::OwnedFd;

/// What a dead block's first byte becomes.
pub const INT3: u8 = 0xcc;

/// Dead code below which starting again is never worth it, bytes.
const DEAD_BYTES_TOLERATED: usize = 1 << 20;

/// Code up to which a child of fork gets a copy (some 0.2 us a page) instead of translating again.
const COPIED_AT_FORK: usize = 1 << 20;

/// Floating-point traps at a stretch after which a block is translated again with calls instead of host instructions,
/// if they came so fast that hardly anything happened between them.
pub const TRAPS_BEFORE_SOFT: u8 = 8;
/// Nanoseconds for so many traps: each takes about 2 us, in which calls do some twenty operations.
const FAST_TRAPS: u64 = TRAPS_BEFORE_SOFT as u64 * 4_000;

/// The arena is full: retire and restart the cache, then translate again.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the code arena is full")]
pub struct Full;

/// The code cache of a process.
pub struct Cache {
    arena: Arena,
    /// Bytes at the start of the arena that are the stubs'.
    stubs_len: usize,
    /// One jump table for each floating-point key seen, the default key's first.
    tables: Vec<(FpKey, JumpTable)>,
    blocks: Blocks,
    links: Links,
    pages: PageIndex,
    /// Locations whose floating point goes through calls.
    soft: LocationMap<()>,
    dead_bytes: usize,
    /// Ranges invalidated while a translation reads guest memory, if one does.
    during_translation: Option<Vec<Range<u64>>>,
    /// Scratch for invalidation.
    doomed: Vec<BlockId>,
}

impl Cache {
    /// A cache whose arena starts with `stubs` (the miss stub at offset 0).
    ///
    /// # Errors
    /// The host's error when the memory cannot be had.
    pub fn new(place: Option<Place>, stubs: &[u8]) -> io::Result<Cache> {
        let mut cache = Cache {
            arena: Arena::new(place)?,
            stubs_len: 0,
            tables: vec![(FpKey::SCALAR, JumpTable::new()?)],
            blocks: Blocks::default(),
            links: Links::default(),
            pages: PageIndex::new(),
            soft: LocationMap::default(),
            dead_bytes: 0,
            during_translation: None,
            doomed: Vec::new(),
        };
        cache.place_stubs(stubs);
        Ok(cache)
    }

    fn place_stubs(&mut self, stubs: &[u8]) {
        if let Some(0) = self.arena.alloc(stubs.len()) {
            self.arena.write(0, stubs);
        }
        self.stubs_len = stubs.len();
    }

    pub fn place(&self) -> Place {
        self.arena.place()
    }

    /// Bytes of code in the arena, dead code and stubs included.
    pub fn used(&self) -> usize {
        self.arena.used()
    }

    /// Bytes of side tables.
    pub fn table_bytes(&self) -> usize {
        self.blocks.table_bytes()
    }

    /// The jump table of `fp`, made now if need be: its form and what gs is to point at.
    ///
    /// # Errors
    /// The host's error when there is no room for another table.
    pub fn table(&mut self, fp: FpKey) -> io::Result<(Form, u64)> {
        let index = match self.tables.iter().position(|(key, _)| *key == fp) {
            Some(index) => index,
            None => {
                self.tables.push((fp, JumpTable::new()?));
                self.tables.len() - 1
            }
        };
        let table = &self.tables[index].1;
        Ok((table.form(), table.base()))
    }

    fn table_mut(&mut self, fp: FpKey) -> Option<&mut JumpTable> {
        self.tables.iter_mut().find(|(key, _)| *key == fp).map(|(_, t)| t)
    }

    /// Notes that a translation begins to read guest memory: [`Cache::insert`] must hear of changes meanwhile.
    pub fn begin_translation(&mut self) {
        self.during_translation = Some(Vec::new());
    }

    /// Ends a translation; whether the guest memory in `ranges` stayed as it was read.
    pub fn end_translation(&mut self, ranges: &[Range<u64>]) -> bool {
        let changed = self.during_translation.take().unwrap_or_default();
        !changed
            .iter()
            .any(|c| ranges.iter().any(|r| c.start < r.end && r.start < c.end))
    }

    /// Places `code`, made from the guest bytes in `ranges`, and makes it the block of `location`.
    ///
    /// # Errors
    /// [`Full`].
    pub fn insert(
        &mut self,
        location: Location,
        code: &Code,
        ranges: &[Range<u64>],
    ) -> Result<BlockId, Full> {
        if let Some(old) = self.blocks.find(location) {
            self.kill(old);
        }
        let host = self.arena.alloc(code.bytes.len()).ok_or(Full)?;
        self.arena.write(host, &code.bytes);
        let id = self.blocks.insert(location, host, code);
        self.links.insert(&mut self.arena, id, host, code);
        for range in ranges {
            self.pages.insert(id, range.clone());
        }
        Ok(id)
    }

    /// The live block of `location`.
    pub fn find(&self, location: Location) -> Option<BlockId> {
        self.blocks.find(location)
    }

    pub fn block(&self, id: BlockId) -> &Block {
        self.blocks.get(id)
    }

    /// Host address of a block's entry.
    pub fn entry(&self, id: BlockId) -> u64 {
        self.arena.base() + u64::from(self.blocks.get(id).host)
    }

    /// The side-table rows of a block, packed.
    pub fn packed_rows(&self, id: BlockId) -> &[u8] {
        self.blocks.packed_rows(id)
    }

    /// The code bytes of a block, for the log.
    pub fn bytes(&self, id: BlockId) -> Vec<u8> {
        let block = self.blocks.get(id);
        self.arena.read(block.host, block.len as usize)
    }

    /// Lets indirect branches to the block's location find it.
    pub fn fill_table(&mut self, id: BlockId) {
        let block = self.blocks.get(id);
        if block.dead || !block.takes_indirect() {
            return;
        }
        let (location, host) = (block.location, block.host);
        let filled = self
            .table_mut(location.fp)
            .is_some_and(|t| t.set(location.target(), host));
        self.blocks.get_mut(id).in_table = filled;
    }

    /// Target of the exit with identifier `id`, in the FP mode of its block: what to translate and link.
    pub fn exit_target(&self, id: u32) -> Option<Location> {
        let site = self.links.get(id)?;
        Some(Location {
            pc: site.target & !1,
            thumb: site.target & 1 == 1,
            it: 0,
            fp: self.blocks.get(site.from).location.fp,
        })
    }

    /// Identifiers of exits are below this.
    pub fn exits(&self) -> u32 {
        self.links.len() as u32
    }

    /// Makes exit `id` jump straight to `to`.
    pub fn link(&mut self, id: u32, to: BlockId) {
        if self.links.link(&mut self.arena, &mut self.blocks, id, to) {
            stats().links.add(1);
        }
    }

    /// The block whose code holds arena offset `host`.
    pub fn at_host(&self, host: u32) -> Option<BlockId> {
        self.blocks.at_host(host)
    }

    /// Side-table row for arena offset `host` in block `id`; `Row::host` is an arena offset.
    pub fn row_at(&self, id: BlockId, host: u32) -> Option<Row> {
        self.blocks.row_at(id, host)
    }

    /// The floating-point row at exactly arena offset `host`.
    pub fn fp_row_at(&self, id: BlockId, host: u32) -> Option<FpRow> {
        self.blocks.fp_row_at(id, host)
    }

    /// Kills every block that depends on guest bytes in `[start, end)`; how many.
    pub fn invalidate(&mut self, range: Range<u64>) -> usize {
        if let Some(changes) = &mut self.during_translation {
            changes.push(range.clone());
        }
        let mut doomed = std::mem::take(&mut self.doomed);
        self.pages.take(range, &self.blocks, &mut doomed);
        let mut count = 0;
        for &id in &doomed {
            count += usize::from(self.kill(id));
        }
        doomed.clear();
        self.doomed = doomed;
        if count > 0 {
            stats().invalidations.add(1);
            stats().blocks_dropped.add(count as u64);
        }
        count
    }

    /// Whether any translation was made from the page of `addr`.
    pub fn has_code(&self, addr: u32) -> bool {
        self.pages.has_code(addr)
    }

    /// Cuts a block off from everything that leads to it. False if it was dead.
    fn kill(&mut self, id: BlockId) -> bool {
        let block = self.blocks.get(id);
        if block.dead {
            return false;
        }
        let (location, host, len, in_table) = (block.location, block.host, block.len, block.in_table);
        let loop_head = block.loop_head;
        if in_table && let Some(table) = self.table_mut(location.fp) {
            table.clear(location.target(), host);
        }
        self.links.unlink_incoming(&mut self.arena, &mut self.blocks, id);
        self.arena.store8(host, INT3);
        self.arena.store8(host + loop_head, INT3);
        self.blocks.bury(id);
        self.dead_bytes += len as usize;
        true
    }

    /// If arena offset `host` is the entry of a dead block, the guest location it stood for.
    pub fn dead_entry(&self, host: u32) -> Option<Location> {
        let block = self.blocks.get(self.at_host(host)?);
        let entry = host == block.host || host == block.host + block.loop_head;
        (block.dead && entry).then_some(block.location)
    }

    /// Counts a settled floating-point trap in block `id` at the time `now` in nanoseconds; after eight in quick
    /// succession the block gives way to one that calls the soft implementation.
    pub fn count_trap(&mut self, id: BlockId, now: u64) {
        let block = self.blocks.get_mut(id);
        if block.traps == 0 {
            block.traps_since = now;
        }
        block.traps += 1;
        if block.traps < TRAPS_BEFORE_SOFT {
            return;
        }
        block.traps = 0;
        if now.wrapping_sub(block.traps_since) < FAST_TRAPS && !block.dead {
            let key = block.location.pack();
            self.soft.insert(key, ());
            self.kill(id);
        }
    }

    /// Whether the block of `location` is to do floating point by calls.
    pub fn is_soft(&self, location: Location) -> bool {
        self.soft.contains_key(&location.pack())
    }

    /// Whether so much of the arena is dead that starting again is worth it.
    pub fn is_mostly_dead(&self) -> bool {
        self.dead_bytes > DEAD_BYTES_TOLERATED.max(self.arena.used() / 2)
    }

    /// First half of a full flush: kills every block, so that threads leave translated code. What signal handlers
    /// need stays until [`Cache::restart`].
    pub fn retire(&mut self) {
        for (_, table) in &mut self.tables {
            table.wipe();
        }
        for index in 0..self.blocks.len() {
            self.kill(BlockId(index as u32));
        }
    }

    /// Second half, when no other thread is in translated code: forgets all blocks and reuses their memory.
    pub fn restart(&mut self) {
        self.forget_blocks();
        self.arena.reset(self.stubs_len);
        stats().cache_flushes.add(1);
    }

    fn forget_blocks(&mut self) {
        self.blocks.clear();
        self.links.clear();
        self.pages.clear();
        self.dead_bytes = 0;
        // A translation that was under way when all was forgotten is void.
        if let Some(changes) = &mut self.during_translation {
            changes.push(0..1 << 32);
        }
    }

    /// Before fork(2): a copy of the code for the child, if that is little enough to be worth it.
    pub fn copy_code(&self) -> Option<OwnedFd> {
        (self.arena.used() <= COPIED_AT_FORK)
            .then(|| self.arena.copy().ok())
            .flatten()
    }

    /// In a child after fork(2): goes on with `code`, the parent's [`copy_code`](Cache::copy_code); all else is a copy
    /// already.
    ///
    /// # Errors
    /// The host's error; the process cannot run guest code then.
    pub fn adopt_code(&mut self, code: &OwnedFd) -> io::Result<()> {
        self.arena.adopt(code)
    }

    /// In a child after fork(2): a fresh arena at the same addresses, which starts with `stubs`, and empty tables.
    ///
    /// # Errors
    /// The host's error; the process cannot run guest code then.
    pub fn renew(&mut self, stubs: &[u8]) -> io::Result<()> {
        self.arena.renew()?;
        self.place_stubs(stubs);
        self.forget_blocks();
        self.during_translation = None;
        for (_, table) in &mut self.tables {
            table.wipe();
        }
        Ok(())
    }
}
