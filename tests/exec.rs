//! Execution of small A32 and T32 programs in this process: control flow, faults, signals, code that changes, fork.
//!
//! The words are GNU as output (`-march=armv7-a -mfpu=vfpv3`), with their text beside them.

mod stop;

use emu::cpu::state::{CpuState, PENDING_SIGNAL};
use emu::exec::machine::{Event, Machine, Outcome, set_server};
use emu::exec::{ExecConfig, new_machine, signals};
use emu::mem::{GuestAddr, MapRequest, Prot, Space, SpaceConfig, space};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use stop::Stop;

const RWX: Prot = Prot::READ.union(Prot::WRITE).union(Prot::EXEC);

static SIGNALS: AtomicU32 = AtomicU32::new(0);

fn sink(signo: i32, _: &libc::siginfo_t, _: bool) -> signals::MaskAfter {
    assert_eq!(signo, libc::SIGUSR1);
    SIGNALS.fetch_add(1, Ordering::Relaxed);
    signals::MaskAfter::Closed
}

fn start() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        Space::init(&SpaceConfig::default()).unwrap();
        let model = emu::cpu::model::Model::max();
        emu::exec::init(&ExecConfig::new(model)).unwrap();
        signals::set_signal_sink(sink);
        // SAFETY: sigaction is plain data; the handler is made for this.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = signals::handler();
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            libc::sigfillset(&mut action.sa_mask);
            libc::sigaction(libc::SIGUSR1, &action, std::ptr::null_mut());
        }
    });
}

/// Maps one to four pages somewhere and fills them with `words`.
fn map(words: &[u32], prot: Prot) -> u32 {
    start();
    let at = space()
        .mmap(&MapRequest {
            addr: 0,
            len: 0x4000,
            prot: RWX,
            flags: libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            fd: -1,
            offset: 0,
        })
        .unwrap();
    for (i, word) in words.iter().enumerate() {
        space().write(GuestAddr(at + 4 * i as u32), word).unwrap();
    }
    space().mprotect(at, 0x4000, prot).unwrap();
    at
}

fn machine(pc: u32) -> Box<dyn Machine> {
    new_machine(pc & !1, pc & 1 == 1, 0).unwrap()
}

const RX: Prot = Prot::READ.union(Prot::EXEC);

#[rustfmt::skip]
const LOOP: [u32; 5] = [
    0xe3a00000, // mov r0, #0
    0xe2800001, // 1: add r0, r0, #1
    0xe1500001, // cmp r0, r1
    0x1afffffc, // bne 1b
    0xef000003, // svc 3
];

#[test]
fn a_loop_runs_and_a_system_call_comes_out() {
    let at = map(&LOOP, RX);
    let mut m = machine(at);
    m.cpu().r[1] = 1_000_000;
    assert_eq!(m.run(), Event::Syscall { imm: 3 });
    assert_eq!((m.cpu().r[0], m.cpu().r[15]), (1_000_000, at + 20));
    assert_eq!(m.cpu().nzcv() >> 28, 6);
}

#[rustfmt::skip]
const CALLS: [u32; 14] = [
    0xe1a0400e, // mov r4, lr
    0xe3a00000, // mov r0, #0
    0xe3a05000, // mov r5, #0
    0xeb000004, // 2: bl f
    0xe2855001, // add r5, r5, #1
    0xe1550001, // cmp r5, r1
    0x1afffffb, // bne 2b
    0xe12fff36, // blx r6
    0xef000007, // svc 7
    0xe2800002, // f: add r0, r0, #2
    0xe12fff1e, // bx lr
    0x47702009, // (T32) movs r0, #9; bx lr
    0xe92d000f, // push {r0-r3}
    0xef000001, // svc 1
];

#[test]
fn calls_return_and_interwork() {
    let at = map(&CALLS, RX);
    let mut m = machine(at);
    for _ in 0..3 {
        m.cpu().r[1] = 100_000;
        m.cpu().r[6] = at + 0x2d;
        m.cpu().r[15] = at;
        assert_eq!(m.run(), Event::Syscall { imm: 7 });
        assert_eq!((m.cpu().r[0], m.cpu().r[5]), (9, 100_000));
    }
}

