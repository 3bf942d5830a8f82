//! Command line entry point: from options to a guest process that runs.

use emu::cache::arena::Place;
use emu::cli::confine::Inherited;
use emu::cli::entry::{Entry, is_qemu_name};
use emu::cli::{self, Config, EnvEdit, Found, Handover, Stop, qemu};
use emu::confine::limits::Limits;
use emu::confine::profile::{Mount, Policy};
use emu::confine::strict::ExecutableRange;
use emu::confine::{namespaces, print};
use emu::cpu::model::Model;
use emu::diag::{log, memory, stats};
use emu::exec::family::{self, HandedOver};
use emu::exec::{self, ClockFunction, ExecConfig, HostFeatures};
use emu::linux::process::{Image, Process, Settings};
use emu::load::{self, Aslr, Bases, Kind, LoadConfig, LoadError, Problem};
use emu::mem::{Space, SpaceConfig, WindowPlace};
use emu::{confine, linux};
use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};

/// Interpreters of interpreters that Linux follows for scripts.
const MAX_SCRIPTS: usize = 5;

#[global_allocator]
static MEMORY: memory::Allocator = memory::Allocator;

fn main() {
    let entry = Entry::of_this_process();
    let config = match command_line(entry) {
        Ok(config) => config,
        Err(stop) if stop.status == 0 => {
            let mut out = std::io::stdout().lock();
            if let Err(error) = write!(out, "{}", stop.text).and_then(|()| out.flush()) {
                fail(&format!("standard output: {error}"), cli::EXIT_USAGE);
            }
            std::process::exit(0);
        }
        Err(stop) => fail(&stop.text, stop.status),
    };
    // At once: the letter is not to be there longer than it must.
    let handed_over = config.family.map(|(store, letter)| HandedOver { store, letter });
    let inherited = handed_over.and_then(|from| family::Inherited::take(from).ok());
    let mut items = config.log;
    items.set(log::Items::STRACE, config.strace);
    if config.strace_times {
        linux::strace::with_times();
    }
    if let Some(fd) = config.log_fd {
        log::init_open(items, fd);
    } else if let Err(error) = log::init(items, config.log_file.as_deref(), config.reexec.is_some()) {
        let file = config.log_file.as_deref().unwrap_or(Path::new("-"));
        fail(&format!("-D {}: {error}", file.display()), cli::EXIT_USAGE);
    }
    stats::set_count_execution(config.stats);
    linux::exec::open_self(entry.is_registered(), config.reexec.is_some());
    let mut config = config;
    // Whoever registered `emu` with the C flag wants set-id programs to have their privileges.
    config.allow_setuid |= entry.is_registered() && keeps_credentials();
    if config.print_policy {
        print_policy(&config);
    }
    if config.strict.is_some() {
        namespaces::still_first();
    }
    let data_limit = match config.policy.take() {
        Some(policy) => enter(&mut config, policy),
        None => None,
    };
    let Some(model) = Model::by_name(&config.cpu) else {
        let known: Vec<_> = Model::names().collect();
        fail(
            &format!("--cpu {}: there are {}", config.cpu, known.join(", ")),
            cli::EXIT_USAGE,
        );
    };
    let without = config.host_without.iter().map(String::as_str);
    let host = match HostFeatures::detect().without(without) {
        Ok(host) => host,
        Err(name) => fail(
            &format!(
                "--host-without {name}: there are {}",
                HostFeatures::NAMES.join(", ")
            ),
            cli::EXIT_USAGE,
        ),
    };
    run(config, entry, model, host, data_limit, inherited)
}

/// Whether the kernel's registration for ARM programs has the C flag: set-id programs get their privileges, under `emu`.
fn keeps_credentials() -> bool {
    emu::binfmt::registered().is_some_and(|(_, _, flags)| flags.contains('C'))
}

