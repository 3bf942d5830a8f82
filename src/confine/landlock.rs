//! Landlock on top of the namespaces: files below the guest's root alone, signals and abstract sockets of this run alone.
//!
//! It holds where a descriptor from outside would otherwise lead back out. The crate of that name is used because it knows
//! which rights each kernel's version of Landlock has, and asks for no others.

use landlock::{
    ABI, Access, AccessFs, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetStatus, Scope,
};
use std::os::fd::BorrowedFd;

/// The newest version whose rights are asked for.
const NEWEST: ABI = ABI::V6;

/// Restricts the calling process and its children for good. `programs` are descriptors of files outside of the root that
/// must stay executable, `files` such as can be opened again by their names in /proc, for what they are open for. Returns whether any of it holds.
///
/// # Errors
/// One line, where the kernel has Landlock but refuses.
pub fn restrict(programs: &[i32], files: &[i32]) -> Result<bool, String> {
    let all = AccessFs::from_all(NEWEST);
    let text = |error: landlock::RulesetError| format!("Landlock: {error}");
    let root = PathFd::new("/").map_err(|error| format!("Landlock: {error}"))?;
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(all)
        .map_err(text)?
        .scope(Scope::from_all(NEWEST))
        .map_err(text)?
        .create()
        .map_err(text)?
        .add_rule(PathBeneath::new(root, all))
        .map_err(text)?;
    let outside = programs
        .iter()
        .map(|&fd| (fd, AccessFs::ReadFile | AccessFs::Execute))
        .chain(files.iter().map(|&fd| (fd, as_open(fd))));
    for (fd, access) in outside {
        if !names_a_file(fd) || access.is_empty() {
            continue;
        }
        // SAFETY: the descriptor was found open just now, and this is the only thread.
        let fd = unsafe { BorrowedFd::borrow_raw(fd) };
        rules = rules.add_rule(PathBeneath::new(fd, access)).map_err(text)?;
    }
    let status = rules.restrict_self().map_err(text)?;
    Ok(status.ruleset != RulesetStatus::NotEnforced)
}

/// What a descriptor is open for: a file that is given for reading is not to be opened again for writing, by its name in /proc.
fn as_open(fd: i32) -> BitFlags<AccessFs> {
    let write = AccessFs::WriteFile | AccessFs::Truncate;
    // SAFETY: no pointers; a number that is no descriptor is an error, whose bits don't matter.
    match unsafe { libc::fcntl(fd, libc::F_GETFL) } & libc::O_ACCMODE {
        libc::O_RDONLY => AccessFs::ReadFile | AccessFs::IoctlDev,
        libc::O_WRONLY => write | AccessFs::IoctlDev,
        libc::O_RDWR => write | AccessFs::ReadFile | AccessFs::IoctlDev,
        _ => BitFlags::EMPTY,
    }
}

/// Whether an open descriptor is a file or device with a name: pipes, sockets and memory files are never restricted.
fn names_a_file(fd: i32) -> bool {
    // SAFETY: stat and statfs are plain integers, valid for the writes.
    unsafe {
        let mut stat: libc::stat = std::mem::zeroed();
        let mut system: libc::statfs = std::mem::zeroed();
        if libc::fstat(fd, &mut stat) != 0 || libc::fstatfs(fd, &mut system) != 0 {
            return false;
        }
        let kind = stat.st_mode & libc::S_IFMT;
        // A memory file has no links; so has a deleted one, of which there is nothing to open by name.
        (kind == libc::S_IFREG || kind == libc::S_IFCHR) && stat.st_nlink > 0
    }
}
