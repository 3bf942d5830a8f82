//! The command line: options, environment variables that act as options, and finding the program to run.

pub mod confine;
pub mod entry;
mod plain;
pub mod qemu;

use crate::confine::profile::{Policy, parse_size};
use crate::diag::log::Items;
use clap::{ArgAction, CommandFactory, FromArgMatches, Parser};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// Exit status when `emu` itself fails before there is a program to speak of, as env(1) and timeout(1) have it.
pub const EXIT_USAGE: i32 = 125;
/// The program was found but cannot be run (POSIX shell, section 2.8.2).
pub const EXIT_CANNOT_RUN: i32 = 126;
/// The program was not found.
pub const EXIT_NOT_FOUND: i32 = 127;

/// Runs ARM Linux programs on x86-64 Linux.
#[derive(Parser, Debug)]
#[command(
    name = "emu",
    version,
    disable_help_subcommand = true,
    args_override_self = true,
    override_usage = "emu [OPTIONS] PROGRAM [ARGS...]\n       emu binfmt install|remove|status\n       emu doctor"
)]
struct Options {
    /// Look up the interpreter, libraries and absolute paths in DIR first [env: EMU_LD_PREFIX, QEMU_LD_PREFIX]
    #[arg(short = 'L', long, value_name = "DIR")]
    sysroot: Option<PathBuf>,
    /// Set VAR in the guest's environment (repeatable)
    #[arg(short = 'E', long = "env", value_name = "VAR=VALUE", action = ArgAction::Append)]
    set: Vec<OsString>,
    /// Remove VAR from the guest's environment (repeatable)
    #[arg(short = 'U', value_name = "VAR", action = ArgAction::Append)]
    unset: Vec<OsString>,
    /// Start with an empty environment
    #[arg(long)]
    clear_env: bool,
    /// What the guest sees as argv[0] (default: PROGRAM as given)
    #[arg(short = '0', value_name = "ARGV0", allow_hyphen_values = true)]
    argv0: Option<OsString>,
    /// Stack size of the guest's first thread; K, M and G are understood (default: the stack limit)
    #[arg(short = 's', value_name = "BYTES", value_parser = parse_size)]
    stack_size: Option<u64>,
    /// The processor to be: arm926, arm1176, cortex-a8, cortex-a15 or max
    #[arg(long, value_name = "NAME", default_value = "max")]
    cpu: String,
    /// Write a line for every system call
    #[arg(long)]
    strace: bool,
    /// --strace with the time at which each call began (seconds since 1970) and what it took
    #[arg(long)]
    strace_times: bool,
    /// Log ITEMS: a comma list of in_asm, ir, out_asm, exec, unimp, policy
    #[arg(short = 'd', value_name = "ITEMS", value_parser = Items::parse)]
    log: Option<Items>,
    /// Write the log and --strace to FILE instead of standard error
    #[arg(short = 'D', value_name = "FILE")]
    log_file: Option<PathBuf>,
    /// Print translation and execution statistics at exit
    #[arg(long)]
    stats: bool,
    /// Load and map at the same addresses in every run
    #[arg(long)]
    no_aslr: bool,
    /// Interpret all floating point bit by bit instead of on the host's unit
    #[arg(long)]
    strict_fp: bool,
    /// Translate one guest instruction per block, for tests
    #[arg(long)]
    one_insn_per_block: bool,
    /// Interpret a place the first N times that it is reached (less often in long programs), then translate it [default: 2]
    #[arg(long, value_name = "N")]
    interpret: Option<u32>,
    /// Translate as if the host processor lacked FEATURES, a comma list such as avx512,gfni; for tests
    #[arg(long, value_name = "FEATURES", value_delimiter = ',')]
    host_without: Vec<String>,
    /// Keep guest memory away from host address 0, as for programs linked below vm.mmap_min_addr; slower
    #[arg(long)]
    based: bool,
    /// Leave out the baseline system call filter and the rule for executable memory
    #[arg(long)]
    unconfined: bool,
    /// Let set-id programs that the guest executes have their privileges (without no_new_privs)
    #[arg(long)]
    allow_setuid: bool,
    /// Print the policy that would be in force, and end
    #[arg(long)]
    print_policy: bool,
    #[command(flatten)]
    confinement: confine::ConfinementOptions,
    /// Share no translations, and no addresses of libraries, with programs that the guest executes
    #[arg(long)]
    no_share: bool,
    /// Internal: this process replaces one that ran under emu; the program is open as FD, -1 for none
    #[arg(long, hide = true, value_name = "FD", allow_hyphen_values = true)]
    reexec: Option<i32>,
    /// Internal: limits that the process before execve had
    #[arg(
        long,
        hide = true,
        value_name = "N,...",
        value_delimiter = ',',
        requires = "reexec"
    )]
    reexec_limits: Vec<u64>,
    /// Internal: the personality that the process before execve had
    #[arg(long, hide = true, value_name = "N", requires = "reexec")]
    reexec_personality: Option<u32>,
    /// Internal: the guest's system call filters are in FD
    #[arg(long, hide = true, value_name = "FD", requires = "reexec")]
    reexec_seccomp: Option<i32>,
    /// Internal: the strict policy that is in force
    #[arg(long, hide = true, requires = "reexec", value_parser = confine::Inherited::parse)]
    reexec_strict: Option<confine::Inherited>,
    /// Internal: the log is open as FD
    #[arg(long, hide = true, value_name = "FD", requires = "reexec")]
    reexec_log: Option<i32>,
    /// Internal: the translations that the family shares are in the first FD, what belongs to them is read from the second
    #[arg(long, hide = true, value_name = "FD,FD", requires = "reexec", value_parser = two_descriptors)]
    reexec_family: Option<(i32, i32)>,
    /// The program and its arguments, handed to the guest as they are
    #[arg(
        value_name = "PROGRAM [ARGS...]",
        required_unless_present = "print_policy",
        trailing_var_arg = true,
        num_args = 1..
    )]
    command: Vec<OsString>,
}