/// Before anything of the guest: into the namespaces of a confined run. Returns in the guest's first process, with the
/// limit on data that it is to keep.
fn enter(config: &mut Config, mut policy: Policy) -> Option<u64> {
    if policy.root.is_none() {
        bring_program(config, &mut policy);
    }
    let entered = Limits::new(&policy)
        .and_then(|limits| namespaces::enter(&policy, limits, linux::exec::private_fd(), log::private_fd()));
    let entered = match entered {
        Ok(entered) => entered,
        Err(error) => fail(&error.to_string(), cli::EXIT_USAGE),
    };
    config.strict = Some(Inherited {
        allow_native: policy.allow_native,
        cap_add: policy.cap_add.clone(),
        ..Inherited::default()
    });
    config.kept = policy
        .rlimit
        .iter()
        .map(|l| (l.resource, l.soft, l.hard))
        .collect();
    if entered.execute_again {
        execute_again(config, entered.data_limit);
    }
    entered.data_limit
}

/// Replaces this process by the emulator as nobody can change it (see `confine::own_program`), which then goes on from here.
fn execute_again(config: &Config, data_limit: Option<u64>) -> ! {
    let data = data_limit.map(|bytes| (libc::RLIMIT_DATA, bytes, bytes));
    let given: Vec<_> = config.kept.iter().copied().chain(data).collect();
    // SAFETY: this value only asks.
    let personality = u32::try_from(unsafe { libc::personality(0xffff_ffff) }).ok();
    let command = config.reexec_args(
        &Handover {
            program: -1,
            name: &config.program,
            argv: &config.argv(),
            personality: personality.filter(|&p| p != 0),
            seccomp: None,
            log: log::private_fd(),
            strict: config.strict.as_ref(),
            family: None,
        },
        &linux::proc_limits::limits_to_be(&given),
    );
    let error = linux::exec::replace_process(command, environment(config));
    fail(&format!("cannot execute emu again: {error}"), cli::EXIT_USAGE)
}

/// `--confine`: the program is found here and put into the empty root under its own name, with -L's directory.
fn bring_program(config: &mut Config, policy: &mut Policy) {
    let env = environment(config);
    let Found { host, .. } = match cli::find_program(&config.program, &search_path(&env), &|guest| {
        in_sysroot(config, guest)
    }) {
        Ok(found) => found,
        Err(error) => fail(&error.to_string(), error.status()),
    };
    let absolute = |path: &Path| match path.canonicalize() {
        Ok(path) => path,
        Err(error) => fail(&format!("{}: {error}", path.display()), cli::EXIT_CANNOT_RUN),
    };
    let program = absolute(&host);
    let mut first = Vec::new();
    if let Some(dir) = &mut config.sysroot {
        *dir = absolute(dir);
        first.push(Mount::RoBind(dir.clone(), dir.clone()));
    }
    if !first.iter().any(|m| program.starts_with(m.target())) {
        first.push(Mount::RoBind(program.clone(), program.clone()));
    }
    policy.mounts.splice(0..0, first);
    if config.argv0.is_none() {
        config.argv0 = Some(config.program.clone());
    }
    config.program = program.into_os_string();
}

/// `--print-policy`.
fn print_policy(config: &Config) -> ! {
    let calls = linux::table::host::host_calls();
    let text = match &config.policy {
        Some(policy) => match Limits::new(policy) {
            Ok(limits) => print::strict(policy, &limits, &calls, &config.program.to_string_lossy()),
            Err(error) => fail(&error.to_string(), cli::EXIT_USAGE),
        },
        None if config.confined => print::baseline(config.allow_setuid),
        None => "profile: none\n".to_string(),
    };
    let mut out = std::io::stdout().lock();
    let _ = write!(out, "{text}").and_then(|()| out.flush());
    std::process::exit(0)
}

