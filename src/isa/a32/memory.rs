//! A32 loads and stores: single, dual, multiple, exclusive, acquire and release.

use crate::cpu::model::Features;
use crate::isa::insn::{Insn, MemSize::*, Multi};
use crate::isa::operands::*;
use crate::isa::pattern::{Row, rows};

const V4T: Features = Features::empty();
const V5TE: Features = Features::V5TE;
const V6: Features = Features::V6;
const V6K: Features = Features::V6K;
const V6T2: Features = Features::V6T2;
const V8: Features = Features::V8;
const SWP: Features = Features::SWP;

#[rustfmt::skip]
pub const SINGLE: &[Row] = rows! {
    // Words and bytes. P=0 W=1 is the unprivileged access, a plain post-indexed one in User mode. UNPREDICTABLE:
    // writeback to pc, to the transferred register or to the index register; a byte into pc.
    "str"     "cccc 010p u0w0 nnnn tttt iiii iiii iiii" V4T    [p u w n t i] => store(Word, t, indexed(n, imm_offset(u, i), p, w));
    "ldr"     "cccc 010p u0w1 nnnn tttt iiii iiii iiii" V4T    [p u w n t i] => load(Word, t, indexed(n, imm_offset(u, i), p, w));
    "strb"    "cccc 010p u1w0 nnnn tttt iiii iiii iiii" V4T    [p u w n t i] => store(Byte, t, indexed(n, imm_offset(u, i), p, w));
    "ldrb"    "cccc 010p u1w1 nnnn tttt iiii iiii iiii" V4T    [p u w n t i] => load(Byte, t, indexed(n, imm_offset(u, i), p, w));
    "strt"    "cccc 0100 u010 nnnn tttt iiii iiii iiii" V4T ^1 [u n t i] => store_t(Word, t, post(n, imm_offset(u, i)));
    "ldrt"    "cccc 0100 u011 nnnn tttt iiii iiii iiii" V4T ^1 [u n t i] => load_t(Word, false, t, post(n, imm_offset(u, i)));
    "strbt"   "cccc 0100 u110 nnnn tttt iiii iiii iiii" V4T ^1 [u n t i] => store_t(Byte, t, post(n, imm_offset(u, i)));
    "ldrbt"   "cccc 0100 u111 nnnn tttt iiii iiii iiii" V4T ^1 [u n t i] => load_t(Byte, false, t, post(n, imm_offset(u, i)));
    "str"     "cccc 011p u0w0 nnnn tttt iiii ikk0 mmmm" V4T    [p u w n t i k m] => store(Word, t, indexed(n, reg_offset(u, m, k, i), p, w));
    "ldr"     "cccc 011p u0w1 nnnn tttt iiii ikk0 mmmm" V4T    [p u w n t i k m] => load(Word, t, indexed(n, reg_offset(u, m, k, i), p, w));
    "strb"    "cccc 011p u1w0 nnnn tttt iiii ikk0 mmmm" V4T    [p u w n t i k m] => store(Byte, t, indexed(n, reg_offset(u, m, k, i), p, w));
    "ldrb"    "cccc 011p u1w1 nnnn tttt iiii ikk0 mmmm" V4T    [p u w n t i k m] => load(Byte, t, indexed(n, reg_offset(u, m, k, i), p, w));
    "strt"    "cccc 0110 u010 nnnn tttt iiii ikk0 mmmm" V4T ^1 [u n t i k m] => store_t(Word, t, post(n, reg_offset(u, m, k, i)));
    "ldrt"    "cccc 0110 u011 nnnn tttt iiii ikk0 mmmm" V4T ^1 [u n t i k m] => load_t(Word, false, t, post(n, reg_offset(u, m, k, i)));
    "strbt"   "cccc 0110 u110 nnnn tttt iiii ikk0 mmmm" V4T ^1 [u n t i k m] => store_t(Byte, t, post(n, reg_offset(u, m, k, i)));
    "ldrbt"   "cccc 0110 u111 nnnn tttt iiii ikk0 mmmm" V4T ^1 [u n t i k m] => load_t(Byte, false, t, post(n, reg_offset(u, m, k, i)));

    // Halfwords and signed bytes, indexed before (P=1) and after (P=0 W=0); P=0 W=1 is unprivileged, from ARMv6T2.
    "strh"    "cccc 0001 u0w0 nnnn tttt 0000 1011 mmmm" V4T  [u w n t m] => store(Half, t, indexed(n, reg_offset(u, m, 0, 0), 1, w));
    "ldrh"    "cccc 0001 u0w1 nnnn tttt 0000 1011 mmmm" V4T  [u w n t m] => load(Half, t, indexed(n, reg_offset(u, m, 0, 0), 1, w));
    "ldrsb"   "cccc 0001 u0w1 nnnn tttt 0000 1101 mmmm" V4T  [u w n t m] => load_signed(Byte, t, indexed(n, reg_offset(u, m, 0, 0), 1, w));
    "ldrsh"   "cccc 0001 u0w1 nnnn tttt 0000 1111 mmmm" V4T  [u w n t m] => load_signed(Half, t, indexed(n, reg_offset(u, m, 0, 0), 1, w));
    "strh"    "cccc 0000 u000 nnnn tttt 0000 1011 mmmm" V4T  [u n t m] => store(Half, t, post(n, reg_offset(u, m, 0, 0)));
    "ldrh"    "cccc 0000 u001 nnnn tttt 0000 1011 mmmm" V4T  [u n t m] => load(Half, t, post(n, reg_offset(u, m, 0, 0)));
    "ldrsb"   "cccc 0000 u001 nnnn tttt 0000 1101 mmmm" V4T  [u n t m] => load_signed(Byte, t, post(n, reg_offset(u, m, 0, 0)));
    "ldrsh"   "cccc 0000 u001 nnnn tttt 0000 1111 mmmm" V4T  [u n t m] => load_signed(Half, t, post(n, reg_offset(u, m, 0, 0)));
    "strht"   "cccc 0000 u010 nnnn tttt 0000 1011 mmmm" V6T2 [u n t m] => store_t(Half, t, post(n, reg_offset(u, m, 0, 0)));
    "ldrht"   "cccc 0000 u011 nnnn tttt 0000 1011 mmmm" V6T2 [u n t m] => load_t(Half, false, t, post(n, reg_offset(u, m, 0, 0)));
    "ldrsbt"  "cccc 0000 u011 nnnn tttt 0000 1101 mmmm" V6T2 [u n t m] => load_t(Byte, true, t, post(n, reg_offset(u, m, 0, 0)));
    "ldrsht"  "cccc 0000 u011 nnnn tttt 0000 1111 mmmm" V6T2 [u n t m] => load_t(Half, true, t, post(n, reg_offset(u, m, 0, 0)));
    "strh"    "cccc 0001 u1w0 nnnn tttt iiii 1011 iiii" V4T  [u w n t i] => store(Half, t, indexed(n, imm_offset(u, i), 1, w));
    "ldrh"    "cccc 0001 u1w1 nnnn tttt iiii 1011 iiii" V4T  [u w n t i] => load(Half, t, indexed(n, imm_offset(u, i), 1, w));
    "ldrsb"   "cccc 0001 u1w1 nnnn tttt iiii 1101 iiii" V4T  [u w n t i] => load_signed(Byte, t, indexed(n, imm_offset(u, i), 1, w));
    "ldrsh"   "cccc 0001 u1w1 nnnn tttt iiii 1111 iiii" V4T  [u w n t i] => load_signed(Half, t, indexed(n, imm_offset(u, i), 1, w));
    "strh"    "cccc 0000 u100 nnnn tttt iiii 1011 iiii" V4T  [u n t i] => store(Half, t, post(n, imm_offset(u, i)));
    "ldrh"    "cccc 0000 u101 nnnn tttt iiii 1011 iiii" V4T  [u n t i] => load(Half, t, post(n, imm_offset(u, i)));
    "ldrsb"   "cccc 0000 u101 nnnn tttt iiii 1101 iiii" V4T  [u n t i] => load_signed(Byte, t, post(n, imm_offset(u, i)));
    "ldrsh"   "cccc 0000 u101 nnnn tttt iiii 1111 iiii" V4T  [u n t i] => load_signed(Half, t, post(n, imm_offset(u, i)));
    "strht"   "cccc 0000 u110 nnnn tttt iiii 1011 iiii" V6T2 [u n t i] => store_t(Half, t, post(n, imm_offset(u, i)));
    "ldrht"   "cccc 0000 u111 nnnn tttt iiii 1011 iiii" V6T2 [u n t i] => load_t(Half, false, t, post(n, imm_offset(u, i)));
    "ldrsbt"  "cccc 0000 u111 nnnn tttt iiii 1101 iiii" V6T2 [u n t i] => load_t(Byte, true, t, post(n, imm_offset(u, i)));
    "ldrsht"  "cccc 0000 u111 nnnn tttt iiii 1111 iiii" V6T2 [u n t i] => load_t(Half, true, t, post(n, imm_offset(u, i)));

    // Doublewords: an odd first register, or pc as the second of a load, is UNPREDICTABLE, and UNDEFINED here; P=0 W=1 has no row.
    "ldrd"    "cccc 0001 u0w0 nnnn tttt 0000 1101 mmmm" V5TE [u w n t m] unless (t & 1 == 1 || t == 14) => load_dual(t, t + 1, indexed(n, reg_offset(u, m, 0, 0), 1, w));
    "strd"    "cccc 0001 u0w0 nnnn tttt 0000 1111 mmmm" V5TE [u w n t m] unless (t & 1 == 1) => store_dual(t, t + 1, indexed(n, reg_offset(u, m, 0, 0), 1, w));
    "ldrd"    "cccc 0000 u000 nnnn tttt 0000 1101 mmmm" V5TE [u n t m] unless (t & 1 == 1 || t == 14) => load_dual(t, t + 1, post(n, reg_offset(u, m, 0, 0)));
    "strd"    "cccc 0000 u000 nnnn tttt 0000 1111 mmmm" V5TE [u n t m] unless (t & 1 == 1) => store_dual(t, t + 1, post(n, reg_offset(u, m, 0, 0)));
    "ldrd"    "cccc 0001 u1w0 nnnn tttt iiii 1101 iiii" V5TE [u w n t i] unless (t & 1 == 1 || t == 14) => load_dual(t, t + 1, indexed(n, imm_offset(u, i), 1, w));
    "strd"    "cccc 0001 u1w0 nnnn tttt iiii 1111 iiii" V5TE [u w n t i] unless (t & 1 == 1) => store_dual(t, t + 1, indexed(n, imm_offset(u, i), 1, w));
    "ldrd"    "cccc 0000 u100 nnnn tttt iiii 1101 iiii" V5TE [u n t i] unless (t & 1 == 1 || t == 14) => load_dual(t, t + 1, post(n, imm_offset(u, i)));
    "strd"    "cccc 0000 u100 nnnn tttt iiii 1111 iiii" V5TE [u n t i] unless (t & 1 == 1) => store_dual(t, t + 1, post(n, imm_offset(u, i)));
};

