//! What must hold against a hostile guest or file: the filter is in place, nothing the guest does reaches past its
//! window, and broken files end in one line.

mod host_state;

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures")
        .join(name)
}

fn scratch(name: &str, content: &[u8]) -> PathBuf {
    let path = std::env::temp_dir().join(format!("emu-security-{name}-{}", std::process::id()));
    std::fs::write(&path, content).expect("a scratch file");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("its mode");
    path
}

fn run(program: &std::path::Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_emu"));
    command
        .arg(program)
        .stdin(Stdio::null())
        .output()
        .expect("emu starts")
}

/// A static ARM program of one page at 0x10000 that executes `code`.
fn program(code: &[u32]) -> Vec<u8> {
    const BASE: u32 = 0x1_0000;
    const HEADERS: u32 = 52 + 32;
    let size = HEADERS + 4 * code.len() as u32;
    let mut out = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    out.extend([2u16, 40].iter().flat_map(|v| v.to_le_bytes()));
    // Version, entry, program headers' place, no sections, EABI 5.
    out.extend(
        [1u32, BASE + HEADERS, 52, 0, 0x0500_0000]
            .iter()
            .flat_map(|v| v.to_le_bytes()),
    );
    out.extend([52u16, 32, 1, 40, 0, 0].iter().flat_map(|v| v.to_le_bytes()));
    // PT_LOAD, read and execute.
    out.extend(
        [1, 0, BASE, BASE, size, size, 5, 0x1000]
            .iter()
            .flat_map(|v: &u32| v.to_le_bytes()),
    );
    out.extend(code.iter().flat_map(|v| v.to_le_bytes()));
    out
}

/// `ldr r0, =value` with the value in the instruction stream, for register `rd`.
fn load(rd: u32, value: u32) -> [u32; 3] {
    // ldr rd, [pc]; b over the word; the word.
    [0xe59f_0000 | rd << 12, 0xea00_0000, value]
}

const EXIT_0: [u32; 3] = [0xe3a0_0000, 0xe3a0_7001, 0xef00_0000];

#[test]
fn a_program_made_here_runs() {
    let path = scratch("plain", &program(&EXIT_0));
    assert_eq!(run(&path).status.code(), Some(0));
    std::fs::remove_file(path).expect("removed");
}

