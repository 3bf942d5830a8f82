//! Confinement of the process that runs a guest: policy is data, applied before the guest's first instruction.
//!
//! The baseline gives up kernel administration (a seccomp filter and no_new_privs, both inherited by children and
//! over execve) and, where the kernel can (6.6 and later), forbids this process memory that is or becomes executable
//! after it could be written. A set-uid program that the guest starts runs without its privileges: no_new_privs.

mod bpf;
mod caps;
#[cfg(test)]
mod filter_tests;
mod landlock;
pub mod limits;
pub mod mm_map;
mod monitor;
mod mounts;
pub mod namespaces;
pub mod own_program;
pub mod policy;
pub mod print;
pub mod profile;
mod scope;
pub mod strict;
mod sys;

pub use caps::{NAMES as CAPABILITIES, number as capability};

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

/// Exit status of the process outside where the set-up failed there.
const EXIT_SETUP: i32 = 125;

/// Whether [`baseline`] has been put in place, in this process or the one it was forked from.
static CONFINED: AtomicBool = AtomicBool::new(false);
/// Whether no other filter was there before the baseline's.
static ALONE: AtomicBool = AtomicBool::new(false);

/// Why confinement failed. Displays as one line.
#[derive(thiserror::Error, Debug)]
pub enum ConfineError {
    #[error("cannot install the system call filter ({0}); --unconfined runs without it")]
    Filter(String),
    #[error("{0}")]
    Setup(Problem),
    #[error("{0}")]
    Landlock(String),
}

/// A step of the set-up that the host refused: what, its reason, and what to do about it.
#[derive(Debug)]
pub struct Problem {
    what: String,
    reason: String,
    advice: Option<String>,
}

impl Problem {
    fn new(what: &str, error: &io::Error, advice: &str) -> Problem {
        let text = error.to_string();
        Problem {
            what: what.into(),
            // Without "(os error N)".
            reason: text.split(" (os error").next().unwrap_or(&text).into(),
            advice: Some(advice.to_string()).filter(|a| !a.is_empty()),
        }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.what, self.reason)?;
        match &self.advice {
            Some(advice) => write!(f, "; {advice}"),
            None => Ok(()),
        }
    }
}

impl ConfineError {
    fn advise(&mut self, text: &str) {
        if let ConfineError::Setup(problem) = self {
            problem.advice = Some(text.into());
        }
    }
}

fn setup(what: &str, error: &io::Error) -> ConfineError {
    ConfineError::Setup(Problem::new(what, error, ""))
}

/// What [`baseline`] put in place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Baseline {
    /// The filter was there already: this process came out of a confined one by execve.
    pub inherited: bool,
    /// The kernel refuses memory that gains execute permission (PR_SET_MDWE).
    pub exec_gain_refused: bool,
}

/// Confines the calling process, which must have one thread still. Costs four system calls the first time, two
/// in a process that inherited the filter. With `allow_setuid` programs may gain privileges by execve; the filter is then
/// left out unless the caller has CAP_SYS_ADMIN, because others may install one only without.
pub fn baseline(allow_setuid: bool) -> Result<Baseline, ConfineError> {
    let answer = marker();
    let inherited = answer.is_some();
    let alone = answer.map_or_else(no_filter, |marker| marker.alone);
    if !inherited {
        let program = if alone {
            &bpf::PROGRAM
        } else {
            &bpf::PROGRAM_BEHIND
        };
        if allow_setuid {
            install_keeping_privileges(program)?;
        } else {
            let applied = seccompiler::apply_filter(program);
            applied.map_err(|error| ConfineError::Filter(error.to_string()))?;
        }
    }
    note_confined(alone);
    Ok(Baseline {
        inherited,
        exec_gain_refused: refuse_exec_gain(),
    })
}

/// Installs a filter without no_new_privs. EACCES, where the caller has no CAP_SYS_ADMIN, is no error: there is none then.
fn install_keeping_privileges(program: &[seccompiler::sock_filter]) -> Result<(), ConfineError> {
    let program = libc::sock_fprog {
        len: program.len() as u16,
        filter: program.as_ptr().cast_mut().cast(),
    };
    // SAFETY: the kernel copies the program, whose rows have the layout of struct sock_filter.
    let result = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            0,
            &raw const program,
        )
    };
    match sys::check(result) {
        Err(error) if error.raw_os_error() != Some(libc::EACCES) => {
            Err(ConfineError::Filter(error.to_string()))
        }
        _ => Ok(()),
    }
}

/// In the child of fork(2) (not of vfork) of a confined process: the filter is inherited, the memory rule is not. Returns
/// whether it holds; false where there was none.
pub fn after_fork() -> bool {
    CONFINED.load(Ordering::Relaxed) && refuse_exec_gain()
}

/// Whether this process runs under the baseline filter.
pub fn filter_present() -> bool {
    marker().is_some()
}

/// Whether the i386 call of [`policy::I386_SET_ROBUST_LIST`] may be tried: no filter but ours would judge it.
pub fn i386_call_passes() -> bool {
    if CONFINED.load(Ordering::Relaxed) {
        ALONE.load(Ordering::Relaxed)
    } else {
        no_filter()
    }
}

