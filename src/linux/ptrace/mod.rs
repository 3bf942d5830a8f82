//! ptrace between guests. See `docs/ptrace.md`.
//!
//! The host's ptrace carries the relation: permissions, wait, SIGCHLD, deaths and stop states are the kernel's own. The
//! tracee shows itself to its tracer where all of its guest state is in memory (`tracee`); whatever else the host stops it
//! for, the tracer's emulator settles before the tracer hears of it (`tracer`).

pub mod block;
mod host;
mod memory;
mod regs;
mod request;
pub mod tracee;
pub mod tracer;

pub use memory::{auxv, process_vm};
pub use request::sys_ptrace;
