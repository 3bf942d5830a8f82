//! Options of confined runs: `--root` and `--confine` with the words of bubblewrap and Docker, or a profile file.

use super::{EnvEdit, Stop, usage};
use crate::confine::profile::{Mount, Net, Policy, Rlimit, parse_size};
use clap::{ArgAction, ArgMatches, Args, ValueEnum};
use std::ffi::OsString;
use std::path::PathBuf;

/// `--net`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum NetOption {
    None,
    Host,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Confined runs (with --root, --confine or --profile)")]
pub struct ConfinementOptions {
    /// Run in DIR as root, in namespaces of its own, without privileges and network
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// The same in an empty root that holds PROGRAM, -L's directory, and what is put into it
    #[arg(long, conflicts_with = "root")]
    confine: bool,
    /// Take the policy from a TOML file; options add to it
    #[arg(long, value_name = "FILE")]
    profile: Option<PathBuf>,
    /// Put the host's SRC at DST in the root, writable
    #[arg(long, num_args = 2, value_names = ["SRC", "DST"], action = ArgAction::Append)]
    bind: Vec<PathBuf>,
    /// The same, read-only
    #[arg(long, num_args = 2, value_names = ["SRC", "DST"], action = ArgAction::Append)]
    ro_bind: Vec<PathBuf>,
    /// The same, with changes kept in memory and lost at the end; DST may be /
    #[arg(long, num_args = 2, value_names = ["SRC", "DST"], action = ArgAction::Append)]
    overlay: Vec<PathBuf>,
    /// An empty file system in memory at DST
    #[arg(long, value_name = "DST", action = ArgAction::Append)]
    tmpfs: Vec<PathBuf>,
    /// A /dev at DST besides the one that is there anyway
    #[arg(long, value_name = "DST", action = ArgAction::Append)]
    dev: Vec<PathBuf>,
    /// A /proc at DST besides the one that is there anyway
    #[arg(long, value_name = "DST", action = ArgAction::Append)]
    proc: Vec<PathBuf>,
    /// Start in DIR (default: /)
    #[arg(long, value_name = "DIR")]
    chdir: Option<PathBuf>,
    /// The user's id inside (default: the caller's)
    #[arg(long, value_name = "N")]
    uid: Option<u32>,
    /// The group's id inside (default: the caller's)
    #[arg(long, value_name = "N")]
    gid: Option<u32>,
    /// The host name inside
    #[arg(long, value_name = "NAME")]
    hostname: Option<String>,
    /// The network: none, or the host's
    #[arg(long, value_name = "none|host")]
    net: Option<NetOption>,
    /// Keep a capability, within the guest's namespaces (repeatable)
    #[arg(long, value_name = "CAP", action = ArgAction::Append, value_parser = crate::confine::capability)]
    cap_add: Vec<u8>,
    /// Memory of all processes together
    #[arg(long, value_name = "BYTES", value_parser = parse_size)]
    memory: Option<u64>,
    /// Processes and threads
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pids: Option<u64>,
    /// Processor time, in processors
    #[arg(long, value_name = "N")]
    cpus: Option<f64>,
    /// A resource limit of each process (repeatable)
    #[arg(long, value_name = "NAME=SOFT[:HARD]", action = ArgAction::Append, value_parser = Rlimit::parse)]
    rlimit: Vec<Rlimit>,
    /// End the run after so many seconds, with status 124
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<f64>,
    /// End the run when emu's caller ends
    #[arg(long)]
    die_with_parent: bool,
    /// Run in a terminal session of its own
    #[arg(long)]
    new_session: bool,
    /// Put an init before the program: process 1 that reaps orphans and passes signals on
    #[arg(long)]
    init: bool,
    /// Let x86-64 programs of the root run, natively, in the same confinement
    #[arg(long)]
    allow_native: bool,
    /// Leave the caller's descriptors 3 to N + 2 open besides the standard ones
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(0..=1000))]
    preserve_fds: Option<u16>,
    /// Go on without limits that cannot be enforced here
    #[arg(long)]
    best_effort: bool,
}