#[test]
fn a_return_to_the_sentinel_address_faults_there() {
    let at = map(&CALLS, RX);
    let mut m = machine(at + 0x24);
    m.cpu().r[14] = u32::MAX;
    let expected = Event::Fault {
        signo: libc::SIGSEGV,
        code: 1,
        addr: 0xffff_fffe,
        write: false,
    };
    assert_eq!(m.run(), expected);
    assert_eq!((m.cpu().r[0], m.cpu().r[15], m.cpu().thumb), (2, 0xffff_fffe, 1));
}

#[rustfmt::skip]
const FAULTS: [u32; 5] = [
    0xe7810002, // str r0, [r1, r2]
    0xef000001, // svc 1
    0xe5910004, // ldr r0, [r1, #4]
    0xe7f000f0, // udf #0
    0xe1200070, // bkpt #0
];

#[test]
fn faults_are_precise() {
    let at = map(&FAULTS, RX);
    let mut m = machine(at);
    m.cpu().r = std::array::from_fn(|i| 0x1000_0000 + i as u32);
    m.cpu().r[15] = at;
    m.cpu().r[1] = at + 0x1_0000;
    m.cpu().r[2] = 0u32.wrapping_sub(0x1_0000);
    let before = m.cpu().r;
    let fault = |code, addr, write| Event::Fault {
        signo: libc::SIGSEGV,
        code,
        addr,
        write,
    };
    assert_eq!(m.run(), fault(2, at, true), "the code page is not writable");
    assert_eq!(m.cpu().r, before);
    m.cpu().r[15] = at + 8;
    m.cpu().r[1] = 0xffff_fff8;
    assert_eq!(m.run(), fault(1, 0xffff_fffc, false));
    assert_eq!(m.cpu().r[15], at + 8);
    m.cpu().r[1] = 0xffff_fffe;
    assert_eq!(m.run(), fault(1, 2, false), "addresses wrap");
    m.cpu().r[15] = at + 12;
    assert_eq!(m.run(), Event::Undefined);
    assert_eq!(m.cpu().r[15], at + 12);
    m.cpu().r[15] = at + 16;
    assert_eq!(m.run(), Event::Breakpoint);
    m.cpu().r[15] = 0x1000;
    assert_eq!(m.run(), fault(1, 0x1000, false), "nothing mapped there");
    let data = map(&[], Prot::READ);
    m.cpu().r[15] = data;
    assert_eq!(m.run(), fault(2, data, false), "not executable");
    space().mprotect(data, 0x1000, RWX).unwrap();
    space().write(GuestAddr(data), &FAULTS[1]).unwrap();
    m.cpu().r[15] = data;
    assert_eq!(m.run(), Event::Syscall { imm: 1 }, "executable now");
    m.cpu().r[15] = at + 2;
    let misaligned = Event::Fault {
        signo: libc::SIGBUS,
        code: 1,
        addr: at + 2,
        write: false,
    };
    assert_eq!(m.run(), misaligned);
}

#[rustfmt::skip]
const COUNT: [u32; 5] = [
    0xe2800001, // 1: add r0, r0, #1
    0xe2822001, // add r2, r2, #1
    0xe2833001, // add r3, r3, #1
    0xe5813000, // str r3, [r1]
    0xeafffffa, // b 1b
];

/// What COUNT's registers are at each of its instructions, relative to its number of rounds.
fn check_count(m: &mut dyn Machine, at: u32, data: u32) {
    let word: u32 = space().read(GuestAddr(data)).unwrap();
    let cpu = m.cpu();
    let done = (cpu.r[15] - at) / 4;
    let n = cpu.r[0] - u32::from(done >= 1);
    let expected = [
        n + u32::from(done >= 1),
        n + u32::from(done >= 2),
        n + u32::from(done >= 3),
    ];
    assert_eq!([cpu.r[0], cpu.r[2], cpu.r[3]], expected, "at instruction {done}");
    assert_eq!(word, n + u32::from(done >= 4), "at instruction {done}");
}

fn open_mask() {
    // SAFETY: an empty set is valid; the thread's own mask.
    unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut none);
        libc::pthread_sigmask(libc::SIG_SETMASK, &none, std::ptr::null_mut());
    }
}

