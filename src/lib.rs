//! `emu`: ARM Linux programs on x86-64 Linux.

pub mod binfmt;
pub mod cache;
pub mod cli;
pub mod confine;
pub mod cpu;
pub mod diag;
pub mod doctor;
pub mod exec;
pub mod ir;
pub mod isa;
pub mod lift;
pub mod linux;
pub mod load;
pub mod mem;
pub mod opt;
pub mod softfp;
pub mod x64;
