//! What a hostile guest gets in a confined run, and what is denied and told.

mod root_support;

use root_support::{World, compile, copy, is_root, text, world};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

#[test]
fn hostile_guests_get_nowhere() {
    let Some(w) = world("hostile") else { return };
    compile(&w, "strict");
    w.file("secret", "secret\n", 0o644);
    let me = std::process::id().to_string();
    let guest = ["/bin/strict", &w.path("secret"), &me];
    let mut runs = vec![w.run(&[], &guest), w.run(&["--uid", "0", "--gid", "0"], &guest)];
    if is_root() {
        // The host's root, in its own namespaces, gets no further.
        let mut command = Command::new(w.dir.join("emu"));
        command
            .env_clear()
            .arg("--root")
            .arg(w.dir.join("root"))
            .args(guest);
        runs.push(command.stdin(Stdio::null()).output().expect("emu starts"));
    }
    for output in runs {
        let out = text(&output.stdout);
        assert!(
            output.status.success() && out.ends_with(", 0 failures\n"),
            "{out}{}",
            text(&output.stderr)
        );
    }
}

/// Every number with random arguments; what the host is has not changed.
#[test]
fn calls_at_random_change_nothing() {
    let Some(w) = world("random") else { return };
    compile(&w, "random");
    let state = || {
        let read = |name: &str| std::fs::read_to_string(name).unwrap_or_default();
        let list = |dir: &Path| {
            let mut names: Vec<_> = std::fs::read_dir(dir)
                .into_iter()
                .flatten()
                .filter_map(|e| e.ok().map(|e| e.file_name()))
                .collect();
            names.sort();
            names
        };
        (
            read("/proc/self/mounts"),
            read("/proc/sys/kernel/hostname"),
            read("/proc/sys/kernel/core_pattern"),
            list(Path::new("/")),
            list(Path::new("/etc")),
            list(&w.dir),
        )
    };
    let before = state();
    let seed = std::process::id().to_string();
    let options = [
        "--overlay",
        &w.path("root"),
        "/",
        "--pids",
        "200",
        "--timeout",
        "120",
    ];
    let output = w.run(&options, &["/bin/random", &seed, "2"]);
    let errors = text(&output.stderr);
    assert_eq!(
        (text(&output.stdout).as_str(), output.status.code()),
        ("1040 processes\n", Some(0)),
        "seed {seed}: {errors}"
    );
    assert!(!errors.contains("panicked"), "seed {seed}: {errors}");
    assert_eq!(before, state(), "seed {seed}");
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
