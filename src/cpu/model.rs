//! CPU models: which instructions decode, and how the machine presents itself (uname, HWCAP, AT_PLATFORM, cpuinfo).

use bitflags::bitflags;

bitflags! {
    /// Instruction set features that decide whether a table row decodes.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct Features: u32 {
        /// ARMv4T is the floor and has no bit of its own.
        const V5T = 1 << 0;
        /// DSP multiplies, LDRD/STRD, PLD, saturating arithmetic.
        const V5TE = 1 << 1;
        /// SIMD, extends, LDREX/STREX, REV, SETEND, unaligned accesses.
        const V6 = 1 << 2;
        /// LDREXB/H/D, CLREX, hints.
        const V6K = 1 << 3;
        /// Thumb-2, bit fields, MOVW/MOVT, MLS, RBIT.
        const V6T2 = 1 << 4;
        /// Barriers as instructions, DBG, PLI.
        const V7 = 1 << 5;
        /// SDIV and UDIV in both states.
        const DIV = 1 << 6;
        /// PLDW.
        const MP = 1 << 7;
        /// LDA/STL and the exclusive pair, SEVL, HLT.
        const V8 = 1 << 8;
        const CRC32 = 1 << 9;
        const VFP2 = 1 << 10;
        const VFP3 = 1 << 11;
        /// Half-precision conversion.
        const FP16 = 1 << 12;
        /// Fused multiply-add.
        const VFP4 = 1 << 13;
        /// D16-D31.
        const D32 = 1 << 14;
        /// VFP short vectors (FPSCR LEN and STRIDE take effect).
        const SHORT_VECTORS = 1 << 15;
        /// SWP/SWPB.
        const SWP = 1 << 16;
        /// Advanced SIMD.
        const NEON = 1 << 17;
        const AES = 1 << 18;
        /// VMULL.P64.
        const PMULL = 1 << 19;
        const SHA1 = 1 << 20;
        /// SHA-256.
        const SHA2 = 1 << 21;
        /// Half-precision arithmetic (ARMv8.2).
        const FP16_ARITH = 1 << 22;
        /// VQRDMLAH, VQRDMLSH (ARMv8.1).
        const RDM = 1 << 23;
        /// VSDOT, VUDOT.
        const DOTPROD = 1 << 24;
        /// bfloat16 conversions and products.
        const BF16 = 1 << 25;
        /// Matrix products of 8-bit integers, dot products of mixed signs.
        const I8MM = 1 << 26;
        /// VCADD, VCMLA.
        const FCMA = 1 << 27;
        /// VFMAL, VFMSL.
        const FHM = 1 << 28;
        /// VJCVT.
        const JSCVT = 1 << 29;
    }
}

/// One `--cpu` choice.
#[derive(Clone, Copy, Debug)]
pub struct Model {
    /// As given on the command line.
    pub name: &'static str,
    pub features: Features,
    /// `uname -m`.
    pub machine: &'static str,
    /// AT_PLATFORM.
    pub platform: &'static str,
    pub hwcap: u32,
    pub hwcap2: u32,
    /// Main ID register, as MRC p15, 0, rd, c0, c0, 0 and /proc/cpuinfo show it.
    pub midr: u32,
    /// "CPU architecture" of /proc/cpuinfo.
    pub cpu_architecture: &'static str,
    /// "model name" of /proc/cpuinfo.
    pub model_name: &'static str,
    pub fpsid: u32,
    pub mvfr0: u32,
    pub mvfr1: u32,
}

/// Bits of AT_HWCAP and AT_HWCAP2 (Linux, arch/arm/include/uapi/asm/hwcap.h).
pub mod hwcap {
    pub const SWP: u32 = 1 << 0;
    pub const HALF: u32 = 1 << 1;
    pub const THUMB: u32 = 1 << 2;
    pub const FAST_MULT: u32 = 1 << 4;
    pub const VFP: u32 = 1 << 6;
    pub const EDSP: u32 = 1 << 7;
    pub const NEON: u32 = 1 << 12;
    pub const VFPV3: u32 = 1 << 13;
    pub const VFPV3D16: u32 = 1 << 14;
    pub const TLS: u32 = 1 << 15;
    pub const VFPV4: u32 = 1 << 16;
    pub const IDIVA: u32 = 1 << 17;
    pub const IDIVT: u32 = 1 << 18;
    pub const VFPD32: u32 = 1 << 19;
    /// LDRD and STRD of an aligned doubleword are single-copy atomic.
    pub const LPAE: u32 = 1 << 20;
    /// Half-precision arithmetic of VFP, and of Advanced SIMD.
    pub const FPHP: u32 = 1 << 22;
    pub const ASIMDHP: u32 = 1 << 23;
    /// VSDOT, VUDOT.
    pub const ASIMDDP: u32 = 1 << 24;
    /// VFMAL, VFMSL.
    pub const ASIMDFHM: u32 = 1 << 25;
    pub const ASIMDBF16: u32 = 1 << 26;
    pub const I8MM: u32 = 1 << 27;

