//! 32-bit T32 data processing: immediate, register, multiplication, division and the parallel (SIMD) operations.

use crate::cpu::model::Features;
use crate::isa::insn::{AluOp::*, ExtendFrom::*, Insn::*, ParallelKind::*, ParallelOp::*, TestOp::*};
use crate::isa::insn::{MemSize, QAddOp, RevOp};
use crate::isa::operands::*;
use crate::isa::pattern::{Row, rows};

const T2: Features = Features::V6T2;
const DIV: Features = Features::V6T2.union(Features::DIV);
const CRC: Features = Features::CRC32;

#[rustfmt::skip]
pub const IMMEDIATE: &[Row] = rows! {
    // Modified immediate. A flag-setting operation without its result (destination 1111) is the comparison; a
    // destination of 1111 otherwise, and sp or pc as an operand, are UNPREDICTABLE.
    "and"     "1111 0i00 000s nnnn 0iii dddd iiii iiii" T2    [s n d i] => alu(And, s, d, n, thumb_imm(i));
    "tst"     "1111 0i00 0001 nnnn 0iii 1111 iiii iiii" T2 ^1 [n i] => test(Tst, n, thumb_imm(i));
    "bic"     "1111 0i00 001s nnnn 0iii dddd iiii iiii" T2    [s n d i] => alu(Bic, s, d, n, thumb_imm(i));
    "orr"     "1111 0i00 010s nnnn 0iii dddd iiii iiii" T2    [s n d i] => alu(Orr, s, d, n, thumb_imm(i));
    "mov"     "1111 0i00 010s 1111 0iii dddd iiii iiii" T2 ^1 [s d i] unless (s == 1 && d == 15) => mov(s, d, thumb_imm(i));
    "orn"     "1111 0i00 011s nnnn 0iii dddd iiii iiii" T2    [s n d i] => alu(Orn, s, d, n, thumb_imm(i));
    "mvn"     "1111 0i00 011s 1111 0iii dddd iiii iiii" T2 ^1 [s d i] => mvn(s, d, thumb_imm(i));
    "eor"     "1111 0i00 100s nnnn 0iii dddd iiii iiii" T2    [s n d i] => alu(Eor, s, d, n, thumb_imm(i));
    "teq"     "1111 0i00 1001 nnnn 0iii 1111 iiii iiii" T2 ^1 [n i] => test(Teq, n, thumb_imm(i));
    "add"     "1111 0i01 000s nnnn 0iii dddd iiii iiii" T2    [s n d i] => alu(Add, s, d, n, thumb_imm(i));
    "cmn"     "1111 0i01 0001 nnnn 0iii 1111 iiii iiii" T2 ^1 [n i] => test(Cmn, n, thumb_imm(i));
    "adc"     "1111 0i01 010s nnnn 0iii dddd iiii iiii" T2    [s n d i] => alu(Adc, s, d, n, thumb_imm(i));
    "sbc"     "1111 0i01 011s nnnn 0iii dddd iiii iiii" T2    [s n d i] => alu(Sbc, s, d, n, thumb_imm(i));
    "sub"     "1111 0i01 101s nnnn 0iii dddd iiii iiii" T2    [s n d i] => alu(Sub, s, d, n, thumb_imm(i));
    "cmp"     "1111 0i01 1011 nnnn 0iii 1111 iiii iiii" T2 ^1 [n i] => test(Cmp, n, thumb_imm(i));
    "rsb"     "1111 0i01 110s nnnn 0iii dddd iiii iiii" T2    [s n d i] => alu(Rsb, s, d, n, thumb_imm(i));
    // Plain immediates.
    "add"     "1111 0i10 0000 nnnn 0iii dddd iiii iiii" T2    [i n d] => alu(Add, 0, d, n, imm(i));
    "adr"     "1111 0i10 0000 1111 0iii dddd iiii iiii" T2 ^1 [i d] => Adr { rd: r(d), offset: i as i32 };
    "sub"     "1111 0i10 1010 nnnn 0iii dddd iiii iiii" T2    [i n d] => alu(Sub, 0, d, n, imm(i));
    "adr"     "1111 0i10 1010 1111 0iii dddd iiii iiii" T2 ^1 [i d] => Adr { rd: r(d), offset: -(i as i32) };
    "movw"    "1111 0i10 0100 jjjj 0iii dddd iiii iiii" T2 [j i d] => MovW { rd: r(d), imm: (j << 12 | i) as u16 };
    "movt"    "1111 0i10 1100 jjjj 0iii dddd iiii iiii" T2 [j i d] => MovT { rd: r(d), imm: (j << 12 | i) as u16 };
    "ssat"    "1111 0011 00s0 nnnn 0iii dddd ii0b bbbb" T2    [s n i d b] => Sat { signed: true, rd: r(d), bits: b as u8 + 1, src: shifted(n, 2 * s, i) };
    "ssat16"  "1111 0011 0010 nnnn 0000 dddd 000b bbbb" T2 ^1 [n d b] => Sat16 { signed: true, rd: r(d), bits: b as u8 + 1, rn: r(n) };
    "usat"    "1111 0011 10s0 nnnn 0iii dddd ii0b bbbb" T2    [s n i d b] => Sat { signed: false, rd: r(d), bits: b as u8, src: shifted(n, 2 * s, i) };
    "usat16"  "1111 0011 1010 nnnn 0000 dddd 000b bbbb" T2 ^1 [n d b] => Sat16 { signed: false, rd: r(d), bits: b as u8, rn: r(n) };
    "sbfx"    "1111 0011 0100 nnnn 0iii dddd ii0w wwww" T2    [n i d w] => bfx(true, d, n, i, w);
    "ubfx"    "1111 0011 1100 nnnn 0iii dddd ii0w wwww" T2    [n i d w] => bfx(false, d, n, i, w);
    "bfi"     "1111 0011 0110 nnnn 0iii dddd ii0h hhhh" T2    [n i d h] => bfi(d, n, i, h);
    "bfc"     "1111 0011 0110 1111 0iii dddd ii0h hhhh" T2 ^1 [i d h] => bfi(d, 15, i, h);
};