/// Reads the command line as the one who wrote it meant it: the kernel for a registered machine's program, a tool that knows
/// qemu-user, or a person.
fn command_line(entry: Entry) -> Result<Config, Stop> {
    let args: Vec<OsString> = std::env::args_os().collect();
    let name = args.first().cloned().unwrap_or_default();
    // With privileges of the program's, its caller's environment decides nothing.
    let var = |name: &str| std::env::var_os(name).filter(|_| !entry.secure);
    let as_qemu = entry.is_registered() || is_qemu_name(&name);
    let args = match (entry.is_registered(), is_qemu_name(&name)) {
        (true, true) => entry.command_line(args, qemu::options_from_environment(&var)?),
        (true, false) => entry.command_line(args, Vec::new()),
        (false, true) => qemu::command_line(args, &var)?,
        (false, false) => match args.get(1).and_then(|word| word.to_str()) {
            Some("binfmt") => binfmt(&args[2..]),
            Some("doctor") if args.len() == 2 => doctor(),
            _ => args,
        },
    };
    let config = Config::parse(args, &var)?;
    if !as_qemu && config.reexec.is_none() && config.policy.is_none() {
        warn_of_missing_sysroot(&config, var("QEMU_LD_PREFIX"));
    }
    Ok(config)
}

/// A mistyped -L is told, as nothing is found there. One of the variable that is qemu-user's may be set for good and all, and is
/// passed over in silence, as qemu-user does with either.
fn warn_of_missing_sysroot(config: &Config, qemus: Option<OsString>) {
    let Some(dir) = config
        .sysroot
        .as_deref()
        .filter(|dir| qemus.as_deref() != Some(dir.as_os_str()))
    else {
        return;
    };
    let reason = match std::fs::metadata(dir) {
        Ok(meta) if meta.is_dir() => return,
        Ok(_) => "not a directory".to_string(),
        Err(error) => error.to_string(),
    };
    let _ = writeln!(
        std::io::stderr(),
        "emu: -L {}: {reason}; paths are the host's",
        dir.display()
    );
}

/// `emu binfmt`: does it and ends.
fn binfmt(args: &[OsString]) -> ! {
    match emu::binfmt::run(args.iter().cloned()) {
        Ok((text, status)) => {
            let mut out = std::io::stdout().lock();
            let _ = write!(out, "{text}").and_then(|()| out.flush());
            std::process::exit(status)
        }
        Err((text, status)) => fail(&text, status),
    }
}

/// `emu doctor`: reports and ends.
fn doctor() -> ! {
    let (text, runs) = emu::doctor::report();
    let mut out = std::io::stdout().lock();
    let _ = write!(out, "{text}").and_then(|()| out.flush());
    std::process::exit(i32::from(!runs))
}

/// A program that is ARM's, open, with the arguments it is to have.
struct Opened {
    file: File,
    /// As the guest knows it.
    path: PathBuf,
    argv: Vec<Vec<u8>>,
}

