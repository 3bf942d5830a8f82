//! The 16-bit T32 instructions.

use crate::cpu::model::Features;
use crate::isa::insn::{AluOp::*, Insn::*, MemSize::*, Multi, Operand, RevOp, TestOp::*, Undecoded::*};
use crate::isa::insn::{Cond, ExtendFrom};
use crate::isa::operands::*;
use crate::isa::pattern::{Context, Row, rows};

const V4T: Features = Features::empty();
const V5T: Features = Features::V5T;
const V6: Features = Features::V6;
const V6T2: Features = Features::V6T2;
const V8: Features = Features::V8;

/// The S of the data-processing forms: set the flags outside an IT block.
fn flags(cx: Context) -> u32 {
    u32::from(!cx.in_it)
}

fn reg(m: u32) -> Operand {
    Operand::Reg(r(m))
}

/// Bit 3 of a high register number is bit 7 of the instruction (h), bits 2 to 0 are d.
fn high(h: u32, d: u32) -> u32 {
    h << 3 | d
}

#[rustfmt::skip]
pub const ROWS: &[Row] = rows! {
    // Shift by a constant, add, subtract, move, compare.
    "mov"     "0000 0000 00mm mddd" V4T ^1 [m d; cx] => mov(flags(cx), d, reg(m));
    "lsl"     "0000 0iii iimm mddd" V4T [i m d; cx] => mov(flags(cx), d, shifted(m, 0, i));
    "lsr"     "0000 1iii iimm mddd" V4T [i m d; cx] => mov(flags(cx), d, shifted(m, 1, i));
    "asr"     "0001 0iii iimm mddd" V4T [i m d; cx] => mov(flags(cx), d, shifted(m, 2, i));
    "add"     "0001 100m mmnn nddd" V4T [m n d; cx] => alu(Add, flags(cx), d, n, reg(m));
    "sub"     "0001 101m mmnn nddd" V4T [m n d; cx] => alu(Sub, flags(cx), d, n, reg(m));
    "add"     "0001 110i iinn nddd" V4T [i n d; cx] => alu(Add, flags(cx), d, n, imm(i));
    "sub"     "0001 111i iinn nddd" V4T [i n d; cx] => alu(Sub, flags(cx), d, n, imm(i));
    "mov"     "0010 0ddd iiii iiii" V4T [d i; cx] => mov(flags(cx), d, imm(i));
    "cmp"     "0010 1nnn iiii iiii" V4T [n i] => test(Cmp, n, imm(i));
    "add"     "0011 0ddd iiii iiii" V4T [d i; cx] => alu(Add, flags(cx), d, d, imm(i));
    "sub"     "0011 1ddd iiii iiii" V4T [d i; cx] => alu(Sub, flags(cx), d, d, imm(i));
    // Two low registers.
    "and"     "0100 0000 00mm mddd" V4T [m d; cx] => alu(And, flags(cx), d, d, reg(m));
    "eor"     "0100 0000 01mm mddd" V4T [m d; cx] => alu(Eor, flags(cx), d, d, reg(m));
    "lsl"     "0100 0000 10ss sddd" V4T [s d; cx] => mov(flags(cx), d, by_reg(d, 0, s));
    "lsr"     "0100 0000 11ss sddd" V4T [s d; cx] => mov(flags(cx), d, by_reg(d, 1, s));
    "asr"     "0100 0001 00ss sddd" V4T [s d; cx] => mov(flags(cx), d, by_reg(d, 2, s));
    "adc"     "0100 0001 01mm mddd" V4T [m d; cx] => alu(Adc, flags(cx), d, d, reg(m));
    "sbc"     "0100 0001 10mm mddd" V4T [m d; cx] => alu(Sbc, flags(cx), d, d, reg(m));
    "ror"     "0100 0001 11ss sddd" V4T [s d; cx] => mov(flags(cx), d, by_reg(d, 3, s));
    "tst"     "0100 0010 00mm mnnn" V4T [m n] => test(Tst, n, reg(m));
    "rsb"     "0100 0010 01nn nddd" V4T [n d; cx] => alu(Rsb, flags(cx), d, n, imm(0));
    "cmp"     "0100 0010 10mm mnnn" V4T [m n] => test(Cmp, n, reg(m));
    "cmn"     "0100 0010 11mm mnnn" V4T [m n] => test(Cmn, n, reg(m));
    "orr"     "0100 0011 00mm mddd" V4T [m d; cx] => alu(Orr, flags(cx), d, d, reg(m));
    "mul"     "0100 0011 01nn nddd" V4T [n d; cx] => Mul { s: !cx.in_it, rd: r(d), rn: r(n), rm: r(d) };
    "bic"     "0100 0011 10mm mddd" V4T [m d; cx] => alu(Bic, flags(cx), d, d, reg(m));
    "mvn"     "0100 0011 11mm mddd" V4T [m d; cx] => mvn(flags(cx), d, reg(m));
    // High registers. CMP of two low registers or of pc, and ADD pc, pc, are UNPREDICTABLE.
    "add"     "0100 0100 hmmm mddd" V4T [h m d] => alu(Add, 0, high(h, d), high(h, d), reg(m));
    "cmp"     "0100 0101 hmmm mnnn" V4T [h m n] => test(Cmp, high(h, n), reg(m));
    "mov"     "0100 0110 hmmm mddd" V4T [h m d] => mov(0, high(h, d), reg(m));
    "bx"      "0100 0111 0mmm m000" V4T [m] => Bx { rm: r(m) };
    "blx"     "0100 0111 1mmm m000" V5T [m] => BlxReg { rm: r(m) };
    // Loads and stores.
    "ldr"     "0100 1ttt iiii iiii" V4T [t i] => load(Word, t, at(15, imm_offset(1, i << 2)));
    "str"     "0101 000m mmnn nttt" V4T [m n t] => store(Word, t, at(n, reg_offset(1, m, 0, 0)));
    "strh"    "0101 001m mmnn nttt" V4T [m n t] => store(Half, t, at(n, reg_offset(1, m, 0, 0)));
    "strb"    "0101 010m mmnn nttt" V4T [m n t] => store(Byte, t, at(n, reg_offset(1, m, 0, 0)));
    "ldrsb"   "0101 011m mmnn nttt" V4T [m n t] => load_signed(Byte, t, at(n, reg_offset(1, m, 0, 0)));
    "ldr"     "0101 100m mmnn nttt" V4T [m n t] => load(Word, t, at(n, reg_offset(1, m, 0, 0)));
    "ldrh"    "0101 101m mmnn nttt" V4T [m n t] => load(Half, t, at(n, reg_offset(1, m, 0, 0)));
    "ldrb"    "0101 110m mmnn nttt" V4T [m n t] => load(Byte, t, at(n, reg_offset(1, m, 0, 0)));
    "ldrsh"   "0101 111m mmnn nttt" V4T [m n t] => load_signed(Half, t, at(n, reg_offset(1, m, 0, 0)));
    "str"     "0110 0iii iinn nttt" V4T [i n t] => store(Word, t, at(n, imm_offset(1, i << 2)));
    "ldr"     "0110 1iii iinn nttt" V4T [i n t] => load(Word, t, at(n, imm_offset(1, i << 2)));
    "strb"    "0111 0iii iinn nttt" V4T [i n t] => store(Byte, t, at(n, imm_offset(1, i)));
    "ldrb"    "0111 1iii iinn nttt" V4T [i n t] => load(Byte, t, at(n, imm_offset(1, i)));
    "strh"    "1000 0iii iinn nttt" V4T [i n t] => store(Half, t, at(n, imm_offset(1, i << 1)));
    "ldrh"    "1000 1iii iinn nttt" V4T [i n t] => load(Half, t, at(n, imm_offset(1, i << 1)));
    "str"     "1001 0ttt iiii iiii" V4T [t i] => store(Word, t, at(13, imm_offset(1, i << 2)));
    "ldr"     "1001 1ttt iiii iiii" V4T [t i] => load(Word, t, at(13, imm_offset(1, i << 2)));
    "adr"     "1010 0ddd iiii iiii" V4T [d i] => Adr { rd: r(d), offset: (i << 2) as i32 };
    "add"     "1010 1ddd iiii iiii" V4T [d i] => alu(Add, 0, d, 13, imm(i << 2));
    // Miscellaneous.
    "add"     "1011 0000 0iii iiii" V4T [i] => alu(Add, 0, 13, 13, imm(i << 2));
    "sub"     "1011 0000 1iii iiii" V4T [i] => alu(Sub, 0, 13, 13, imm(i << 2));
    "cbz"     "1011 00i1 iiii innn" V6T2 [i n] => Cbz { nonzero: false, rn: r(n), offset: (i << 1) as i32 };
    "cbnz"    "1011 10i1 iiii innn" V6T2 [i n] => Cbz { nonzero: true, rn: r(n), offset: (i << 1) as i32 };
    "sxth"    "1011 0010 00mm mddd" V6 [m d] => extend(true, ExtendFrom::Half, d, 15, m, 0);
    "sxtb"    "1011 0010 01mm mddd" V6 [m d] => extend(true, ExtendFrom::Byte, d, 15, m, 0);
    "uxth"    "1011 0010 10mm mddd" V6 [m d] => extend(false, ExtendFrom::Half, d, 15, m, 0);
    "uxtb"    "1011 0010 11mm mddd" V6 [m d] => extend(false, ExtendFrom::Byte, d, 15, m, 0);
    "push"    "1011 010h llll llll" V4T [h l] => multiple(false, Multi::Db, 1, 13, h << 14 | l, 1);
    "pop"     "1011 110h llll llll" V4T [h l] => multiple(true, Multi::Ia, 1, 13, h << 15 | l, 1);
    "setend"  "1011 0110 0101 e000" V6 [e] => Setend { big: e == 1 };
    "cps"     "1011 0110 011- 0---" V6 [] => PrivilegedNop;
    "rev"     "1011 1010 00mm mddd" V6 [m d] => Rev { op: RevOp::Rev, rd: r(d), rm: r(m) };
    "rev16"   "1011 1010 01mm mddd" V6 [m d] => Rev { op: RevOp::Rev16, rd: r(d), rm: r(m) };
    "revsh"   "1011 1010 11mm mddd" V6 [m d] => Rev { op: RevOp::Revsh, rd: r(d), rm: r(m) };
    "hlt"     "1011 1010 10ii iiii" V8 [i] => Hlt { imm: i as u16 };
    "bkpt"    "1011 1110 iiii iiii" V5T [i] => Bkpt { imm: i as u16 };
    // IT with condition 1111, or 1110 and more than one instruction, is UNPREDICTABLE: 111x reads as always.
    "it"      "1011 1111 cccc mmmm" V6T2 [c m] => It { cond: Cond::from_bits(c), mask: m as u8 };
    "nop"     "1011 1111 iiii 0000" V6T2 ^1 [i] => hint(i);
    // Multiple. No register is UNPREDICTABLE and UNDEFINED here.
    "stm"     "1100 0nnn llll llll" V4T [n l] => multiple(false, Multi::Ia, 1, n, l, 1);
    "ldm"     "1100 1nnn llll llll" V4T [n l] => multiple(true, Multi::Ia, !l >> n & 1, n, l, 1);
    // Branches. A conditional branch inside an IT block is UNPREDICTABLE, and UNDEFINED here.
    "b"       "1101 cccc iiii iiii" V4T [c i; cx] unless (cx.in_it && c < 14) => B { offset: sext(i, 8) << 1 };
    "udf"     "1101 1110 iiii iiii" V4T ^1 [i] => Udf { imm: i };
    "svc"     "1101 1111 iiii iiii" V4T ^1 [i] => Svc { imm: i };
    "b"       "1110 0iii iiii iiii" V4T [i] => B { offset: sext(i, 11) << 1 };
    // A BL or BLX suffix by itself (before Thumb-2; see the decoder).
    "bl"      "1111 1--- ---- ----" V4T [] => Undefined;
    "blx"     "1110 1--- ---- ----" V4T [] => Undefined;
};
