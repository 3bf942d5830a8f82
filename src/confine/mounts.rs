//! The guest's view of files: its root, what is put into it, and a /proc and /dev that show the guest alone.
//!
//! Everything from outside is opened as a detached mount while the host's files can still be named; then the root is changed
//! and the mounts are attached by names that can only lead to places inside. No link in the root can lead out.

use super::profile::{Mount, Policy};
use super::sys::{self, attr};
use super::{ConfineError, Problem, setup};
use std::ffi::{CStr, CString, OsStr};
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Devices that a guest gets from the host.
const DEVICES: [&CStr; 6] = [c"null", c"zero", c"full", c"random", c"urandom", c"tty"];

/// Room in /dev, of which /dev/shm is a part, in bytes.
const DEV_SIZE: u64 = 64 << 20;

/// Parts of /proc that say or change something about the host: read-only here.
const PROC_READ_ONLY: [&CStr; 5] = [c"bus", c"fs", c"irq", c"sys", c"sysrq-trigger"];
/// Parts of /proc that are read as empty here, as far as the caller may read or write them at all: most are the host's root's, and
/// so those of a run that it starts.
const PROC_HIDDEN: [&CStr; 18] = [
    c"acpi",
    c"asound",
    c"dynamic_debug",
    c"interrupts",
    c"kcore",
    c"keys",
    c"kmsg",
    c"kpagecgroup",
    c"kpagecount",
    c"kpageflags",
    c"latency_stats",
    c"pagetypeinfo",
    c"sched_debug",
    c"scsi",
    c"slabinfo",
    c"timer_list",
    c"timer_stats",
    c"vmallocinfo",
];

/// A detached mount and what it is for.
struct Prepared {
    tree: OwnedFd,
    target: PathBuf,
    is_dir: bool,
    then: Then,
}

