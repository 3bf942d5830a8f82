//! The command as a user meets it: exit statuses, messages of one line, options that show in the guest.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn fixture(name: &str) -> String {
    format!("{}/fixtures/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn emu(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_emu"));
    command.env_remove("EMU_LD_PREFIX").env_remove("QEMU_LD_PREFIX");
    command.args(args).output().expect("emu starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A directory of this test's own, removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let path = std::env::temp_dir().join(format!("emu-cli-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a scratch directory");
        Scratch(path)
    }

    fn file(&self, name: &str, content: &[u8], mode: u32) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, content).expect("a scratch file");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("its mode");
        path.to_string_lossy().into_owned()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Best effort: a leftover in the temporary directory hurts nobody.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Fails with `status` and one line `emu: ...` that contains `part`, and nothing on standard output.
fn refused(args: &[&str], status: i32, part: &str) {
    let output = emu(args);
    let errors = text(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{args:?}: {errors}");
    assert!(
        errors.starts_with("emu: ") && errors.lines().count() == 1,
        "{args:?}: {errors:?}"
    );
    assert!(errors.contains(part), "{args:?}: {errors:?} lacks {part:?}");
    assert!(output.stdout.is_empty(), "{args:?}");
}

#[test]
fn what_cannot_run_is_refused_as_a_shell_would() {
    let s = Scratch::new("refused");
    let arm = std::fs::read(fixture("armel/arm")).expect("a guest");
    let mut mips = arm.clone();
    mips[18] = 8;
    let mut big_endian = arm.clone();
    big_endian[5] = 2;
    refused(&["/no/such/program"], 127, "no such file");
    refused(&["no-such-program-anywhere"], 127, "not found");
    refused(&["/"], 126, "directory");
    refused(&[&s.file("plain", &arm, 0o644)], 126, "permission");
    refused(&[&s.file("truncated", &arm[..40], 0o755)], 126, "truncated");
    refused(&[&s.file("mips", &mips, 0o755)], 126, "MIPS");
    refused(&[&s.file("be", &big_endian, 0o755)], 126, "");
    refused(&[&s.file("text", b"hello\n", 0o755)], 126, "neither");
    refused(&[&s.file("empty", b"", 0o755)], 126, "");
    refused(&["-L", "/proc", &fixture("armhf/hello")], 127, "interpreter");
}

/// What qemu-user passes over in silence: told in a line, and not in the way.
#[test]
fn a_sysroot_that_is_not_there() {
    let warned = |name: &str, variable: &str, said: bool| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_emu"));
        match variable {
            "" => command.args(["-L", "/nonexistent"]),
            variable => command.env(variable, "/nonexistent"),
        };
        std::os::unix::process::CommandExt::arg0(&mut command, name);
        let output = command
            .arg(fixture("armhf/showcase"))
            .output()
            .expect("emu starts");
        assert!(output.status.success(), "{}", text(&output.stderr));
        let line = "emu: -L /nonexistent: No such file or directory (os error 2); paths are the host's\n";
        assert_eq!(
            text(&output.stderr),
            if said { line } else { "" },
            "{name} {variable}"
        );
    };
    warned("emu", "", true);
    warned("emu", "EMU_LD_PREFIX", true);
    warned("emu", "QEMU_LD_PREFIX", false);
    warned("qemu-arm", "", false);
}

#[test]
fn mistakes_on_the_command_line() {
    refused(&[], 125, "PROGRAM");
    refused(&["--cpu", "pentium", "x"], 125, "cortex-a15");
    refused(&["--host-without", "avx2,sse9", "x"], 125, "sse9: there are avx");
    refused(&["-d", "everything", "x"], 125, "in_asm");
    refused(&["-D", "/no/such/dir/log", "x"], 125, "/no/such/dir/log");
    refused(&["--frobnicate", "x"], 125, "frobnicate");
}

