//! What a hostile guest could have changed of its host, noted before a run and compared after it.

#![allow(dead_code, reason = "each program uses its part")]

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

/// The user that guests run as where the caller is root.
pub const NOBODY: u32 = 65534;

/// Root that can be nobody too: in a user namespace of one id it cannot, and is treated as any other user.
pub fn is_root() -> bool {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let has_nobody = map.lines().any(|line| {
        let mut numbers = line.split_whitespace().map(|n| n.parse::<u32>().unwrap_or(0));
        let (first, _, count) = (numbers.next(), numbers.next(), numbers.next());
        first.is_some_and(|n| n <= NOBODY && NOBODY - n < count.unwrap_or(0))
    });
    has_nobody && std::fs::metadata("/proc/self").is_ok_and(|m| m.uid() == 0)
}

/// A program, run as nobody where the caller is root.
pub fn unprivileged(program: impl AsRef<OsStr>) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "--"]);
    command.arg(program);
    command
}

/// Things of the guests' own user that a guest must not reach: a process that keeps every signal it is sent pending, a file,
/// a port of the loopback, an abstract socket.
pub struct Canary {
    process: Child,
    file: PathBuf,
    tcp: TcpListener,
    abstract_socket: UnixListener,
    /// Without the leading zero byte.
    pub abstract_name: String,
    /// Of a shared memory segment of System V that anybody may use.
    pub key: i32,
    segment: i32,
}

