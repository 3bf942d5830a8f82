//! Confined runs: `emu --root` with a busybox root, as an unprivileged user; options, limits, what shows.

mod root_support;

use root_support::{World, copy, is_root, text, world};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};

#[test]
fn shells_pipelines_and_scripts() {
    let Some(w) = world("shell") else { return };
    assert_eq!(w.says(&[], "echo hello"), "hello\n");
    assert_eq!(
        w.says(&[], "for i in 3 1 2; do echo $i; done | sort | tr '\\n' ' '"),
        "1 2 3 "
    );
    w.file(
        "root/bin/script",
        "#!/bin/sh\necho $0 $1 $(/bin/script2)\n",
        0o755,
    );
    w.file("root/bin/script2", "#!/bin/busybox cat\nsecond\n", 0o755);
    assert_eq!(
        w.says(&[], "/bin/script a"),
        "/bin/script a #!/bin/busybox cat second\n"
    );
    let direct = w.run(&[], &["/bin/script", "b"]);
    assert_eq!(
        (text(&direct.stdout), direct.status.code()),
        ("/bin/script b #!/bin/busybox cat second\n".into(), Some(0)),
        "{}",
        text(&direct.stderr)
    );
    // Many generations, all of them inside.
    assert_eq!(w.says(&[], "sh -c 'sh -c \"sh -c id\"' | wc -l"), "1\n");
    for status in [0, 1, 77] {
        assert_eq!(
            w.shell(&[], &format!("exit {status}")).status.code(),
            Some(status)
        );
    }
    // With PATH and without.
    let output = w.run(&["--env", "PATH=/bin"], &["echo", "found"]);
    assert_eq!(text(&output.stdout), "found\n");
    let output = w.run(&[], &["/bin/nothing"]);
    assert_eq!(output.status.code(), Some(127));
    assert_eq!(text(&output.stderr).lines().count(), 1);
}

#[test]
fn only_the_guests_processes_show() {
    let Some(w) = world("ps") else { return };
    // A name settles a moment after the start.
    let settled = "settled() { i=0; until grep -qx sleep /proc/$1/comm || [ $i = 100 ]; do i=$((i+1)); sleep 0.1; done; }";
    let script = format!(
        "{settled}; sleep 100 & settled $!; sh -c 'sleep 99 & echo $! >/tmp/pid; wait; true' &
         until [ -s /tmp/pid ]; do sleep 0.1; done; settled $(cat /tmp/pid); ps -o pid,comm,args; ps aux; kill %1 %2"
    );
    let out = w.says(&[], &script);
    let lines: Vec<Vec<&str>> = out.lines().map(|l| l.split_whitespace().collect()).collect();
    assert_eq!(&lines[0], &["PID", "COMMAND", "COMMAND"], "{out}");
    assert_eq!(&lines[1][..4], &["1", "sh", "/bin/sh", "-c"], "{out}");
    assert!(
        lines.iter().any(|l| l.ends_with(&["sleep", "sleep", "100"])),
        "{out}"
    );
    assert!(
        lines
            .iter()
            .any(|l| l[1..].starts_with(&["sh", "sh", "-c", "sleep"])),
        "{out}"
    );
    assert!(
        lines.iter().any(|l| l.ends_with(&["sleep", "sleep", "99"])),
        "{out}"
    );
    assert!(!out.contains("emu") && !out.contains("reexec"), "{out}");
    // Five guests, and ps itself, twice; nothing else has a number.
    let numbered = lines.iter().filter(|l| l[0].parse::<u32>().is_ok()).count();
    assert_eq!(numbered, 10, "{out}");
    // As a program looks at another one.
    let script = "sleep 100 & until grep -qx sleep /proc/2/comm; do :; done; cat /proc/2/comm; tr '\\0' ' ' </proc/2/cmdline; echo; readlink /proc/2/exe; \
                  cat /proc/2/maps; kill %1";
    let out = w.says(&[], script);
    let start: Vec<_> = out.lines().take(3).collect();
    assert_eq!(start, ["sleep", "sleep 100 ", "/bin/busybox"], "{out}");
    assert!(out.lines().skip(3).all(|l| l.find('-') == Some(8)), "{out}");
    assert!(!out.contains("/emu"), "{out}");
    // With an init, the program is process 2.
    let out = w.says(&["--init"], "ps -o pid,args");
    assert!(out.contains("1 init\n") && out.contains("    2 "), "{out}");
}

