//! What becomes of a container's process once its namespaces, root, limits and rights are in place: `emu`, by an open
//! descriptor, with the container's program and the container's seccomp profile.

use emu::load::{self, Kind};
use libcontainer::oci_spec::runtime::Spec;
use libcontainer::workload::{Executor, ExecutorError, ExecutorSetEnvsError, ExecutorValidationError};
use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::{CString, OsStr};
use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Interpreters of interpreters that the kernel follows.
const MAX_DEPTH: usize = 5;

/// Opened on the host, used in the container.
#[derive(Clone)]
pub struct Emulator {
    /// `emu` itself.
    pub program: Rc<OwnedFd>,
    /// The container's filter, if it has one, as `emu --reexec-seccomp` takes it.
    pub filter: Option<Rc<File>>,
    /// Variables that libcontainer adds to those of the specification; see [`Executor::setup_envs`].
    pub added: RefCell<Vec<String>>,
}

impl Executor for Emulator {
    fn exec(&self, spec: &Spec) -> Result<(), ExecutorError> {
        let process = spec.process().as_ref().ok_or(ExecutorError::InvalidArg)?;
        let args = process.args().as_deref().unwrap_or_default();
        let env = process.env().as_deref().unwrap_or_default();
        let named = |var: &String| var.split('=').next().unwrap_or_default().to_string();
        self.added
            .borrow_mut()
            .retain(|added| env.iter().all(|var| named(var) != named(added)));
        let (first, rest) = args.split_first().ok_or(ExecutorError::InvalidArg)?;
        let program = find(first, env).map_err(ExecutorError::Other)?;
        let mut command: Vec<Vec<u8>> = ["emu", "--reexec", "-1"]
            .map(|word| word.as_bytes().to_vec())
            .into();
        if let Some(filter) = &self.filter {
            keep_open(filter.as_raw_fd())?;
            command.extend([
                b"--reexec-seccomp".to_vec(),
                filter.as_raw_fd().to_string().into_bytes(),
            ]);
        }
        command.extend([b"-0".to_vec(), first.clone().into_bytes(), b"--".to_vec()]);
        command.push(program.as_os_str().as_bytes().to_vec());
        command.extend(rest.iter().map(|arg| arg.clone().into_bytes()));
        keep_open(self.program.as_raw_fd())?;
        let env = env.iter().chain(self.added.borrow().iter()).cloned().collect();
        let error = execute(self.program.as_raw_fd(), command, env);
        Err(ExecutorError::Other(format!("executing emu: {error}")))
    }

    /// Kept for execve, in their order, rather than set here, where a name that is none would be a panic.
    fn setup_envs(&self, envs: HashMap<String, String>) -> Result<(), ExecutorSetEnvsError> {
        *self.added.borrow_mut() = envs
            .into_iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        Ok(())
    }

    /// In the container, before it is `created`: what the engine is to hear at once.
    fn validate(&self, spec: &Spec) -> Result<(), ExecutorValidationError> {
        let args = spec.process().as_ref().and_then(|p| p.args().as_deref());
        let env = spec.process().as_ref().and_then(|p| p.env().as_deref());
        let Some(first) = args.and_then(|args| args.first()) else {
            return Err(ExecutorValidationError::ArgValidationError(
                "process.args is empty".into(),
            ));
        };
        let args = args.unwrap_or_default();
        let checked = check_user(spec)
            .and_then(|()| check_strings(first, args.iter().chain(env.unwrap_or_default())))
            .and_then(|()| find(first, env.unwrap_or_default()))
            .and_then(|path| check(&path));
        checked.map_err(ExecutorValidationError::ArgValidationError)
    }
}

/// Ids beyond this stand for "as it is" somewhere: 4294967295 would leave the process root.
pub const MAX_ID: u32 = i32::MAX as u32;

fn check_user(spec: &Spec) -> Result<(), String> {
    let Some(user) = spec.process().as_ref().map(|p| p.user()) else {
        return Ok(());
    };
    let more = user.additional_gids().iter().flatten().copied();
    match [user.uid(), user.gid()]
        .into_iter()
        .chain(more)
        .find(|&id| id > MAX_ID)
    {
        None => Ok(()),
        Some(id) => Err(format!(
            "process.user: {id}: uids and gids must be in range 0-{MAX_ID}"
        )),
    }
}

/// What execve would refuse too late to be told.
fn check_strings<'a>(name: &str, mut all: impl Iterator<Item = &'a String>) -> Result<(), String> {
    /// MAX_ARG_STRLEN.
    const LONGEST: usize = 131_072;
    all.try_for_each(|text| match text.len() {
        len if len >= LONGEST => Err(format!("exec: {name:?}: argument list too long")),
        _ if text.contains('\0') => Err(format!("exec: {name:?}: invalid argument")),
        _ => Ok(()),
    })
}

