//! `emu binfmt`: the kernel's table of interpreters for programs of other machines (binfmt_misc).
//!
//! Source: Documentation/admin-guide/binfmt-misc.rst and fs/binfmt_misc.c. From Linux 6.7 each user namespace may have a table
//! of its own; `install` then works in it without privileges outside.

use clap::{Args, Parser, Subcommand};
use std::ffi::{CString, OsString};
use std::io;
use std::path::{Path, PathBuf};

const TABLE: &str = "/proc/sys/fs/binfmt_misc";
/// The name that container tools look for.
const NAME: &str = "qemu-arm";
/// Length of a registration that the kernel takes (MAX_REGISTER_LENGTH).
const MAX_LINE: usize = 1920;

/// The first 20 bytes of 32-bit little-endian ARM programs: class, data, version; any OS ABI; type EXEC or DYN; machine 40.
#[rustfmt::skip]
const MAGIC: [u8; 20] = [
    0x7f, b'E', b'L', b'F', 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 40, 0,
];
#[rustfmt::skip]
const MASK: [u8; 20] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe, 0xff, 0xff, 0xff,
];

#[derive(Parser, Debug)]
#[command(
    name = "emu binfmt",
    about = "Registers emu with the kernel for ARM programs",
    arg_required_else_help = false
)]
struct Options {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand, Debug)]
enum Action {
    /// Register with the kernel, and with --persist for every boot
    Install(Install),
    /// Take the registration back, and its files
    Remove(Remove),
    /// Show what runs ARM programs; status 1 if it is not this emu
    Status(Status),
}

#[derive(Args, Debug)]
struct Which {
    /// The machine whose programs are meant
    #[arg(long, default_value = "arm", value_parser = ["arm"])]
    arch: String,
    /// The registration's name
    #[arg(long, default_value = NAME, value_parser = parse_name)]
    name: String,
}

#[derive(Args, Debug)]
struct Install {
    #[command(flatten)]
    which: Which,
    /// P keep argv[0], O open the program for emu, C take set-id programs' privileges (a decision about security), F works in chroots and containers
    #[arg(long, default_value = "POF", value_parser = parse_flags)]
    flags: String,
    /// The program to register (default: this one)
    #[arg(long, value_name = "PATH")]
    interpreter: Option<PathBuf>,
    /// Replace another program's registration of that name
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    files: Files,
    /// Only say what would be written, and where
    #[arg(long)]
    dry_run: bool,
}

#[derive(Args, Debug)]
struct Remove {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    files: Files,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
}

#[derive(Args, Debug)]
struct Status {
    #[command(flatten)]
    which: Which,
}

#[derive(Args, Debug)]
struct Files {
    /// Also the files that systemd (/etc/binfmt.d) and Debian's binfmt-support (/usr/share/binfmts) read
    #[arg(long)]
    persist: bool,
    /// Write these files below DIR and leave the kernel alone, for packages
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
}

/// A name can be a file's.
fn parse_name(text: &str) -> Result<String, String> {
    let bad = text.is_empty() || text.starts_with('.') || text.contains(['/', ':', '\n']);
    let taken = matches!(text, "register" | "status");
    if bad || taken {
        return Err("want a word without / and :".into());
    }
    Ok(text.into())
}

fn parse_flags(text: &str) -> Result<String, String> {
    match text.chars().find(|c| !"POCF".contains(*c)) {
        Some(c) => Err(format!("there is no flag {c}; there are P, O, C and F")),
        None => Ok(text.into()),
    }
}

/// Why something could not be done. One line.
#[derive(thiserror::Error, Debug)]
enum BinfmtError {
    #[error(
        "binfmt_misc is not mounted at {TABLE} and cannot be ({0}); as root: mount -t binfmt_misc binfmt_misc {TABLE}"
    )]
    NoTable(io::Error),
    #[error("{}: {error}", path.display())]
    File { path: PathBuf, error: io::Error },
    #[error(
        "{name} is registered for {interpreter} already; --replace takes it over, --name registers beside it"
    )]
    Taken { name: String, interpreter: String },
    #[error("{name} belongs to {interpreter}, not to emu; --name says which registration is meant")]
    Foreign { name: String, interpreter: String },
    #[error(
        "the path of the interpreter must be absolute, without : and line ends, and at most 127 bytes long: {0}"
    )]
    Interpreter(String),
    #[error("the kernel refuses the registration ({0}); see emu doctor")]
    Refused(io::Error),
}