/// Every load and store form at addresses where no guest memory is, register offsets that would leave 32 bits
/// included: SIGSEGV, never anything else.
#[test]
fn accesses_outside_the_guest_fault() {
    // r1 is the base, r2 the offset.
    #[rustfmt::skip]
    let forms: [(&str, u32); 12] = [
        ("ldr r0, [r1, r2]",         0xe791_0002),
        ("str r0, [r1, r2]",         0xe781_0002),
        ("ldr r0, [r1, -r2]",        0xe711_0002),
        ("str r0, [r1, r2, lsl #4]", 0xe781_0202),
        ("ldrb r0, [r1, #4095]",     0xe5d1_0fff),
        ("strh r0, [r1, r2]",        0xe181_00b2),
        ("ldrsh r0, [r1, -r2]",      0xe111_00f2),
        ("ldrd r4, [r1, r2]",        0xe181_40d2),
        ("ldmia r1, {r3-r12}",       0xe891_1ff8),
        ("stmdb r1, {r3-r12}",       0xe901_1ff8),
        ("ldrex r0, [r1]",           0xe191_0f9f),
        ("vldr d0, [r1, #1020]",     0xed91_0bff),
    ];
    let places = [
        (0, 0),
        (0xffff_fff0, 0xff),
        (0xffff_f000, 0x7fff_ffff),
        (0x8000_0000, 0x8000_0000),
        (4, 0xffff_fff8),
    ];
    for (text, form) in forms {
        for (base, offset) in places {
            let code = [&load(1, base)[..], &load(2, offset), &[form], &EXIT_0].concat();
            let path = scratch("access", &program(&code));
            let output = run(&path);
            std::fs::remove_file(path).expect("removed");
            let signal = output.status.signal();
            // 0xffff_fff0 + 0xff and some others wrap into the unmapped first page or hit the kernel's page, which
            // may be read, not written.
            let reads_vectors = base >= 0xffff_0000 && signal.is_none() && output.status.code() == Some(0);
            let read = text.starts_with('l') || text.starts_with('v');
            assert!(
                signal == Some(libc::SIGSEGV) || signal == Some(libc::SIGBUS) || (read && reads_vectors),
                "{text} at {base:#x}, {offset:#x}: {:?}",
                output.status
            );
            assert!(
                output.stderr.is_empty(),
                "{text}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
    }
}

/// System calls with pointers and lengths that leave the window give EFAULT and touch nothing.
#[test]
fn system_calls_cannot_reach_past_the_window() {
    // read(0, pointer, length) and getcwd(pointer, length), then exit(-result).
    let read = |pointer, length| {
        let call = [
            0xe3a0_0000,
            0xe3a0_7003,
            0xef00_0000,
            0xe260_0000,
            0xe3a0_7001,
            0xef00_0000,
        ];
        [&load(1, pointer)[..], &load(2, length), &call].concat()
    };
    for (pointer, length) in [
        (0xffff_f000, 0x2000),
        (0xffff_ffff, 0xffff_ffff),
        (0xffff_0000, 0x10_0000),
        (0, 1),
    ] {
        let path = scratch("syscall", &program(&read(pointer, length)));
        let mut command = Command::new(env!("CARGO_BIN_EXE_emu"));
        let mut child = command
            .arg(&path)
            .stdin(Stdio::piped())
            .spawn()
            .expect("emu starts");
        // Fails if the guest has been refused, and has exited, by now.
        let _ = std::io::Write::write_all(child.stdin.as_mut().expect("a pipe"), &[0xaa; 4096]);
        let status = child.wait().expect("emu ends");
        std::fs::remove_file(path).expect("removed");
        assert_eq!(
            status.code(),
            Some(libc::EFAULT),
            "read to {pointer:#x}, {length:#x}: {status:?}"
        );
    }
}

/// What the kernel says of a process whose guest waits in read(2).
#[test]
fn a_guest_runs_under_the_filter_and_the_unconfined_one_does_not() {
    // read(0, pc - something, 1): the pointer does not matter, the pipe stays empty.
    let code = [0xe3a0_0000, 0xe1a0_100d, 0xe3a0_2001, 0xe3a0_7003, 0xef00_0000];
    let path = scratch("waits", &program(&[&code[..], &EXIT_0].concat()));
    for (options, confined) in [(&[][..], true), (&["--unconfined"], false)] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_emu"));
        let mut child = command
            .args(options)
            .arg(&path)
            .stdin(Stdio::piped())
            .spawn()
            .expect("emu starts");
        let name = |file: &str| format!("/proc/{}/{file}", child.id());
        let waits = || {
            std::fs::read_to_string(name("syscall"))
                .unwrap_or_default()
                .starts_with("0 0x0 ")
        };
        let start = std::time::Instant::now();
        while !waits() && start.elapsed().as_secs() < 20 {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        let status = std::fs::read_to_string(name("status")).expect("the process's status");
        let maps = std::fs::read_to_string(name("maps")).expect("the process's mappings");
        let filtered =
            status.lines().any(|l| l == "Seccomp:\t2") && status.lines().any(|l| l == "NoNewPrivs:\t1");
        assert_eq!(filtered, confined, "{options:?}: {status}");
        let writable_code = maps
            .lines()
            .find(|l| l.split(' ').nth(1).is_some_and(|p| p.starts_with("rwx")));
        assert_eq!(writable_code, None, "{options:?}");
        // No guest page is executable on the host.
        let low = maps
            .lines()
            .find(|l| l.split('-').next().is_some_and(|a| a.len() <= 8) && l.contains("-xp "));
        assert_eq!(
            low.filter(|l| l.split(' ').nth(1).is_some_and(|p| p.contains('x'))),
            None,
            "{options:?}"
        );
        drop(child.stdin.take());
        assert_eq!(child.wait().expect("emu ends").code(), Some(0));
    }
    std::fs::remove_file(path).expect("removed");
}

/// Every file cut short, and every byte of the headers changed: one line and 126 or 127, or a run that ends by itself.
#[test]
fn broken_files_are_refused_in_one_line() {
    let good = std::fs::read(fixture("armel/arm")).expect("a guest");
    let mut mutants: Vec<Vec<u8>> = (0..good.len()).step_by(61).map(|n| good[..n].to_vec()).collect();
    for i in 0..52 + 3 * 32 {
        let mut copy = good.clone();
        copy[i] ^= 0xff;
        mutants.push(copy);
    }
    for (i, mutant) in mutants.iter().enumerate() {
        let path = scratch("mutant", mutant);
        let mut command = Command::new("timeout");
        command.args(["20", env!("CARGO_BIN_EXE_emu")]).arg(&path);
        let output = command.stdin(Stdio::null()).output().expect("timeout starts");
        std::fs::remove_file(path).expect("removed");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(
            !errors.contains("panicked") && output.status.code() != Some(124),
            "mutant {i}: {errors}"
        );
        if matches!(output.status.code(), Some(126 | 127)) {
            assert!(
                errors.starts_with("emu: ") && errors.lines().count() == 1,
                "mutant {i}: {errors}"
            );
        }
    }
}

/// A guest's death is emu's, to the signal.
#[test]
fn deaths_of_guests() {
    #[rustfmt::skip]
    let cases: [(&str, &[u32], i32); 6] = [
        ("udf",                &[0xe7f0_00f0],                libc::SIGILL),
        ("bkpt",               &[0xe120_0070],                libc::SIGTRAP),
        ("mov pc, #0",         &[0xe3a0_f000],                libc::SIGSEGV),
        ("add pc, pc, #2",     &[0xe28f_f002, 0, 0, 0],       libc::SIGBUS),
        ("push for ever",      &[0xe92d_5fff, 0xeaff_fffd],   libc::SIGSEGV),
        ("kill(getpid, KILL)", &[0xe3a0_7014, 0xef00_0000, 0xe3a0_1009, 0xe3a0_7025, 0xef00_0000], libc::SIGKILL),
    ];
    for (text, code, signal) in cases {
        let path = scratch("death", &program(code));
        let output = run(&path);
        std::fs::remove_file(path).expect("removed");
        assert_eq!(output.status.signal(), Some(signal), "{text}");
        assert!(
            output.stderr.is_empty(),
            "{text}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

/// The hostile guest's attempts under the baseline, in each kind of window; the host is as it was.
#[test]
fn hostile_guests_under_the_baseline() {
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("hostile-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a directory");
    let guest = dir.join("window");
    let built = Command::new("arm-linux-gnueabihf-gcc")
        .args(["-O1", "-w", "-static", "-pthread", "-marm", "-o"])
        .args([&guest, &fixture("hostile/window.c")])
        .status();
    assert!(built.expect("Debian's gcc-arm-linux-gnueabihf").success());
    let canary = host_state::Canary::new(&dir);
    // The window reserved at 0 and elsewhere, and not reserved.
    for (options, limit) in [("", "unlimited"), ("--based", "unlimited"), ("", "3000000")] {
        let script = format!("ulimit -v {limit}; exec \"$0\" {options} \"$1\"");
        host_state::unchanged(&canary, &[&dir], || {
            let mut command = Command::new("sh");
            command
                .args(["-c", &script, env!("CARGO_BIN_EXE_emu")])
                .arg(&guest);
            let output = command.stdin(Stdio::null()).output().expect("a shell");
            let out = String::from_utf8_lossy(&output.stdout);
            let errors = String::from_utf8_lossy(&output.stderr);
            let made = out.lines().filter(|l| l.starts_with("baseline ")).count();
            assert!(
                output.status.success() && made > 150 && errors.is_empty(),
                "{options} {limit}: {out}{errors}"
            );
        });
    }
    drop(canary);
    std::fs::remove_dir_all(&dir).expect("removed");
}