/// Two descriptors with a comma between.
fn two_descriptors(text: &str) -> Result<(i32, i32), String> {
    let number = |text: &str| text.parse().ok().filter(|&fd: &i32| fd >= 0);
    text.split_once(',')
        .and_then(|(a, b)| Some((number(a)?, number(b)?)))
        .ok_or_else(|| "want two descriptors".to_string())
}

/// One edit of the guest's environment, in command line order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum EnvEdit {
    Set(OsString, OsString),
    Unset(OsString),
}

/// Everything the command line decides.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Config {
    /// Directory in which absolute guest paths are looked up first.
    pub sysroot: Option<PathBuf>,
    pub env: Vec<EnvEdit>,
    /// argv[0] of the guest where it is to differ from `program`.
    pub argv0: Option<OsString>,
    /// In bytes.
    pub stack_size: Option<u64>,
    /// Name of a `cpu::model` entry; not checked here.
    pub cpu: String,
    pub strace: bool,
    /// `strace`, with times.
    pub strace_times: bool,
    pub log: Items,
    pub log_file: Option<PathBuf>,
    pub stats: bool,
    pub aslr: bool,
    pub strict_fp: bool,
    pub one_insn_per_block: bool,
    /// How often a place is interpreted before it is translated, if the user says.
    pub interpret: Option<u32>,
    /// Names of host features not to be used; not checked here.
    pub host_without: Vec<String>,
    /// The window lies anywhere, not at host address 0.
    pub based: bool,
    pub confined: bool,
    /// No no_new_privs, and so a filter only where the caller may install one without.
    pub allow_setuid: bool,
    pub print_policy: bool,
    pub clear_env: bool,
    /// Set for a run in namespaces of its own that is still to be confined.
    pub policy: Option<Policy>,
    /// Set where that has been done, by this process or the one before execve.
    pub strict: Option<confine::Inherited>,
    /// Limits of a confined run that the system layer keeps: resource, soft, hard.
    pub kept: Vec<(u32, u64, u64)>,
    /// With `reexec`: the log's descriptor.
    pub log_fd: Option<i32>,
    /// Translations and addresses of libraries are shared with programs that this one executes.
    pub sharing: bool,
    /// Set when a process of ours called execve: the descriptor of the open program, -1 where it goes by path.
    pub reexec: Option<i32>,
    /// With it: the guest's resource limits that the host does not know, as `linux::proc_limits` lists them.
    pub limits: Vec<u64>,
    /// With it: the guest's personality, where it isn't that of every program.
    pub personality: Option<u32>,
    /// With it: the descriptor of the guest's system call filters, if it has any.
    pub seccomp: Option<i32>,
    /// With it: the descriptors of the family's translations and letter, if it has any (see `exec::family`).
    pub family: Option<(i32, i32)>,
    pub program: OsString,
    /// argv[1..] of the guest.
    pub args: Vec<OsString>,
}

