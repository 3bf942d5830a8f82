//! The committed guests, run by the built `emu`: output and exit status as `fixtures/expected` has them.

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn guest(name: &str) -> PathBuf {
    root().join("fixtures").join(name)
}

/// `emu` with the cross compiler's libraries as sysroot, in the repository's directory.
fn emu(options: &[&str], guest_name: &str, args: &[&str]) -> Output {
    let triplet = if guest_name.starts_with("armel") {
        "arm-linux-gnueabi"
    } else {
        "arm-linux-gnueabihf"
    };
    Command::new(env!("CARGO_BIN_EXE_emu"))
        .current_dir(root())
        .env_remove("EMU_FIXTURE")
        .args(["-L", &format!("/usr/{triplet}")])
        .args(options)
        .arg(guest(guest_name))
        .args(args)
        .stdin(Stdio::null())
        .output()
        .expect("emu starts")
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs a guest and compares with the expected text; `expected` names the file below `fixtures/expected`.
fn agrees(options: &[&str], guest_name: &str, expected: &str) -> Output {
    let output = emu(options, guest_name, &[]);
    let want =
        std::fs::read_to_string(root().join("fixtures/expected").join(expected)).expect("expected text");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(stdout(&output), want, "{guest_name}: {} {errors}", output.status);
    output
}

#[test]
fn showcase_in_every_state_and_float_abi() {
    for name in ["armhf", "thumb", "armel"] {
        let output = agrees(&[], &format!("{name}/showcase"), &format!("{name}-showcase.txt"));
        assert_eq!(output.status.code(), Some(0));
    }
}

#[test]
fn showcase_one_instruction_a_block() {
    agrees(&["--one-insn-per-block"], "thumb/showcase", "thumb-showcase.txt");
}

#[test]
fn dynamic_programs_with_arguments_and_environment() {
    for name in ["armhf/hello", "thumb/hello", "armel/hello"] {
        let output = agrees(&[], name, "armhf-hello.txt");
        assert_eq!(output.status.code(), Some(0));
        let output = emu(&["-E", "EMU_FIXTURE=a b"], name, &["7", "--stats", "-L"]);
        assert_eq!(output.status.code(), Some(7));
        let text = stdout(&output);
        for line in [
            "thread-local 11",
            "argv[2] = --stats",
            "argv[3] = -L",
            "EMU_FIXTURE = a b",
        ] {
            assert!(text.contains(line), "{line} not in {text}");
        }
    }
}

#[test]
fn threads() {
    for name in ["armhf/threads", "armel/threads"] {
        let output = agrees(&[], name, "armhf-threads.txt");
        assert_eq!(output.status.code(), Some(0));
    }
}

#[test]
fn signals_and_death_by_one() {
    let output = agrees(&[], "armhf/signals", "armhf-signals.txt");
    assert_eq!(output.status.signal(), Some(libc::SIGTERM));
}

#[test]
fn processes() {
    let output = agrees(&[], "armhf/procs", "armhf-procs.txt");
    assert_eq!(output.status.code(), Some(0));
}

/// Divergences D10 and D16 are what differs without `--strict-fp`, and nothing else is; with it, nothing differs.
#[test]
fn underflow_exact_with_strict_fp() {
    agrees(&["--strict-fp"], "armhf/underflow", "armhf-underflow.txt");
    let want = std::fs::read_to_string(root().join("fixtures/expected/armhf-underflow.txt")).expect("text");
    for options in [&["--interpret", "0"][..], &["--host-without", "avx"]] {
        let text = stdout(&emu(options, "armhf/underflow", &[]));
        assert_eq!(text.lines().count(), want.lines().count());
        for (ours, theirs) in text.lines().zip(want.lines()) {
            let flags =
                |line: &str| u32::from_str_radix(line.rsplit(' ').next().unwrap_or(""), 16).expect("hex");
            let rest = |line: &str| line.rsplit_once(' ').map(|(rest, _)| rest.to_string());
            assert_eq!(rest(ours), rest(theirs));
            let allowed = match ours {
                _ if ours.contains("lanes") => 0x10,      // D16
                _ if ours.contains("rounded up") => 0x08, // D10
                _ => 0,
            };
            assert_eq!((flags(ours) ^ flags(theirs)) & !allowed, 0, "{ours} for {theirs}");
        }
    }
}

#[test]
fn assembly_guests_check_themselves() {
    for options in [
        &[][..],
        &["--one-insn-per-block"],
        &["--interpret", "0"],
        &["--interpret", "4294967295"],
        &["--strict-fp"],
        &["--host-without", "avx,lzcnt,bmi1,bmi2"],
        &["--no-aslr"],
        &["--unconfined"],
    ] {
        for name in ["armel/arm", "thumb/thumb", "armel/smc", "armel/kuser"] {
            let output = emu(options, name, &[]);
            let number = output.status.code();
            assert_eq!(
                (stdout(&output).as_str(), number),
                ("ok\n", Some(0)),
                "{name} {options:?}: check {number:?}"
            );
        }
    }
}

#[test]
fn under_a_limit_of_the_address_space() {
    let script = format!(
        "ulimit -v 1500000; exec {} {}",
        env!("CARGO_BIN_EXE_emu"),
        guest("armel/arm").display()
    );
    let output = Command::new("sh")
        .args(["-c", &script])
        .output()
        .expect("sh starts");
    assert_eq!(
        stdout(&output),
        "ok\n",
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn the_recorded_checksums_are_those_of_the_files() {
    let output = Command::new("sha256sum")
        .args(["--quiet", "-c", "SHA256SUMS"])
        .current_dir(root().join("fixtures"))
        .output()
        .expect("sha256sum starts");
    assert!(output.status.success(), "{}", stdout(&output));
}
