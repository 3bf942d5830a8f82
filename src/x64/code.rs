//! What the back end hands to the code cache: position-independent bytes, exits to link, side tables.

use crate::diag::stats::EarlyExit;
use crate::ir::ops::{Block, Op};

/// A compiled block. Its bytes may be placed at any 16-byte aligned address of the arena once the exit
/// identifiers have been filled in; everything outside the block is reached through the state pointer.
#[derive(Debug, Default)]
pub struct Code {
    pub bytes: Vec<u8>,
    pub exits: Vec<Exit>,
    /// Sorted by host offset.
    pub rows: Vec<Row>,
    /// Instead of them, what the code cache makes of them: where the code comes from its store.
    pub packed_rows: Vec<u8>,
    /// Sorted by host offset: floating-point instructions that may trap.
    pub fp_rows: Vec<FpRow>,
    /// Guest instructions translated (for statistics).
    pub guest_insns: u32,
    /// Advanced SIMD instructions among them.
    pub simd_insns: u32,
    /// Offset of the second entry of a block that jumps to itself, 0 if it has none: when the block dies, nothing may
    /// come in here either.
    pub loop_head: u32,
    /// Bytes before the cold part (exit stubs), for statistics.
    pub hot_bytes: u32,
    /// Where the constants begin, behind all code and 16-byte aligned: the end if there are none.
    pub pool: u32,
    /// Ways out before the end, if they are counted.
    pub early: Vec<EarlyExit>,
}

/// A direct exit: a jump, conditional jump or call whose 32-bit displacement can be patched.
#[derive(Clone, Copy, Debug)]
pub struct Exit {
    /// Offset in the block of the displacement; the field lies within one aligned 8-byte word. The displacement is
    /// relative to `patch + 4`, as always.
    pub patch: u32,
    /// Offset of the exit's own stub, to which the displacement points while unlinked.
    pub stub: u32,
    /// Offset of the 32-bit immediate in the stub that receives the exit's identifier.
    pub id_imm: u32,
    /// Guest address, T bit in bit 0; the target block is the one in this block's own FP mode.
    pub target: u32,
}

/// Where the guest's NZCV is at a point of the block.
///
/// Flags not in `eflags` are in the state's bytes. `inverted` says that C is the complement of CF (after a
/// subtraction), `float` that EFLAGS hold the result of UCOMIS from which ARM's NZCV follows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FlagsAt {
    /// Subset of NZCV (`ir::ops::Flags` bits) that is in EFLAGS.
    pub eflags: u8,
    pub inverted: bool,
    pub float: bool,
}

/// From `host` on (until the next row) the code belongs to the guest instruction at `pc`.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Offset in the block.
    pub host: u32,
    /// Guest address.
    pub pc: u32,
    pub thumb: bool,
    /// ITSTATE before the instruction.
    pub it: u8,
    /// At exactly `host` the state is the architectural one before this instruction. Rows without it
    /// only say where the flags have gone within the instruction.
    pub boundary: bool,
    /// The code from here on is glue of no instruction (exit stubs): no boundary until it has been left.
    pub glue: bool,
    pub flags: FlagsAt,
}

/// Where an operand of a floating-point instruction is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FpLoc {
    None,
    Xmm(u8),
    /// Host general register.
    Gpr(u8),
    /// Byte offset from the state pointer.
    State(i32),
}

/// A host floating-point instruction that may raise #XM (SIGFPE) for Invalid, Denormal or Underflow; the handler
/// evaluates `op` with `ir::interp::fp_op` (or `vec_op`), writes the result to `dst`, and resumes at `host + len`: behind
/// this instruction, or behind all those that the operation consists of.
#[derive(Clone, Copy, Debug)]
pub struct FpRow {
    pub host: u32,
    pub len: u16,
    pub op: Op,
    pub aux: u8,
    pub imm: u32,
    pub imm2: u32,
    pub args: [FpLoc; 3],
    /// For comparisons `None`: the result goes to EFLAGS as UCOMIS sets them.
    pub dst: FpLoc,
}

