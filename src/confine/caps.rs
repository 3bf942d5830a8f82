//! Capabilities: all are given up, but for those that the policy names.

use super::sys::{check, prctl};
use std::io;

/// The names of include/uapi/linux/capability.h, by number, without `CAP_`.
#[rustfmt::skip]
pub const NAMES: [&str; 41] = [
    "chown", "dac_override", "dac_read_search", "fowner", "fsetid", "kill", "setgid", "setuid",
    "setpcap", "linux_immutable", "net_bind_service", "net_broadcast", "net_admin", "net_raw", "ipc_lock", "ipc_owner",
    "sys_module", "sys_rawio", "sys_chroot", "sys_ptrace", "sys_pacct", "sys_admin", "sys_boot", "sys_nice",
    "sys_resource", "sys_time", "sys_tty_config", "mknod", "lease", "audit_write", "audit_control", "setfcap",
    "mac_override", "mac_admin", "syslog", "wake_alarm", "block_suspend", "audit_read", "perfmon", "bpf",
    "checkpoint_restore",
];

pub const SYS_CHROOT: u8 = 18;
pub const SYS_PTRACE: u8 = 19;
pub const SYS_ADMIN: u8 = 21;

/// The number of a capability by name, with or without `CAP_`, in either case.
pub fn number(name: &str) -> Result<u8, String> {
    let lower = name.to_ascii_lowercase();
    let plain = lower.strip_prefix("cap_").unwrap_or(&lower);
    match NAMES.iter().position(|known| *known == plain) {
        Some(number) => Ok(number as u8),
        None => Err(format!("no capability {name:?} (see capabilities(7))")),
    }
}

/// Keeps the capabilities in `kept`, for programs executed later too, and gives up the others for good.
pub fn keep(kept: &[u8]) -> io::Result<()> {
    for number in 0..64 {
        // A number that the kernel doesn't know ends the list.
        if !kept.contains(&(number as u8)) && prctl(libc::PR_CAPBSET_DROP, number, 0, 0).is_err() {
            break;
        }
    }
    prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL as u64, 0, 0)?;
    const VERSION_3: u32 = 0x2008_0522;
    let mask = kept.iter().fold(0u64, |mask, number| mask | 1 << number);
    let (low, high) = (mask as u32, (mask >> 32) as u32);
    let header = [VERSION_3, 0];
    // Effective, permitted, inheritable: first the low words, then the high ones.
    let data = [low, low, low, high, high, high];
    // SAFETY: both structures have the layout of capset(2) and live over the call.
    check(unsafe { libc::syscall(libc::SYS_capset, &raw const header, &raw const data) })?;
    for &number in kept {
        prctl(
            libc::PR_CAP_AMBIENT,
            libc::PR_CAP_AMBIENT_RAISE as u64,
            number.into(),
            0,
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        assert_eq!(number("CAP_SYS_ADMIN"), Ok(SYS_ADMIN));
        assert_eq!(number("sys_chroot"), Ok(SYS_CHROOT));
        assert_eq!(number("Net_Raw"), Ok(13));
        assert_eq!(number("checkpoint_restore"), Ok(40));
        assert!(number("cap_everything").is_err());
    }
}