/// What is left to do once it is attached.
enum Then {
    Nothing,
    FillDev(Vec<(&'static CStr, OwnedFd)>, OwnedFd),
    /// With the null device.
    CoverProc(OwnedFd),
}

/// Where the calling process may go back to, after the root has changed.
pub struct Root {
    tree: OwnedFd,
    mounts: Vec<Prepared>,
}

fn is_dir(fd: &OwnedFd) -> io::Result<bool> {
    // SAFETY: stat is plain integers.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: `stat` is valid for the write.
    sys::check(unsafe { libc::fstat(fd.as_raw_fd(), &mut stat) })?;
    Ok(stat.st_mode & libc::S_IFMT == libc::S_IFDIR)
}

/// Opens everything that the policy names on the host. In the new mount, user and pid namespaces.
///
/// # Errors
/// One line that names the option.
pub fn prepare(policy: &Policy) -> Result<Root, ConfineError> {
    sys::make_mounts_private().map_err(|e| setup("private mounts", &e))?;
    let wanted = policy.all_mounts();
    let over_root = wanted.iter().find_map(|m| match m {
        Mount::Overlay(from, to) if to == Path::new("/") => Some(from),
        _ => None,
    });
    let tree = match (&policy.root, over_root) {
        (_, Some(lower)) => overlay(lower, policy)?,
        (Some(dir), None) => {
            let tree = host_tree(dir, attr::NOSUID | attr::NODEV, "--root")?;
            let what = || format!("--root {}", dir.display());
            match is_dir(&tree).map_err(|e| setup(&what(), &e))? {
                true => tree,
                false => return Err(setup(&what(), &io::Error::from_raw_os_error(libc::ENOTDIR))),
            }
        }
        (None, None) => {
            let options = [(c"mode", Some(c"0755")), (c"size", Some(c"16m"))];
            sys::new_mount(c"tmpfs", &options, attr::NOSUID | attr::NODEV)
                .map_err(|e| setup("an empty root", &e))?
        }
    };
    let mut mounts = Vec::new();
    for mount in wanted.iter().filter(|m| m.target() != Path::new("/")) {
        mounts.push(prepare_one(mount, policy)?);
    }
    Ok(Root { tree, mounts })
}

fn host_tree(path: &Path, attributes: u64, option: &str) -> Result<OwnedFd, ConfineError> {
    let what = format!("{option} {}", path.display());
    let tree = sys::clone_tree(path).map_err(|e| setup(&what, &e))?;
    sys::add_attributes(tree.as_fd(), attributes).map_err(|e| setup(&what, &e))?;
    Ok(tree)
}

/// A file system in memory, no larger than the guest's memory may be: no resource limit counts what lies in it.
fn in_memory(mode: &CStr, policy: &Policy) -> io::Result<OwnedFd> {
    let size = policy.memory.map(|bytes| bytes.to_string());
    let size = size.map(CString::new).transpose()?;
    let mut options = vec![(c"mode", Some(mode))];
    options.extend(size.as_deref().map(|size| (c"size", Some(size))));
    sys::new_mount(c"tmpfs", &options, attr::NOSUID | attr::NODEV)
}

fn prepare_one(mount: &Mount, policy: &Policy) -> Result<Prepared, ConfineError> {
    let safe = attr::NOSUID | attr::NODEV;
    let (tree, then) = match mount {
        Mount::Bind(from, _) => (host_tree(from, safe, "--bind")?, Then::Nothing),
        Mount::RoBind(from, _) => (host_tree(from, safe | attr::RDONLY, "--ro-bind")?, Then::Nothing),
        Mount::Overlay(from, _) => (overlay(from, policy)?, Then::Nothing),
        Mount::Tmpfs(to) => {
            let what = format!("--tmpfs {}", to.display());
            (
                in_memory(c"1777", policy).map_err(|e| setup(&what, &e))?,
                Then::Nothing,
            )
        }
        Mount::Proc(to) => {
            let tree = sys::new_mount(c"proc", &[], safe | attr::NOEXEC).map_err(|error| {
                let mut problem = setup(&format!("--proc {}", to.display()), &error);
                if error.raw_os_error() == Some(libc::EPERM) {
                    problem.advise(
                        "the host shows this container only a part of /proc, and so no new one is allowed",
                    );
                }
                problem
            })?;
            let null = host_tree(
                Path::new("/dev/null"),
                attr::RDONLY | attr::NOSUID | attr::NOEXEC,
                "--proc",
            )?;
            (tree, Then::CoverProc(null))
        }
        Mount::Dev(to) => {
            let fail = |e| setup(&format!("--dev {}", to.display()), &e);
            let size = policy
                .memory
                .map_or(DEV_SIZE, |bytes| bytes.min(DEV_SIZE))
                .to_string();
            let size = CString::new(size).map_err(|e| fail(e.into()))?;
            let options = [(c"mode", Some(c"0755")), (c"size", Some(size.as_c_str()))];
            let tree = sys::new_mount(c"tmpfs", &options, attr::NOSUID | attr::NOEXEC).map_err(fail)?;
            let options = [(c"ptmxmode", Some(c"0666")), (c"mode", Some(c"0620"))];
            let pts = sys::new_mount(c"devpts", &options, attr::NOSUID | attr::NOEXEC).map_err(fail)?;
            let mut nodes = Vec::new();
            for name in DEVICES {
                let path = Path::new("/dev").join(OsStr::from_bytes(name.to_bytes()));
                let node = sys::clone_tree(&path).map_err(fail)?;
                nodes.push((name, node));
            }
            (tree, Then::FillDev(nodes, pts))
        }
    };
    let target = mount.target().clone();
    let is_dir = is_dir(&tree).map_err(|e| setup(&target.display().to_string(), &e))?;
    Ok(Prepared {
        tree,
        target,
        is_dir,
        then,
    })
}

/// An overlay: `lower` below, changes in a file system in memory. Its directories need names for a moment, which they get
/// over `lower` itself, where only this mount namespace sees them.
fn overlay(lower: &Path, policy: &Policy) -> Result<OwnedFd, ConfineError> {
    let fail = |e: io::Error| setup(&format!("--overlay {}", lower.display()), &e);
    let below = open_dir(lower).map_err(fail)?;
    let memory = in_memory(c"0755", policy).map_err(fail)?;
    sys::attach(memory.as_fd(), lower).map_err(fail)?;
    // From here on by descriptors: names of the host's may lead elsewhere by now, if another guest has them in its root.
    let link = |fd: i32, name: &str| format!("/proc/self/fd/{fd}{name}");
    sys::make_dir_in(memory.as_fd(), c"upper", 0o755).map_err(fail)?;
    sys::make_dir_in(memory.as_fd(), c"work", 0o755).map_err(fail)?;
    let upper = link(memory.as_raw_fd(), "/upper");
    // The upper layer's own directory is the root that the guest sees.
    if let Ok(meta) = fs::metadata(link(below.as_raw_fd(), "")) {
        // An owner that is not mapped stays the caller.
        let _ = fs::set_permissions(&upper, meta.permissions());
    }
    let text = |name: String| CString::new(name).map_err(|e| fail(e.into()));
    let lower_name = text(link(below.as_raw_fd(), ""))?;
    let (upper_name, work_name) = (text(upper)?, text(link(memory.as_raw_fd(), "/work"))?);
    let options = [
        (c"lowerdir", Some(lower_name.as_c_str())),
        (c"upperdir", Some(upper_name.as_c_str())),
        (c"workdir", Some(work_name.as_c_str())),
        (c"userxattr", None),
    ];
    let tree = sys::new_mount(c"overlay", &options, attr::NOSUID | attr::NODEV).map_err(|error| {
        let advice = match error.raw_os_error() {
            Some(libc::EINVAL) => "the kernel lays none over a directory in which others are mounted: name one without, or use --ro-bind",
            _ => "",
        };
        ConfineError::Setup(Problem::new(&format!("--overlay {}", lower.display()), &error, advice))
    })?;
    let name = text(link(memory.as_raw_fd(), ""))?;
    // SAFETY: a C string. The overlay holds on to its layers.
    sys::check(unsafe { libc::umount2(name.as_ptr(), libc::MNT_DETACH) }).map_err(fail)?;
    Ok(tree)
}

fn open_dir(path: &Path) -> io::Result<fs::File> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = fs::OpenOptions::new();
    options
        .read(true)
        .custom_flags(libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC)
        .open(path)
}

impl Root {
    /// The descriptors that [`Root::enter`] needs.
    pub fn descriptors(&self) -> Vec<i32> {
        let mut all = vec![self.tree.as_raw_fd()];
        for mount in &self.mounts {
            all.push(mount.tree.as_raw_fd());
            match &mount.then {
                Then::Nothing => {}
                Then::FillDev(nodes, pts) => {
                    all.push(pts.as_raw_fd());
                    all.extend(nodes.iter().map(|(_, node)| node.as_raw_fd()));
                }
                Then::CoverProc(null) => all.push(null.as_raw_fd()),
            }
        }
        all
    }