/// A registration.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Registration {
    name: String,
    interpreter: String,
    flags: String,
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("\\x{b:02x}")).collect()
}

impl Registration {
    fn new(name: &str, interpreter: &Path, flags: &str) -> Result<Registration, BinfmtError> {
        let text = interpreter.to_str().unwrap_or_default();
        // BINPRM_BUF_SIZE limits what scripts can name, and the register line has its own limit.
        if !text.starts_with('/') || text.contains([':', '\n']) || text.len() > 127 {
            return Err(BinfmtError::Interpreter(interpreter.display().to_string()));
        }
        Ok(Registration {
            name: name.into(),
            interpreter: text.into(),
            flags: flags.into(),
        })
    }

    /// The line that the kernel's `register` file and binfmt.d take.
    fn line(&self) -> String {
        let line = format!(
            ":{}:M::{}:{}:{}:{}",
            self.name,
            hex(&MAGIC),
            hex(&MASK),
            self.interpreter,
            self.flags
        );
        debug_assert!(line.len() < MAX_LINE);
        line
    }

    /// The file that Debian's update-binfmts reads.
    fn debian(&self) -> String {
        let yes = |flag| if self.flags.contains(flag) { "yes" } else { "no" };
        format!(
            "package emu\ninterpreter {}\nmagic {}\noffset 0\nmask {}\ncredentials {}\npreserve {}\nfix_binary {}\n",
            self.interpreter,
            hex(&MAGIC),
            hex(&MASK),
            yes('C'),
            yes('P'),
            yes('F')
        )
    }
}

/// What the kernel's table says about a name.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Listed {
    enabled: bool,
    interpreter: String,
    flags: String,
    for_arm: bool,
}

impl Listed {
    /// Reads the text of an entry's file.
    fn parse(text: &str) -> Listed {
        let field = |name: &str| {
            text.lines()
                .find_map(|l| l.strip_prefix(name))
                .unwrap_or("")
                .trim()
                .to_string()
        };
        let plain = |bytes: &[u8]| -> String { bytes.iter().map(|b| format!("{b:02x}")).collect() };
        let magic = field("magic ");
        // Others write the OS ABI as a magic byte and leave bytes at the end out.
        let machine = plain(&MAGIC[16..19]);
        Listed {
            enabled: text.lines().next() == Some("enabled"),
            interpreter: field("interpreter "),
            flags: field("flags:"),
            for_arm: magic.starts_with("7f454c460101") && magic.get(32..38) == Some(&machine),
        }
    }

    fn read(name: &str) -> Option<Listed> {
        let text = std::fs::read_to_string(Path::new(TABLE).join(name)).ok()?;
        Some(Listed::parse(&text))
    }

    /// Whether it names this program, under whatever name.
    fn is_ours(&self, ours: &Path) -> bool {
        let theirs = Path::new(&self.interpreter);
        theirs == ours || theirs.canonicalize().is_ok_and(|theirs| theirs == ours)
    }
}

/// What the kernel's table says about ARM programs, for `emu doctor`: the registration's name, interpreter and flags.
pub fn registered() -> Option<(String, String, String)> {
    let mut found: Vec<_> = std::fs::read_dir(TABLE)
        .ok()?
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let listed = Listed::read(&name)?;
            (listed.enabled && listed.for_arm).then_some((name, listed.interpreter, listed.flags))
        })
        .collect();
    found.sort();
    found.into_iter().next()
}

