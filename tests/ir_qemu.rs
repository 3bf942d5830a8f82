//! The interpreter's integer operations against qemu-arm: for each, an A32 instruction that does the same, on special
//! and random registers and flags.

mod guest_memory;
mod onestep;
mod qemu_guest;
mod random;

use emu::cpu::cond::Cond;
use emu::cpu::state::{CpuState, nzcv_to_fp_cmp};
use emu::ir::builder::Builder;
use emu::ir::interp::{Exit, run};
use emu::ir::ops::{Flags, Inst, Op, Value};
use emu::ir::verify::verify;
use guest_memory::Window;
use onestep::{In, qemu};
use random::Random;

/// Appends what an instruction does with r0, r1, r2; the value for r0.
type Build = dyn Fn(&mut Builder, [Value; 3]) -> Value;

/// An A32 instruction on r0, r1, r2 and the operations that mean it.
struct Row {
    name: String,
    word: u32,
    build: Box<Build>,
}

fn row(name: &str, word: u32, build: impl Fn(&mut Builder, [Value; 3]) -> Value + 'static) -> Row {
    Row {
        name: name.to_string(),
        word,
        build: Box::new(build),
    }
}

/// Operations of r0 and r1 alone, and their instructions.
#[rustfmt::skip]
const SIMPLE: [(&str, u32, Op, Flags); 28] = [
    ("adds",    0xe090_0001, Op::Add,    Flags::NZCV),
    ("subs",    0xe050_0001, Op::Sub,    Flags::NZCV),
    ("adcs",    0xe0b0_0001, Op::Adc,    Flags::NZCV),
    ("sbcs",    0xe0d0_0001, Op::Sbc,    Flags::NZCV),
    ("ands",    0xe010_0001, Op::And,    Flags::NZ),
    ("orrs",    0xe190_0001, Op::Or,     Flags::NZ),
    ("eors",    0xe030_0001, Op::Xor,    Flags::NZ),
    ("bics",    0xe1d0_0001, Op::AndNot, Flags::NZ),
    ("mvns",    0xe1f0_0000, Op::Not,    Flags::NZ),
    ("movs lsl", 0xe1b0_0110, Op::ShlReg, Flags::NZC),
    ("movs lsr", 0xe1b0_0130, Op::ShrReg, Flags::NZC),
    ("movs asr", 0xe1b0_0150, Op::SarReg, Flags::NZC),
    ("movs ror", 0xe1b0_0170, Op::RorReg, Flags::NZC),
    ("movs rrx", 0xe1b0_0060, Op::Rrx,    Flags::NZC),
    ("muls",    0xe010_0190, Op::Mul,    Flags::NZ),
    ("udiv",    0xe730_f110, Op::UDiv,   Flags::NONE),
    ("sdiv",    0xe710_f110, Op::SDiv,   Flags::NONE),
    ("clz",     0xe16f_0f10, Op::Clz,    Flags::NONE),
    ("rbit",    0xe6ff_0f30, Op::Rbit,   Flags::NONE),
    ("rev",     0xe6bf_0f30, Op::Rev,    Flags::NONE),
    ("rev16",   0xe6bf_0fb0, Op::Rev16,  Flags::NONE),
    ("sxtb",    0xe6af_0070, Op::Sext8,  Flags::NONE),
    ("sxth",    0xe6bf_0070, Op::Sext16, Flags::NONE),
    ("uxtb",    0xe6ef_0070, Op::Zext8,  Flags::NONE),
    ("uxth",    0xe6ff_0070, Op::Zext16, Flags::NONE),
    ("qadd",    0xe101_0050, Op::QAdd,   Flags::NONE),
    ("qsub",    0xe121_0050, Op::QSub,   Flags::NONE),
    ("usada8",  0xe780_2110, Op::Usada8, Flags::NONE),
];

