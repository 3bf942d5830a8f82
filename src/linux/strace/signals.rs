//! Signals in a trace: sets, actions, siginfo, frames.

use super::decode::At;
use super::memory::{flags, long, pointer, raw, word, words};
use crate::linux::signal::siginfo::GuestSigInfo;
use crate::linux::table::flags::{Names, signal_name};

static SA: Names = Names {
    mask: 0,
    names: &[
        (0x0400_0000, "SA_RESTORER"),
        (0x0800_0000, "SA_ONSTACK"),
        (0x1000_0000, "SA_RESTART"),
        (0x4000_0000, "SA_NODEFER"),
        (0x8000_0000, "SA_RESETHAND"),
        (4, "SA_SIGINFO"),
        (1, "SA_NOCLDSTOP"),
        (2, "SA_NOCLDWAIT"),
    ],
};
const SA_RESTORER: u32 = 0x0400_0000;

/// A set: the names without SIG; of a set with most signals in it those that are not, behind `~`.
pub fn set(signals: u64) -> String {
    let most = signals.count_ones() >= 64 * 2 / 3;
    let shown = if most { !signals } else { signals };
    let names: Vec<_> = (1..=64)
        .filter(|s| shown >> (s - 1) & 1 == 1)
        .map(|s| signal_name(s).trim_start_matches("SIG").to_string())
        .collect();
    format!("{}[{}]", if most { "~" } else { "" }, names.join(" "))
}

/// A pointer to a set of 64 signals.
pub fn set64(at: &At<'_>) -> Option<String> {
    long(at.v).map(set)
}

/// The old calls' set: 32 signals.
pub fn set32(at: &At<'_>) -> Option<String> {
    word(at.v).map(|bits| set(bits.into()))
}

fn action(handler: u32, mask: u64, bits: u32, restorer: u32) -> String {
    let handler = match handler {
        0 => "SIG_DFL".into(),
        1 => "SIG_IGN".into(),
        u32::MAX => "SIG_ERR".into(),
        address => format!("{address:#x}"),
    };
    let bits_shown = flags(&SA, bits);
    let restorer = if bits & SA_RESTORER != 0 {
        format!(", sa_restorer={}", pointer(restorer))
    } else {
        String::new()
    };
    format!(
        "{{sa_handler={handler}, sa_mask={}, sa_flags={bits_shown}{restorer}}}",
        set(mask)
    )
}

pub fn rt_action(at: &At<'_>) -> Option<String> {
    let [handler, bits, restorer, low, high] = words::<5>(at.v)?;
    Some(action(
        handler,
        u64::from(high) << 32 | u64::from(low),
        bits,
        restorer,
    ))
}

pub fn old_action(at: &At<'_>) -> Option<String> {
    let [handler, mask, bits, restorer] = words::<4>(at.v)?;
    Some(action(handler, mask.into(), bits, restorer))
}

pub fn altstack(at: &At<'_>) -> Option<String> {
    static SS: Names = Names {
        mask: 0,
        names: &[
            (1, "SS_ONSTACK"),
            (2, "SS_DISABLE"),
            (0x8000_0000, "SS_AUTODISARM"),
        ],
    };
    let [sp, bits, size] = words::<3>(at.v)?;
    Some(format!(
        "{{ss_sp={}, ss_flags={}, ss_size={size}}}",
        pointer(sp),
        flags(&SS, bits)
    ))
}

/// A siginfo in guest memory.
pub fn info(at: &At<'_>) -> Option<String> {
    let bytes = raw(at.v, 128)?;
    Some(siginfo(&GuestSigInfo(bytes.try_into().ok()?)))
}

/// waitid's, which says nothing where there is no child to report.
pub fn info_of_child(at: &At<'_>) -> Option<String> {
    if word(at.v)? == 0 {
        Some("{}".into())
    } else {
        info(at)
    }
}

/// What a signal's own codes are called.
fn own_code(signo: i32, code: i32) -> Option<&'static str> {
    let names: &[&str] = match signo {
        libc::SIGILL => &[
            "ILL_ILLOPC",
            "ILL_ILLOPN",
            "ILL_ILLADR",
            "ILL_ILLTRP",
            "ILL_PRVOPC",
            "ILL_PRVREG",
            "ILL_COPROC",
            "ILL_BADSTK",
        ],
        libc::SIGFPE => &[
            "FPE_INTDIV",
            "FPE_INTOVF",
            "FPE_FLTDIV",
            "FPE_FLTOVF",
            "FPE_FLTUND",
            "FPE_FLTRES",
            "FPE_FLTINV",
            "FPE_FLTSUB",
        ],
        libc::SIGSEGV => &["SEGV_MAPERR", "SEGV_ACCERR", "SEGV_BNDERR", "SEGV_PKUERR"],
        libc::SIGBUS => &[
            "BUS_ADRALN",
            "BUS_ADRERR",
            "BUS_OBJERR",
            "BUS_MCEERR_AR",
            "BUS_MCEERR_AO",
        ],
        libc::SIGTRAP => &["TRAP_BRKPT", "TRAP_TRACE", "TRAP_BRANCH", "TRAP_HWBKPT"],
        libc::SIGCHLD => &[
            "CLD_EXITED",
            "CLD_KILLED",
            "CLD_DUMPED",
            "CLD_TRAPPED",
            "CLD_STOPPED",
            "CLD_CONTINUED",
        ],
        libc::SIGPOLL => &[
            "POLL_IN", "POLL_OUT", "POLL_MSG", "POLL_ERR", "POLL_PRI", "POLL_HUP",
        ],
        libc::SIGSYS => &["SYS_SECCOMP", "SYS_USER_DISPATCH"],
        _ => &[],
    };
    names.get(usize::try_from(code - 1).ok()?).copied()
}

