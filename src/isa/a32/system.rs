//! A32 branches, status register access, hints, barriers, coprocessor moves, and the unconditional space.

use crate::cpu::model::Features;
use crate::isa::insn::{Barrier::*, Insn::*, Undecoded::*};
use crate::isa::operands::*;
use crate::isa::pattern::{Row, rows};

const V4T: Features = Features::empty();
const V5T: Features = Features::V5T;
const V5TE: Features = Features::V5TE;
const V6: Features = Features::V6;
const V6K: Features = Features::V6K;
const V7: Features = Features::V7;
const DIV: Features = Features::DIV;
const MP: Features = Features::MP;
const V8: Features = Features::V8;

#[rustfmt::skip]
pub const ROWS: &[Row] = rows! {
    "b"       "cccc 1010 iiii iiii iiii iiii iiii iiii" V4T [i] => B { offset: sext(i, 24) << 2 };
    "bl"      "cccc 1011 iiii iiii iiii iiii iiii iiii" V4T [i] => Bl { offset: sext(i, 24) << 2, exchange: false };
    "bx"      "cccc 0001 0010 1111 1111 1111 0001 mmmm" V4T [m] => Bx { rm: r(m) };
    "bxj"     "cccc 0001 0010 1111 1111 1111 0010 mmmm" V5TE [m] => Bxj { rm: r(m) };
    "blx"     "cccc 0001 0010 1111 1111 1111 0011 mmmm" V5T [m] => BlxReg { rm: r(m) };
    "svc"     "cccc 1111 iiii iiii iiii iiii iiii iiii" V4T [i] => Svc { imm: i };
    "bkpt"    "cccc 0001 0010 iiii iiii iiii 0111 iiii" V5T [i] => Bkpt { imm: i as u16 };
    "hlt"     "cccc 0001 0000 iiii iiii iiii 0111 iiii" V8 [i] => Hlt { imm: i as u16 };
    "udf"     "cccc 0111 1111 iiii iiii iiii 1111 iiii" V4T [i] => Udf { imm: i };

    // Status registers. SPSR and the banked registers do not exist in User mode.
    "mrs"     "cccc 0001 0000 1111 dddd 0000 0000 0000" V4T [d] => Mrs { rd: r(d) };
    "msr"     "cccc 0001 0010 kkkk 1111 0000 0000 nnnn" V4T [k n; cx] => msr(k, crate::isa::insn::Operand::Reg(r(n)), cx);
    "msr"     "cccc 0011 0010 kkkk 1111 iiii iiii iiii" V4T [k i; cx] => msr(k, arm_imm(i), cx);
    "nop"     "cccc 0011 0010 0000 1111 ---- iiii iiii" V4T ^1 [i] => hint(i);

    // Privileged, UNDEFINED in User mode.
    "mrs"     "cccc 0001 0100 1111 ---- 0000 0000 0000" V4T [] => Undefined;
    "msr"     "cccc 0001 0110 ---- 1111 0000 0000 ----" V4T [] => Undefined;
    "msr"     "cccc 0011 0110 ---- 1111 ---- ---- ----" V4T [] => Undefined;
    "mrs"     "cccc 0001 0-00 ---- ---- 001- 0000 0000" DIV [] => Undefined;
    "msr"     "cccc 0001 0-10 ---- 1111 001- 0000 ----" DIV [] => Undefined;
    "hvc"     "cccc 0001 0100 ---- ---- ---- 0111 ----" DIV [] => Undefined;
    "smc"     "cccc 0001 0110 0000 0000 0000 0111 ----" V6K [] => Undefined;
    "eret"    "cccc 0001 0110 0000 0000 0000 0110 1110" DIV [] => Undefined;
    "stm"     "cccc 100- -1-0 ---- ---- ---- ---- ----" V4T [] => Unpredictable;
    "ldm"     "cccc 100- -1-1 ---- ---- ---- ---- ----" V4T [] => Unpredictable;

    // The unconditional space.
    "blx"     "1111 101h iiii iiii iiii iiii iiii iiii" V5T [h i] => Bl { offset: sext(i, 24) << 2 | (h << 1) as i32, exchange: true };
    "cps"     "1111 0001 0000 ---0 0000 000- --0- ----" V6 [] => PrivilegedNop;
    "setend"  "1111 0001 0000 0001 0000 00e0 0000 0000" V6 [e] => Setend { big: e == 1 };
    "rfe"     "1111 100- -0-1 ---- 0000 1010 0000 0000" V6 [] => Undefined;
    "srs"     "1111 100- -1-0 1101 0000 0101 000- ----" V6 [] => Undefined;
    "clrex"   "1111 0101 0111 1111 1111 0000 0001 1111" V6K [] => Clrex;
    "dsb"     "1111 0101 0111 1111 1111 0000 0100 ----" V7 [] => Barrier(Dsb);
    "dmb"     "1111 0101 0111 1111 1111 0000 0101 ----" V7 [] => Barrier(Dmb);
    "isb"     "1111 0101 0111 1111 1111 0000 0110 ----" V7 [] => Barrier(Isb);
    "pld"     "1111 0101 -101 ---- 1111 ---- ---- ----" V5TE [] => Preload;
    "pld"     "1111 0111 -101 ---- 1111 ---- ---0 ----" V5TE [] => Preload;
    "pldw"    "1111 0101 -001 ---- 1111 ---- ---- ----" MP [] => Preload;
    "pldw"    "1111 0111 -001 ---- 1111 ---- ---0 ----" MP [] => Preload;
    "pli"     "1111 0100 -101 ---- 1111 ---- ---- ----" V7 [] => Preload;
    "pli"     "1111 0110 -101 ---- 1111 ---- ---0 ----" V7 [] => Preload;
    // Unallocated memory hints: NOPs from the multiprocessing extensions on.
    "nop"     "1111 0100 -001 ---- ---- ---- ---- ----" MP [] => Preload;
    "nop"     "1111 0110 -001 ---- ---- ---- ---0 ----" MP [] => Preload;
};
