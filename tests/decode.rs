//! Compares the decoders with capstone: every 16-bit T32 instruction, and random A32 and 32-bit T32 words.
//!
//! What disagrees must be in one of the classes of `decode_support/classes.rs`, as often as
//! `fixtures/decode-differences.txt` says. The file's head says how to compare ten million words, and how QEMU settles
//! what is valid.

#[allow(
    dead_code,
    reason = "shared with tools/decode_compare.rs, which uses another part of it"
)]
mod decode_support;

use decode_support::{Set, View, report};
use emu::cpu::model::{Features, Model, hwcap};
use emu::isa::generate::{Rng, encoding};
use emu::isa::insn::*;
use emu::isa::{a32, t32};

/// Words of each instruction set in an ordinary run.
const COUNT: usize = 500_000;

#[test]
fn agrees_with_capstone_but_for_the_listed_classes() {
    let found = report::run(COUNT);
    let recorded = include_str!("../fixtures/decode-differences.txt");
    let recorded: Vec<&str> = recorded
        .lines()
        .filter(|l| !l.starts_with('#') && !l.is_empty())
        .map(str::trim_end)
        .collect();
    assert_eq!(
        found.unclassified,
        Vec::<String>::new(),
        "disagreements in no class"
    );
    assert_eq!(
        found.lines(),
        recorded,
        "counts of fixtures/decode-differences.txt"
    );
}

/// Every modified immediate of Advanced SIMD (AdvSIMDExpandImm), as capstone expands it.
#[test]
fn modified_immediates() {
    let disassembler = decode_support::capstone::Disassembler::new();
    for bits in 0..1u32 << 13 {
        let (op, cmode, imm8) = (bits >> 12, bits >> 8 & 15, bits & 0xff);
        let low = 0x0080_0010 | (imm8 >> 4 & 7) << 16 | cmode << 8 | op << 5 | imm8 & 15;
        for word in [low, low | 0x0040_6040] {
            let top = imm8 >> 7;
            let words = [
                (Set::A32, 0xf200_0000 | top << 24 | word),
                (Set::T32, 0xef00_0000 | top << 28 | word),
            ];
            for (set, word) in words {
                let view = View::of(set, word, Model::max().features, &disassembler);
                assert!(
                    view.agrees() && view.ours.is_ok() == (cmode != 15 || op == 0),
                    "{} {word:#010x}: {:x?}, {}",
                    set.name(),
                    view.ours,
                    view.text
                );
            }
        }
    }
}

/// Instructions newer than capstone, against GNU as.
#[test]
fn agrees_with_gnu_as() {
    let listing = include_str!("../fixtures/decode-gas.txt");
    for line in listing.lines().filter(|l| !l.starts_with('#')) {
        let (a32, rest) = line.split_once(' ').expect("an A32 word");
        let (t32, text) = rest.split_once(' ').expect("a T32 word");
        let word = |hex| u32::from_str_radix(hex, 16).expect("a word");
        let t32 = word(t32);
        for insn in [
            a32_insn(word(a32)).expect(line),
            t32_insn((t32 >> 16) as u16, t32 as u16).expect(line),
        ] {
            let ours = decode_support::text::text(&insn).expect(line);
            assert_eq!(ours.with_condition(14), text);
        }
    }
}

/// Random encodings of every row of Advanced SIMD and ARMv8 floating point reach an instruction: what generators make
/// of the table covers it.
#[test]
fn encodings_of_simd_rows_decode() {
    let new = Features::NEON | Features::FP16_ARITH | Features::BF16 | Features::JSCVT;
    let mut rng = Rng(9);
    let mut rows = 0;
    for (set, table) in [(Set::A32, a32::rows()), (Set::T32, t32::rows())] {
        for row in table.iter().filter(|r| r.requires.intersects(new)) {
            rows += 1;
            let decodes = |word| match set {
                Set::A32 => a32_insn(word).is_ok(),
                _ => t32_insn((word >> 16) as u16, word as u16).is_ok(),
            };
            let found = (0..200).filter(|_| decodes(encoding(row, &mut rng))).count();
            assert!(found > 0, "{} {} {}", set.name(), row.name, row.pattern);
        }
    }
    assert!(rows > 2 * 250, "{rows} rows");
}

