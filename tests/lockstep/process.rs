//! Guests: the same program under several emulators, all fed from one memory file, each answering into its own.

use super::layout::{Batch, CASES, InputMemory, Output, OutputMemory, RING, SLOTS};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// A batch takes some milliseconds; one that takes this long hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// Processor time, user's and system's in seconds, of the guests that have been stopped, by emulator.
pub static SPENT: Mutex<BTreeMap<String, f64>> = Mutex::new(BTreeMap::new());

/// How to start one emulator.
#[derive(Clone, Debug)]
pub struct Emulator {
    pub name: String,
    /// Program and arguments, up to the guest.
    pub command: Vec<String>,
    /// What it prints is of no interest.
    pub quiet: bool,
}

/// Memory shared with other processes by an inherited descriptor.
struct Shared<T> {
    fd: OwnedFd,
    memory: *mut T,
}

// SAFETY: the mapping belongs to this value; nothing in it depends on the thread.
unsafe impl<T> Send for Shared<T> {}

impl<T> Shared<T> {
    fn new() -> io::Result<Shared<T>> {
        // SAFETY: a fresh descriptor without CLOEXEC, which the guests inherit.
        let fd = unsafe { libc::memfd_create(c"lockstep".as_ptr(), 0) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: nobody else has this descriptor.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        File::from(fd.try_clone()?).set_len(size_of::<T>() as u64)?;
        // SAFETY: a fresh shared mapping of a file of this size.
        let memory = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                size_of::<T>(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                fd.as_raw_fd(),
                0,
            )
        };
        if memory == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Shared {
            fd,
            memory: memory.cast(),
        })
    }
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        // SAFETY: this value's own mapping.
        unsafe { libc::munmap(self.memory.cast(), size_of::<T>()) };
    }
}

/// A word that another process reads or writes at the same time.
fn word<'a>(at: *mut u32) -> &'a AtomicU32 {
    // SAFETY: callers pass words of a mapping that lives as long as they use the result.
    unsafe { AtomicU32::from_ptr(at) }
}

fn futex(at: &AtomicU32, op: i32, value: u32, timeout: Option<Duration>) {
    let timeout = timeout.map(|t| libc::timespec {
        tv_sec: t.as_secs() as i64,
        tv_nsec: t.subsec_nanos().into(),
    });
    let timeout = timeout.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: a valid word and timeout; the call has no other effect on memory.
    unsafe { libc::syscall(libc::SYS_futex, at.as_ptr(), op, value, timeout) };
}

/// System calls that a guest is not to make by way of a sequence that strays into one: those that change files or the
/// system.
#[rustfmt::skip]
const REFUSED: [libc::c_long; 48] = [
    libc::SYS_unlink, libc::SYS_unlinkat, libc::SYS_rmdir, libc::SYS_rename, libc::SYS_renameat, libc::SYS_renameat2,
    libc::SYS_mkdir, libc::SYS_mkdirat, libc::SYS_creat, libc::SYS_mknod, libc::SYS_mknodat, libc::SYS_link,
    libc::SYS_linkat, libc::SYS_symlink, libc::SYS_symlinkat, libc::SYS_truncate, libc::SYS_chmod, libc::SYS_fchmod,
    libc::SYS_fchmodat, libc::SYS_chown, libc::SYS_lchown, libc::SYS_fchown, libc::SYS_fchownat, libc::SYS_utime,
    libc::SYS_utimes, libc::SYS_utimensat, libc::SYS_setxattr, libc::SYS_removexattr, libc::SYS_mount, libc::SYS_umount2,
    libc::SYS_pivot_root, libc::SYS_chroot, libc::SYS_unshare, libc::SYS_setns, libc::SYS_reboot, libc::SYS_swapon,
    libc::SYS_swapoff, libc::SYS_sethostname, libc::SYS_setdomainname, libc::SYS_settimeofday, libc::SYS_clock_settime,
    libc::SYS_adjtimex, libc::SYS_acct, libc::SYS_quotactl, libc::SYS_init_module, libc::SYS_delete_module,
    libc::SYS_kexec_load, libc::SYS_openat2,
];