/// What a guest's execve hands to the `emu` that runs the next program.
pub struct Handover<'a> {
    /// Descriptor of the open program.
    pub program: i32,
    /// The program as the guest knows it.
    pub name: &'a OsStr,
    pub argv: &'a [OsString],
    /// The personality, where it isn't that of every program.
    pub personality: Option<u32>,
    /// Descriptor of the guest's system call filters, if it has any (see `linux::seccomp`).
    pub seccomp: Option<i32>,
    /// Descriptor of the log, where it has one.
    pub log: Option<i32>,
    /// The strict policy that the next program is under, if this one is.
    pub strict: Option<&'a confine::Inherited>,
    /// Descriptors of translations that the new process may share, and of the letter about them, if there are any (see
    /// `exec::family`).
    pub family: Option<(i32, i32)>,
}

/// Parsing ended without a [`Config`].
#[derive(Debug)]
pub struct Stop {
    /// Help or version text, or one line that says what is wrong.
    pub text: String,
    /// 0 for help and version (text goes to standard output), else [`EXIT_USAGE`].
    pub status: i32,
}

impl Config {
    /// Parses `args` (argv[0] included). `var` reads the host environment.
    pub fn parse(
        args: impl IntoIterator<Item = OsString>,
        var: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<Config, Stop> {
        let args: Vec<OsString> = args.into_iter().collect();
        let mut config = match plain::read(&args) {
            Some(config) => config,
            None => Config::parse_fully(args)?,
        };
        // A program that a guest executes has the guest's environment, which is none of the emulator's business.
        if config.sysroot.is_none() && config.reexec.is_none() {
            let set = ["EMU_LD_PREFIX", "QEMU_LD_PREFIX"]
                .iter()
                .find_map(|n| var(n).filter(|v| !v.is_empty()));
            config.sysroot = set.map(PathBuf::from);
        }
        Ok(config)
    }

    /// As [`Config::parse`], every option, without the environment.
    fn parse_fully(args: Vec<OsString>) -> Result<Config, Stop> {
        let matches = Options::command().try_get_matches_from(args).map_err(stop)?;
        let options = Options::from_arg_matches(&matches).map_err(stop)?;
        let mut edits = Vec::new();
        for (index, text) in indexed(&matches, "set").zip(options.set) {
            let bytes = text.as_bytes();
            let eq = bytes.iter().position(|&b| b == b'=').filter(|&i| i > 0);
            let Some(eq) = eq else {
                return Err(usage(format!("-E {}: want VAR=VALUE", text.display())));
            };
            let (name, value) = (
                OsStr::from_bytes(&bytes[..eq]),
                OsStr::from_bytes(&bytes[eq + 1..]),
            );
            edits.push((index, EnvEdit::Set(name.into(), value.into())));
        }
        for (index, name) in indexed(&matches, "unset").zip(options.unset) {
            edits.push((index, EnvEdit::Unset(name)));
        }
        edits.sort_by_key(|e| e.0);
        let mut env: Vec<EnvEdit> = edits.into_iter().map(|e| e.1).collect();
        let mut policy = options.confinement.policy(&matches, &mut env)?;
        if policy.is_some() && options.unconfined {
            return Err(usage("--unconfined and a confined run exclude each other".into()));
        }
        let clear_env = options.clear_env || policy.as_mut().is_some_and(|p| p.clear_env);
        let mut command = options.command.into_iter();
        let program = command.next().unwrap_or_default();
        Ok(Config {
            sysroot: options.sysroot,
            env,
            argv0: options.argv0,
            stack_size: options.stack_size,
            cpu: options.cpu,
            strace: options.strace || options.strace_times,
            strace_times: options.strace_times,
            log: options.log.unwrap_or_default(),
            log_file: options.log_file,
            stats: options.stats,
            aslr: !options.no_aslr,
            strict_fp: options.strict_fp,
            one_insn_per_block: options.one_insn_per_block,
            interpret: options.interpret,
            host_without: options.host_without,
            based: options.based,
            confined: !options.unconfined,
            allow_setuid: options.allow_setuid,
            print_policy: options.print_policy,
            clear_env,
            policy,
            strict: options.reexec_strict,
            kept: Vec::new(),
            log_fd: options.reexec_log,
            sharing: !options.no_share,
            reexec: options.reexec,
            limits: options.reexec_limits,
            personality: options.reexec_personality,
            seccomp: options.reexec_seccomp,
            family: options.reexec_family,
            program,
            args: command.collect(),
        })
    }

    /// The command line (argv[0] included) with which a guest's execve runs `emu` again: the same options without
    /// the environment edits (the guest passes its environment itself), and what the guest hands over. Where its argv
    /// is empty the new guest's argv[0] is empty, as Linux has it since 5.18. `limits` become [`Config::limits`].
    pub fn reexec_args(&self, next: &Handover<'_>, limits: &[u64]) -> Vec<OsString> {
        let mut out: Vec<OsString> = vec!["emu".into(), "--reexec".into(), next.program.to_string().into()];
        if !limits.is_empty() {
            let list: Vec<String> = limits.iter().map(u64::to_string).collect();
            out.extend(["--reexec-limits".into(), list.join(",").into()]);
        }
        if let Some(personality) = next.personality {
            out.extend(["--reexec-personality".into(), personality.to_string().into()]);
        }
        if let Some(fd) = next.seccomp {
            out.extend(["--reexec-seccomp".into(), fd.to_string().into()]);
        }
        if let Some(strict) = next.strict {
            out.extend(["--reexec-strict".into(), strict.to_option()]);
        }
        if let Some(fd) = next.log {
            out.extend(["--reexec-log".into(), fd.to_string().into()]);
        }
        if let Some((store, letter)) = next.family {
            out.extend(["--reexec-family".into(), format!("{store},{letter}").into()]);
        }
        let mut option = |name: &str, value: Option<&OsStr>| {
            out.push(name.into());
            out.extend(value.map(OsStr::to_os_string));
        };
        if let Some(dir) = &self.sysroot {
            option("-L", Some(dir.as_os_str()));
        }
        if let Some(size) = self.stack_size {
            option("-s", Some(OsStr::new(&size.to_string())));
        }
        option("--cpu", Some(OsStr::new(&self.cpu)));
        if !self.log.is_empty() {
            option("-d", Some(OsStr::new(&self.log.to_list())));
        }
        if let Some(file) = &self.log_file
            && next.log.is_none()
        {
            option("-D", Some(file.as_os_str()));
        }
        if let Some(times) = self.interpret {
            option("--interpret", Some(OsStr::new(&times.to_string())));
        }
        if !self.host_without.is_empty() {
            option("--host-without", Some(OsStr::new(&self.host_without.join(","))));
        }
        let flags = [
            (self.strace && !self.strace_times, "--strace"),
            (self.strace_times, "--strace-times"),
            (self.stats, "--stats"),
            (!self.aslr, "--no-aslr"),
            (self.strict_fp, "--strict-fp"),
            (self.one_insn_per_block, "--one-insn-per-block"),
            (self.based, "--based"),
            (!self.confined, "--unconfined"),
            (self.allow_setuid, "--allow-setuid"),
            (!self.sharing, "--no-share"),
        ];
        for (_, name) in flags.iter().filter(|f| f.0) {
            option(name, None);
        }
        out.push("-0".into());
        out.push(next.argv.first().cloned().unwrap_or_default());
        out.push("--".into());
        out.push(next.name.to_os_string());
        out.extend(next.argv.iter().skip(1).cloned());
        out
    }

    /// The guest's argv.
    pub fn argv(&self) -> Vec<OsString> {
        let first = self.argv0.as_ref().unwrap_or(&self.program).clone();
        std::iter::once(first).chain(self.args.iter().cloned()).collect()
    }

    /// The guest's environment as `NAME=VALUE` byte strings: `host`'s (in its order), edited.
    pub fn environment(&self, host: impl IntoIterator<Item = (OsString, OsString)>) -> Vec<Vec<u8>> {
        let mut vars: Vec<(OsString, OsString)> = match self.clear_env {
            true => Vec::new(),
            false => host.into_iter().collect(),
        };
        for edit in &self.env {
            match edit {
                EnvEdit::Set(name, value) => match vars.iter_mut().find(|v| v.0 == *name) {
                    Some(var) => var.1 = value.clone(),
                    None => vars.push((name.clone(), value.clone())),
                },
                EnvEdit::Unset(name) => vars.retain(|v| v.0 != *name),
            }
        }
        let join = |(name, value): (OsString, OsString)| [name.into_vec(), value.into_vec()].join(&b'=');
        vars.into_iter().map(join).collect()
    }
}

fn indexed<'m>(matches: &'m clap::ArgMatches, id: &str) -> impl Iterator<Item = usize> + use<'m> {
    matches.indices_of(id).into_iter().flatten()
}

