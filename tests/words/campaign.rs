//! Random instruction words executed in children: no panic, no hang, no access outside the guest's window.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use emu::cpu::model::Model;
use emu::exec::machine::{Event, Machine};
use emu::exec::{self, ExecConfig, signals};
use emu::mem::{GuestAddr, MapRequest, Prot, Space, SpaceConfig, TASK_SIZE, space};

use super::program::Program;
use super::random::Random;

/// Programs that one child executes.
const BATCH: u64 = 512;
/// A child that makes no progress for this long hangs.
const PATIENCE: Duration = Duration::from_secs(60);
/// Microseconds between two signals, which end endless loops.
const TICK: i64 = 250;
/// Signals that a run may take before it counts as a loop.
const TICKS: u32 = 2;

/// The ways a run ends, in the order of [`Outcome::ends`].
pub const ENDS: [&str; 7] = ["svc", "undefined", "segv", "bus", "bkpt", "loop", "other"];
const LOOP: usize = 5;

/// What became of a range of programs.
#[derive(Default, Debug)]
pub struct Outcome {
    /// Runs, one from each instruction of each program.
    pub runs: u64,
    pub ends: [u64; ENDS.len()],
    /// Programs that ended their child, with its wait status (-1: it hung).
    pub bad: Vec<(u64, i32)>,
}

impl Outcome {
    pub fn add(&mut self, other: Outcome) {
        self.runs += other.runs;
        for (sum, n) in self.ends.iter_mut().zip(other.ends) {
            *sum += n;
        }
        self.bad.extend(other.bad);
    }
}

/// Shared with the child: the program it is at, and its counts.
#[derive(Default)]
struct Progress {
    at: AtomicU64,
    steps: AtomicU64,
    ends: [AtomicU64; ENDS.len()],
}

/// Executes every instruction of `programs`. A child that dies is replaced by one that begins after its program.
pub fn run(programs: Range<u64>) -> Outcome {
    let progress = shared();
    let mut outcome = Outcome::default();
    let mut next = programs.start;
    while next < programs.end {
        let end = ((next / BATCH + 1) * BATCH).min(programs.end);
        progress.at.store(next, Ordering::SeqCst);
        match child(progress, next..end) {
            0 => next = end,
            status => {
                let at = progress.at.load(Ordering::SeqCst);
                outcome.bad.push((at, status));
                next = at + 1;
            }
        }
    }
    outcome.runs = progress.steps.load(Ordering::SeqCst);
    outcome.ends = std::array::from_fn(|i| progress.ends[i].load(Ordering::SeqCst));
    outcome
}

fn shared() -> &'static Progress {
    let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
    let size = size_of::<Progress>();
    // SAFETY: a new mapping, zeroed, which is a valid `Progress`; it stays for the life of the process.
    unsafe {
        let p = libc::mmap(
            std::ptr::null_mut(),
            size,
            libc::PROT_READ | libc::PROT_WRITE,
            flags,
            -1,
            0,
        );
        assert_ne!(p, libc::MAP_FAILED, "shared memory");
        &*p.cast()
    }
}