/// Mounts the table if it is not there.
fn table() -> Result<(), BinfmtError> {
    if Path::new(TABLE).join("register").exists() {
        return Ok(());
    }
    let target = CString::new(TABLE).unwrap_or_default();
    // SAFETY: three NUL-terminated strings and no data.
    let result = unsafe {
        libc::mount(
            c"binfmt_misc".as_ptr(),
            target.as_ptr(),
            c"binfmt_misc".as_ptr(),
            0,
            std::ptr::null(),
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(BinfmtError::NoTable(io::Error::last_os_error()))
    }
}

fn write(path: &Path, text: &str) -> Result<(), BinfmtError> {
    std::fs::write(path, text).map_err(|error| BinfmtError::File {
        path: path.into(),
        error,
    })
}

/// The two files below `root` with what is to be in them.
fn files(root: &Path, registration: &Registration) -> [(PathBuf, String); 2] {
    let name = &registration.name;
    [
        (
            root.join(format!("etc/binfmt.d/{name}.conf")),
            registration.line() + "\n",
        ),
        (
            root.join(format!("usr/share/binfmts/{name}")),
            registration.debian(),
        ),
    ]
}

/// Directories that the system does not have are left out, unless a package is being made.
fn wanted(path: &Path, files: &Files) -> bool {
    files.root.is_some() || path.parent().is_some_and(Path::is_dir)
}

fn install(options: &Install, this: &Path, out: &mut String) -> Result<i32, BinfmtError> {
    let interpreter = options.interpreter.as_deref().unwrap_or(this);
    let registration = Registration::new(&options.which.name, interpreter, &options.flags)?;
    let register = Path::new(TABLE).join("register");
    if options.files.root.is_none() {
        if options.dry_run {
            *out += &format!("{}: {}\n", register.display(), registration.line());
        } else {
            table()?;
            put(&registration, options.replace, this)?;
            *out += &format!(
                "{}: ARM programs run with {} (flags {})\n",
                registration.name, registration.interpreter, registration.flags
            );
        }
    }
    if options.files.persist || options.files.root.is_some() {
        let root = options.files.root.as_deref().unwrap_or(Path::new("/"));
        for (path, text) in files(root, &registration) {
            if !wanted(&path, &options.files) {
                continue;
            }
            if options.dry_run {
                *out += &format!("{}:\n{text}", path.display());
                continue;
            }
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent).map_err(|error| BinfmtError::File {
                    path: parent.into(),
                    error,
                })?;
            }
            write(&path, &text)?;
            *out += &format!("wrote {}\n", path.display());
        }
    }
    Ok(0)
}

/// Registers with the kernel; an entry of that name goes first, if it is ours or may be replaced.
fn put(registration: &Registration, replace: bool, this: &Path) -> Result<(), BinfmtError> {
    if let Some(listed) = Listed::read(&registration.name) {
        let same = listed.interpreter == registration.interpreter || listed.is_ours(this);
        if !same && !replace {
            return Err(BinfmtError::Taken {
                name: registration.name.clone(),
                interpreter: listed.interpreter,
            });
        }
        write(&Path::new(TABLE).join(&registration.name), "-1")?;
    }
    std::fs::write(Path::new(TABLE).join("register"), registration.line()).map_err(BinfmtError::Refused)
}

fn remove(options: &Remove, this: &Path, out: &mut String) -> Result<i32, BinfmtError> {
    let name = &options.which.name;
    let mut done = |text: String| *out += &text;
    if options.files.root.is_none() {
        match Listed::read(name) {
            None => done(format!("{name}: not registered\n")),
            Some(listed) if !listed.is_ours(this) && !looks_like_emu(&listed.interpreter) => {
                return Err(BinfmtError::Foreign {
                    name: name.clone(),
                    interpreter: listed.interpreter,
                });
            }
            Some(_) => {
                if !options.dry_run {
                    write(&Path::new(TABLE).join(name), "-1")?;
                }
                done(format!("{name}: removed\n"));
            }
        }
    }
    let root = options.files.root.as_deref().unwrap_or(Path::new("/"));
    for path in [
        root.join(format!("etc/binfmt.d/{name}.conf")),
        root.join(format!("usr/share/binfmts/{name}")),
    ] {
        // Ours alone: others' files name other interpreters.
        let ours = std::fs::read_to_string(&path).is_ok_and(|text| {
            text.split([':', '\n', ' '])
                .any(|word| word.starts_with('/') && (Path::new(word) == this || looks_like_emu(word)))
        });
        if ours {
            if !options.dry_run {
                std::fs::remove_file(&path).map_err(|error| BinfmtError::File {
                    path: path.clone(),
                    error,
                })?;
            }
            done(format!("removed {}\n", path.display()));
        }
    }
    Ok(0)
}

/// An `emu` that is no longer where it was registered.
fn looks_like_emu(interpreter: &str) -> bool {
    Path::new(interpreter)
        .file_name()
        .is_some_and(|name| name == "emu")
}