fn code_name(signo: i32, code: i32) -> String {
    let common = match code {
        0 => "SI_USER",
        0x80 => "SI_KERNEL",
        -1 => "SI_QUEUE",
        -2 => "SI_TIMER",
        -3 => "SI_MESGQ",
        -4 => "SI_ASYNCIO",
        -5 => "SI_SIGIO",
        -6 => "SI_TKILL",
        -7 => "SI_DETHREAD",
        -60 => "SI_ASYNCNL",
        _ => match own_code(signo, code) {
            Some(name) => name,
            None => return format!("{code:#x}"),
        },
    };
    common.into()
}

/// A siginfo as strace shows it.
pub fn siginfo(info: &GuestSigInfo) -> String {
    let word = |at: usize| u32::from_le_bytes([info.0[at], info.0[at + 1], info.0[at + 2], info.0[at + 3]]);
    let (signo, errno, code) = (word(0) as i32, word(4) as i32, word(8) as i32);
    let mut out = format!(
        "{{si_signo={}, si_code={}",
        signal_name(signo as u32),
        code_name(signo, code)
    );
    if errno != 0 {
        out += &format!(", si_errno={errno}");
    }
    let sender = || format!(", si_pid={}, si_uid={}", word(12) as i32, word(16));
    let value = || format!(", si_int={}, si_ptr={}", word(20) as i32, pointer(word(20)));
    let own = code > 0 && code < 0x80;
    out += &match (signo, code) {
        (libc::SIGCHLD, _) if own => {
            let status = word(20);
            let status = if code == 1 {
                (status as i32).to_string()
            } else {
                signal_name(status)
            };
            let (user, system) = (word(24), word(28));
            format!(
                "{}, si_status={status}, si_utime={user}, si_stime={system}",
                sender()
            )
        }
        (libc::SIGILL | libc::SIGFPE | libc::SIGSEGV | libc::SIGBUS | libc::SIGTRAP, _) if own => {
            format!(", si_addr={}", pointer(word(12)))
        }
        (libc::SIGPOLL, _) if own => format!(", si_band={}, si_fd={}", word(12) as i32, word(16) as i32),
        (libc::SIGSYS, _) if own => {
            let call = crate::linux::table::lookup_arm(word(16))
                .map_or_else(|| format!("{:#x}", word(16)), |row| format!("__NR_{}", row.name));
            let arch = if word(20) == 0x4000_0028 {
                "AUDIT_ARCH_ARM".into()
            } else {
                format!("{:#x}", word(20))
            };
            format!(
                ", si_call_addr={}, si_syscall={call}, si_arch={arch}",
                pointer(word(12))
            )
        }
        (_, 0x80) => String::new(),
        (_, -2) => format!(
            ", si_timerid={:#x}, si_overrun={}{}",
            word(12),
            word(16) as i32,
            value()
        )
        .replace("=0x0", "=0"),
        (_, 0 | -6) => sender(),
        _ => sender() + &value(),
    };
    out + "}"
}

/// The mask that sigreturn takes from the frame at `sp`: behind three words of the context, its stack and registers
/// (arch/arm/kernel/signal.h), which stands behind the siginfo in an rt frame.
pub fn frame_mask(sp: u32, rt: bool) -> String {
    const MASK_AT: u32 = 104;
    let context = if rt { sp.wrapping_add(128) } else { sp };
    match long(context.wrapping_add(MASK_AT)) {
        Some(mask) => format!("{{mask={}}}", set(mask)),
        None => pointer(sp),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As strace 6.1 prints them.
    #[test]
    fn sets_and_codes() {
        assert_eq!(set(0), "[]");
        assert_eq!(set(1 << 1 | 1 << 9 | 1 << 33), "[INT USR1 RT_2]");
        assert_eq!(set(u64::MAX), "~[]");
        assert_eq!(set(!(3 << 31)), "~[RTMIN RT_1]");
        let mut info = GuestSigInfo::header(libc::SIGSEGV, 1);
        info.0[12] = 0x10;
        assert_eq!(
            siginfo(&info),
            "{si_signo=SIGSEGV, si_code=SEGV_MAPERR, si_addr=0x10}"
        );
        assert_eq!(
            siginfo(&GuestSigInfo::header(libc::SIGALRM, 0x80)),
            "{si_signo=SIGALRM, si_code=SI_KERNEL}"
        );
    }
}
