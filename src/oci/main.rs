//! `emu-oci`: an OCI run-time for containers of ARM programs, with runc's command line.

mod causes;
mod commands;
mod devices;
mod emulator;
mod executor;
mod report;
mod resources;
mod seccomp;
mod state;
mod wait;

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::process::exit;

/// Runs containers of ARM programs; each program of a container is run by emu.
#[derive(Parser, Debug)]
#[command(name = "emu-oci", version, disable_help_subcommand = true)]
struct Options {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What applies to all commands.
#[derive(Args, Debug)]
pub struct Global {
    /// Directory of the containers' state [default: /run/emu-oci, or below XDG_RUNTIME_DIR]
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Also write errors to FILE
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// How to write them
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    log_format: LogFormat,
    /// Accepted; there is no more to tell
    #[arg(long)]
    debug: bool,
    /// Have systemd make the control groups
    #[arg(long)]
    systemd_cgroup: bool,
    /// Accepted for callers that say so; rights decide
    #[arg(long, value_name = "BOOL", hide = true)]
    rootless: Option<String>,
    /// The emulator [default: emu in the directory of emu-oci]
    #[arg(long, value_name = "FILE")]
    emu: Option<PathBuf>,
}

/// The form of lines in `--log`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Make a container, with its process waiting for start
    Create(Create),
    /// Let a container's process go
    Start { id: String },
    /// Create and start a container
    Run {
        #[command(flatten)]
        create: Create,
        /// Do not wait for the container's end
        #[arg(short, long)]
        detach: bool,
        /// Keep the container's state after its end
        #[arg(long)]
        keep: bool,
        #[arg(long, hide = true)]
        no_subreaper: bool,
    },
    /// Run another process in a container
    Exec(Box<Exec>),
    /// Print a container's state as JSON
    State { id: String },
    /// Send a signal to a container's first process
    Kill {
        /// To all its processes
        #[arg(short, long)]
        all: bool,
        id: String,
        /// Name or number
        #[arg(default_value = "TERM")]
        signal: String,
    },
    /// Remove a stopped container
    Delete {
        /// Kill it first; no error if there is none
        #[arg(short, long)]
        force: bool,
        id: String,
    },
    /// List containers
    List {
        #[arg(short, long, default_value = "table")]
        format: Format,
        /// Identifiers only
        #[arg(short, long)]
        quiet: bool,
    },
    /// List a container's processes
    Ps {
        #[arg(short, long, default_value = "table")]
        format: Format,
        id: String,
        /// Options for ps [default: -ef]
        #[arg(allow_hyphen_values = true, trailing_var_arg = true)]
        options: Vec<String>,
    },
    /// Freeze a container's processes
    Pause { id: String },
    /// Let them go on
    Resume { id: String },
    /// Change a container's limits
    Update {
        #[command(flatten)]
        limits: Box<resources::Limits>,
        id: String,
    },
    /// Print what this run-time can do as JSON
    Features,
    /// Write an example config.json
    Spec {
        #[arg(short, long, value_name = "DIR", default_value = ".")]
        bundle: PathBuf,
        /// For a caller without privileges
        #[arg(long)]
        rootless: bool,
    },
}

/// A table or JSON.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Format {
    Table,
    Json,
}

/// Options of `create`, which `run` has too.
#[derive(Args, Debug)]
pub struct Create {
    /// Directory with config.json
    #[arg(short, long, value_name = "DIR", default_value = ".")]
    bundle: PathBuf,
    /// Socket that the terminal's descriptor is sent to
    #[arg(long, value_name = "SOCKET")]
    console_socket: Option<PathBuf>,
    /// Write the process's number to FILE
    #[arg(long, value_name = "FILE")]
    pid_file: Option<PathBuf>,
    /// chroot instead of pivot_root, for roots on an initial ramdisk
    #[arg(long)]
    no_pivot: bool,
    #[arg(long, hide = true)]
    no_new_keyring: bool,
    /// Pass N descriptors behind standard error
    #[arg(long, value_name = "N", default_value_t = 0)]
    preserve_fds: u16,
    id: String,
}

/// Options of `exec`.
#[derive(Args, Debug)]
pub struct Exec {
    /// The process as in config.json; the options that describe it are then without effect
    #[arg(short, long, value_name = "FILE")]
    process: Option<PathBuf>,
    #[arg(long, value_name = "SOCKET")]
    console_socket: Option<PathBuf>,
    #[arg(long, value_name = "FILE")]
    pid_file: Option<PathBuf>,
    /// Do not wait for its end
    #[arg(short, long)]
    detach: bool,
    /// Give it a terminal
    #[arg(short, long)]
    tty: bool,
    #[arg(long, value_name = "DIR")]
    cwd: Option<PathBuf>,
    #[arg(short, long, value_name = "NAME=VALUE")]
    env: Vec<String>,
    #[arg(short, long, value_name = "UID[:GID]")]
    user: Option<String>,
    #[arg(short = 'g', long, value_name = "GID")]
    additional_gids: Vec<u32>,
    /// Add a capability
    #[arg(short, long, value_name = "NAME")]
    cap: Vec<String>,
    #[arg(long)]
    no_new_privs: bool,
    #[arg(long, value_name = "NAME")]
    apparmor: Option<String>,
    #[arg(long, value_name = "LABEL")]
    process_label: Option<String>,
    #[arg(long, value_name = "N", default_value_t = 0)]
    preserve_fds: u16,
    /// Below the container's control group
    #[arg(long, value_name = "PATH")]
    cgroup: Option<String>,
    #[arg(long)]
    ignore_paused: bool,
    id: String,
    #[arg(allow_hyphen_values = true, trailing_var_arg = true)]
    command: Vec<String>,
}

fn main() {
    report::one_line_panics();
    let options = match Options::try_parse() {
        Ok(options) => options,
        Err(error) if !error.use_stderr() => error.exit(),
        Err(error) => {
            let text = error.to_string();
            let first = text.lines().next().unwrap_or("").trim_start_matches("error: ");
            report::line(&format!("{first} (see emu-oci --help)"));
            exit(1)
        }
    };
    let global = options.global;
    match run(&global, options.command) {
        Ok(status) => exit(status),
        Err(error) => {
            report::error(&global, &error);
            exit(1)
        }
    }
}

fn run(global: &Global, command: Command) -> Result<i32, String> {
    match command {
        Command::Create(create) => commands::create(global, &create).map(|_| 0),
        Command::Start { id } => commands::start(global, &id),
        Command::Run {
            create, detach, keep, ..
        } => commands::run(global, &create, detach, keep),
        Command::Exec(exec) => commands::exec(global, &exec),
        Command::State { id } => commands::state(global, &id),
        Command::Kill { all, id, signal } => commands::kill(global, &id, &signal, all),
        Command::Delete { force, id } => commands::delete(global, &id, force),
        Command::List { format, quiet } => commands::list(global, format, quiet),
        Command::Ps { format, id, options } => commands::ps(global, &id, format, &options),
        Command::Pause { id } => commands::pause(global, &id),
        Command::Resume { id } => commands::resume(global, &id),
        Command::Update { limits, id } => resources::update(global, &id, &limits),
        Command::Features => commands::features(),
        Command::Spec { bundle, rootless } => commands::spec(&bundle, rootless),
    }
}
