//! What a hostile guest gets in a confined run, and what is denied and told.

mod root_support;

use root_support::host_state::{Canary, unchanged};
use root_support::{World, compile, copy, is_root, text, unprivileged, world};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The lines that a guest of fixtures/hostile marks with a profile, none of which may have failed.
fn attempts<'a>(out: &'a str, errors: &str) -> Vec<&'a str> {
    assert!(out.ends_with(", 0 failures\n"), "{out}{errors}");
    out.lines()
        .filter(|l| l.starts_with("baseline ") || l.starts_with("strict "))
        .collect()
}

#[test]
fn hostile_guests_get_nowhere() {
    let Some(w) = world("hostile") else { return };
    compile(&w, "strict");
    compile(&w, "window");
    w.open_to_all();
    let canary = Canary::new(&w.dir);
    let (file, pid, port) = (canary.file(), canary.pid().to_string(), canary.port().to_string());
    let (name, key) = (canary.abstract_name.clone(), canary.key.to_string());
    let strict = ["/bin/strict", &file, &pid, &port, &name, &key];
    // The host's root, in its own namespaces, gets no further.
    let as_root = |guest: &[&str]| {
        let mut command = Command::new(w.dir.join("emu"));
        command
            .env_clear()
            .arg("--root")
            .arg(w.dir.join("root"))
            .args(guest);
        command.stdin(Stdio::null()).output().expect("emu starts")
    };
    unchanged(&canary, &[&w.dir], || {
        let mut outputs = vec![
            w.run(&[], &strict),
            w.run(&["--uid", "0", "--gid", "0"], &strict),
            w.run(&[], &["/bin/window"]),
        ];
        if is_root() {
            outputs.push(as_root(&strict));
        }
        for output in outputs {
            let out = text(&output.stdout);
            let made = attempts(&out, &text(&output.stderr));
            assert!(
                output.status.success() && made.len() > 100,
                "{out}{}",
                text(&output.stderr)
            );
        }
    });
}

/// Every number with random arguments, as `tools/random-calls` makes ten million of them.
#[test]
fn calls_at_random_change_nothing() {
    let Some(w) = world("random") else { return };
    compile(&w, "random");
    w.open_to_all();
    let canary = Canary::new(&w.dir);
    let root = w.path("root");
    let options = ["--overlay", &root, "/", "--pids", "200", "--timeout", "300"];
    unchanged(&canary, &[&w.dir], || {
        let output = w.run(&options, &["/bin/random", "1", "2"]);
        let errors = text(&output.stderr);
        let out = text(&output.stdout);
        assert!(
            output.status.success() && out.starts_with("2080 calls, "),
            "{}: {out}{errors}",
            output.status
        );
        assert!(
            !errors.contains("panicked") && !errors.contains("emu: "),
            "{errors}"
        );
    });
}

