//! siginfo between the host's 64-bit layout and ARM's 32-bit one (include/uapi/asm-generic/siginfo.h, kernel/signal.c).

/// ARM's `siginfo_t`: si_signo, si_errno, si_code, then a union at 12.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GuestSigInfo(pub [u8; 128]);

pub const SI_USER: i32 = 0;
pub const SI_KERNEL: i32 = 0x80;
pub const SI_TIMER: i32 = -2;
pub const SI_SIGIO: i32 = -5;
pub const SI_TKILL: i32 = -6;
pub const ILL_ILLOPC: i32 = 1;
pub const ILL_ILLTRP: i32 = 4;
pub const TRAP_BRKPT: i32 = 1;
pub const SEGV_MAPERR: i32 = 1;

/// Which arm of the union a (signal, code) pair uses: the kernel's `enum siginfo_layout`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Layout {
    Kill,
    Timer,
    Rt,
    Child,
    Fault,
    FaultMceerr,
    FaultBndErr,
    FaultPkuErr,
    FaultPerf,
    Poll,
    Sys,
}

/// `siginfo_layout` of kernel/signal.c.
fn layout(signo: i32, code: i32) -> Layout {
    if code > SI_USER && code < SI_KERNEL {
        let (limit, layout) = match signo {
            libc::SIGILL => (11, Layout::Fault),
            libc::SIGFPE => (15, Layout::Fault),
            libc::SIGSEGV => (10, Layout::Fault),
            libc::SIGBUS => (5, Layout::Fault),
            libc::SIGTRAP => (6, Layout::Fault),
            libc::SIGCHLD => (6, Layout::Child),
            libc::SIGPOLL => (6, Layout::Poll),
            libc::SIGSYS => (2, Layout::Sys),
            _ => (0, Layout::Kill),
        };
        return match (signo, code) {
            (libc::SIGBUS, 4 | 5) => Layout::FaultMceerr,
            (libc::SIGSEGV, 3) => Layout::FaultBndErr,
            (libc::SIGSEGV, 4) => Layout::FaultPkuErr,
            (libc::SIGTRAP, 6) => Layout::FaultPerf,
            _ if code <= limit => layout,
            _ if code <= 6 => Layout::Poll,
            _ => Layout::Kill,
        };
    }
    match code {
        SI_TIMER => Layout::Timer,
        SI_SIGIO => Layout::Poll,
        _ if code < 0 => Layout::Rt,
        _ => Layout::Kill,
    }
}

/// (offset on the host, offset on the guest, bytes on the host, bytes on the guest) of each field of an arm; a
/// narrower guest field is the low part, a wider host field is zero-extended.
type Field = (usize, usize, usize, usize);

/// Place and size of si_value on the host (si_status has the place, too).
const SI_VALUE: (usize, usize) = (24, 8);

#[rustfmt::skip]
fn fields(layout: Layout) -> &'static [Field] {
    match layout {
        Layout::Kill => &[(16, 12, 4, 4), (20, 16, 4, 4)],
        Layout::Timer => &[(16, 12, 4, 4), (20, 16, 4, 4), (24, 20, 8, 4)],
        Layout::Rt => &[(16, 12, 4, 4), (20, 16, 4, 4), (24, 20, 8, 4)],
        Layout::Child => &[(16, 12, 4, 4), (20, 16, 4, 4), (24, 20, 4, 4), (32, 24, 8, 4), (40, 28, 8, 4)],
        Layout::Fault => &[(16, 12, 8, 4)],
        Layout::FaultMceerr => &[(16, 12, 8, 4), (24, 16, 2, 2)],
        Layout::FaultBndErr => &[(16, 12, 8, 4), (32, 20, 8, 4), (40, 24, 8, 4)],
        Layout::FaultPkuErr => &[(16, 12, 8, 4), (32, 20, 4, 4)],
        Layout::FaultPerf => &[(16, 12, 8, 4), (24, 16, 8, 4), (32, 20, 4, 4), (36, 24, 4, 4)],
        Layout::Poll => &[(16, 12, 8, 4), (24, 16, 4, 4)],
        Layout::Sys => &[(16, 12, 8, 4), (24, 16, 4, 4), (28, 20, 4, 4)],
    }
}

/// The host's siginfo as bytes.
pub type HostBytes = [u8; 128];

/// The bytes of a host siginfo.
pub fn host_bytes(info: &libc::siginfo_t) -> &HostBytes {
    // SAFETY: siginfo_t is 128 bytes of plain data; the kernel (or a zeroing initialiser) has written all of them.
    unsafe { &*std::ptr::from_ref(info).cast() }
}

const _: () = assert!(size_of::<libc::siginfo_t>() == 128);

impl GuestSigInfo {
    pub const ZERO: GuestSigInfo = GuestSigInfo([0; 128]);

    /// The guest's view of `host`.
    pub fn from_host(host: &HostBytes) -> GuestSigInfo {
        let mut guest = GuestSigInfo::ZERO;
        guest.0[..12].copy_from_slice(&host[..12]);
        for &(from, to, _, len) in fields(layout(guest.signo(), guest.code())) {
            // Mostly a word, which is copied as one.
            if len == 4 {
                guest.0[to..to + 4].copy_from_slice(&host[from..from + 4]);
            } else {
                guest.0[to..to + len].copy_from_slice(&host[from..from + len]);
            }
        }
        guest
    }