fn simple(name: &str, word: u32, op: Op, flags: Flags) -> Row {
    let arity = op.args().len();
    row(name, word, move |b, [r0, r1, r2]| {
        let operand = |i: usize, v: Value| if i < arity { v } else { Value::NONE };
        b.push(Inst {
            a: operand(0, r0),
            b: operand(1, r1),
            c: operand(2, r2),
            flags,
            ..Inst::new(op)
        })
    })
}

/// One operand and immediates.
fn immediate(name: &str, word: u32, op: Op, imm: u32, imm2: u32, flags: Flags) -> Row {
    row(&format!("{name} {imm} {imm2}"), word, move |b, [r0, ..]| {
        b.push(Inst {
            a: r0,
            imm,
            imm2,
            flags,
            ..Inst::new(op)
        })
    })
}

fn rows() -> Vec<Row> {
    let mut rows: Vec<Row> = SIMPLE.iter().map(|&(n, w, op, f)| simple(n, w, op, f)).collect();
    immediates(&mut rows);
    multiplications(&mut rows);
    for (kind, bits) in [1, 2, 3, 5, 6, 7].into_iter().enumerate() {
        for (op, bits2) in [0, 1, 2, 3, 4, 7].into_iter().enumerate() {
            let word = 0xe600_0f11 | bits << 20 | bits2 << 5;
            rows.push(row(
                &format!("parallel {kind} {op}"),
                word,
                move |b, [r0, r1, _]| {
                    b.push(Inst {
                        a: r0,
                        b: r1,
                        aux: (kind * 8 + op) as u8,
                        ..Inst::new(Op::Parallel)
                    })
                },
            ));
        }
    }
    for cond in 0..15 {
        let word = cond << 28 | 0x01a0_0001;
        let cond = Cond::from_bits(cond);
        rows.push(row(
            &format!("mov{cond:?} select"),
            word,
            move |b, [r0, r1, _]| b.select(cond, r1, r0),
        ));
        rows.push(row(&format!("mov{cond:?} skip"), word, move |b, [_, r1, _]| {
            let label = b.skip_unless(cond);
            b.set_reg(0, r1);
            b.label(label);
            b.get_reg(0)
        }));
    }
    rows.push(row("sel", 0xe680_0fb1, |b, [r0, r1, _]| {
        let ge = b.push(Inst::new(Op::GetGe));
        b.op3(Op::BitSelect, r0, r1, ge)
    }));
    rows.push(row("msr nzcvqg", 0xe12c_f000, |b, [r0, ..]| {
        b.push(Inst {
            a: r0,
            flags: Flags::NZCV,
            ..Inst::new(Op::SetNzcv)
        });
        let q = b.op1i(Op::Shr, r0, 27);
        b.push(Inst {
            a: q,
            ..Inst::new(Op::SetQ)
        });
        // GE[3:0] in bits 19-16 to a byte mask: bit i of the nibble to bit 8 * i, times 255.
        let spread = [0, 1, 2, 3].map(|i| {
            let bit = b.push(Inst {
                a: r0,
                imm: 16 + i,
                imm2: 1,
                ..Inst::new(Op::Sbfx)
            });
            (i, bit)
        });
        let mut ge = b.iconst(0);
        for (i, bit) in spread {
            ge = b.push(Inst {
                a: ge,
                b: bit,
                imm: 8 * i,
                imm2: 8,
                ..Inst::new(Op::Bfi)
            });
        }
        b.push(Inst {
            a: ge,
            ..Inst::new(Op::SetGe)
        });
        r0
    }));
    rows.push(row("vmrs nzcv", 0xeef1_fa10, |b, [r0, ..]| {
        b.push(Inst {
            flags: Flags::NZCV,
            ..Inst::new(Op::FlagsFromFp)
        });
        r0
    }));
    rows.push(row("vmrs fpscr", 0xeef1_0a10, |b, _| {
        b.push(Inst::new(Op::GetFpscr))
    }));
    rows
}

