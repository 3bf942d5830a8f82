//! Under limits. Of the address space: no reservation of the guest's window, a smaller arena, the hashed jump table. And
//! under limits so small that nothing can run: then the program ends with one line.

use emu::exec::machine::Event;
use emu::exec::{ExecConfig, new_machine};
use emu::mem::{GuestAddr, MapRequest, Prot, Space, SpaceConfig, space};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

#[test]
fn indirect_branches_through_the_hashed_table() {
    let limit = libc::rlimit {
        rlim_cur: 2 << 30,
        rlim_max: libc::RLIM_INFINITY,
    };
    // SAFETY: `limit` is valid; the other tests of this process undo it in what they start.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &limit) }, 0);
    Space::init(&SpaceConfig::default()).unwrap();
    emu::exec::init(&ExecConfig::new(emu::cpu::model::Model::max())).unwrap();
    let request = MapRequest {
        addr: 0,
        len: 0x40000,
        prot: Prot::READ | Prot::WRITE | Prot::EXEC,
        flags: libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
        fd: -1,
        offset: 0,
    };
    let at = space().mmap(&request).unwrap();
    #[rustfmt::skip]
    let words: [u32; 7] = [
        0xe1a0500e, // mov r5, lr
        0xe12fff36, // 1: blx r6
        0xe2866802, // add r6, r6, #0x20000
        0xe12fff36, // blx r6
        0xe2577001, // subs r7, r7, #1
        0x1afffffa, // bne 1b (r6 is back where it was)
        0xef000001, // svc 1
    ];
    for (i, word) in words.iter().enumerate() {
        space().write(GuestAddr(at + 4 * i as u32), word).unwrap();
    }
    // Two functions at the same index of the hash: they evict each other.
    for (offset, add) in [(0x1000, 0xe2800001u32), (0x21000, 0xe2466802)] {
        space().write(GuestAddr(at + offset), &add).unwrap();
        space()
            .write(GuestAddr(at + offset + 4), &0xe280_0001u32)
            .unwrap();
        space()
            .write(GuestAddr(at + offset + 8), &0xe12f_ff1eu32)
            .unwrap();
    }
    let mut m = new_machine(at, false, 0).unwrap();
    (m.cpu().r[6], m.cpu().r[7]) = (at + 0x1000, 5000);
    assert_eq!(m.run(), Event::Syscall { imm: 1 });
    assert_eq!((m.cpu().r[0], m.cpu().r[6]), (15_000, at + 0x1000));
}

/// How `emu` ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    /// The kernel or the C library's start-up ended it by SIGSEGV before the first instruction of `emu`, as they end a
    /// native program.
    BeforeStart,
    /// One line of `emu`'s and status 126.
    OneLine,
    Works,
}

/// Runs a small guest after `ulimit LIMIT`.
fn under(limit: &str) -> End {
    let guest = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/armel/arm");
    let output = Command::new("sh")
        .args([
            "-c",
            &format!("ulimit -S -v unlimited; ulimit {limit}; exec \"$@\"",),
            "sh",
        ])
        .args([env!("CARGO_BIN_EXE_emu"), guest])
        // Arguments and environment lie on the stack.
        .env_clear()
        .stdin(Stdio::null())
        .output()
        .expect("sh starts");
    let (text, errors) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    match (output.status.code(), output.status.signal()) {
        (Some(0), _) if text == "ok\n" && errors.is_empty() => End::Works,
        (Some(126), _) if text.is_empty() && errors.starts_with("emu: ") && errors.lines().count() == 1 => {
            End::OneLine
        }
        (None, Some(libc::SIGSEGV | libc::SIGKILL)) if text.is_empty() && errors.is_empty() => {
            End::BeforeStart
        }
        _ => panic!("ulimit {limit}: {}\n{text}{errors}", output.status),
    }
}

/// Tries the limits in their order. Returns the smallest from which on `emu` always starts, and the smallest from which on
/// the guest always works (0 if the largest does not). The kernel places stacks and mappings at random, so that a limit
/// near either may do one time and not the next.
fn growing(option: &str, limits: impl Iterator<Item = u32>) -> (u32, u32) {
    let (mut starts, mut works) = (0, 0);
    for limit in limits {
        let end = under(&format!("{option} {limit}"));
        for (from, reached) in [
            (&mut starts, end != End::BeforeStart),
            (&mut works, end == End::Works),
        ] {
            match (reached, *from) {
                (false, _) => *from = 0,
                (true, 0) => *from = limit.max(1),
                (true, _) => {}
            }
        }
    }
    (starts, works)
}

#[test]
fn small_address_spaces() {
    let (starts, works) = growing("-v", (1..=24).map(|n| 2500 * n));
    assert!(
        starts > 0 && starts < works && works <= 60_000,
        "{starts} {works}"
    );
}

#[test]
fn small_data_segments() {
    let (starts, works) = growing(
        "-d",
        [0, 100, 500, 1000, 2000, 5000, 10_000, 20_000, 30_000].into_iter(),
    );
    assert!(
        starts > 100 && starts <= 1000 && works <= 30_000,
        "{starts} {works}"
    );
}

/// The guest's stack is small then; the emulator takes one of its own. The kernel moves a new program's stack pointer by
/// up to 8 KiB at random (`arch_align_stack`), so that a native program does not always start with less than 16 KiB.
#[test]
fn small_stacks() {
    let (_, works) = growing("-s", [0, 4, 8, 12, 16, 24, 32, 64, 128].into_iter());
    assert!((1..=24).contains(&works), "{works}");
}