/// In [`FpRow::to_words`] a place is its kind in bits 31-28 and its number below.
const KIND: u32 = 28;

impl FpRow {
    /// Words of the form without pointers or padding.
    pub const WORDS: usize = 8;

    /// Host offset, length with `aux` and operation, `imm`, `imm2`, four places; `None` if a number is too large.
    pub fn to_words(&self) -> Option<[u32; FpRow::WORDS]> {
        let place = |at: &FpLoc| match *at {
            FpLoc::None => Some(0),
            FpLoc::Xmm(n) => Some(1 << KIND | u32::from(n)),
            FpLoc::Gpr(n) => Some(2 << KIND | u32::from(n)),
            FpLoc::State(offset) => u32::try_from(offset)
                .ok()
                .filter(|&n| n < 1 << KIND)
                .map(|n| 3 << KIND | n),
        };
        let [a, b, c] = &self.args;
        Some([
            self.host,
            u32::from(self.len) | u32::from(self.aux) << 16 | (self.op as u32) << 24,
            self.imm,
            self.imm2,
            place(a)?,
            place(b)?,
            place(c)?,
            place(&self.dst)?,
        ])
    }

    /// The inverse of [`FpRow::to_words`].
    pub fn from_words([host, what, imm, imm2, a, b, c, dst]: [u32; FpRow::WORDS]) -> Option<FpRow> {
        let place = |word: u32| match (word >> KIND, word & ((1 << KIND) - 1)) {
            (0, 0) => Some(FpLoc::None),
            (1, n) => u8::try_from(n).ok().map(FpLoc::Xmm),
            (2, n) => u8::try_from(n).ok().map(FpLoc::Gpr),
            (3, n) => Some(FpLoc::State(n as i32)),
            _ => None,
        };
        Some(FpRow {
            host,
            len: what as u16,
            op: *Op::ALL.get((what >> 24) as usize)?,
            aux: (what >> 16) as u8,
            imm,
            imm2,
            args: [place(a)?, place(b)?, place(c)?],
            dst: place(dst)?,
        })
    }
}

impl Code {
    /// Empty code for `block`, in the memory of this one.
    pub(super) fn renewed(mut self, block: &Block) -> Code {
        self.bytes.clear();
        self.exits.clear();
        self.rows.clear();
        self.fp_rows.clear();
        self.early.clear();
        self.packed_rows.clear();
        Code {
            bytes: self.bytes,
            exits: self.exits,
            rows: self.rows,
            packed_rows: self.packed_rows,
            fp_rows: self.fp_rows,
            guest_insns: block.guest_insns,
            simd_insns: block.simd_insns,
            loop_head: 0,
            hot_bytes: 0,
            pool: 0,
            early: self.early,
        }
    }

    /// The last row at or before `offset`.
    pub fn row_at(&self, offset: u32) -> Option<&Row> {
        row_at(&self.rows, offset)
    }

    pub fn fp_row_at(&self, offset: u32) -> Option<&FpRow> {
        self.fp_rows
            .binary_search_by_key(&offset, |r| r.host)
            .ok()
            .map(|i| &self.fp_rows[i])
    }
}

/// The last of `rows` (sorted by host offset) at or before `offset`.
pub fn row_at(rows: &[Row], offset: u32) -> Option<&Row> {
    rows[..rows.partition_point(|r| r.host <= offset)].last()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floating_point_rows_keep_their_form() {
        let row = FpRow {
            host: 12,
            len: 9,
            op: Op::FMa64,
            aux: 3,
            imm: 5,
            imm2: u32::MAX,
            args: [FpLoc::Xmm(15), FpLoc::State(0x1234), FpLoc::Gpr(11)],
            dst: FpLoc::None,
        };
        let again = FpRow::from_words(row.to_words().unwrap()).unwrap();
        assert_eq!(format!("{row:?}"), format!("{again:?}"));
        let negative = FpRow {
            dst: FpLoc::State(-8),
            ..row
        };
        assert!(negative.to_words().is_none());
        assert!(FpRow::from_words([0, 0xff00_0000, 0, 0, 0, 0, 0, 0]).is_none());
    }
}
