//! IR to x86-64 machine code: register allocation, emission, stubs, side tables for precise faults.

pub mod code;
pub mod regs;
pub mod stubs;