/// Runs `m`, which gets signals all the time, until `rounds` of them have come out; `check` looks at each.
fn under_signals(m: &mut dyn Machine, rounds: u32, mut check: impl FnMut(&mut dyn Machine, Event)) {
    open_mask();
    let stop = AtomicBool::new(false);
    // SAFETY: gettid has no preconditions.
    let (pid, tid) = unsafe { (libc::getpid(), libc::gettid()) };
    std::thread::scope(|s| {
        s.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                // SAFETY: tgkill has no memory preconditions; the handler is installed.
                unsafe { libc::syscall(libc::SYS_tgkill, pid, tid, libc::SIGUSR1) };
                std::thread::sleep(std::time::Duration::from_micros(20));
            }
        });
        let _stop = Stop(&stop);
        for _ in 0..rounds {
            let event = m.run();
            if event == Event::Interrupted {
                assert_eq!(m.cpu().pending, PENDING_SIGNAL);
                m.cpu().pending = 0;
            }
            check(m, event);
            open_mask();
        }
    });
    // One may have come since.
    m.cpu().pending = 0;
}

#[test]
fn signals_come_out_at_instruction_boundaries() {
    let at = map(&COUNT, RX);
    let data = map(&[], RWX);
    let mut m = machine(at);
    m.cpu().r[1] = data;
    let mut seen = [0; 5];
    under_signals(&mut *m, 3000, |m, event| {
        assert_eq!(event, Event::Interrupted);
        check_count(m, at, data);
        seen[((m.cpu().r[15] - at) / 4) as usize] += 1;
    });
    assert!(
        m.cpu().r[0] > 3000 && seen.iter().filter(|&&n| n > 0).count() > 1,
        "{seen:?}"
    );
}

#[rustfmt::skip]
const ASKS: [u32; 4] = [
    0xe2855001, // 1: add r5, r5, #1
    0xef000000, // svc 0
    0xe2866001, // add r6, r6, #1
    0xeafffffb, // b 1b
];

/// Counts calls of number 7777 in r0, by way of a host call that a signal may keep from being made.
fn count_calls(cpu: &mut CpuState) -> Outcome {
    if cpu.r[7] != 7777 {
        return Outcome::Refused;
    }
    // SAFETY: getpid takes no pointers.
    if unsafe { signals::syscall_interruptible(libc::SYS_getpid, [0; 6], cpu) } == -512 {
        return Outcome::Undone;
    }
    cpu.r[0] += 1;
    Outcome::Made
}

/// However signals fall, every call is made once, and the registers are those of an instruction boundary.
#[test]
fn system_calls_on_the_way_under_signals() {
    let at = map(&ASKS, RX);
    set_server(count_calls);
    let mut m = machine(at);
    m.cpu().r[7] = 7778;
    assert_eq!(m.run(), Event::Syscall { imm: 0 });
    assert_eq!((m.cpu().r[15], m.cpu().r[0]), (at + 8, 0));
    m.cpu().r[6] = 1;
    m.cpu().r[7] = 7777;
    m.cpu().r[15] = at;
    m.cpu().r[0] = 1;
    under_signals(&mut *m, 3000, |m, event| {
        let cpu = m.cpu();
        if matches!(event, Event::Undone | Event::Syscall { imm: 0 }) {
            assert_eq!(cpu.r[15], at + 8);
            cpu.r[15] = at + 4;
        } else {
            assert!(matches!(event, Event::Interrupted | Event::Served), "{event:?}");
            assert!(event == Event::Interrupted || cpu.r[15] == at + 8);
        }
        cpu.pending = 0;
        let [calls, before, after] = [cpu.r[0], cpu.r[5], cpu.r[6]];
        let ahead = match (cpu.r[15] - at) / 4 {
            1 => (1, 0),
            2 => (0, 1),
            _ => (0, 0),
        };
        assert_eq!(
            (before - calls, calls - after),
            ahead,
            "pc +{:#x}",
            cpu.r[15] - at
        );
    });
    assert!(m.cpu().r[0] > 3000);
}

#[rustfmt::skip]
const RUNS: [u32; 7] = [
    0xe1b05f80, // 1: lsls r5, r0, #31
    0x42844001, // addmi r4, r4, #1
    0x42866001, // addmi r6, r6, #1
    0x52822001, // addpl r2, r2, #1
    0x52833001, // addpl r3, r3, #1
    0xe2800001, // add r0, r0, #1
    0xeafffff8, // b 1b
];

