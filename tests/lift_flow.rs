//! Control flow, exclusives and VFP short vectors, lifted and interpreted, compared with qemu-arm.

mod lift_sequence;

use emu::cpu::model::Model;
use emu::isa::a32;
use emu::isa::generate::{Rng, encoding};
use emu::isa::insn::{Insn, Vfp, VfpHalf};
use emu::lift::Context;
use lift_sequence::{In, Out, WINDOW, lifted, qemu, translated};

/// Name, whether it is T32, code. The sources are assembled by GNU as.
#[rustfmt::skip]
const SEQUENCES: &[(&str, bool, [u32; 8])] = &[
    // bl 1f; add r0, r0, #1; b 2f; 1: add r1, r1, #2; bx lr; 2: add r2, r2, #4; nop; nop
    ("call and return", false, [0xeb00_0001, 0xe280_0001, 0xea00_0001, 0xe281_1002, 0xe12f_ff1e, 0xe282_2004, 0xe320_f000, 0xe320_f000]),
    // cmp r0, r1; bhi 1f; blle 2f; add r3, r3, #1; 1: add r4, r4, #2; b 3f; 2: mov pc, lr; 3: adc r5, r5, r6
    ("conditional branch and call", false, [0xe150_0001, 0x8a00_0001, 0xdb00_0002, 0xe283_3001, 0xe284_4002, 0xea00_0000, 0xe1a0_f00e, 0xe0a5_5006]),
    // adr lr, 1f; cmp r0, r1; bxcs lr; add r2, r2, #1; 1: add r3, r3, #2; nop; nop; nop
    ("conditional return", false, [0xe28f_e008, 0xe150_0001, 0x212f_ff1e, 0xe282_2001, 0xe283_3002, 0xe320_f000, 0xe320_f000, 0xe320_f000]),
    // adr r3, 1f; mov lr, pc; bx r3; add r0, r0, #1; b 2f; 1: add r1, r1, #2; mov pc, lr; 2: nop
    ("call through a register as ARMv4 does", false, [0xe28f_300c, 0xe1a0_e00f, 0xe12f_ff13, 0xe280_0001, 0xea00_0001, 0xe281_1002, 0xe1a0_f00e, 0xe320_f000]),
    // and r0, r0, #1; add pc, pc, r0, lsl #2; nop; add r1, r1, #1; add r2, r2, #2; add r3, r3, #4; nop; nop
    ("computed jump", false, [0xe200_0001, 0xe08f_f100, 0xe320_f000, 0xe281_1001, 0xe282_2002, 0xe283_3004, 0xe320_f000, 0xe320_f000]),
    // adr r1, 1f; ldr sp, =0x28000900; push {r0, r1}; popmi {r2, pc}; add r4, r4, #1; 1: add r5, r5, sp; b 2f; .ltorg; 2:
    ("conditional pop of the pc", false, [0xe28f_100c, 0xe59f_d010, 0xe92d_0003, 0x48bd_8004, 0xe284_4001, 0xe085_500d, 0xea00_0000, 0x2800_0900]),
    // 1: add r1, r1, r0; subs r2, r2, #0x10000000; bpl 1b; nop; nop; nop; nop; nop
    ("loop", false, [0xe081_1000, 0xe252_2201, 0x5aff_fffc, 0xe320_f000, 0xe320_f000, 0xe320_f000, 0xe320_f000, 0xe320_f000]),
    // 1: vfma.f32 s9, s15, s23; vfms.f64 d6, d5, d11; subs r2, r2, #0x10000000; bpl 1b; nop; nop; nop; nop
    ("loop of fused multiply-add", false, [0xeee7_4aab, 0xeea5_6b4b, 0xe252_2201, 0x5aff_fffb, 0xe320_f000, 0xe320_f000, 0xe320_f000, 0xe320_f000]),
    // adr r3, 1f + 1; blx r3; add r0, r0, lr; b 2f; 1: adds r1, #2; cmp r1, r2; it eq; bxeq lr; bx lr; nop; 2: nop
    ("call of T32 code", false, [0xe28f_3009, 0xe12f_ff33, 0xe080_000e, 0xea00_0002, 0x4291_3102, 0x4770_bf08, 0xbf00_4770, 0xe320_f000]),
    // bl 1f; 1: mov r0, lr; nop; nop; nop; nop; nop; nop
    ("reading the pc by BL", false, [0xebff_ffff, 0xe1a0_000e, 0xe320_f000, 0xe320_f000, 0xe320_f000, 0xe320_f000, 0xe320_f000, 0xe320_f000]),
    // cbz r0, 1f; adds r1, #1; cbnz r2, 2f; adds r3, #2; 1: adds r4, #4; 2: adds r5, #8
    ("compare and branch on zero", true, [0x3101_b110, 0x3302_b90a, 0x3508_3404, 0xbf00_bf00, 0xbf00_bf00, 0xbf00_bf00, 0xbf00_bf00, 0xbf00_bf00]),
    // and r0, r0, #1; tbb [pc, r0]; 1: .byte (2f-1b)/2, (3f-1b)/2; 2: adds r1, #1; 3: adds r2, #2
    ("table of bytes", true, [0x0001_f000, 0xf000_e8df, 0x3101_0201, 0xbf00_3202, 0xbf00_bf00, 0xbf00_bf00, 0xbf00_bf00, 0xbf00_bf00]),
    // and r0, r0, #1; tbh [pc, r0, lsl #1]; 1: .short (2f-1b)/2, (3f-1b)/2; 2: adds r1, #1; 3: adds r2, #2
    ("table of halfwords", true, [0x0001_f000, 0xf010_e8df, 0x0003_0002, 0x3202_3101, 0xbf00_bf00, 0xbf00_bf00, 0xbf00_bf00, 0xbf00_bf00]),
    // 1: adds r1, r1, r0; subs r2, #1; lsls r3, r3, #1; bcc 1b
    ("loop", true, [0x3a01_1809, 0xd3fb_005b, 0xbf00_bf00, 0xbf00_bf00, 0xbf00_bf00, 0xbf00_bf00, 0xbf00_bf00, 0xbf00_bf00]),
    // cmp r0, r1; itte gt; addgt r2, r2, #1; addgt r3, r3, #2; ble 1f; adds r4, #4; 1: adds r5, #8
    ("branch at the end of an IT block", true, [0xbfc6_4288, 0x3302_3201, 0x3404_e000, 0xbf00_3508, 0xbf00_bf00, 0xbf00_bf00, 0xbf00_bf00, 0xbf00_bf00]),
    // blx 1f; adds r0, #1; b 2f; 1: add r1, r1, #2; bx lr; 2: adds r2, #4
    ("call of A32 code", true, [0xe802_f000, 0xe003_3001, 0xe281_1002, 0xe12f_ff1e, 0xbf00_3204, 0xbf00_bf00, 0xbf00_bf00, 0xbf00_bf00]),
    // adr r3, 1f; adds r3, #1; ldr sp, 3f; blx r3; b 2f; 3: .word 0x28000880; 1: push {r0, lr}; pop {r1, pc}; 2: adds r2, #4
    ("call through a register, return by pop", true, [0x3301_a303, 0xd004_f8df, 0xe003_4798, 0x2800_0880, 0xbd02_b501, 0xbf00_3204, 0xbf00_bf00, 0xbf00_bf00]),
    // ldr r3, 3f; mov sp, r3; bl 1f; adds r0, #1; b 2f; 3: .word 0x28000880; 1: push {lr}; pop {r1}; bx r1; 2: adds r2, #4; nop
    ("return as ARMv4T code does", true, [0x469d_4b02, 0xf804_f000, 0xe004_3001, 0x2800_0880, 0xbc02_b500, 0x3204_4708, 0xbf00_bf00, 0xbf00_bf00]),
    // bx pc; nop; .arm; add r1, r1, #2; add r3, pc, #1; bx r3; .thumb
    ("to A32 code by the pc", true, [0xbf00_4778, 0xe281_1002, 0xe28f_3001, 0xe12f_ff13, 0xbf00_bf00, 0xbf00_bf00, 0xbf00_bf00, 0xbf00_bf00]),
    // nop; bx pc; adds r1, #1 (UNPREDICTABLE: the target is not word-aligned, which is a fault there)
    ("to a misaligned pc", true, [0x4778_bf00, 0x3101_3101, 0xbf00_bf00, 0xbf00_bf00, 0xbf00_bf00, 0xbf00_bf00, 0xbf00_bf00, 0xbf00_bf00]),
    // ldrex r2, [r0]; add r2, r2, #1; strex r3, r2, [r0]; ldrex r4, [r0]; clrex; strex r5, r4, [r0]; nop; nop
    ("exclusives", false, [0xe190_2f9f, 0xe282_2001, 0xe180_3f92, 0xe190_4f9f, 0xf57f_f01f, 0xe180_5f94, 0xe320_f000, 0xe320_f000]),
    // ldrexd r2, r3, [r0]; adds r2, r2, #1; strexd r4, r2, r3, [r0]; ldrexb r5, [r0]; strexb r6, r4, [r0]; strexb r7, r4, [r0]; nop; nop
    ("exclusives of other sizes", false, [0xe1b0_2f9f, 0xe292_2001, 0xe1a0_4f92, 0xe1d0_5f9f, 0xe1c0_6f94, 0xe1c0_7f94, 0xe320_f000, 0xe320_f000]),
    // movw r0, #0x1234; movt r0, #0x5678; movtne r0, #1; nop...
    ("wide constants", false, [0xe301_0234, 0xe345_0678, 0x1340_0001, 0xe320_f000, 0xe320_f000, 0xe320_f000, 0xe320_f000, 0xe320_f000]),
];

