//! Memory mapping calls, over `mem::space()`.

use super::call::SyscallContext;
use super::errno::{Errno, SysResult};

pub fn sys_mmap(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_mmap2(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_munmap(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_mprotect(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_mremap(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_madvise(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_msync(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_mlock(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_mlock2(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_munlock(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_mlockall(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_munlockall(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_mincore(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_brk(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_cacheflush(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_process_vm_readv(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_process_vm_writev(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_remap_file_pages(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_pkey_mprotect(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_pkey_alloc(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_pkey_free(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}

pub fn sys_membarrier(_ctx: &mut SyscallContext<'_>, _args: &[u32; 6]) -> SysResult {
    Err(Errno::ENOSYS)
}