fn usage(text: String) -> Stop {
    Stop {
        text,
        status: EXIT_USAGE,
    }
}

/// Help and version stay whole; of an error the first line is kept, so that one line reaches the user.
fn stop(error: clap::Error) -> Stop {
    let text = error.to_string();
    if !error.use_stderr() {
        return Stop { text, status: 0 };
    }
    let paragraph = text.split("\n\n").next().unwrap_or("");
    let line = paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
    let line = line.strip_prefix("error: ").unwrap_or(&line);
    usage(format!("{line} (see emu --help)"))
}

/// Why a program could not be started. Displays as one line without the leading `emu: `.
#[derive(thiserror::Error, Debug)]
pub enum LaunchError {
    #[error("{0}: command not found in PATH")]
    NotInPath(String),
    #[error("{0}: no such file or directory")]
    NoSuchFile(String),
    #[error("{0}: is a directory")]
    IsDirectory(String),
    #[error("{0}: not a regular file")]
    NotRegular(String),
    #[error("{0}: permission denied")]
    Permission(String),
    #[error("{0}: {1}")]
    Io(String, std::io::Error),
}

impl LaunchError {
    /// The exit status a POSIX shell gives for the same failure.
    pub fn status(&self) -> i32 {
        match self {
            LaunchError::NotInPath(_) | LaunchError::NoSuchFile(_) => EXIT_NOT_FOUND,
            _ => EXIT_CANNOT_RUN,
        }
    }
}