/// A signal between two instructions under one condition: the second one's condition is tested when the thread comes
/// back, so its flag must be there, though nothing else reads it any more.
#[test]
fn signals_within_predicated_runs() {
    let at = map(&RUNS, RX);
    let mut m = machine(at);
    let mut seen = [0; 7];
    under_signals(&mut *m, 3000, |m, event| {
        assert_eq!(event, Event::Interrupted);
        let cpu = m.cpu();
        let done = (cpu.r[15] - at) / 4;
        let n = cpu.r[0] - u32::from(done == 6);
        let (odds, evens, odd) = (n / 2, n.div_ceil(2), n % 2 == 1);
        let expected = [
            odds + u32::from(odd && done >= 2),
            odds + u32::from(odd && done >= 3),
            evens + u32::from(!odd && done >= 4),
            evens + u32::from(!odd && done >= 5),
        ];
        assert_eq!(
            [cpu.r[4], cpu.r[6], cpu.r[2], cpu.r[3]],
            expected,
            "at instruction {done} of round {n}"
        );
        seen[done as usize] += 1;
    });
    assert!(seen.iter().filter(|&&n| n > 0).count() > 3, "{seen:?}");
}

#[rustfmt::skip]
const FAULT_IN_RUN: [u32; 4] = [
    0xe1b05f80, // lsls r5, r0, #31
    0x42222008, // eormi r2, r2, #8
    0x47810002, // strmi r0, [r1, r2]
    0xef000001, // svc 1
];

/// As above for a fault: the access is made once its page is there.
#[test]
fn faults_within_predicated_runs() {
    let at = map(&FAULT_IN_RUN, RX);
    let data = map(&[], RWX);
    let mut m = machine(at);
    (m.cpu().r[0], m.cpu().r[1], m.cpu().r[2]) = (3, 0, 0);
    let fault = Event::Fault {
        signo: libc::SIGSEGV,
        code: 1,
        addr: 8,
        write: true,
    };
    assert_eq!(m.run(), fault);
    assert_eq!((m.cpu().r[15], m.cpu().r[2]), (at + 8, 8));
    assert_eq!(
        m.cpu().nzcv() >> 31,
        1,
        "N is what the instruction is executed for"
    );
    m.cpu().r[1] = data;
    assert_eq!(m.run(), Event::Syscall { imm: 1 });
    assert_eq!(space().read::<u32>(GuestAddr(data + 8)), Ok(3));
}

/// q8 is all ones; r0 rounds give 3 * r0 in every lane of q9 and q10.
#[rustfmt::skip]
const COUNT_LANES: [u32; 6] = [
    0xf26228e0, // loop: vadd.i32 q9, q9, q8
    0xf26228e0, // vadd.i32 q9, q9, q8
    0xf26248e0, // vadd.i32 q10, q9, q8
    0xf26228e0, // vadd.i32 q9, q9, q8
    0xe2800001, // add r0, r0, #1
    0xeafffff9, // b loop
];

#[test]
fn registers_are_right_wherever_signals_come_out_of_vector_code() {
    let at = map(&COUNT_LANES, RX);
    let mut m = machine(at);
    m.cpu().d[16..18].fill(0x0000_0001_0000_0001);
    let mut seen = [0; 6];
    under_signals(&mut *m, 3000, |m, event| {
        assert_eq!(event, Event::Interrupted);
        let s = m.cpu();
        let index = ((s.r[15] - at) / 4) as usize;
        let lane = |d: usize| {
            let [lo, hi] = [s.d[d], s.d[d + 1]];
            assert!(lo == hi && lo as u32 == (lo >> 32) as u32, "{lo:x} {hi:x}");
            lo as u32
        };
        // What has been added since the last whole round, before each instruction.
        let (q9, q10) = [(0, 0), (1, 0), (2, 0), (2, 3), (3, 3), (0, 0)][index];
        assert_eq!(lane(18), 3 * s.r[0] + q9, "at {index}");
        assert_eq!(lane(20), 3 * s.r[0] + q10, "at {index}");
        seen[index] += 1;
    });
    assert!(m.cpu().r[0] > 3000, "{seen:?}");
}