/// Pairs of singles: NaNs among numbers, so that operations see several at once.
const DOUBLES: [u64; 6] = [
    0x7fc0_0000_7ff0_0000,
    0x3f80_0000_c000_0000,
    0xffc0_1234_7f80_0001,
    0x7ff8_0000_3f80_0000,
    0xfff0_0001_4049_0fdb,
    0x4008_0000_0000_0000,
];

fn context(name: &str) -> Context {
    let model = Model::all().iter().find(|m| m.name == name);
    Context::new(model.unwrap_or_else(|| panic!("model {name}")))
}

fn state(rng: &mut Rng, thumb: bool, code: [u32; 8]) -> In {
    In {
        thumb,
        d16: false,
        cpsr: rng.next_u32() & 0xf80f_0000 | 0x10,
        fpscr: 0,
        r: std::array::from_fn(|i| match i {
            0 if rng.below(2) == 0 => WINDOW + 8 * rng.below(32),
            // The loops end when r3 has been shifted out.
            3 => rng.next_u32() | 1,
            _ if rng.below(3) == 0 => rng.below(3),
            _ => rng.next_u32(),
        }),
        code,
        d: std::array::from_fn(|_| DOUBLES[rng.below(6) as usize]),
        data: std::array::from_fn(|_| rng.next_u32()),
    }
}

