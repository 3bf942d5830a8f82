//! `emu-oci` as engines call it: a busybox bundle through a container's whole life, what is refused, what is enforced.
//!
//! A container needs rights that not every host gives: where it does not, each test says so.

mod root_support;

use root_support::{copy, is_root, text};
use serde_json::{Value, json};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Names that busybox goes by in the root.
const APPLETS: &str =
    "sh cat echo env false grep head hostname id kill ls mkdir ps readlink sleep tr true uname wc";

/// A bundle with a busybox root, and a directory for the states of its containers; ended and removed with the test.
struct Bundle {
    dir: PathBuf,
}

impl Bundle {
    fn new(name: &str) -> Option<Bundle> {
        let top = Path::new(env!("CARGO_MANIFEST_DIR"));
        let busybox = top.join("target/guests/busybox");
        if !busybox.exists() {
            let _ = Command::new(top.join("tools/fetch-guests")).status();
        }
        if !busybox.exists() {
            println!("left out: no busybox for armhf; tools/fetch-guests downloads it");
            return None;
        }
        let dir = std::env::temp_dir().join(format!("oci-{name}-{}", std::process::id()));
        for empty in ["bin", "proc", "dev", "sys", "tmp", "etc"] {
            std::fs::create_dir_all(dir.join("rootfs").join(empty)).expect("a directory of the root");
        }
        copy(&busybox, &dir.join("rootfs/bin/busybox"));
        for applet in APPLETS.split_whitespace() {
            symlink("busybox", dir.join("rootfs/bin").join(applet)).expect("a link to busybox");
        }
        Some(Bundle { dir })
    }

    /// One whose containers can run here.
    fn able(name: &str) -> Option<Bundle> {
        static LACKING: OnceLock<Option<String>> = OnceLock::new();
        if let Some(reason) = LACKING.get_or_init(what_the_host_lacks) {
            println!("left out: {reason}");
            return None;
        }
        Bundle::new(name)
    }