    pub const HWCAP2_AES: u32 = 1 << 0;
    pub const HWCAP2_PMULL: u32 = 1 << 1;
    pub const HWCAP2_SHA1: u32 = 1 << 2;
    pub const HWCAP2_SHA2: u32 = 1 << 3;
    pub const HWCAP2_CRC32: u32 = 1 << 4;

    /// Names in /proc/cpuinfo's "Features", from bit 0 (arch/arm/kernel/setup.c hwcap_str).
    #[rustfmt::skip]
    pub const NAMES: [&str; 28] = [
        "swp", "half", "thumb", "26bit", "fastmult", "fpa", "vfp", "edsp", "java", "iwmmxt", "crunch", "thumbee",
        "neon", "vfpv3", "vfpv3d16", "tls", "vfpv4", "idiva", "idivt", "vfpd32", "lpae", "evtstrm", "fphp", "asimdhp",
        "asimddp", "asimdfhm", "asimdbf16", "i8mm",
    ];
    /// The same for HWCAP2.
    pub const NAMES2: [&str; 7] = ["aes", "pmull", "sha1", "sha2", "crc32", "sb", "ssbs"];
}

/// What every model has from ARMv5TE on.
const BASE: Features = Features::V5T
    .union(Features::V5TE)
    .union(Features::SWP)
    .union(Features::VFP2);
const ARM926: Features = BASE.union(Features::SHORT_VECTORS);
const ARM1176: Features = ARM926.union(Features::V6).union(Features::V6K);
/// ARMv7-A with VFPv3 and 32 doubles.
const V7A: Features = BASE
    .union(Features::V6)
    .union(Features::V6K)
    .union(Features::V6T2)
    .union(Features::V7)
    .union(Features::VFP3)
    .union(Features::D32)
    .union(Features::NEON);
const CORTEX_A8: Features = V7A.union(Features::SHORT_VECTORS);
const CORTEX_A15: Features = V7A
    .union(Features::DIV)
    .union(Features::MP)
    .union(Features::FP16)
    .union(Features::VFP4);
/// With short vectors, as QEMU's `max` has them, so that programs for ARMv5 and ARMv6 run on the default model.
const MAX: Features = CORTEX_A15
    .union(Features::V8)
    .union(Features::CRC32)
    .union(Features::SHORT_VECTORS)
    .union(Features::AES)
    .union(Features::PMULL)
    .union(Features::SHA1)
    .union(Features::SHA2)
    .union(Features::FP16_ARITH)
    .union(Features::RDM)
    .union(Features::DOTPROD)
    .union(Features::BF16)
    .union(Features::I8MM)
    .union(Features::FCMA)
    .union(Features::FHM)
    .union(Features::JSCVT);

/// Features that are announced with one bit each.
const ANNOUNCED: [(Features, u32); 7] = [
    (Features::NEON, hwcap::NEON),
    (Features::VFP4, hwcap::VFPV4),
    (Features::FP16_ARITH, hwcap::FPHP | hwcap::ASIMDHP),
    (Features::DOTPROD, hwcap::ASIMDDP),
    (Features::FHM, hwcap::ASIMDFHM),
    (Features::BF16, hwcap::ASIMDBF16),
    (Features::I8MM, hwcap::I8MM),
];
/// The same for HWCAP2.
const ANNOUNCED2: [(Features, u32); 5] = [
    (Features::AES, hwcap::HWCAP2_AES),
    (Features::PMULL, hwcap::HWCAP2_PMULL),
    (Features::SHA1, hwcap::HWCAP2_SHA1),
    (Features::SHA2, hwcap::HWCAP2_SHA2),
    (Features::CRC32, hwcap::HWCAP2_CRC32),
];

const fn announced(features: Features, table: &[(Features, u32)]) -> u32 {
    let (mut bits, mut i) = (0, 0);
    while i < table.len() {
        if features.contains(table[i].0) {
            bits |= table[i].1;
        }
        i += 1;
    }
    bits
}

/// HWCAP of `features`. As the kernel does, SWP is announced only where there are no exclusives that replace it
/// (ARMv6K on).
const fn hwcap_of(features: Features) -> u32 {
    let mut bits = hwcap::HALF | hwcap::THUMB | hwcap::FAST_MULT | hwcap::EDSP | hwcap::VFP;
    if !features.contains(Features::V6K) {
        bits |= hwcap::SWP;
    } else {
        bits |= hwcap::TLS;
    }
    if features.contains(Features::VFP3) {
        bits |= hwcap::VFPV3;
        bits |= if features.contains(Features::D32) {
            hwcap::VFPD32
        } else {
            hwcap::VFPV3D16
        };
    }
    // The models with division are those with the large physical address extension.
    if features.contains(Features::DIV) {
        bits |= hwcap::IDIVA | hwcap::IDIVT | hwcap::LPAE;
    }
    bits | announced(features, &ANNOUNCED)
}

