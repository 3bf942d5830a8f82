//! What ARM instructions are: tables, decoders and the decoded form. Knows neither the host nor the IR.

pub mod a32;
mod advsimd;
mod coproc;
pub mod generate;
pub mod insn;
mod operands;
pub mod pattern;
pub mod simd;
pub mod t32;
pub mod vfp;
mod vfp_half;