#[test]
fn what_is_in_the_root() {
    let Some(w) = world("mounts") else { return };
    std::fs::create_dir(w.dir.join("src")).expect("a directory");
    w.file("src/a", "from outside\n", 0o644);
    let (src, rw) = (w.path("src"), "/mnt/rw");
    let options = [
        "--bind",
        &src,
        rw,
        "--ro-bind",
        &src,
        "/mnt/ro",
        "--tmpfs",
        "/mnt/t",
        "--chdir",
        "/mnt",
    ];
    let out = w.says(
        &options,
        "pwd; cat rw/a ro/a; echo new >rw/b; cat ro/b; echo x >t/x; ls t; (echo no >ro/c) 2>&1 | grep -o Read-only",
    );
    assert_eq!(out, "/mnt\nfrom outside\nfrom outside\nnew\nx\nRead-only\n");
    assert_eq!(
        std::fs::read_to_string(w.dir.join("src/b")).expect("written through"),
        "new\n"
    );
    assert!(!w.dir.join("root/mnt/t/x").exists());
    // The order is the command line's: what comes later lies above.
    let options = ["--tmpfs", "/mnt", "--bind", &src, "/mnt/s"];
    assert_eq!(w.says(&options, "ls /mnt"), "s\n");
    let options = ["--bind", &src, "/mnt", "--tmpfs", "/mnt"];
    assert_eq!(w.says(&options, "ls /mnt"), "");
    // Changes in memory only, of one directory or of the whole root.
    let out = w.says(
        &["--overlay", &src, "/mnt"],
        "cat /mnt/a; echo x >/mnt/a; rm /mnt/b; ls /mnt; cat /mnt/a",
    );
    assert_eq!(out, "from outside\na\nx\n");
    assert_eq!(
        std::fs::read_to_string(w.dir.join("src/a")).expect("unchanged"),
        "from outside\n"
    );
    let root = w.path("root");
    assert_eq!(
        w.says(&["--overlay", &root, "/"], "echo x >/new; cat /new"),
        "x\n"
    );
    assert!(!w.dir.join("root/new").exists());
    // A single file, and one that is not there.
    let file = w.path("src/a");
    assert_eq!(
        w.says(&["--ro-bind", &file, "/etc/one"], "cat /etc/one"),
        "from outside\n"
    );
    let outside = w.path("src");
    for (options, part) in [
        (["--bind", "/no/such", "/mnt"], "--bind /no/such: No such file"),
        (
            ["--bind", &file, "/mnt"],
            "/mnt in the guest's root: Is a directory; a file",
        ),
        (
            ["--bind", &outside, "/bin/busybox"],
            "/bin/busybox in the guest's root: Not a directory; a",
        ),
        (
            ["--root", &file, "--init"],
            &format!("--root {file}: Not a directory"),
        ),
    ] {
        let mut command = w.emu();
        if options[0] != "--root" {
            command.arg("--root").arg(&root);
        }
        let output = command
            .args(options)
            .arg("/bin/true")
            .output()
            .expect("emu starts");
        let errors = text(&output.stderr);
        let want = (Some(125), 1);
        assert_eq!((output.status.code(), errors.lines().count()), want, "{errors}");
        assert!(errors.contains(part), "{errors}");
    }
    // A kernel that lays no overlay over a directory with mounts in it.
    let output = w.run(&["--overlay", "/", "/mnt"], &["/bin/true"]);
    let errors = text(&output.stderr);
    assert!(
        output.status.success()
            || output.status.code() == Some(125) && errors.contains("in which others are mounted"),
        "{errors}"
    );
    // The usual ones.
    let out = w.says(
        &[],
        "ls /dev | tr '\\n' ' '; ls /tmp; echo x >/dev/null; head -c 3 /dev/zero | wc -c; echo y >/dev/shm/y",
    );
    assert_eq!(
        out,
        "fd full null ptmx pts random shm stderr stdin stdout tty urandom zero 3\n"
    );
    // What goes over a link of the root's lies where that leads, in the root.
    std::fs::create_dir_all(w.dir.join("linked/var/tmp")).expect("a directory");
    for (link, to) in [("tmp", "/var/tmp"), ("bin", "../root/bin"), ("away", "/nowhere")] {
        symlink(to, w.dir.join("linked").join(link)).expect("a link");
    }
    let linked = |options: &[&str], script: &str| {
        let bin = w.path("root/bin");
        let mut command = w.emu();
        command.args(options).args(["--ro-bind", &bin, "/programs"]);
        command.arg("--root").arg(w.dir.join("linked"));
        let output = command.args(["/programs/sh", "-c", script]).output();
        let output = output.expect("emu starts");
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    w.open_to_all();
    let script = "/programs/touch /tmp/x; /programs/ls /var/tmp";
    assert_eq!(linked(&[], script), (Some(0), "x\n".into(), String::new()));
    assert!(!w.dir.join("linked/var/tmp/x").exists());
    let line =
        "emu: /away in the guest's root: File exists; it is a link that leads to nothing in the root\n";
    let outcome = linked(&["--tmpfs", "/away"], "true");
    assert_eq!(outcome, (Some(125), String::new(), line.into()));
    // A /proc there is covered as any other.
    let script = "echo 1 >/var/tmp/sys/user/max_user_namespaces";
    let (status, _, errors) = linked(&["--proc", "/tmp"], script);
    assert!(status != Some(0) && errors.contains("Read-only"), "{errors}");
    // Places in the root cannot be led outside by its links.
    symlink(w.path("src"), w.dir.join("root/trap")).expect("a link");
    let output = w.run(&["--tmpfs", "/trap/x"], &["/bin/true"]);
    assert!(!w.dir.join("src/x").exists(), "{}", text(&output.stderr));
}

#[test]
fn identities_names_and_environment() {
    let Some(w) = world("ids") else { return };
    assert_eq!(w.says(&["--uid", "0", "--gid", "0"], "id"), "uid=0 gid=0\n");
    assert_eq!(
        w.says(&["--uid", "1000", "--gid", "100"], "id"),
        "uid=1000 gid=100\n"
    );
    assert_eq!(w.says(&["--hostname", "inside"], "hostname"), "inside\n");
    assert_eq!(w.says(&["--env", "A=1", "-E", "B=2"], "echo $A$B"), "12\n");
    let mut command = w.emu();
    command
        .env("OUTER", "yes")
        .args(["--clear-env", "--env", "A=1", "--root"]);
    let output = command
        .arg(w.dir.join("root"))
        .arg("/bin/env")
        .output()
        .expect("emu starts");
    assert_eq!(text(&output.stdout), "A=1\n");
    let status = "grep -E '^(NoNewPrivs|Cap)' /proc/self/status | tr -d '\\t\\n'";
    let nothing = "CapInh:0000000000000000CapPrm:0000000000000000CapEff:0000000000000000CapBnd:0000000000000000\
                   CapAmb:0000000000000000NoNewPrivs:1";
    assert_eq!(w.says(&[], status), nothing);
    assert_eq!(w.says(&["--uid", "0"], status), nothing);
    let out = w.says(
        &["--cap-add", "CAP_SYS_CHROOT"],
        "chroot / /bin/echo changed; grep CapEff /proc/self/status",
    );
    assert_eq!(out, "changed\nCapEff:\t0000000000040000\n");
    let sessions = |options: &[&str]| {
        w.says(
            options,
            "cut() { read a b c d e f g; echo $f; }; cut </proc/self/stat",
        )
    };
    assert_eq!(sessions(&["--new-session"]), "1\n");
    assert_eq!(sessions(&[]), "0\n");
}

#[test]
fn the_network() {
    let Some(w) = world("net") else { return };
    let out = w.says(&[], "ip -o link | wc -l; ip addr show lo | grep -c 127.0.0.1");
    assert_eq!(out, "1\n1\n");
    let host = w.says(&["--net", "host"], "readlink /proc/self/ns/net");
    let here = std::fs::read_link("/proc/self/ns/net").expect("this process's namespace");
    assert_eq!(host.trim(), here.to_string_lossy());
    assert_ne!(
        w.says(&[], "readlink /proc/self/ns/net").trim(),
        here.to_string_lossy()
    );
}

#[test]
fn ends() {
    let Some(w) = world("ends") else { return };
    // A guest's death by a signal from inside is impossible for process 1, and its child's is told.
    assert_eq!(w.says(&[], "kill -9 $$; sleep 0; echo alive"), "alive\n");
    assert_eq!(w.shell(&["--init"], "kill -9 $$").status.code(), Some(137));
    let output = w.shell(&["--timeout", "0.5"], "sleep 100");
    assert_eq!(
        (output.status.code(), text(&output.stderr)),
        (Some(124), "emu: --timeout 0.5: ended\n".into())
    );
    // A signal from outside ends a guest that does nothing about it, and is the guest's where it does.
    let signalled = |script: &str| {
        let mut command = w.emu();
        command
            .arg("--root")
            .arg(w.dir.join("root"))
            .args(["/bin/sh", "-c", script]);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("emu starts");
        let mut out = child.stdout.take().expect("its output");
        let mut byte = [0];
        std::io::Read::read_exact(&mut out, &mut byte).expect("a sign of life");
        let status = Command::new("kill").arg(child.id().to_string()).status();
        assert!(status.expect("kill").success());
        let mut rest = String::new();
        std::io::Read::read_to_string(&mut out, &mut rest).expect("the rest");
        (child.wait().expect("emu ends"), rest)
    };
    let (status, _) = signalled("echo; sleep 100; true");
    assert_eq!(status.signal(), Some(libc::SIGTERM));
    let (status, rest) = signalled("trap 'echo caught; exit 3' TERM; echo; while :; do sleep 0.1; done");
    assert_eq!((status.code(), rest.as_str()), (Some(3), "caught\n"));
    // Job control: what a terminal sends stops the run, and the guest's first process with it.
    let mut command = w.emu();
    command.arg("--root").arg(w.dir.join("root"));
    command
        .args(["/bin/sh", "-c", "echo; sleep 100; true"])
        .stdout(Stdio::piped());
    let mut child = std::os::unix::process::CommandExt::process_group(&mut command, 0)
        .spawn()
        .expect("emu starts");
    let mut byte = [0];
    let out = child.stdout.as_mut().expect("its output");
    std::io::Read::read_exact(out, &mut byte).expect("a sign of life");
    let pid = child.id() as i32;
    let mut status = 0;
    // SAFETY: a child of this process, and `status` is valid for the write.
    let waited = unsafe {
        libc::kill(pid, libc::SIGTSTP);
        libc::waitpid(pid, &raw mut status, libc::WUNTRACED)
    };
    assert!(waited == pid && libc::WIFSTOPPED(status), "{status:#x}");
    let guest = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).expect("its child");
    // It may need a moment to get there.
    let stopped = || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", guest.trim()));
        stat.expect("the guest's state").contains(") T ")
    };
    let start = std::time::Instant::now();
    while !stopped() {
        assert!(start.elapsed().as_secs() < 20, "it goes on");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    // SAFETY: as above.
    unsafe {
        libc::kill(pid, libc::SIGCONT);
        libc::kill(pid, libc::SIGTERM);
    }
    assert_eq!(child.wait().expect("emu ends").signal(), Some(libc::SIGTERM));
    // Nothing is left when process 1 is gone, whatever it has started.
    let marker = format!("3{}", std::process::id());
    w.says(&[], &format!("sleep {marker} & sleep 0.1"));
    std::thread::sleep(std::time::Duration::from_millis(200));
    let left = Command::new("pgrep")
        .args(["-f", &format!("^sleep {marker}")])
        .output();
    if let Ok(left) = left {
        assert_eq!(text(&left.stdout), "");
    }
}

