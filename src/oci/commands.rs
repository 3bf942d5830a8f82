//! The commands, each as runc's of that name.

use crate::executor::{Emulator, MAX_ID};
use crate::report::{chain, line};
use crate::state::{self, cgroups, load};
use crate::{Create, Exec, Format, Global, causes, devices, emulator, seccomp, wait};
use emu::linux::seccomp::file_with;
use libcgroups::common::CgroupManager;
use libcontainer::container::builder::ContainerBuilder;
use libcontainer::container::{Container, ContainerStatus};
use libcontainer::oci_spec::runtime::{Capabilities, Capability, Process, Spec, get_rootless_mounts};
use libcontainer::syscall::syscall::SyscallType;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::rc::Rc;

type Outcome = Result<i32, String>;

/// `create`.
pub fn create(global: &Global, options: &Create) -> Result<Container, String> {
    let id = &options.id;
    state::check_id(id)?;
    if state::exists(global, id) {
        return Err(format!("container with id exists: {id}"));
    }
    let config = options.bundle.join("config.json");
    let bundle = options.bundle.canonicalize();
    let bundle = bundle.map_err(|error| format!("{}: {error}", options.bundle.display()))?;
    let spec = Spec::load(&config).map_err(|error| format!("{}: {}", config.display(), chain(error)))?;
    if !spec.version().starts_with("1.") {
        return Err(format!(
            "{}: ociVersion {:?} is not 1",
            config.display(),
            spec.version()
        ));
    }
    let root = spec
        .root()
        .as_ref()
        .ok_or_else(|| format!("{}: no root", config.display()))?;
    let root = bundle.join(root.path());
    if !root.is_dir() {
        return Err(format!("root.path: {}: no such directory", root.display()));
    }
    if spec.linux().is_none() || spec.process().is_none() {
        return Err(format!("{}: no linux or no process", config.display()));
    }
    let executor = emulator_for(global, &spec)?;
    let dir = state::root(global).join(id);
    let resources = spec.linux().as_ref().and_then(|linux| linux.resources().as_ref());
    let rules = resources.and_then(|r| r.devices().clone()).unwrap_or_default();
    let own = OwnBundle::new(&dir, spec, &root)?;
    let causes = causes::collect();
    let container = builder(global, id, executor)?
        .with_pid_file(options.pid_file.clone())
        .map_err(chain)?
        .with_console_socket(options.console_socket.clone())
        .with_preserved_fds(i32::from(options.preserve_fds))
        .as_init(&own.0)
        .with_systemd(global.systemd_cgroup)
        .with_detach(true)
        .with_no_pivot(options.no_pivot)
        .build();
    match container {
        Ok(mut container) => {
            let pid = container.pid().map_or(-1, |pid| pid.as_raw());
            if let Err(error) = devices::restrict(pid, &rules) {
                let _ = container.delete(true);
                return Err(error);
            }
            container.state.bundle = bundle;
            container.save().map_err(chain)?;
            state::note_start_time(&container);
            Ok(container)
        }
        Err(error) => {
            // It was not there before, see above, and is of no use now.
            let _ = std::fs::remove_dir_all(dir);
            Err(causes.explain(chain(error)))
        }
    }
}

/// A bundle whose config.json is the container's with what libcontainer does not know put otherwise. Removed in the end.
struct OwnBundle(PathBuf);

impl OwnBundle {
    fn new(dir: &Path, mut spec: Spec, root: &Path) -> Result<OwnBundle, String> {
        let absolute = root
            .canonicalize()
            .map_err(|error| format!("root.path: {}: {error}", root.display()))?;
        if let Some(field) = spec.root_mut() {
            field.set_path(absolute.clone());
        }
        for mount in spec.mounts_mut().iter_mut().flatten() {
            let copies = |option: &String| option == "tmpcopyup";
            let wanted = mount.options().iter().flatten().any(copies);
            if !wanted {
                continue;
            }
            if !is_empty_below(&absolute, mount.destination()) {
                return Err(format!(
                    "mounts: {}: tmpcopyup of a directory that is not empty is not supported; podman leaves it out with notmpcopyup",
                    mount.destination().display()
                ));
            }
            let options = mount
                .options()
                .iter()
                .flatten()
                .filter(|o| !copies(o))
                .cloned()
                .collect();
            mount.set_options(Some(options));
        }
        let id = dir.file_name().unwrap_or_default().display();
        let own = OwnBundle(dir.with_file_name(format!(".{id}.bundle-{}", std::process::id())));
        let place = |error: &dyn std::fmt::Display| format!("{}: {error}", own.0.display());
        std::fs::create_dir_all(&own.0).map_err(|error| place(&error))?;
        let text = serde_json::to_vec(&spec).map_err(|error| place(&error))?;
        std::fs::write(own.0.join("config.json"), text).map_err(|error| place(&error))?;
        Ok(own)
    }
}

