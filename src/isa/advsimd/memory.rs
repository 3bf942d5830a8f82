//! Element and structure loads and stores. A pc base and registers past D31 are UNPREDICTABLE, and UNDEFINED here.

use super::*;
use crate::isa::operands::r;
use crate::isa::pattern::rows;
use crate::isa::simd::{Lane, PostIndex, SimdAddress, Structures};

/// Fields of the address: base, offset register, and the bytes transferred (what `[rn]!` adds).
fn address(n: u32, m: u32, bytes: u32, align: u32) -> SimdAddress {
    SimdAddress {
        rn: r(n),
        align: align as u8,
        post: match m {
            15 => PostIndex::None,
            13 => PostIndex::By(bytes as u8),
            _ => PostIndex::Reg(r(m)),
        },
    }
}

/// The first of registers of which `last` is the last.
fn first(d: u32, last: u32, cx: Context) -> Result<u8, Undecoded> {
    let first = dreg(d, cx)?;
    if last > 31 {
        return Err(Unpredictable);
    }
    dreg(last, cx)?;
    Ok(first)
}

/// Shape of a multiple-structure access: elements of a structure, groups, distance of the registers of a structure.
type Shape = (u32, u32, u32);

/// `aligns`: the largest alignment field that the shape has. Lanes of 64 bits are VLD1's and VST1's.
fn structures(
    load: bool,
    (elements, groups, inc): Shape,
    aligns: u32,
    (d, n, m): Registers,
    size: u32,
    align: u32,
    cx: Context,
) -> Decode {
    if align > aligns || size == 3 && elements != 1 {
        return Err(Undefined);
    }
    let all = Structures {
        elements: elements as u8,
        groups: groups as u8,
        inc: inc as u8,
        size: size as u8,
        d: first(d, d + groups - 1 + inc * (elements - 1), cx)?,
        addr: address(
            n,
            m,
            8 * elements * groups,
            if align == 0 { 1 } else { 4 << align },
        ),
    };
    if n == 15 {
        return Err(Unpredictable);
    }
    Ok(Insn::Simd(match load {
        true => Simd::Load(all),
        false => Simd::Store(all),
    }))
}

/// One lane: index_align gives the lane, the distance of the registers and the alignment (A8.8.322 and following of
/// DDI 0406C).
fn lane(load: bool, elements: u32, size: u32, (d, n, m): Registers, index_align: u32, cx: Context) -> Decode {
    let low = index_align & if size == 2 { 3 } else { 1 };
    let inc = match (elements, size) {
        (1, _) | (_, 0) => 1,
        (_, 1) => 1 + (index_align >> 1 & 1),
        _ => 1 + (index_align >> 2 & 1),
    };
    let whole = elements << size;
    let align = match (elements, size, low) {
        // Bit 1 (16-bit lanes) or 2 (32-bit lanes) is the distance only for structures.
        (1, 1, _) if index_align >> 1 & 1 == 1 => return Err(Undefined),
        (1, 2, _) if index_align >> 2 & 1 == 1 => return Err(Undefined),
        (_, _, 0) => 1,
        (1, 1, _) => 2,
        (1, 2, 3) => 4,
        (2, _, 1) => whole,
        (4, 0 | 1, _) => whole,
        (4, 2, 1 | 2) => 4 << low,
        _ => return Err(Undefined),
    };
    let lane = Lane {
        elements: elements as u8,
        inc: inc as u8,
        size: size as u8,
        index: (index_align >> (size + 1)) as u8,
        d: first(d, d + inc * (elements - 1), cx)?,
        addr: address(n, m, whole, align),
    };
    if n == 15 {
        return Err(Unpredictable);
    }
    Ok(Insn::Simd(match load {
        true => Simd::LoadLane(lane),
        false => Simd::StoreLane(lane),
    }))
}

/// To all lanes; `t` is the number of registers (VLD1) or their distance. VLD4 with size 3 is 32 bits aligned to 16
/// bytes.
fn all_lanes(elements: u32, (d, n, m): Registers, size: u32, t: u32, a: u32, cx: Context) -> Decode {
    let (regs, inc) = if elements == 1 { (1 + t, 1) } else { (1, 1 + t) };
    let (size, align) = match (elements, size, a) {
        (4, 3, 1) => (2, 16),
        (_, 3, _) | (1, 0, 1) | (3, _, 1) => return Err(Undefined),
        (4, 2, 1) => (2, 8),
        (_, _, 1) => (size, elements << size),
        _ => (size, 1),
    };
    let d = first(d, d + regs - 1 + inc * (elements - 1), cx)?;
    if n == 15 {
        return Err(Unpredictable);
    }
    Ok(Insn::Simd(Simd::LoadAllLanes {
        elements: elements as u8,
        regs: regs as u8,
        inc: inc as u8,
        size: size as u8,
        d,
        addr: address(n, m, elements << size, align),
    }))
}

