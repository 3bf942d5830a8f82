//! A32 multiplication, division, saturation, packing, bit fields and the parallel (SIMD) additions.

use crate::cpu::model::Features;
use crate::isa::insn::{ExtendFrom::*, Insn::*, MemSize, ParallelKind::*, ParallelOp::*, QAddOp, RevOp};
use crate::isa::operands::*;
use crate::isa::pattern::{Row, rows};

const V4T: Features = Features::empty();
const V5T: Features = Features::V5T;
const V5TE: Features = Features::V5TE;
const V6: Features = Features::V6;
const V6T2: Features = Features::V6T2;
const DIV: Features = Features::DIV;
const CRC: Features = Features::CRC32;

#[rustfmt::skip]
pub const MULTIPLY: &[Row] = rows! {
    // pc as an operand or result, and equal halves of a long result, are UNPREDICTABLE.
    "mul"     "cccc 0000 000s dddd 0000 mmmm 1001 nnnn" V4T  [s d m n] => Mul { s: s == 1, rd: r(d), rn: r(n), rm: r(m) };
    "mla"     "cccc 0000 001s dddd aaaa mmmm 1001 nnnn" V4T  [s d a m n] => Mla { s: s == 1, rd: r(d), rn: r(n), rm: r(m), ra: r(a) };
    "umaal"   "cccc 0000 0100 hhhh llll mmmm 1001 nnnn" V6   [h l m n] => Umaal { rdlo: r(l), rdhi: r(h), rn: r(n), rm: r(m) };
    "mls"     "cccc 0000 0110 dddd aaaa mmmm 1001 nnnn" V6T2 [d a m n] => Mls { rd: r(d), rn: r(n), rm: r(m), ra: r(a) };
    "umull"   "cccc 0000 100s hhhh llll mmmm 1001 nnnn" V4T  [s h l m n] => MulLong { signed: false, accumulate: false, s: s == 1, rdlo: r(l), rdhi: r(h), rn: r(n), rm: r(m) };
    "umlal"   "cccc 0000 101s hhhh llll mmmm 1001 nnnn" V4T  [s h l m n] => MulLong { signed: false, accumulate: true, s: s == 1, rdlo: r(l), rdhi: r(h), rn: r(n), rm: r(m) };
    "smull"   "cccc 0000 110s hhhh llll mmmm 1001 nnnn" V4T  [s h l m n] => MulLong { signed: true, accumulate: false, s: s == 1, rdlo: r(l), rdhi: r(h), rn: r(n), rm: r(m) };
    "smlal"   "cccc 0000 111s hhhh llll mmmm 1001 nnnn" V4T  [s h l m n] => MulLong { signed: true, accumulate: true, s: s == 1, rdlo: r(l), rdhi: r(h), rn: r(n), rm: r(m) };
    // Halfword products. y (bit 6) chooses the half of Rm, x (bit 5) that of Rn.
    "smla"    "cccc 0001 0000 dddd aaaa mmmm 1yx0 nnnn" V5TE [d a m y x n] => SmlaXY { rd: r(d), rn: r(n), rm: r(m), ra: r(a), n_high: x == 1, m_high: y == 1 };
    "smlaw"   "cccc 0001 0010 dddd aaaa mmmm 1y00 nnnn" V5TE [d a m y n] => SmlaWY { rd: r(d), rn: r(n), rm: r(m), ra: r(a), m_high: y == 1 };
    "smulw"   "cccc 0001 0010 dddd 0000 mmmm 1y10 nnnn" V5TE [d m y n] => SmulWY { rd: r(d), rn: r(n), rm: r(m), m_high: y == 1 };
    "smlal"   "cccc 0001 0100 hhhh llll mmmm 1yx0 nnnn" V5TE [h l m y x n] => SmlalXY { rdlo: r(l), rdhi: r(h), rn: r(n), rm: r(m), n_high: x == 1, m_high: y == 1 };
    "smul"    "cccc 0001 0110 dddd 0000 mmmm 1yx0 nnnn" V5TE [d m y x n] => SmulXY { rd: r(d), rn: r(n), rm: r(m), n_high: x == 1, m_high: y == 1 };
    // Dual halfword and most-significant-word products; an accumulator of 1111 is the form without.
    "smlad"   "cccc 0111 0000 dddd aaaa mmmm 00x1 nnnn" V6    [d a m x n] => Smlad { sub: false, swap: x == 1, rd: r(d), rn: r(n), rm: r(m), ra: r(a) };
    "smuad"   "cccc 0111 0000 dddd 1111 mmmm 00x1 nnnn" V6 ^1 [d m x n] => Smuad { sub: false, swap: x == 1, rd: r(d), rn: r(n), rm: r(m) };
    "smlsd"   "cccc 0111 0000 dddd aaaa mmmm 01x1 nnnn" V6    [d a m x n] => Smlad { sub: true, swap: x == 1, rd: r(d), rn: r(n), rm: r(m), ra: r(a) };
    "smusd"   "cccc 0111 0000 dddd 1111 mmmm 01x1 nnnn" V6 ^1 [d m x n] => Smuad { sub: true, swap: x == 1, rd: r(d), rn: r(n), rm: r(m) };
    "smlald"  "cccc 0111 0100 hhhh llll mmmm 00x1 nnnn" V6    [h l m x n] => Smlald { sub: false, swap: x == 1, rdlo: r(l), rdhi: r(h), rn: r(n), rm: r(m) };
    "smlsld"  "cccc 0111 0100 hhhh llll mmmm 01x1 nnnn" V6    [h l m x n] => Smlald { sub: true, swap: x == 1, rdlo: r(l), rdhi: r(h), rn: r(n), rm: r(m) };
    "smmla"   "cccc 0111 0101 dddd aaaa mmmm 00k1 nnnn" V6    [d a m k n] => smmla(false, k, d, n, m, a);
    "smmul"   "cccc 0111 0101 dddd 1111 mmmm 00k1 nnnn" V6 ^1 [d m k n] => smmul(k, d, n, m);
    "smmls"   "cccc 0111 0101 dddd aaaa mmmm 11k1 nnnn" V6    [d a m k n] => smmla(true, k, d, n, m, a);
    "sdiv"    "cccc 0111 0001 dddd 1111 mmmm 0001 nnnn" DIV   [d m n] => Div { signed: true, rd: r(d), rn: r(n), rm: r(m) };
    "udiv"    "cccc 0111 0011 dddd 1111 mmmm 0001 nnnn" DIV   [d m n] => Div { signed: false, rd: r(d), rn: r(n), rm: r(m) };
    "usada8"  "cccc 0111 1000 dddd aaaa mmmm 0001 nnnn" V6    [d a m n] => Usada8 { rd: r(d), rn: r(n), rm: r(m), ra: r(a) };
    "usad8"   "cccc 0111 1000 dddd 1111 mmmm 0001 nnnn" V6 ^1 [d m n] => Usad8 { rd: r(d), rn: r(n), rm: r(m) };
};