    /// The host's form, for rt_sigqueueinfo and its kin. si_value is sign-extended: signalfd shows it so on 32-bit kernels.
    pub fn to_host(&self) -> HostBytes {
        let mut host = [0; 128];
        host[..12].copy_from_slice(&self.0[..12]);
        for &(to, from, wide, len) in fields(layout(self.signo(), self.code())) {
            host[to..to + len].copy_from_slice(&self.0[from..from + len]);
            if (to, wide) == SI_VALUE && self.word(from) < 0 {
                host[to + 4..to + 8].fill(0xff);
            }
        }
        host
    }

    /// A fault: si_addr is `addr`.
    pub fn fault(signo: i32, code: i32, addr: u32) -> GuestSigInfo {
        let mut guest = GuestSigInfo::header(signo, code);
        guest.0[12..16].copy_from_slice(&addr.to_le_bytes());
        guest
    }

    /// si_signo and si_code alone; pid and uid 0, as the kernel's own signals have.
    pub fn header(signo: i32, code: i32) -> GuestSigInfo {
        let mut guest = GuestSigInfo::ZERO;
        guest.0[0..4].copy_from_slice(&signo.to_le_bytes());
        guest.0[8..12].copy_from_slice(&code.to_le_bytes());
        guest
    }

    pub fn signo(&self) -> i32 {
        self.word(0)
    }

    pub fn code(&self) -> i32 {
        self.word(8)
    }

    /// The word at offset `at`.
    pub fn word(&self, at: usize) -> i32 {
        i32::from_le_bytes([self.0[at], self.0[at + 1], self.0[at + 2], self.0[at + 3]])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(signo: i32, code: i32, fields: &[(usize, u64, usize)]) -> HostBytes {
        let mut bytes = [0; 128];
        bytes[..4].copy_from_slice(&signo.to_le_bytes());
        bytes[8..12].copy_from_slice(&code.to_le_bytes());
        for &(at, value, len) in fields {
            bytes[at..at + len].copy_from_slice(&value.to_le_bytes()[..len]);
        }
        bytes
    }

    fn words(host: &HostBytes) -> [i32; 5] {
        let guest = GuestSigInfo::from_host(host);
        [12, 16, 20, 24, 28].map(|at| guest.word(at))
    }

    /// Offsets printed by C programs of both architectures for siginfo_t: si_pid 12/16, si_uid 16/20, si_value
    /// 20/24, si_status 20/24, si_utime 24/32, si_stime 28/40, si_addr 12/16, si_addr_lsb 16/24, si_lower 20/32,
    /// si_upper 24/40, si_band 12/16, si_fd 16/24, si_overrun 16/20, si_syscall 16/24, si_arch 20/28 (ARM/x86-64).
    #[test]
    fn fields_move_to_where_arm_has_them() {
        let kill = host(libc::SIGUSR1, SI_USER, &[(16, 7, 4), (20, 8, 4)]);
        assert_eq!(words(&kill), [7, 8, 0, 0, 0]);
        let queue = host(34, -1, &[(16, 7, 4), (20, 8, 4), (24, 0xffff_ffff_1234_5678, 8)]);
        assert_eq!(words(&queue), [7, 8, 0x1234_5678, 0, 0]);
        let child = host(
            libc::SIGCHLD,
            libc::CLD_EXITED,
            &[(16, 7, 4), (20, 8, 4), (24, 3, 4), (32, 5, 8), (40, 6, 8)],
        );
        assert_eq!(words(&child), [7, 8, 3, 5, 6]);
        let timer = host(libc::SIGALRM, SI_TIMER, &[(16, 1, 4), (20, 2, 4), (24, 3, 8)]);
        assert_eq!(words(&timer), [1, 2, 3, 0, 0]);
        let poll = host(libc::SIGPOLL, 1, &[(16, 0x41, 8), (24, 9, 4)]);
        assert_eq!(words(&poll), [0x41, 9, 0, 0, 0]);
        let sys = host(libc::SIGSYS, 1, &[(16, 0x8000, 8), (24, 4, 4), (28, 40, 4)]);
        assert_eq!(words(&sys), [0x8000, 4, 40, 0, 0]);
        let fault = host(libc::SIGSEGV, 3, &[(16, 0x9000, 8), (32, 1, 8), (40, 2, 8)]);
        assert_eq!(words(&fault), [0x9000, 0, 1, 2, 0]);
    }

    #[test]
    fn the_way_back_is_the_same() {
        for (signo, code) in [
            (34, -1),
            (libc::SIGUSR1, 0),
            (libc::SIGCHLD, 1),
            (libc::SIGALRM, -2),
            (7, 2),
        ] {
            let mut guest = GuestSigInfo::header(signo, code);
            for (i, at) in [12, 16, 20].into_iter().enumerate() {
                guest.0[at] = i as u8 + 1;
            }
            let kept = fields(layout(signo, code)).iter().map(|f| f.1 + f.3).max();
            let back = GuestSigInfo::from_host(&guest.to_host());
            let end = kept.unwrap_or(12).min(24);
            assert_eq!(back.0[..end], guest.0[..end], "signal {signo} code {code}");
        }
    }
}