/// The filter that makes it impossible for a guest to make processes or to send them signals (a second guest would write to
/// the same memory), to make files, and what else [`REFUSED`] lists: a sequence may stray into any system call, and on
/// ARMv5 execute data. Threads, and signals to itself, are allowed.
fn filter() -> Vec<libc::sock_filter> {
    const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const SET: u16 = (libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
    const fn error(errno: i32) -> u32 {
        libc::SECCOMP_RET_ERRNO | errno as u32
    }
    let step = |code, k, jt, jf| libc::sock_filter { code, jt, jf, k };
    // struct seccomp_data: the number, the architecture, the instruction pointer, the arguments.
    let argument = |n: u32| step(LOAD, 16 + 8 * n, 0, 0);
    let mut steps = vec![
        step(LOAD, 4, 0, 0),
        step(EQUAL, 0xc000_003e, 1, 0),
        step(RETURN, ALLOW, 0, 0),
        step(LOAD, 0, 0, 0),
    ];
    let mut when = |number: libc::c_long, then: &[libc::sock_filter]| {
        steps.push(step(EQUAL, number as u32, 0, then.len() as u8));
        steps.extend_from_slice(then);
    };
    let refuse = step(RETURN, error(libc::EPERM), 0, 0);
    let allow = step(RETURN, ALLOW, 0, 0);
    // The C library makes threads by clone where there is no clone3.
    when(libc::SYS_clone3, &[step(RETURN, error(libc::ENOSYS), 0, 0)]);
    when(
        libc::SYS_clone,
        &[
            argument(0),
            step(SET, libc::CLONE_THREAD as u32, 1, 0),
            refuse,
            allow,
        ],
    );
    when(libc::SYS_fork, &[refuse]);
    when(libc::SYS_vfork, &[refuse]);
    let create = libc::O_CREAT as u32;
    when(
        libc::SYS_open,
        &[argument(1), step(SET, create, 0, 1), refuse, allow],
    );
    when(
        libc::SYS_openat,
        &[argument(2), step(SET, create, 0, 1), refuse, allow],
    );
    for number in REFUSED {
        when(number, &[refuse]);
    }
    // Last, as who may be sent signals is known in the process only (see `alone`).
    when(
        libc::SYS_kill,
        &[argument(0), step(EQUAL, 0, 0, 1), allow, refuse],
    );
    steps.push(allow);
    steps
}

/// Sets a [`filter`] for this process and what it executes, with this process's id in it. Without effect where the kernel
/// has no filters.
fn alone(filter: &mut [libc::sock_filter]) {
    // SYS_kill's comparison: before its two returns and the last one.
    let at = filter.len() - 4;
    filter[at].k = std::process::id();
    let program = libc::sock_fprog {
        len: filter.len() as u16,
        filter: filter.as_mut_ptr(),
    };
    // SAFETY: the program is valid and is only read; both calls are async-signal-safe.
    unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        libc::prctl(
            libc::PR_SET_SECCOMP,
            libc::SECCOMP_MODE_FILTER,
            &raw const program,
        );
    }
}

struct Guest {
    emulator: Emulator,
    child: Child,
    output: Shared<OutputMemory>,
}

/// A guest that ended or hung, and in which case of the batch.
#[derive(Debug)]
pub struct Death {
    pub guest: usize,
    pub how: String,
    pub slot: usize,
    pub input: usize,
}

/// One guest program under several emulators. The first is the one that is believed.
pub struct Guests {
    input: Shared<InputMemory>,
    guests: Vec<Guest>,
    produced: u32,
}

impl Guests {
    /// Starts `program` under each of `emulators`. `wide` is [`InputMemory::wide`].
    ///
    /// # Errors
    /// The host's, when there is no memory or an emulator cannot be started.
    pub fn start(emulators: &[Emulator], program: &Path, wide: u32) -> io::Result<Guests> {
        let input = Shared::<InputMemory>::new()?;
        // SAFETY: no guest runs yet.
        unsafe { (*input.memory).wide = wide };
        let mut guests = Vec::new();
        for (number, emulator) in emulators.iter().enumerate() {
            let output = Shared::<OutputMemory>::new()?;
            let mut command = Command::new(&emulator.command[0]);
            command
                .args(&emulator.command[1..])
                .arg(program)
                .args([input.fd.as_raw_fd(), output.fd.as_raw_fd()].map(|fd| fd.to_string()))
                .arg(number.to_string())
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(if emulator.quiet {
                    Stdio::null()
                } else {
                    Stdio::inherit()
                });
            let mut filter = filter();
            // SAFETY: the calls are async-signal-safe and touch nothing of ours but the filter, which is there already.
            unsafe {
                command.pre_exec(move || {
                    let none = libc::rlimit {
                        rlim_cur: 0,
                        rlim_max: 0,
                    };
                    // QEMU aborts now and then.
                    libc::setrlimit(libc::RLIMIT_CORE, &raw const none);
                    libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                    alone(&mut filter);
                    Ok(())
                })
            };
            let child = command.spawn().map_err(|e| {
                io::Error::new(
                    e.kind(),
                    format!("{}: {e} (see tools/install-deps)", emulator.name),
                )
            })?;
            guests.push(Guest {
                emulator: emulator.clone(),
                child,
                output,
            });
        }
        Ok(Guests {
            input,
            guests,
            produced: 0,
        })
    }

