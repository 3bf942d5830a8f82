//! 32-bit T32 loads and stores: single, dual, multiple, exclusive, acquire and release.

use crate::cpu::model::Features;
use crate::isa::insn::{Insn, Insn::Preload, MemSize::*, Multi};
use crate::isa::operands::*;
use crate::isa::pattern::{Context, Row, rows};

const T2: Features = Features::V6T2;
const V7: Features = Features::V7;
const MP: Features = Features::MP;
const V8: Features = Features::V8;

/// Whether one of `registers` is sp, in exclusives before ARMv8: UNPREDICTABLE.
fn old_sp(registers: &[u32], cx: Context) -> bool {
    registers.contains(&13) && !cx.features.contains(Features::V8)
}

#[rustfmt::skip]
pub const SINGLE: &[Row] = rows! {
    // Stores. A pc base is UNDEFINED.
    "strb"    "1111 1000 1000 nnnn tttt iiii iiii iiii" T2 [n t i] unless (n == 15) => store(Byte, t, at(n, imm_offset(1, i)));
    "strb"    "1111 1000 0000 nnnn tttt 0000 00ii mmmm" T2 [n t i m] unless (n == 15) => store(Byte, t, at(n, reg_offset(1, m, 0, i)));
    "strb"    "1111 1000 0000 nnnn tttt 1100 iiii iiii" T2 [n t i] unless (n == 15) => store(Byte, t, at(n, imm_offset(0, i)));
    "strb"    "1111 1000 0000 nnnn tttt 1pu1 iiii iiii" T2 [n t p u i] unless (n == 15) => store(Byte, t, indexed(n, imm_offset(u, i), p, 1));
    "strbt"   "1111 1000 0000 nnnn tttt 1110 iiii iiii" T2 [n t i] unless (n == 15) => store_t(Byte, t, at(n, imm_offset(1, i)));
    "strh"    "1111 1000 1010 nnnn tttt iiii iiii iiii" T2 [n t i] unless (n == 15) => store(Half, t, at(n, imm_offset(1, i)));
    "strh"    "1111 1000 0010 nnnn tttt 0000 00ii mmmm" T2 [n t i m] unless (n == 15) => store(Half, t, at(n, reg_offset(1, m, 0, i)));
    "strh"    "1111 1000 0010 nnnn tttt 1100 iiii iiii" T2 [n t i] unless (n == 15) => store(Half, t, at(n, imm_offset(0, i)));
    "strh"    "1111 1000 0010 nnnn tttt 1pu1 iiii iiii" T2 [n t p u i] unless (n == 15) => store(Half, t, indexed(n, imm_offset(u, i), p, 1));
    "strht"   "1111 1000 0010 nnnn tttt 1110 iiii iiii" T2 [n t i] unless (n == 15) => store_t(Half, t, at(n, imm_offset(1, i)));
    "str"     "1111 1000 1100 nnnn tttt iiii iiii iiii" T2 [n t i] unless (n == 15) => store(Word, t, at(n, imm_offset(1, i)));
    "str"     "1111 1000 0100 nnnn tttt 0000 00ii mmmm" T2 [n t i m] unless (n == 15) => store(Word, t, at(n, reg_offset(1, m, 0, i)));
    "str"     "1111 1000 0100 nnnn tttt 1100 iiii iiii" T2 [n t i] unless (n == 15) => store(Word, t, at(n, imm_offset(0, i)));
    "str"     "1111 1000 0100 nnnn tttt 1pu1 iiii iiii" T2 [n t p u i] unless (n == 15) => store(Word, t, indexed(n, imm_offset(u, i), p, 1));
    "strt"    "1111 1000 0100 nnnn tttt 1110 iiii iiii" T2 [n t i] unless (n == 15) => store_t(Word, t, at(n, imm_offset(1, i)));
    // Loads. A pc base is the literal form.
    "ldrb"    "1111 1000 1001 nnnn tttt iiii iiii iiii" T2    [n t i] => load(Byte, t, at(n, imm_offset(1, i)));
    "ldrb"    "1111 1000 0001 nnnn tttt 0000 00ii mmmm" T2    [n t i m] => load(Byte, t, at(n, reg_offset(1, m, 0, i)));
    "ldrb"    "1111 1000 0001 nnnn tttt 1100 iiii iiii" T2    [n t i] => load(Byte, t, at(n, imm_offset(0, i)));
    "ldrb"    "1111 1000 0001 nnnn tttt 1pu1 iiii iiii" T2    [n t p u i] => load(Byte, t, indexed(n, imm_offset(u, i), p, 1));
    "ldrbt"   "1111 1000 0001 nnnn tttt 1110 iiii iiii" T2    [n t i] => load_t(Byte, false, t, at(n, imm_offset(1, i)));
    "ldrb"    "1111 1000 u001 1111 tttt iiii iiii iiii" T2 ^1 [u t i] => load(Byte, t, at(15, imm_offset(u, i)));
    "ldrh"    "1111 1000 1011 nnnn tttt iiii iiii iiii" T2    [n t i] => load(Half, t, at(n, imm_offset(1, i)));
    "ldrh"    "1111 1000 0011 nnnn tttt 0000 00ii mmmm" T2    [n t i m] => load(Half, t, at(n, reg_offset(1, m, 0, i)));
    "ldrh"    "1111 1000 0011 nnnn tttt 1100 iiii iiii" T2    [n t i] => load(Half, t, at(n, imm_offset(0, i)));
    "ldrh"    "1111 1000 0011 nnnn tttt 1pu1 iiii iiii" T2    [n t p u i] => load(Half, t, indexed(n, imm_offset(u, i), p, 1));
    "ldrht"   "1111 1000 0011 nnnn tttt 1110 iiii iiii" T2    [n t i] => load_t(Half, false, t, at(n, imm_offset(1, i)));
    "ldrh"    "1111 1000 u011 1111 tttt iiii iiii iiii" T2 ^1 [u t i] => load(Half, t, at(15, imm_offset(u, i)));
    "ldr"     "1111 1000 1101 nnnn tttt iiii iiii iiii" T2    [n t i] => load(Word, t, at(n, imm_offset(1, i)));
    "ldr"     "1111 1000 0101 nnnn tttt 0000 00ii mmmm" T2    [n t i m] => load(Word, t, at(n, reg_offset(1, m, 0, i)));
    "ldr"     "1111 1000 0101 nnnn tttt 1100 iiii iiii" T2    [n t i] => load(Word, t, at(n, imm_offset(0, i)));
    "ldr"     "1111 1000 0101 nnnn tttt 1pu1 iiii iiii" T2    [n t p u i] => load(Word, t, indexed(n, imm_offset(u, i), p, 1));
    "ldrt"    "1111 1000 0101 nnnn tttt 1110 iiii iiii" T2    [n t i] => load_t(Word, false, t, at(n, imm_offset(1, i)));
    "ldr"     "1111 1000 u101 1111 tttt iiii iiii iiii" T2 ^1 [u t i] => load(Word, t, at(15, imm_offset(u, i)));
    "ldrsb"   "1111 1001 1001 nnnn tttt iiii iiii iiii" T2    [n t i] => load_signed(Byte, t, at(n, imm_offset(1, i)));
    "ldrsb"   "1111 1001 0001 nnnn tttt 0000 00ii mmmm" T2    [n t i m] => load_signed(Byte, t, at(n, reg_offset(1, m, 0, i)));
    "ldrsb"   "1111 1001 0001 nnnn tttt 1100 iiii iiii" T2    [n t i] => load_signed(Byte, t, at(n, imm_offset(0, i)));
    "ldrsb"   "1111 1001 0001 nnnn tttt 1pu1 iiii iiii" T2    [n t p u i] => load_signed(Byte, t, indexed(n, imm_offset(u, i), p, 1));
    "ldrsbt"  "1111 1001 0001 nnnn tttt 1110 iiii iiii" T2    [n t i] => load_t(Byte, true, t, at(n, imm_offset(1, i)));
    "ldrsb"   "1111 1001 u001 1111 tttt iiii iiii iiii" T2 ^1 [u t i] => load_signed(Byte, t, at(15, imm_offset(u, i)));
    "ldrsh"   "1111 1001 1011 nnnn tttt iiii iiii iiii" T2    [n t i] => load_signed(Half, t, at(n, imm_offset(1, i)));
    "ldrsh"   "1111 1001 0011 nnnn tttt 0000 00ii mmmm" T2    [n t i m] => load_signed(Half, t, at(n, reg_offset(1, m, 0, i)));
    "ldrsh"   "1111 1001 0011 nnnn tttt 1100 iiii iiii" T2    [n t i] => load_signed(Half, t, at(n, imm_offset(0, i)));
    "ldrsh"   "1111 1001 0011 nnnn tttt 1pu1 iiii iiii" T2    [n t p u i] => load_signed(Half, t, indexed(n, imm_offset(u, i), p, 1));
    "ldrsht"  "1111 1001 0011 nnnn tttt 1110 iiii iiii" T2    [n t i] => load_t(Half, true, t, at(n, imm_offset(1, i)));
    "ldrsh"   "1111 1001 u011 1111 tttt iiii iiii iiii" T2 ^1 [u t i] => load_signed(Half, t, at(15, imm_offset(u, i)));
    // Bytes and halfwords into pc are preloads (PLD, PLDW, PLI) or unallocated hints.
    "pld"     "1111 1000 1001 ---- 1111 ---- ---- ----" T2 ^2 [] => Preload;
    "pld"     "1111 1000 0001 ---- 1111 0000 00-- ----" T2 ^2 [] => Preload;
    "pld"     "1111 1000 0001 ---- 1111 1100 ---- ----" T2 ^2 [] => Preload;
    "pld"     "1111 1000 -001 1111 1111 ---- ---- ----" T2 ^3 [] => Preload;
    "pldw"    "1111 1000 1011 ---- 1111 ---- ---- ----" MP ^2 [] => Preload;
    "pldw"    "1111 1000 0011 ---- 1111 0000 00-- ----" MP ^2 [] => Preload;
    "pldw"    "1111 1000 0011 ---- 1111 1100 ---- ----" MP ^2 [] => Preload;
    "pldw"    "1111 1000 -011 1111 1111 ---- ---- ----" MP ^3 [] => Preload;
    "pli"     "1111 1001 1001 ---- 1111 ---- ---- ----" V7 ^2 [] => Preload;
    "pli"     "1111 1001 0001 ---- 1111 0000 00-- ----" V7 ^2 [] => Preload;
    "pli"     "1111 1001 0001 ---- 1111 1100 ---- ----" V7 ^2 [] => Preload;
    "pli"     "1111 1001 -001 1111 1111 ---- ---- ----" V7 ^3 [] => Preload;
    "nop"     "1111 1001 1011 ---- 1111 ---- ---- ----" T2 ^2 [] => Preload;
    "nop"     "1111 1001 0011 ---- 1111 0000 00-- ----" T2 ^2 [] => Preload;
    "nop"     "1111 1001 0011 ---- 1111 1100 ---- ----" T2 ^2 [] => Preload;
    "nop"     "1111 1001 -011 1111 1111 ---- ---- ----" T2 ^3 [] => Preload;
};