/// Which filter of ours is there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Marker {
    strict: bool,
    /// There was no other filter before it.
    alone: bool,
}

fn marker() -> Option<Marker> {
    // SAFETY: a number that the kernel does not use; with or without the filter it only returns an error.
    let result = unsafe { libc::syscall(policy::MARKER) };
    let (strict, alone) = match io::Error::last_os_error().raw_os_error() {
        _ if result != -1 => return None,
        Some(policy::MARKER_ERRNO) => (false, true),
        Some(policy::MARKER_BEHIND_ERRNO) => (false, false),
        Some(policy::MARKER_STRICT_ERRNO) => (true, true),
        Some(policy::MARKER_STRICT_BEHIND_ERRNO) => (true, false),
        _ => return None,
    };
    Some(Marker { strict, alone })
}

fn note_confined(alone: bool) {
    ALONE.store(alone, Ordering::Relaxed);
    CONFINED.store(true, Ordering::Relaxed);
}

/// Whether this process has no system call filter at all. Under strict seccomp (mode 1) this call itself would be deadly,
/// but so would everything before it.
fn no_filter() -> bool {
    // SAFETY: takes integers only.
    unsafe { libc::prctl(libc::PR_GET_SECCOMP, 0, 0, 0, 0) == 0 }
}

/// PR_SET_MDWE, for this address space only: native programs that a guest starts must stay free to load libraries
/// and translate code. Kernels before 6.6 refuse the second flag, and then nothing is set.
fn refuse_exec_gain() -> bool {
    const PR_SET_MDWE: i32 = 65;
    const MDWE_REFUSE_EXEC_GAIN: u64 = 1;
    const MDWE_NO_INHERIT: u64 = 2;
    // SAFETY: this prctl takes integers only and makes later mmap and mprotect calls stricter.
    unsafe {
        libc::prctl(
            PR_SET_MDWE,
            MDWE_REFUSE_EXEC_GAIN | MDWE_NO_INHERIT,
            0u64,
            0u64,
            0u64,
        ) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::policy::{BASELINE, Denial, X32_BIT};
    use super::*;
    use std::collections::BTreeSet;

    /// Runs `child` in a forked process and returns its wait status. The test harness has other threads, so the
    /// child must neither allocate nor take locks.
    fn in_child(child: impl FnOnce() -> i32) -> i32 {
        // SAFETY: the child calls `child`, which makes system calls only, and leaves by _exit.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            let status = child();
            // SAFETY: ends this process without running anything of the parent's.
            unsafe { libc::_exit(status) };
        }
        let mut status = 0;
        // SAFETY: `status` is valid for the write.
        assert_eq!(unsafe { libc::waitpid(pid, &mut status, 0) }, pid);
        status
    }

    fn exit_of(child: impl FnOnce() -> i32) -> i32 {
        let status = in_child(child);
        assert!(
            libc::WIFEXITED(status),
            "child ended with wait status {status:#x}"
        );
        libc::WEXITSTATUS(status)
    }

    /// The errno of a system call with all arguments 0, which for every call of the table is without effect.
    fn errno_of(number: i64) -> i32 {
        // SAFETY: reached only behind the filter, which refuses the numbers that are passed.
        match unsafe { libc::syscall(number, 0u64, 0u64, 0u64, 0u64, 0u64, 0u64) } {
            -1 => io::Error::last_os_error().raw_os_error().unwrap_or(0),
            _ => 0,
        }
    }

    #[test]
    fn the_table_names_each_call_once() {
        let numbers: BTreeSet<_> = BASELINE.iter().map(|r| r.number).collect();
        let names: BTreeSet<_> = BASELINE.iter().map(|r| r.name).collect();
        assert_eq!((numbers.len(), names.len()), (BASELINE.len(), BASELINE.len()));
        assert!(
            BASELINE
                .iter()
                .all(|r| !r.reason.is_empty() && r.number < i64::from(X32_BIT))
        );
    }

    #[test]
    fn every_rule_holds_and_other_calls_pass() {
        let failed = exit_of(|| {
            if baseline(false).is_err() || !filter_present() {
                return 250;
            }
            for (i, rule) in BASELINE.iter().enumerate() {
                let want = if rule.denial == Denial::NotPermitted {
                    libc::EPERM
                } else {
                    libc::ENOSYS
                };
                if errno_of(rule.number) != want {
                    return i as i32 + 1;
                }
            }
            // SAFETY: takes no pointers.
            if unsafe { libc::syscall(libc::SYS_getppid) } <= 0 {
                251
            } else {
                0
            }
        });
        assert_eq!(failed, 0, "rule {}", failed - 1);
    }

    #[test]
    fn the_filter_is_inherited_and_not_installed_twice() {
        let outcome = exit_of(|| {
            let Ok(first) = baseline(false) else { return 1 };
            // SAFETY: as in `in_child`; this process has one thread.
            let pid = unsafe { libc::fork() };
            if pid == 0 {
                let second = baseline(false);
                let good = matches!(second, Ok(b) if b.inherited);
                // SAFETY: leaves without running anything of the parent's.
                unsafe { libc::_exit(if good { 0 } else { 2 }) };
            }
            let mut status = 0;
            // SAFETY: `status` is valid for the write.
            unsafe { libc::waitpid(pid, &mut status, 0) };
            // SAFETY: takes integers only.
            let no_new_privs = unsafe { libc::prctl(libc::PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) };
            if first.inherited || status != 0 || no_new_privs != 1 {
                3
            } else {
                0
            }
        });
        assert_eq!(outcome, 0);
    }

    #[test]
    fn the_other_abis_are_deadly() {
        let killed_by_sigsys = |status| libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGSYS;
        let x32 = in_child(|| {
            if baseline(false).is_err() {
                return 1;
            }
            // SAFETY: getpid of the x32 ABI: no memory is touched.
            unsafe { libc::syscall(libc::SYS_getpid | i64::from(X32_BIT)) };
            2
        });
        assert!(killed_by_sigsys(x32), "x32: {x32:#x}");
        let i386 = in_child(|| {
            if baseline(false).is_err() {
                return 1;
            }
            // SAFETY: int 0x80 with eax 20 is getpid of the i386 ABI; only eax changes. Without that ABI in the kernel
            // it is a fault, which ends the child as well.
            unsafe { std::arch::asm!("int 0x80", inlateout("eax") 20 => _, options(nostack)) };
            2
        });
        assert!(libc::WIFSIGNALED(i386), "i386: {i386:#x}");
    }

    #[test]
    fn one_call_of_the_i386_abi_passes() {
        let call = |number: u32| {
            let answer: i32;
            // SAFETY: set_robust_list with a length that is refused, if it is this call; else the call is refused. Without
            // that ABI in the kernel it is a fault, which ends the child.
            unsafe {
                std::arch::asm!("int 0x80", inlateout("eax") number as i32 => answer, in("ecx") 0,
                    lateout("r8") _, lateout("r9") _, lateout("r10") _, lateout("r11") _, options(nostack))
            };
            answer
        };
        let without = in_child(|| -call(policy::I386_SET_ROBUST_LIST));
        let with = in_child(|| match baseline(false) {
            Ok(_) if i386_call_passes() => -call(policy::I386_SET_ROBUST_LIST),
            _ => 250,
        });
        // Under another's filter there is nothing to see; without the ABI both die alike.
        if libc::WEXITSTATUS(with) != 250 {
            assert_eq!(with, without);
            assert!(
                libc::WIFSIGNALED(with) || libc::WEXITSTATUS(with) == libc::EINVAL,
                "{with:#x}"
            );
        }
    }

    #[test]
    fn behind_another_filter_the_i386_call_is_not_tried() {
        let outcome = exit_of(|| {
            // A filter that allows everything.
            let allow = [seccompiler::sock_filter {
                code: 6,
                jt: 0,
                jf: 0,
                k: 0x7fff_0000,
            }];
            if seccompiler::apply_filter(&allow).is_err() || baseline(false).is_err() || i386_call_passes() {
                return 1;
            }
            // As a program executed from here would find it.
            ALONE.store(true, Ordering::Relaxed);
            match baseline(false) {
                Ok(b) if b.inherited && !i386_call_passes() => 0,
                _ => 2,
            }
        });
        assert_eq!(outcome, 0);
    }

    #[test]
    fn memory_cannot_become_executable_where_the_kernel_can_refuse() {
        let outcome = exit_of(|| {
            let Ok(b) = baseline(false) else { return 1 };
            if !b.exec_gain_refused {
                return 0;
            }
            let rw = libc::PROT_READ | libc::PROT_WRITE;
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
            // SAFETY: a fresh private page; asking for more rights on it harms nobody.
            let (gained, born) = unsafe {
                let page = libc::mmap(std::ptr::null_mut(), 4096, rw, flags, -1, 0);
                let gained = libc::mprotect(page, 4096, libc::PROT_READ | libc::PROT_EXEC);
                let born = libc::mmap(std::ptr::null_mut(), 4096, rw | libc::PROT_EXEC, flags, -1, 0);
                (gained, born)
            };
            if gained == 0 || born != libc::MAP_FAILED {
                return 2;
            }
            // SAFETY: as in `in_child`; this process has one thread.
            let pid = unsafe { libc::fork() };
            if pid == 0 {
                let held = after_fork();
                // SAFETY: as above; then leaves without running anything of the parent's.
                unsafe {
                    let page = libc::mmap(std::ptr::null_mut(), 4096, rw, flags, -1, 0);
                    let gained = libc::mprotect(page, 4096, libc::PROT_READ | libc::PROT_EXEC);
                    libc::_exit(if held && gained != 0 { 0 } else { 3 });
                }
            }
            let mut status = 0;
            // SAFETY: `status` is valid for the write.
            unsafe { libc::waitpid(pid, &mut status, 0) };
            libc::WEXITSTATUS(status)
        });
        assert_eq!(outcome, 0);
    }
}