    /// Changes the root and puts everything in its place.
    ///
    /// # Errors
    /// One line that names the place.
    pub fn enter(self, policy: &Policy) -> Result<(), ConfineError> {
        let fail = |e: io::Error| setup("the new root", &e);
        sys::attach(self.tree.as_fd(), Path::new("/")).map_err(fail)?;
        sys::change_root(self.tree.as_fd()).map_err(|error| {
            let mut problem = fail(error);
            problem.advise("the kernel changes no root where the host's is its initramfs");
            problem
        })?;
        for mount in &self.mounts {
            make_place(&mount.target, mount.is_dir).map_err(|error| {
                let mut problem = setup(&format!("{} in the guest's root", mount.target.display()), &error);
                problem.advise(match error.raw_os_error() {
                    Some(libc::EEXIST) => "it is a link that leads to nothing in the root",
                    Some(libc::EISDIR) => "a file goes over a file: name it there too",
                    Some(libc::ENOTDIR) => "a directory goes over a directory",
                    _ => "make it beforehand, or leave the root as it is with --overlay DIR /",
                });
                problem
            })?;
            put(mount).map_err(|e| setup(&format!("{} in the guest's root", mount.target.display()), &e))?;
        }
        let dir = policy.chdir.as_deref().unwrap_or(Path::new("/"));
        std::env::set_current_dir(dir).map_err(|e| setup(&format!("--chdir {}", dir.display()), &e))
    }
}

fn put(mount: &Prepared) -> io::Result<()> {
    sys::attach(mount.tree.as_fd(), &mount.target)?;
    // By its descriptor: whatever names lead to, this is what the guest finds.
    match &mount.then {
        Then::Nothing => Ok(()),
        Then::FillDev(nodes, pts) => fill_dev(mount.tree.as_fd(), nodes, pts),
        Then::CoverProc(null) => cover_proc(mount.tree.as_fd(), null),
    }
}

/// Something to mount on, as far as it is not there: what is there, or where a link leads in the root, must be of the mount's kind.
fn make_place(target: &Path, dir: bool) -> io::Result<()> {
    if let Ok(meta) = fs::metadata(target) {
        return match (dir, meta.is_dir()) {
            (true, false) => Err(io::Error::from_raw_os_error(libc::ENOTDIR)),
            (false, true) => Err(io::Error::from_raw_os_error(libc::EISDIR)),
            _ => Ok(()),
        };
    }
    if dir {
        return fs::create_dir_all(target);
    }
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::File::create(target).map(|_| ())
}

fn fill_dev(dev: BorrowedFd<'_>, nodes: &[(&'static CStr, OwnedFd)], pts: &OwnedFd) -> io::Result<()> {
    for (name, node) in nodes {
        sys::make_file_in(dev, name)?;
        sys::attach_in(node.as_fd(), dev, name)?;
    }
    sys::make_dir_in(dev, c"pts", 0o755)?;
    sys::make_dir_in(dev, c"shm", 0o1777)?;
    sys::attach_in(pts.as_fd(), dev, c"pts")?;
    sys::make_link_in(dev, c"ptmx", c"pts/ptmx")?;
    sys::make_link_in(dev, c"fd", c"/proc/self/fd")?;
    sys::make_link_in(dev, c"stdin", c"/proc/self/fd/0")?;
    sys::make_link_in(dev, c"stdout", c"/proc/self/fd/1")?;
    sys::make_link_in(dev, c"stderr", c"/proc/self/fd/2")
}