#[rustfmt::skip]
pub const REGISTER: &[Row] = rows! {
    // Register, shifted by a constant.
    "and"     "1110 1010 000s nnnn 0iii dddd iitt mmmm" T2    [s n d i t m] => alu(And, s, d, n, shifted(m, t, i));
    "tst"     "1110 1010 0001 nnnn 0iii 1111 iitt mmmm" T2 ^1 [n i t m] => test(Tst, n, shifted(m, t, i));
    "bic"     "1110 1010 001s nnnn 0iii dddd iitt mmmm" T2    [s n d i t m] => alu(Bic, s, d, n, shifted(m, t, i));
    "orr"     "1110 1010 010s nnnn 0iii dddd iitt mmmm" T2    [s n d i t m] => alu(Orr, s, d, n, shifted(m, t, i));
    "mov"     "1110 1010 010s 1111 0iii dddd iitt mmmm" T2 ^1 [s d i t m] unless (s == 1 && d == 15) => mov(s, d, shifted(m, t, i));
    "orn"     "1110 1010 011s nnnn 0iii dddd iitt mmmm" T2    [s n d i t m] => alu(Orn, s, d, n, shifted(m, t, i));
    "mvn"     "1110 1010 011s 1111 0iii dddd iitt mmmm" T2 ^1 [s d i t m] => mvn(s, d, shifted(m, t, i));
    "eor"     "1110 1010 100s nnnn 0iii dddd iitt mmmm" T2    [s n d i t m] => alu(Eor, s, d, n, shifted(m, t, i));
    "teq"     "1110 1010 1001 nnnn 0iii 1111 iitt mmmm" T2 ^1 [n i t m] => test(Teq, n, shifted(m, t, i));
    "add"     "1110 1011 000s nnnn 0iii dddd iitt mmmm" T2    [s n d i t m] => alu(Add, s, d, n, shifted(m, t, i));
    "cmn"     "1110 1011 0001 nnnn 0iii 1111 iitt mmmm" T2 ^1 [n i t m] => test(Cmn, n, shifted(m, t, i));
    "adc"     "1110 1011 010s nnnn 0iii dddd iitt mmmm" T2    [s n d i t m] => alu(Adc, s, d, n, shifted(m, t, i));
    "sbc"     "1110 1011 011s nnnn 0iii dddd iitt mmmm" T2    [s n d i t m] => alu(Sbc, s, d, n, shifted(m, t, i));
    "sub"     "1110 1011 101s nnnn 0iii dddd iitt mmmm" T2    [s n d i t m] => alu(Sub, s, d, n, shifted(m, t, i));
    "cmp"     "1110 1011 1011 nnnn 0iii 1111 iitt mmmm" T2 ^1 [n i t m] => test(Cmp, n, shifted(m, t, i));
    "rsb"     "1110 1011 110s nnnn 0iii dddd iitt mmmm" T2    [s n d i t m] => alu(Rsb, s, d, n, shifted(m, t, i));
    "pkhbt"   "1110 1010 1100 nnnn 0iii dddd ii00 mmmm" T2 [n i d m] => Pkh { tb: false, rd: r(d), rn: r(n), src: shifted(m, 0, i) };
    "pkhtb"   "1110 1010 1100 nnnn 0iii dddd ii10 mmmm" T2 [n i d m] => Pkh { tb: true, rd: r(d), rn: r(n), src: shifted(m, 2, i) };
    // Shift by a register.
    "lsl"     "1111 1010 000s nnnn 1111 dddd 0000 mmmm" T2 [s n d m] unless (s == 1 && d == 15) => mov(s, d, by_reg(n, 0, m));
    "lsr"     "1111 1010 001s nnnn 1111 dddd 0000 mmmm" T2 [s n d m] unless (s == 1 && d == 15) => mov(s, d, by_reg(n, 1, m));
    "asr"     "1111 1010 010s nnnn 1111 dddd 0000 mmmm" T2 [s n d m] unless (s == 1 && d == 15) => mov(s, d, by_reg(n, 2, m));
    "ror"     "1111 1010 011s nnnn 1111 dddd 0000 mmmm" T2 [s n d m] unless (s == 1 && d == 15) => mov(s, d, by_reg(n, 3, m));
    // Extension: an accumulator of 1111 is the form without.
    "sxtah"   "1111 1010 0000 nnnn 1111 dddd 10kk mmmm" T2    [n d k m] => extend(true, Half, d, n, m, k);
    "sxth"    "1111 1010 0000 1111 1111 dddd 10kk mmmm" T2 ^1 [d k m] => extend(true, Half, d, 15, m, k);
    "uxtah"   "1111 1010 0001 nnnn 1111 dddd 10kk mmmm" T2    [n d k m] => extend(false, Half, d, n, m, k);
    "uxth"    "1111 1010 0001 1111 1111 dddd 10kk mmmm" T2 ^1 [d k m] => extend(false, Half, d, 15, m, k);
    "sxtab16" "1111 1010 0010 nnnn 1111 dddd 10kk mmmm" T2    [n d k m] => extend(true, Byte16, d, n, m, k);
    "sxtb16"  "1111 1010 0010 1111 1111 dddd 10kk mmmm" T2 ^1 [d k m] => extend(true, Byte16, d, 15, m, k);
    "uxtab16" "1111 1010 0011 nnnn 1111 dddd 10kk mmmm" T2    [n d k m] => extend(false, Byte16, d, n, m, k);
    "uxtb16"  "1111 1010 0011 1111 1111 dddd 10kk mmmm" T2 ^1 [d k m] => extend(false, Byte16, d, 15, m, k);
    "sxtab"   "1111 1010 0100 nnnn 1111 dddd 10kk mmmm" T2    [n d k m] => extend(true, Byte, d, n, m, k);
    "sxtb"    "1111 1010 0100 1111 1111 dddd 10kk mmmm" T2 ^1 [d k m] => extend(true, Byte, d, 15, m, k);
    "uxtab"   "1111 1010 0101 nnnn 1111 dddd 10kk mmmm" T2    [n d k m] => extend(false, Byte, d, n, m, k);
    "uxtb"    "1111 1010 0101 1111 1111 dddd 10kk mmmm" T2 ^1 [d k m] => extend(false, Byte, d, 15, m, k);
    // Two registers. REV and CLZ hold Rm twice; different values are UNPREDICTABLE, and the second counts.
    "qadd"    "1111 1010 1000 nnnn 1111 dddd 1000 mmmm" T2 [n d m] => QAdd { op: QAddOp::Qadd, rd: r(d), rm: r(m), rn: r(n) };
    "qdadd"   "1111 1010 1000 nnnn 1111 dddd 1001 mmmm" T2 [n d m] => QAdd { op: QAddOp::Qdadd, rd: r(d), rm: r(m), rn: r(n) };
    "qsub"    "1111 1010 1000 nnnn 1111 dddd 1010 mmmm" T2 [n d m] => QAdd { op: QAddOp::Qsub, rd: r(d), rm: r(m), rn: r(n) };
    "qdsub"   "1111 1010 1000 nnnn 1111 dddd 1011 mmmm" T2 [n d m] => QAdd { op: QAddOp::Qdsub, rd: r(d), rm: r(m), rn: r(n) };
    "rev"     "1111 1010 1001 ---- 1111 dddd 1000 mmmm" T2 [d m] => Rev { op: RevOp::Rev, rd: r(d), rm: r(m) };
    "rev16"   "1111 1010 1001 ---- 1111 dddd 1001 mmmm" T2 [d m] => Rev { op: RevOp::Rev16, rd: r(d), rm: r(m) };
    "rbit"    "1111 1010 1001 ---- 1111 dddd 1010 mmmm" T2 [d m] => Rev { op: RevOp::Rbit, rd: r(d), rm: r(m) };
    "revsh"   "1111 1010 1001 ---- 1111 dddd 1011 mmmm" T2 [d m] => Rev { op: RevOp::Revsh, rd: r(d), rm: r(m) };
    "sel"     "1111 1010 1010 nnnn 1111 dddd 1000 mmmm" T2 [n d m] => Sel { rd: r(d), rn: r(n), rm: r(m) };
    "clz"     "1111 1010 1011 ---- 1111 dddd 1000 mmmm" T2 [d m] => Clz { rd: r(d), rm: r(m) };
    "crc32b"  "1111 1010 1100 nnnn 1111 dddd 1000 mmmm" CRC [n d m] => Crc32 { castagnoli: false, size: MemSize::Byte, rd: r(d), rn: r(n), rm: r(m) };
    "crc32h"  "1111 1010 1100 nnnn 1111 dddd 1001 mmmm" CRC [n d m] => Crc32 { castagnoli: false, size: MemSize::Half, rd: r(d), rn: r(n), rm: r(m) };
    "crc32w"  "1111 1010 1100 nnnn 1111 dddd 1010 mmmm" CRC [n d m] => Crc32 { castagnoli: false, size: MemSize::Word, rd: r(d), rn: r(n), rm: r(m) };
    "crc32cb" "1111 1010 1101 nnnn 1111 dddd 1000 mmmm" CRC [n d m] => Crc32 { castagnoli: true, size: MemSize::Byte, rd: r(d), rn: r(n), rm: r(m) };
    "crc32ch" "1111 1010 1101 nnnn 1111 dddd 1001 mmmm" CRC [n d m] => Crc32 { castagnoli: true, size: MemSize::Half, rd: r(d), rn: r(n), rm: r(m) };
    "crc32cw" "1111 1010 1101 nnnn 1111 dddd 1010 mmmm" CRC [n d m] => Crc32 { castagnoli: true, size: MemSize::Word, rd: r(d), rn: r(n), rm: r(m) };
    // Parallel additions and subtractions.
    "sadd8"   "1111 1010 1000 nnnn 1111 dddd 0000 mmmm" T2 [n d m] => parallel(Signed, Add8, d, n, m);
    "sadd16"  "1111 1010 1001 nnnn 1111 dddd 0000 mmmm" T2 [n d m] => parallel(Signed, Add16, d, n, m);
    "sasx"    "1111 1010 1010 nnnn 1111 dddd 0000 mmmm" T2 [n d m] => parallel(Signed, Asx, d, n, m);
    "ssub8"   "1111 1010 1100 nnnn 1111 dddd 0000 mmmm" T2 [n d m] => parallel(Signed, Sub8, d, n, m);
    "ssub16"  "1111 1010 1101 nnnn 1111 dddd 0000 mmmm" T2 [n d m] => parallel(Signed, Sub16, d, n, m);
    "ssax"    "1111 1010 1110 nnnn 1111 dddd 0000 mmmm" T2 [n d m] => parallel(Signed, Sax, d, n, m);
    "qadd8"   "1111 1010 1000 nnnn 1111 dddd 0001 mmmm" T2 [n d m] => parallel(SignedSat, Add8, d, n, m);
    "qadd16"  "1111 1010 1001 nnnn 1111 dddd 0001 mmmm" T2 [n d m] => parallel(SignedSat, Add16, d, n, m);
    "qasx"    "1111 1010 1010 nnnn 1111 dddd 0001 mmmm" T2 [n d m] => parallel(SignedSat, Asx, d, n, m);
    "qsub8"   "1111 1010 1100 nnnn 1111 dddd 0001 mmmm" T2 [n d m] => parallel(SignedSat, Sub8, d, n, m);
    "qsub16"  "1111 1010 1101 nnnn 1111 dddd 0001 mmmm" T2 [n d m] => parallel(SignedSat, Sub16, d, n, m);
    "qsax"    "1111 1010 1110 nnnn 1111 dddd 0001 mmmm" T2 [n d m] => parallel(SignedSat, Sax, d, n, m);
    "shadd8"  "1111 1010 1000 nnnn 1111 dddd 0010 mmmm" T2 [n d m] => parallel(SignedHalving, Add8, d, n, m);
    "shadd16" "1111 1010 1001 nnnn 1111 dddd 0010 mmmm" T2 [n d m] => parallel(SignedHalving, Add16, d, n, m);
    "shasx"   "1111 1010 1010 nnnn 1111 dddd 0010 mmmm" T2 [n d m] => parallel(SignedHalving, Asx, d, n, m);
    "shsub8"  "1111 1010 1100 nnnn 1111 dddd 0010 mmmm" T2 [n d m] => parallel(SignedHalving, Sub8, d, n, m);
    "shsub16" "1111 1010 1101 nnnn 1111 dddd 0010 mmmm" T2 [n d m] => parallel(SignedHalving, Sub16, d, n, m);
    "shsax"   "1111 1010 1110 nnnn 1111 dddd 0010 mmmm" T2 [n d m] => parallel(SignedHalving, Sax, d, n, m);
    "uadd8"   "1111 1010 1000 nnnn 1111 dddd 0100 mmmm" T2 [n d m] => parallel(Unsigned, Add8, d, n, m);
    "uadd16"  "1111 1010 1001 nnnn 1111 dddd 0100 mmmm" T2 [n d m] => parallel(Unsigned, Add16, d, n, m);
    "uasx"    "1111 1010 1010 nnnn 1111 dddd 0100 mmmm" T2 [n d m] => parallel(Unsigned, Asx, d, n, m);
    "usub8"   "1111 1010 1100 nnnn 1111 dddd 0100 mmmm" T2 [n d m] => parallel(Unsigned, Sub8, d, n, m);
    "usub16"  "1111 1010 1101 nnnn 1111 dddd 0100 mmmm" T2 [n d m] => parallel(Unsigned, Sub16, d, n, m);
    "usax"    "1111 1010 1110 nnnn 1111 dddd 0100 mmmm" T2 [n d m] => parallel(Unsigned, Sax, d, n, m);
    "uqadd8"  "1111 1010 1000 nnnn 1111 dddd 0101 mmmm" T2 [n d m] => parallel(UnsignedSat, Add8, d, n, m);
    "uqadd16" "1111 1010 1001 nnnn 1111 dddd 0101 mmmm" T2 [n d m] => parallel(UnsignedSat, Add16, d, n, m);
    "uqasx"   "1111 1010 1010 nnnn 1111 dddd 0101 mmmm" T2 [n d m] => parallel(UnsignedSat, Asx, d, n, m);
    "uqsub8"  "1111 1010 1100 nnnn 1111 dddd 0101 mmmm" T2 [n d m] => parallel(UnsignedSat, Sub8, d, n, m);
    "uqsub16" "1111 1010 1101 nnnn 1111 dddd 0101 mmmm" T2 [n d m] => parallel(UnsignedSat, Sub16, d, n, m);
    "uqsax"   "1111 1010 1110 nnnn 1111 dddd 0101 mmmm" T2 [n d m] => parallel(UnsignedSat, Sax, d, n, m);
    "uhadd8"  "1111 1010 1000 nnnn 1111 dddd 0110 mmmm" T2 [n d m] => parallel(UnsignedHalving, Add8, d, n, m);
    "uhadd16" "1111 1010 1001 nnnn 1111 dddd 0110 mmmm" T2 [n d m] => parallel(UnsignedHalving, Add16, d, n, m);
    "uhasx"   "1111 1010 1010 nnnn 1111 dddd 0110 mmmm" T2 [n d m] => parallel(UnsignedHalving, Asx, d, n, m);
    "uhsub8"  "1111 1010 1100 nnnn 1111 dddd 0110 mmmm" T2 [n d m] => parallel(UnsignedHalving, Sub8, d, n, m);
    "uhsub16" "1111 1010 1101 nnnn 1111 dddd 0110 mmmm" T2 [n d m] => parallel(UnsignedHalving, Sub16, d, n, m);
    "uhsax"   "1111 1010 1110 nnnn 1111 dddd 0110 mmmm" T2 [n d m] => parallel(UnsignedHalving, Sax, d, n, m);
};