/// The child's wait status, -1 if it had to be stopped.
fn child(progress: &Progress, programs: Range<u64>) -> i32 {
    // SAFETY: the child never returns from the block.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "fork");
    if pid == 0 {
        let done = std::panic::catch_unwind(|| execute(progress, programs));
        // SAFETY: ends the child.
        unsafe { libc::_exit(if done.is_ok() { 0 } else { 101 }) };
    }
    let (mut seen, mut since) = (0, Instant::now());
    loop {
        let mut status = 0;
        // SAFETY: waits for the child made above.
        if unsafe { libc::waitpid(pid, &mut status, libc::WNOHANG) } == pid {
            return status;
        }
        let steps = progress.steps.load(Ordering::Relaxed);
        if steps != seen {
            (seen, since) = (steps, Instant::now());
        }
        if since.elapsed() > PATIENCE {
            // SAFETY: the child made above, which is still there.
            unsafe {
                libc::kill(pid, libc::SIGKILL);
                libc::waitpid(pid, &mut status, 0);
            }
            return -1;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// What differs from child to child: the processor, and the translator's options.
fn config(batch: u64) -> ExecConfig {
    let models = Model::all();
    let model = match batch % 4 {
        0..=2 => Model::max(),
        _ => &models[(batch / 4) as usize % models.len()],
    };
    ExecConfig {
        soft_fp: batch % 7 == 3,
        precise_flags: batch % 5 == 1,
        one_insn: batch % 11 == 5,
        unlinked: batch % 13 == 7,
        interpret: if batch % 3 == 2 { u32::MAX } else { 0 },
        ..ExecConfig::new(model)
    }
}

/// A page of the guest's that programs are written to and executed from: near either end, and in the middle.
const CODE: [u32; 4] = [0x0001_0000, 0x4000_0000, 0x8000_0000 - 0x1000, TASK_SIZE - 0x4000];
/// Memory that programs may write, one piece at either end.
const DATA: [(u32, u32); 3] = [
    (0x0002_0000, 0x2_0000),
    (0x5000_0000, 0x10_0000),
    (TASK_SIZE - 0x2000, 0x2000),
];

fn map(addr: u32, len: u32, prot: Prot) {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
    let request = MapRequest {
        addr,
        len,
        prot,
        flags,
        fd: -1,
        offset: 0,
    };
    space().mmap(&request).expect("guest memory");
}

/// Host pages around the window (the guard ends at 8 GiB) that no guest access may change.
const CANARIES: [u64; 2] = [2 << 32, (2 << 32) + 0x1_0000];
const CANARY: u8 = 0xa5;

fn canary(at: u64) -> &'static mut [u8] {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE;
    // SAFETY: a new mapping where nothing was, which stays for the life of the process.
    unsafe {
        let prot = libc::PROT_READ | libc::PROT_WRITE;
        let p = libc::mmap(at as *mut libc::c_void, 4096, prot, flags, -1, 0);
        assert_eq!(p as u64, at, "a canary page");
        std::slice::from_raw_parts_mut(at as *mut u8, 4096)
    }
}

/// The mappings below 12 GiB.
fn low_mappings() -> Vec<String> {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("maps");
    let start = |line: &str| u64::from_str_radix(line.split('-').next().unwrap_or_default(), 16);
    let low = |line: &&str| start(line).is_ok_and(|at| at < 3 << 32);
    maps.lines().filter(low).map(str::to_string).collect()
}

fn tick(_: i32, _: &libc::siginfo_t, _: bool) -> signals::MaskAfter {
    signals::MaskAfter::Closed
}

fn start_ticking() {
    signals::set_signal_sink(tick);
    // SAFETY: plain data; the handler is made for this; the child's own timer.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = signals::handler();
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        libc::sigfillset(&mut action.sa_mask);
        libc::sigaction(libc::SIGALRM, &action, std::ptr::null_mut());
        let every = libc::timeval {
            tv_sec: 0,
            tv_usec: TICK,
        };
        let timer = libc::itimerval {
            it_interval: every,
            it_value: every,
        };
        libc::setitimer(libc::ITIMER_REAL, &timer, std::ptr::null_mut());
    }
}

fn execute(progress: &Progress, programs: Range<u64>) {
    let batch = programs.start / BATCH;
    Space::init(&SpaceConfig::default()).expect("a window");
    exec::init(&config(batch)).expect("execution");
    let code_prot = Prot::READ
        | Prot::EXEC
        | if batch.is_multiple_of(2) {
            Prot::WRITE
        } else {
            Prot::empty()
        };
    for at in CODE {
        map(at, 0x1000, Prot::READ | Prot::WRITE);
    }
    for (at, len) in DATA {
        map(at, len, Prot::READ | Prot::WRITE);
    }
    let mut canaries = CANARIES.map(canary);
    canaries.iter_mut().for_each(|page| page.fill(CANARY));
    let before = low_mappings();
    let mut machine = exec::new_machine(CODE[0], false, 0).expect("a processor");
    // The first run makes this thread the machine's, for the signals' handler.
    machine.cpu().pending = 1;
    machine.run();
    machine.cpu().pending = 0;
    start_ticking();
    for number in programs {
        progress.at.store(number, Ordering::SeqCst);
        let program = Program::new(number);
        let at = CODE[number as usize % CODE.len()];
        // As a guest would that makes code: write, then make executable, then flush.
        space()
            .mprotect(at, 0x1000, Prot::READ | Prot::WRITE)
            .expect("a page");
        space()
            .write_bytes(GuestAddr(at), &program.bytes)
            .expect("a page");
        space().mprotect(at, 0x1000, code_prot).expect("a page");
        machine.flush_code(at, at + program.bytes.len() as u32);
        let mut random = Random::new(number ^ 0x7e57);
        for &offset in &program.starts {
            set_registers(&mut *machine, &mut random, at, program.thumb);
            machine.cpu().r[15] = at + offset;
            let end = run_once(&mut *machine);
            progress.steps.fetch_add(1, Ordering::Relaxed);
            progress.ends[end].fetch_add(1, Ordering::Relaxed);
        }
    }
    for page in canaries {
        assert!(
            page.iter().all(|&byte| byte == CANARY),
            "a canary page has changed"
        );
    }
    assert_eq!(quiet(low_mappings()), quiet(before), "mappings around the window");
}

/// Mappings outside the guest's part of the window: inside, watched code pages come and go.
fn quiet(maps: Vec<String>) -> Vec<String> {
    let above = |line: &String| line.split('-').next().is_some_and(|start| start.len() > 8);
    maps.into_iter().filter(above).collect()
}

/// Registers that make accesses likely to meet memory, its edges and the window's ends.
fn set_registers(machine: &mut dyn Machine, random: &mut Random, code: u32, thumb: bool) {
    // Half of the runs have good pointers only, so that they get farther.
    let kinds = random.pick(&[4, 16]);
    let value = |random: &mut Random| {
        let bits = random.bits() as u32;
        match random.below(kinds) {
            0..=3 => DATA[1].0 + bits % DATA[1].1,
            4 => DATA[0].0 + bits % DATA[0].1,
            5 => DATA[2].0 + bits % DATA[2].1,
            6 => bits % 0x1100,
            7 => 0u32.wrapping_sub(bits % 0x2100),
            8 => code + bits % 0x200,
            9 => bits % 64,
            10 => bits & !3,
            11 => [0, 0x7fff_ffff, 0x8000_0000, 0xffff_fffc, u32::MAX, 4, 0xffff_0ff8][bits as usize % 7],
            12 => (DATA[1].0 + bits % DATA[1].1) & !7,
            _ => bits,
        }
    };
    let registers: [u32; 15] = std::array::from_fn(|_| value(random));
    let fpscr = match random.below(4) {
        0 => random.bits() as u32 & 0xf7f7_009f,
        1 => random.bits() as u32 & 0x03c0_0000,
        _ => 0,
    };
    machine.set_fpscr(fpscr);
    let cpu = machine.cpu();
    cpu.r[..15].copy_from_slice(&registers);
    cpu.set_nzcv(random.bits() as u32);
    cpu.thumb = u8::from(thumb);
    // Signal frames and the like can leave any IT state behind.
    cpu.it = if thumb && random.below(8) == 0 {
        random.bits() as u8
    } else {
        0
    };
    for d in &mut cpu.d {
        *d = match random.below(4) {
            0 => random.bits(),
            1 => f64::from(random.bits() as i32).to_bits(),
            2 => random.bits() & 0x7ff0_0000_0000_0001 | 0x7ff0_0000_0000_0000,
            _ => random.bits() & 0xffc0_0001_ff80_0001,
        };
    }
}

/// Lets signals in again: a handler that ends a run closes them.
fn open_mask() {
    // SAFETY: an empty set is valid; the thread's own mask.
    unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut none);
        libc::pthread_sigmask(libc::SIG_SETMASK, &none, std::ptr::null_mut());
    }
}

