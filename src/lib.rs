//! `emu`: ARM Linux programs on x86-64 Linux.

pub mod cpu;
pub mod exec;
pub mod ir;
pub mod isa;
pub mod x64;
pub mod linux;