#[test]
fn faults_and_calls_under_signals() {
    let at = map(&CALLS, RX);
    let mut m = machine(at);
    (m.cpu().r[1], m.cpu().r[6]) = (1000, at + 0x2d);
    let mut calls = 0;
    under_signals(&mut *m, 2000, |m, event| match event {
        Event::Interrupted => {}
        Event::Syscall { imm: 7 } => {
            assert_eq!((m.cpu().r[0], m.cpu().r[5]), (9, 1000));
            calls += 1;
            // To the store of four words below address 0, which faults.
            (m.cpu().r[13], m.cpu().r[15]) = (16, at + 0x30);
        }
        Event::Fault { addr, .. } => {
            assert!(addr < 16 && m.cpu().r[15] == at + 0x30 && m.cpu().r[13] == 16);
            (m.cpu().r[13], m.cpu().r[15]) = (0, at);
        }
        other => panic!("{other:?}"),
    });
    assert!(calls > 10);
}

#[rustfmt::skip]
const GENERATED: [u32; 5] = [
    0xe1a0500e, // mov r5, lr
    0xe12fff36, // blx r6
    0xef000001, // svc 1
    0xe3a00001, // gen: mov r0, #1
    0xe12fff1e, // bx lr
];

#[test]
fn changed_code_is_seen_after_a_flush_and_watched_writes_at_once() {
    let at = map(&GENERATED, RWX);
    let mut m = machine(at);
    let call = |m: &mut dyn Machine| {
        m.cpu().r[6] = at + 12;
        m.cpu().r[15] = at;
        assert_eq!(m.run(), Event::Syscall { imm: 1 });
        m.cpu().r[0]
    };
    assert_eq!(call(&mut *m), 1);
    for i in 2..10u32 {
        // The write faults, for the page is watched, and takes the translation away.
        space().write(GuestAddr(at + 12), &(0xe3a0_0000 | i)).unwrap();
        assert_eq!(call(&mut *m), i);
    }
    for i in 10..200u32 {
        space().write(GuestAddr(at + 12), &(0xe3a0_0000 | i)).unwrap();
        m.flush_code(at + 12, at + 16);
        assert_eq!(call(&mut *m), i);
    }
    // A mapping change takes translations away as well.
    space().mprotect(at, 0x1000, Prot::READ).unwrap();
    m.cpu().r[15] = at;
    assert!(matches!(m.run(), Event::Fault { code: 2, .. }));
}

#[rustfmt::skip]
const FLOAT: [u32; 6] = [
    0xee800a81, // vdiv.f32 s0, s1, s2
    0xeef10a10, // vmrs r0, fpscr
    0xef000002, // svc 2
    0xeeb40b41, // vcmp.f64 d0, d1
    0xeef1fa10, // vmrs APSR_nzcv, fpscr
    0xef000002, // svc 2
];

#[test]
fn invalid_operations_are_settled_in_place_and_then_in_software() {
    let at = map(&FLOAT, RX);
    let mut m = machine(at);
    for round in 0..20 {
        m.set_fpscr(0);
        let cpu = m.cpu();
        cpu.set_s(1, 0);
        cpu.set_s(2, 0);
        cpu.r[15] = at;
        assert_eq!(m.run(), Event::Syscall { imm: 2 });
        // 0/0: ARM's default NaN is positive (Arm ARM, FPProcessNaN and FPDefaultNaN), and IOC is set.
        assert_eq!(
            (m.cpu().s(0), m.cpu().r[0] & 0x9f),
            (0x7fc0_0000, 1),
            "round {round}"
        );
        assert_eq!(m.fpscr() & 0x9f, 1);
    }
    m.set_fpscr(0);
    m.cpu().set_s(1, 1f32.to_bits());
    m.cpu().set_s(2, 3f32.to_bits());
    m.cpu().r[15] = at;
    assert_eq!(m.run(), Event::Syscall { imm: 2 });
    assert_eq!((m.cpu().s(0), m.fpscr() & 0x9f), ((1f32 / 3.0).to_bits(), 0x10));
    // Round up: the other neighbour.
    m.set_fpscr(1 << 22);
    m.cpu().r[15] = at;
    assert_eq!(m.run(), Event::Syscall { imm: 2 });
    assert_eq!(m.cpu().s(0), 0x3eaa_aaab);
    m.set_fpscr(2 << 22);
    m.cpu().r[15] = at;
    assert_eq!(m.run(), Event::Syscall { imm: 2 });
    assert_eq!(m.cpu().s(0), 0x3eaa_aaaa);
    // Flush-to-zero: a denormal operand counts as zero and sets IDC, so this divides by zero.
    m.set_fpscr(1 << 24);
    m.cpu().set_s(2, 1);
    m.cpu().r[15] = at;
    assert_eq!(m.run(), Event::Syscall { imm: 2 });
    assert_eq!((m.cpu().s(0), m.fpscr() & 0x9f), (f32::INFINITY.to_bits(), 0x82));
}

