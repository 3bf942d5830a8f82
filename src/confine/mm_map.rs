//! What the kernel shows of this process's memory in /proc/PID: command line, environment, places of code and stack.
//!
//! `ps` run by another process then shows the guest's arguments and not the emulator's. prctl(PR_SET_MM_MAP) needs no
//! privileges, but a kernel with CONFIG_CHECKPOINT_RESTORE, as distributions have it.

use std::fs;
use std::ops::Range;

const PR_SET_MM: i32 = 35;
const PR_SET_MM_MAP: u64 = 14;

/// struct prctl_mm_map (include/uapi/linux/prctl.h).
#[repr(C)]
struct Map {
    code: [u64; 2],
    data: [u64; 2],
    brk: [u64; 2],
    stack: u64,
    args: [u64; 2],
    env: [u64; 2],
    auxv: u64,
    auxv_size: u32,
    exe_fd: u32,
}

/// Host addresses of what is to be shown.
pub struct Shown {
    pub code: Range<u64>,
    pub stack: u64,
    pub args: Range<u64>,
    pub env: Range<u64>,
    /// The auxiliary vector, as bytes; empty leaves the emulator's.
    pub auxv: Vec<u8>,
}

/// Has the kernel show it. Where it cannot, nothing changes and the answer is false.
pub fn show(shown: &Shown) -> bool {
    // Fields 45 to 47 of proc_pid_stat(5): the emulator's data and the start of its heap stay.
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let Some((_, rest)) = stat.rsplit_once(") ") else {
        return false;
    };
    let mut fields = rest
        .split(' ')
        .skip(45 - 3)
        .map(|f| f.parse::<u64>().unwrap_or(0));
    let (Some(data_start), Some(data_end), Some(heap)) = (fields.next(), fields.next(), fields.next()) else {
        return false;
    };
    // SAFETY: an increment of 0 only asks.
    let brk = unsafe { libc::sbrk(0) } as u64;
    let map = Map {
        code: [shown.code.start, shown.code.end],
        data: [data_start, data_end],
        brk: [heap, brk.max(heap)],
        stack: shown.stack,
        args: [shown.args.start, shown.args.end],
        env: [shown.env.start, shown.env.end],
        auxv: shown.auxv.as_ptr() as u64,
        auxv_size: shown.auxv.len() as u32,
        exe_fd: u32::MAX,
    };
    // SAFETY: the kernel reads the structure; the addresses in it are only shown, but for the heap's, which are as they
    // were.
    unsafe { libc::prctl(PR_SET_MM, PR_SET_MM_MAP, &raw const map, size_of::<Map>(), 0u64) == 0 }
}

/// Calls this process `name`, its command line included.
pub fn rename(name: &std::ffi::CStr) {
    // The kernel shows anonymous memory only.
    let text: &'static [u8] = Vec::leak(name.to_bytes_with_nul().to_vec());
    let start = text.as_ptr() as u64;
    let end = start + text.len() as u64;
    // SAFETY: a C string.
    unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
    show(&Shown {
        code: start..end,
        stack: start,
        args: start..end,
        env: end..end,
        auxv: Vec::new(),
    });
}
