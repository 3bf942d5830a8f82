//! Diagnostics: they look on and change nothing.

pub mod disasm;
pub mod log;
pub mod memory;
pub mod own_fd;
pub mod stats;
