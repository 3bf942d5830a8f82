//! Every load and store form, with every register at one of the window's edges: a fault of the guest's, never an access
//! outside its window.

use emu::cpu::model::{Features, Model};
use emu::exec::machine::{Event, Machine};
use emu::exec::{self, ExecConfig};
use emu::isa::generate::{Rng, encoding};
use emu::isa::pattern::Row;
use emu::isa::{a32, t32};
use emu::mem::{GuestAddr, MapRequest, Prot, Space, SpaceConfig, TASK_SIZE, WindowPlace, space};
use std::collections::BTreeMap;

/// Values for registers. Nothing is mapped where sums of shifted ones of them lead.
const EDGES: [u32; 22] = [
    0,
    1,
    2,
    3,
    4,
    7,
    8,
    0x3c,
    0x40,
    0xfff,
    0x7fff_ffff,
    0x8000_0000,
    TASK_SIZE,
    TASK_SIZE + 4,
    0xffff_ff00,
    0xffff_fff0,
    0xffff_fff8,
    0xffff_fffb,
    0xffff_fffc,
    0xffff_fffd,
    0xffff_fffe,
    0xffff_ffff,
];

/// A page of code that no sum of edges meets.
const CODE: u32 = 0x2345_6000;
/// Encodings of each row.
const ENCODINGS: u32 = 300;

/// Beginnings of the mnemonics that access memory; a preload does not fault.
const ACCESSES: [&str; 12] = [
    "ldr", "str", "ldm", "stm", "push", "pop", "vld", "vst", "swp", "lda", "stl", "tb",
];

fn is_access(row: &Row) -> bool {
    ACCESSES.iter().any(|name| row.name.starts_with(name))
}

fn map(addr: u32, prot: Prot) {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
    let request = MapRequest {
        addr,
        len: 0x1000,
        prot,
        flags,
        fd: -1,
        offset: 0,
    };
    space().mmap(&request).expect("guest memory");
}

/// The three kinds of window, and the first with what can be interpreted interpreted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Window {
    Reserved,
    Unreserved,
    Based,
    Interpreted,
}

/// Runs `test` in a child with a window of its own.
fn in_child(window: Window, test: fn(&mut dyn Machine)) {
    // SAFETY: the child never returns from the block.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        let done = std::panic::catch_unwind(|| {
            let config = SpaceConfig {
                reserve: window != Window::Unreserved,
                place: match window {
                    Window::Based => WindowPlace::Anywhere,
                    _ => WindowPlace::default(),
                },
                ..SpaceConfig::default()
            };
            Space::init(&config).expect("a window");
            let config = ExecConfig {
                interpret: if window == Window::Interpreted {
                    u32::MAX
                } else {
                    0
                },
                ..ExecConfig::new(Model::max())
            };
            exec::init(&config).expect("execution");
            let mut machine = exec::new_machine(CODE, false, 0).expect("a processor");
            test(&mut *machine);
        });
        // SAFETY: ends the child.
        unsafe { libc::_exit(if done.is_ok() { 0 } else { 101 }) };
    }
    let mut status = 0;
    // SAFETY: waits for the child made above.
    unsafe { libc::waitpid(pid, &mut status, 0) };
    assert_eq!(
        status, 0,
        "the child's wait status; its messages are above (--nocapture)"
    );
}

/// A host page that no guest may change: just behind the guard, or behind the window where there is none, or the guard's
/// last page where something else may lie behind it.
fn canary() -> &'static mut [u8] {
    let (at, fixed) = match (space().base(), space().is_reserved()) {
        (0, true) => (2u64 << 32, libc::MAP_FIXED_NOREPLACE),
        (0, false) => (3 << 31, libc::MAP_FIXED_NOREPLACE),
        (base, _) => (base + (2 << 32) - 4096, libc::MAP_FIXED),
    };
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | fixed;
    // SAFETY: a new mapping where nothing was, or in the guard, which stays for the life of the process.
    unsafe {
        let prot = libc::PROT_READ | libc::PROT_WRITE;
        let p = libc::mmap(at as *mut libc::c_void, 4096, prot, flags, -1, 0);
        assert_eq!(p as u64, at, "a canary page");
        std::slice::from_raw_parts_mut(at as *mut u8, 4096)
    }
}

