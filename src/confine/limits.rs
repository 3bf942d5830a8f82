//! Limits on memory, processes and processor time: control groups where this process may make one, else what resource
//! limits can do.
//!
//! Version 2 is used where a controller is there and the tree has been delegated; version 1 (or both, "hybrid") else; then a
//! scope of the user's systemd, which is version 2 and delegated. A group lives as long as the run. Sources:
//! Documentation/admin-guide/cgroup-v2.rst, cgroup-v1/.

use super::profile::Policy;
use super::{ConfineError, Problem, scope};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Where this process goes in a group of its own that gets others below it.
const LEAF: &str = "outside";

/// One controller's part of the groups that were made.
struct Group {
    dir: PathBuf,
    /// cgroup.procs, opened with the caller's rights.
    members: fs::File,
}

/// What enforces a run's limits.
#[derive(Default)]
pub struct Limits {
    groups: Vec<Group>,
    memory: Option<u64>,
    pids: Option<u64>,
    /// RLIMIT_DATA of every guest process, in bytes, where no group counts memory.
    pub data: Option<u64>,
    /// RLIMIT_NPROC in the guest's user namespace, where no group counts processes.
    pub nproc: Option<u64>,
    /// For `--print-policy`: a line for each limit.
    pub described: Vec<String>,
}

/// A mounted hierarchy and this process's place in it.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Hierarchy {
    /// Names of controllers; none for version 2.
    controllers: Vec<String>,
    dir: PathBuf,
}

/// Hierarchies by /proc/self/mountinfo and /proc/self/cgroup.
fn hierarchies(mountinfo: &str, cgroup: &str) -> Vec<Hierarchy> {
    let mut out = Vec::new();
    for line in cgroup.lines() {
        let mut fields = line.splitn(3, ':');
        let (Some(_), Some(names), Some(path)) = (fields.next(), fields.next(), fields.next()) else {
            continue;
        };
        let controllers: Vec<String> = names
            .split(',')
            .filter(|n| !n.is_empty())
            .map(str::to_string)
            .collect();
        let found = mountinfo.lines().find_map(|mount| {
            let (left, right) = mount.split_once(" - ")?;
            let (kind, super_options) = (right.split(' ').next()?, right.rsplit(' ').next()?);
            let fits = match controllers.first() {
                None => kind == "cgroup2",
                Some(name) => kind == "cgroup" && super_options.split(',').any(|o| o == name),
            };
            let mut fields = left.split(' ');
            let (root, at) = (fields.nth(3)?, fields.next()?);
            let below = Path::new(path).strip_prefix(root).unwrap_or(Path::new(""));
            fits.then(|| Path::new(at).join(below))
        });
        if let Some(dir) = found {
            out.push(Hierarchy { controllers, dir });
        }
    }
    out
}

/// The hierarchies there are, and one more that may be asked for.
struct Means {
    all: Vec<Hierarchy>,
    asked: bool,
}

impl Means {
    fn new() -> Means {
        let read = |name: &str| fs::read_to_string(name).unwrap_or_default();
        Means {
            all: hierarchies(&read("/proc/self/mountinfo"), &read("/proc/self/cgroup")),
            asked: false,
        }
    }

    /// A group as [`make`] makes it, in a scope if nowhere else.
    fn make(
        &mut self,
        controller: &str,
        v2: &[(&str, String, bool)],
        v1: &[(&str, String, bool)],
    ) -> io::Result<Group> {
        let first = make(&self.all, controller, v2, v1);
        if first.is_ok() || std::mem::replace(&mut self.asked, true) {
            return first;
        }
        match scope::enter() {
            Ok(()) => {
                self.all = Means::new().all;
                make(&self.all, controller, v2, v1)
            }
            Err(_) => first,
        }
    }
}