fn immediates(rows: &mut Vec<Row>) {
    for n in 1..=32 {
        // An amount of 32 is encoded as 0.
        let amount = (n & 31) << 7;
        if n < 32 {
            rows.push(immediate(
                "movs lsl",
                0xe1b0_0000 | amount,
                Op::Shl,
                n,
                0,
                Flags::NZC,
            ));
            rows.push(immediate(
                "movs ror",
                0xe1b0_0060 | amount,
                Op::Ror,
                n,
                0,
                Flags::NZC,
            ));
            rows.push(immediate(
                "usat",
                0xe6e0_0010 | n << 16,
                Op::USat,
                n,
                0,
                Flags::NONE,
            ));
        }
        rows.push(immediate(
            "movs lsr",
            0xe1b0_0020 | amount,
            Op::Shr,
            n,
            0,
            Flags::NZC,
        ));
        rows.push(immediate(
            "movs asr",
            0xe1b0_0040 | amount,
            Op::Sar,
            n,
            0,
            Flags::NZC,
        ));
        rows.push(immediate(
            "ssat",
            0xe6a0_0010 | (n - 1) << 16,
            Op::SSat,
            n,
            0,
            Flags::NONE,
        ));
        if n <= 16 {
            rows.push(immediate(
                "ssat16",
                0xe6a0_0f30 | (n - 1) << 16,
                Op::SSat16,
                n,
                0,
                Flags::NONE,
            ));
            rows.push(immediate(
                "usat16",
                0xe6e0_0f30 | (n - 1) << 16,
                Op::USat16,
                n - 1,
                0,
                Flags::NONE,
            ));
        }
    }
    rows.push(immediate("usat", 0xe6e0_0010, Op::USat, 0, 0, Flags::NONE));
    for lsb in [0, 1, 7, 16, 31] {
        for width in [1, 2, 8, 15, 31, 32] {
            if lsb + width <= 32 {
                let field = (width - 1) << 16 | lsb << 7;
                rows.push(immediate(
                    "ubfx",
                    0xe7e0_0050 | field,
                    Op::Ubfx,
                    lsb,
                    width,
                    Flags::NONE,
                ));
                rows.push(immediate(
                    "sbfx",
                    0xe7a0_0050 | field,
                    Op::Sbfx,
                    lsb,
                    width,
                    Flags::NONE,
                ));
                let word = 0xe7c0_0011 | (lsb + width - 1) << 16 | lsb << 7;
                rows.push(row(&format!("bfi {lsb} {width}"), word, move |b, [r0, r1, _]| {
                    b.push(Inst {
                        a: r0,
                        b: r1,
                        imm: lsb,
                        imm2: width,
                        ..Inst::new(Op::Bfi)
                    })
                }));
            }
        }
    }
    for size in 0..3 {
        for castagnoli in 0..2 {
            let word = 0xe100_0041 | size << 21 | castagnoli << 9;
            rows.push(row(
                &format!("crc32 {size} {castagnoli}"),
                word,
                move |b, [r0, r1, _]| {
                    b.push(Inst {
                        a: r0,
                        b: r1,
                        imm: 1 << size,
                        aux: castagnoli as u8,
                        ..Inst::new(Op::Crc32)
                    })
                },
            ));
        }
    }
}

