//! From a file to a process about to run: ELF, interpreter, initial stack, kuser page, vDSO.
//!
//! Loading has two steps. [`plan`] reads a file and decides what to do, trusting nothing in it and touching nothing
//! else ([`prepare`]: for a program and its interpreter); [`load`] carries plans out in the guest's space. See
//! `docs/memory.md`.

mod auxv;
mod error;
mod execute;
mod interp;
mod kuser;
mod layout;
mod open;
mod plan;
mod stack;
pub mod vdso;

pub use error::{LoadError, Problem};
pub use execute::{Image, LoadConfig, Prepared, ProcessImage, Start, load, prepare};
pub use interp::open_in_sysroot;
pub use kuser::{
    KUSER_CMPXCHG, KUSER_CMPXCHG64, KUSER_GET_TLS, KUSER_MEMORY_BARRIER, RT_SIGRETURN_ARM,
    RT_SIGRETURN_THUMB, SIGRETURN_ARM, SIGRETURN_THUMB, sigreturn_page, vectors_page,
};
pub use layout::{Aslr, Bases};
pub use open::{Kind, Program, identify, open_program};
pub use plan::{FloatAbi, Plan, Segment, Source, StackPermission, plan};
