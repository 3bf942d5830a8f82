//! The encoder of VEX and EVEX instructions against capstone: every register in every place, every form of address.

use capstone::prelude::*;
use dynasmrt::DynasmApi;
use emu::x64::asm::{Asm, Enc, Mem, Rm};
use emu::x64::evex::{Evex, MAP5};

struct Checker {
    engine: Capstone,
    checked: u32,
}

impl Checker {
    fn new() -> Checker {
        let engine = Capstone::new()
            .x86()
            .mode(arch::x86::ArchMode::Mode64)
            .build()
            .unwrap();
        Checker { engine, checked: 0 }
    }

    /// What `emit` appends is one instruction that capstone prints as `expected`.
    fn check(&mut self, expected: &str, emit: impl FnOnce(&mut Asm)) {
        let bytes = bytes_of(emit);
        let insns = self.engine.disasm_all(&bytes, 0).unwrap();
        let texts: Vec<_> = insns
            .iter()
            .map(|i| format!("{} {}", i.mnemonic().unwrap(), i.op_str().unwrap()))
            .collect();
        let size: usize = insns.iter().map(|i| i.bytes().len()).sum();
        assert_eq!(texts, [expected], "{bytes:02x?}");
        assert_eq!(size, bytes.len(), "{bytes:02x?}");
        self.checked += 1;
    }
}

fn bytes_of(emit: impl FnOnce(&mut Asm)) -> Vec<u8> {
    let mut a = Asm::new();
    emit(&mut a);
    let mut bytes = Vec::new();
    a.ops.finish(&mut bytes).unwrap();
    bytes
}

const GPR64: [&str; 16] = [
    "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
    "r15",
];
const GPR32: [&str; 16] = [
    "eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi", "r8d", "r9d", "r10d", "r11d", "r12d", "r13d",
    "r14d", "r15d",
];

/// Intel syntax, as capstone prints it.
fn address(m: Mem) -> String {
    let names = if m.addr32 { GPR32 } else { GPR64 };
    let mut text = m
        .base
        .map_or(String::new(), |b| names[usize::from(b)].to_string());
    if let Some((i, shift)) = m.index {
        if !text.is_empty() {
            text += " + ";
        }
        text += names[usize::from(i)];
        if shift > 0 {
            text += &format!("*{}", 1 << shift);
        }
    }
    let size = m.disp.unsigned_abs();
    let number = if size < 10 {
        size.to_string()
    } else {
        format!("{size:#x}")
    };
    if text.is_empty() {
        text = number;
    } else if m.disp != 0 {
        text += if m.disp < 0 { " - " } else { " + " };
        text += &number;
    }
    format!("{}[{text}]", if m.gs { "gs:" } else { "" })
}

/// Addresses with each register as base and as index, displacements on both sides of what fits in scaled bytes.
fn addresses() -> Vec<Mem> {
    let mut all = Vec::new();
    let disps = [
        0,
        1,
        4,
        8,
        16,
        32,
        64,
        127,
        128,
        -1,
        -64,
        -128,
        -129,
        508,
        512,
        -512,
        2032,
        2048,
        -2048,
        4096,
        8128,
        8192,
        -8192,
        -8256,
        0x1234_5678,
    ];
    for base in 0..16 {
        for disp in disps {
            all.push(Mem::at(base, disp));
        }
        for index in (0..16).filter(|&i| i != 4) {
            let disp = disps[usize::from(base * 3 + index) % disps.len()];
            all.push(Mem {
                index: Some((index, (base + index) % 4)),
                ..Mem::at(base, disp)
            });
        }
    }
    for index in (0..16).filter(|&i| i != 4) {
        all.push(Mem {
            base: None,
            index: Some((index, 2)),
            ..Mem::at(0, 64)
        });
    }
    all.push(Mem {
        base: None,
        ..Mem::at(0, 0x1000)
    });
    let prefixed = all.clone();
    for (n, m) in prefixed.into_iter().enumerate() {
        let (addr32, gs) = (n % 2 == 0, n % 3 == 0);
        // An absolute address has no register whose size could show.
        if m.base.is_some() {
            all.push(Mem { addr32, gs, ..m });
        }
    }
    all
}