fn cover_proc(proc: BorrowedFd<'_>, null: &OwnedFd) -> io::Result<()> {
    for name in PROC_READ_ONLY {
        match sys::clone_tree_in(proc, name) {
            Ok(tree) => {
                sys::add_attributes(tree.as_fd(), attr::RDONLY)?;
                sys::attach_in(tree.as_fd(), proc, name)?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    // Files get the null device, as from the container run-times: an empty file of its own would need an unmount, for which the
    // kernel waits until every processor has noticed (milliseconds on a busy machine).
    let mut first = None;
    for name in PROC_HIDDEN {
        let is_dir = match sys::mode_in(proc, name) {
            Ok(mode) => mode & libc::S_IFMT == libc::S_IFDIR,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        if !sys::accessible_in(proc, name) {
            continue;
        }
        match (is_dir, first) {
            (true, _) => {
                let options = [(c"size", Some(c"4k")), (c"mode", Some(c"0555"))];
                let attributes = attr::RDONLY | attr::NOSUID | attr::NODEV | attr::NOEXEC;
                let empty = sys::new_mount(c"tmpfs", &options, attributes)?;
                sys::attach_in(empty.as_fd(), proc, name)?;
            }
            (false, None) => {
                sys::attach_in(null.as_fd(), proc, name)?;
                first = Some(name);
            }
            // Before Linux 6.15 only what is attached can be cloned.
            (false, Some(other)) => {
                let cover = sys::clone_tree_in(proc, other)?;
                sys::attach_in(cover.as_fd(), proc, name)?;
            }
        }
    }
    Ok(())
}