impl Drop for OwnBundle {
    fn drop(&mut self) {
        // Left over it hurts nobody.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Whether nothing is in the directory `place` of the root; one that is not there is made later. Links of the image are not
/// followed: they could lead to places of the host.
fn is_empty_below(root: &Path, place: &Path) -> bool {
    let below = place.strip_prefix("/").unwrap_or(place);
    let mut at = root.to_path_buf();
    for part in below.components() {
        at.push(part);
        match at.symlink_metadata() {
            Ok(meta) if meta.is_dir() => {}
            Ok(_) => return false,
            Err(_) => return true,
        }
    }
    std::fs::read_dir(at).is_ok_and(|mut entries| entries.next().is_none())
}

fn builder(global: &Global, id: &str, executor: Emulator) -> Result<ContainerBuilder, String> {
    ContainerBuilder::new(id.to_string(), SyscallType::default())
        .with_root_path(state::root(global))
        .map_err(chain)
        .map(|builder| builder.with_executor(executor))
}

/// What is opened on the host for a container's process, its filter among it.
fn emulator_for(global: &Global, spec: &Spec) -> Result<Emulator, String> {
    let label = spec.process().as_ref().and_then(|p| p.selinux_label().as_ref());
    if label.is_some_and(|label| !label.is_empty()) && Path::new("/sys/fs/selinux/enforce").exists() {
        return Err(
            "process.selinuxLabel: not supported; engines leave it out with --security-opt label=disable"
                .into(),
        );
    }
    let profile = spec.linux().as_ref().and_then(|linux| linux.seccomp().as_ref());
    let filter = match profile {
        Some(profile) => {
            let program = seccomp::compile(profile).map_err(|error| format!("linux.seccomp: {error}"))?;
            let file = file_with(&program).map_err(|error| format!("linux.seccomp: errno {}", error.0))?;
            Some(Rc::new(file))
        }
        None => None,
    };
    let path = emulator::find(global.emu.as_deref())?;
    Ok(Emulator {
        program: Rc::new(emulator::open(&path)?),
        filter,
        added: RefCell::default(),
    })
}

/// `start`.
pub fn start(global: &Global, id: &str) -> Outcome {
    let mut container = load(global, id)?;
    if container.status() != ContainerStatus::Created {
        return Err(format!("cannot start a container that is {}", status(&container)));
    }
    container.start().map_err(chain)?;
    Ok(0)
}

/// `run`.
pub fn run(global: &Global, options: &Create, detach: bool, keep: bool) -> Outcome {
    if !detach {
        wait::adopt_orphans();
    }
    let mut container = create(global, options)?;
    let pid = container.pid().map_or(-1, |pid| pid.as_raw());
    let started = container.start().map_err(chain);
    if started.is_err() || !detach {
        let status = match started {
            Ok(()) => Ok(wait::for_process(pid)),
            Err(error) => Err(error),
        };
        if !keep || status.is_err() {
            let removed = load(global, &options.id).and_then(|mut c| c.delete(true).map_err(chain));
            if let Err(error) = removed {
                line(&format!("removing {}: {error}", options.id));
            }
        }
        return status;
    }
    Ok(0)
}

/// `exec`.
pub fn exec(global: &Global, options: &Exec) -> Outcome {
    let container = load(global, &options.id)?;
    match container.status() {
        ContainerStatus::Created | ContainerStatus::Running => {}
        ContainerStatus::Paused if options.ignore_paused => {}
        ContainerStatus::Stopped => return Err("cannot exec in a stopped container".into()),
        _ => {
            return Err(format!(
                "cannot exec in a container that is {}",
                status(&container)
            ));
        }
    }
    let config = container.bundle().join("config.json");
    let spec = Spec::load(&config).map_err(|error| format!("{}: {}", config.display(), chain(error)))?;
    let executor = emulator_for(global, &spec)?;
    let process = match &options.process {
        Some(path) => read_json::<Process>(path)?,
        None => process_of(options, &spec)?,
    };
    if process.args().as_ref().is_none_or(|args| args.is_empty()) {
        return Err("exec: nothing to execute".into());
    }
    // libcontainer takes it from a file; this one is ours, so that it is what has been checked.
    let file = container
        .root
        .join(format!("process-{}.json", std::process::id()));
    let text = serde_json::to_vec(&process).map_err(|error| error.to_string())?;
    std::fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()))?;
    if !options.detach {
        wait::adopt_orphans();
    }
    let causes = causes::collect();
    let pid = builder(global, &options.id, executor).and_then(|builder| {
        builder
            .with_pid_file(options.pid_file.clone())
            .map_err(chain)?
            .with_console_socket(options.console_socket.clone())
            .with_preserved_fds(i32::from(options.preserve_fds))
            .as_tenant()
            .with_detach(options.detach)
            .with_process(Some(&file))
            .with_ignore_paused(options.ignore_paused)
            .with_sub_cgroup(options.cgroup.clone())
            .build()
            .map_err(chain)
    });
    let _ = std::fs::remove_file(&file);
    let pid = pid.map_err(|error| causes.explain(error))?.as_raw();
    match options.detach {
        true => Ok(0),
        false => Ok(wait::for_process(pid)),
    }
}