/// The program's path in the container. The texts are runc's, from which engines make their exit status.
fn find(name: &str, env: &[String]) -> Result<PathBuf, String> {
    const USUAL: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    let quoted = format!("exec: {name:?}");
    if name.contains('/') {
        let path = PathBuf::from(name);
        return match executable(&path) {
            Ok(()) => Ok(path),
            Err(error) => Err(format!("{quoted}: stat {name}: {error}")),
        };
    }
    let path = env
        .iter()
        .find_map(|var| var.strip_prefix("PATH="))
        .unwrap_or(USUAL);
    let mut denied = false;
    for dir in path.split(':').filter(|_| !name.is_empty()) {
        let candidate = Path::new(if dir.is_empty() { "." } else { dir }).join(name);
        match executable(&candidate) {
            Ok(()) => return Ok(candidate),
            Err(error) => denied |= error == "permission denied",
        }
    }
    match denied {
        true => Err(format!("{quoted}: permission denied")),
        false => Err(format!("{quoted}: executable file not found in $PATH")),
    }
}

fn executable(path: &Path) -> Result<(), String> {
    let text = |error: std::io::Error| match error.raw_os_error() {
        Some(libc::ENOENT | libc::ENOTDIR) => "no such file or directory".to_string(),
        Some(libc::EACCES) => "permission denied".to_string(),
        _ => error.to_string(),
    };
    if !path.metadata().map_err(text)?.is_file() {
        return Err("permission denied".into());
    }
    let name = CString::new(path.as_os_str().as_bytes()).map_err(|_| "no such file or directory")?;
    // SAFETY: a NUL-terminated path; faccessat changes nothing.
    match unsafe { libc::faccessat(libc::AT_FDCWD, name.as_ptr(), libc::X_OK, libc::AT_EACCESS) } {
        0 => Ok(()),
        _ => Err(text(std::io::Error::last_os_error())),
    }
}

/// Whether `emu` can run it: a program for 32-bit ARM whose interpreter is there, or a script whose interpreter is one.
fn check(path: &Path) -> Result<(), String> {
    let mut path = path.to_path_buf();
    for _ in 0..=MAX_DEPTH {
        let program = load::open_program(&path).map_err(|error| format!("exec {error}"))?;
        let name = path.display().to_string();
        match program.kind {
            Kind::Arm32 => {
                let plan = load::plan(&program.file).map_err(|problem| format!("exec {name}: {problem}"))?;
                return match plan
                    .interpreter
                    .as_deref()
                    .map(|path| Path::new(OsStr::from_bytes(path)))
                {
                    Some(interpreter) => executable(interpreter).map_err(|error| {
                        format!("exec {name}: its interpreter {}: {error}", interpreter.display())
                    }),
                    None => Ok(()),
                };
            }
            Kind::Script { interpreter, .. } => path = PathBuf::from(OsStr::from_bytes(&interpreter)),
            Kind::X86_64 => {
                return Err(format!(
                    "exec {name}: an x86-64 program; emu-oci runs containers of 32-bit ARM programs, runc and crun those of this machine"
                ));
            }
            Kind::OtherElf { machine } => {
                return Err(format!(
                    "exec {name}: exec format error (a program for machine {machine}, not 32-bit ARM)"
                ));
            }
            Kind::Unknown => return Err(format!("exec {name}: exec format error")),
        }
    }
    Err(format!(
        "exec {}: too many interpreters of interpreters",
        path.display()
    ))
}

/// libcontainer has marked everything above standard error and what the engine passes on to be closed by execve.
fn keep_open(fd: i32) -> Result<(), ExecutorError> {
    // SAFETY: fcntl with numbers, on a descriptor that is ours.
    match unsafe { libc::fcntl(fd, libc::F_SETFD, 0) } {
        0 => Ok(()),
        _ => Err(ExecutorError::Other(format!(
            "descriptor {fd}: {}",
            std::io::Error::last_os_error()
        ))),
    }
}

/// execveat of a descriptor. Comes back only with an error.
fn execute(program: i32, command: Vec<Vec<u8>>, env: Vec<String>) -> std::io::Error {
    let mut env = env.into_iter().map(String::into_bytes);
    let strings = |words: &mut dyn Iterator<Item = Vec<u8>>| -> Result<Vec<CString>, std::io::Error> {
        words
            .map(|word| CString::new(word).map_err(std::io::Error::from))
            .collect()
    };
    let (args, env) = match (strings(&mut command.into_iter()), strings(&mut env)) {
        (Ok(args), Ok(env)) => (args, env),
        (Err(error), _) | (_, Err(error)) => return error,
    };
    let pointers = |words: &[CString]| -> Vec<*const libc::c_char> {
        words
            .iter()
            .map(|word| word.as_ptr())
            .chain([std::ptr::null()])
            .collect()
    };
    let (argv, envp) = (pointers(&args), pointers(&env));
    // SAFETY: null-terminated arrays of NUL-terminated strings, which live until the call returns, if it does.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            program,
            c"".as_ptr(),
            argv.as_ptr(),
            envp.as_ptr(),
            libc::AT_EMPTY_PATH,
        );
    }
    std::io::Error::last_os_error()
}
