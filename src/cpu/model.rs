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