/// What takes all that there is gets what the policy says, and the host has it back.
#[test]
fn hogs_are_held() {
    let Some(w) = world("hogs") else { return };
    compile(&w, "hog");
    w.open_to_all();
    let canary = Canary::new(&w.dir);
    let run = |options: &[&str], kind: &str| {
        let options = [&["--timeout", "100"], options].concat();
        let output = w.run(&options, &["/bin/hog", kind]);
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    // How much, at most, and the errno.
    let held = |options: &[&str], kind: &str, most: u64, errno: &str| {
        let (status, out, errors) = run(options, kind);
        let words: Vec<_> = out
            .trim()
            .split([' ', ',', ':'])
            .filter(|w| !w.is_empty())
            .collect();
        let got = words.get(1).and_then(|w| w.parse::<u64>().ok());
        assert!(
            words.first() == Some(&kind)
                && words.get(2) == Some(&errno)
                && got.is_some_and(|n| n > 0 && n <= most),
            "{options:?} {kind}: {status:?} {out}{errors}"
        );
    };
    unchanged(&canary, &[&w.dir], || {
        held(&["--pids", "20"], "forks", 19, "EAGAIN");
        held(&["--pids", "20"], "threads", 19, "EAGAIN");
        held(&["--rlimit", "nofile=50"], "descriptors", 47, "EMFILE");
        held(&["--rlimit", "fsize=3M"], "file", 3, "EFBIG");
        held(&["--rlimit", "fsize=3M"], "memfd", 3, "EFBIG");
        held(&["--memory", "64M"], "data", 64, "ENOMEM");
        // A file in memory counts.
        held(&["--memory", "16M"], "file", 16, "ENOSPC");
        let (status, ..) = run(&["--pids", "30", "--timeout", "1"], "bomb");
        assert_eq!(status, Some(124));
        let start = Instant::now();
        let (status, ..) = run(&["--init", "--rlimit", "cpu=1:2"], "time");
        assert_eq!(status, Some(128 + libc::SIGXCPU));
        assert!(start.elapsed() < Duration::from_secs(60));
    });
}

/// The caller has files, directories, sockets and pipes open at many numbers: a guest has none of them.
#[test]
fn the_callers_descriptors() {
    let Some(w) = world("descriptors") else { return };
    compile(&w, "descriptors");
    w.open_to_all();
    let outside = w.file("outside", "secret\n", 0o644);
    let directory = File::open("/").expect("a directory");
    let file = File::options()
        .read(true)
        .write(true)
        .open(&outside)
        .expect("a file");
    let (socket, _peer) = std::os::unix::net::UnixStream::pair().expect("sockets");
    let (pipe, _other) = std::io::pipe().expect("a pipe");
    let sources = [
        directory.as_raw_fd(),
        file.as_raw_fd(),
        socket.as_raw_fd(),
        pipe.as_raw_fd(),
    ]
    // SAFETY: duplicates of open descriptors, above the numbers that are put in place below; they live to the test's end.
    .map(|fd| unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 400) });
    assert!(sources.iter().all(|&fd| (400..800).contains(&fd)));
    // Of each kind, low, among the emulator's own, and the last.
    let given: Vec<(i32, i32)> = [
        10, 11, 12, 13, 64, 100, 255, 256, 899, 900, 901, 902, 903, 910, 1000, 1023,
    ]
    .into_iter()
    .zip(sources.into_iter().cycle())
    .collect();
    let run = |mut command: Command, options: &[&str], preserved: i32| {
        command
            .env_clear()
            .args(options)
            .arg("--root")
            .arg(w.dir.join("root"));
        command.args(["/bin/descriptors", &preserved.to_string(), &outside]);
        let given = given.clone();
        // SAFETY: dup2 and fcntl are async-signal-safe; the numbers are the new process's own. One that the limit forbids stays closed.
        unsafe {
            command.pre_exec(move || {
                for &(to, from) in &given {
                    libc::dup2(from, to);
                }
                for to in 3..3 + preserved {
                    libc::dup2(sources[1], to);
                    libc::fcntl(to, libc::F_SETFD, 0);
                }
                Ok(())
            });
        }
        let output = command.stdin(Stdio::null()).output().expect("emu starts");
        let out = text(&output.stdout);
        assert!(
            attempts(&out, &text(&output.stderr)).len() > 1,
            "{options:?}: {out}"
        );
    };
    let own = || unprivileged(w.dir.join("emu"));
    run(own(), &[], 0);
    run(own(), &["--init"], 0);
    let log = w.path("log");
    run(own(), &["-d", "policy", "-D", &log], 0);
    run(own(), &["--preserve-fds", "2"], 2);
    // One that is not the first process, whose descriptors have names in /proc.
    let output = w.shell(&[], &format!("/bin/descriptors 0 {outside}; true"));
    assert_eq!(attempts(&text(&output.stdout), &text(&output.stderr)).len(), 2);
    run(own(), &["--memory", "64M", "--pids", "20"], 0);
    if is_root() {
        // With control groups, whose files are open at the start.
        let options = ["--best-effort", "--memory", "64M", "--pids", "20", "--cpus", "1"];
        run(Command::new(w.dir.join("emu")), &options, 0);
    }
    // Nor do links of the root's lead to them while it is made.
    std::fs::create_dir(w.dir.join("outer")).expect("a directory");
    std::os::unix::fs::symlink("/proc/self/fd/10", w.dir.join("root/mnt/link")).expect("a link");
    w.open_to_all();
    let outer = File::open(w.dir.join("outer"))
        .expect("a directory")
        .into_raw_fd();
    let attempts = [
        &["--tmpfs", "/mnt/link/x"][..],
        &["--bind", "/etc", "/mnt/link/x"],
        &["--chdir", "/mnt/link"],
    ];
    for options in attempts {
        let mut command = w.emu();
        command
            .args(options)
            .arg("--root")
            .arg(w.dir.join("root"))
            .arg("/bin/pwd");
        // SAFETY: dup2 is async-signal-safe.
        unsafe {
            command.pre_exec(move || {
                libc::dup2(outer, 10);
                Ok(())
            });
        }
        let output = command.output().expect("emu starts");
        assert_eq!(output.status.code(), Some(125), "{}", text(&output.stderr));
    }
    let made = std::fs::read_dir(w.dir.join("outer"))
        .expect("a directory")
        .count();
    assert_eq!(made, 0);
    // A directory leads out wherever it is.
    let mut command = w.emu();
    command.arg("--root").arg(w.dir.join("root")).arg("/bin/true");
    let output = command.stdin(directory).output().expect("emu starts");
    let errors = text(&output.stderr);
    assert_eq!(output.status.code(), Some(125), "{errors}");
    assert!(
        errors.starts_with("emu: standard input: Is a directory; ") && errors.lines().count() == 1,
        "{errors}"
    );
}