#[test]
fn comparisons_settle_too() {
    let at = map(&FLOAT, RX);
    let mut m = machine(at);
    // A signalling NaN: unordered (C and V), IOC.
    for _ in 0..10 {
        m.set_fpscr(0);
        (m.cpu().d[0], m.cpu().d[1]) = (0x7ff0_0000_0000_0001, 0);
        m.cpu().r[15] = at + 12;
        assert_eq!(m.run(), Event::Syscall { imm: 2 });
        assert_eq!((m.cpu().nzcv() >> 28, m.fpscr() & 0x9f), (3, 1));
    }
    (m.cpu().d[0], m.cpu().d[1]) = (1f64.to_bits(), 2f64.to_bits());
    m.cpu().r[15] = at + 12;
    assert_eq!(m.run(), Event::Syscall { imm: 2 });
    assert_eq!(m.cpu().nzcv() >> 28, 8);
}

#[rustfmt::skip]
const IT_BLOCKS: [u32; 6] = [
    0xbf042800, // cmp r0, #0; itt eq
    0x3101df05, // svceq 5; addeq r1, #1
    0xbf16df06, // svc 6; itet ne
    0x3104de01, // udfne 1; addeq r1, #4
    0xdf073102, // addne r1, #2; svc 7
    0,
];

#[test]
fn leaving_in_the_middle_of_an_it_block() {
    let at = map(&IT_BLOCKS, RX);
    let mut m = machine(at | 1);
    assert_eq!(m.run(), Event::Syscall { imm: 5 });
    // The rest of the block is the last instruction, under EQ.
    assert_eq!((m.cpu().r[15], m.cpu().it), (at + 6, 0x08));
    assert_eq!(m.run(), Event::Syscall { imm: 6 });
    assert_eq!((m.cpu().r[1], m.cpu().it), (1, 0));
    assert_eq!(
        m.run(),
        Event::Syscall { imm: 7 },
        "the undefined instruction is skipped"
    );
    assert_eq!(m.cpu().r[1], 5);
    (m.cpu().r[0], m.cpu().r[15]) = (1, at);
    assert_eq!(m.run(), Event::Syscall { imm: 6 });
    assert_eq!(m.run(), Event::Undefined);
    assert_eq!((m.cpu().r[15], m.cpu().it), (at + 12, 0x16));
}

#[test]
fn threads_run_while_code_is_rewritten() {
    let at = map(&GENERATED, RWX);
    let mut first = machine(at);
    let stop = AtomicBool::new(false);
    std::thread::scope(|s| {
        for _ in 0..2 {
            let mut m = first.fork_thread().unwrap();
            let stop = &stop;
            s.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    m.cpu().r[6] = at + 12;
                    m.cpu().r[15] = at;
                    assert_eq!(m.run(), Event::Syscall { imm: 1 });
                    assert!(m.cpu().r[0] < 256);
                }
            });
        }
        let _stop = Stop(&stop);
        for i in 0..3000u32 {
            space()
                .write(GuestAddr(at + 12), &(0xe3a0_0000 | i & 255))
                .unwrap();
            first.flush_code(at + 12, at + 16);
            first.cpu().r[6] = at + 12;
            first.cpu().r[15] = at;
            assert_eq!(first.run(), Event::Syscall { imm: 1 });
            assert_eq!(first.cpu().r[0], i & 255);
        }
    });
}

