//! The Linux that the guest sees: system calls, struct layouts, /proc views; one table row per call.
//!
//! A system call's way: `task` sees `Event::Syscall`, calls [`syscall`]; `call` finds the row in `table` by number,
//! converts and range-checks the arguments as the row says, and runs the row's handler.

pub mod abi;
pub mod aio;
pub mod call;
pub mod dir;
pub mod direct;
pub mod errno;
pub mod exec;
pub mod fs;
pub mod fs_fcntl;
pub mod fs_io;
pub mod fs_time;
pub mod futex;
mod groups;
pub mod guest;
pub mod ioctl;
pub mod ioctl_net;
pub mod ipc;
pub mod ipc_mq;
mod libc_locks;
pub mod misc;
pub mod mm;
pub mod net;
pub mod net_msg;
pub mod net_opt;
mod net_opt_ptr;
mod newer;
pub mod own_fds;
pub mod path;
pub mod poll;
pub mod poll_timer;
pub mod proc;
pub mod proc_cpu;
pub mod proc_ctl;
pub mod proc_ids;
pub mod proc_limits;
pub mod proc_mem;
mod proc_others;
pub mod proc_sched;
pub mod proc_status;
pub mod process;
pub mod ptrace;
pub mod raw;
pub mod run;
pub mod seccomp;
pub mod signal;
mod start;
pub mod stat;
pub mod std_fds;
pub mod strace;
pub mod sysinfo;
pub mod table;
pub mod task;
pub mod thread;
pub mod time;
pub mod vfork;

pub use call::{SyscallContext, SyscallResult, syscall};
pub use errno::{Errno, SysResult};
pub use run::run;
