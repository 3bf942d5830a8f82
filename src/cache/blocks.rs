//! Translated blocks: found by guest location when translating and linking, by host offset when something faults.

use super::rows;
use crate::cpu::location::Location;
use crate::x64::code::{Code, FpRow, Row};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A block of this cache; good until the cache starts again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BlockId(pub u32);

/// "No exit" in [`Block::incoming`] and in the chain of incoming exits.
pub const NO_EXIT: u32 = u32::MAX;

/// What is kept of a block.
#[derive(Clone, Debug)]
pub struct Block {
    pub location: Location,
    /// Offset in the arena, and length in bytes.
    pub host: u32,
    pub len: u32,
    /// Offset within it of its second entry (`Code::loop_head`), 0 if it has none.
    pub loop_head: u32,
    /// Its rows in [`Blocks::rows`].
    rows: (u32, u32),
    /// Its floating-point rows in [`Blocks::fp_rows`].
    fp_rows: (u32, u32),
    /// Head of the chain of exits linked to it.
    pub incoming: u32,
    /// The code no longer means what the guest's memory says: nothing leads here any more.
    pub dead: bool,
    /// Its jump table has been told of it.
    pub in_table: bool,
    /// Floating-point traps settled in it at a stretch so far, and when the first was, in nanoseconds.
    pub traps: u8,
    pub traps_since: u64,
}

impl Block {
    /// Whether indirect branches may come here: not into the middle of an IT block.
    pub fn takes_indirect(&self) -> bool {
        self.location.it == 0
    }
}

/// A multiplicative hash of one word: locations are well spread and not chosen by an adversary against us (a guest
/// that tries slows down itself).
#[derive(Default)]
pub struct WordHasher(u64);

impl Hasher for WordHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for &b in bytes {
            self.write_u64(u64::from(b));
        }
    }
    fn write_u64(&mut self, n: u64) {
        let x = (self.0 ^ n).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = x ^ x >> 32;
    }
}

/// A map keyed by [`Location::pack`].
pub type LocationMap<V> = HashMap<u64, V, BuildHasherDefault<WordHasher>>;

/// All blocks since the cache last started, dead ones included, in host order (allocation only moves up).
#[derive(Default)]
pub struct Blocks {
    all: Vec<Block>,
    by_location: LocationMap<u32>,
    rows: Vec<u8>,
    fp_rows: Vec<FpRow>,
}

impl Blocks {
    /// Records the block placed at `host`, above every earlier one, and makes it the one for its location.
    pub fn insert(&mut self, location: Location, host: u32, code: &Code) -> BlockId {
        let id = self.all.len() as u32;
        let rows_start = self.rows.len() as u32;
        if code.packed_rows.is_empty() {
            rows::pack(&mut self.rows, &code.rows, location.pc);
        } else {
            self.rows.extend_from_slice(&code.packed_rows);
        }
        let fp_start = self.fp_rows.len() as u32;
        self.fp_rows.extend_from_slice(&code.fp_rows);
        self.all.push(Block {
            location,
            host,
            len: code.bytes.len() as u32,
            loop_head: code.loop_head,
            rows: (rows_start, self.rows.len() as u32),
            fp_rows: (fp_start, self.fp_rows.len() as u32),
            incoming: NO_EXIT,
            dead: false,
            in_table: false,
            traps: 0,
            traps_since: 0,
        });
        self.by_location.insert(location.pack(), id);
        BlockId(id)
    }

    /// The live block for `location`.
    pub fn find(&self, location: Location) -> Option<BlockId> {
        self.by_location.get(&location.pack()).copied().map(BlockId)
    }

    /// The block whose code holds arena offset `host`, dead or alive.
    pub fn at_host(&self, host: u32) -> Option<BlockId> {
        let index = self.all.partition_point(|b| b.host <= host).checked_sub(1)?;
        (host - self.all[index].host < self.all[index].len).then_some(BlockId(index as u32))
    }

    pub fn get(&self, id: BlockId) -> &Block {
        &self.all[id.0 as usize]
    }

    pub fn get_mut(&mut self, id: BlockId) -> &mut Block {
        &mut self.all[id.0 as usize]
    }

    /// Marks a block dead and takes it out of the location map.
    pub fn bury(&mut self, id: BlockId) {
        let block = &mut self.all[id.0 as usize];
        block.dead = true;
        let key = block.location.pack();
        if self.by_location.get(&key) == Some(&id.0) {
            self.by_location.remove(&key);
        }
    }

    /// Blocks recorded since the start, dead ones included.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Bytes of side tables.
    pub fn table_bytes(&self) -> usize {
        self.rows.len() + size_of::<FpRow>() * self.fp_rows.len() + size_of::<Block>() * self.all.len()
    }

    /// The rows of a block, packed.
    pub fn packed_rows(&self, id: BlockId) -> &[u8] {
        let block = self.get(id);
        &self.rows[block.rows.0 as usize..block.rows.1 as usize]
    }

    /// The last row at or before arena offset `host`, with `Row::host` made an arena offset.
    pub fn row_at(&self, id: BlockId, host: u32) -> Option<Row> {
        let block = self.get(id);
        let mut row = rows::row_at(self.packed_rows(id), block.location.pc, host - block.host)?;
        row.host += block.host;
        Some(row)
    }

    /// The floating-point row at exactly arena offset `host`.
    pub fn fp_row_at(&self, id: BlockId, host: u32) -> Option<FpRow> {
        let block = self.get(id);
        let rows = &self.fp_rows[block.fp_rows.0 as usize..block.fp_rows.1 as usize];
        let index = rows.binary_search_by_key(&(host - block.host), |r| r.host).ok()?;
        Some(rows[index])
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Blocks::default();
    }
}