/// The instruction, then `svc 0`.
fn place(machine: &mut dyn Machine, at: u32, word: u32, thumb: bool, narrow: bool) {
    let bytes = match (thumb, narrow) {
        (false, _) => [word.to_le_bytes(), 0xef00_0000u32.to_le_bytes()].concat(),
        (true, true) => [word as u16, 0xdf00]
            .iter()
            .flat_map(|h| h.to_le_bytes())
            .collect(),
        (true, false) => {
            let halves = [(word >> 16) as u16, word as u16, 0xdf00];
            halves.iter().flat_map(|h| h.to_le_bytes()).collect()
        }
    };
    space().write_bytes(GuestAddr(at), &bytes).expect("the code page");
    machine.flush_code(at, at + 8);
    let cpu = machine.cpu();
    (cpu.r[15], cpu.thumb, cpu.it) = (at, u8::from(thumb), 0);
}

/// Whether an encoding may end well: it is relative to the pc, or an exclusive store without a monitor.
fn may_complete(row: &Row, word: u32, wide: bool) -> bool {
    let pc_relative = if wide {
        word >> 16 & 15 == 15 || word & 15 == 15
    } else {
        word >> 11 == 0b01001
    };
    pc_relative || row.name.starts_with("strex") || row.name.starts_with("stlex")
}

fn every_form(machine: &mut dyn Machine) {
    map(CODE, Prot::all());
    let canary = canary();
    canary.fill(0xa5);
    let mut rng = Rng(4);
    // Of each form: encodings that are defined and must fault somehow, and those that did with SIGSEGV.
    let mut faults: BTreeMap<(bool, &str, &str), (u32, u32)> = BTreeMap::new();
    for (thumb, rows) in [(false, a32::rows()), (true, t32::rows())] {
        for row in rows.iter().filter(|row| is_access(row)) {
            let seen = faults.entry((thumb, row.name, row.pattern)).or_default();
            for _ in 0..ENCODINGS {
                let mut word = encoding(row, &mut rng);
                if row.conditional {
                    word = word & 0x0fff_ffff | 0xe000_0000;
                }
                let narrow = thumb && row.is_narrow();
                let found = if thumb {
                    t32::find(word, !narrow, Features::all())
                } else {
                    a32::find(word, Features::all())
                };
                if found.is_none_or(|i| !std::ptr::eq(&rows[i], row)) {
                    continue;
                }
                place(machine, CODE, word, thumb, narrow);
                for r in &mut machine.cpu().r[..15] {
                    *r = EDGES[rng.below(EDGES.len() as u32) as usize];
                }
                let before = machine.cpu().r;
                let event = machine.run();
                seen.0 += u32::from(event != Event::Undefined && !may_complete(row, word, !narrow));
                match event {
                    Event::Fault {
                        signo: libc::SIGSEGV,
                        addr,
                        code,
                        ..
                    } => {
                        // A branch by table or a load to the pc gets to an address where nothing is: same thing.
                        let prot = space().prot(GuestAddr(addr));
                        assert!(code == 1 && prot.is_none() || code == 2 && prot.is_some());
                        seen.1 += 1;
                    }
                    Event::Fault { signo, .. } => assert_eq!(signo, libc::SIGBUS),
                    Event::Undefined => {}
                    event => assert!(
                        event == Event::Syscall { imm: 0 } && may_complete(row, word, !narrow),
                        "{} {word:#010x} with {before:x?}: {event:x?}",
                        row.name
                    ),
                }
                assert_eq!(machine.cpu().pending, 0);
            }
        }
    }
    assert!(
        canary.iter().all(|&byte| byte == 0xa5),
        "a canary page has changed"
    );
    for ((thumb, name, pattern), (defined, n)) in &faults {
        assert!(
            *n > 0 || *defined == 0,
            "{name} {pattern} (thumb {thumb}) has not faulted once"
        );
    }
    let defined = faults.values().filter(|(defined, _)| *defined > 0).count();
    assert!(defined > 100, "{defined} of {} forms", faults.len());
}

#[test]
fn every_form_at_the_edges() {
    in_child(Window::Reserved, every_form);
    in_child(Window::Interpreted, every_form);
}