#[rustfmt::skip]
pub const MULTIPLY: &[Row] = rows! {
    // An accumulator of 1111 is the form without. x chooses the half of Rn (or the X form), y that of Rm.
    "mla"     "1111 1011 0000 nnnn aaaa dddd 0000 mmmm" T2    [n a d m] => Mla { s: false, rd: r(d), rn: r(n), rm: r(m), ra: r(a) };
    "mul"     "1111 1011 0000 nnnn 1111 dddd 0000 mmmm" T2 ^1 [n d m] => Mul { s: false, rd: r(d), rn: r(n), rm: r(m) };
    "mls"     "1111 1011 0000 nnnn aaaa dddd 0001 mmmm" T2    [n a d m] => Mls { rd: r(d), rn: r(n), rm: r(m), ra: r(a) };
    "smla"    "1111 1011 0001 nnnn aaaa dddd 00xy mmmm" T2    [n a d x y m] => SmlaXY { rd: r(d), rn: r(n), rm: r(m), ra: r(a), n_high: x == 1, m_high: y == 1 };
    "smul"    "1111 1011 0001 nnnn 1111 dddd 00xy mmmm" T2 ^1 [n d x y m] => SmulXY { rd: r(d), rn: r(n), rm: r(m), n_high: x == 1, m_high: y == 1 };
    "smlad"   "1111 1011 0010 nnnn aaaa dddd 000x mmmm" T2    [n a d x m] => Smlad { sub: false, swap: x == 1, rd: r(d), rn: r(n), rm: r(m), ra: r(a) };
    "smuad"   "1111 1011 0010 nnnn 1111 dddd 000x mmmm" T2 ^1 [n d x m] => Smuad { sub: false, swap: x == 1, rd: r(d), rn: r(n), rm: r(m) };
    "smlaw"   "1111 1011 0011 nnnn aaaa dddd 000y mmmm" T2    [n a d y m] => SmlaWY { rd: r(d), rn: r(n), rm: r(m), ra: r(a), m_high: y == 1 };
    "smulw"   "1111 1011 0011 nnnn 1111 dddd 000y mmmm" T2 ^1 [n d y m] => SmulWY { rd: r(d), rn: r(n), rm: r(m), m_high: y == 1 };
    "smlsd"   "1111 1011 0100 nnnn aaaa dddd 000x mmmm" T2    [n a d x m] => Smlad { sub: true, swap: x == 1, rd: r(d), rn: r(n), rm: r(m), ra: r(a) };
    "smusd"   "1111 1011 0100 nnnn 1111 dddd 000x mmmm" T2 ^1 [n d x m] => Smuad { sub: true, swap: x == 1, rd: r(d), rn: r(n), rm: r(m) };
    "smmla"   "1111 1011 0101 nnnn aaaa dddd 000k mmmm" T2    [n a d k m] => smmla(false, k, d, n, m, a);
    "smmul"   "1111 1011 0101 nnnn 1111 dddd 000k mmmm" T2 ^1 [n d k m] => smmul(k, d, n, m);
    "smmls"   "1111 1011 0110 nnnn aaaa dddd 000k mmmm" T2    [n a d k m] => smmla(true, k, d, n, m, a);
    "usada8"  "1111 1011 0111 nnnn aaaa dddd 0000 mmmm" T2    [n a d m] => Usada8 { rd: r(d), rn: r(n), rm: r(m), ra: r(a) };
    "usad8"   "1111 1011 0111 nnnn 1111 dddd 0000 mmmm" T2 ^1 [n d m] => Usad8 { rd: r(d), rn: r(n), rm: r(m) };
    "smull"   "1111 1011 1000 nnnn llll hhhh 0000 mmmm" T2 [n l h m] => MulLong { signed: true, accumulate: false, s: false, rdlo: r(l), rdhi: r(h), rn: r(n), rm: r(m) };
    "sdiv"    "1111 1011 1001 nnnn 1111 dddd 1111 mmmm" DIV [n d m] => Div { signed: true, rd: r(d), rn: r(n), rm: r(m) };
    "umull"   "1111 1011 1010 nnnn llll hhhh 0000 mmmm" T2 [n l h m] => MulLong { signed: false, accumulate: false, s: false, rdlo: r(l), rdhi: r(h), rn: r(n), rm: r(m) };
    "udiv"    "1111 1011 1011 nnnn 1111 dddd 1111 mmmm" DIV [n d m] => Div { signed: false, rd: r(d), rn: r(n), rm: r(m) };
    "smlal"   "1111 1011 1100 nnnn llll hhhh 0000 mmmm" T2 [n l h m] => MulLong { signed: true, accumulate: true, s: false, rdlo: r(l), rdhi: r(h), rn: r(n), rm: r(m) };
    "smlal"   "1111 1011 1100 nnnn llll hhhh 10xy mmmm" T2 [n l h x y m] => SmlalXY { rdlo: r(l), rdhi: r(h), rn: r(n), rm: r(m), n_high: x == 1, m_high: y == 1 };
    "smlald"  "1111 1011 1100 nnnn llll hhhh 110x mmmm" T2 [n l h x m] => Smlald { sub: false, swap: x == 1, rdlo: r(l), rdhi: r(h), rn: r(n), rm: r(m) };
    "smlsld"  "1111 1011 1101 nnnn llll hhhh 110x mmmm" T2 [n l h x m] => Smlald { sub: true, swap: x == 1, rdlo: r(l), rdhi: r(h), rn: r(n), rm: r(m) };
    "umlal"   "1111 1011 1110 nnnn llll hhhh 0000 mmmm" T2 [n l h m] => MulLong { signed: false, accumulate: true, s: false, rdlo: r(l), rdhi: r(h), rn: r(n), rm: r(m) };
    "umaal"   "1111 1011 1110 nnnn llll hhhh 0110 mmmm" T2 [n l h m] => Umaal { rdlo: r(l), rdhi: r(h), rn: r(n), rm: r(m) };
};