fn run(
    mut config: Config,
    entry: Entry,
    model: &'static Model,
    host: HostFeatures,
    data_limit: Option<u64>,
    inherited: Option<family::Inherited>,
) -> ! {
    let env = environment(&config);
    let program = match config.reexec.filter(|&fd| fd >= 0) {
        Some(fd) => Opened {
            file: linux::exec::take_program(fd),
            path: PathBuf::from(&config.program),
            argv: config.argv().into_iter().map(OsStringExt::into_vec).collect(),
        },
        None => match entry.program {
            Some(fd) => Opened {
                file: linux::exec::take_program(fd),
                path: PathBuf::from(&config.program),
                argv: config.argv().into_iter().map(OsStringExt::into_vec).collect(),
            },
            None => open(&config, &env),
        },
    };
    let exe = guest_exe(&config, &program);
    let image = load::Image {
        file: &program.file,
        path: &exe,
    };
    let prepared = match load::prepare(&image, config.sysroot.as_deref()) {
        Ok(prepared) => prepared,
        Err(error) => fail(&error.to_string(), error.exit_code()),
    };
    let space = SpaceConfig {
        place: match prepared.lowest() {
            _ if config.based => WindowPlace::Anywhere,
            Some(lowest) => WindowPlace::Identity { lowest },
            None => WindowPlace::default(),
        },
        ..SpaceConfig::default()
    };
    if let Err(error) = Space::init(&space) {
        fail(&error.to_string(), cli::EXIT_CANNOT_RUN);
    }
    linux::proc_limits::adopt_limits(&config.limits);
    if config.strict.is_some() {
        linux::proc_limits::set_strict();
        let data = data_limit.map(|bytes| (libc::RLIMIT_DATA, bytes, bytes));
        for (resource, soft, hard) in config.kept.iter().copied().chain(data) {
            linux::proc_limits::set_kept(resource, soft, hard);
        }
    }
    let c_strings = |strings: &[Vec<u8>]| -> Vec<CString> {
        // Arguments and variables came from C strings.
        strings
            .iter()
            .filter_map(|s| CString::new(s.as_slice()).ok())
            .collect()
    };
    let (argv, envp) = (c_strings(&program.argv), c_strings(&env));
    let execfn = CString::new(program.path.as_os_str().as_bytes()).unwrap_or_default();
    // Who is confined must not reach what others execute; nor may who has fewer rights than this program.
    let shares = config.sharing && config.strict.is_none() && !entry.secure;
    let store = inherited.filter(|_| shares);
    // execve keeps it; that of the first program is what the host's process was given (setarch).
    let personality = match (config.personality, config.reexec) {
        (Some(kept), _) => kept,
        (None, Some(_)) => 0,
        // SAFETY: this value only asks.
        (None, None) => u32::try_from(unsafe { libc::personality(0xffff_ffff) }).unwrap_or(0),
    };
    let aslr = match store.as_ref().and_then(|store| Bases::unpack(store.note())) {
        _ if !config.aslr || personality & libc::ADDR_NO_RANDOMIZE as u32 != 0 => Aslr::Off,
        Some(bases) => Aslr::As(bases),
        None => Aslr::Random,
    };
    let loaded = load::load(
        &image,
        prepared,
        &LoadConfig {
            argv: &argv,
            envp: &envp,
            model,
            stack_size: config.stack_size.map(|n| u32::try_from(n).unwrap_or(u32::MAX)),
            aslr,
            execfn: &execfn,
            secure: entry.secure,
            read_implies_exec: personality & libc::READ_IMPLIES_EXEC as u32 != 0,
        },
    );
    let start = match loaded {
        Ok(start) => start,
        Err(error) => fail(&error.to_string(), error.exit_code()),
    };
    drop(program.file);
    let exec = ExecConfig {
        soft_fp: config.strict_fp,
        one_insn: config.one_insn_per_block,
        // Single steps are for looking closely: every flag is right at every instruction.
        precise_flags: config.one_insn_per_block,
        unlinked: config.log.contains(log::Items::EXEC),
        // Who wants to see the code wants to see all of it.
        interpret: match config
            .log
            .intersects(log::Items::IN_ASM | log::Items::IR | log::Items::OUT_ASM)
        {
            true => 0,
            false => config.interpret.unwrap_or(exec::INTERPRET),
        },
        host,
        clocks: clock_functions(start.process.vdso),
        place: config.strict.as_mut().map(arena_place),
        ..ExecConfig::new(model)
    };
    let machine = exec::init(&exec)
        .map_err(|error| error.to_string())
        .and_then(|()| {
            exec::new_machine(start.pc, start.thumb, start.sp).map_err(|error| {
                format!(
                    "cannot make the first thread: {error}; raise the limits on memory (ulimit -v, ulimit -d)"
                )
            })
        });
    let machine = match machine {
        Ok(machine) => machine,
        Err(error) => fail(&error, cli::EXIT_CANNOT_RUN),
    };
    if let Err(error) = install_filter(&config) {
        fail(&error.to_string(), cli::EXIT_CANNOT_RUN);
    }
    let seccomp = match config.seccomp.map(linux::seccomp::adopt) {
        Some(None) => fail("--reexec-seccomp: no filters there", cli::EXIT_CANNOT_RUN),
        Some(Some(state)) => state,
        None => linux::seccomp::State::default(),
    };
    match store {
        Some(store) => store.join(),
        None if shares => family::allow(start.process.bases.pack()),
        None => {}
    }
    let image = Image {
        filename: program.path.into_os_string().into_vec(),
        ..Image::new(&start.process, program.argv, env)
    };
    let descriptors = descriptor_limit(&config);
    let settings: &'static Settings = Box::leak(Box::new(Settings {
        sysroot: config.sysroot.clone(),
        model,
        strace: config.strace,
        strict: config.strict.clone(),
        set_id_by_kernel: match config.allow_setuid {
            true => keeps_credentials,
            false => || false,
        },
        at_exit: if config.stats { report } else { || {} },
        reexec_args: Box::new(move |next| config.reexec_args(next, &linux::proc_limits::kept_limits())),
    }));
    let process = Process::new(settings, image, start.process.sigpage);
    linux::path::open_sysroot(process);
    if let Some((soft, hard)) = descriptors {
        confine::limits::limit_descriptors(soft, hard);
    }
    linux::run(process, machine, seccomp, personality)
}