#[rustfmt::skip]
pub const OTHER: &[Row] = rows! {
    // Multiple. No register, or a pc base, is UNPREDICTABLE and UNDEFINED here; so is a base with
    // writeback in the list of a load from ARMv7 on (before, the loaded value stands). The user-bank and exception-return forms (S=1) are UNDEFINED in User mode.
    "stmda"   "cccc 1000 00w0 nnnn llll llll llll llll" V4T [w n l] => multiple(false, Multi::Da, w, n, l, 1);
    "ldmda"   "cccc 1000 00w1 nnnn llll llll llll llll" V4T [w n l; cx] => arm_ldm(Multi::Da, w, n, l, cx);
    "stm"     "cccc 1000 10w0 nnnn llll llll llll llll" V4T [w n l] => multiple(false, Multi::Ia, w, n, l, 1);
    "ldm"     "cccc 1000 10w1 nnnn llll llll llll llll" V4T [w n l; cx] => arm_ldm(Multi::Ia, w, n, l, cx);
    "stmdb"   "cccc 1001 00w0 nnnn llll llll llll llll" V4T [w n l] => multiple(false, Multi::Db, w, n, l, 1);
    "ldmdb"   "cccc 1001 00w1 nnnn llll llll llll llll" V4T [w n l; cx] => arm_ldm(Multi::Db, w, n, l, cx);
    "stmib"   "cccc 1001 10w0 nnnn llll llll llll llll" V4T [w n l] => multiple(false, Multi::Ib, w, n, l, 1);
    "ldmib"   "cccc 1001 10w1 nnnn llll llll llll llll" V4T [w n l; cx] => arm_ldm(Multi::Ib, w, n, l, cx);

    "swp"     "cccc 0001 0000 nnnn tttt 0000 1001 mmmm" SWP [n t m] => Insn::Swp { byte: false, rt: r(t), rt2: r(m), rn: r(n) };
    "swpb"    "cccc 0001 0100 nnnn tttt 0000 1001 mmmm" SWP [n t m] => Insn::Swp { byte: true, rt: r(t), rt2: r(m), rn: r(n) };

    // Exclusives: what is UNPREDICTABLE (pc, a status register that is another operand, an odd pair) is UNDEFINED here.
    "strex"   "cccc 0001 1000 nnnn dddd 1111 1001 tttt" V6  [n d t] => store_ex(Word, false, d, (t, t), n, 0);
    "ldrex"   "cccc 0001 1001 nnnn tttt 1111 1001 1111" V6  [n t] => load_ex(Word, false, t, t, n, 0);
    "strexd"  "cccc 0001 1010 nnnn dddd 1111 1001 tttt" V6K [n d t] unless (t & 1 == 1) => store_ex(Double, false, d, (t, t + 1), n, 0);
    "ldrexd"  "cccc 0001 1011 nnnn tttt 1111 1001 1111" V6K [n t] unless (t & 1 == 1) => load_ex(Double, false, t, t + 1, n, 0);
    "strexb"  "cccc 0001 1100 nnnn dddd 1111 1001 tttt" V6K [n d t] => store_ex(Byte, false, d, (t, t), n, 0);
    "ldrexb"  "cccc 0001 1101 nnnn tttt 1111 1001 1111" V6K [n t] => load_ex(Byte, false, t, t, n, 0);
    "strexh"  "cccc 0001 1110 nnnn dddd 1111 1001 tttt" V6K [n d t] => store_ex(Half, false, d, (t, t), n, 0);
    "ldrexh"  "cccc 0001 1111 nnnn tttt 1111 1001 1111" V6K [n t] => load_ex(Half, false, t, t, n, 0);
    "stlex"   "cccc 0001 1000 nnnn dddd 1110 1001 tttt" V8  [n d t] => store_ex(Word, true, d, (t, t), n, 0);
    "ldaex"   "cccc 0001 1001 nnnn tttt 1110 1001 1111" V8  [n t] => load_ex(Word, true, t, t, n, 0);
    "stlexd"  "cccc 0001 1010 nnnn dddd 1110 1001 tttt" V8  [n d t] unless (t & 1 == 1) => store_ex(Double, true, d, (t, t + 1), n, 0);
    "ldaexd"  "cccc 0001 1011 nnnn tttt 1110 1001 1111" V8  [n t] unless (t & 1 == 1) => load_ex(Double, true, t, t + 1, n, 0);
    "stlexb"  "cccc 0001 1100 nnnn dddd 1110 1001 tttt" V8  [n d t] => store_ex(Byte, true, d, (t, t), n, 0);
    "ldaexb"  "cccc 0001 1101 nnnn tttt 1110 1001 1111" V8  [n t] => load_ex(Byte, true, t, t, n, 0);
    "stlexh"  "cccc 0001 1110 nnnn dddd 1110 1001 tttt" V8  [n d t] => store_ex(Half, true, d, (t, t), n, 0);
    "ldaexh"  "cccc 0001 1111 nnnn tttt 1110 1001 1111" V8  [n t] => load_ex(Half, true, t, t, n, 0);
    "stl"     "cccc 0001 1000 nnnn 1111 1100 1001 tttt" V8  [n t] unless (n == 15 || t == 15) => Insn::StoreRelease { size: Word, rt: r(t), rn: r(n) };
    "lda"     "cccc 0001 1001 nnnn tttt 1100 1001 1111" V8  [n t] unless (n == 15 || t == 15) => Insn::LoadAcquire { size: Word, rt: r(t), rn: r(n) };
    "stlb"    "cccc 0001 1100 nnnn 1111 1100 1001 tttt" V8  [n t] unless (n == 15 || t == 15) => Insn::StoreRelease { size: Byte, rt: r(t), rn: r(n) };
    "ldab"    "cccc 0001 1101 nnnn tttt 1100 1001 1111" V8  [n t] unless (n == 15 || t == 15) => Insn::LoadAcquire { size: Byte, rt: r(t), rn: r(n) };
    "stlh"    "cccc 0001 1110 nnnn 1111 1100 1001 tttt" V8  [n t] unless (n == 15 || t == 15) => Insn::StoreRelease { size: Half, rt: r(t), rn: r(n) };
    "ldah"    "cccc 0001 1111 nnnn tttt 1100 1001 1111" V8  [n t] unless (n == 15 || t == 15) => Insn::LoadAcquire { size: Half, rt: r(t), rn: r(n) };
};