/// The container's own process with what the options say.
fn process_of(options: &Exec, spec: &Spec) -> Result<Process, String> {
    let mut process = spec.process().clone().ok_or("config.json has no process")?;
    process.set_args(Some(options.command.clone()));
    process.set_terminal(Some(options.tty));
    if let Some(cwd) = &options.cwd {
        process.set_cwd(cwd.clone());
    }
    if !options.env.is_empty() {
        let mut env = process.env().clone().unwrap_or_default();
        let name = |var: &str| var.split('=').next().unwrap_or_default().to_string();
        env.retain(|old| options.env.iter().all(|new| name(new) != name(old)));
        env.extend(options.env.iter().cloned());
        process.set_env(Some(env));
    }
    if let Some(user) = &options.user {
        let (uid, gid) = user
            .split_once(':')
            .map_or((user.as_str(), None), |(u, g)| (u, Some(g)));
        let number = |text: &str| {
            let id = text.parse::<u32>().ok().filter(|&id| id <= MAX_ID);
            id.ok_or_else(|| format!("--user {user}: want UID[:GID], each in range 0-{MAX_ID}"))
        };
        let mut who = process.user().clone();
        who.set_uid(number(uid)?);
        if let Some(gid) = gid {
            who.set_gid(number(gid)?);
        }
        process.set_user(who);
    }
    if !options.additional_gids.is_empty() {
        let mut who = process.user().clone();
        who.set_additional_gids(Some(options.additional_gids.clone()));
        process.set_user(who);
    }
    if options.no_new_privs {
        process.set_no_new_privileges(Some(true));
    }
    if options.apparmor.is_some() {
        process.set_apparmor_profile(options.apparmor.clone());
    }
    if options.process_label.is_some() {
        process.set_selinux_label(options.process_label.clone());
    }
    if !options.cap.is_empty() {
        let added = options.cap.iter().map(|name| {
            let name = name.trim_start_matches("CAP_");
            name.parse::<Capability>()
                .map_err(|_| format!("--cap {name}: no such capability"))
        });
        let added = added.collect::<Result<Capabilities, _>>()?;
        let mut sets = process.capabilities().clone().unwrap_or_default();
        let with = |old: &Option<Capabilities>| Some(old.iter().flatten().chain(&added).copied().collect());
        let (bounding, effective, permitted) = (
            with(sets.bounding()),
            with(sets.effective()),
            with(sets.permitted()),
        );
        sets.set_bounding(bounding)
            .set_effective(effective)
            .set_permitted(permitted);
        process.set_capabilities(Some(sets));
    }
    Ok(process)
}

