//! C programs that check the system interface from inside, compiled here for ARM, Thumb and soft-float, run under emu.
//!
//! What they expect is what Linux does: built for x86-64 they pass natively where they are not about ARM's frames.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// Compiler and options for one kind of guest.
struct Target {
    name: &'static str,
    compiler: &'static str,
    options: &'static [&'static str],
}

#[rustfmt::skip]
const TARGETS: [Target; 3] = [
    Target { name: "arm",   compiler: "arm-linux-gnueabihf-gcc", options: &["-marm"] },
    Target { name: "thumb", compiler: "arm-linux-gnueabihf-gcc", options: &["-mthumb"] },
    Target { name: "soft",  compiler: "arm-linux-gnueabi-gcc",   options: &["-march=armv5te", "-marm"] },
];

/// Guests that use Advanced SIMD.
#[rustfmt::skip]
const SIMD_TARGETS: [Target; 2] = [
    Target { name: "arm",   compiler: "arm-linux-gnueabihf-gcc", options: &["-marm", "-mfpu=neon-vfpv4"] },
    Target { name: "thumb", compiler: "arm-linux-gnueabihf-gcc", options: &["-mthumb", "-mfpu=neon-vfpv4"] },
];

fn build(guest: &str, target: &Target) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures/linux")
        .join(guest)
        .with_extension("c");
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{guest}-{}", target.name));
    // Tests run side by side and may share a guest: each writes a file of its own, and the last rename stays.
    static BUILT: AtomicU32 = AtomicU32::new(0);
    let unfinished = program.with_extension(BUILT.fetch_add(1, Ordering::Relaxed).to_string());
    let status = Command::new(target.compiler)
        .args(target.options)
        // Wrong arguments are given on purpose: no warnings.
        .args(["-O1", "-w", "-static", "-pthread", "-o"])
        .arg(&unfinished)
        .arg(source)
        .status()
        .expect("Debian's gcc-arm-linux-gnueabihf and gcc-arm-linux-gnueabi are installed");
    assert!(status.success(), "{guest} does not compile for {}", target.name);
    std::fs::rename(unfinished, &program).expect("the guest just built");
    program
}

fn check(guest: &str, targets: &[Target]) {
    check_with(&[], guest, targets);
}

fn check_with(options: &[&str], guest: &str, targets: &[Target]) {
    check_given(options, guest, &[], targets);
}

/// With arguments for the guest.
fn check_given(options: &[&str], guest: &str, arguments: &[&str], targets: &[Target]) {
    for target in targets {
        let output = Command::new(env!("CARGO_BIN_EXE_emu"))
            .args(options)
            .arg(build(guest, target))
            .args(arguments)
            .output()
            .expect("emu starts");
        let text = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success() && text.ends_with(", 0 failures\n") && !errors.contains("emu: "),
            "{guest} {}: {}\n{text}{errors}",
            target.name,
            output.status
        );
    }
}

/// Guest addresses that are not the host's, wherever a call hands one on.
#[test]
fn a_window_elsewhere() {
    let guests = "clocks edges files newcalls oldcalls processes signal_calls signal_frames sockets storms system threads";
    for guest in guests.split(' ') {
        check_with(&["--based"], guest, &TARGETS[..1]);
    }
    check_with(&["--based"], "simd", &SIMD_TARGETS[1..]);
}

#[test]
fn family() {
    check_with(&[], "family", &TARGETS);
    check_with(&["--based"], "family", &TARGETS[..1]);
    let apart = Command::new(env!("CARGO_BIN_EXE_emu"))
        .arg("--no-share")
        .arg(build("family", &TARGETS[0]))
        .arg("apart")
        .output()
        .expect("emu starts");
    let text = String::from_utf8_lossy(&apart.stdout);
    assert!(
        apart.status.success() && text.ends_with(", 0 failures\n"),
        "{text}"
    );
}

#[test]
fn own_descriptors() {
    check("own_fds", &TARGETS[..2]);
}