#[rustfmt::skip]
pub const MEDIA: &[Row] = rows! {
    "clz"     "cccc 0001 0110 1111 dddd 1111 0001 mmmm" V5T  [d m] => Clz { rd: r(d), rm: r(m) };
    "qadd"    "cccc 0001 0000 nnnn dddd 0000 0101 mmmm" V5TE [n d m] => QAdd { op: QAddOp::Qadd, rd: r(d), rm: r(m), rn: r(n) };
    "qsub"    "cccc 0001 0010 nnnn dddd 0000 0101 mmmm" V5TE [n d m] => QAdd { op: QAddOp::Qsub, rd: r(d), rm: r(m), rn: r(n) };
    "qdadd"   "cccc 0001 0100 nnnn dddd 0000 0101 mmmm" V5TE [n d m] => QAdd { op: QAddOp::Qdadd, rd: r(d), rm: r(m), rn: r(n) };
    "qdsub"   "cccc 0001 0110 nnnn dddd 0000 0101 mmmm" V5TE [n d m] => QAdd { op: QAddOp::Qdsub, rd: r(d), rm: r(m), rn: r(n) };
    "crc32b"  "cccc 0001 0000 nnnn dddd 0000 0100 mmmm" CRC  [n d m] => Crc32 { castagnoli: false, size: MemSize::Byte, rd: r(d), rn: r(n), rm: r(m) };
    "crc32h"  "cccc 0001 0010 nnnn dddd 0000 0100 mmmm" CRC  [n d m] => Crc32 { castagnoli: false, size: MemSize::Half, rd: r(d), rn: r(n), rm: r(m) };
    "crc32w"  "cccc 0001 0100 nnnn dddd 0000 0100 mmmm" CRC  [n d m] => Crc32 { castagnoli: false, size: MemSize::Word, rd: r(d), rn: r(n), rm: r(m) };
    "crc32cb" "cccc 0001 0000 nnnn dddd 0010 0100 mmmm" CRC  [n d m] => Crc32 { castagnoli: true, size: MemSize::Byte, rd: r(d), rn: r(n), rm: r(m) };
    "crc32ch" "cccc 0001 0010 nnnn dddd 0010 0100 mmmm" CRC  [n d m] => Crc32 { castagnoli: true, size: MemSize::Half, rd: r(d), rn: r(n), rm: r(m) };
    "crc32cw" "cccc 0001 0100 nnnn dddd 0010 0100 mmmm" CRC  [n d m] => Crc32 { castagnoli: true, size: MemSize::Word, rd: r(d), rn: r(n), rm: r(m) };
    "pkhbt"   "cccc 0110 1000 nnnn dddd iiii i001 mmmm" V6   [n d i m] => Pkh { tb: false, rd: r(d), rn: r(n), src: shifted(m, 0, i) };
    "pkhtb"   "cccc 0110 1000 nnnn dddd iiii i101 mmmm" V6   [n d i m] => Pkh { tb: true, rd: r(d), rn: r(n), src: shifted(m, 2, i) };
    "sel"     "cccc 0110 1000 nnnn dddd 1111 1011 mmmm" V6   [n d m] => Sel { rd: r(d), rn: r(n), rm: r(m) };
    "ssat"    "cccc 0110 101b bbbb dddd iiii is01 mmmm" V6   [b d i s m] => Sat { signed: true, rd: r(d), bits: b as u8 + 1, src: shifted(m, 2 * s, i) };
    "usat"    "cccc 0110 111b bbbb dddd iiii is01 mmmm" V6   [b d i s m] => Sat { signed: false, rd: r(d), bits: b as u8, src: shifted(m, 2 * s, i) };
    "ssat16"  "cccc 0110 1010 bbbb dddd 1111 0011 mmmm" V6   [b d m] => Sat16 { signed: true, rd: r(d), bits: b as u8 + 1, rn: r(m) };
    "usat16"  "cccc 0110 1110 bbbb dddd 1111 0011 mmmm" V6   [b d m] => Sat16 { signed: false, rd: r(d), bits: b as u8, rn: r(m) };
    "rev"     "cccc 0110 1011 1111 dddd 1111 0011 mmmm" V6   [d m] => Rev { op: RevOp::Rev, rd: r(d), rm: r(m) };
    "rev16"   "cccc 0110 1011 1111 dddd 1111 1011 mmmm" V6   [d m] => Rev { op: RevOp::Rev16, rd: r(d), rm: r(m) };
    "revsh"   "cccc 0110 1111 1111 dddd 1111 1011 mmmm" V6   [d m] => Rev { op: RevOp::Revsh, rd: r(d), rm: r(m) };
    "rbit"    "cccc 0110 1111 1111 dddd 1111 0011 mmmm" V6T2 [d m] => Rev { op: RevOp::Rbit, rd: r(d), rm: r(m) };
    // Extension: an accumulator of 1111 is the form without.
    "sxtab16" "cccc 0110 1000 nnnn dddd kk00 0111 mmmm" V6    [n d k m] => extend(true, Byte16, d, n, m, k);
    "sxtb16"  "cccc 0110 1000 1111 dddd kk00 0111 mmmm" V6 ^1 [d k m] => extend(true, Byte16, d, 15, m, k);
    "sxtab"   "cccc 0110 1010 nnnn dddd kk00 0111 mmmm" V6    [n d k m] => extend(true, Byte, d, n, m, k);
    "sxtb"    "cccc 0110 1010 1111 dddd kk00 0111 mmmm" V6 ^1 [d k m] => extend(true, Byte, d, 15, m, k);
    "sxtah"   "cccc 0110 1011 nnnn dddd kk00 0111 mmmm" V6    [n d k m] => extend(true, Half, d, n, m, k);
    "sxth"    "cccc 0110 1011 1111 dddd kk00 0111 mmmm" V6 ^1 [d k m] => extend(true, Half, d, 15, m, k);
    "uxtab16" "cccc 0110 1100 nnnn dddd kk00 0111 mmmm" V6    [n d k m] => extend(false, Byte16, d, n, m, k);
    "uxtb16"  "cccc 0110 1100 1111 dddd kk00 0111 mmmm" V6 ^1 [d k m] => extend(false, Byte16, d, 15, m, k);
    "uxtab"   "cccc 0110 1110 nnnn dddd kk00 0111 mmmm" V6    [n d k m] => extend(false, Byte, d, n, m, k);
    "uxtb"    "cccc 0110 1110 1111 dddd kk00 0111 mmmm" V6 ^1 [d k m] => extend(false, Byte, d, 15, m, k);
    "uxtah"   "cccc 0110 1111 nnnn dddd kk00 0111 mmmm" V6    [n d k m] => extend(false, Half, d, n, m, k);
    "uxth"    "cccc 0110 1111 1111 dddd kk00 0111 mmmm" V6 ^1 [d k m] => extend(false, Half, d, 15, m, k);
    // Bit fields.
    "sbfx"    "cccc 0111 101w wwww dddd llll l101 nnnn" V6T2    [w d l n] => bfx(true, d, n, l, w);
    "ubfx"    "cccc 0111 111w wwww dddd llll l101 nnnn" V6T2    [w d l n] => bfx(false, d, n, l, w);
    "bfi"     "cccc 0111 110h hhhh dddd llll l001 nnnn" V6T2    [h d l n] => bfi(d, n, l, h);
    "bfc"     "cccc 0111 110h hhhh dddd llll l001 1111" V6T2 ^1 [h d l] => bfi(d, 15, l, h);
    // Parallel additions and subtractions.
    "sadd16"  "cccc 0110 0001 nnnn dddd 1111 0001 mmmm" V6 [n d m] => parallel(Signed, Add16, d, n, m);
    "sasx"    "cccc 0110 0001 nnnn dddd 1111 0011 mmmm" V6 [n d m] => parallel(Signed, Asx, d, n, m);
    "ssax"    "cccc 0110 0001 nnnn dddd 1111 0101 mmmm" V6 [n d m] => parallel(Signed, Sax, d, n, m);
    "ssub16"  "cccc 0110 0001 nnnn dddd 1111 0111 mmmm" V6 [n d m] => parallel(Signed, Sub16, d, n, m);
    "sadd8"   "cccc 0110 0001 nnnn dddd 1111 1001 mmmm" V6 [n d m] => parallel(Signed, Add8, d, n, m);
    "ssub8"   "cccc 0110 0001 nnnn dddd 1111 1111 mmmm" V6 [n d m] => parallel(Signed, Sub8, d, n, m);
    "qadd16"  "cccc 0110 0010 nnnn dddd 1111 0001 mmmm" V6 [n d m] => parallel(SignedSat, Add16, d, n, m);
    "qasx"    "cccc 0110 0010 nnnn dddd 1111 0011 mmmm" V6 [n d m] => parallel(SignedSat, Asx, d, n, m);
    "qsax"    "cccc 0110 0010 nnnn dddd 1111 0101 mmmm" V6 [n d m] => parallel(SignedSat, Sax, d, n, m);
    "qsub16"  "cccc 0110 0010 nnnn dddd 1111 0111 mmmm" V6 [n d m] => parallel(SignedSat, Sub16, d, n, m);
    "qadd8"   "cccc 0110 0010 nnnn dddd 1111 1001 mmmm" V6 [n d m] => parallel(SignedSat, Add8, d, n, m);
    "qsub8"   "cccc 0110 0010 nnnn dddd 1111 1111 mmmm" V6 [n d m] => parallel(SignedSat, Sub8, d, n, m);
    "shadd16" "cccc 0110 0011 nnnn dddd 1111 0001 mmmm" V6 [n d m] => parallel(SignedHalving, Add16, d, n, m);
    "shasx"   "cccc 0110 0011 nnnn dddd 1111 0011 mmmm" V6 [n d m] => parallel(SignedHalving, Asx, d, n, m);
    "shsax"   "cccc 0110 0011 nnnn dddd 1111 0101 mmmm" V6 [n d m] => parallel(SignedHalving, Sax, d, n, m);
    "shsub16" "cccc 0110 0011 nnnn dddd 1111 0111 mmmm" V6 [n d m] => parallel(SignedHalving, Sub16, d, n, m);
    "shadd8"  "cccc 0110 0011 nnnn dddd 1111 1001 mmmm" V6 [n d m] => parallel(SignedHalving, Add8, d, n, m);
    "shsub8"  "cccc 0110 0011 nnnn dddd 1111 1111 mmmm" V6 [n d m] => parallel(SignedHalving, Sub8, d, n, m);
    "uadd16"  "cccc 0110 0101 nnnn dddd 1111 0001 mmmm" V6 [n d m] => parallel(Unsigned, Add16, d, n, m);
    "uasx"    "cccc 0110 0101 nnnn dddd 1111 0011 mmmm" V6 [n d m] => parallel(Unsigned, Asx, d, n, m);
    "usax"    "cccc 0110 0101 nnnn dddd 1111 0101 mmmm" V6 [n d m] => parallel(Unsigned, Sax, d, n, m);
    "usub16"  "cccc 0110 0101 nnnn dddd 1111 0111 mmmm" V6 [n d m] => parallel(Unsigned, Sub16, d, n, m);
    "uadd8"   "cccc 0110 0101 nnnn dddd 1111 1001 mmmm" V6 [n d m] => parallel(Unsigned, Add8, d, n, m);
    "usub8"   "cccc 0110 0101 nnnn dddd 1111 1111 mmmm" V6 [n d m] => parallel(Unsigned, Sub8, d, n, m);
    "uqadd16" "cccc 0110 0110 nnnn dddd 1111 0001 mmmm" V6 [n d m] => parallel(UnsignedSat, Add16, d, n, m);
    "uqasx"   "cccc 0110 0110 nnnn dddd 1111 0011 mmmm" V6 [n d m] => parallel(UnsignedSat, Asx, d, n, m);
    "uqsax"   "cccc 0110 0110 nnnn dddd 1111 0101 mmmm" V6 [n d m] => parallel(UnsignedSat, Sax, d, n, m);
    "uqsub16" "cccc 0110 0110 nnnn dddd 1111 0111 mmmm" V6 [n d m] => parallel(UnsignedSat, Sub16, d, n, m);
    "uqadd8"  "cccc 0110 0110 nnnn dddd 1111 1001 mmmm" V6 [n d m] => parallel(UnsignedSat, Add8, d, n, m);
    "uqsub8"  "cccc 0110 0110 nnnn dddd 1111 1111 mmmm" V6 [n d m] => parallel(UnsignedSat, Sub8, d, n, m);
    "uhadd16" "cccc 0110 0111 nnnn dddd 1111 0001 mmmm" V6 [n d m] => parallel(UnsignedHalving, Add16, d, n, m);
    "uhasx"   "cccc 0110 0111 nnnn dddd 1111 0011 mmmm" V6 [n d m] => parallel(UnsignedHalving, Asx, d, n, m);
    "uhsax"   "cccc 0110 0111 nnnn dddd 1111 0101 mmmm" V6 [n d m] => parallel(UnsignedHalving, Sax, d, n, m);
    "uhsub16" "cccc 0110 0111 nnnn dddd 1111 0111 mmmm" V6 [n d m] => parallel(UnsignedHalving, Sub16, d, n, m);
    "uhadd8"  "cccc 0110 0111 nnnn dddd 1111 1001 mmmm" V6 [n d m] => parallel(UnsignedHalving, Add8, d, n, m);
    "uhsub8"  "cccc 0110 0111 nnnn dddd 1111 1111 mmmm" V6 [n d m] => parallel(UnsignedHalving, Sub8, d, n, m);
};
