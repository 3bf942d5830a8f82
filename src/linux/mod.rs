//! The Linux that the guest sees: system calls, struct layouts, /proc views; one table row per call.
//!
//! A system call's way: `task` sees `Event::Syscall`, calls [`syscall`]; `call` finds the row in `table` by number,
//! converts and range-checks the arguments as the row says, and runs the row's handler.

pub mod call;
pub mod errno;
pub mod exec;
pub mod futex;
pub mod mm;
pub mod process;
pub mod raw;
pub mod signal;
pub mod table;
pub mod task;
pub mod thread;
pub mod time;

pub use call::{SyscallContext, SyscallResult, syscall};
pub use errno::{Errno, SysResult};