/// What each model lacks is undefined there: words with the feature that they need.
#[test]
fn features_of_models() {
    let words = [
        (0xf222_0842, Features::NEON),
        (0xee40_1b30, Features::NEON),
        (0xf461_078f, Features::NEON),
        (0xf3b6_1602, Features::FP16),
        (0xf201_0c12, Features::VFP4),
        (0xf3ba_0402, Features::V8),
        (0xf3b0_0302, Features::AES),
        (0xf2a1_0e02, Features::PMULL),
        (0xf202_0c44, Features::SHA1),
        (0xf302_0c44, Features::SHA2),
        (0xf211_0d02, Features::FP16_ARITH),
        (0xee31_0901, Features::FP16_ARITH),
        (0xfeb0_0a41, Features::FP16_ARITH),
        (0xf311_0b12, Features::RDM),
        (0xfc21_0d02, Features::DOTPROD),
        (0xfc01_0d02, Features::BF16),
        (0xfca1_0d02, Features::I8MM),
        (0xfc31_0802, Features::FCMA),
        (0xfc21_0811, Features::FHM),
        (0xeeb9_0bc1, Features::JSCVT),
        (0xfe01_0a01, Features::V8),
    ];
    for model in Model::all() {
        for (word, needs) in words {
            assert_eq!(
                a32::decode(word, model.features).is_ok(),
                model.features.contains(needs),
                "{word:#010x} on {}",
                model.name
            );
            // D16 and up, without the registers.
            let small = model.features - Features::D32;
            if word >> 24 == 0xf2 && word & 0x40 == 0 {
                assert_eq!(a32::decode(word | 0x0040_0000, small), Err(Undecoded::Undefined));
            }
        }
    }
}

fn a32_insn(word: u32) -> Result<Insn, Undecoded> {
    a32::decode(word, Model::max().features).map(|d| d.insn)
}

fn t32_insn(hw1: u16, hw2: u16) -> Result<Insn, Undecoded> {
    t32::decode(hw1, hw2, false, Model::max().features).map(|d| d.insn)
}

/// Encodings by GNU as 2.40, decoded by hand from the Arm ARM's operand descriptions.
#[test]
fn fields_of_a32() {
    let src = Operand::ShiftImm {
        rm: Reg(3),
        shift: Shift::Asr,
        amount: 32,
    };
    // adds r1, r2, r3, asr #32
    assert_eq!(
        a32_insn(0xe092_1043),
        Ok(Insn::Alu {
            op: AluOp::Add,
            s: true,
            rd: Reg(1),
            rn: Reg(2),
            src
        })
    );
    // movs r0, #0x80000000: the carry is the immediate's top bit.
    let src = Operand::Imm {
        value: 0x8000_0000,
        carry: Some(true),
    };
    assert_eq!(
        a32_insn(0xe3b0_0102),
        Ok(Insn::Mov {
            s: true,
            rd: Reg(0),
            src
        })
    );
    // ldr r0, [r1, -r2, lsr #32]!
    let offset = Offset::Reg {
        rm: Reg(2),
        shift: Shift::Lsr,
        amount: 32,
        add: false,
    };
    let addr = Address {
        base: Reg(1),
        offset,
        index: Index::Pre,
    };
    let load = Insn::Load {
        size: MemSize::Word,
        signed: false,
        rt: Reg(0),
        addr,
        unpriv: false,
    };
    assert_eq!(a32_insn(0xe731_0022), Ok(load));
    // bl .-4, blx .+10 (reads pc + 8).
    assert_eq!(
        a32_insn(0xebff_fffd),
        Ok(Insn::Bl {
            offset: -12,
            exchange: false
        })
    );
    assert_eq!(
        a32_insn(0xfb00_0000),
        Ok(Insn::Bl {
            offset: 2,
            exchange: true
        })
    );
    // bfi r0, r1, #4, #8
    assert_eq!(
        a32_insn(0xe7cb_0211),
        Ok(Insn::Bfi {
            rd: Reg(0),
            rn: Reg(1),
            lsb: 4,
            width: 8
        })
    );
    // vmov.f32 s1, #-1.0; vmov.f64 d17, #0.5
    let one = Insn::Vfp(Vfp::MovImm {
        double: false,
        d: 1,
        bits: 0xbf80_0000,
    });
    assert_eq!(a32_insn(0xeeff_0a00), Ok(one));
    let half = Insn::Vfp(Vfp::MovImm {
        double: true,
        d: 17,
        bits: 0x3fe0_0000_0000_0000,
    });
    assert_eq!(a32_insn(0xeef6_1b00), Ok(half));
    // vcvt.s32.f64 d1, d1, #5
    let fixed = Vfp::CvtFixed {
        to_fixed: true,
        double: true,
        signed: true,
        size: 32,
        frac: 5,
        d: 1,
    };
    assert_eq!(a32_insn(0xeebe_1bed), Ok(Insn::Vfp(fixed)));
}