/// Where the translator's arena is: the same for all processes of a confined run, so that one filter serves them.
fn arena_place(strict: &mut Inherited) -> Place {
    if strict.start == 0 {
        (strict.start, strict.len) = Place::draw();
    }
    Place::at(strict.start, strict.len)
}

/// The filter of the profile, on this process's one thread, before the guest's first instruction.
fn install_filter(config: &Config) -> Result<(), confine::ConfineError> {
    match &config.strict {
        Some(strict) if !strict.allow_native => {
            let calls = linux::table::host::host_calls();
            let numbers: Vec<_> = calls.iter().map(|call| call.1).collect();
            // The executable half of the arena.
            let arena = ExecutableRange {
                start: strict.start,
                len: strict.len,
            };
            confine::strict::install(&numbers, &strict.cap_add, arena)
        }
        _ if config.confined => confine::baseline(config.allow_setuid).map(|_| ()),
        _ => Ok(()),
    }
}

/// The clock functions of the vDSO at guest address `vdso`.
fn clock_functions(vdso: u32) -> Vec<ClockFunction> {
    let functions = load::vdso::FUNCTIONS.iter();
    let with_code = functions.filter_map(|f| {
        let code = load::vdso::IMAGE.get(f.offset as usize..)?.first_chunk()?;
        Some(ClockFunction {
            pc: vdso + f.offset,
            number: f.number,
            code: *code,
        })
    });
    with_code.collect()
}

/// What /proc/self/exe is to say: the file that was opened, links followed, as the guest's paths name it.
fn guest_exe(config: &Config, program: &Opened) -> PathBuf {
    let link = format!("/proc/self/fd/{}", program.file.as_raw_fd());
    let Ok(host) = std::fs::read_link(link) else {
        return program.path.clone();
    };
    let root = config.sysroot.as_ref().and_then(|root| root.canonicalize().ok());
    match root.as_ref().and_then(|root| host.strip_prefix(root).ok()) {
        Some(below) => Path::new("/").join(below),
        None => host,
    }
}

/// `--stats`, at the end of the process.
fn report() {
    let names = [
        "pending",
        "link",
        "lookup",
        "svc",
        "trap",
        "fpscr",
        "captured",
        "alignment",
    ];
    let _ = write!(std::io::stderr(), "{}", stats::report(&names));
}

/// The guest's environment: ours with the command line's edits; as it is after execve.
fn environment(config: &Config) -> Vec<Vec<u8>> {
    config.environment(std::env::vars_os())
}

