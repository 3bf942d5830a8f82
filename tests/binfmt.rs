//! Registration with the kernel, in a user namespace's own table (Linux 6.7 and later), and the names of qemu-user.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const EMU: &str = env!("CARGO_BIN_EXE_emu");

/// The guest, for ARM.
fn guest() -> PathBuf {
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("entered-arm");
    static BUILT: std::sync::Once = std::sync::Once::new();
    BUILT.call_once(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/linux/entered.c");
        let status = Command::new("arm-linux-gnueabihf-gcc")
            .args(["-O1", "-static", "-o"])
            .args([&program, &source])
            .status();
        assert!(status.expect("Debian's gcc-arm-linux-gnueabihf").success());
    });
    program
}

fn text(output: &Output) -> String {
    [&output.stdout[..], &output.stderr[..]]
        .map(String::from_utf8_lossy)
        .concat()
}

/// Runs `script` as root of a user namespace with a mount namespace of its own; `None` where its table of
/// registrations cannot be had.
fn in_namespace(script: &str) -> Option<String> {
    let run = |script: &str| {
        Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount", "bash", "-c", script])
            .output()
            .expect("Debian's util-linux")
    };
    let table = run("mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc");
    if !table.status.success() {
        eprintln!("left out, no table in a user namespace: {}", text(&table));
        return None;
    }
    let output = run(&format!("set -e; {script}"));
    assert!(output.status.success(), "{script}: {}", text(&output));
    Some(text(&output))
}

#[test]
fn the_kernel_starts_emu() {
    let program = guest();
    let at = program.display();
    let started = |argv: &str| format!("{argv} secure 0 execfd 0 descriptor 3\n");
    for (flags, first) in [("POF", "other"), ("OF", "PATH"), ("P", "other"), ("", "PATH")] {
        // The guest's own execve goes through emu, whatever the registration.
        let script = format!(
            "{EMU} binfmt install --flags '{flags}' >/dev/null
             (exec -a other {at} again {at}) || [ $? = 7 ]"
        );
        let Some(output) = in_namespace(&script) else {
            return;
        };
        let first = if first == "PATH" {
            at.to_string()
        } else {
            first.into()
        };
        let want = started(&format!("[{first}][again][{at}]")) + &started("[zero][--strace]");
        assert_eq!(output, want, "flags {flags:?}");
    }
}

/// The C flag is for set-id programs, which no_new_privs would keep from their privileges.
#[test]
fn credentials() {
    let program = guest();
    for (flags, no_new_privs) in [("POCF", 0), ("POF", 1)] {
        let script = format!(
            "{EMU} binfmt install --flags '{flags}' >/dev/null; {} status || [ $? = 7 ]",
            program.display()
        );
        let Some(output) = in_namespace(&script) else {
            return;
        };
        assert!(
            output.contains(&format!("NoNewPrivs:\t{no_new_privs}\n")),
            "{flags}: {output}"
        );
    }
}

/// The fixed binary is there where its path is not; without /proc the kernel starts what the guest executes.
#[test]
fn in_a_chroot() {
    let program = guest();
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("binfmt-root-{}", std::process::id()));
    std::fs::create_dir_all(&root).expect("a root");
    std::fs::copy(&program, root.join("guest")).expect("the guest in it");
    let script = format!(
        "{EMU} binfmt install >/dev/null; chroot {} /guest again /guest || [ $? = 7 ]",
        root.display()
    );
    let output = in_namespace(&script);
    std::fs::remove_dir_all(&root).expect("removed");
    let Some(output) = output else { return };
    let want = "[/guest][again][/guest] secure 0 execfd 0 descriptor 3\n[zero][--strace] secure 0 execfd 0 descriptor 3\n";
    assert_eq!(output, want);
}