#[test]
fn fields_of_t32() {
    // cbnz r3, .+16 (reads pc + 4); b.w .-1048572; bl .+16777212.
    assert_eq!(
        t32_insn(0xb933, 0),
        Ok(Insn::Cbz {
            nonzero: true,
            rn: Reg(3),
            offset: 12
        })
    );
    assert_eq!(
        t32_insn(0xf700, 0xb802),
        Ok(Insn::B {
            offset: -0x10_0000 + 4
        })
    );
    assert_eq!(
        t32_insn(0xf3ff, 0xd7fc),
        Ok(Insn::Bl {
            offset: 0x00ff_fff8,
            exchange: false
        })
    );
    // beq.w .+262144
    let branch = t32::decode(0xf040 & !0x40, 0xa000, false, Model::max().features).map(|d| (d.insn, d.cond));
    assert_eq!(branch, Ok((Insn::B { offset: 1 << 18 }, Cond::Eq)));
    // orr.w r1, r2, #0x00ab00ab; orr.w r1, r2, #0x0000ff00
    let orr = |value, carry| {
        let src = Operand::Imm { value, carry };
        Ok(Insn::Alu {
            op: AluOp::Orr,
            s: false,
            rd: Reg(1),
            rn: Reg(2),
            src,
        })
    };
    assert_eq!(t32_insn(0xf042, 0x11ab), orr(0x00ab_00ab, None));
    assert_eq!(t32_insn(0xf442, 0x417f), orr(0x0000_ff00, Some(false)));
    // ldrd r1, r2, [pc, #-8]
    let addr = Address {
        base: Reg::PC,
        offset: Offset::Imm(-8),
        index: Index::Offset,
    };
    assert_eq!(
        t32_insn(0xe95f, 0x1202),
        Ok(Insn::LoadDual {
            rt: Reg(1),
            rt2: Reg(2),
            addr
        })
    );
}

/// The 16-bit data-processing forms set the flags outside IT blocks only; CMP always does.
#[test]
fn flags_inside_it() {
    let features = Model::max().features;
    let s = |hw, in_it| match t32::decode(hw, 0, in_it, features).unwrap().insn {
        Insn::Alu { s, .. } | Insn::Mov { s, .. } | Insn::Mul { s, .. } => s,
        other => panic!("{other:?}"),
    };
    for hw in [0x1840, 0x2001, 0x4348, 0x0048] {
        assert!(s(hw, false) && !s(hw, true), "{hw:#06x}");
    }
    // A conditional branch inside an IT block.
    assert_eq!(
        t32::decode(0xd000, 0, true, features),
        Err(Undecoded::Unpredictable)
    );
}

/// Before Thumb-2 BL and BLX are pairs of halfwords; nothing else is four bytes.
#[test]
fn pairs_before_thumb_2() {
    let features = Model::by_name("arm926").unwrap().features;
    assert!(t32::is_wide(0xf000, features) && !t32::is_wide(0xe800, features));
    let bl = t32::decode(0xf000, 0xf802, false, features).unwrap();
    assert_eq!(
        (bl.insn, bl.size),
        (
            Insn::Bl {
                offset: 4,
                exchange: false
            },
            4
        )
    );
    let blx = t32::decode(0xf7ff, 0xeffe, false, features).unwrap();
    assert_eq!(
        blx.insn,
        Insn::Bl {
            offset: -4,
            exchange: true
        }
    );
    assert_eq!(
        t32::decode(0xf000, 0xd002, false, features),
        Err(Undecoded::Undefined)
    );
    assert_eq!(t32::decode(0xf802, 0, false, features), Err(Undecoded::Undefined));
}

/// What the kernel shows on such processors: HWCAP of /proc/self/auxv, names of /proc/cpuinfo.
#[test]
fn models() {
    let names = |m: &str| {
        Model::by_name(m)
            .unwrap()
            .feature_names()
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(names("arm926"), "swp half thumb fastmult vfp edsp");
    assert_eq!(names("arm1176"), "half thumb fastmult vfp edsp tls");
    assert_eq!(
        names("cortex-a8"),
        "half thumb fastmult vfp edsp neon vfpv3 tls vfpd32"
    );
    let a15 = "half thumb fastmult vfp edsp neon vfpv3 tls vfpv4 idiva idivt vfpd32 lpae";
    assert_eq!(names("cortex-a15"), a15);
    let max = "fphp asimdhp asimddp asimdfhm asimdbf16 i8mm aes pmull sha1 sha2 crc32";
    assert_eq!(names("max"), format!("{a15} {max}"));
    for model in Model::all() {
        // How the kernel reads MVFR0 and MVFR1 (arch/arm/vfp/vfpmodule.c vfp_init).
        let (v0, v1) = (model.mvfr0, model.mvfr1);
        let rules = [
            (hwcap::VFPV3, v0 >> 4 & 15 == 2 || v0 >> 8 & 15 == 2),
            (hwcap::VFPD32, v0 & 15 == 2),
            (hwcap::NEON, v1 & 0x000f_ff00 == 0x0001_1100),
            (hwcap::VFPV4, v1 >> 28 == 1),
            (hwcap::ASIMDHP, v1 >> 20 & 15 == 2),
            (hwcap::FPHP, v1 >> 24 & 15 == 3),
        ];
        for (bit, holds) in rules {
            assert_eq!(model.hwcap & bit != 0, holds, "{}: bit {bit:#x}", model.name);
        }
        assert!(!model.features.contains(Features::V8) || model.name == "max");
    }
    assert!(Model::by_name("pentium").is_none());
}
