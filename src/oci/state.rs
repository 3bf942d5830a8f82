//! Containers on disk: finding them, and whether the process that a state names is still theirs.

use crate::Global;
use crate::report::chain;
use libcgroups::common::{AnyCgroupManager, CgroupConfig, create_cgroup_manager};
use libcontainer::container::{Container, ContainerStatus};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// When the first process began, in clock ticks: a number is given to another process later.
const START_TIME: &str = "start-time";

/// The directory of all containers' states.
pub fn root(global: &Global) -> PathBuf {
    if let Some(root) = &global.root {
        return root.clone();
    }
    // SAFETY: no preconditions.
    let user = unsafe { libc::geteuid() };
    match std::env::var_os("XDG_RUNTIME_DIR") {
        Some(dir) if user != 0 => Path::new(&dir).join("emu-oci"),
        _ => PathBuf::from("/run/emu-oci"),
    }
}

/// # Errors
/// `id` is not one that a container can have: it would be a path that leads elsewhere.
pub fn check_id(id: &str) -> Result<(), String> {
    let fine = |c: char| c.is_ascii_alphanumeric() || "_+-.".contains(c);
    match !id.is_empty() && id.len() <= 1024 && id != "." && id != ".." && id.chars().all(fine) {
        true => Ok(()),
        false => Err(format!(
            "{id:?}: a container's identifier is of letters, digits, _, +, - and ."
        )),
    }
}

/// Whether there is a state of this name.
pub fn exists(global: &Global, id: &str) -> bool {
    root(global).join(id).exists()
}

/// Loads a container with its status as it is now.
///
/// # Errors
/// One line.
pub fn load(global: &Global, id: &str) -> Result<Container, String> {
    check_id(id)?;
    let dir = root(global).join(id);
    if !dir.exists() {
        return Err(format!("container {id:?} does not exist"));
    }
    let mut container =
        Container::load(dir).map_err(|error| format!("container {id:?}: {}", chain(error)))?;
    let noted = std::fs::read_to_string(container.root.join(START_TIME)).ok();
    if let (Some(pid), Some(noted)) = (container.pid(), noted)
        && start_time(pid.as_raw()).is_some_and(|now| now != noted)
    {
        container.state.pid = None;
        container.set_status(ContainerStatus::Stopped);
    }
    Ok(container)
}

/// Notes when a new container's process began.
pub fn note_start_time(container: &Container) {
    if let Some(time) = container.pid().and_then(|pid| start_time(pid.as_raw())) {
        // Without it a state is as good as runc's without.
        let _ = std::fs::write(container.root.join(START_TIME), time);
    }
}

/// Field 22 of /proc/PID/stat.
fn start_time(pid: i32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may hold anything; what follows its parenthesis does not.
    stat.rsplit_once(')')?
        .1
        .split_whitespace()
        .nth(19)
        .map(str::to_string)
}

/// What handles the container's control groups.
///
/// # Errors
/// One line.
pub fn cgroups(container: &Container) -> Result<AnyCgroupManager, String> {
    let config = container.spec().map_err(chain)?;
    create_cgroup_manager(CgroupConfig {
        cgroup_path: config.cgroup_path,
        systemd_cgroup: container.systemd(),
        container_name: container.id().to_string(),
    })
    .map_err(chain)
}

/// As `runc state` prints it.
pub fn describe(container: &Container) -> Value {
    let state = &container.state;
    let running = container.status() != ContainerStatus::Stopped;
    let mut out = json!({
        "ociVersion": state.oci_version,
        "id": state.id,
        "pid": state.pid.filter(|_| running).unwrap_or(0),
        "status": container.status().to_string().to_lowercase(),
        "bundle": state.bundle,
        "created": state.created,
        "owner": container.creator().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
    });
    if let Some(annotations) = &state.annotations {
        out["annotations"] = json!(annotations);
    }
    out
}

/// All containers, by name.
pub fn all(global: &Global) -> Vec<Container> {
    let Ok(entries) = std::fs::read_dir(root(global)) else {
        return Vec::new();
    };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names.iter().filter_map(|name| load(global, name).ok()).collect()
}
