//! The classes of disagreement with capstone: each a predicate, what QEMU does, and why we decide as we do.

use super::{Set, View};
use emu::cpu::model::Features;
use emu::isa::insn::{Insn, Undecoded};
use emu::isa::pattern::Row;
use emu::isa::{a32, t32};

/// What QEMU (qemu-arm -cpu max) does with the words of a class.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Qemu {
    Sigill,
    Runs,
}

pub struct Class {
    pub name: &'static str,
    pub qemu: Qemu,
    /// What the class holds, among words on which we and capstone disagree.
    pub holds: fn(&View) -> bool,
    pub reason: &'static str,
}

impl View {
    fn bits(&self, low: u32, width: u32) -> u32 {
        self.word >> low & ((1 << width) - 1)
    }

    fn capstone(&self) -> &str {
        self.capstone.as_deref().unwrap_or("")
    }

    fn row_name(&self) -> &'static str {
        self.row.map_or("", |r| r.name)
    }

    fn insn(&self) -> Option<Insn> {
        self.ours.ok().map(|d| d.insn)
    }

    /// We refuse it as `why`, capstone decodes it.
    fn refused(&self, why: Undecoded) -> bool {
        self.ours == Err(why) && self.capstone.is_some()
    }

    fn unpredictable(&self) -> bool {
        self.refused(Undecoded::Unpredictable)
    }

    /// We decode it, capstone doesn't.
    fn alone(&self) -> bool {
        self.ours.is_ok() && self.capstone.is_none()
    }

    fn both(&self) -> bool {
        self.ours.is_ok() && self.capstone.is_some()
    }

    /// A32 with a condition other than AL.
    fn conditional(&self) -> bool {
        self.set == Set::A32 && self.bits(28, 4) < 14
    }

    /// The coprocessor number, in the coprocessor space of A32 or T32; else 16.
    fn coprocessor(&self) -> u32 {
        let space = match self.set {
            Set::A32 => matches!(self.bits(24, 4), 0xc..=0xe),
            Set::T32 => matches!(self.bits(24, 8), 0xec..=0xee | 0xfc..=0xfe),
            Set::T16 => false,
        };
        if space { self.bits(8, 4) } else { 16 }
    }

    /// An element or structure access.
    fn is_simd_access(&self) -> bool {
        self.row.is_some_and(is_simd_access)
    }

    /// An instruction that came after capstone's tables.
    fn is_newer(&self) -> bool {
        let newer = Features::FHM | Features::BF16 | Features::I8MM;
        self.row.is_some_and(|r| r.requires.intersects(newer))
    }

    /// A row of capstone's mnemonic takes the word once should-be bits are put right: bits inside `0x000f_ff0f` in A32,
    /// inside `0x0400_80f0` (hw1 bit 10; hw2 bits 15 and 7 to 4) in T32, bits 2 to 0 in 16-bit T32.
    fn should_be(&self) -> bool {
        let (rows, bits) = match self.set {
            Set::A32 => (a32::rows(), 0x000f_ff0f),
            Set::T32 => (t32::rows(), 0x0400_80f0),
            Set::T16 => (t32::rows(), 7),
        };
        let theirs = self.capstone();
        rows.iter().any(|row| {
            let off = (self.word ^ row.value) & row.mask;
            row.is_narrow() == (self.set == Set::T16)
                && !row.requires.contains(Features::NEON)
                && !(row.conditional && self.bits(28, 4) == 15)
                && off & !bits == 0
                && (theirs.starts_with(row.name)
                    || row.name == "mov" && matches!(theirs, "lsl" | "lsr" | "asr" | "ror" | "rrx"))
        })
    }
}

/// A row of VLD1 to VLD4, VST1 to VST4.
pub fn is_simd_access(row: &Row) -> bool {
    let number = row.name.strip_prefix("vld").or(row.name.strip_prefix("vst"));
    matches!(number, Some("1" | "2" | "3" | "4"))
}