/// Finds the program, follows scripts, executes what is the host's own.
fn open(config: &Config, env: &[Vec<u8>]) -> Opened {
    let path = search_path(env);
    let resolve = |guest: &Path| in_sysroot(config, guest);
    let Found { mut guest, mut host } = match cli::find_program(&config.program, &path, &resolve) {
        Ok(found) => found,
        Err(error) => fail(&error.to_string(), error.status()),
    };
    let mut argv: Vec<Vec<u8>> = config.argv().into_iter().map(OsStringExt::into_vec).collect();
    let first = guest.clone();
    for _ in 0..=MAX_SCRIPTS {
        let program = match load::open_program(&host) {
            Ok(program) => program,
            Err(error) => fail(&error.to_string(), error.exit_code()),
        };
        match program.kind {
            Kind::Script {
                interpreter,
                argument,
            } => {
                let script = guest.as_os_str().as_bytes().to_vec();
                let rest = argv.split_off(1.min(argv.len()));
                argv = std::iter::once(interpreter.clone())
                    .chain(argument)
                    .chain(std::iter::once(script))
                    .chain(rest)
                    .collect();
                guest = PathBuf::from(OsString::from_vec(interpreter));
                host = resolve(&guest);
            }
            Kind::Unknown => fail(
                &LoadError {
                    path: host,
                    problem: Problem::UnknownFormat,
                }
                .to_string(),
                cli::EXIT_CANNOT_RUN,
            ),
            Kind::X86_64 if config.strict.as_ref().is_some_and(|s| !s.allow_native) => fail(
                &format!(
                    "{}: an x86-64 program; --allow-native lets those of the root run",
                    guest.display()
                ),
                cli::EXIT_CANNOT_RUN,
            ),
            Kind::X86_64 if config.seccomp.is_some() => fail(
                &format!(
                    "{}: an x86-64 program, which a filter over ARM's calls cannot hold",
                    guest.display()
                ),
                cli::EXIT_CANNOT_RUN,
            ),
            Kind::X86_64 => execute_natively(config, &host, &argv, env),
            _ => {
                return Opened {
                    file: program.file,
                    path: first,
                    argv,
                };
            }
        }
    }
    fail(
        &format!("{}: too many interpreters of interpreters", guest.display()),
        cli::EXIT_CANNOT_RUN,
    )
}

fn search_path(env: &[Vec<u8>]) -> OsString {
    env.iter().find_map(|var| var.strip_prefix(b"PATH=")).map_or_else(
        || OsString::from("/usr/local/bin:/usr/bin:/bin"),
        |p| OsString::from_vec(p.to_vec()),
    )
}

fn in_sysroot(config: &Config, guest: &Path) -> PathBuf {
    if let (Some(root), Ok(below)) = (&config.sysroot, guest.strip_prefix("/")) {
        let inside = root.join(below);
        if inside.exists() {
            return inside;
        }
    }
    guest.to_path_buf()
}

fn execute_natively(config: &Config, host: &Path, argv: &[Vec<u8>], env: &[Vec<u8>]) -> ! {
    if config.strict.is_some()
        && let Err(error) = install_filter(config)
    {
        fail(&error.to_string(), cli::EXIT_CANNOT_RUN);
    }
    if let Some((soft, hard)) = descriptor_limit(config) {
        confine::limits::limit_descriptors(soft, hard);
    }
    let mut command = std::process::Command::new(host);
    if config.clear_env {
        command.env_clear();
    }
    command
        .arg0(OsStr::from_bytes(&argv[0]))
        .args(argv[1..].iter().map(|a| OsStr::from_bytes(a)));
    for edit in &config.env {
        match edit {
            EnvEdit::Set(name, value) => command.env(name, value),
            EnvEdit::Unset(name) => command.env_remove(name),
        };
    }
    let _ = env;
    let error = command.exec();
    fail(&format!("{}: {error}", host.display()), cli::EXIT_CANNOT_RUN)
}

/// `--rlimit nofile` of a confined run: soft and hard.
fn descriptor_limit(config: &Config) -> Option<(u64, u64)> {
    let mut given = config.kept.iter().rev();
    let here = given.find(|l| l.0 == libc::RLIMIT_NOFILE).map(|l| (l.1, l.2));
    here.or_else(|| linux::proc_limits::descriptors_to_be(&config.limits))
}

/// One line on standard error, then the exit status.
fn fail(text: &str, status: i32) -> ! {
    // Where nobody can be told, the status remains.
    let _ = writeln!(std::io::stderr(), "emu: {text}");
    std::process::exit(status)
}