/// Every sequence from 40 states, in blocks of any length and of one instruction.
#[test]
fn control_flow() {
    let mut rng = Rng(7);
    let cases: Vec<_> = (0..40 * SEQUENCES.len())
        .map(|i| SEQUENCES[i % SEQUENCES.len()])
        .collect();
    let records: Vec<In> = cases
        .iter()
        .map(|&(_, thumb, code)| state(&mut rng, thumb, code))
        .collect();
    let theirs = qemu("max", &records);
    for max_insns in [64, 1] {
        let ctx = Context {
            max_insns,
            ..context("max")
        };
        let ours = lifted(&ctx, &records);
        for ((&(name, ..), ours), theirs) in cases.iter().zip(&ours).zip(&theirs) {
            let ours = &Out { fault: None, ..*ours };
            assert_eq!(ours, theirs, "{name} in blocks of at most {max_insns}");
        }
    }
    for options in [
        &["--interpret", "0"][..],
        &["--interpret", "4294967295"],
        &["--one-insn-per-block"],
    ] {
        let ours = translated("max", options, &records);
        for ((&(name, ..), ours), theirs) in cases.iter().zip(&ours).zip(&theirs) {
            assert_eq!(ours, theirs, "{name} translated, {options:?}");
        }
    }
}

/// VFP arithmetic with FPSCR's LEN and STRIDE set. Three-register operations only: in the others QEMU 7.2 advances the
/// destination where it means the source. QEMU also takes STRIDE 0b11 for four registers in single precision
/// (the architecture says two), so there only STRIDE 0 is compared.
#[test]
fn short_vectors() {
    // `max` as well: fused multiply-add, which has no vector form, is undefined there.
    short_vectors_of("arm1176");
    short_vectors_of("max");
    // No short vectors: all of it is undefined.
    short_vectors_of("cortex-a15");
}