const LENGTHS: [(Evex, &str, &str); 3] = [
    (Evex::X, "xmm", "xmmword"),
    (Evex::Y, "ymm", "ymmword"),
    (Evex::Z, "zmm", "zmmword"),
];

#[test]
fn evex_registers() {
    let mut c = Checker::new();
    for (x, kind, _) in LENGTHS {
        for (reg, vvvv, rm) in
            (0..32).flat_map(|r| (0..32).flat_map(move |v| (0..32).map(move |m| (r, v, m))))
        {
            c.check(&format!("vaddps {kind}{reg}, {kind}{vvvv}, {kind}{rm}"), |a| {
                a.evex(Enc::of(0x58), x, reg, vvvv, Rm::Reg(rm));
            });
        }
    }
    assert_eq!(c.checked, 3 * 32 * 32 * 32);
}

#[test]
fn evex_masks_and_maps() {
    let mut c = Checker::new();
    for (x, kind, _) in LENGTHS {
        for k in 1..8 {
            let (reg, vvvv, rm) = (k * 4 + 3, 31 - k, k * 3);
            let operands = format!("{kind}{vvvv}, {kind}{rm}");
            c.check(&format!("vmulpd {kind}{reg} {{k{k}}}, {operands}"), |a| {
                a.evex(Enc::of(0x59).prefix(0x66).w(), x.mask(k), reg, vvvv, Rm::Reg(rm));
            });
            c.check(&format!("vmulpd {kind}{reg} {{k{k}}} {{z}}, {operands}"), |a| {
                a.evex(Enc::of(0x59).prefix(0x66).w(), x.zero(k), reg, vvvv, Rm::Reg(rm));
            });
            c.check(&format!("vptestmd k{k}, {operands}"), |a| {
                a.evex(Enc::of(0x27).map(2).prefix(0x66), x, k, vvvv, Rm::Reg(rm));
            });
            c.check(&format!("vpternlogd {kind}{reg}, {operands}, 0xca"), |a| {
                a.evex_i(Enc::of(0x25).map(3).prefix(0x66), x, reg, vvvv, Rm::Reg(rm), 0xca);
            });
            c.check(
                &format!(
                    "vpmovdw {half}{rm} {{k{k}}}, {kind}{reg}",
                    half = if x.len == 2 { "ymm" } else { "xmm" }
                ),
                |a| {
                    a.evex(Enc::of(0x33).map(2).prefix(0xf3), x.mask(k), reg, 0, Rm::Reg(rm));
                },
            );
        }
    }
    c.check("vrndscaless xmm21, xmm22, xmm7, {sae}, 5", |a| {
        let x = Evex::scalar(2).sae();
        a.evex_i(Enc::of(0x0a).map(3).prefix(0x66), x, 21, 22, Rm::Reg(7), 5);
    });
}

#[test]
fn evex_addresses() {
    let mut c = Checker::new();
    for (n, m) in addresses().into_iter().enumerate() {
        let (reg, vvvv, at) = (n as u8 % 32, n as u8 / 3 % 32, address(m));
        for (x, kind, size) in LENGTHS {
            let operands = format!("{kind}{reg}, {kind}{vvvv}");
            c.check(&format!("vpaddd {operands}, {size} ptr {at}"), |a| {
                a.evex(Enc::of(0xfe).prefix(0x66), x, reg, vvvv, m.into());
            });
            let lanes = 4 << x.len;
            c.check(&format!("vpaddd {operands}, dword ptr {at}{{1to{lanes}}}"), |a| {
                a.evex(Enc::of(0xfe).prefix(0x66), x.broadcast(2), reg, vvvv, m.into());
            });
            c.check(
                &format!("vaddpd {operands}, qword ptr {at}{{1to{}}}", lanes / 2),
                |a| {
                    a.evex(
                        Enc::of(0x58).prefix(0x66).w(),
                        x.broadcast(3),
                        reg,
                        vvvv,
                        m.into(),
                    );
                },
            );
        }
        c.check(&format!("vaddss xmm{reg}, xmm{vvvv}, dword ptr {at}"), |a| {
            a.evex(Enc::of(0x58).prefix(0xf3), Evex::scalar(2), reg, vvvv, m.into());
        });
        c.check(&format!("vmovups xmmword ptr {at}, xmm{reg}"), |a| {
            a.evex(Enc::of(0x11), Evex::X, reg, 0, m.into());
        });
    }
    assert!(c.checked > 10_000);
}

