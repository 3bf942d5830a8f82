//! A guest process: fork, exit and wait, and what a process owns.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use crate::cpu::model::Model;

use super::call::SyscallContext;
use super::call::SyscallResult;
use super::errno::{Errno, SysResult};

/// What a process was started from: what /proc/self and a later execve need to know. Paths are the guest's.
#[derive(Clone, Debug, Default)]
pub struct Image {
    /// Absolute path of the program file (`/proc/self/exe`).
    pub exe: Vec<u8>,
    pub argv: Vec<Vec<u8>>,
    /// `NAME=VALUE` strings.
    pub envp: Vec<Vec<u8>>,
    /// The auxiliary vector as the guest got it, AT_NULL included.
    pub auxv: Vec<(u32, u32)>,
    /// Address of argc on the initial stack, and the addresses that /proc/self/stat shows.
    pub stack_start: u32,
    pub code_start: u32,
    pub code_end: u32,
    /// Guest addresses of the argument and environment strings on the initial stack.
    pub arg_start: u32,
    pub arg_end: u32,
    pub env_start: u32,
    pub env_end: u32,
}

/// Makes the argument vector with which `emu` runs another program: descriptor of the open program (-1: by path),
/// its path, its argv.
pub type ReexecArgs = Box<dyn Fn(i32, &OsStr, &[OsString]) -> Vec<OsString> + Send + Sync>;

/// What the command line decides about every process of this run.
pub struct Settings {
    /// Directory in which absolute guest paths are looked up first.
    pub sysroot: Option<PathBuf>,
    pub model: &'static Model,
    pub strace: bool,
    pub reexec_args: ReexecArgs,
    /// Called once when the process ends by exit or exit_group (statistics).
    pub at_exit: fn(),
}

/// Per-process state of the system layer.
pub struct Process {
    pub settings: &'static Settings,
    pub image: Image,
}

pub fn sys_clone(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_clone3(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_fork(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_vfork(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_wait4(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_waitpid(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_waitid(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_getpid(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_getppid(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_gettid(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_sched_yield(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_pidfd_open(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_pidfd_send_signal(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_personality(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_exit(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SyscallResult {
    Err(Errno::ENOSYS).into()
}

pub fn sys_exit_group(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SyscallResult {
    Err(Errno::ENOSYS).into()
}