/// Reads a file that an engine wrote.
pub fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, String> {
    let place = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let text = std::fs::read(path).map_err(|error| place(&error))?;
    serde_json::from_slice(&text).map_err(|error| place(&error))
}

/// `state`.
pub fn state(global: &Global, id: &str) -> Outcome {
    let container = load(global, id)?;
    print(&pretty(&state::describe(&container)))
}

/// `kill`.
pub fn kill(global: &Global, id: &str, signal: &str, all: bool) -> Outcome {
    let mut container = load(global, id)?;
    let signal = signal_number(signal)?;
    let pid = match container.pid() {
        Some(pid) if container.status() != ContainerStatus::Stopped => pid.as_raw(),
        _ if all => 0,
        _ => return Err("container not running".into()),
    };
    let pids = match all {
        true => pids(&container)?,
        false => vec![pid],
    };
    for pid in pids.into_iter().filter(|&pid| pid > 0) {
        // SAFETY: integers only.
        if unsafe { libc::kill(pid, signal) } != 0 {
            let error = std::io::Error::last_os_error();
            if error.raw_os_error() != Some(libc::ESRCH) {
                return Err(format!("kill {pid}: {error}"));
            }
        }
    }
    // A frozen process dies only when it thaws.
    if container.status() == ContainerStatus::Paused && signal == libc::SIGKILL {
        container.resume().map_err(chain)?;
    }
    Ok(0)
}

/// By number, from 1.
#[rustfmt::skip]
const SIGNALS: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM",
    "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR",
    "SYS",
];

/// A number, or a name with or without SIG, real-time signals among them.
fn signal_number(text: &str) -> Result<i32, String> {
    let unknown = || format!("unknown signal {text:?}");
    if let Ok(number) = text.parse::<i32>() {
        return (0..=64).contains(&number).then_some(number).ok_or_else(unknown);
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let offset = |text: &str| {
        if text.is_empty() {
            Some(0)
        } else {
            text.parse::<i32>().ok()
        }
    };
    let number = match (name.strip_prefix("RTMIN"), name.strip_prefix("RTMAX")) {
        (Some(above), _) => offset(above).map(|n| 34 + n),
        (_, Some(below)) => offset(below).map(|n| 64 + n),
        _ => SIGNALS
            .iter()
            .position(|known| *known == name)
            .map(|at| at as i32 + 1)
            .ok_or_else(unknown)
            .map(Some)?,
    };
    number.filter(|n| (1..=64).contains(n)).ok_or_else(unknown)
}

/// `delete`.
pub fn delete(global: &Global, id: &str, force: bool) -> Outcome {
    state::check_id(id)?;
    if force && !state::exists(global, id) {
        return Ok(0);
    }
    let mut container = load(global, id)?;
    let removable = matches!(
        container.status(),
        ContainerStatus::Stopped | ContainerStatus::Created
    );
    if !removable && !force {
        return Err(format!(
            "cannot delete container {id} that is not stopped: {}",
            status(&container)
        ));
    }
    container.delete(force).map_err(chain)?;
    Ok(0)
}

/// `list`.
pub fn list(global: &Global, format: Format, quiet: bool) -> Outcome {
    let containers: Vec<Value> = state::all(global).iter().map(state::describe).collect();
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_string);
    if quiet {
        let lines = containers.iter().map(|c| text(&c["id"]) + "\n");
        return print(&lines.collect::<String>());
    }
    if format == Format::Json {
        return print(&format!("{}\n", json!(containers)));
    }
    const COLUMNS: [&str; 6] = ["id", "pid", "status", "bundle", "created", "owner"];
    let mut rows = vec![COLUMNS.map(|name| name.to_uppercase())];
    rows.extend(containers.iter().map(|c| COLUMNS.map(|name| text(&c[name]))));
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..COLUMNS.len()).map(width).collect();
    let lines = rows.iter().map(|row| {
        let cells = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}   "));
        format!("{}\n", cells.collect::<String>().trim_end())
    });
    print(&lines.collect::<String>())
}