/// A child of vfork has a table of descriptors of its own: what it opens its parent does not have.
#[test]
fn a_sysroot_is_there_for_each_child_of_vfork() {
    let guest = build("own_fds", &TARGETS[0]);
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("sysroot-{}", std::process::id()));
    std::fs::create_dir_all(root.join("only-there")).expect("a directory");
    std::fs::copy(&guest, root.join("only-there/guest")).expect("a copy");
    let output = Command::new(env!("CARGO_BIN_EXE_emu"))
        .arg("-L")
        .arg(&root)
        .arg(&guest)
        .args(["vfork", "/only-there/guest"])
        .output()
        .expect("emu starts");
    std::fs::remove_dir_all(&root).expect("the directory just made");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.ends_with(", 0 failures\n"),
        "{text}"
    );
}

#[test]
fn paths_under_a_sysroot() {
    let top = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("paths-{}", std::process::id()));
    let (root, host) = (top.join("root"), top.join("host"));
    let same = root.join(host.strip_prefix("/").expect("an absolute path"));
    for dir in [&root.join("only"), &root.join("links"), &same, &host] {
        std::fs::create_dir_all(dir).expect("a directory");
    }
    let file = |path: PathBuf, text: &str| std::fs::write(path, text).expect("a file");
    file(root.join("only/file"), "inside");
    file(root.join("only/written"), "before that");
    file(same.join("both"), "inside");
    file(host.join("both"), "outside");
    file(host.join("outside"), "outside");
    for (link, to) in [
        ("absolute", "/only/file"),
        ("up", "../../../../../../../../../../only/file"),
        ("directory", "../only"),
        ("dangling", "/nowhere"),
        ("itself", "itself"),
    ] {
        std::os::unix::fs::symlink(to, root.join("links").join(link)).expect("a link");
    }
    let output = Command::new(env!("CARGO_BIN_EXE_emu"))
        .arg("-L")
        .arg(&root)
        .arg(build("sysroot", &TARGETS[0]))
        .arg(&host)
        .output()
        .expect("emu starts");
    std::fs::remove_dir_all(&top).expect("the directory just made");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.ends_with(", 0 failures\n"),
        "{text}"
    );
}

/// Another process of the same user gets at the store of a running family: what it writes there is never executed.
#[test]
fn what_a_stranger_writes_into_the_store_is_not_used() {
    use std::os::unix::fs::FileExt;
    let mut guest = Command::new(env!("CARGO_BIN_EXE_emu"))
        .arg(build("own_fds", &TARGETS[0]))
        .arg("wait")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("emu starts");
    // Lines of failures come before that of the pid.
    let mut lines = BufReader::new(guest.stdout.take().expect("piped")).lines();
    let mut input = guest.stdin.take().expect("piped");
    let mut store = None;
    for round in 0..3 {
        let pid = lines.next().expect("a line").expect("text");
        let store = store.get_or_insert_with(|| {
            let fds = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("the guest's descriptors");
            let is_store = |path: &PathBuf| {
                std::fs::read_link(path)
                    .is_ok_and(|to| to.to_string_lossy().starts_with("/memfd:translations"))
            };
            let path = fds
                .map(|entry| entry.expect("an entry").path())
                .find(is_store)
                .expect("a store");
            let file = std::fs::File::options().read(true).write(true).open(path);
            file.expect("the same user's")
        });
        let mut bytes = vec![0; store.metadata().expect("a file").len() as usize];
        store.read_exact_at(&mut bytes, 0).expect("the store");
        // Behind the head and the index of 2^17 words.
        let entries = 4096 + (8 << 17);
        assert!(
            bytes[entries..entries + 4096].iter().any(|&b| b != 0),
            "nothing is shared"
        );
        for (at, byte) in (0..).zip(&mut bytes[entries..]).filter(|(_, byte)| **byte != 0) {
            match round {
                // Here and there a byte.
                0 if at % 61 == 0 => *byte ^= 1,
                // What traps, everywhere.
                1 => *byte = 0xcc,
                _ => {}
            }
        }
        match round {
            2 => store
                .write_all_at(&vec![0xff; entries], 0)
                .expect("head and index"),
            _ => store
                .write_all_at(&bytes[entries..], entries as u64)
                .expect("the entries"),
        }
        assert!(store.set_len(0).is_err(), "it can be truncated");
        input.write_all(b".").expect("the guest reads");
    }
    let text: Vec<String> = lines.map(|line| line.expect("text")).collect();
    let status = guest.wait().expect("it ends");
    assert!(
        status.success() && text.last().is_some_and(|l| l.ends_with(", 0 failures")),
        "{status} {text:?}"
    );
}

