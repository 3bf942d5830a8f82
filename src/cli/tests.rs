//! Tests of the command line.

use super::*;

fn parse(words: &[&str]) -> Result<Config, Stop> {
    let args = std::iter::once("emu")
        .chain(words.iter().copied())
        .map(OsString::from);
    Config::parse(args, &|_| None)
}

#[test]
fn what_follows_the_program_is_the_guests() {
    let c = parse(&["--strace", "prog", "-L", "--help", "--", "-d"]).unwrap();
    assert!(c.strace && c.sysroot.is_none());
    assert_eq!(c.program, "prog");
    assert_eq!(c.args, ["-L", "--help", "--", "-d"]);
    let c = parse(&["--", "-prog", "--version"]).unwrap();
    assert_eq!((c.program, c.args), ("-prog".into(), vec!["--version".into()]));
}

#[test]
fn all_options() {
    let words = [
        "-L",
        "/r",
        "-E",
        "A=1=2",
        "-U",
        "B",
        "-E",
        "B=",
        "-0",
        "zero",
        "-s",
        "8M",
        "--cpu",
        "cortex-a8",
        "--strace",
        "-d",
        "in_asm,exec",
        "-D",
        "/l",
        "--stats",
        "--no-aslr",
        "--strict-fp",
        "--one-insn-per-block",
        "--interpret",
        "7",
        "--host-without",
        "avx2,gfni",
        "--unconfined",
        "--no-share",
        "p",
        "x",
    ];
    let c = parse(&words).unwrap();
    assert_eq!(c.sysroot.as_deref(), Some(Path::new("/r")));
    let set = |n: &str, v: &str| EnvEdit::Set(n.into(), v.into());
    assert_eq!(c.env, [set("A", "1=2"), EnvEdit::Unset("B".into()), set("B", "")]);
    assert_eq!(c.stack_size, Some(8 << 20));
    assert_eq!(
        (c.cpu.as_str(), c.log),
        ("cortex-a8", Items::IN_ASM | Items::EXEC)
    );
    assert!(c.stats && !c.aslr && c.strict_fp && c.one_insn_per_block && !c.confined && !c.sharing);
    assert_eq!(
        (c.interpret, &c.host_without[..]),
        (Some(7), &["avx2".to_string(), "gfni".into()][..])
    );
    assert_eq!(c.argv(), ["zero", "x"]);
    let host = [("B".into(), "old".into()), ("C".into(), "3".into())];
    assert_eq!(
        c.environment(host),
        [b"C=3".to_vec(), b"A=1=2".to_vec(), b"B=".to_vec()]
    );
}

#[test]
fn the_prefix_variables_stand_in_for_the_sysroot_option() {
    let run = |words: &[&str], set: &[(&str, &str)]| {
        let args = std::iter::once("emu")
            .chain(words.iter().copied())
            .map(OsString::from);
        let var = |n: &str| set.iter().find(|s| s.0 == n).map(|s| OsString::from(s.1));
        Config::parse(args, &var).unwrap().sysroot
    };
    assert_eq!(run(&["p"], &[("QEMU_LD_PREFIX", "/q")]), Some("/q".into()));
    assert_eq!(
        run(&["p"], &[("QEMU_LD_PREFIX", "/q"), ("EMU_LD_PREFIX", "/e")]),
        Some("/e".into())
    );
    assert_eq!(
        run(&["-L", "/o", "p"], &[("EMU_LD_PREFIX", "/e")]),
        Some("/o".into())
    );
    assert_eq!(run(&["p"], &[("EMU_LD_PREFIX", "")]), None);
    assert_eq!(
        run(&["--reexec", "-1", "p"], &[("EMU_LD_PREFIX", "/e")]),
        None,
        "a guest's"
    );
}

