//! The command line and the variables of qemu-user, as options of ours: for tools that call `qemu-arm` by name.
//!
//! Source: `qemu-arm -h` and linux-user/main.c of QEMU 7.2 and 8.2. What has no meaning here is refused, one line and
//! status 1, as qemu-user ends for options that it doesn't know.

use super::Stop;
use crate::cpu::model::Model;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// qemu-user's status for a command line that it refuses.
const EXIT_REFUSED: i32 = 1;

/// One option of qemu-user.
struct Row {
    /// Without the dash. Two dashes are accepted as well.
    name: &'static str,
    /// Its variable.
    variable: &'static str,
    takes_value: bool,
    means: Means,
}

/// What to make of an option.
#[derive(Clone, Copy)]
enum Means {
    Help,
    Version,
    /// The same under another name, value and all.
    Is(&'static str),
    /// A comma list, one option of ours for each element.
    Each(&'static str),
    Cpu,
    Log,
    GuestBase,
    PageSize,
    /// Nothing to do here, for a reason.
    Accepted,
    Unsupported(&'static str),
}

use Means::*;

const fn row(name: &'static str, variable: &'static str, takes_value: bool, means: Means) -> Row {
    Row {
        name,
        variable,
        takes_value,
        means,
    }
}

#[rustfmt::skip]
const ROWS: &[Row] = &[
    row("h",          "",                  false, Help),
    row("help",       "",                  false, Help),
    row("g",          "QEMU_GDB",          true,  Unsupported("there is no debugger stub yet")),
    row("L",          "QEMU_LD_PREFIX",    true,  Is("-L")),
    row("s",          "QEMU_STACK_SIZE",   true,  Is("-s")),
    row("cpu",        "QEMU_CPU",          true,  Cpu),
    row("E",          "QEMU_SET_ENV",      true,  Each("-E")),
    row("U",          "QEMU_UNSET_ENV",    true,  Each("-U")),
    row("0",          "QEMU_ARGV0",        true,  Is("-0")),
    row("r",          "QEMU_UNAME",        true,  Unsupported("uname's release is the host's")),
    row("B",          "QEMU_GUEST_BASE",   true,  GuestBase),
    // The window is reserved whole wherever the limits allow it.
    row("R",          "QEMU_RESERVED_VA",  true,  Accepted),
    row("d",          "QEMU_LOG",          true,  Log),
    row("dfilter",    "QEMU_DFILTER",      true,  Unsupported("the log is not filtered by address")),
    row("D",          "QEMU_LOG_FILENAME", true,  Is("-D")),
    row("p",          "QEMU_PAGESIZE",     true,  PageSize),
    row("singlestep", "QEMU_SINGLESTEP",   false, Is("--one-insn-per-block")),
    row("one-insn-per-tb", "QEMU_ONE_INSN_PER_TB", false, Is("--one-insn-per-block")),
    row("strace",     "QEMU_STRACE",       false, Is("--strace")),
    row("seed",       "QEMU_RAND_SEED",    true,  Unsupported("random numbers are the host kernel's")),
    row("trace",      "QEMU_TRACE",        true,  Unsupported("there are no QEMU trace events")),
    row("plugin",     "QEMU_PLUGIN",       true,  Unsupported("there are no TCG plugins")),
    row("version",    "QEMU_VERSION",      false, Version),
];

fn refuse(text: String) -> Stop {
    Stop {
        text,
        status: EXIT_REFUSED,
    }
}

/// Options of ours for the variables that are set.
pub fn options_from_environment(var: &dyn Fn(&str) -> Option<OsString>) -> Result<Vec<OsString>, Stop> {
    let mut out = Vec::new();
    // -L is read from QEMU_LD_PREFIX by the common code, for every name.
    for row in ROWS
        .iter()
        .filter(|r| !matches!(r.variable, "" | "QEMU_LD_PREFIX"))
    {
        if let Some(value) = var(row.variable) {
            translate(row, row.variable, value, &mut out)?;
        }
    }
    Ok(out)
}

/// The whole command line of ours for `qemu-arm [OPTIONS] PROGRAM [ARGS...]`; `args` includes argv[0].
pub fn command_line(
    args: Vec<OsString>,
    var: &dyn Fn(&str) -> Option<OsString>,
) -> Result<Vec<OsString>, Stop> {
    let mut args = args.into_iter().peekable();
    let mut out: Vec<OsString> = vec![args.next().unwrap_or_else(|| "qemu-arm".into())];
    out.extend(options_from_environment(var)?);
    while let Some(arg) = args.next_if(|a| a.as_bytes().first() == Some(&b'-')) {
        let text = arg.to_string_lossy().into_owned();
        let name = text.strip_prefix("--").unwrap_or(&text[1..]);
        if name.is_empty() {
            if text == "--" {
                break;
            }
            return Err(refuse("unknown option '-' (see -h)".into()));
        }
        let Some(row) = ROWS.iter().find(|r| r.name == name) else {
            return Err(refuse(format!("unknown option '{name}' (see -h)")));
        };
        let value = match row.takes_value {
            true => args
                .next()
                .ok_or_else(|| refuse(format!("missing argument for option '{name}' (see -h)")))?,
            false => OsString::new(),
        };
        translate(row, &format!("-{name}"), value, &mut out)?;
    }
    out.push("--".into());
    if args.peek().is_none() {
        return Err(refuse("no user program specified (see -h)".into()));
    }
    out.extend(args);
    Ok(out)
}

fn translate(row: &Row, given: &str, value: OsString, out: &mut Vec<OsString>) -> Result<(), Stop> {
    match row.means {
        Help => {
            return Err(Stop {
                text: usage(),
                status: 0,
            });
        }
        Version => {
            return Err(Stop {
                text: format!("emu {} (called as qemu-arm)\n", env!("CARGO_PKG_VERSION")),
                status: 0,
            });
        }
        Is(name) => {
            out.push(name.into());
            if row.takes_value {
                out.push(value);
            }
        }
        Each(name) => {
            for part in value.as_bytes().split(|&b| b == b',') {
                out.extend([name.into(), OsString::from_vec(part.to_vec())]);
            }
        }
        Cpu => out.extend(["--cpu".into(), cpu(&value)?.into()]),
        Log => log(&value, out)?,
        GuestBase => {
            let text = value.to_string_lossy();
            let digits = text.trim_start_matches("0x");
            // Which address it is no guest can tell; that it is not 0 is the point.
            if !digits.chars().all(|c| c == '0') {
                out.push("--based".into());
            }
        }
        PageSize if value == "4096" => {}
        PageSize => {
            return Err(refuse(format!(
                "{given} {}: pages have 4096 bytes",
                value.display()
            )));
        }
        Accepted => {}
        Unsupported(reason) => return Err(refuse(format!("{given} is not supported: {reason}"))),
    }
    Ok(())
}

/// The model for a QEMU CPU name; `NAME,feature=...` is cut at the comma only if nothing follows.
fn cpu(value: &OsStr) -> Result<&'static str, Stop> {
    let text = value.to_string_lossy();
    if text == "help" || text == "?" {
        let names: Vec<_> = Model::names().collect();
        return Err(Stop {
            text: format!("Available CPUs:\n  {}\n", names.join("\n  ")),
            status: 0,
        });
    }
    let known = match &*text {
        // QEMU's further names of what the models stand for.
        "any" => "max",
        "arm926ej-s" => "arm926",
        "arm1176jzf-s" => "arm1176",
        other => other,
    };
    Model::names().find(|name| *name == known).ok_or_else(|| {
        let names: Vec<_> = Model::names().collect();
        refuse(format!("-cpu {text}: there are {}", names.join(", ")))
    })
}

/// `-d` items of QEMU that there is something like.
fn log(value: &OsStr, out: &mut Vec<OsString>) -> Result<(), Stop> {
    let text = value.to_string_lossy();
    let mut items = Vec::new();
    for item in text.split(',') {
        match item {
            "in_asm" | "out_asm" | "exec" | "unimp" => items.push(item),
            "op" | "op_opt" | "op_ind" => items.push("ir"),
            "strace" => out.push("--strace".into()),
            // Every block is logged each time it is entered anyway; and guests' errors are signals.
            "nochain" | "guest_errors" => {}
            _ => {
                return Err(refuse(format!(
                    "-d {item} is not supported: there are in_asm, op, op_opt, out_asm, exec, unimp, strace"
                )));
            }
        }
    }
    if !items.is_empty() {
        out.extend(["-d".into(), items.join(",").into()]);
    }
    Ok(())
}

fn usage() -> String {
    let mut text = String::from(
        "usage: qemu-arm [options] program [arguments...]\n\
         emu, called by a name of qemu-user's, takes its options and variables:\n\n",
    );
    for row in ROWS {
        let note = match row.means {
            Unsupported(reason) => format!("not supported: {reason}"),
            _ => String::new(),
        };
        let name = format!("-{}{}", row.name, if row.takes_value { " VALUE" } else { "" });
        text += format!("  {name:22} {:22} {note}", row.variable).trim_end();
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<OsString> {
        text.split(' ').map(OsString::from).collect()
    }

    fn line(text: &str) -> Result<Vec<OsString>, (String, i32)> {
        command_line(words(text), &|_| None).map_err(|stop| (stop.text, stop.status))
    }

    #[test]
    fn options_become_ours() {
        for (theirs, ours) in [
            ("qemu-arm ./a -x", "qemu-arm -- ./a -x"),
            ("qemu-arm -L /r -cpu max a", "qemu-arm -L /r --cpu max -- a"),
            ("qemu-arm -E A=1,B=2 -U C a", "qemu-arm -E A=1 -E B=2 -U C -- a"),
            (
                "qemu-arm --strace -singlestep a",
                "qemu-arm --strace --one-insn-per-block -- a",
            ),
            (
                "qemu-arm -d in_asm,op,strace -D f a",
                "qemu-arm --strace -d in_asm,ir -D f -- a",
            ),
            ("qemu-arm -B 0x10000 -R 0xf000 -p 4096 a", "qemu-arm --based -- a"),
            ("qemu-arm -B 0 a", "qemu-arm -- a"),
            (
                "qemu-arm -0 sh -cpu arm1176 busybox",
                "qemu-arm -0 sh --cpu arm1176 -- busybox",
            ),
            ("qemu-arm -- -a", "qemu-arm -- -a"),
        ] {
            assert_eq!(line(theirs), Ok(words(ours)), "{theirs}");
        }
    }

    #[test]
    fn what_is_not_supported_is_one_line_and_status_1() {
        for (theirs, part) in [
            ("qemu-arm -g 1234 a", "-g is not supported"),
            ("qemu-arm -plugin x.so a", "-plugin is not supported"),
            ("qemu-arm -cpu cortex-m3 a", "there are"),
            ("qemu-arm -p 65536 a", "4096"),
            ("qemu-arm -d mmu a", "-d mmu"),
            ("qemu-arm -nonsense a", "unknown option 'nonsense'"),
            ("qemu-arm -L", "missing argument"),
            ("qemu-arm -strace", "no user program"),
        ] {
            let (text, status) = line(theirs).expect_err(theirs);
            assert!(text.contains(part) && !text.contains('\n'), "{theirs}: {text}");
            assert_eq!(status, 1, "{theirs}");
        }
    }

    #[test]
    fn variables_come_first() {
        let var = |name: &str| match name {
            "QEMU_CPU" => Some("arm926".into()),
            "QEMU_STRACE" => Some("".into()),
            _ => None,
        };
        let ours = command_line(words("qemu-arm -cpu max a"), &var).expect("options");
        assert_eq!(ours, words("qemu-arm --cpu arm926 --strace --cpu max -- a"));
        let gdb = |name: &str| (name == "QEMU_GDB").then(|| "1".into());
        assert!(command_line(words("qemu-arm a"), &gdb).is_err());
    }

    #[test]
    fn help_lists_every_option() {
        let (text, status) = line("qemu-arm -h").expect_err("help");
        assert_eq!(status, 0);
        assert!(ROWS.iter().all(|row| text.contains(row.variable)));
    }
}