/// Whatever the first process does, it is gone when the process outside is.
#[test]
fn nothing_outlives_the_process_outside() {
    let Some(w) = world("orphan") else { return };
    compile(&w, "orphan");
    w.open_to_all();
    for way in ["none", "signal", "thread"] {
        let mut command = w.emu();
        command.arg("--root").arg(w.dir.join("root"));
        command.args(["/bin/orphan", way]).stdout(Stdio::piped());
        let mut child = command.spawn().expect("emu starts");
        let mut out = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut line = String::new();
        out.read_line(&mut line).expect("a line");
        assert_eq!(line, "here\n", "{way}");
        child.kill().expect("killed");
        let start = Instant::now();
        // The guest has the other end.
        assert_eq!(out.read_line(&mut line).expect("the end"), 0, "{way}");
        assert!(start.elapsed() < Duration::from_secs(50), "{way}");
        child.wait().expect("it has ended");
    }
}

/// Executable memory, seen from outside: the translator's alone, and never writable; the guards are where they were.
#[test]
fn no_guest_page_is_executable() {
    let Some(w) = world("maps") else { return };
    compile(&w, "window");
    w.open_to_all();
    let program = w.path("root/bin/window");
    for strict in [false, true] {
        let mut command = w.emu();
        match strict {
            true => command.arg("--root").arg(w.dir.join("root")).arg("/bin/window"),
            false => command.arg(&program),
        };
        let mut child = command
            .arg("wait")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("emu starts");
        let mut out = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut line = String::new();
        while line != "ready\n" {
            line.clear();
            assert_ne!(out.read_line(&mut line).expect("its output"), 0);
            assert!(!line.contains("FAIL"), "{line}");
        }
        let pid = match strict {
            true => {
                std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", child.id())).expect("a child")
            }
            false => child.id().to_string(),
        };
        let maps =
            std::fs::read_to_string(format!("/proc/{}/maps", pid.trim())).expect("the guest's mappings");
        let rows: Vec<(u64, u64, &str)> = maps
            .lines()
            .filter_map(|l| {
                let mut words = l.split(' ');
                let (from, to) = words.next()?.split_once('-')?;
                let number = |text| u64::from_str_radix(text, 16).ok();
                Some((number(from)?, number(to)?, words.next()?))
            })
            .collect();
        let low: Vec<_> = rows.iter().filter(|r| r.0 < 1 << 32).collect();
        assert!(low.len() > 5 && low.iter().all(|r| !r.2.contains('x')), "{maps}");
        assert!(
            rows.iter().all(|r| !(r.2.contains('w') && r.2.contains('x'))),
            "{maps}"
        );
        // Its text, its arena, and the kernel's two pages.
        let executable = rows.iter().filter(|r| r.2.contains('x')).count();
        assert!(executable <= 4, "{maps}");
        // The window and as much again are taken, without a gap.
        let mut end = rows.first().expect("mappings").0;
        let bottom = end;
        for row in rows.iter().take_while(|r| r.0 < 2 << 32) {
            assert_eq!(row.0, end, "a gap: {maps}");
            end = row.1;
        }
        assert!(bottom <= 1 << 20 && end >= 2 << 32, "{maps}");
        let above = rows.iter().filter(|r| r.1 > 1 << 32 && r.0 < 2 << 32);
        assert!(above.into_iter().all(|r| r.2.starts_with("---")), "{maps}");
        drop(child.stdin.take());
        assert_eq!(child.wait().expect("emu ends").code(), Some(0));
    }
}