/// a is the alignment, i index_align.
#[rustfmt::skip]
pub const ROWS: &[Row] = rows! {
    // Multiple structures.
    "vst1" "1111 0100 0d00 nnnn dddd 0111 ssaa mmmm" NEON [d n s a m; cx] => structures(false, (1, 1, 1), 1, (d, n, m), s, a, cx);
    "vst1" "1111 0100 0d00 nnnn dddd 1010 ssaa mmmm" NEON [d n s a m; cx] => structures(false, (1, 2, 1), 2, (d, n, m), s, a, cx);
    "vst1" "1111 0100 0d00 nnnn dddd 0110 ssaa mmmm" NEON [d n s a m; cx] => structures(false, (1, 3, 1), 1, (d, n, m), s, a, cx);
    "vst1" "1111 0100 0d00 nnnn dddd 0010 ssaa mmmm" NEON [d n s a m; cx] => structures(false, (1, 4, 1), 3, (d, n, m), s, a, cx);
    "vst2" "1111 0100 0d00 nnnn dddd 100t ssaa mmmm" NEON [d n t s a m; cx] => structures(false, (2, 1, 1 + t), 2, (d, n, m), s, a, cx);
    "vst2" "1111 0100 0d00 nnnn dddd 0011 ssaa mmmm" NEON [d n s a m; cx] => structures(false, (2, 2, 2), 3, (d, n, m), s, a, cx);
    "vst3" "1111 0100 0d00 nnnn dddd 010t ssaa mmmm" NEON [d n t s a m; cx] => structures(false, (3, 1, 1 + t), 1, (d, n, m), s, a, cx);
    "vst4" "1111 0100 0d00 nnnn dddd 000t ssaa mmmm" NEON [d n t s a m; cx] => structures(false, (4, 1, 1 + t), 3, (d, n, m), s, a, cx);
    "vld1" "1111 0100 0d10 nnnn dddd 0111 ssaa mmmm" NEON [d n s a m; cx] => structures(true, (1, 1, 1), 1, (d, n, m), s, a, cx);
    "vld1" "1111 0100 0d10 nnnn dddd 1010 ssaa mmmm" NEON [d n s a m; cx] => structures(true, (1, 2, 1), 2, (d, n, m), s, a, cx);
    "vld1" "1111 0100 0d10 nnnn dddd 0110 ssaa mmmm" NEON [d n s a m; cx] => structures(true, (1, 3, 1), 1, (d, n, m), s, a, cx);
    "vld1" "1111 0100 0d10 nnnn dddd 0010 ssaa mmmm" NEON [d n s a m; cx] => structures(true, (1, 4, 1), 3, (d, n, m), s, a, cx);
    "vld2" "1111 0100 0d10 nnnn dddd 100t ssaa mmmm" NEON [d n t s a m; cx] => structures(true, (2, 1, 1 + t), 2, (d, n, m), s, a, cx);
    "vld2" "1111 0100 0d10 nnnn dddd 0011 ssaa mmmm" NEON [d n s a m; cx] => structures(true, (2, 2, 2), 3, (d, n, m), s, a, cx);
    "vld3" "1111 0100 0d10 nnnn dddd 010t ssaa mmmm" NEON [d n t s a m; cx] => structures(true, (3, 1, 1 + t), 1, (d, n, m), s, a, cx);
    "vld4" "1111 0100 0d10 nnnn dddd 000t ssaa mmmm" NEON [d n t s a m; cx] => structures(true, (4, 1, 1 + t), 3, (d, n, m), s, a, cx);

    // One lane. Size 3 of the stores is UNDEFINED.
    "vst1" "1111 0100 1d00 nnnn dddd 0000 iiii mmmm" NEON [d n i m; cx] => lane(false, 1, 0, (d, n, m), i, cx);
    "vst1" "1111 0100 1d00 nnnn dddd 0100 iiii mmmm" NEON [d n i m; cx] => lane(false, 1, 1, (d, n, m), i, cx);
    "vst1" "1111 0100 1d00 nnnn dddd 1000 iiii mmmm" NEON [d n i m; cx] => lane(false, 1, 2, (d, n, m), i, cx);
    "vst2" "1111 0100 1d00 nnnn dddd 0001 iiii mmmm" NEON [d n i m; cx] => lane(false, 2, 0, (d, n, m), i, cx);
    "vst2" "1111 0100 1d00 nnnn dddd 0101 iiii mmmm" NEON [d n i m; cx] => lane(false, 2, 1, (d, n, m), i, cx);
    "vst2" "1111 0100 1d00 nnnn dddd 1001 iiii mmmm" NEON [d n i m; cx] => lane(false, 2, 2, (d, n, m), i, cx);
    "vst3" "1111 0100 1d00 nnnn dddd 0010 iiii mmmm" NEON [d n i m; cx] => lane(false, 3, 0, (d, n, m), i, cx);
    "vst3" "1111 0100 1d00 nnnn dddd 0110 iiii mmmm" NEON [d n i m; cx] => lane(false, 3, 1, (d, n, m), i, cx);
    "vst3" "1111 0100 1d00 nnnn dddd 1010 iiii mmmm" NEON [d n i m; cx] => lane(false, 3, 2, (d, n, m), i, cx);
    "vst4" "1111 0100 1d00 nnnn dddd 0011 iiii mmmm" NEON [d n i m; cx] => lane(false, 4, 0, (d, n, m), i, cx);
    "vst4" "1111 0100 1d00 nnnn dddd 0111 iiii mmmm" NEON [d n i m; cx] => lane(false, 4, 1, (d, n, m), i, cx);
    "vst4" "1111 0100 1d00 nnnn dddd 1011 iiii mmmm" NEON [d n i m; cx] => lane(false, 4, 2, (d, n, m), i, cx);
    "vld1" "1111 0100 1d10 nnnn dddd 0000 iiii mmmm" NEON [d n i m; cx] => lane(true, 1, 0, (d, n, m), i, cx);
    "vld1" "1111 0100 1d10 nnnn dddd 0100 iiii mmmm" NEON [d n i m; cx] => lane(true, 1, 1, (d, n, m), i, cx);
    "vld1" "1111 0100 1d10 nnnn dddd 1000 iiii mmmm" NEON [d n i m; cx] => lane(true, 1, 2, (d, n, m), i, cx);
    "vld2" "1111 0100 1d10 nnnn dddd 0001 iiii mmmm" NEON [d n i m; cx] => lane(true, 2, 0, (d, n, m), i, cx);
    "vld2" "1111 0100 1d10 nnnn dddd 0101 iiii mmmm" NEON [d n i m; cx] => lane(true, 2, 1, (d, n, m), i, cx);
    "vld2" "1111 0100 1d10 nnnn dddd 1001 iiii mmmm" NEON [d n i m; cx] => lane(true, 2, 2, (d, n, m), i, cx);
    "vld3" "1111 0100 1d10 nnnn dddd 0010 iiii mmmm" NEON [d n i m; cx] => lane(true, 3, 0, (d, n, m), i, cx);
    "vld3" "1111 0100 1d10 nnnn dddd 0110 iiii mmmm" NEON [d n i m; cx] => lane(true, 3, 1, (d, n, m), i, cx);
    "vld3" "1111 0100 1d10 nnnn dddd 1010 iiii mmmm" NEON [d n i m; cx] => lane(true, 3, 2, (d, n, m), i, cx);
    "vld4" "1111 0100 1d10 nnnn dddd 0011 iiii mmmm" NEON [d n i m; cx] => lane(true, 4, 0, (d, n, m), i, cx);
    "vld4" "1111 0100 1d10 nnnn dddd 0111 iiii mmmm" NEON [d n i m; cx] => lane(true, 4, 1, (d, n, m), i, cx);
    "vld4" "1111 0100 1d10 nnnn dddd 1011 iiii mmmm" NEON [d n i m; cx] => lane(true, 4, 2, (d, n, m), i, cx);

    // One element or structure to all lanes.
    "vld1" "1111 0100 1d10 nnnn dddd 1100 ssta mmmm" NEON [d n s t a m; cx] => all_lanes(1, (d, n, m), s, t, a, cx);
    "vld2" "1111 0100 1d10 nnnn dddd 1101 ssta mmmm" NEON [d n s t a m; cx] => all_lanes(2, (d, n, m), s, t, a, cx);
    "vld3" "1111 0100 1d10 nnnn dddd 1110 ssta mmmm" NEON [d n s t a m; cx] => all_lanes(3, (d, n, m), s, t, a, cx);
    "vld4" "1111 0100 1d10 nnnn dddd 1111 ssta mmmm" NEON [d n s t a m; cx] => all_lanes(4, (d, n, m), s, t, a, cx);
};