#[rustfmt::skip]
pub const OTHER: &[Row] = rows! {
    // Multiple. Fewer than two registers, or a pc base, is UNPREDICTABLE and UNDEFINED here; so is a base with
    // writeback in the list.
    "stm"     "1110 1000 10w0 nnnn llll llll llll llll" T2 [w n l] unless (w == 1 && l >> n & 1 == 1) => multiple(false, Multi::Ia, w, n, l, 2);
    "ldm"     "1110 1000 10w1 nnnn llll llll llll llll" T2 [w n l] unless (w == 1 && l >> n & 1 == 1) => multiple(true, Multi::Ia, w, n, l, 2);
    "stmdb"   "1110 1001 00w0 nnnn llll llll llll llll" T2 [w n l] unless (w == 1 && l >> n & 1 == 1) => multiple(false, Multi::Db, w, n, l, 2);
    "ldmdb"   "1110 1001 00w1 nnnn llll llll llll llll" T2 [w n l] unless (w == 1 && l >> n & 1 == 1) => multiple(true, Multi::Db, w, n, l, 2);

    // Doublewords. A pc base of a store is UNPREDICTABLE.
    "strd"    "1110 1001 u1w0 nnnn tttt ssss iiii iiii" T2 [u w n t s i] => store_dual(t, s, indexed(n, imm_offset(u, i << 2), 1, w));
    "ldrd"    "1110 1001 u1w1 nnnn tttt ssss iiii iiii" T2 [u w n t s i] => load_dual(t, s, indexed(n, imm_offset(u, i << 2), 1, w));
    "strd"    "1110 1000 u110 nnnn tttt ssss iiii iiii" T2 [u n t s i] => store_dual(t, s, post(n, imm_offset(u, i << 2)));
    "ldrd"    "1110 1000 u111 nnnn tttt ssss iiii iiii" T2 [u n t s i] => load_dual(t, s, post(n, imm_offset(u, i << 2)));

    // Exclusives: what is UNPREDICTABLE (pc, before ARMv8 sp, a status register that is another operand) is UNDEFINED here.
    "strex"   "1110 1000 0100 nnnn tttt dddd iiii iiii" T2 [n t d i; cx] unless (old_sp(&[d, t], cx)) => store_ex(Word, false, d, (t, t), n, i << 2);
    "ldrex"   "1110 1000 0101 nnnn tttt 1111 iiii iiii" T2 [n t i; cx] unless (old_sp(&[t], cx)) => load_ex(Word, false, t, t, n, i << 2);
    "strexb"  "1110 1000 1100 nnnn tttt 1111 0100 dddd" V7 [n t d; cx] unless (old_sp(&[d, t], cx)) => store_ex(Byte, false, d, (t, t), n, 0);
    "strexh"  "1110 1000 1100 nnnn tttt 1111 0101 dddd" V7 [n t d; cx] unless (old_sp(&[d, t], cx)) => store_ex(Half, false, d, (t, t), n, 0);
    "strexd"  "1110 1000 1100 nnnn tttt ssss 0111 dddd" V7 [n t s d; cx] unless (old_sp(&[d, t, s], cx)) => store_ex(Double, false, d, (t, s), n, 0);
    "ldrexb"  "1110 1000 1101 nnnn tttt 1111 0100 1111" V7 [n t; cx] unless (old_sp(&[t], cx)) => load_ex(Byte, false, t, t, n, 0);
    "ldrexh"  "1110 1000 1101 nnnn tttt 1111 0101 1111" V7 [n t; cx] unless (old_sp(&[t], cx)) => load_ex(Half, false, t, t, n, 0);
    "ldrexd"  "1110 1000 1101 nnnn tttt ssss 0111 1111" V7 [n t s; cx] unless (old_sp(&[t, s], cx)) => load_ex(Double, false, t, s, n, 0);
    "stlexb"  "1110 1000 1100 nnnn tttt 1111 1100 dddd" V8 [n t d] => store_ex(Byte, true, d, (t, t), n, 0);
    "stlexh"  "1110 1000 1100 nnnn tttt 1111 1101 dddd" V8 [n t d] => store_ex(Half, true, d, (t, t), n, 0);
    "stlex"   "1110 1000 1100 nnnn tttt 1111 1110 dddd" V8 [n t d] => store_ex(Word, true, d, (t, t), n, 0);
    "stlexd"  "1110 1000 1100 nnnn tttt ssss 1111 dddd" V8 [n t s d] => store_ex(Double, true, d, (t, s), n, 0);
    "ldaexb"  "1110 1000 1101 nnnn tttt 1111 1100 1111" V8 [n t] => load_ex(Byte, true, t, t, n, 0);
    "ldaexh"  "1110 1000 1101 nnnn tttt 1111 1101 1111" V8 [n t] => load_ex(Half, true, t, t, n, 0);
    "ldaex"   "1110 1000 1101 nnnn tttt 1111 1110 1111" V8 [n t] => load_ex(Word, true, t, t, n, 0);
    "ldaexd"  "1110 1000 1101 nnnn tttt ssss 1111 1111" V8 [n t s] => load_ex(Double, true, t, s, n, 0);
    "stlb"    "1110 1000 1100 nnnn tttt 1111 1000 1111" V8 [n t] unless (n == 15 || t == 15) => Insn::StoreRelease { size: Byte, rt: r(t), rn: r(n) };
    "stlh"    "1110 1000 1100 nnnn tttt 1111 1001 1111" V8 [n t] unless (n == 15 || t == 15) => Insn::StoreRelease { size: Half, rt: r(t), rn: r(n) };
    "stl"     "1110 1000 1100 nnnn tttt 1111 1010 1111" V8 [n t] unless (n == 15 || t == 15) => Insn::StoreRelease { size: Word, rt: r(t), rn: r(n) };
    "ldab"    "1110 1000 1101 nnnn tttt 1111 1000 1111" V8 [n t] unless (n == 15 || t == 15) => Insn::LoadAcquire { size: Byte, rt: r(t), rn: r(n) };
    "ldah"    "1110 1000 1101 nnnn tttt 1111 1001 1111" V8 [n t] unless (n == 15 || t == 15) => Insn::LoadAcquire { size: Half, rt: r(t), rn: r(n) };
    "lda"     "1110 1000 1101 nnnn tttt 1111 1010 1111" V8 [n t] unless (n == 15 || t == 15) => Insn::LoadAcquire { size: Word, rt: r(t), rn: r(n) };
    "tbb"     "1110 1000 1101 nnnn 1111 0000 0000 mmmm" T2 [n m] => Insn::TableBranch { half: false, rn: r(n), rm: r(m) };
    "tbh"     "1110 1000 1101 nnnn 1111 0000 0001 mmmm" T2 [n m] => Insn::TableBranch { half: true, rn: r(n), rm: r(m) };
};