/// Runs to the first event that is not the timer's, which is checked; its place in [`ENDS`].
fn run_once(machine: &mut dyn Machine) -> usize {
    let mut ticks = 0;
    loop {
        let event = machine.run();
        let cpu = machine.cpu();
        let mask = if cpu.thumb == 1 { 1 } else { 3 };
        let aligned = cpu.r[15] & mask == 0;
        assert!(cpu.thumb <= 1, "T is {}", cpu.thumb);
        return match event {
            Event::Interrupted => {
                cpu.pending = 0;
                open_mask();
                ticks += 1;
                if ticks > TICKS {
                    return LOOP;
                }
                continue;
            }
            Event::Syscall { .. } | Event::Served | Event::Undone => 0,
            Event::Undefined => {
                assert!(aligned, "{event:x?} at {:#x}", cpu.r[15]);
                1
            }
            Event::Fault {
                signo: libc::SIGSEGV,
                code,
                addr,
                write,
            } => {
                let fetch = addr.wrapping_sub(cpu.r[15]) < 4;
                check_fault(code, addr, write, fetch);
                2
            }
            Event::Fault { signo, .. } => {
                assert_eq!(signo, libc::SIGBUS, "{event:x?}");
                3
            }
            Event::Breakpoint => 4,
        };
    }
}

/// A fault must be one by the guest's own page table.
fn check_fault(code: i32, addr: u32, write: bool, fetch: bool) {
    let prot = space().prot(GuestAddr(addr));
    let needs = if write { Prot::WRITE } else { Prot::READ };
    match (code, prot) {
        // An access across a page's end names its first byte or the page's.
        (1, None) => {}
        (2, Some(prot)) if !prot.contains(needs) || fetch && !prot.contains(Prot::EXEC) => {}
        _ => panic!("fault with code {code} at {addr:#x} (write {write}), whose page is {prot:?}"),
    }
}