#[test]
fn every_form_at_the_edges_of_an_unreserved_window() {
    in_child(Window::Unreserved, every_form);
}

#[test]
fn every_form_at_the_edges_of_a_window_elsewhere() {
    in_child(Window::Based, every_form);
}

/// Accesses and code across the ends of what can be mapped, both mapped.
fn across_the_ends(machine: &mut dyn Machine) {
    let (low, top) = (space().lowest(), TASK_SIZE - 0x1000);
    for at in [low, top, CODE] {
        map(at, Prot::all());
    }
    // (text, A32 word, r1, what is the fault's address)
    #[rustfmt::skip]
    let cases: [(&str, u32, u32, u32); 20] = [
        ("ldr r0, [r1]",            0xe591_0000, TASK_SIZE - 2,  TASK_SIZE),
        ("ldr r0, [r1, #4]",        0xe591_0004, TASK_SIZE - 4,  TASK_SIZE),
        ("strh r0, [r1]",           0xe1c1_00b0, TASK_SIZE - 1,  TASK_SIZE),
        ("ldrd r2, [r1]",           0xe1c1_20d0, TASK_SIZE - 4,  TASK_SIZE),
        ("strd r2, [r1]",           0xe1c1_20f0, TASK_SIZE - 4,  TASK_SIZE),
        ("ldmia r1, {r2-r5}",       0xe891_003c, TASK_SIZE - 8,  TASK_SIZE),
        ("stmia r1, {r2-r5}",       0xe881_003c, TASK_SIZE - 8,  TASK_SIZE),
        ("stmib r1, {r2-r5}",       0xe981_003c, TASK_SIZE - 8,  TASK_SIZE),
        ("vldmia r1, {d0-d3}",      0xec91_0b08, TASK_SIZE - 24, TASK_SIZE),
        ("vstmia r1, {d0-d3}",      0xec81_0b08, TASK_SIZE - 24, TASK_SIZE),
        ("vldr d0, [r1, #1020]",    0xed91_0bff, TASK_SIZE - 1020, TASK_SIZE),
        ("ldr r0, [r1, #-4]",       0xe511_0004, 0,              0xffff_fffc),
        ("ldr r0, [r1, #-4095]",    0xe511_0fff, 0,              0xffff_f001),
        ("ldr r0, [r1, #4095]",     0xe591_0fff, u32::MAX,       0xffe),
        ("ldmdb r1, {r2-r5}",       0xe911_003c, 0,              0xffff_fff0),
        ("stmdb r1, {r2-r5}",       0xe901_003c, 8,              0xffff_fff8),
        ("stmda r1!, {r2-r5}",      0xe821_003c, 4,              0xffff_fff8),
        ("ldr r0, [r1, r1]",        0xe791_0001, 0x8000_0000,    0),
        ("str r0, [r1, r1, lsl #3]", 0xe781_0181, 0xffff_fffc,   0xffff_ffdc),
        ("ldr r0, [r1, -r1, lsl #2]", 0xe711_0101, 4,            0xffff_fff4),
    ];
    for (text, word, r1, want) in cases {
        place(machine, CODE, word, false, false);
        machine.cpu().r[1] = r1;
        let before = machine.cpu().r;
        let event = machine.run();
        assert!(
            matches!(event, Event::Fault { signo: libc::SIGSEGV, code: 1, addr, .. } if addr == want),
            "{text} with r1 {r1:#x}: {event:x?}"
        );
        // The base and the pc are as they were.
        assert_eq!(
            (machine.cpu().r[1], machine.cpu().r[15]),
            (before[1], CODE),
            "{text}"
        );
    }
    let fetch = |machine: &mut dyn Machine, pc: u32, thumb: bool, addr: u32| {
        let cpu = machine.cpu();
        (cpu.r[15], cpu.thumb, cpu.it) = (pc, u8::from(thumb), 0);
        let want = Event::Fault {
            signo: libc::SIGSEGV,
            code: 1,
            addr,
            write: false,
        };
        assert_eq!(machine.run(), want, "pc {pc:#x}");
        machine.cpu().r[15]
    };
    // Off the end: mov r0, r0; then a T32 instruction of four bytes, half of it there.
    place(machine, TASK_SIZE - 8, 0xe1a0_0000, false, false);
    space()
        .write(GuestAddr(TASK_SIZE - 4), &0xe1a0_0000u32)
        .expect("mapped");
    machine.flush_code(top, TASK_SIZE);
    assert_eq!(fetch(machine, TASK_SIZE - 8, false, TASK_SIZE), TASK_SIZE);
    space()
        .write(GuestAddr(TASK_SIZE - 2), &0xf3afu16)
        .expect("mapped");
    machine.flush_code(top, TASK_SIZE);
    assert_eq!(fetch(machine, TASK_SIZE - 2, true, TASK_SIZE), TASK_SIZE - 2);
    for (pc, thumb) in [
        (0, false),
        (0, true),
        (2, true),
        (u32::MAX - 3, false),
        (u32::MAX - 1, true),
    ] {
        assert_eq!(fetch(machine, pc, thumb, pc), pc);
    }
    // Branches over the ends: b .-0x2000 at the start, b .+0x2000 at the end.
    place(machine, low, 0xeaff_f7fe, false, false);
    let target = low.wrapping_sub(0x2000);
    assert_eq!(fetch(machine, low, false, target), target);
    place(machine, TASK_SIZE - 8, 0xea00_07fe, false, false);
    assert_eq!(fetch(machine, TASK_SIZE - 8, false, 0xff8), 0xff8);
    // Literals over the ends: ldr r0, [pc, #-4095] and #4095.
    place(machine, low, 0xe51f_0fff, false, false);
    let event = machine.run();
    let want = (low + 8).wrapping_sub(4095);
    assert!(
        matches!(event, Event::Fault { addr, .. } if addr == want),
        "{event:x?}"
    );
    place(machine, TASK_SIZE - 16, 0xe59f_0fff, false, false);
    let event = machine.run();
    assert!(
        matches!(
            event,
            Event::Fault {
                addr: 0xffff_fff7,
                ..
            }
        ),
        "{event:x?}"
    );
}