#[test]
fn mistakes_are_one_line_and_help_is_not_a_mistake() {
    for words in [
        &[][..],
        &["-s", "12X", "p"],
        &["-d", "nonsense", "p"],
        &["-E", "=x", "p"],
        &["-E", "x", "p"],
        &["--nope", "p"],
        &["-s", "0", "p"],
        &["-s", "99999999999G", "p"],
    ] {
        let stop = parse(words).unwrap_err();
        assert_eq!(
            (stop.status, stop.text.lines().count()),
            (EXIT_USAGE, 1),
            "{words:?}: {}",
            stop.text
        );
    }
    let help = parse(&["--help"]).unwrap_err();
    assert!(help.status == 0 && help.text.contains("--sysroot") && !help.text.contains("--reexec"));
    assert_eq!(
        parse(&["--version"]).unwrap_err().text.trim(),
        format!("emu {}", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn a_reexec_command_line_parses_to_the_same_options() {
    let mut c = parse(&[
        "-L", "/r", "-s", "64K", "-d", "unimp", "-D", "/l", "--stats", "-E", "A=1", "p",
    ])
    .unwrap();
    for argv in [
        vec![],
        vec!["-".into(), "-x".into(), "--help".into()],
        vec!["-sh".into()],
        vec!["=a".into()],
    ] {
        let next = Handover {
            log: None,
            strict: None,
            program: 5,
            name: OsStr::new("/bin/-sh"),
            argv: &argv,
            seccomp: Some(6),
            personality: Some(0x0084_0000),
            family: Some((7, 8)),
        };
        let args = c.reexec_args(&next, &[0, u64::MAX]);
        let again = Config::parse(args, &|_| None).unwrap();
        c.env.clear();
        c.reexec = Some(5);
        c.family = Some((7, 8));
        c.limits = vec![0, u64::MAX];
        c.seccomp = Some(6);
        c.personality = Some(0x0084_0000);
        c.program = "/bin/-sh".into();
        c.argv0 = Some(argv.first().cloned().unwrap_or_default());
        c.args = argv.iter().skip(1).cloned().collect();
        assert_eq!(again, c);
    }
}

#[test]
fn programs_are_found_as_a_shell_finds_them() {
    let same = |p: &Path| p.to_path_buf();
    let find = |name: &str, path: &str| find_program(OsStr::new(name), OsStr::new(path), &same);
    let found = find("sh", "/nonexistent:/bin").unwrap();
    assert_eq!(found.guest, Path::new("/bin/sh"));
    assert_eq!(find("/bin/sh", "").unwrap().host, Path::new("/bin/sh"));
    for (name, path, status, part) in [
        ("no-such-program", "/bin", EXIT_NOT_FOUND, "not found"),
        ("", "/bin", EXIT_NOT_FOUND, "not found"),
        ("/no/such", "", EXIT_NOT_FOUND, "no such file"),
        ("/etc/passwd/x", "", EXIT_NOT_FOUND, "no such file"),
        ("/etc", "", EXIT_CANNOT_RUN, "is a directory"),
        (".", "/bin", EXIT_CANNOT_RUN, ".: is a directory"),
        ("..", "/bin", EXIT_CANNOT_RUN, "..: is a directory"),
        ("/dev/null", "", EXIT_CANNOT_RUN, "regular"),
        ("/etc/passwd", "", EXIT_CANNOT_RUN, "permission"),
        ("passwd", "/etc", EXIT_CANNOT_RUN, "permission"),
    ] {
        let error = find(name, path).unwrap_err();
        assert_eq!(error.status(), status, "{name}: {error}");
        assert!(error.to_string().contains(part), "{name}: {error}");
    }
    let rooted = |p: &Path| Path::new("/usr").join(p.strip_prefix("/").unwrap_or(p));
    let found = find_program(OsStr::new("env"), OsStr::new("/bin"), &rooted).unwrap();
    assert_eq!(
        (found.guest.to_str(), found.host.to_str()),
        (Some("/bin/env"), Some("/usr/bin/env"))
    );
}

/// What is read without clap is what clap reads.
#[test]
fn plain_command_lines_mean_the_same_either_way() {
    let texts = [
        "p",
        "p --strace -- -x",
        "-- p -- x",
        "-- -p x",
        "-L /r --cpu cortex-a8 p a b",
        "-L /r -L /s p",
        "-0 -zero --strace --strace-times --stats --no-aslr --strict-fp --based --unconfined --allow-setuid --no-share p",
        "--reexec 4 --reexec-limits 1,2,18446744073709551615 --reexec-family 901,5 --cpu max -0 sh -- /bin/sh -c x",
        "--reexec 4 --cpu max -0 . -- -p",
        "p -",
        "p --help",
    ];
    for text in texts {
        let args: Vec<OsString> = std::iter::once("emu")
            .chain(text.split(' '))
            .map(OsString::from)
            .collect();
        let plain = super::plain::read(&args).unwrap_or_else(|| panic!("{text}"));
        assert_eq!(plain, Config::parse_fully(args).unwrap(), "{text}");
    }
    // Mistakes, and what is rare: clap's.
    let others = [
        "",
        "-",
        "--help",
        "-L",
        "-L -x p",
        "--cpu",
        "-0 -- p",
        "--",
        "--reexec x p",
        "--reexec-family 1,2 p",
        "--reexec 1 --reexec-family 1 p",
        "--reexec 1 --reexec-limits 1,x p",
        "-d exec p",
        "--root / p",
        "-L/r p",
        "--cpu=max p",
        "--reexec -1 p",
    ];
    for text in others {
        let args: Vec<OsString> = std::iter::once("emu")
            .chain(text.split(' '))
            .map(OsString::from)
            .collect();
        assert!(super::plain::read(&args).is_none(), "{text}");
    }
}