    /// Contents of the window that batches choose from; to be written while no batch is on its way.
    pub fn background(&mut self, index: usize) -> &mut [u32] {
        // SAFETY: the mapping lives as long as `self`; guests read it only while they have a batch.
        unsafe { &mut (*self.input.memory).background[index] }
    }

    /// Number of the next batch.
    pub fn next(&self) -> u32 {
        self.produced
    }

    /// The next batch to be written. The batch [`RING`] before it must have been waited for.
    pub fn batch(&mut self) -> &mut Batch {
        // SAFETY: as for `background`; guests are done with what was in this place.
        unsafe { &mut (*self.input.memory).batch[self.produced as usize % RING] }
    }

    /// A batch written before, until its place is written again.
    pub fn batch_at(&self, number: u32) -> &Batch {
        assert!(self.produced.wrapping_sub(number) as usize <= RING);
        // SAFETY: nobody writes it.
        unsafe { &(*self.input.memory).batch[number as usize % RING] }
    }

    /// Hands the batch over.
    pub fn publish(&mut self) {
        self.produced = self.produced.wrapping_add(1);
        // SAFETY: a word of the mapping.
        let produced = word(unsafe { &raw mut (*self.input.memory).produced });
        produced.store(self.produced, Ordering::SeqCst);
        futex(produced, libc::FUTEX_WAKE, i32::MAX as u32, None);
    }

    /// Waits until every guest is done with batch `number`.
    ///
    /// # Errors
    /// The guest that ended before, or takes too long.
    pub fn wait(&mut self, number: u32) -> Result<(), Death> {
        for index in 0..self.guests.len() {
            self.wait_for(index, number)?;
        }
        Ok(())
    }

    fn wait_for(&mut self, index: usize, number: u32) -> Result<(), Death> {
        let guest = &mut self.guests[index];
        // SAFETY: a word of the mapping.
        let consumed = word(unsafe { &raw mut (*guest.output.memory).consumed });
        let start = Instant::now();
        loop {
            let done = consumed.load(Ordering::SeqCst);
            if done.wrapping_sub(number) as i32 > 0 {
                return Ok(());
            }
            futex(consumed, libc::FUTEX_WAIT, done, Some(Duration::from_millis(200)));
            let how = match guest.child.try_wait() {
                Ok(Some(status)) => format!("ended with {status}"),
                Ok(None) if start.elapsed() < PATIENCE => continue,
                Ok(None) => "hangs".to_string(),
                Err(error) => error.to_string(),
            };
            if consumed.load(Ordering::SeqCst) != done {
                continue;
            }
            // SAFETY: a word of the mapping.
            let at = word(unsafe { &raw mut (*guest.output.memory).at }).load(Ordering::SeqCst) as usize;
            return Err(Death {
                guest: index,
                how: format!("{} {how}", guest.emulator.name),
                slot: (at >> 16) % SLOTS,
                input: at & 0xffff,
            });
        }
    }

    /// What guest `index` reported for batch `number`, which it is done with, by [`Batch::cases`].
    pub fn outputs(&self, index: usize, number: u32) -> &[Output; CASES] {
        // SAFETY: the guest writes it again only when the place has a new batch, for which `self` is borrowed mutably.
        unsafe { &(*self.guests[index].output.memory).batch[number as usize % RING] }
    }

    /// The window as guest `index` left it after an input with [`super::layout::DETAIL`].
    pub fn window(&self, index: usize) -> &[u32] {
        // SAFETY: as for `outputs`.
        unsafe { &(*self.guests[index].output.memory).window }
    }

    pub fn len(&self) -> usize {
        self.guests.len()
    }
}

impl Drop for Guests {
    fn drop(&mut self) {
        for guest in &mut self.guests {
            // It may have ended by itself.
            let _ = guest.child.kill();
            let (mut status, mut usage) = (0, MaybeUninit::<libc::rusage>::zeroed());
            // SAFETY: both places are valid; `rusage` may be zero. The child is this value's own; one that `try_wait` has
            // waited for already is not there any more, and nothing is filled in.
            let usage = unsafe {
                libc::wait4(guest.child.id() as i32, &raw mut status, 0, usage.as_mut_ptr());
                usage.assume_init()
            };
            let seconds = |t: libc::timeval| t.tv_sec as f64 + t.tv_usec as f64 / 1e6;
            let spent = seconds(usage.ru_utime) + seconds(usage.ru_stime);
            let mut all = SPENT.lock().unwrap_or_else(|e| e.into_inner());
            *all.entry(guest.emulator.name.clone()).or_default() += spent;
        }
    }
}