/// Advanced SIMD of ARMv8, all of it data processing.
fn is_v8_name(name: &str) -> bool {
    let starts = [
        "sha", "aes", "vmaxnm", "vminnm", "vrint", "vcvta", "vcvtn", "vcvtp", "vcvtm",
    ];
    starts.iter().any(|s| name.starts_with(s))
}

fn is_simd_name(name: &str) -> bool {
    name.starts_with('v') || name.starts_with("sha") || name.starts_with("aes")
}

/// The class of a disagreement: the first that holds.
pub fn classify(view: &View) -> Option<usize> {
    CLASSES.iter().position(|c| (c.holds)(view))
}

use Qemu::{Runs, Sigill};
use Undecoded::Undefined;

#[rustfmt::skip]
pub static CLASSES: &[Class] = &[
    // Advanced SIMD.
    Class { name: "simd-table-past-d31", qemu: Sigill, holds: |v| v.unpredictable() && matches!(v.row_name(), "vtbl" | "vtbx"),
        reason: "VTBL, VTBX whose list leaves D31: UNPREDICTABLE; capstone goes on with other registers" },
    Class { name: "simd-pc-base", qemu: Runs, holds: |v| v.unpredictable() && v.is_simd_access() && v.bits(16, 4) == 15,
        reason: "VLD1 to VLD4, VST1 to VST4 with a pc base: UNPREDICTABLE" },
    Class { name: "simd-past-d31", qemu: Runs, holds: |v| v.unpredictable() && v.is_simd_access(),
        reason: "whole registers past D31: UNPREDICTABLE; QEMU goes on in what follows them in its state" },
    Class { name: "simd-vcvt-half-range", qemu: Sigill, holds: |v| v.refused(Undefined) && v.row_name() == "vcvt" && v.capstone() == "vcvt" && v.row.is_some_and(|r| r.requires.contains(Features::NEON)),
        reason: "VCVT between half and fixed point with more than 16 fraction bits: UNDEFINED" },
    Class { name: "capstone-lacks-v8.6", qemu: Runs, holds: |v| v.alone() && v.is_newer(),
        reason: "ARMv8.2 VFMAL, VFMSL and ARMv8.6 bfloat16 and matrix instructions, which capstone doesn't know (GNU as checks them: tests/decode.rs)" },
    Class { name: "capstone-sha-for-v8.6", qemu: Runs, holds: |v| v.both() && v.is_newer() && v.capstone().starts_with("sha"),
        reason: "capstone decodes SHA instructions under prefixes that are not theirs" },

    // Privileged or for debuggers.
    Class { name: "privileged", qemu: Sigill, holds: |v| v.refused(Undefined) && matches!(v.row_name(), "mrs" | "msr" | "hvc" | "smc" | "eret" | "rfe" | "srs" | "sub") && v.capstone().starts_with(v.row_name()),
        reason: "SPSR, banked registers, HVC, SMC, ERET, RFE, SRS, SUBS pc, lr: UNDEFINED or UNPREDICTABLE in User mode" },
    Class { name: "vfp-id-registers", qemu: Sigill, holds: |v| v.refused(Undefined) && matches!(v.row_name(), "vmrs" | "vmsr"),
        reason: "VMRS, VMSR of registers other than FPSCR: privileged" },
    Class { name: "user-bank", qemu: Sigill, holds: |v| v.unpredictable() && v.set == Set::A32 && v.bits(25, 3) == 4 && v.bits(22, 1) == 1,
        reason: "LDM, STM of the User mode bank, and LDM with exception return: UNPREDICTABLE in User mode" },
    Class { name: "setpan", qemu: Sigill, holds: |v| v.refused(Undefined) && v.capstone() == "setpan",
        reason: "SETPAN: ARMv8.1, privileged" },
    Class { name: "debug-registers", qemu: Runs, holds: |v| v.refused(Undefined) && v.coprocessor() == 14 && v.bits(20, 1) == 1 && matches!(v.capstone(), "mrc" | "mrrc") && debug_register(v),
        reason: "DBGDIDR, DBGDRAR, DBGDSAR: Linux closes them to User mode, QEMU doesn't" },
    Class { name: "coprocessor", qemu: Sigill, holds: |v| v.refused(Undefined) && matches!(v.capstone(), "ldc" | "ldcl" | "stc" | "stcl" | "mcr" | "mrc" | "mcrr" | "mrrc"),
        reason: "cp14 and cp15 registers that User mode has no access to" },

    // Another architecture.
    Class { name: "m-profile", qemu: Sigill, holds: |v| v.ours.is_err() && matches!(v.capstone(), "bxns" | "blxns" | "tt" | "ttt" | "tta" | "ttat" | "vlldm" | "vlstm"),
        reason: "ARMv8-M instructions" },

    // UNPREDICTABLE, refused.
    Class { name: "exception-return", qemu: Sigill, holds: |v| v.unpredictable() && matches!(v.row_name(), "sub" | "mov" | "lsl" | "lsr" | "asr" | "ror"),
        reason: "SUBS, MOVS to pc: UNPREDICTABLE in User mode" },
    Class { name: "flags-to-pc", qemu: Runs, holds: |v| v.unpredictable() && v.set == Set::A32 && v.bits(26, 2) == 0 && matches!(v.row_name(), "and" | "eor" | "rsb" | "add" | "adc" | "sbc" | "rsc" | "orr" | "bic" | "mvn"),
        reason: "other flag-setting operations to pc: UNPREDICTABLE in User mode alike; QEMU branches and sets the flags" },
    Class { name: "ldrd-to-pc", qemu: Runs, holds: |v| v.unpredictable() && v.row_name() == "ldrd" && v.bits(12, 4) == 14,
        reason: "LDRD r14, pc: UNPREDICTABLE; QEMU loads pc, and has been seen to abort" },
    Class { name: "odd-pair", qemu: Sigill, holds: |v| v.unpredictable() && v.set == Set::A32 && matches!(v.row_name(), "ldrd" | "strd" | "ldrexd" | "strexd" | "ldaexd" | "stlexd") && v.bits(if v.row_name().starts_with("st") && v.row_name() != "strd" { 0 } else { 12 }, 1) == 1,
        reason: "A32 doubleword transfers from an odd register: UNPREDICTABLE" },
    Class { name: "exclusive-registers", qemu: Sigill, holds: |v| v.unpredictable() && ["ldrex", "strex", "ldaex", "stlex", "lda", "stl"].iter().any(|p| v.row_name().starts_with(p)),
        reason: "pc in an exclusive, acquire or release; a status register that is another operand; a pair of one register" },
    Class { name: "multiple-registers", qemu: Sigill, holds: |v| v.unpredictable() && (v.row_name().starts_with("ldm") || v.row_name().starts_with("stm")),
        reason: "LDM, STM with a pc base, too few registers, or (LDM; T32 also STM) a base in the list that is written back" },
    Class { name: "bit-field", qemu: Sigill, holds: |v| v.unpredictable() && matches!(v.row_name(), "bfi" | "bfc" | "sbfx" | "ubfx"),
        reason: "bit fields that end before they begin or leave the word: UNPREDICTABLE" },
    Class { name: "vfp-multiple-registers", qemu: Sigill, holds: |v| v.unpredictable() && matches!(v.row_name(), "vldmia" | "vldmdb" | "vstmia" | "vstmdb"),
        reason: "VLDM, VSTM of no register, more than 16 doubles, registers past the last, or with a pc base written back" },
    Class { name: "vcvt-fraction", qemu: Runs, holds: |v| v.unpredictable() && v.row_name() == "vcvt",
        reason: "VCVT with more than 16 fraction bits of a 16-bit value: UNPREDICTABLE; QEMU computes with a negative count" },
    Class { name: "mrc-to-pc", qemu: Runs, holds: |v| v.unpredictable() && v.row_name() == "mrc" && v.bits(12, 4) == 15,
        reason: "MRC p15 into APSR: UNPREDICTABLE; QEMU sets the flags" },
    Class { name: "should-be-bits", qemu: Sigill, holds: |v| v.refused(Undefined) && v.row.is_none() && v.should_be(),
        reason: "should-be-zero and should-be-one bits that capstone doesn't look at: UNPREDICTABLE" },
    Class { name: "rfe-should-be-bits", qemu: Sigill, holds: |v| v.refused(Undefined) && v.set == Set::A32 && v.row.is_none() && v.capstone().starts_with("rfe"),
        reason: "RFE with other low halfwords than 0x0a00" },
    Class { name: "vmsr-should-be-bits", qemu: Sigill, holds: |v| v.refused(Undefined) && v.row.is_none() && v.capstone() == "vmsr" && v.coprocessor() == 10 && v.bits(0, 8) != 0x10,
        reason: "VMSR with should-be-zero bits set" },
    Class { name: "capstone-simd-elsewhere", qemu: Sigill, holds: |v| v.refused(Undefined) && v.set == Set::T32 && v.bits(24, 4) != 15 && is_v8_name(v.capstone()),
        reason: "capstone decodes ARMv8's SIMD instructions under prefixes other than 111x 1111" },

    Class { name: "half-move-pc", qemu: Sigill, holds: |v| v.unpredictable() && v.row_name() == "vmov" && v.coprocessor() == 9 && v.bits(12, 4) == 15,
        reason: "VMOV.F16 of pc: UNPREDICTABLE" },

    // UNPREDICTABLE or reserved, executed.
    Class { name: "conditional-udf", qemu: Sigill, holds: |v| v.alone() && v.conditional() && matches!(v.row_name(), "udf" | "hlt"),
        reason: "UDF and HLT under a condition: they raise SIGILL when it holds" },
    Class { name: "conditional-crc32", qemu: Runs, holds: |v| v.alone() && v.conditional() && v.row_name().starts_with("crc32"),
        reason: "CRC32 under a condition: UNPREDICTABLE; conditional here as in QEMU" },
    Class { name: "conditional-bkpt", qemu: Runs, holds: |v| v.alone() && v.conditional() && v.row_name() == "bkpt",
        reason: "BKPT under a condition: UNPREDICTABLE; conditional here as in QEMU" },
    Class { name: "cps", qemu: Runs, holds: |v| v.alone() && v.row_name() == "cps",
        reason: "CPS with reserved combinations of its fields: no effect in User mode" },
    Class { name: "msr-no-field", qemu: Runs, holds: |v| v.alone() && v.row_name() == "msr",
        reason: "MSR of no field: no effect" },
    Class { name: "hint-should-be-bits", qemu: Runs, holds: |v| v.alone() && v.set == Set::A32 && v.row_name() == "nop" && v.bits(20, 8) == 0x32,
        reason: "hints with should-be-zero bits set" },
    Class { name: "swp-registers", qemu: Runs, holds: |v| v.alone() && matches!(v.row_name(), "swp" | "swpb"),
        reason: "SWP with pc, or with the base as an operand: UNPREDICTABLE" },
    Class { name: "memory-hint", qemu: Runs, holds: |v| v.alone() && matches!(v.insn(), Some(Insn::Preload)),
        reason: "unallocated memory hints and PLDW (literal): no effect" },
    Class { name: "stm-sp-pc", qemu: Runs, holds: |v| v.alone() && v.set == Set::T32 && matches!(v.insn(), Some(Insn::StoreMultiple { regs, .. }) if regs & 0xa000 != 0),
        reason: "T32 STM with sp or pc in the list: UNPREDICTABLE" },
    Class { name: "fldmx-d16", qemu: Runs, holds: |v| v.alone() && (v.row_name().starts_with("vldm") || v.row_name().starts_with("vstm")) && v.bits(8, 4) == 11 && v.bits(0, 1) == 1 && v.bits(22, 1) == 1,
        reason: "FLDMX, FSTMX of D16 and up" },
    Class { name: "sat16-wide", qemu: Runs, holds: |v| v.alone() && v.set == Set::T32 && matches!(v.row_name(), "ssat16" | "usat16") && v.bits(21, 1) == 1 && v.bits(12, 3) == 0 && v.bits(6, 2) == 0 && v.bits(4, 1) == 1,
        reason: "SSAT16, USAT16 with should-be-zero bit 4: the width has five bits, as in QEMU" },

    // Valid for both, other words for it.
    Class { name: "udf-named", qemu: Sigill, holds: |v| matches!(v.insn(), Some(Insn::Udf { .. })) && matches!(v.capstone(), "" | "trap"),
        reason: "UDF #0xfe and #0xf9 of T32: capstone's trap, and its hole" },
    Class { name: "spelling-hint", qemu: Runs, holds: |v| matches!(v.insn(), Some(Insn::Hint(_))) && matches!(v.capstone(), "hint" | "dbg" | "tsb"),
        reason: "hints: capstone's name for the space" },
    Class { name: "spelling-movs", qemu: Runs, holds: |v| v.both() && v.set == Set::T16 && v.row_name() == "mov" && v.capstone() == "movs",
        reason: "LSLS #0 is MOVS" },
    Class { name: "spelling-adr", qemu: Runs, holds: |v| v.both() && v.row_name() == "adr" && v.capstone() == if v.bits(23, 1) == 1 { "sub" } else { "add" },
        reason: "ADR written as ADD or SUB of pc" },
    Class { name: "spelling-vmov", qemu: Runs, holds: |v| v.both() && v.row_name() == "vmov" && matches!(v.capstone(), "fconsts" | "fconstd" | "fmdhr" | "fmdlr"),
        reason: "VMOV by its names before the unified syntax" },
    Class { name: "spelling-fmstat", qemu: Runs, holds: |v| v.both() && v.row_name() == "vmrs" && v.capstone() == "fmstat",
        reason: "VMRS APSR_nzcv by its name before the unified syntax" },
    Class { name: "pldw-literal", qemu: Runs, holds: |v| v.both() && v.row_name() == "pldw" && v.capstone() == "pld" && v.bits(16, 4) == 15,
        reason: "PLDW has no literal form: an unallocated hint, which capstone calls PLD" },
    Class { name: "capstone-sha-for-stm", qemu: Runs, holds: |v| v.both() && v.set == Set::T32 && v.capstone().starts_with("sha") && matches!(v.insn(), Some(Insn::StoreMultiple { .. } | Insn::LoadMultiple { .. } | Insn::StoreExclusive { .. } | Insn::LoadExclusive { .. } | Insn::LoadDual { .. } | Insn::StoreDual { .. })),
        reason: "capstone decodes SHA instructions under prefixes that are not theirs" },
    Class { name: "capstone-simd-for-sat", qemu: Runs, holds: |v| v.both() && v.set == Set::T32 && is_simd_name(v.capstone()) && v.bits(24, 8) == 0xf3,
        reason: "capstone decodes SIMD instructions under prefixes that are not theirs" },
];

/// The cp14 registers that QEMU lets User mode read.
fn debug_register(v: &View) -> bool {
    let opc1 = v.bits(21, 3);
    match v.capstone() {
        "mrrc" => v.bits(4, 4) == 0 && matches!(v.bits(0, 4), 1 | 2),
        _ => opc1 == 0 && v.bits(5, 3) == 0 && matches!((v.bits(16, 4), v.bits(0, 4)), (0..=2, 0)),
    }
}