impl Canary {
    /// `dir` gets the file.
    pub fn new(dir: &Path) -> Canary {
        let mut command = unprivileged("sleep");
        command
            .arg("100000")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        // SAFETY: sigfillset and sigprocmask are async-signal-safe and touch the child's own mask.
        unsafe {
            command.pre_exec(|| {
                let mut all: libc::sigset_t = std::mem::zeroed();
                libc::sigfillset(&mut all);
                libc::sigprocmask(libc::SIG_SETMASK, &all, std::ptr::null_mut());
                Ok(())
            });
        }
        let process = command.spawn().expect("setpriv and sleep");
        let file = dir.join("canary");
        std::fs::write(&file, "canary\n").expect("a file");
        // So that only confinement keeps the guest from it.
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o666);
        std::fs::set_permissions(&file, mode).expect("its mode");
        let tcp = TcpListener::bind("127.0.0.1:0").expect("a port");
        tcp.set_nonblocking(true).expect("a socket");
        let abstract_name = format!("canary-{}-{}", std::process::id(), process.id());
        let address = SocketAddr::from_abstract_name(&abstract_name).expect("a short name");
        let abstract_socket = UnixListener::bind_addr(&address).expect("an abstract socket");
        abstract_socket.set_nonblocking(true).expect("a socket");
        let key = 0x6361_0000 | (process.id() as i32 & 0xffff);
        // SAFETY: integers only.
        let segment = unsafe { libc::shmget(key, 4096, libc::IPC_CREAT | 0o666) };
        let canary = Canary {
            key,
            segment,
            process,
            file,
            tcp,
            abstract_socket,
            abstract_name,
        };
        // It is what it will be once it sleeps.
        let sleeps = || {
            let status = read(&format!("/proc/{}/status", canary.pid()));
            status.starts_with("Name:\tsleep\n") && status.contains("State:\tS")
        };
        while !sleeps() || read(&format!("/proc/{}/wchan", canary.pid())).contains("exec") {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        canary
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    pub fn file(&self) -> String {
        self.file.to_string_lossy().into_owned()
    }

    pub fn port(&self) -> u16 {
        self.tcp.local_addr().expect("a port").port()
    }

    fn note(&self, state: &mut BTreeMap<String, String>) {
        let mut add = |key: &str, value: String| state.insert(format!("canary: {key}"), value);
        let status = read(&format!("/proc/{}/status", self.pid()));
        let wanted = [
            "Name:",
            "State:",
            "Uid:",
            "Gid:",
            "TracerPid:",
            "NStgid:",
            "SigPnd:",
            "ShdPnd:",
            "SigBlk:",
            "SigIgn:",
            "SigCgt:",
            "Seccomp:",
            "Cpus_allowed:",
            "VmSize:",
        ];
        for line in status.lines().filter(|l| wanted.iter().any(|w| l.starts_with(w))) {
            add(line.split(':').next().unwrap_or_default(), line.into());
        }
        for name in [
            "limits",
            "oom_score_adj",
            "cgroup",
            "maps",
            "environ",
            "timerslack_ns",
        ] {
            add(name, read(&format!("/proc/{}/{name}", self.pid())));
        }
        // Group, session, terminal, priority, nice, real-time priority and policy: fields 5 to 7, 18, 19, 40, 41 of proc(5).
        let stat = read(&format!("/proc/{}/stat", self.pid()));
        let fields: Vec<_> = stat.split(' ').collect();
        let chosen: Vec<_> = [5, 6, 7, 18, 19, 40, 41]
            .iter()
            .filter_map(|&n| fields.get(n - 1))
            .collect();
        add("stat", format!("{chosen:?}"));
        let segments = read("/proc/sysvipc/shm");
        let row = segments
            .lines()
            .find(|l| l.split_whitespace().nth(1) == Some(&self.segment.to_string()));
        add("segment", row.unwrap_or_default().into());
        add("file", described(&self.file) + &read(&self.file()));
        let refused = |kind: Option<ErrorKind>| format!("{kind:?}");
        add("tcp", refused(self.tcp.accept().err().map(|e| e.kind())));
        add(
            "abstract socket",
            refused(self.abstract_socket.accept().err().map(|e| e.kind())),
        );
    }
}

impl Drop for Canary {
    fn drop(&mut self) {
        // Best effort: it is gone, or ends by itself.
        // SAFETY: integers and no buffer.
        unsafe { libc::shmctl(self.segment, libc::IPC_RMID, std::ptr::null_mut()) };
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn read(path: &str) -> String {
    std::fs::read(path).map_or_else(
        |e| format!("{:?}", e.kind()),
        |bytes| String::from_utf8_lossy(&bytes).into_owned(),
    )
}

fn described(path: &Path) -> String {
    std::fs::symlink_metadata(path).map_or_else(
        |e| format!("{:?}", e.kind()),
        |m| {
            format!(
                "mode {:o}, owner {}:{}, {} bytes, changed {}.{}, links {} ",
                m.mode(),
                m.uid(),
                m.gid(),
                m.size(),
                m.ctime(),
                m.ctime_nsec(),
                m.nlink()
            )
        },
    )
}

/// Every name below `dir` with its description, links not followed.
fn tree(dir: &Path, out: &mut String) {
    let mut entries: Vec<_> = std::fs::read_dir(dir)
        .into_iter()
        .flatten()
        .filter_map(|e| e.ok().map(|e| e.path()))
        .collect();
    entries.sort();
    for path in entries {
        out.push_str(&format!("{} {}\n", path.display(), described(&path)));
        if path.is_dir() && !path.is_symlink() {
            tree(&path, out);
        }
    }
}

/// Settings of the kernel that change by themselves.
const RESTLESS: [&str; 23] = [
    "aio-nr",
    "binfmt_misc",
    "boot_id",
    "cap_last_cap",
    "dentry-state",
    "entropy_avail",
    "epoll",
    "file-nr",
    "inode-nr",
    "inode-state",
    "keys",
    "latencytop",
    "msg_next_id",
    "next_id",
    "ngroups_max",
    "ns_last_pid",
    "perf_event_max_sample_rate",
    "pty",
    "quota",
    "random",
    "sched_domain",
    "tainted",
    "uuid",
];

fn settings(dir: &Path, state: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if RESTLESS.iter().any(|name| entry.file_name() == *name) {
            continue;
        }
        if path.is_dir() {
            settings(&path, state);
        } else {
            state.insert(path.display().to_string(), read(&path.display().to_string()));
        }
    }
}

/// The host, with the canary and everything below `dirs`.
pub fn note(canary: &Canary, dirs: &[&Path]) -> BTreeMap<String, String> {
    let mut state = BTreeMap::new();
    canary.note(&mut state);
    for dir in ["kernel", "vm", "fs", "user"] {
        settings(&Path::new("/proc/sys").join(dir), &mut state);
    }
    for file in [
        "/proc/self/mountinfo",
        "/proc/swaps",
        "/proc/modules",
        "/proc/net/route",
        "/proc/self/limits",
        "/proc/self/cgroup",
        "/etc/passwd",
        "/etc/group",
        "/etc/hosts",
        "/etc/hostname",
        "/etc/fstab",
    ] {
        state.insert(file.into(), read(file));
    }
    let mut links: Vec<_> = std::fs::read_dir("/sys/class/net")
        .into_iter()
        .flatten()
        .filter_map(|e| e.ok().map(|e| e.file_name()))
        .collect();
    links.sort();
    state.insert("network devices".into(), format!("{links:?}"));
    let mut names: Vec<_> = std::fs::read_dir("/")
        .expect("the root")
        .flatten()
        .map(|e| e.file_name())
        .collect();
    names.sort();
    state.insert("names in /".into(), format!("{names:?}"));
    // The clock is where it was, against one that nobody can set: in units of two seconds, so that rounding seldom matters.
    let uptime: f64 = read("/proc/uptime")
        .split(' ')
        .next()
        .and_then(|t| t.parse().ok())
        .unwrap_or(0.0);
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |d| d.as_secs_f64());
    state.insert("started".into(), format!("{}", now - uptime));
    for dir in dirs {
        let mut text = String::new();
        tree(dir, &mut text);
        state.insert(format!("below {}", dir.display()), text);
    }
    state
}

/// A line for each thing that differs.
pub fn differences(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Vec<String> {
    let keys: std::collections::BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let mut out = Vec::new();
    for key in keys {
        let (was, is) = (before.get(key), after.get(key));
        let same = match (key.as_str(), was, is) {
            ("started", Some(was), Some(is)) => {
                let seconds = |text: &String| text.parse::<f64>().unwrap_or(f64::NAN);
                (seconds(was) - seconds(is)).abs() < 5.0
            }
            _ => was == is,
        };
        if !same {
            out.push(format!("{key}: was {was:?}, is {is:?}"));
        }
    }
    out
}

/// Runs `attempt`, after which the host must be as it was. Others may change it meanwhile, but hardly three times; the canary is
/// nobody else's.
///
/// # Panics
/// The host has changed.
pub fn unchanged(canary: &Canary, dirs: &[&Path], mut attempt: impl FnMut()) {
    for turn in 0..3 {
        let before = note(canary, dirs);
        attempt();
        let changed = differences(&before, &note(canary, dirs));
        let ours = changed.iter().any(|line| line.starts_with("canary"));
        assert!(!ours && (turn < 2 || changed.is_empty()), "{changed:#?}");
        if changed.is_empty() {
            return;
        }
    }
}