/// The guest's first processes are in the caller's process group: what they do to "my group" stays inside.
#[test]
fn the_callers_process_group() {
    let Some(w) = world("group") else { return };
    let mut command = unprivileged("sh");
    let script = "sleep 1000 & outer=$!
        \"$0\" --root \"$1\" /bin/sh -c 'sleep 100 & kill -9 0; wait $!; echo inner $?'; echo emu $?
        \"$0\" --new-session --root \"$1\" /bin/sh -c 'sleep 100 & kill -9 0; wait $!; echo inner $?'; echo emu $?
        kill -0 $outer && echo outer there; kill -9 $outer";
    command
        .args(["-c", script])
        .arg(w.dir.join("emu"))
        .arg(w.dir.join("root"));
    // Not this test's own group, in case it fails.
    let output = command.env_clear().process_group(0).output().expect("a shell");
    assert_eq!(
        text(&output.stdout),
        "inner 137\nemu 0\ninner 137\nemu 0\nouter there\n",
        "{}",
        text(&output.stderr)
    );
}

/// A guest with the caller's terminal types nothing into it.
#[test]
fn the_callers_terminal() {
    let Some(w) = world("terminal") else { return };
    compile(&w, "window");
    w.open_to_all();
    for options in [&[][..], &["--root"]] {
        let (master, slave) = terminal();
        let mut command = w.emu();
        match options.is_empty() {
            true => command.arg(w.path("root/bin/window")),
            false => command.arg("--root").arg(w.dir.join("root")).arg("/bin/window"),
        };
        command
            .stdin(slave.try_clone().expect("a descriptor"))
            .stdout(Stdio::piped());
        // SAFETY: setsid and ioctl are async-signal-safe; the terminal becomes the new session's.
        unsafe {
            command.pre_exec(|| {
                libc::setsid();
                libc::ioctl(0, libc::TIOCSCTTY, 0);
                Ok(())
            });
        }
        let output = command.output().expect("emu starts");
        let out = text(&output.stdout);
        attempts(&out, &text(&output.stderr));
        assert!(out.contains("ioctl(0, TIOCSTI, &letter): EPERM"), "{out}");
        let mut typed = 0;
        // SAFETY: FIONREAD writes an int.
        let asked = unsafe { libc::ioctl(slave.as_raw_fd(), libc::FIONREAD, &raw mut typed) };
        assert_eq!(asked, 0);
        assert_eq!(typed, 0);
        drop(master);
    }
}

/// Both ends of a new terminal, which passes on every character at once.
fn terminal() -> (File, File) {
    let (mut master, mut slave) = (-1, -1);
    // SAFETY: two descriptors that the files own; the settings are plain data.
    unsafe {
        let (name, none) = (std::ptr::null_mut(), std::ptr::null());
        assert_eq!(
            libc::openpty(&raw mut master, &raw mut slave, name, none, none.cast()),
            0
        );
        let mut settings: libc::termios = std::mem::zeroed();
        libc::tcgetattr(slave, &raw mut settings);
        libc::cfmakeraw(&raw mut settings);
        libc::tcsetattr(slave, libc::TCSANOW, &raw const settings);
        (File::from_raw_fd(master), File::from_raw_fd(slave))
    }
}

#[test]
fn what_is_denied_is_told() {
    let Some(w) = world("denied") else { return };
    let log = w.path("log");
    let output = w.shell(
        &["-d", "policy", "-D", &log],
        "mount -t tmpfs x /tmp; sh -c 'hostname x'; true",
    );
    assert!(output.status.success());
    let written = std::fs::read_to_string(&log).expect("the log");
    let lines: Vec<_> = written.lines().collect();
    assert_eq!(lines.len(), 2, "{written}");
    assert!(
        lines[0].starts_with("mount: denied") && lines[0].contains("--tmpfs"),
        "{written}"
    );
    assert!(
        lines[1].starts_with("sethostname: denied") && lines[1].contains("--hostname"),
        "{written}"
    );
}