#[test]
fn vex_registers_and_addresses() {
    let mut c = Checker::new();
    let triples = (0..16).flat_map(|r| (0..16).flat_map(move |v| (0..16).map(move |m| (r, v, m))));
    for (reg, vvvv, rm) in triples {
        for (wide, kind) in [(false, "xmm"), (true, "ymm")] {
            let operands = format!("{kind}{reg}, {kind}{vvvv}, {kind}{rm}");
            let mut both = |name: &str, e: Enc, imm: Option<u8>| {
                let text = imm.map_or(String::new(), |i| format!(", {i}"));
                c.check(&format!("{name} {operands}{text}"), |a| {
                    if wide {
                        a.vex256(e, reg, vvvv, Rm::Reg(rm));
                    } else {
                        a.vex(e, reg, vvvv, Rm::Reg(rm));
                    }
                    if let Some(i) = imm {
                        a.ops.push(i);
                    }
                });
            };
            both("vaddps", Enc::of(0x58), None);
            both("vgf2p8mulb", Enc::of(0xcf).map(2).prefix(0x66), None);
            both("vgf2p8affineqb", Enc::of(0xce).map(3).prefix(0x66).w(), Some(5));
            both("vaesenclast", Enc::of(0xdd).map(2).prefix(0x66), None);
            both("vpclmulqdq", Enc::of(0x44).map(3).prefix(0x66), Some(1));
        }
    }
    for m in addresses() {
        let at = address(m);
        c.check(&format!("vfmadd231ps xmm9, xmm10, xmmword ptr {at}"), |a| {
            a.vex(Enc::of(0xb8).map(2).prefix(0x66), 9, 10, m.into());
        });
        c.check(&format!("vpaddb ymm1, ymm2, ymmword ptr {at}"), |a| {
            a.vex256(Enc::of(0xfc).prefix(0x66), 1, 2, m.into());
        });
        c.check(&format!("gf2p8mulb xmm9, xmmword ptr {at}"), |a| {
            a.op(Enc::of(0xcf).map(2).prefix(0x66), 9, m.into());
        });
        c.check(&format!("sha256rnds2 xmm9, xmmword ptr {at}, xmm0"), |a| {
            a.op(Enc::of(0xcb).map(2), 9, m.into());
        });
    }
}

/// Capstone does not know AVX512-FP16: what GNU as 2.40 makes of the same instructions.
#[test]
fn half_precision_as_gnu_as_has_it() {
    let m = Mem {
        index: Some((12, 2)),
        ..Mem::at(3, 0x20)
    };
    let e = |op: u8| Enc::of(op).map(MAP5);
    // vaddph %xmm27, %xmm18, %xmm9
    let add = bytes_of(|a| a.evex(e(0x58), Evex::X, 9, 18, Rm::Reg(27)));
    assert_eq!(add, [0x62, 0x15, 0x6c, 0x00, 0x58, 0xcb]);
    // vmulph 0x20(%rbx,%r12,4), %ymm2, %ymm31{%k3}{z}
    let mul = bytes_of(|a| a.evex(e(0x59), Evex::Y.zero(3), 31, 2, m.into()));
    assert_eq!(mul, [0x62, 0x25, 0x6c, 0xab, 0x59, 0x7c, 0xa3, 0x01]);
    // vsqrtph 0x20(%rbx,%r12,4){1to8}, %xmm4
    let sqrt = bytes_of(|a| a.evex(e(0x51), Evex::X.broadcast(1), 4, 0, m.into()));
    assert_eq!(sqrt, [0x62, 0xb5, 0x7c, 0x18, 0x51, 0x64, 0xa3, 0x10]);
}
