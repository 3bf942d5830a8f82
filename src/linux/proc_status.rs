//! /proc/self/status: the host's text with what is the guest's own put in (fs/proc/array.c, fs/proc/task_mmu.c).

use super::call::SyscallContext;
use super::proc_mem::Sizes;
use super::seccomp;
use super::signal::set::SigSet;

/// Lines that an ARM kernel does not have: x86's, and those of huge pages, which the guest has none of.
pub const ABSENT: [&str; 4] = [
    "HugetlbPages",
    "untag_mask",
    "x86_Thread_features",
    "x86_Thread_features_locked",
];

/// The file at `path`, one of the caller's own process.
pub fn status(ctx: &SyscallContext<'_>, path: &[u8]) -> Option<String> {
    let host = std::fs::read_to_string(std::str::from_utf8(path).ok()?).ok()?;
    let own = host
        .lines()
        .any(|line| line.strip_prefix("Pid:\t") == Some(&ctx.task.tid.to_string()));
    let (ignored, caught) = dispositions(ctx);
    let size_now = |key: &str| {
        let line = host.lines().find(|line| line.split(':').next() == Some(key))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok()
    };
    let beyond = size_now("VmHWM")
        .unwrap_or(0)
        .saturating_sub(size_now("VmRSS").unwrap_or(0));
    let sizes = Sizes::of(ctx.process, beyond);
    let mode = seccomp::mode_number(ctx);
    let mut text = String::with_capacity(host.len());
    for line in host.lines() {
        let key = line.split(':').next().unwrap_or(line);
        if ABSENT.contains(&key) {
            continue;
        }
        let value = match key {
            "SigIgn" => Some(format!("{:016x}", ignored.0)),
            "SigCgt" => Some(format!("{:016x}", caught.0)),
            "SigBlk" if own => Some(format!("{:016x}", ctx.task.mask.0)),
            "Seccomp" => Some(mode.to_string()),
            "Seccomp_filters" => Some(u32::from(mode == 2).to_string()),
            _ => sizes.status_line(key),
        };
        match value {
            Some(value) => text.extend([key, ":\t", &value]),
            None => text.push_str(line),
        }
        text.push('\n');
    }
    Some(text)
}

/// The signals that the guest ignores, and those it has handlers for.
fn dispositions(ctx: &SyscallContext<'_>) -> (SigSet, SigSet) {
    let actions = &ctx.process.actions;
    let caught = (1..=64)
        .filter(|&signo| actions.get(signo).is_handler())
        .fold(SigSet::EMPTY, |set, signo| set | SigSet::of(signo));
    (actions.ignored(), caught)
}