#[test]
fn accesses_and_code_across_the_ends() {
    in_child(Window::Reserved, across_the_ends);
    in_child(Window::Interpreted, across_the_ends);
}

#[test]
fn accesses_and_code_across_the_ends_of_an_unreserved_window() {
    in_child(Window::Unreserved, across_the_ends);
}

#[test]
fn accesses_and_code_across_the_ends_of_a_window_elsewhere() {
    in_child(Window::Based, across_the_ends);
}

/// An open monitor lets an exclusive store fault, whatever the size and the edge.
fn exclusives(machine: &mut dyn Machine) {
    map(CODE, Prot::all());
    map(TASK_SIZE - 0x1000, Prot::READ);
    #[rustfmt::skip]
    let pairs = [
        ("word",   0xe191_0f9fu32, 0xe181_2f90u32, 4),
        ("byte",   0xe1d1_0f9f,    0xe1c1_2f90,    1),
        ("half",   0xe1f1_0f9f,    0xe1e1_2f90,    2),
        ("double", 0xe1b1_4f9f,    0xe1a1_2f94,    8),
    ];
    for (name, load, store, size) in pairs {
        // The last cell before the end can be loaded; to store there faults, as the page is read-only.
        place(machine, CODE, load, false, false);
        space().write(GuestAddr(CODE + 4), &store).expect("mapped");
        machine.flush_code(CODE, CODE + 8);
        machine.cpu().r[1] = TASK_SIZE - size;
        let event = machine.run();
        let want = Event::Fault {
            signo: libc::SIGSEGV,
            code: 2,
            addr: TASK_SIZE - size,
            write: true,
        };
        assert_eq!((event, machine.cpu().r[15]), (want, CODE + 4), "{name}");
        for at in [TASK_SIZE, 0, 0u32.wrapping_sub(size)] {
            machine.cpu().r[1] = at;
            machine.cpu().r[15] = CODE;
            let event = machine.run();
            assert!(
                matches!(event, Event::Fault { signo: libc::SIGSEGV, code: 1, addr, .. } if addr == at),
                "{name} at {at:#x}: {event:x?}"
            );
        }
    }
}

#[test]
fn exclusives_at_the_ends() {
    in_child(Window::Reserved, exclusives);
    in_child(Window::Based, exclusives);
    in_child(Window::Interpreted, exclusives);
}