#[test]
fn install_status_remove() {
    let script = format!(
        "mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
         {EMU} binfmt status || echo none
         {EMU} binfmt install
         {EMU} binfmt status
         {EMU} binfmt install --flags OF
         cat /proc/sys/fs/binfmt_misc/qemu-arm
         echo -1 >/proc/sys/fs/binfmt_misc/qemu-arm
         {EMU} binfmt install --interpreter /bin/true --name qemu-arm
         {EMU} binfmt status || echo not ours
         {EMU} binfmt install || echo taken
         {EMU} binfmt remove || echo foreign
         {EMU} binfmt install --replace
         {EMU} binfmt remove
         {EMU} binfmt remove
         ls /proc/sys/fs/binfmt_misc"
    );
    let Some(output) = in_namespace(&script) else {
        return;
    };
    // Standard error comes last.
    let want = format!(
        "nothing is registered for ARM programs\nnone\n\
         qemu-arm: ARM programs run with {EMU} (flags POF)\n\
         qemu-arm: enabled, {EMU} (this emu), flags POF\n\
         qemu-arm: ARM programs run with {EMU} (flags OF)\n\
         enabled\ninterpreter {EMU}\nflags: OF\noffset 0\n\
         magic 7f454c4601010100000000000000000002002800\nmask ffffffffffffff00fffffffffffffffffeffffff\n\
         qemu-arm: ARM programs run with /bin/true (flags POF)\n\
         qemu-arm: enabled, /bin/true, flags POF\nnot ours\ntaken\nforeign\n\
         qemu-arm: ARM programs run with {EMU} (flags POF)\n\
         qemu-arm: removed\nqemu-arm: not registered\nregister\nstatus\n\
         emu: binfmt: qemu-arm is registered for /bin/true already; --replace takes it over, --name registers beside it\n\
         emu: binfmt: qemu-arm belongs to /bin/true, not to emu; --name says which registration is meant\n"
    );
    assert_eq!(output, want);
}

#[test]
fn files_for_packages() {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("binfmt-files-{}", std::process::id()));
    let emu = |action: &str| {
        let output = Command::new(EMU)
            .args(["binfmt", action, "--root"])
            .arg(&root)
            .args(if action == "install" {
                &["--interpreter", "/usr/bin/emu"][..]
            } else {
                &[]
            })
            .output()
            .expect("emu starts");
        assert!(output.status.success(), "{}", text(&output));
    };
    emu("install");
    let read = |name: &str| std::fs::read_to_string(root.join(name));
    let systemd = read("etc/binfmt.d/qemu-arm.conf").expect("systemd's file");
    assert!(systemd.starts_with(":qemu-arm:M::\\x7f") && systemd.ends_with(":/usr/bin/emu:POF\n"));
    let debian = read("usr/share/binfmts/qemu-arm").expect("Debian's file");
    assert!(debian.contains("\ninterpreter /usr/bin/emu\n") && debian.contains("\nfix_binary yes\n"));
    emu("remove");
    assert!(read("etc/binfmt.d/qemu-arm.conf").is_err() && read("usr/share/binfmts/qemu-arm").is_err());
    std::fs::remove_dir_all(&root).expect("removed");
}

#[test]
fn under_names_of_qemu() {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("qemu-names-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a directory");
    let program = guest();
    for name in ["qemu-arm", "qemu-arm-static", "buildkit-qemu-arm"] {
        let link = dir.join(name);
        symlink(EMU, &link).expect("a link");
        let output = Command::new(&link)
            .args(["-cpu", "cortex-a15", "-0", "zero", "-E", "A=1,B=2"])
            .arg(&program)
            .arg("-strace")
            .output()
            .expect("emu starts");
        assert_eq!(output.status.code(), Some(7));
        assert_eq!(
            text(&output),
            "[zero][-strace] secure 0 execfd 0 descriptor 3\n",
            "{name}"
        );
        let output = Command::new(&link)
            .args(["-g", "1234"])
            .arg(&program)
            .output()
            .expect("emu starts");
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(
            text(&output),
            "emu: -g is not supported: there is no debugger stub yet\n",
            "{name}"
        );
    }
    std::fs::remove_dir_all(&dir).expect("removed");
}