/// Where the emulator's descriptors have to lie among the guest's.
#[test]
fn execve_with_few_descriptors_leaves_none_behind() {
    let status = Command::new("sh")
        .args(["-c", "ulimit -n 64; exec \"$@\"", "sh"])
        .arg(env!("CARGO_BIN_EXE_emu"))
        .arg(build("family", &TARGETS[0]))
        .args(["chain", "80", "first"])
        .status()
        .expect("sh starts");
    assert!(status.success(), "{status}");
    let log = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("few-{}", std::process::id()));
    for limit in ["20", "64", "900", "902"] {
        let output = Command::new("sh")
            .args(["-c", "ulimit -n $0 && exec \"$@\" few $0", limit])
            .arg(env!("CARGO_BIN_EXE_emu"))
            .args(["-L", "/usr", "-d", "unimp", "-D"])
            .arg(&log)
            .arg(build("own_fds", &TARGETS[0]))
            .output()
            .expect("sh starts");
        let text = String::from_utf8_lossy(&output.stdout);
        let good = output.status.success() && text.ends_with(", 0 failures\n");
        assert!(good, "{limit}: {text}{}", String::from_utf8_lossy(&output.stderr));
    }
    std::fs::remove_file(&log).expect("the log");
}

#[test]
fn simd() {
    check("simd", &SIMD_TARGETS);
}

#[test]
fn signal_frames() {
    // The soft-float guest has no VFP registers to look at.
    check("signal_frames", &TARGETS[..2]);
}

#[test]
fn signal_calls() {
    check("signal_calls", &TARGETS);
}

#[test]
fn processes() {
    check("processes", &TARGETS);
}

#[test]
fn threads() {
    check("threads", &TARGETS);
}

/// Whether this host's kernel has the i386 ABI: then it walks 32-bit robust lists itself, whatever ends the task.
fn kernel_has_i386_abi() -> bool {
    // SAFETY: the child makes one system call and leaves; a kernel without the ABI ends it with a signal.
    let status = unsafe {
        let pid = libc::fork();
        if pid == 0 {
            // getpid of the i386 ABI.
            std::arch::asm!("int 0x80", inlateout("eax") 20 => _, lateout("r8") _, lateout("r9") _, lateout("r10") _,
                lateout("r11") _, options(nostack));
            libc::_exit(0);
        }
        let mut status = 0;
        libc::waitpid(pid, &mut status, 0);
        status
    };
    status == 0
}

/// Holders of robust mutexes that are killed or replaced.
#[test]
fn robust_lists_of_killed_tasks() {
    if !kernel_has_i386_abi() {
        eprintln!("left out: the kernel has no i386 ABI");
        return;
    }
    for target in &TARGETS {
        let output = Command::new(env!("CARGO_BIN_EXE_emu"))
            .arg(build("threads", target))
            .arg("kernel-lists")
            .output()
            .expect("emu starts");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && text.ends_with(", 0 failures\n"),
            "{}: {text}",
            target.name
        );
    }
}

