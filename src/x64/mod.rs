//! IR to x86-64 machine code: register allocation, emission, stubs, side tables for precise faults.

mod alloc;
mod alloc_xmm;
pub mod asm;
pub mod buffer;
pub mod code;
mod control;
mod emit;
pub mod evex;
mod flags;
pub mod fp;
mod fp_fixed;
mod fp_half;
mod fp_v8;
mod host;
mod int;
mod loops;
mod mem;
pub mod regs;
pub mod stubs;
mod vector;

pub use emit::{Options, Workspace, compile, compile_with};
pub use host::HostFeatures;