/// HWCAP2 of `features`.
const fn hwcap2_of(features: Features) -> u32 {
    announced(features, &ANNOUNCED2)
}

/// The models. Identification registers are those of the technical reference manuals; `max` has Cortex-A57's, with half
/// precision and short vectors in the MVFRs.
static MODELS: [Model; 5] = [
    Model {
        name: "arm926",
        features: ARM926,
        machine: "armv5tel",
        platform: "v5l",
        hwcap: hwcap_of(ARM926),
        hwcap2: hwcap2_of(ARM926),
        midr: 0x4106_9265,
        cpu_architecture: "5TEJ",
        model_name: "ARM926EJ-S rev 5 (v5l)",
        fpsid: 0x4101_1090,
        mvfr0: 0,
        mvfr1: 0,
    },
    Model {
        name: "arm1176",
        features: ARM1176,
        machine: "armv6l",
        platform: "v6l",
        hwcap: hwcap_of(ARM1176),
        hwcap2: hwcap2_of(ARM1176),
        midr: 0x410f_b767,
        cpu_architecture: "7",
        model_name: "ARMv6-compatible processor rev 7 (v6l)",
        fpsid: 0x4101_20b5,
        mvfr0: 0x1111_1111,
        mvfr1: 0,
    },
    Model {
        name: "cortex-a8",
        features: CORTEX_A8,
        machine: "armv7l",
        platform: "v7l",
        hwcap: hwcap_of(CORTEX_A8),
        hwcap2: hwcap2_of(CORTEX_A8),
        midr: 0x410f_c080,
        cpu_architecture: "7",
        model_name: "ARMv7 Processor rev 0 (v7l)",
        fpsid: 0x4103_30c0,
        mvfr0: 0x1111_0222,
        mvfr1: 0x0001_1111,
    },
    Model {
        name: "cortex-a15",
        features: CORTEX_A15,
        machine: "armv7l",
        platform: "v7l",
        hwcap: hwcap_of(CORTEX_A15),
        hwcap2: hwcap2_of(CORTEX_A15),
        midr: 0x412f_c0f1,
        cpu_architecture: "7",
        model_name: "ARMv7 Processor rev 1 (v7l)",
        fpsid: 0x4104_30f0,
        mvfr0: 0x1011_0222,
        mvfr1: 0x1111_1111,
    },
    Model {
        name: "max",
        features: MAX,
        machine: "armv7l",
        platform: "v7l",
        hwcap: hwcap_of(MAX),
        hwcap2: hwcap2_of(MAX),
        midr: 0x411f_d070,
        cpu_architecture: "7",
        model_name: "ARMv7 Processor rev 0 (v7l)",
        fpsid: 0x4103_4070,
        mvfr0: 0x1111_0222,
        mvfr1: 0x1321_1111,
    },
];

impl Model {
    /// All models, in the order of `--help`.
    pub fn all() -> &'static [Model] {
        &MODELS
    }

    /// The model that `--cpu` calls `name`.
    pub fn by_name(name: &str) -> Option<&'static Model> {
        MODELS.iter().find(|m| m.name == name)
    }

    /// `max`: everything that is implemented, as a 32-bit ARM kernel on an ARMv8 processor shows it (armv7l, v7l).
    pub fn max() -> &'static Model {
        &MODELS[MODELS.len() - 1]
    }

    /// The names that [`Model::by_name`] knows.
    pub fn names() -> impl Iterator<Item = &'static str> {
        MODELS.iter().map(|m| m.name)
    }

    /// The bits of FPSCR that a write changes: QC comes with Advanced SIMD, FZ16 with half-precision arithmetic.
    pub fn fpscr_writable(&self) -> u32 {
        let mut bits = super::state::FPSCR_WRITABLE & !(1 << 27 | 1 << 19);
        if self.features.contains(Features::NEON) {
            bits |= 1 << 27;
        }
        if self.features.contains(Features::FP16_ARITH) {
            bits |= 1 << 19;
        }
        bits
    }

    /// /proc/cpuinfo's "Features" line: HWCAP, then HWCAP2, by name.
    pub fn feature_names(&self) -> impl Iterator<Item = &'static str> + '_ {
        let named = |names: &'static [&'static str], bits: u32| {
            let has = move |&(bit, _): &(usize, _)| bits >> bit & 1 == 1;
            names.iter().enumerate().filter(has).map(|(_, name)| *name)
        };
        named(&hwcap::NAMES, self.hwcap).chain(named(&hwcap::NAMES2, self.hwcap2))
    }
}

impl Default for Model {
    fn default() -> Model {
        *Model::max()
    }
}