    /// Writes config.json: `args` in a usual container, changed by `edit`.
    fn config(&self, args: &[&str], edit: impl FnOnce(&mut Value)) {
        let all = json!([
            "CAP_CHOWN",
            "CAP_DAC_OVERRIDE",
            "CAP_FOWNER",
            "CAP_KILL",
            "CAP_SETGID",
            "CAP_SETUID"
        ]);
        let namespaces: Vec<Value> = ["pid", "mount", "ipc", "uts", "network"]
            .iter()
            .map(|t| json!({ "type": t }))
            .collect();
        let mut config = json!({
            "ociVersion": "1.0.2",
            "hostname": "box",
            "root": { "path": "rootfs" },
            "process": {
                "args": args,
                "env": ["PATH=/usr/bin:/bin", "B=2", "A=1"],
                "cwd": "/",
                "user": { "uid": 0, "gid": 0 },
                "capabilities": { "bounding": all, "effective": all, "permitted": all },
            },
            "mounts": [
                { "destination": "/proc", "type": "proc", "source": "proc" },
                { "destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"] },
                { "destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"] },
            ],
            "linux": {
                "namespaces": namespaces,
                "cgroupsPath": format!("/emu-oci-test-{}", self.dir.file_name().expect("a name").to_string_lossy()),
                "resources": { "devices": [{ "allow": false, "access": "rwm" }] },
            },
        });
        edit(&mut config);
        std::fs::write(self.dir.join("config.json"), config.to_string()).expect("config.json");
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_emu-oci"));
        command
            .arg("--root")
            .arg(self.dir.join("state"))
            .args(args)
            .stdin(Stdio::null());
        command.current_dir(&self.dir);
        command
    }

    fn oci(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("emu-oci starts")
    }

    /// `run` of a shell's script: its output, which must be all there is, and its status.
    fn shell(&self, script: &str) -> (String, Option<i32>) {
        self.config(&["/bin/sh", "-c", script], |_| {});
        self.run()
    }

    fn run(&self) -> (String, Option<i32>) {
        let output = self.oci(&["run", "one"]);
        (text(&output.stdout) + &text(&output.stderr), output.status.code())
    }

    /// `emu-oci` with `args` must do its work without a word.
    fn does(&self, args: &[&str]) {
        let output = self.oci(args);
        let said = text(&output.stdout) + &text(&output.stderr);
        assert!(
            output.status.success() && said.is_empty(),
            "{args:?}: {}\n{said}",
            output.status
        );
    }

    /// Creates a container with its output in files.
    fn create(&self, id: &str) {
        let file = |name: &str| std::fs::File::create(self.dir.join(name)).expect("a file");
        let mut command = self.command(&["create", "--bundle", ".", "--pid-file", "pid", id]);
        let status = command
            .stdout(file("out"))
            .stderr(file("err"))
            .status()
            .expect("emu-oci starts");
        assert!(status.success(), "{}", self.read("err"));
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.dir.join(name)).unwrap_or_default()
    }

    fn state(&self, id: &str) -> Value {
        let output = self.oci(&["state", id]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    fn becomes(&self, id: &str, status: &str) {
        wait_until(&format!("{id} becomes {status}"), || {
            self.state(id)["status"] == status
        });
    }

    /// It must fail, with one line that has `part`, and leave nothing behind.
    fn refuses(&self, args: &[&str], part: &str) {
        let output = self.oci(args);
        let errors = text(&output.stderr);
        assert_eq!(
            (output.status.code(), text(&output.stdout).as_str()),
            (Some(1), ""),
            "{part}: {errors}"
        );
        assert!(
            errors.starts_with("emu-oci: ") && errors.lines().count() == 1,
            "{part}: {errors}"
        );
        assert!(errors.contains(part), "{part}: {errors}");
        let left = std::fs::read_dir(self.dir.join("state")).map_or(0, |entries| entries.count());
        assert_eq!(left, 0, "{part}");
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        let left = std::fs::read_dir(self.dir.join("state"))
            .into_iter()
            .flatten()
            .flatten();
        for id in left.map(|entry| entry.file_name().to_string_lossy().into_owned()) {
            self.oci(&["delete", "--force", &id]);
        }
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "{what}: not within a minute"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Why no container can be made here, if so.
fn what_the_host_lacks() -> Option<String> {
    if !is_root() {
        return Some("containers want control groups, which this user may not make".into());
    }
    let probe = Command::new("unshare")
        .args([
            "-m", "-p", "-i", "-u", "-n", "--fork", "mount", "-t", "proc", "proc", "/proc",
        ])
        .output();
    let probe = probe.expect("unshare of util-linux");
    if !probe.status.success() {
        return Some(format!("no namespaces here: {}", text(&probe.stderr).trim()));
    }
    let groups = ["/sys/fs/cgroup/pids", "/sys/fs/cgroup"]
        .into_iter()
        .find(|dir| Path::new(dir).exists());
    let Some(groups) = groups else {
        return Some("no control groups are mounted".into());
    };
    let own = Path::new(groups).join(format!("emu-oci-probe-{}", std::process::id()));
    match std::fs::create_dir(&own).and_then(|()| std::fs::remove_dir(&own)) {
        Ok(()) => None,
        Err(error) => Some(format!("control groups cannot be made: {groups}: {error}")),
    }
}

#[test]
fn a_containers_life() {
    let Some(b) = Bundle::able("life") else { return };
    b.config(
        &[
            "/bin/sh",
            "-c",
            "trap 'echo ended; exit 3' TERM; echo up; while :; do sleep 0.1; done",
        ],
        |_| {},
    );
    b.create("one");
    let state = b.state("one");
    let pid = state["pid"].as_i64().expect("a number");
    assert_eq!(
        (state["status"].as_str(), state["id"].as_str()),
        (Some("created"), Some("one"))
    );
    assert_eq!(state["bundle"], json!(b.dir.canonicalize().expect("a path")));
    assert_eq!(b.read("pid").trim(), pid.to_string());
    assert_eq!(b.read("out"), "");
    let again = b.oci(&["create", "one"]);
    assert!(
        text(&again.stderr).contains("container with id exists"),
        "{}",
        text(&again.stderr)
    );
    assert!(!b.oci(&["exec", "nobody", "/bin/true"]).status.success());

    b.does(&["start", "one"]);
    assert!(text(&b.oci(&["start", "one"]).stderr).contains("running"));
    wait_until("the program is up", || b.read("out") == "up\n");
    let listed = b.oci(&["list", "--format", "json"]);
    let listed: Value = serde_json::from_slice(&listed.stdout).expect("JSON");
    assert_eq!(
        (listed[0]["id"].as_str(), listed[0]["status"].as_str()),
        (Some("one"), Some("running"))
    );
    assert_eq!(text(&b.oci(&["list", "-q"]).stdout), "one\n");

    let inside = b.oci(&[
        "exec",
        "--env",
        "A=9",
        "--cwd",
        "/tmp",
        "one",
        "/bin/sh",
        "-c",
        "pwd; echo $A $B; hostname; ps -o args; exit 7",
    ]);
    let said = text(&inside.stdout);
    assert_eq!(inside.status.code(), Some(7), "{}", text(&inside.stderr));
    assert!(
        said.starts_with("/tmp\n9 2\nbox\n") && said.contains("trap") && !said.contains("emu"),
        "{said}"
    );
    let user = b.oci(&["exec", "--user", "5:6", "one", "id"]);
    assert_eq!(text(&user.stdout), "uid=5 gid=6\n");
    for user in ["4294967295:5", "5:4294967295"] {
        let refused = b.oci(&["exec", "--user", user, "one", "id"]);
        let said = text(&refused.stderr);
        assert!(
            said.contains("in range 0-2147483647") && refused.stdout.is_empty(),
            "{said}"
        );
    }
    // The same by a description, which no option has looked at.
    let root = json!({ "args": ["/bin/id"], "cwd": "/", "env": ["PATH=/bin"], "user": { "uid": u32::MAX, "gid": 5 } });
    std::fs::write(b.dir.join("root.json"), root.to_string()).expect("a file");
    let refused = b.oci(&["exec", "--process", "root.json", "one"]);
    assert!(
        !refused.status.success() && refused.stdout.is_empty(),
        "{}",
        text(&refused.stdout)
    );
    let nothing = b.oci(&["exec", "one", "/bin/nothing"]);
    assert!(
        text(&nothing.stderr).contains("no such file or directory"),
        "{}",
        text(&nothing.stderr)
    );

    // As engines do it: a process description, and no waiting.
    let process = json!({ "args": ["/bin/sh", "-c", "echo from $0 >/tmp/exec; sleep 100", "exec"], "cwd": "/", "env": ["PATH=/bin"], "user": { "uid": 0, "gid": 0 } });
    std::fs::write(b.dir.join("process.json"), process.to_string()).expect("a file");
    let mut detached = b.command(&[
        "exec",
        "--process",
        "process.json",
        "--detach",
        "--pid-file",
        "pid2",
        "one",
    ]);
    let status = detached.stdout(Stdio::null()).stderr(Stdio::null()).status();
    assert!(status.expect("emu-oci starts").success());
    wait_until("exec's process writes", || {
        b.read("rootfs/tmp/exec") == "from exec\n"
    });
    let pids: Vec<i64> =
        serde_json::from_slice(&b.oci(&["ps", "--format", "json", "one"]).stdout).expect("JSON");
    let second: i64 = b.read("pid2").trim().parse().expect("a number");
    assert!(pids.contains(&pid) && pids.contains(&second), "{pids:?}");
    let table = text(&b.oci(&["ps", "one"]).stdout);
    assert!(
        table.contains("PID") && table.contains("sleep 100") && !table.contains("emu-oci"),
        "{table}"
    );

    b.does(&["pause", "one"]);
    assert_eq!(b.state("one")["status"], "paused");
    assert!(!b.oci(&["exec", "one", "/bin/true"]).status.success());
    b.does(&["resume", "one"]);
    assert_eq!(b.state("one")["status"], "running");
    assert!(text(&b.oci(&["delete", "one"]).stderr).contains("not stopped"));
    assert!(text(&b.oci(&["kill", "one", "NONSENSE"]).stderr).contains("unknown signal"));
    b.does(&["kill", "one", "SIGTERM"]);
    b.becomes("one", "stopped");
    assert_eq!(
        (
            b.state("one")["pid"].as_i64(),
            b.read("out").as_str(),
            b.read("err").as_str()
        ),
        (Some(0), "up\nended\n", "")
    );
    assert!(text(&b.oci(&["kill", "one", "TERM"]).stderr).contains("container not running"));
    b.does(&["delete", "one"]);
    assert!(text(&b.oci(&["state", "one"]).stderr).contains("does not exist"));
    b.does(&["delete", "--force", "one"]);
    assert!(!Path::new(&format!("/proc/{second}")).exists());
}

#[test]
fn programs_children_and_scripts() {
    let Some(b) = Bundle::able("run") else { return };
    assert_eq!(
        b.shell("uname -m; hostname; id; echo $A$B; exit 5"),
        ("armv7l\nbox\nuid=0 gid=0\n12\n".into(), Some(5))
    );
    let script = b.dir.join("rootfs/bin/script");
    std::fs::write(
        &script,
        "#!/bin/sh\necho $0 $1 $(sh -c 'readlink /proc/self/exe')\n",
    )
    .expect("a script");
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).expect("its mode");
    b.config(&["script", "arg"], |_| {});
    assert_eq!(b.run(), ("/bin/script arg /bin/busybox\n".into(), Some(0)));
    // The environment is the one given, in its order.
    b.config(&["/bin/env"], |c| {
        c["process"]["env"] = json!(["Z=1", "A=x=y", "M="])
    });
    let (env, _) = b.run();
    assert!(env.starts_with("Z=1\nA=x=y\nM=\n"), "{env}");
    b.config(&["/bin/sh", "-c", "kill -9 $$"], |_| {});
    assert_eq!(b.run().1, Some(0));
    b.config(&["/bin/sh", "-c", "id; mkdir /x"], |c| {
        c["process"]["user"] = json!({ "uid": 7, "gid": 8, "umask": 0 });
        c["process"]["capabilities"] = json!({});
    });
    let (said, status) = b.run();
    assert!(
        said.starts_with("uid=7 gid=8") && said.contains("Permission denied") && status == Some(1),
        "{said}"
    );
    // As podman mounts over directories; what would have to be copied is refused.
    let tmpfs = |place: &str| json!({ "destination": place, "type": "tmpfs", "source": "tmpfs", "options": ["rw", "tmpcopyup"] });
    let script = "echo x >/tmp/x; cat /tmp/x; grep -c /tmp /proc/mounts";
    b.config(&["/bin/sh", "-c", script], |c| {
        c["mounts"].as_array_mut().expect("mounts").push(tmpfs("/tmp"));
    });
    assert_eq!(b.run(), ("x\n1\n".into(), Some(0)));
    assert!(!b.dir.join("rootfs/tmp/x").exists());
    b.config(&["/bin/true"], |c| {
        c["mounts"].as_array_mut().expect("mounts").push(tmpfs("/bin"));
    });
    b.refuses(&["create", "one"], "mounts: /bin: tmpcopyup");
    b.config(&["/bin/mkdir", "/x"], |c| c["root"]["readonly"] = json!(true));
    assert!(b.run().0.contains("Read-only file system"));
    assert_eq!(b.oci(&["list", "-q"]).stdout, b"");
}

/// Neither by its file nor by descriptors can the container's root change the emulator.
#[test]
fn the_emulator_stays_out_of_reach() {
    let Some(b) = Bundle::able("reach") else { return };
    let emulator = b.dir.join("emu");
    copy(Path::new(env!("CARGO_BIN_EXE_emu")), &emulator);
    let script = "for f in /proc/1/exe /proc/self/exe; do readlink $f; done; for f in /proc/1/exe /proc/*/fd/9??; do
        (echo x >>$f) 2>/dev/null; done; grep -c e[m]u /proc/self/maps /proc/1/maps /proc/1/cmdline; ls /proc/self/fd;
        grep NoNewPrivs /proc/self/status";
    b.config(&["/bin/sh", "-c", script], |_| {});
    let output = b.oci(&["--emu", &emulator.display().to_string(), "run", "one"]);
    let said = text(&output.stdout);
    let want = "/bin/busybox\n/bin/busybox\n/proc/self/maps:0\n/proc/1/maps:0\n/proc/1/cmdline:0\n0\n1\n2\n3\nNoNewPrivs:\t1\n";
    assert_eq!(said, want, "{}", text(&output.stderr));
    let before = std::fs::read(env!("CARGO_BIN_EXE_emu")).expect("emu");
    assert!(before == std::fs::read(&emulator).expect("its copy"));
}

#[test]
fn bad_bundles_are_refused_in_one_line() {
    let Some(b) = Bundle::new("bad") else { return };
    let create = |b: &Bundle, part: &str| b.refuses(&["create", "--bundle", ".", "one"], part);
    create(&b, "config.json");
    for text in [
        "",
        "{",
        "[]",
        "\u{0}",
        "{\"ociVersion\": \"1.0.2\", \"process\": 3}",
    ] {
        std::fs::write(b.dir.join("config.json"), text).expect("config.json");
        create(&b, "config.json");
    }
    b.refuses(&["create", "--bundle", "/nowhere", "one"], "/nowhere");
    b.config(&["/bin/true"], |c| c["ociVersion"] = json!("3.0"));
    create(&b, "config.json: ociVersion \"3.0\"");
    b.config(&["/bin/true"], |c| c["root"]["path"] = json!("missing"));
    create(&b, "root.path: ");
    b.config(&["/bin/true"], |c| {
        c.as_object_mut().expect("an object").remove("root");
    });
    create(&b, "no root");
    b.config(&["/bin/true"], |c| {
        drop(c.as_object_mut().expect("an object").remove("process"))
    });
    create(&b, "process");
    b.config(&["/bin/true"], |c| {
        drop(c.as_object_mut().expect("an object").remove("linux"))
    });
    create(&b, "linux");
    b.config(&["/bin/true"], |c| {
        c["linux"]["seccomp"] = json!({ "defaultAction": "SCMP_ACT_DANCE" })
    });
    create(&b, "SCMP_ACT_DANCE");
    b.config(&["/bin/true"], |c| {
        c["linux"]["seccomp"] = json!({ "defaultAction": "SCMP_ACT_NOTIFY" })
    });
    create(&b, "linux.seccomp: SCMP_ACT_NOTIFY");
    b.config(&["/bin/true"], |c| {
        c["linux"]["seccomp"] = json!({
            "defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{ "names": ["read"], "action": "SCMP_ACT_ERRNO", "args": [{ "index": 6, "value": 1, "op": "SCMP_CMP_EQ" }] }],
        });
    });
    create(&b, "linux.seccomp: read: argument 6");
    b.config(&["/bin/true"], |_| {});
    for id in ["", ".", "..", "a/b", "../x", "a b", "\n"] {
        b.refuses(&["create", "--bundle", ".", id], "identifier");
        b.refuses(&["delete", "--force", id], "identifier");
    }
    b.refuses(
        &["--emu", "/nowhere/emu", "create", "--bundle", ".", "one"],
        "/nowhere/emu",
    );
    b.refuses(&["create", "--nonsense", "one"], "--nonsense");
    b.refuses(&["dance"], "dance");
    for command in [
        "start", "state", "kill", "delete", "pause", "resume", "ps", "update",
    ] {
        b.refuses(&[command, "nobody"], "does not exist");
    }
    let log = b.dir.join("log").display().to_string();
    b.refuses(
        &["--log", &log, "--log-format", "json", "state", "nobody"],
        "does not exist",
    );
    let entry: Value = serde_json::from_str(&b.read("log")).expect("JSON");
    assert_eq!(
        (entry["level"].as_str(), entry["msg"].as_str()),
        (Some("error"), Some("container \"nobody\" does not exist"))
    );
}

#[test]
fn programs_that_cannot_run_are_refused_at_create() {
    let Some(b) = Bundle::able("programs") else { return };
    let put = |name: &str, content: &[u8], mode: u32| {
        let path = b.dir.join("rootfs/bin").join(name);
        std::fs::write(&path, content).expect("a file");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("its mode");
    };
    let busybox = std::fs::read(b.dir.join("rootfs/bin/busybox")).expect("busybox");
    let machine = |number: u16| {
        let mut elf = busybox.clone();
        elf[18..20].copy_from_slice(&number.to_le_bytes());
        elf
    };
    copy(Path::new("/bin/true"), &b.dir.join("rootfs/bin/native"));
    put("aarch64", &machine(183), 0o755);
    put("empty", b"", 0o755);
    put("text", b"hello\n", 0o755);
    put("script", b"#!/bin/absent\n", 0o755);
    put("native-script", b"#!/bin/native\n", 0o755);
    put("loop", b"#!/bin/loop\n", 0o755);
    put("denied", &busybox, 0o644);
    put("cut", &busybox[..60], 0o755);
    let source = b.dir.join("dynamic.c");
    std::fs::write(&source, "int main(void) { return 0; }\n").expect("a file");
    let built = Command::new("arm-linux-gnueabihf-gcc")
        .arg("-o")
        .arg(b.dir.join("rootfs/bin/dynamic"))
        .arg(&source)
        .status();
    assert!(
        built.is_ok_and(|status| status.success()),
        "arm-linux-gnueabihf-gcc"
    );
    for (program, part) in [
        ("/bin/absent", "no such file or directory"),
        ("absent", "executable file not found in $PATH"),
        ("denied", "permission denied"),
        ("/bin/denied", "permission denied"),
        ("/bin", "permission denied"),
        ("native", "an x86-64 program"),
        ("native-script", "an x86-64 program"),
        ("aarch64", "exec format error"),
        ("empty", "exec format error"),
        ("text", "exec format error"),
        ("script", "/bin/absent"),
        ("loop", "interpreters"),
        ("dynamic", "/lib/ld-linux-armhf.so.3: no such file or directory"),
        ("cut", "cut"),
        ("", "executable file not found"),
    ] {
        b.config(&[program], |_| {});
        b.refuses(&["create", "one"], part);
        b.refuses(&["run", "one"], part);
    }
    b.config(&[], |_| {});
    b.refuses(&["create", "one"], "args");
    b.config(&["/bin/true"], |c| c["process"]["cwd"] = json!("/absent"));
    b.refuses(&["create", "one"], "");
    // "As it is", which is root.
    for user in [
        json!({"uid": u32::MAX, "gid": 0}),
        json!({"uid": 0, "gid": u32::MAX}),
        json!({"uid": 0, "gid": 0, "additionalGids": [1u32 << 31]}),
    ] {
        b.config(&["/bin/true"], |c| c["process"]["user"] = user.clone());
        b.refuses(&["create", "one"], "in range 0-2147483647");
    }
    b.config(&["/bin/true", &"x".repeat(200_000)], |_| {});
    b.refuses(&["run", "one"], "argument list too long");
    b.config(&["/bin/true", "a\0b"], |_| {});
    b.refuses(&["run", "one"], "invalid argument");
}

#[test]
fn the_seccomp_profile_holds_from_the_first_instruction() {
    let Some(b) = Bundle::able("seccomp") else { return };
    let with = |script: &str, seccomp: Value| {
        b.config(&["/bin/sh", "-c", script], |c| c["linux"]["seccomp"] = seccomp);
        b.run()
    };
    let deny = |rule: Value| json!({ "defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"], "syscalls": [rule] });
    let mkdir = deny(json!({ "names": ["mkdir"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28 }));
    // Children and what they execute too.
    let (said, status) = with(
        "mkdir /a; sh -c 'mkdir /b'; echo $?; grep ^Seccomp: /proc/self/status",
        mkdir.clone(),
    );
    assert_eq!(said.matches("No space left on device").count(), 2, "{said}");
    assert!(said.contains("Seccomp:\t2") && status == Some(0), "{said}");
    for action in [
        "SCMP_ACT_KILL",
        "SCMP_ACT_KILL_THREAD",
        "SCMP_ACT_KILL_PROCESS",
        "SCMP_ACT_TRAP",
    ] {
        let rule = deny(json!({ "names": ["mkdir"], "action": action }));
        let (said, _) = with("mkdir /c; echo $?", rule);
        assert!(said.starts_with("159\n"), "{action}: {said}");
        assert!(!b.dir.join("rootfs/c").exists());
    }
    // By argument: the second of kill is the signal.
    let by_argument = deny(
        json!({ "names": ["kill"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28,
                                   "args": [{ "index": 1, "value": 18, "op": "SCMP_CMP_EQ" }] }),
    );
    let (said, _) = with(
        "kill -0 $$ && echo zero; kill -18 $$ || echo refused",
        by_argument,
    );
    assert!(said.contains("zero\n") && said.contains("refused\n"), "{said}");
    // Not even the first call of the program passes.
    let (_, status) = with(
        "true",
        json!({ "defaultAction": "SCMP_ACT_KILL_PROCESS", "architectures": ["SCMP_ARCH_ARM"] }),
    );
    assert_ne!(status, Some(0));
    // Names of ARM's calls or of the host's.
    let names = [
        "exit",
        "exit_group",
        "read",
        "write",
        "brk",
        "mmap",
        "munmap",
        "mprotect",
        "fstat",
        "ioctl",
        "uname",
        "readlink",
        "getrandom",
        "set_tid_address",
        "set_robust_list",
        "rt_sigaction",
        "rt_sigprocmask",
        "getuid",
        "getgid",
        "geteuid",
        "getegid",
        "getpid",
        "getppid",
        "getcwd",
        "stat",
        "fcntl",
        "prlimit64",
        "rseq",
        "gettid",
        "statx",
    ];
    let list = json!({ "defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_X86_64"],
                       "syscalls": [{ "names": names, "action": "SCMP_ACT_ALLOW" }] });
    assert_eq!(with("echo works; >/f", list).0.lines().next(), Some("works"));
    assert!(!b.dir.join("rootfs/f").exists());

    // A process that joins has it too, and an x86-64 program has no way in.
    copy(Path::new("/bin/true"), &b.dir.join("rootfs/bin/native"));
    b.config(&["/bin/sleep", "100"], |c| c["linux"]["seccomp"] = mkdir);
    b.create("two");
    b.does(&["start", "two"]);
    let said = b.oci(&["exec", "two", "/bin/mkdir", "/g"]);
    assert!(
        text(&said.stderr).contains("No space left on device"),
        "{}",
        text(&said.stderr)
    );
    let said = b.oci(&["exec", "two", "/bin/sh", "-c", "/bin/native"]);
    assert!(
        text(&said.stderr).contains("Permission denied"),
        "{}",
        text(&said.stderr)
    );
    b.does(&["kill", "two", "9"]);
    b.becomes("two", "stopped");
    b.does(&["delete", "two"]);
}

#[test]
fn limits_hold_and_change() {
    let Some(b) = Bundle::able("limits") else { return };
    // Within a container of version 2 its processes may be in the way of handing controllers on.
    let controllers = Path::new("/sys/fs/cgroup/cgroup.subtree_control");
    if controllers.exists() && std::fs::write(controllers, "+pids").is_err() {
        println!("left out: the controller of numbers of processes cannot be had");
        return;
    }
    b.config(
        &[
            "/bin/sh",
            "-c",
            "for i in 1 2 3 4 5 6 7 8 9; do sleep 9 & done; echo all",
        ],
        |c| {
            c["linux"]["resources"]["pids"] = json!({ "limit": 4 });
        },
    );
    let (said, _) = b.run();
    assert!(said.contains("can't fork") && !said.contains("all\n"), "{said}");
    b.config(&["/bin/sleep", "100"], |_| {});
    b.create("one");
    b.does(&["start", "one"]);
    b.does(&["update", "--pids-limit", "3", "one"]);
    let said = b.oci(&[
        "exec",
        "one",
        "/bin/sh",
        "-c",
        "sleep 9 & sleep 9 & sleep 9 & echo all",
    ]);
    assert!(
        text(&said.stderr).contains("can't fork"),
        "{}",
        text(&said.stderr)
    );
    b.does(&["kill", "--all", "one", "KILL"]);
    b.becomes("one", "stopped");
}

#[test]
fn what_it_can_do_is_told() {
    let Some(b) = Bundle::new("features") else { return };
    let features: Value = serde_json::from_slice(&b.oci(&["features"]).stdout).expect("JSON");
    assert_eq!(features["linux"]["seccomp"]["enabled"], true);
    assert!(
        features["linux"]["capabilities"]
            .as_array()
            .is_some_and(|list| list.contains(&json!("CAP_SYS_ADMIN")))
    );
    assert!(text(&b.oci(&["--version"]).stdout).starts_with("emu-oci "));
    b.does(&["spec"]);
    let spec: Value = serde_json::from_str(&b.read("config.json")).expect("JSON");
    assert_eq!(spec["root"]["path"], "rootfs");
    b.refuses(&["spec"], "config.json");
}
