//! A code arena that is far too small: it starts again and again under several threads and signals.

use emu::exec::machine::Event;
use emu::exec::{ExecConfig, new_machine, signals};
use emu::mem::{GuestAddr, MapRequest, Prot, Space, SpaceConfig, space};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

static SIGNALS: AtomicU32 = AtomicU32::new(0);

fn sink(_: i32, _: &libc::siginfo_t, _: bool) -> signals::MaskAfter {
    SIGNALS.fetch_add(1, Ordering::Relaxed);
    signals::MaskAfter::Closed
}

/// Counts a thread out when it is done, by a panic as well, so that nobody waits for it for ever.
struct Runs<'a>(&'a AtomicU32);

impl Drop for Runs<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Two free addresses for an arena of `len` bytes.
fn place(len: usize) -> emu::cache::arena::Place {
    // SAFETY: a new mapping, removed again: only its address is used, to find a free one.
    let p = unsafe {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        let p = libc::mmap(std::ptr::null_mut(), 2 * len, libc::PROT_NONE, flags, -1, 0);
        assert_ne!(p, libc::MAP_FAILED);
        libc::munmap(p, 2 * len);
        // Far below it, where no other thread of the test's process gets memory meanwhile.
        p as u64 - (1 << 40)
    };
    emu::cache::arena::Place {
        rx: p,
        rw: p + len as u64,
        len: len as u64,
    }
}

/// Calls of a leaf, each followed by an addition.
const CALLS: u32 = 3000;

#[test]
fn the_cache_starts_again_while_threads_run() {
    Space::init(&SpaceConfig::default()).unwrap();
    let mut config = ExecConfig::new(emu::cpu::model::Model::max());
    config.place = Some(place(64 << 10));
    emu::exec::init(&config).unwrap();
    signals::set_signal_sink(sink);
    // SAFETY: sigaction is plain data; the handler is made for this.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = signals::handler();
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        libc::sigfillset(&mut action.sa_mask);
        libc::sigaction(libc::SIGUSR1, &action, std::ptr::null_mut());
    }
    let request = MapRequest {
        addr: 0,
        len: 0x10000,
        prot: Prot::READ | Prot::WRITE | Prot::EXEC,
        flags: libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
        fd: -1,
        offset: 0,
    };
    let at = space().mmap(&request).unwrap();
    let mut words = vec![0xe1a0_500e]; // mov r5, lr
    for i in 0..CALLS {
        let here = 1 + 2 * i;
        let leaf = 2 + 2 * CALLS;
        words.push(0xeb00_0000 | (leaf.wrapping_sub(here + 2) & 0xff_ffff)); // bl leaf
        words.push(0xe280_0001); // add r0, r0, #1
    }
    words.push(0xef00_0009); // svc 9
    words.push(0xe281_1001); // leaf: add r1, r1, #1
    words.push(0xe12f_ff1e); // bx lr
    for (i, word) in words.iter().enumerate() {
        space().write(GuestAddr(at + 4 * i as u32), word).unwrap();
    }
    let mut first = new_machine(at, false, 0).unwrap();
    let machines: Vec<_> = (0..3).map(|_| first.fork_thread().unwrap()).collect();
    let (running, tids) = (AtomicU32::new(3), std::sync::Mutex::new(Vec::new()));
    let done = AtomicBool::new(false);
    std::thread::scope(|s| {
        for mut m in machines {
            let (running, tids) = (&running, &tids);
            s.spawn(move || {
                let runs = Runs(running);
                // SAFETY: gettid has no preconditions.
                tids.lock().unwrap().push(unsafe { libc::gettid() });
                for _ in 0..40 {
                    (m.cpu().r[0], m.cpu().r[1], m.cpu().r[15]) = (0, 0, at);
                    loop {
                        let event = m.run();
                        m.cpu().pending = 0;
                        // SAFETY: an empty set is valid; the thread's own mask.
                        unsafe {
                            let mut none: libc::sigset_t = std::mem::zeroed();
                            libc::sigemptyset(&mut none);
                            libc::pthread_sigmask(libc::SIG_SETMASK, &none, std::ptr::null_mut());
                        }
                        match event {
                            Event::Interrupted => continue,
                            Event::Syscall { imm: 9 } => break,
                            other => panic!("{other:?}"),
                        }
                    }
                    assert_eq!((m.cpu().r[0], m.cpu().r[1]), (CALLS, CALLS));
                }
                drop(runs);
                // Stays, so that signals for it have somewhere to go.
                while running.load(Ordering::Relaxed) > 0 {
                    std::thread::sleep(std::time::Duration::from_millis(1));
                }
            });
        }
        let (running, tids, done) = (&running, &tids, &done);
        s.spawn(move || {
            while running.load(Ordering::Relaxed) > 1 {
                for &tid in tids.lock().unwrap().iter().skip(1) {
                    // SAFETY: tgkill has no memory preconditions; the threads outlive this loop.
                    unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), tid, libc::SIGUSR1) };
                }
                std::thread::sleep(std::time::Duration::from_micros(100));
            }
            done.store(true, Ordering::Relaxed);
        });
    });
    assert!(done.load(Ordering::Relaxed));
    let signals = SIGNALS.load(Ordering::Relaxed);
    assert!(signals > 10, "{signals}");
    assert!(emu::diag::stats::stats().cache_flushes.get() > 3);
}