#[test]
fn help_and_version_go_to_standard_output() {
    let help = emu(&["--help"]);
    assert!(help.status.success() && help.stderr.is_empty());
    assert!(text(&help.stdout).contains("emu [OPTIONS] PROGRAM [ARGS...]"));
    let version = emu(&["--version"]);
    assert_eq!(
        text(&version.stdout),
        format!("emu {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn programs_of_the_host_are_executed_directly() {
    let output = emu(&["-E", "A=from emu", "sh", "-c", "echo \"$A\"; exit 5"]);
    assert_eq!(
        (text(&output.stdout).as_str(), output.status.code()),
        ("from emu\n", Some(5))
    );
}

#[test]
fn scripts_run_by_their_interpreter() {
    let s = Scratch::new("script");
    let line = format!("#!{} one argument\n", fixture("armhf/procs"));
    let script = s.file("script", line.as_bytes(), 0o755);
    let output = emu(&["-L", "/usr/arm-linux-gnueabihf", "-E", "VAR=v", &script, "x"]);
    // The interpreter's argv[0] is its path, argv[1] the rest of the first line.
    let want = format!(
        "again: argv[0] {}, argument one argument, VAR v\n",
        fixture("armhf/procs")
    );
    assert_eq!(
        (text(&output.stdout), output.status.code()),
        (want, Some(17)),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn options_that_the_guest_sees() {
    let hello = fixture("armhf/procs");
    let run = |args: &[&str]| {
        let mut all = vec!["-L", "/usr/arm-linux-gnueabihf"];
        all.extend(args);
        text(&emu(&all).stdout)
    };
    assert!(run(&["-0", "-zero", "-E", "VAR=1", &hello, "x"]).contains("argv[0] -zero, argument x, VAR 1"));
    assert!(run(&["-E", "VAR=1", "-U", "VAR", &hello, "x"]).contains("VAR (null)"));
    let uname = |cpu: &str| {
        let output = emu(&["--cpu", cpu, &fixture("armel/showcase")]);
        text(&output.stdout)
            .lines()
            .next()
            .unwrap_or_default()
            .to_string()
    };
    for (cpu, machine) in [
        ("arm926", "armv5tel"),
        ("arm1176", "armv6l"),
        ("cortex-a8", "armv7l"),
        ("max", "armv7l"),
    ] {
        assert!(
            uname(cpu).contains(&format!("on {machine};")),
            "{cpu}: {}",
            uname(cpu)
        );
    }
    let by_prefix = Command::new(env!("CARGO_BIN_EXE_emu"))
        .env("QEMU_LD_PREFIX", "/usr/arm-linux-gnueabihf")
        .args([&hello, "x"])
        .output()
        .expect("emu starts");
    assert_eq!(by_prefix.status.code(), Some(17));
}

#[test]
fn logs_go_where_they_are_told() {
    let s = Scratch::new("logs");
    let log = s.0.join("log").to_string_lossy().into_owned();
    let program = fixture("armel/arm");
    let output = emu(&["-d", "in_asm,ir,out_asm,exec", "-D", &log, "--strace", &program]);
    assert_eq!(text(&output.stdout), "ok\n");
    assert!(output.stderr.is_empty(), "{}", text(&output.stderr));
    let written = std::fs::read_to_string(Path::new(&log)).expect("the log");
    for part in ["mrs", "mov", "write(", "exit("] {
        assert!(
            written.contains(part),
            "no {part:?} in the log:\n{}",
            &written[..written.len().min(2000)]
        );
    }
    let stats = text(&emu(&["--stats", &program]).stderr);
    for part in [
        "blocks translated",
        "guest instructions",
        "translation time",
        "host code bytes",
        "indirect misses",
        "host insns per guest",
    ] {
        assert!(stats.contains(part), "no {part:?} in {stats}");
    }
}

/// Output that cannot be written is told, or at least in the status; it is no panic.
#[test]
fn full_and_closed_output() {
    let shell = |script: &str| {
        let mut command = Command::new("sh");
        command.args([
            "-c",
            script,
            "sh",
            env!("CARGO_BIN_EXE_emu"),
            &fixture("armel/arm"),
        ]);
        command.output().expect("a shell")
    };
    let output = shell("\"$1\" --help >/dev/full");
    assert_eq!(output.status.code(), Some(125));
    assert!(text(&output.stderr).starts_with("emu: standard output: "));
    assert_eq!(shell("\"$1\" --nope 2>/dev/full").status.code(), Some(125));
    let output = shell("\"$1\" --stats --strace \"$2\" 2>/dev/full");
    assert_eq!(
        (text(&output.stdout).as_str(), output.status.code()),
        ("ok\n", Some(0))
    );
    assert_eq!(shell("\"$1\" \"$2\" <&- >&- 2>&-").status.code(), Some(0));
}

/// Limits of the shell's that are about the guest do not keep emu from running.
#[test]
fn limits_of_the_shell() {
    for limit in [
        "-f 0",
        "-S -f 0",
        "-v 4000000",
        "-v 400000",
        "-v 200000",
        "-v 100000",
        "-n 6",
        "-s 64",
        "-s unlimited",
    ] {
        let script = format!("ulimit {limit}; exec \"$1\" \"$2\"");
        let mut command = Command::new("sh");
        command.args([
            "-c",
            &script,
            "sh",
            env!("CARGO_BIN_EXE_emu"),
            &fixture("armel/arm"),
        ]);
        let output = command.output().expect("a shell");
        assert_eq!(
            text(&output.stdout),
            "ok\n",
            "ulimit {limit}: {}",
            text(&output.stderr)
        );
    }
}

/// A host on which these tests run can run programs; one line for each finding.
#[test]
fn doctor() {
    let output = emu(&["doctor"]);
    let report = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{report}");
    assert!(
        report
            .lines()
            .all(|l| l.starts_with("ok  ") || l.starts_with("less")),
        "{report}"
    );
    // A program of that name is still one, with its path or with arguments.
    refused(&["./doctor"], 127, "no such file");
    refused(&["doctor", "x"], 127, "not found");
}