#[test]
fn limits_are_kept() {
    let Some(w) = world("limits") else { return };
    let out = w.says(
        &["--rlimit", "nofile=40:50", "--rlimit", "stack=2M"],
        "ulimit -n; ulimit -Hn; ulimit -s",
    );
    assert_eq!(out, "40\n50\n2048\n");
    // Core files would be the emulator's.
    assert_eq!(w.says(&[], "ulimit -c; ulimit -Hc"), "0\n0\n");
    // What the emulator opens for itself is not limited.
    assert_eq!(w.says(&["--rlimit", "nofile=3"], "ulimit -n"), "3\n");
    let output = w.run(&["--rlimit", "nofile=100000000000"], &["/bin/true"]);
    let errors = text(&output.stderr);
    assert_eq!(output.status.code(), Some(125), "{errors}");
    assert!(
        errors.starts_with("emu: --rlimit nofile: ") && errors.contains("the caller's hard limit is lower"),
        "{errors}"
    );
    // Its root is none: it raises nothing.
    let output = w.shell(&["--uid", "0", "--rlimit", "data=10M"], "ulimit -d unlimited");
    assert!(!output.status.success());
    // Processes: as many as fit, and then none.
    let script = "i=0; while [ $i -lt 20 ]; do sleep 100 & i=$((i+1)); done; echo all";
    let output = w.shell(&["--pids", "8"], script);
    assert_eq!(text(&output.stdout), "", "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("fork"), "{}", text(&output.stderr));
    // A fork bomb is over with its time.
    let output = w.shell(
        &["--pids", "30", "--timeout", "2"],
        "bomb() { bomb | bomb & }; bomb; while :; do :; done",
    );
    assert_eq!(output.status.code(), Some(124), "{}", text(&output.stderr));
    // Memory: a shell that fills a variable, or a file in memory, gets no further.
    let hog = "x=0123456789abcdef; while :; do x=$x$x; done";
    let output = w.shell(&["--memory", "64M", "--timeout", "60"], hog);
    assert!(
        !output.status.success() && output.status.code() != Some(124),
        "{}: {}",
        output.status,
        text(&output.stderr)
    );
}

/// With groups that root may make, what was hit is told.
#[test]
fn limits_that_were_hit_are_told() {
    if !is_root() {
        println!("not root: no control group may be made here for sure");
        return;
    }
    let Some(w) = world("groups") else { return };
    let run = |options: &[&str], script: &str| {
        let mut command = Command::new(w.dir.join("emu"));
        command.args(options).arg("--root").arg(w.dir.join("root"));
        command
            .args(["/bin/sh", "-c", script])
            .output()
            .expect("emu starts")
    };
    let policy = run(
        &[
            "--print-policy",
            "--best-effort",
            "--memory",
            "32M",
            "--pids",
            "8",
        ],
        "",
    );
    let policy = text(&policy.stdout);
    if policy.contains("memory 33554432: control group") {
        let output = run(&["--memory", "32M"], "dd if=/dev/zero of=/tmp/x bs=1M count=100");
        assert!(
            text(&output.stderr).contains("emu: --memory 32M: the kernel ended "),
            "{}",
            text(&output.stderr)
        );
    }
    if policy.contains("pids 8: control group") {
        let output = run(
            &["--pids", "8"],
            "i=0; while [ $i -lt 20 ]; do sleep 1 & i=$((i+1)); done",
        );
        let errors = text(&output.stderr);
        assert!(
            errors.contains("emu: --pids 8: ") && errors.contains("failed"),
            "{errors}"
        );
    }
    // Nothing is left, of a run that a signal has ended neither.
    let mut command = Command::new(w.dir.join("emu"));
    command.args([
        "--best-effort",
        "--memory",
        "32M",
        "--pids",
        "8",
        "--cpus",
        "1",
        "--root",
    ]);
    command
        .arg(w.dir.join("root"))
        .args(["/bin/sh", "-c", "echo; sleep 100; true"]);
    let mut child = command.stdout(Stdio::piped()).spawn().expect("emu starts");
    let mut byte = [0];
    let out = child.stdout.as_mut().expect("its output");
    std::io::Read::read_exact(out, &mut byte).expect("a sign of life");
    let name = format!("emu-{}", child.id());
    let groups = || {
        let found = Command::new("find")
            .args(["/sys/fs/cgroup", "-name", &name])
            .output();
        text(&found.expect("find").stdout)
    };
    if policy.contains(": control group") {
        assert_ne!(groups(), "");
    }
    // SAFETY: a child that has not been waited for.
    unsafe { libc::kill(child.id() as i32, libc::SIGTERM) };
    let status = child.wait().expect("emu ends");
    assert_eq!(status.signal(), Some(libc::SIGTERM));
    assert_eq!(groups(), "");
}

#[test]
fn policies_are_printed_and_read() {
    let Some(w) = world("profile") else { return };
    let profile = w.file(
        "profile.toml",
        &format!(
            "name = \"test\"\nroot = {:?}\nhostname = \"p\"\nenv = {{ A = \"1\", B = \"2\" }}\nmount = [{{ tmpfs = \"/mnt\" }}]\n",
            w.path("root")
        ),
        0o644,
    );
    let mut command = w.emu();
    command.args([
        "--profile",
        &profile,
        "-E",
        "B=3",
        "/bin/sh",
        "-c",
        "hostname; echo $A$B",
    ]);
    let output = command.output().expect("emu starts");
    assert_eq!(text(&output.stdout), "p\n13\n", "{}", text(&output.stderr));
    let mut command = w.emu();
    command.args([
        "--profile",
        &profile,
        "--uid",
        "0",
        "--print-policy",
        "--rlimit",
        "core=0",
        "/bin/sh",
    ]);
    let output = command.output().expect("emu starts");
    let policy = text(&output.stdout);
    for part in [
        "profile: strict\nname: test\n",
        "ids: uid 0, gid the caller's\n",
        "capabilities: none\n",
        "  /mnt: memory\n",
        "  core: 0 to 0\n",
        "  mmap                   PROT_EXEC in the translator's arena only",
        "  mount                  EPERM   allowed by: --bind",
        "  ptrace                 EPERM   allowed by: --cap-add sys_ptrace",
        " read ",
    ] {
        assert!(policy.contains(part), "no {part:?} in {policy}");
    }
    assert!(!policy.contains("bpf"), "{policy}");
    let wrong = w.file("wrong.toml", "root = 1\n", 0o644);
    let output = w
        .emu()
        .args(["--profile", &wrong, "x"])
        .output()
        .expect("emu starts");
    let errors = text(&output.stderr);
    assert_eq!(
        (output.status.code(), errors.lines().count()),
        (Some(125), 1),
        "{errors}"
    );
    assert!(errors.contains("line 1"), "{errors}");
}

/// A root that holds the program alone.
#[test]
fn an_empty_root() {
    let Some(w) = world("confine") else { return };
    let program = w.path("root/bin/busybox");
    let run = |options: &[&str], guest: &[&str]| {
        let mut command = w.emu();
        command.args(options).arg("--confine").arg(&program).args(guest);
        command.output().expect("emu starts")
    };
    let output = run(&[], &["ls", "/"]);
    let out = text(&output.stdout);
    let first = program.split('/').nth(1).expect("an absolute path");
    let mut want = vec!["dev", "proc", "tmp"];
    if first != "tmp" {
        want.push(first);
        want.sort_unstable();
    }
    assert_eq!(
        out.split_whitespace().collect::<Vec<_>>(),
        want,
        "{}",
        text(&output.stderr)
    );
    let output = run(&[], &["touch", &program]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    assert!(
        text(&output.stderr).contains("Read-only"),
        "{}",
        text(&output.stderr)
    );
    let output = run(&["--tmpfs", "/work", "--chdir", "/work"], &["pwd"]);
    assert_eq!(text(&output.stdout), "/work\n");
    // A dynamic program with its libraries.
    let mut command = w.emu();
    let sysroot = "/usr/arm-linux-gnueabihf";
    copy(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/armhf/hello"),
        &w.dir.join("hello"),
    );
    w.open_to_all();
    command
        .args(["-L", sysroot, "--confine"])
        .arg(w.dir.join("hello"));
    let output = command.output().expect("emu starts");
    assert!(
        output.status.success() && !output.stdout.is_empty(),
        "{}",
        text(&output.stderr)
    );
}

/// The caller's terminal output and files by the names in /proc work as outside.
#[test]
fn descriptors_from_outside() {
    let Some(w) = world("fds") else { return };
    let file = w.file("out", "", 0o666);
    let to_file = std::fs::OpenOptions::new()
        .append(true)
        .open(&file)
        .expect("the file");
    let mut command = w.emu();
    command.arg("--root").arg(w.dir.join("root"));
    command
        .args(["/bin/sh", "-c", "echo one; echo two >>/dev/stdout"])
        .stdout(to_file);
    let output = command.output().expect("emu starts");
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(std::fs::read_to_string(&file).expect("read"), "one\ntwo\n");
    // Where the kernel has Landlock, a file that was given for reading is not opened again for writing.
    let mut command = w.emu();
    command.arg("--root").arg(w.dir.join("root"));
    let script = "cat /dev/stdin; (echo three >>/proc/self/fd/0) 2>/dev/null || echo refused";
    command
        .args(["/bin/sh", "-c", script])
        .stdin(std::fs::File::open(&file).expect("the file"));
    let output = command.output().expect("emu starts");
    let out = text(&output.stdout);
    // SAFETY: with this flag landlock_create_ruleset only says its version.
    let version = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, 0usize, 0usize, 1u32) };
    match version > 0 {
        true => assert_eq!(out, "one\ntwo\nrefused\n"),
        false => assert!(out.starts_with("one\ntwo\n"), "{out}"),
    }
    let mut command = w.emu();
    command
        .arg("--root")
        .arg(w.dir.join("root"))
        .args(["/bin/cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = command.spawn().expect("emu starts");
    child
        .stdin
        .take()
        .expect("a pipe")
        .write_all(b"through\n")
        .expect("written");
    assert_eq!(
        text(&child.wait_with_output().expect("its output").stdout),
        "through\n"
    );
}

#[test]
fn mistakes_are_one_line() {
    let Some(w) = World::new("mistakes") else { return };
    let root = w.path("root");
    for (arguments, part) in [
        (&["--bind", "/a", "/b", "x"][..], "--bind needs a confined run"),
        (&["--memory", "1M", "x"], "--memory needs a confined run"),
        (&["--root", &root, "--tmpfs", "tmp", "x"], "starts with /"),
        (&["--root", &root, "--cap-add", "nonsense", "x"], "no capability"),
        (&["--root", &root, "--rlimit", "files=1", "x"], "no limit"),
        (&["--root", &root, "--net", "some", "x"], "none"),
        (&["--root", &root, "--confine", "x"], "cannot be used with"),
        (&["--root", &root, "--unconfined", "x"], "exclude"),
        (&["--root", "/no/such/root", "x"], "/no/such/root"),
    ] {
        let output = w.emu().args(arguments).output().expect("emu starts");
        let errors = text(&output.stderr);
        assert_eq!(output.status.code(), Some(125), "{arguments:?}: {errors}");
        assert!(
            errors.lines().count() == 1 && errors.starts_with("emu: "),
            "{arguments:?}: {errors}"
        );
        // A host without namespaces has its own reason for the last.
        assert!(
            errors.contains(part) || errors.contains("namespace"),
            "{arguments:?}: {errors}"
        );
    }
}