fn status(options: &Status, this: &Path, out: &mut String) -> i32 {
    let Ok(entries) = std::fs::read_dir(TABLE) else {
        *out += &format!("binfmt_misc: not mounted at {TABLE}\n");
        return 1;
    };
    if !Path::new(TABLE).join("register").exists() {
        *out += &format!("binfmt_misc: not mounted at {TABLE}\n");
        return 1;
    }
    let mut names: Vec<String> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    let mut ours = false;
    let mut any = false;
    for name in names {
        let Some(listed) = Listed::read(&name).filter(|l| l.for_arm) else {
            continue;
        };
        any = true;
        let is_ours = listed.is_ours(this);
        ours |= is_ours && listed.enabled && name == options.which.name;
        *out += &format!(
            "{name}: {}, {}{}, flags {}\n",
            if listed.enabled { "enabled" } else { "disabled" },
            listed.interpreter,
            if is_ours { " (this emu)" } else { "" },
            if listed.flags.is_empty() {
                "none"
            } else {
                &listed.flags
            },
        );
    }
    if !any {
        *out += "nothing is registered for ARM programs\n";
    }
    i32::from(!ours)
}

/// Runs `emu binfmt ...`; `args` begin behind the word. What to print, and the exit status; errors are one line.
pub fn run(args: impl IntoIterator<Item = OsString>) -> Result<(String, i32), (String, i32)> {
    const EXIT_USAGE: i32 = 125;
    let words = std::iter::once(OsString::from("emu binfmt")).chain(args);
    let options = match Options::try_parse_from(words) {
        Ok(options) => options,
        Err(error) if !error.use_stderr() => return Ok((error.to_string(), 0)),
        Err(error) => {
            let text = error.to_string();
            let line = text.split("\n\n").next().unwrap_or_default();
            let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
            let line = line.strip_prefix("error: ").unwrap_or(&line);
            return Err((format!("binfmt: {line} (see emu binfmt --help)"), EXIT_USAGE));
        }
    };
    let this = std::env::current_exe().unwrap_or_else(|_| PathBuf::from(OsString::from("emu")));
    let mut out = String::new();
    let result = match &options.action {
        Action::Install(options) => install(options, &this, &mut out),
        Action::Remove(options) => remove(options, &this, &mut out),
        Action::Status(options) => Ok(status(options, &this, &mut out)),
    };
    match result {
        Ok(status) => Ok((out, status)),
        Err(error) => Err((format!("binfmt: {error}"), 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registration() -> Registration {
        Registration::new("qemu-arm", Path::new("/usr/bin/emu"), "POF").expect("fits")
    }

    /// As qemu-binfmt-conf.sh of QEMU 7.2 has magic and mask for arm.
    #[test]
    fn the_line_is_the_kernels() {
        assert_eq!(
            registration().line(),
            ":qemu-arm:M::\\x7f\\x45\\x4c\\x46\\x01\\x01\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x02\\x00\\x28\\x00:\
             \\xff\\xff\\xff\\xff\\xff\\xff\\xff\\x00\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xfe\\xff\\xff\\xff:/usr/bin/emu:POF"
        );
    }

    #[test]
    fn paths_that_would_break_the_line_are_refused() {
        for path in ["emu", "/a:b", "/a\nb", &format!("/{}", "x".repeat(127))] {
            assert!(Registration::new("n", Path::new(path), "").is_err(), "{path}");
        }
        assert!(parse_flags("POX").is_err() && parse_name("a/b").is_err() && parse_name("status").is_err());
    }

    #[test]
    fn entries_are_understood() {
        let text = "enabled\ninterpreter /usr/bin/qemu-arm\nflags: OCF\noffset 0\n\
                    magic 7f454c4601010100000000000000000002002800\nmask ffffffffffffff00fffffffffffffffffeffffff\n";
        let listed = Listed::parse(text);
        assert!(listed.enabled && listed.for_arm);
        assert_eq!(
            (&*listed.interpreter, &*listed.flags),
            ("/usr/bin/qemu-arm", "OCF")
        );
        let other = text
            .replace("02002800", "0200b700")
            .replace("enabled", "disabled");
        let listed = Listed::parse(&other);
        assert!(!listed.enabled && !listed.for_arm);
    }
}
