//! A32 data processing: the sixteen operations in their three operand forms, and the wide moves.

use crate::cpu::model::Features;
use crate::isa::insn::{AluOp::*, Insn, TestOp::*};
use crate::isa::operands::*;
use crate::isa::pattern::{Row, rows};

const V4T: Features = Features::empty();
const V6T2: Features = Features::V6T2;

#[rustfmt::skip]
pub const ROWS: &[Row] = rows! {
    // Register, shifted by a constant. With S a destination of pc is an exception return:
    // UNPREDICTABLE in User mode, UNDEFINED here.
    "and"     "cccc 0000 000s nnnn dddd iiii itt0 mmmm" V4T [s n d i t m] unless (s == 1 && d == 15) => alu(And, s, d, n, shifted(m, t, i));
    "eor"     "cccc 0000 001s nnnn dddd iiii itt0 mmmm" V4T [s n d i t m] unless (s == 1 && d == 15) => alu(Eor, s, d, n, shifted(m, t, i));
    "sub"     "cccc 0000 010s nnnn dddd iiii itt0 mmmm" V4T [s n d i t m] unless (s == 1 && d == 15) => alu(Sub, s, d, n, shifted(m, t, i));
    "rsb"     "cccc 0000 011s nnnn dddd iiii itt0 mmmm" V4T [s n d i t m] unless (s == 1 && d == 15) => alu(Rsb, s, d, n, shifted(m, t, i));
    "add"     "cccc 0000 100s nnnn dddd iiii itt0 mmmm" V4T [s n d i t m] unless (s == 1 && d == 15) => alu(Add, s, d, n, shifted(m, t, i));
    "adc"     "cccc 0000 101s nnnn dddd iiii itt0 mmmm" V4T [s n d i t m] unless (s == 1 && d == 15) => alu(Adc, s, d, n, shifted(m, t, i));
    "sbc"     "cccc 0000 110s nnnn dddd iiii itt0 mmmm" V4T [s n d i t m] unless (s == 1 && d == 15) => alu(Sbc, s, d, n, shifted(m, t, i));
    "rsc"     "cccc 0000 111s nnnn dddd iiii itt0 mmmm" V4T [s n d i t m] unless (s == 1 && d == 15) => alu(Rsc, s, d, n, shifted(m, t, i));
    "tst"     "cccc 0001 0001 nnnn 0000 iiii itt0 mmmm" V4T [n i t m] => test(Tst, n, shifted(m, t, i));
    "teq"     "cccc 0001 0011 nnnn 0000 iiii itt0 mmmm" V4T [n i t m] => test(Teq, n, shifted(m, t, i));
    "cmp"     "cccc 0001 0101 nnnn 0000 iiii itt0 mmmm" V4T [n i t m] => test(Cmp, n, shifted(m, t, i));
    "cmn"     "cccc 0001 0111 nnnn 0000 iiii itt0 mmmm" V4T [n i t m] => test(Cmn, n, shifted(m, t, i));
    "orr"     "cccc 0001 100s nnnn dddd iiii itt0 mmmm" V4T [s n d i t m] unless (s == 1 && d == 15) => alu(Orr, s, d, n, shifted(m, t, i));
    "mov"     "cccc 0001 101s 0000 dddd iiii itt0 mmmm" V4T [s d i t m] unless (s == 1 && d == 15) => mov(s, d, shifted(m, t, i));
    "bic"     "cccc 0001 110s nnnn dddd iiii itt0 mmmm" V4T [s n d i t m] unless (s == 1 && d == 15) => alu(Bic, s, d, n, shifted(m, t, i));
    "mvn"     "cccc 0001 111s 0000 dddd iiii itt0 mmmm" V4T [s d i t m] unless (s == 1 && d == 15) => mvn(s, d, shifted(m, t, i));
    // Register, shifted by a register. pc as an operand is UNPREDICTABLE; it reads as usual.
    "and"     "cccc 0000 000s nnnn dddd hhhh 0tt1 mmmm" V4T [s n d h t m] unless (s == 1 && d == 15) => alu(And, s, d, n, by_reg(m, t, h));
    "eor"     "cccc 0000 001s nnnn dddd hhhh 0tt1 mmmm" V4T [s n d h t m] unless (s == 1 && d == 15) => alu(Eor, s, d, n, by_reg(m, t, h));
    "sub"     "cccc 0000 010s nnnn dddd hhhh 0tt1 mmmm" V4T [s n d h t m] unless (s == 1 && d == 15) => alu(Sub, s, d, n, by_reg(m, t, h));
    "rsb"     "cccc 0000 011s nnnn dddd hhhh 0tt1 mmmm" V4T [s n d h t m] unless (s == 1 && d == 15) => alu(Rsb, s, d, n, by_reg(m, t, h));
    "add"     "cccc 0000 100s nnnn dddd hhhh 0tt1 mmmm" V4T [s n d h t m] unless (s == 1 && d == 15) => alu(Add, s, d, n, by_reg(m, t, h));
    "adc"     "cccc 0000 101s nnnn dddd hhhh 0tt1 mmmm" V4T [s n d h t m] unless (s == 1 && d == 15) => alu(Adc, s, d, n, by_reg(m, t, h));
    "sbc"     "cccc 0000 110s nnnn dddd hhhh 0tt1 mmmm" V4T [s n d h t m] unless (s == 1 && d == 15) => alu(Sbc, s, d, n, by_reg(m, t, h));
    "rsc"     "cccc 0000 111s nnnn dddd hhhh 0tt1 mmmm" V4T [s n d h t m] unless (s == 1 && d == 15) => alu(Rsc, s, d, n, by_reg(m, t, h));
    "tst"     "cccc 0001 0001 nnnn 0000 hhhh 0tt1 mmmm" V4T [n h t m] => test(Tst, n, by_reg(m, t, h));
    "teq"     "cccc 0001 0011 nnnn 0000 hhhh 0tt1 mmmm" V4T [n h t m] => test(Teq, n, by_reg(m, t, h));
    "cmp"     "cccc 0001 0101 nnnn 0000 hhhh 0tt1 mmmm" V4T [n h t m] => test(Cmp, n, by_reg(m, t, h));
    "cmn"     "cccc 0001 0111 nnnn 0000 hhhh 0tt1 mmmm" V4T [n h t m] => test(Cmn, n, by_reg(m, t, h));
    "orr"     "cccc 0001 100s nnnn dddd hhhh 0tt1 mmmm" V4T [s n d h t m] unless (s == 1 && d == 15) => alu(Orr, s, d, n, by_reg(m, t, h));
    "mov"     "cccc 0001 101s 0000 dddd hhhh 0tt1 mmmm" V4T [s d h t m] unless (s == 1 && d == 15) => mov(s, d, by_reg(m, t, h));
    "bic"     "cccc 0001 110s nnnn dddd hhhh 0tt1 mmmm" V4T [s n d h t m] unless (s == 1 && d == 15) => alu(Bic, s, d, n, by_reg(m, t, h));
    "mvn"     "cccc 0001 111s 0000 dddd hhhh 0tt1 mmmm" V4T [s d h t m] unless (s == 1 && d == 15) => mvn(s, d, by_reg(m, t, h));
    // Modified immediate.
    "and"     "cccc 0010 000s nnnn dddd iiii iiii iiii" V4T [s n d i] unless (s == 1 && d == 15) => alu(And, s, d, n, arm_imm(i));
    "eor"     "cccc 0010 001s nnnn dddd iiii iiii iiii" V4T [s n d i] unless (s == 1 && d == 15) => alu(Eor, s, d, n, arm_imm(i));
    "sub"     "cccc 0010 010s nnnn dddd iiii iiii iiii" V4T [s n d i] unless (s == 1 && d == 15) => alu(Sub, s, d, n, arm_imm(i));
    "rsb"     "cccc 0010 011s nnnn dddd iiii iiii iiii" V4T [s n d i] unless (s == 1 && d == 15) => alu(Rsb, s, d, n, arm_imm(i));
    "add"     "cccc 0010 100s nnnn dddd iiii iiii iiii" V4T [s n d i] unless (s == 1 && d == 15) => alu(Add, s, d, n, arm_imm(i));
    "adc"     "cccc 0010 101s nnnn dddd iiii iiii iiii" V4T [s n d i] unless (s == 1 && d == 15) => alu(Adc, s, d, n, arm_imm(i));
    "sbc"     "cccc 0010 110s nnnn dddd iiii iiii iiii" V4T [s n d i] unless (s == 1 && d == 15) => alu(Sbc, s, d, n, arm_imm(i));
    "rsc"     "cccc 0010 111s nnnn dddd iiii iiii iiii" V4T [s n d i] unless (s == 1 && d == 15) => alu(Rsc, s, d, n, arm_imm(i));
    "tst"     "cccc 0011 0001 nnnn 0000 iiii iiii iiii" V4T [n i] => test(Tst, n, arm_imm(i));
    "teq"     "cccc 0011 0011 nnnn 0000 iiii iiii iiii" V4T [n i] => test(Teq, n, arm_imm(i));
    "cmp"     "cccc 0011 0101 nnnn 0000 iiii iiii iiii" V4T [n i] => test(Cmp, n, arm_imm(i));
    "cmn"     "cccc 0011 0111 nnnn 0000 iiii iiii iiii" V4T [n i] => test(Cmn, n, arm_imm(i));
    "orr"     "cccc 0011 100s nnnn dddd iiii iiii iiii" V4T [s n d i] unless (s == 1 && d == 15) => alu(Orr, s, d, n, arm_imm(i));
    "mov"     "cccc 0011 101s 0000 dddd iiii iiii iiii" V4T [s d i] unless (s == 1 && d == 15) => mov(s, d, arm_imm(i));
    "bic"     "cccc 0011 110s nnnn dddd iiii iiii iiii" V4T [s n d i] unless (s == 1 && d == 15) => alu(Bic, s, d, n, arm_imm(i));
    "mvn"     "cccc 0011 111s 0000 dddd iiii iiii iiii" V4T [s d i] unless (s == 1 && d == 15) => mvn(s, d, arm_imm(i));
    // 16-bit immediates.
    "movw"    "cccc 0011 0000 iiii dddd iiii iiii iiii" V6T2 [i d] => Insn::MovW { rd: r(d), imm: i as u16 };
    "movt"    "cccc 0011 0100 iiii dddd iiii iiii iiii" V6T2 [i d] => Insn::MovT { rd: r(d), imm: i as u16 };
};