/// Makes a group for one controller with the settings that `values` gives for version 2 and 1: file, value, must it be.
fn make(
    all: &[Hierarchy],
    controller: &str,
    v2: &[(&str, String, bool)],
    v1: &[(&str, String, bool)],
) -> io::Result<Group> {
    let name = format!("emu-{}", std::process::id());
    let mut last = io::Error::from_raw_os_error(libc::ENOENT);
    for hierarchy in all.iter().filter(|h| h.controllers.is_empty()) {
        // A group with members cannot share its controllers out; one further up that was delegated can.
        for parent in hierarchy
            .dir
            .ancestors()
            .take_while(|p| p.join("cgroup.controllers").exists())
        {
            match make_v2(parent, &name, controller).and_then(|dir| fill(dir, v2)) {
                Ok(group) => return Ok(group),
                Err(error) => last = error,
            }
        }
    }
    for hierarchy in all
        .iter()
        .filter(|h| h.controllers.iter().any(|c| c == controller))
    {
        let dir = hierarchy.dir.join(&name);
        match make_dir(&dir).and_then(|()| fill(dir, v1)) {
            Ok(group) => return Ok(group),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn make_dir(dir: &Path) -> io::Result<()> {
    match fs::create_dir(dir) {
        // Made for another controller of the same hierarchy.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        result => result,
    }
}

/// A group that has members shares no controllers out, or makes groups that take none in ("domain invalid"); the root of all is
/// none of this. If its only member is this process, that goes into a group of its own.
fn make_way(parent: &Path) -> io::Result<()> {
    if !parent.join("cgroup.type").exists() {
        return Ok(());
    }
    let members = fs::read_to_string(parent.join("cgroup.procs"))?;
    let own = std::process::id().to_string();
    if members.trim().is_empty() {
        return Ok(());
    }
    if members.trim() != own {
        return Err(io::Error::from_raw_os_error(libc::EBUSY));
    }
    let leaf = parent.join(LEAF);
    make_dir(&leaf)?;
    fs::write(leaf.join("cgroup.procs"), own)
}

fn make_v2(parent: &Path, name: &str, controller: &str) -> io::Result<PathBuf> {
    let has = |file: &str| -> io::Result<bool> {
        let list = fs::read_to_string(parent.join(file))?;
        Ok(list.split_whitespace().any(|c| c == controller))
    };
    if !has("cgroup.controllers")? {
        return Err(io::Error::from_raw_os_error(libc::ENOENT));
    }
    make_way(parent)?;
    if !has("cgroup.subtree_control")? {
        fs::write(parent.join("cgroup.subtree_control"), format!("+{controller}"))?;
    }
    let dir = parent.join(name);
    make_dir(&dir)?;
    Ok(dir)
}

fn fill(dir: PathBuf, values: &[(&str, String, bool)]) -> io::Result<Group> {
    let filled = values.iter().try_for_each(|(file, value, needed)| {
        match fs::OpenOptions::new()
            .write(true)
            .open(dir.join(file))
            .and_then(|mut f| f.write_all(value.as_bytes()))
        {
            Err(error) if *needed => Err(error),
            _ => Ok(()),
        }
    });
    let members = filled.and_then(|()| fs::OpenOptions::new().write(true).open(dir.join("cgroup.procs")));
    match members {
        Ok(members) => Ok(Group { dir, members }),
        Err(error) => {
            // Best effort: an empty group that stays harms nobody.
            let _ = fs::remove_dir(&dir);
            Err(error)
        }
    }
}

impl Limits {
    /// Finds means for every limit of the policy. Called with the caller's rights, before any namespace is made.
    ///
    /// # Errors
    /// A limit that nothing here can enforce, unless the policy says best effort.
    pub fn new(policy: &Policy) -> Result<Limits, ConfineError> {
        let mut limits = Limits::default();
        if policy.memory.is_none() && policy.pids.is_none() && policy.cpus.is_none() {
            return Ok(limits);
        }
        let mut means = Means::new();
        let required = true;
        if let Some(bytes) = policy.memory {
            let text = bytes.to_string();
            let v2 = [
                ("memory.max", text.clone(), required),
                ("memory.swap.max", "0".into(), false),
            ];
            let v1 = [
                ("memory.limit_in_bytes", text.clone(), required),
                ("memory.memsw.limit_in_bytes", text, false),
            ];
            match means.make("memory", &v2, &v1) {
                Ok(group) => {
                    limits.add(group, format!("memory {bytes}: control group"));
                    limits.memory = Some(bytes);
                }
                Err(_) => {
                    limits.data = Some(bytes);
                    limits.described.push(format!(
                        "memory {bytes}: RLIMIT_DATA, for each process (no control group may be made)"
                    ));
                }
            }
        }
        if let Some(count) = policy.pids {
            let setting = [("pids.max", count.to_string(), required)];
            match means.make("pids", &setting, &setting) {
                Ok(group) => {
                    limits.add(group, format!("pids {count}: control group"));
                    limits.pids = Some(count);
                }
                // The kernel never applies RLIMIT_NPROC to the host's root.
                // SAFETY: no preconditions.
                Err(error) if unsafe { libc::getuid() } == 0 => {
                    limits.missing(policy, &format!("--pids {count}"), &error)?;
                }
                Err(_) => {
                    limits.nproc = Some(count);
                    limits.described.push(format!(
                        "pids {count}: RLIMIT_NPROC in the guest's user namespace (no control group may be made)"
                    ));
                }
            }
        }
        if let Some(cpus) = policy.cpus {
            const PERIOD: u64 = 100_000;
            let quota = (cpus * PERIOD as f64) as u64;
            let v2 = [("cpu.max", format!("{quota} {PERIOD}"), required)];
            let v1 = [
                ("cpu.cfs_period_us", PERIOD.to_string(), required),
                ("cpu.cfs_quota_us", quota.to_string(), required),
            ];
            match means.make("cpu", &v2, &v1) {
                Ok(group) => limits.add(group, format!("cpus {cpus}: control group")),
                Err(error) => limits.missing(policy, &format!("--cpus {cpus}"), &error)?,
            }
        }
        Ok(limits)
    }

    fn add(&mut self, group: Group, described: String) {
        self.described.push(described);
        // One directory may serve several controllers.
        self.groups.push(group);
    }

    fn missing(&mut self, policy: &Policy, option: &str, error: &io::Error) -> Result<(), ConfineError> {
        if policy.best_effort {
            self.described.push(format!("{option}: not enforced"));
            return Ok(());
        }
        let mut problem = super::setup(option, error);
        problem.advise("no control group may be made here; --best-effort runs without this limit");
        Err(problem)
    }

    /// Puts a process into the groups.
    pub fn admit(&self, pid: i32) -> io::Result<()> {
        self.groups
            .iter()
            .try_for_each(|group| (&group.members).write_all(pid.to_string().as_bytes()))
    }

    /// What the kernel says about limits that were hit: one line each.
    pub fn hits(&self) -> Vec<String> {
        let mut out = Vec::new();
        let count = |file: &str, key: &str| -> u64 {
            let read = |group: &Group| fs::read_to_string(group.dir.join(file)).ok();
            let line = |text: String| {
                text.lines()
                    .find_map(|l| l.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
            };
            self.groups.iter().filter_map(read).find_map(line).unwrap_or(0)
        };
        if let Some(bytes) = self.memory {
            let killed = count("memory.events", "oom_kill").max(count("memory.oom_control", "oom_kill"));
            if killed > 0 {
                out.push(format!(
                    "--memory {}: the kernel ended {killed} of the guest's processes",
                    show_size(bytes)
                ));
            }
        }
        if let Some(limit) = self.pids {
            let refused = count("pids.events", "max");
            if refused > 0 {
                out.push(format!(
                    "--pids {limit}: {refused} attempts to start another process or thread failed"
                ));
            }
        }
        out
    }

    /// Descriptors that must stay open in the process that calls [`Limits::hits`] and drops this.
    pub fn descriptors(&self) -> impl Iterator<Item = i32> {
        use std::os::fd::AsRawFd;
        self.groups.iter().map(|group| group.members.as_raw_fd())
    }
}

impl Drop for Limits {
    fn drop(&mut self) {
        for group in &self.groups {
            // The last members may need a moment to be gone.
            for _ in 0..50 {
                match fs::remove_dir(&group.dir) {
                    Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {
                        std::thread::sleep(std::time::Duration::from_millis(2));
                    }
                    _ => break,
                }
            }
        }
    }
}

/// As `--memory` takes it, where that is short.
pub fn show_size(bytes: u64) -> String {
    [(30, "G"), (20, "M"), (10, "K")]
        .into_iter()
        .find(|(shift, _)| bytes.trailing_zeros() >= *shift && bytes > 0)
        .map_or_else(
            || bytes.to_string(),
            |(shift, unit)| format!("{}{unit}", bytes >> shift),
        )
}

/// Sets the host's resource limits of the policy, in the guest's first process. RLIMIT_AS, DATA and STACK are left out:
/// the guest's own are kept by the system layer, as the host would count the emulator's memory.
///
/// # Errors
/// A limit that may not be raised so far.
pub fn set_rlimits(policy: &Policy, limits: &Limits) -> Result<(), ConfineError> {
    let set = |resource: u32, soft: u64, hard: u64| {
        let limit = libc::rlimit {
            rlim_cur: soft,
            rlim_max: hard,
        };
        // SAFETY: `limit` lives over the call.
        super::sys::check(unsafe { libc::setrlimit(resource, &limit) })
    };
    if let Some(count) = limits.nproc {
        set(libc::RLIMIT_NPROC, count, count).map_err(|e| super::setup(&format!("--pids {count}"), &e))?;
    }
    if !policy.rlimit.iter().any(|l| l.resource == libc::RLIMIT_CORE) {
        // A core file of a guest's is one of the emulator, with all of its memory. At one byte the kernel writes none and hands
        // none to a program that core_pattern names, which it does at 0 (do_coredump in fs/coredump.c).
        let most = hard_limit(libc::RLIMIT_CORE).unwrap_or(1).min(1);
        set(libc::RLIMIT_CORE, most, most).map_err(|e| super::setup("core files", &e))?;
    }
    for limit in &policy.rlimit {
        if [libc::RLIMIT_AS, libc::RLIMIT_DATA, libc::RLIMIT_STACK].contains(&limit.resource) {
            continue;
        }
        let wanted = match limit.resource {
            // The guest's, who gets it when it starts: until then there is more to be opened.
            libc::RLIMIT_NOFILE => hard_limit(limit.resource).and_then(|most| match limit.hard <= most {
                true => Ok(()),
                false => Err(io::Error::from_raw_os_error(libc::EPERM)),
            }),
            resource => set(resource, limit.soft, limit.hard).map(|_| ()),
        };
        if let Err(error) = wanted
            && !policy.best_effort
        {
            return Err(ConfineError::Setup(Problem::new(
                &format!("--rlimit {}", limit.name),
                &error,
                "the caller's hard limit is lower; --best-effort leaves it",
            )));
        }
    }
    Ok(())
}

fn hard_limit(resource: u32) -> io::Result<u64> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` is valid for the write.
    super::sys::check(unsafe { libc::getrlimit(resource, &raw mut limit) })?;
    Ok(limit.rlim_max)
}

/// `--rlimit nofile`, after everything that the emulator opens for itself. One that [`set_rlimits`] has let pass as best effort may
/// fail.
pub fn limit_descriptors(soft: u64, hard: u64) {
    let limit = libc::rlimit {
        rlim_cur: soft,
        rlim_max: hard,
    };
    // SAFETY: `limit` lives over the call.
    unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_of_this_process() {
        let mountinfo = "30 24 0:26 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n\
                         31 24 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
                         32 24 0:28 /lxc/a /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n";
        let cgroup = "4:memory:/user/x\n3:cpu,cpuacct:/lxc/a/b\n2:pids:/\n0::/init.scope\n";
        let found = hierarchies(mountinfo, cgroup);
        let dirs: Vec<_> = found.iter().map(|h| h.dir.to_str().expect("text")).collect();
        assert_eq!(
            dirs,
            [
                "/sys/fs/cgroup/memory/user/x",
                "/sys/fs/cgroup/cpu/b",
                "/sys/fs/cgroup/unified/init.scope"
            ]
        );
        assert!(found[2].controllers.is_empty());
    }

    #[test]
    fn sizes_as_users_write_them() {
        assert_eq!(show_size(64 << 20), "64M");
        assert_eq!(show_size(3 << 30), "3G");
        assert_eq!(show_size(1000), "1000");
    }
}