/// Each with the option that would allow it.
#[test]
fn each_denial_names_its_option() {
    let Some(w) = world("options") else { return };
    compile(&w, "denied");
    w.open_to_all();
    let output = w.run(&["-d", "policy"], &["/bin/denied"]);
    let errors = text(&output.stderr);
    let told: Vec<_> = errors
        .lines()
        .filter_map(|line| {
            let (name, rest) = line.split_once(": denied by the policy, errno ")?;
            Some((name, rest.split_once("; allowed by: ")?.1))
        })
        .collect();
    let mounts = "--bind, --tmpfs and the like";
    let outside = "run without --root or --confine";
    #[rustfmt::skip]
    let want = [
        ("mount",           mounts),
        ("umount2",         mounts),
        ("chroot",          "--cap-add sys_chroot"),
        ("sethostname",     "--hostname, or --cap-add sys_admin"),
        ("ptrace",          "--cap-add sys_ptrace"),
        ("unshare",         "--cap-add sys_admin"),
        ("setns",           "--cap-add sys_admin"),
        ("clone",           "--cap-add sys_admin"),
        ("ioctl",           outside),
        ("socket",          outside),
        ("socket",          outside),
        ("socket",          "--cap-add net_raw"),
        ("connect",         "--net host"),
        ("clock_settime64", outside),
        ("keyctl",          outside),
        ("swapon",          outside),
        ("pidfd_getfd",     outside),
    ];
    assert_eq!(told, want, "{errors}");
    assert!(output.status.success());
    // The baseline's own.
    let mut command = w.emu();
    let output = command
        .args(["-d", "policy"])
        .arg(w.path("root/bin/denied"))
        .output()
        .expect("emu starts");
    let errors = text(&output.stderr);
    for name in ["setns", "ioctl", "swapon"] {
        let line = format!("{name}: denied by the policy, errno 1; allowed by: --unconfined");
        assert!(errors.lines().any(|l| l == line), "no {line:?} in {errors}");
    }
}

/// A static program for x86-64, `emu` itself.
#[test]
fn native_programs_run_only_where_allowed() {
    let Some(w) = world("native") else { return };
    copy(&w.dir.join("emu"), &w.dir.join("root/bin/native"));
    w.open_to_all();
    let output = w.run(&[], &["/bin/native", "--version"]);
    let errors = text(&output.stderr);
    assert_eq!(
        (output.status.code(), errors.lines().count()),
        (Some(126), 1),
        "{errors}"
    );
    assert!(errors.contains("--allow-native"), "{errors}");
    let output = w.shell(&["-d", "policy"], "/bin/native --version");
    let errors = text(&output.stderr);
    assert_eq!(output.status.code(), Some(126), "{errors}");
    assert!(
        errors.contains("execve of /bin/native: an x86-64 program; allowed by --allow-native"),
        "{errors}"
    );
    let version = format!("emu {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(w.says(&["--allow-native"], "/bin/native --version"), version);
    assert_eq!(
        text(&w.run(&["--allow-native"], &["/bin/native", "--version"]).stdout),
        version
    );
}

/// Set-id programs under the baseline: without privileges, told, unless allowed.
#[test]
fn set_id_programs() {
    let Some(w) = World::new("setid") else { return };
    let program = w.dir.join("root/bin/busybox");
    copy(&program, &w.dir.join("grep"));
    w.open_to_all();
    std::fs::set_permissions(w.dir.join("grep"), std::fs::Permissions::from_mode(0o4755)).expect("its mode");
    let run = |options: &[&str]| {
        let script = format!("{} NoNewPrivs /proc/self/status", w.path("grep"));
        let mut command = w.emu();
        command
            .args(options)
            .args(["-d", "policy"])
            .arg(&program)
            .args(["sh", "-c", &script]);
        command.output().expect("emu starts")
    };
    let output = run(&[]);
    assert_eq!(text(&output.stdout), "NoNewPrivs:\t1\n");
    let errors = text(&output.stderr);
    assert_eq!(errors.lines().count(), 1, "{errors}");
    assert!(
        errors.contains("a set-id program") && errors.contains("--allow-setuid"),
        "{errors}"
    );
    let output = run(&["--allow-setuid"]);
    assert_eq!(
        (text(&output.stdout).as_str(), text(&output.stderr).as_str()),
        ("NoNewPrivs:\t0\n", "")
    );
}