/// `ps`.
pub fn ps(global: &Global, id: &str, format: Format, options: &[String]) -> Outcome {
    let container = load(global, id)?;
    let pids = pids(&container)?;
    if format == Format::Json {
        return print(&format!("{}\n", json!(pids)));
    }
    let usual = ["-ef".to_string()];
    let options = if options.is_empty() { &usual } else { options };
    let output = std::process::Command::new("ps").args(options).output();
    let output = output.map_err(|error| format!("ps: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut lines = text.lines();
    let head = lines.next().unwrap_or_default();
    let Some(column) = head.split_whitespace().position(|name| name == "PID") else {
        return Err(format!("ps {}: no column PID", options.join(" ")));
    };
    let ours = lines.filter(|line| {
        let pid = line
            .split_whitespace()
            .nth(column)
            .and_then(|text| text.parse().ok());
        pid.is_some_and(|pid: i32| pids.contains(&pid))
    });
    print(
        &std::iter::once(head)
            .chain(ours)
            .map(|line| format!("{line}\n"))
            .collect::<String>(),
    )
}

fn pids(container: &Container) -> Result<Vec<i32>, String> {
    let pids = cgroups(container)?.get_all_pids().map_err(chain)?;
    Ok(pids.into_iter().map(|pid| pid.as_raw()).collect())
}

/// `pause`.
pub fn pause(global: &Global, id: &str) -> Outcome {
    let mut container = load(global, id)?;
    container.pause().map(|()| 0).map_err(chain)
}

/// `resume`.
pub fn resume(global: &Global, id: &str) -> Outcome {
    let mut container = load(global, id)?;
    container.resume().map(|()| 0).map_err(chain)
}

/// `features`.
pub fn features() -> Outcome {
    const ACTIONS: [&str; 8] = [
        "SCMP_ACT_ALLOW",
        "SCMP_ACT_ERRNO",
        "SCMP_ACT_KILL",
        "SCMP_ACT_KILL_PROCESS",
        "SCMP_ACT_KILL_THREAD",
        "SCMP_ACT_LOG",
        "SCMP_ACT_TRACE",
        "SCMP_ACT_TRAP",
    ];
    const OPERATORS: [&str; 7] = [
        "SCMP_CMP_EQ",
        "SCMP_CMP_GE",
        "SCMP_CMP_GT",
        "SCMP_CMP_LE",
        "SCMP_CMP_LT",
        "SCMP_CMP_MASKED_EQ",
        "SCMP_CMP_NE",
    ];
    let features = json!({
        "ociVersionMin": "1.0.0",
        "ociVersionMax": "1.3.0",
        "hooks": ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"],
        "linux": {
            "namespaces": ["cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"],
            "capabilities": emu::confine::CAPABILITIES.iter().map(|name| format!("CAP_{}", name.to_uppercase())).collect::<Vec<_>>(),
            "cgroup": { "v1": true, "v2": true, "systemd": true, "systemdUser": true, "rdma": false },
            "seccomp": { "enabled": true, "actions": ACTIONS, "operators": OPERATORS, "archs": ["SCMP_ARCH_ARM", "SCMP_ARCH_X86_64"] },
            "apparmor": { "enabled": true },
            "selinux": { "enabled": false },
        },
        "annotations": { "emu.version": env!("CARGO_PKG_VERSION") },
    });
    print(&pretty(&features))
}

/// `spec`.
pub fn spec(bundle: &Path, rootless: bool) -> Outcome {
    let path = bundle.join("config.json");
    let place = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let mut spec = match rootless {
        // SAFETY: no preconditions.
        true => unsafe { Spec::rootless(libc::geteuid(), libc::getegid()) },
        false => Spec::default(),
    };
    if rootless {
        spec.set_mounts(Some(get_rootless_mounts()));
    }
    let text = serde_json::to_string_pretty(&spec).map_err(|error| place(&error))?;
    let file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&path);
    file.and_then(|mut file| writeln!(file, "{text}"))
        .map_err(|error| place(&error))?;
    Ok(0)
}

fn status(container: &Container) -> String {
    container.status().to_string().to_lowercase()
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

fn print(text: &str) -> Outcome {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|error| format!("standard output: {error}"))?;
    Ok(0)
}