fn short_vectors_of(cpu: &str) {
    let ctx = context(cpu);
    let mut rng = Rng(8);
    let rows: Vec<_> = a32::rows().iter().filter(|r| r.name.starts_with('v')).collect();
    let mut records = Vec::new();
    while records.len() < 3000 {
        let row = rows[rng.below(rows.len() as u32) as usize];
        let mut word = encoding(row, &mut rng);
        if row.conditional {
            word = word & 0x0fff_ffff | 0xe000_0000;
        }
        let (double, d, n, m) = match a32::decode(word, ctx.features).map(|d| d.insn) {
            // The states have D0 to D15 only.
            Ok(Insn::Vfp(
                Vfp::Arith {
                    double: true,
                    d,
                    n,
                    m,
                    ..
                }
                | Vfp::MinMaxNm {
                    double: true,
                    d,
                    n,
                    m,
                    ..
                },
            )) if d.max(n).max(m) > 15 => continue,
            Ok(Insn::Vfp(Vfp::Arith { double, d, n, m, .. } | Vfp::MinMaxNm { double, d, n, m, .. })) => {
                (double, d, n, m)
            }
            // Undefined with a length.
            Ok(Insn::Vfp(Vfp::Half(VfpHalf::Arith { d, n, m, .. } | VfpHalf::MinMaxNm { d, n, m, .. }))) => {
                (false, d, n, m)
            }
            _ => continue,
        };
        // Vectors that overlap without being the same are UNPREDICTABLE.
        let bank = |r: u8| r >> if double { 2 } else { 3 };
        if [n, m].iter().any(|&r| r != d && bank(r) == bank(d)) {
            continue;
        }
        let mut code = [0xe320_f000; 8];
        code[0] = word;
        let stride = if double && rng.below(2) == 0 { 3 << 20 } else { 0 };
        // LEN elements must fit in a bank.
        let length = match (double, stride) {
            (false, _) => rng.below(8),
            (true, 0) => rng.below(4),
            (true, _) => rng.below(2),
        };
        let mut record = state(&mut rng, false, code);
        record.d16 = true;
        // A stride without a length is UNPREDICTABLE.
        record.fpscr = if length == 0 { 0 } else { length << 16 | stride };
        record.d = std::array::from_fn(|i| match (i < 16, double) {
            (false, _) => 0,
            (true, true) => f64::from(rng.next_u32() as i32 >> 8).to_bits(),
            (true, false) => {
                let single = |v: u32| u64::from((v as i32 as f32 / 256.0).to_bits());
                single(rng.next_u32()) | single(rng.next_u32()) << 32
            }
        });
        records.push(record);
    }
    let theirs = qemu(cpu, &records);
    for ours in [
        lifted(&ctx, &records),
        translated(cpu, &["--interpret", "0"], &records),
    ] {
        for ((record, ours), theirs) in records.iter().zip(&ours).zip(&theirs) {
            assert_eq!(
                ours, theirs,
                "{cpu}: {:08x} fpscr {:08x}",
                record.code[0], record.fpscr
            );
        }
    }
}