/// A program found: the path as the guest knows it and where it is on the host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    pub guest: PathBuf,
    pub host: PathBuf,
}

/// Finds `program`: as it is when it has a slash, else through `path` (the guest's PATH; an empty element is the
/// current directory). `resolve` maps a guest path to the host's (sysroot first).
pub fn find_program(
    program: &OsStr,
    path: &OsStr,
    resolve: &dyn Fn(&Path) -> PathBuf,
) -> Result<Found, LaunchError> {
    // . and .. are in every directory, and none of PATH's is meant.
    if program.as_bytes().contains(&b'/') || program == "." || program == ".." {
        let guest = PathBuf::from(program);
        let host = resolve(&guest);
        return check_executable(&host, &guest).map(|()| Found { guest, host });
    }
    let mut first_error = None;
    for dir in path
        .as_bytes()
        .split(|&b| b == b':')
        .filter(|_| !program.is_empty())
    {
        let dir = if dir.is_empty() {
            OsStr::new(".")
        } else {
            OsStr::from_bytes(dir)
        };
        let guest = Path::new(dir).join(program);
        let host = resolve(&guest);
        match check_executable(&host, &guest) {
            Ok(()) => return Ok(Found { guest, host }),
            Err(LaunchError::NoSuchFile(_)) => {}
            Err(error) => {
                first_error.get_or_insert(error);
            }
        }
    }
    // As a shell: a later directory may still hold a program that runs, but "denied" is the better last word.
    Err(first_error.unwrap_or_else(|| LaunchError::NotInPath(program.display().to_string())))
}

/// A regular file that this process may execute.
fn check_executable(host: &Path, guest: &Path) -> Result<(), LaunchError> {
    let name = guest.display().to_string();
    let meta = match std::fs::metadata(host) {
        Ok(meta) => meta,
        Err(error) => {
            return Err(match error.raw_os_error() {
                Some(libc::ENOENT | libc::ENOTDIR) => LaunchError::NoSuchFile(name),
                Some(libc::EACCES) => LaunchError::Permission(name),
                _ => LaunchError::Io(name, error),
            });
        }
    };
    if meta.is_dir() {
        return Err(LaunchError::IsDirectory(name));
    }
    if !meta.is_file() {
        return Err(LaunchError::NotRegular(name));
    }
    let Ok(c_path) = std::ffi::CString::new(host.as_os_str().as_bytes()) else {
        return Err(LaunchError::NoSuchFile(name));
    };
    // SAFETY: `c_path` is NUL-terminated and lives through the call; faccessat changes nothing.
    let denied =
        unsafe { libc::faccessat(libc::AT_FDCWD, c_path.as_ptr(), libc::X_OK, libc::AT_EACCESS) } != 0;
    if denied {
        Err(LaunchError::Permission(name))
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