#[test]
fn a_child_of_fork_has_code_of_its_own() {
    let at = map(&CALLS, RX);
    let mut m = machine(at);
    let call = |m: &mut dyn Machine| {
        (m.cpu().r[1], m.cpu().r[6], m.cpu().r[15]) = (5, at + 0x2d, at);
        m.run() == Event::Syscall { imm: 7 } && m.cpu().r[0] == 9
    };
    assert!(call(&mut *m));
    m.before_fork(true);
    // SAFETY: the child runs translated code and leaves by _exit; the translator's locks are held over the fork.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        m.after_fork_child();
        let ok = call(&mut *m) && call(&mut *m);
        // SAFETY: ends the child without running the test harness in it.
        unsafe { libc::_exit(if ok { 7 } else { 1 }) };
    }
    m.after_fork_parent();
    assert!(call(&mut *m));
    let mut status = 0;
    // SAFETY: `status` is valid for the write; the child is ours.
    unsafe { libc::waitpid(pid, &mut status, 0) };
    assert!(
        libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 7,
        "{status:#x}"
    );
}

/// Blocks of a branch alone, to itself or in a ring: signals come out all the same.
#[test]
fn loops_of_branches_can_be_interrupted() {
    #[rustfmt::skip]
    let ring = map(&[
        0xe12fff1e, // bx lr
        0xe1a0f004, // mov pc, r4
        0xeafffffd, // b .-4
        0xe12fff35, // blx r5
    ], RX);
    for (pc, lr, r4) in [
        (ring, ring, 0),
        (ring, ring + 4, ring),
        (ring + 8, ring + 8, ring + 8),
        (ring + 12, 0, 0),
    ] {
        let mut m = machine(pc);
        (m.cpu().r[14], m.cpu().r[4], m.cpu().r[5]) = (lr, r4, pc);
        under_signals(&mut *m, 50, |m, event| {
            assert_eq!(event, Event::Interrupted);
            assert!((ring..ring + 16).contains(&m.cpu().r[15]));
        });
    }
}

/// UNPREDICTABLE, found by random words: MOVT to the pc leaves it alone.
#[test]
fn movt_to_the_pc_does_nothing() {
    #[rustfmt::skip]
    let at = map(&[
        0xe340f001, // movt pc, #1
        0xef000001, // svc 1
        0x0f01f2c0, // (T32) movt pc, #1
        0xdf01df01, // (T32) svc 1
    ], RX);
    for (pc, after) in [(at, at + 8), (at + 9, at + 14)] {
        let mut m = machine(pc);
        assert_eq!(m.run(), Event::Syscall { imm: 1 });
        assert_eq!(m.cpu().r[15], after);
    }
}

/// What is in a host register when an operation goes to software stays there. (It did not: a 64-bit result stood in
/// for a 32-bit address, found by random words.)
#[test]
fn software_on_a_cold_path_keeps_every_register() {
    #[rustfmt::skip]
    let at = map(&[
        0xe5848000, // str r8, [r4]
        0xe5849000, // str r9, [r4]
        0xe584a000, // str r10, [r4]
        0xeea10b02, // vfma.f64 d0, d1, d2
        0xe1a01008, // mov r1, r8
        0xe1a02009, // mov r2, r9
        0xe1a0300a, // mov r3, r10
        0xef000001, // svc 1
        0xe5848000, // str r8, [r4]
        0xe5849000, // str r9, [r4]
        0xe584a000, // str r10, [r4]
        0xeebc3bc1, // vcvt.u32.f64 s6, d1
        0xe1a01008, // mov r1, r8
        0xe1a02009, // mov r2, r9
        0xe1a0300a, // mov r3, r10
        0xef000001, // svc 1
    ], RX);
    let data = map(&[], RWX);
    for pc in [at, at + 32] {
        let mut m = machine(pc);
        m.cpu().r[4] = data;
        m.cpu().r[8..11].copy_from_slice(&[1, 2, 3]);
        m.cpu().d[1] = 0x7ff8_0000_0000_0001;
        assert_eq!(m.run(), Event::Syscall { imm: 1 });
        assert_eq!(m.cpu().r[1..4], [1, 2, 3]);
        assert_eq!(m.cpu().d[0], if pc == at { 0x7ff8_0000_0000_0001 } else { 0 });
    }
}