impl ConfinementOptions {
    /// The policy, if the run is to be a confined one; `env` gets what a profile sets.
    pub fn policy(self, matches: &ArgMatches, env: &mut Vec<EnvEdit>) -> Result<Option<Policy>, Stop> {
        let mut policy = match &self.profile {
            None => Policy::default(),
            Some(file) => {
                let name = file.display();
                let text =
                    std::fs::read_to_string(file).map_err(|e| usage(format!("--profile {name}: {e}")))?;
                Policy::from_toml(&text).map_err(|e| usage(format!("--profile {name}: {e}")))?
            }
        };
        if self.root.is_none() && !self.confine && self.profile.is_none() {
            return match self.needs_a_root(matches) {
                Some(option) => Err(usage(format!(
                    "--{option} needs a confined run: --root DIR, --confine or --profile FILE"
                ))),
                None => Ok(None),
            };
        }
        for (name, value) in std::mem::take(&mut policy.env).into_iter().rev() {
            // The command line comes after the profile.
            env.insert(0, EnvEdit::Set(name.into(), value.into()));
        }
        policy.root = match self.confine {
            true => None,
            false => self.root.clone().or(policy.root.take()),
        };
        policy.mounts.extend(self.mounts(matches));
        policy.chdir = self.chdir.or(policy.chdir);
        policy.uid = self.uid.or(policy.uid);
        policy.gid = self.gid.or(policy.gid);
        policy.hostname = self.hostname.or(policy.hostname);
        if let Some(net) = self.net {
            policy.net = match net {
                NetOption::None => Net::None,
                NetOption::Host => Net::Host,
            };
        }
        policy.cap_add.extend(self.cap_add);
        policy.memory = self.memory.or(policy.memory);
        policy.pids = self.pids.or(policy.pids);
        policy.cpus = self.cpus.or(policy.cpus);
        policy.rlimit.extend(self.rlimit);
        policy.timeout = self.timeout.or(policy.timeout);
        policy.die_with_parent |= self.die_with_parent;
        policy.new_session |= self.new_session;
        policy.init |= self.init;
        policy.allow_native |= self.allow_native;
        policy.preserve_fds = self.preserve_fds.unwrap_or(policy.preserve_fds);
        policy.best_effort |= self.best_effort;
        policy.check().map_err(usage)?;
        Ok(Some(policy))
    }

    /// The first option given that means nothing without namespaces.
    fn needs_a_root(&self, matches: &ArgMatches) -> Option<&'static str> {
        [
            "bind",
            "ro_bind",
            "overlay",
            "tmpfs",
            "dev",
            "proc",
            "chdir",
            "uid",
            "gid",
            "hostname",
            "net",
            "cap_add",
            "memory",
            "pids",
            "cpus",
            "rlimit",
            "timeout",
            "die_with_parent",
            "new_session",
            "init",
            "allow_native",
            "best_effort",
            "preserve_fds",
        ]
        .into_iter()
        .find(|id| matches.value_source(id) == Some(clap::parser::ValueSource::CommandLine))
        .map(|id| match id {
            "ro_bind" => "ro-bind",
            "cap_add" => "cap-add",
            "die_with_parent" => "die-with-parent",
            "new_session" => "new-session",
            "allow_native" => "allow-native",
            "best_effort" => "best-effort",
            "preserve_fds" => "preserve-fds",
            other => other,
        })
    }

    /// Mounts in the order of the command line.
    fn mounts(&self, matches: &ArgMatches) -> Vec<Mount> {
        let mut all: Vec<(usize, Mount)> = Vec::new();
        let mut pairs = |id: &str, values: &[PathBuf], make: fn(PathBuf, PathBuf) -> Mount| {
            let places = super::indexed(matches, id).step_by(2);
            for (at, pair) in places.zip(values.chunks_exact(2)) {
                all.push((at, make(pair[0].clone(), pair[1].clone())));
            }
        };
        pairs("bind", &self.bind, Mount::Bind);
        pairs("ro_bind", &self.ro_bind, Mount::RoBind);
        pairs("overlay", &self.overlay, Mount::Overlay);
        let mut singles = |id: &str, values: &[PathBuf], make: fn(PathBuf) -> Mount| {
            for (at, value) in super::indexed(matches, id).zip(values) {
                all.push((at, make(value.clone())));
            }
        };
        singles("tmpfs", &self.tmpfs, Mount::Tmpfs);
        singles("dev", &self.dev, Mount::Dev);
        singles("proc", &self.proc, Mount::Proc);
        all.sort_by_key(|m| m.0);
        all.into_iter().map(|m| m.1).collect()
    }
}

/// What a guest's execve hands to the next `emu` about a strict policy: the arena's address and length, the capabilities
/// that were added, and whether x86-64 programs may run.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Inherited {
    pub start: u64,
    pub len: u64,
    pub cap_add: Vec<u8>,
    pub allow_native: bool,
}

impl Inherited {
    pub fn to_option(&self) -> OsString {
        let mut text = format!("{},{},{}", self.start, self.len, u8::from(self.allow_native));
        for number in &self.cap_add {
            text.push_str(&format!(",{number}"));
        }
        text.into()
    }

    pub fn parse(text: &str) -> Result<Inherited, String> {
        let numbers: Option<Vec<u64>> = text.split(',').map(|n| n.parse().ok()).collect();
        match numbers.as_deref() {
            Some([start, len, native, caps @ ..]) => Ok(Inherited {
                start: *start,
                len: *len,
                cap_add: caps.iter().map(|&n| n as u8 & 63).collect(),
                allow_native: *native != 0,
            }),
            _ => Err("three numbers or more".into()),
        }
    }
}