fn multiplications(rows: &mut Vec<Row>) {
    for (name, word, op, accumulate) in [
        ("umulls", 0xe091_0190, Op::UMul64, false),
        ("smulls", 0xe0d1_0190, Op::SMul64, false),
        ("umlals", 0xe0b1_0190, Op::UMul64, true),
        ("smlals", 0xe0f1_0190, Op::SMul64, true),
    ] {
        rows.push(row(name, word, move |b, [r0, r1, _]| {
            let mut wide = b.op2(op, r0, r1);
            if accumulate {
                let acc = b.op2(Op::Concat, r0, r1);
                wide = b.op2(Op::Add64, wide, acc);
            }
            b.push(Inst {
                a: wide,
                flags: Flags::NZ,
                ..Inst::new(Op::TestNz64)
            });
            let high = b.op1(Op::Hi, wide);
            b.set_reg(1, high);
            b.op1(Op::Lo, wide)
        }));
    }
    rows.push(row("smulwb", 0xe120_01a0, |b, [r0, r1, _]| {
        let half = b.op1(Op::Sext16, r1);
        let wide = b.op2(Op::SMul64, r0, half);
        let shifted = b.op1i(Op::Sar64, wide, 16);
        b.op1(Op::Lo, shifted)
    }));
    rows.push(row("smlabb", 0xe100_2180, |b, [r0, r1, r2]| {
        let (x, y) = (b.op1(Op::Sext16, r0), b.op1(Op::Sext16, r1));
        let product = b.op2(Op::Mul, x, y);
        b.op2(Op::AddSetQ, product, r2)
    }));
    for (name, word, combine) in [
        ("smlad", 0xe700_2110, Op::Add64),
        ("smlsd", 0xe700_2150, Op::Sub64),
    ] {
        rows.push(row(name, word, move |b, [r0, r1, r2]| {
            let (x, y) = (b.op1(Op::Sext16, r0), b.op1(Op::Sext16, r1));
            let (hx, hy) = (b.op1i(Op::Sar, r0, 16), b.op1i(Op::Sar, r1, 16));
            let (low, high) = (b.op2(Op::SMul64, x, y), b.op2(Op::SMul64, hx, hy));
            let both = b.op2(combine, low, high);
            let acc = b.op1(Op::Sext64, r2);
            let sum = b.op2(Op::Add64, both, acc);
            b.op1(Op::NarrowSetQ, sum)
        }));
    }
}

fn random_word(random: &mut Random) -> u32 {
    let bits = random.bits() as u32;
    match random.below(4) {
        0 => random.pick(&[
            0,
            1,
            2,
            31,
            32,
            33,
            64,
            0xff,
            0x100,
            0x7fff,
            0x8000,
            0xffff,
            0x7fff_ffff,
            0x8000_0000,
            0x8000_8000,
            0x7fff_7fff,
            0xffff_ffff,
        ]),
        1 => bits >> random.below(32),
        2 => bits & 0x8001_ff80,
        _ => bits,
    }
}

#[test]
fn integer_operations_agree_with_qemu() {
    let rows = rows();
    let mut random = Random::new(3);
    let mut records = Vec::new();
    for stub in 0..rows.len() as u32 {
        for _ in 0..2000 {
            records.push(In {
                stub,
                // N, Z, C, V, Q and GE.
                cpsr: random.bits() as u32 & 0xf80f_0000,
                fpscr: random.bits() as u32 & 0xf7c0_009f,
                r: [(); 3].map(|()| random_word(&mut random)),
                d: [0; 3],
            });
        }
    }
    let code: Vec<u32> = rows.iter().map(|r| r.word).collect();
    let expected = qemu(&code, &records);
    let mut memory = Window {
        start: 0,
        bytes: Vec::new(),
    };
    let blocks: Vec<_> = rows
        .iter()
        .map(|row| {
            let mut b = Builder::new();
            b.insn_start(0x1000, false, 0);
            let registers = [0, 1, 2].map(|r| b.get_reg(r));
            let result = (row.build)(&mut b, registers);
            b.set_reg(0, result);
            b.jump(0x1004);
            let block = b.finish();
            assert_eq!(verify(&block), Ok(()), "{}", row.name);
            block
        })
        .collect();
    for (record, expected) in records.iter().zip(expected) {
        let mut state = CpuState::new();
        state.set_cpsr(record.cpsr);
        state.r[..3].copy_from_slice(&record.r);
        state.fpscr = record.fpscr & 0x0fff_ffff;
        state.fp_cmp = nzcv_to_fp_cmp(record.fpscr);
        let stub = record.stub as usize;
        let exit = run(&blocks[stub], &mut state, &mut memory);
        assert_eq!(exit, Exit::Jump(0x1004));
        assert_eq!(
            (state.r[0], state.r[1], state.cpsr() & 0xf80f_0000),
            (expected.r[0], expected.r[1], expected.cpsr & 0xf80f_0000),
            "{}: {record:x?}",
            rows[stub].name
        );
    }
}