/// Behind another's filter the kernel is not asked: the emulator walks the lists itself where it ends the process.
#[test]
fn threads_behind_another_filter() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_emu"));
    command.arg(build("threads", &TARGETS[0]));
    // SAFETY: the closure makes two system calls, whose structures are its own; a filter that allows everything.
    unsafe {
        command.pre_exec(|| {
            let mut allow = libc::sock_filter {
                code: 0x06,
                jt: 0,
                jf: 0,
                k: libc::SECCOMP_RET_ALLOW,
            };
            let program = libc::sock_fprog {
                len: 1,
                filter: &mut allow,
            };
            let filter = libc::SECCOMP_MODE_FILTER;
            match libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
                | libc::prctl(libc::PR_SET_SECCOMP, filter, &program)
            {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            }
        });
    }
    let output = command.output().expect("emu starts");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.ends_with(", 0 failures\n"),
        "{text}"
    );
}

/// Often enough that one of the hangs that it is about would mostly show.
#[test]
fn forks_between_threads_that_write_code() {
    for _ in 0..5 {
        check_with(&["--interpret", "0"], "forks", &TARGETS);
    }
}

#[test]
fn storms() {
    check("storms", &TARGETS);
}

/// The first seconds of what `tools/soak` does for half an hour.
#[test]
fn soak() {
    check_given(&[], "soak", &["signals", "2", "1"], &TARGETS);
    check_given(&[], "soak", &["churn", "2", "1"], &TARGETS);
}

#[test]
fn files() {
    check("files", &TARGETS);
}

#[test]
fn sockets() {
    check("sockets", &TARGETS);
}

#[test]
fn system() {
    check("system", &TARGETS);
}

#[test]
fn seccomp() {
    check("seccomp", &TARGETS);
}

#[test]
fn newcalls() {
    check("newcalls", &TARGETS);
}

#[test]
fn oldcalls() {
    check("oldcalls", &TARGETS);
}

#[test]
fn clocks() {
    check("clocks", &TARGETS);
}

#[test]
fn limits() {
    check("limits", &TARGETS);
}

/// Reading the clock takes no system call.
#[test]
fn clocks_stay_in_user_space() {
    for target in &TARGETS {
        let output = Command::new(env!("CARGO_BIN_EXE_emu"))
            .arg("--strace")
            .arg(build("clocks", target))
            .arg("quietly")
            .output()
            .expect("emu starts");
        let trace = String::from_utf8_lossy(&output.stderr);
        let calls = trace.matches("gettime").count() + trace.matches("gettimeofday").count();
        assert!(output.status.success() && trace.contains("exit_group"), "{trace}");
        assert_eq!(calls, 0, "{trace}");
    }
}

/// Pointers and ranges at the ends of the address space; `check` fails if emu says anything.
#[test]
fn edges() {
    // The frame pointer of Thumb code is r7, which system calls take: not this guest's.
    check("edges", &TARGETS[..1]);
    check("edges", &TARGETS[2..]);
}

/// Waits that are interrupted unheard go on with the rest of their time.
#[test]
fn restarts() {
    check("restarts", &TARGETS[1..2]);
}

/// Random calls with hostile arguments: no panic, no internal error, and children end as a guest may.
#[test]
fn random_calls() {
    let scratch = std::env::temp_dir().join(format!("emu-random-calls-{}", std::process::id()));
    std::fs::create_dir_all(&scratch).expect("a scratch directory");
    let output = Command::new(env!("CARGO_BIN_EXE_emu"))
        .arg(build("edges", &TARGETS[0]))
        .args(["300", "0"])
        .current_dir(&scratch)
        .stdin(std::process::Stdio::null())
        .output()
        .expect("emu starts");
    // Files with strange names.
    std::fs::remove_dir_all(&scratch).expect("removed");
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    let said = errors.contains("panicked") || errors.contains("emu: ");
    assert!(
        output.status.success() && text.ends_with("300 checks, 0 failures\n") && !said,
        "{}\n{text}{errors}",
        output.status
    );
}

/// A standard descriptor that is closed stays closed, although Rust's run-time library opens it.
#[test]
fn closed_descriptors() {
    let program = build("closed", &TARGETS[0]);
    let output = Command::new("sh")
        .args(["-c", "exec \"$@\" 0<&- 2>&-", "sh", env!("CARGO_BIN_EXE_emu")])
        .arg(program)
        .output()
        .expect("emu starts");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "closed open closed\n");
}