/// Every option of qemu-user and every variable (`qemu-arm -h`), with what must come of it: status, a part of the output.
#[test]
fn each_option_and_variable_of_qemu_user() {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("qemu-options-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a directory");
    let link = dir.join("qemu-arm");
    symlink(EMU, &link).expect("a link");
    let log = dir.join("log").display().to_string();
    let program = guest().display().to_string();
    let refused = "is not supported: ";
    #[rustfmt::skip]
    let rows: [(&str, &str, &str, i32, &str); 25] = [
        // Option, its value, its variable; status and a part of standard output or error.
        ("-h",               "",                 "",                     0, "usage: qemu-arm"),
        ("-help",            "",                 "",                     0, "usage: qemu-arm"),
        ("-version",         "",                 "QEMU_VERSION",         0, "(called as qemu-arm)"),
        ("-L",               "/nowhere",         "QEMU_LD_PREFIX",       7, "A=unset B=unset C=3"),
        ("-s",               "1048576",          "QEMU_STACK_SIZE",      7, "A=unset B=unset C=3"),
        ("-cpu",             "cortex-a8",        "QEMU_CPU",             7, "A=unset B=unset C=3"),
        ("-cpu",             "help",             "QEMU_CPU",             0, "cortex-a15"),
        ("-cpu",             "cortex-m3",        "QEMU_CPU",             1, "there are"),
        ("-E",               "A=1,B=2",          "QEMU_SET_ENV",         7, "A=1 B=2"),
        ("-U",               "C",                "QEMU_UNSET_ENV",       7, "C=unset"),
        ("-0",               "zero",             "QEMU_ARGV0",           7, "[zero][env]"),
        ("-B",               "0x10000",          "QEMU_GUEST_BASE",      7, "A=unset B=unset C=3"),
        ("-R",               "0xf0000000",       "QEMU_RESERVED_VA",     7, "A=unset B=unset C=3"),
        ("-d",               "strace",           "QEMU_LOG",             7, "exit_group(7)"),
        ("-d",               "in_asm,op,out_asm,unimp,nochain", "QEMU_LOG", 7, "svc"),
        ("-p",               "4096",             "QEMU_PAGESIZE",        7, "A=unset B=unset C=3"),
        ("-p",               "65536",            "QEMU_PAGESIZE",        1, "4096"),
        ("-singlestep",      "",                 "QEMU_SINGLESTEP",      7, "A=unset B=unset C=3"),
        ("-one-insn-per-tb", "",                 "QEMU_ONE_INSN_PER_TB", 7, "A=unset B=unset C=3"),
        ("-strace",          "",                 "QEMU_STRACE",          7, "exit_group(7)"),
        ("-g",               "1234",             "QEMU_GDB",             1, refused),
        ("-r",               "5.0",              "QEMU_UNAME",           1, refused),
        ("-seed",            "1",                "QEMU_RAND_SEED",       1, refused),
        ("-trace",           "x",                "QEMU_TRACE",           1, refused),
        ("-plugin",          "x.so",             "QEMU_PLUGIN",          1, refused),
    ];
    let run = |command: &mut Command| {
        command.args([&program, "env", "A", "B", "C"]).env("C", "3");
        let output = command.output().expect("emu starts");
        (output.status.code(), text(&output).replace('\n', " "))
    };
    for (option, value, variable, status, part) in rows {
        let mut by_option = Command::new(&link);
        by_option.arg(option).args(Some(value).filter(|v| !v.is_empty()));
        let mut commands = vec![by_option];
        if !variable.is_empty() {
            let mut by_variable = Command::new(&link);
            by_variable.env(variable, if value.is_empty() { "1" } else { value });
            commands.push(by_variable);
        }
        for mut command in commands {
            let (got, out) = run(&mut command);
            assert!(
                got == Some(status) && out.contains(part),
                "{command:?}: {got:?} {out}"
            );
            assert!(status != 1 || out.matches("emu: ").count() == 1, "{out}");
        }
    }
    // Where the log goes.
    for by_variable in [false, true] {
        let mut command = Command::new(&link);
        match by_variable {
            false => command.args(["-D", &log, "-strace"]),
            true => command.env("QEMU_LOG_FILENAME", &log).arg("-strace"),
        };
        let (status, out) = run(&mut command);
        assert!(status == Some(7) && !out.contains("exit_group"), "{out}");
        assert!(
            std::fs::read_to_string(&log)
                .expect("the log")
                .contains("exit_group(7)")
        );
        std::fs::remove_file(&log).expect("removed");
    }
    assert_eq!(run(Command::new(&link).args(["-dfilter", "0..1"])).0, Some(1));
    assert_eq!(run(Command::new(&link).env("QEMU_DFILTER", "0..1")).0, Some(1));
    std::fs::remove_dir_all(&dir).expect("removed");
}
