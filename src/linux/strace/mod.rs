//! `--strace`: what a guest does, line by line, as strace writes it: calls from the table's rows and what [`decode`] knows of
//! them, signals, starts and ends.
//!
//! A call's line is written when the call has ended. One that is going to wait ([`waiting`]) is shown as it begins,
//! `<unfinished ...>`, and once more as it ends, `<... resumed>`: many processes share the log, and none knows whether
//! another has written in between. Signals that the host's kernel acts on alone (ignored, stopping, deadly) are not seen
//! here.

mod decode;
mod files;
mod ioctls;
mod memory;
mod net;
mod process;
mod signals;
mod times;
mod waiting;
mod waits;

use decode::{At, Known, When};
use memory::{pointer, quoted};

use super::call::SyscallResult;
use super::errno::{ERESTART_RESTARTBLOCK, ERESTARTNOHAND, ERESTARTSYS, Errno};
use super::process::Process;
use super::signal::siginfo::{self, GuestSigInfo};
use super::table::{Arg, Row, flags};
use crate::diag::log::{self, Items};
use std::fmt::{self, Display};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The column of a result.
const COLUMN: usize = 39;

/// Whether lines have times (`--strace-times`).
static TIMES: AtomicBool = AtomicBool::new(false);

/// Lines have the time of their beginning, in seconds since 1970, and what a call has taken, from now on.
pub fn with_times() {
    TIMES.store(true, Ordering::Relaxed);
}

/// The beginning of a line: whose it is, and when it was if that is wanted.
struct Who {
    tid: i32,
    at: Option<Duration>,
}

impl Who {
    fn now() -> Who {
        let times = TIMES.load(Ordering::Relaxed);
        let since = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Who {
            tid: tid(),
            at: times.then(since),
        }
    }
}

impl Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.tid)?;
        match self.at {
            Some(at) => write!(f, " {}.{:06}", at.as_secs(), at.subsec_micros()),
            None => Ok(()),
        }
    }
}

/// A call's line so far.
pub struct Line {
    who: Who,
    begun: Instant,
    arguments: Vec<String>,
    /// How many of the arguments have been shown already, of a call that waits.
    shown: Option<usize>,
    /// The mask that a sigreturn restores.
    frame: Option<String>,
}

/// Starts a call's line: name and what can be shown before the call runs, with the stack pointer at `sp`. For calls that do
/// not return here the line is written at once.
pub fn before(row: &'static Row, args: &[u32; 6], sp: u32) -> Line {
    let mut line = Line {
        who: Who::now(),
        begun: Instant::now(),
        arguments: arguments(row, args),
        shown: None,
        frame: None,
    };
    if row.name.ends_with("sigreturn") {
        line.frame = Some(signals::frame_mask(sp, row.name == "rt_sigreturn"));
    } else if ends(row) {
        line.write(row, "?", false);
    } else if waiting::waits(row, args) {
        line.begin(row, args);
    }
    line
}

impl Line {
    /// The call waits: what it says before it is made, in a line of its own.
    fn begin(&mut self, row: &'static Row, args: &[u32; 6]) {
        let count = said_before(row, args).min(self.arguments.len());
        let (first, rest) = self.arguments.split_at(count);
        let comma = if !first.is_empty() && !rest.is_empty() {
            ", "
        } else {
            ""
        };
        let name = decode::shown_name(row.name);
        log::line(format_args!(
            "{} {name}({}{comma} <unfinished ...>",
            self.who,
            first.join(", ")
        ));
        self.shown = Some(count);
    }

    /// The line, or what is left of it; `ended`: the call has been made.
    fn write(&self, row: &'static Row, answer: &str, ended: bool) {
        let name = decode::shown_name(row.name);
        let call = match self.shown {
            None => format!("{} {name}({})", self.who, self.arguments.join(", ")),
            Some(count) => {
                let rest = self.arguments.get(count..).unwrap_or_default();
                format!("{} <... {name} resumed>{})", Who::now(), rest.join(", "))
            }
        };
        if ended && self.who.at.is_some() {
            let took = self.begun.elapsed();
            let (s, us) = (took.as_secs(), took.subsec_micros());
            log::line(format_args!("{call:<COLUMN$} = {answer} <{s}.{us:06}>"));
        } else {
            log::line(format_args!("{call:<COLUMN$} = {answer}"));
        }
    }
}

/// Arguments before the first one that the call itself fills in.
fn said_before(row: &Row, args: &[u32; 6]) -> usize {
    let known = decode::known(row.name);
    if known.is_some_and(|k| k.whole.is_some()) {
        return usize::MAX;
    }
    let later = each(row, args, |arg, i| match known.and_then(|k| k.at(i)) {
        Some(When::In) => false,
        Some(_) => args[i] != 0,
        None => matches!(arg, Arg::OutBuf(_) | Arg::Out(_)) && args[i] != 0,
    });
    later.iter().position(|later| *later).unwrap_or(usize::MAX)
}

/// The call does not come back.
fn ends(row: &Row) -> bool {
    matches!(row.name, "exit" | "exit_group")
}

/// All arguments, before the call.
fn arguments(row: &'static Row, args: &[u32; 6]) -> Vec<String> {
    let known = decode::known(row.name);
    if let Some(whole) = known.and_then(|k| k.whole) {
        return whole(args, None);
    }
    let mut shown = each(row, args, |arg, i| {
        let explained = known.and_then(|k| explain(k, args, i, None));
        explained.unwrap_or_else(|| show(arg, i, args, None))
    });
    // A mode that open flags do not ask for is not an argument.
    if let [.., Arg::Flags(set), Arg::Mode] = row.args
        && std::ptr::eq(*set, &flags::OPEN)
        && args[shown.len() - 2] & (flags::O_CREAT | flags::O_TMPFILE) == 0
    {
        shown.pop();
    }
    // Nor is what mremap and mq_open have only with a flag.
    let unasked = match row.name {
        "mremap" => args[3] & libc::MREMAP_FIXED as u32 == 0,
        "mq_open" => args[1] & flags::O_CREAT == 0,
        _ => false,
    };
    if unasked {
        shown.truncate(if row.name == "mremap" { 4 } else { 2 });
    }
    shown
}

/// What [`decode`] knows of the argument in word `i`, before the call or after it.
fn explain(known: &Known, args: &[u32; 6], i: usize, returned: Option<u32>) -> Option<String> {
    let (_, when, show) = known.arguments.iter().find(|(word, ..)| *word == i)?;
    if (returned.is_none() && *when == When::Out) || args[i] == 0 && *when != When::In {
        return None;
    }
    let shown = show(&At {
        v: args[i],
        args,
        word: i,
        returned,
    });
    // What is said before a call is said.
    if returned.is_some() && *when == When::In {
        None
    } else {
        shown
    }
}

/// Before a call by which the caller may end itself: the line, as nothing comes after it, the signal and the end. `doomed`: it
/// does not block the signal, and has left it at a default that is deadly.
pub fn last_words(line: &Line, row: &'static Row, signo: i32, doomed: bool) {
    if signo == libc::SIGKILL {
        line.write(row, "?", false);
    } else if doomed {
        line.write(row, "0", true);
        let code = if row.name == "kill" {
            siginfo::SI_USER
        } else {
            siginfo::SI_TKILL
        };
        let mut info = GuestSigInfo::header(signo, code);
        // SAFETY: no preconditions.
        let (pid, uid) = unsafe { (libc::getpid(), libc::getuid()) };
        info.0[12..16].copy_from_slice(&pid.to_le_bytes());
        info.0[16..20].copy_from_slice(&uid.to_le_bytes());
        signal(&info);
    } else {
        return;
    }
    killed(signo);
}

/// Completes and writes the line; `r0` is what a sigreturn has left in the register.
pub fn after(mut line: Line, row: &'static Row, args: &[u32; 6], result: SyscallResult, r0: u32) {
    if let Some(frame) = line.frame.take() {
        let value = r0 as i32;
        let answer = if (-4095..0).contains(&value) {
            error(value)
        } else {
            value.to_string()
        };
        line.arguments = vec![frame];
        return line.write(row, &answer, true);
    }
    let SyscallResult::Return(value) = result else {
        return;
    };
    if line.who.tid != tid() {
        return;
    }
    let failed = (-4095..0).contains(&value);
    if !failed && !ends(row) {
        finish(&mut line.arguments, row, args, value as u32);
    }
    if !ends(row) {
        line.write(row, &show_result(row, args, value), true);
    }
}

/// Puts in what the call has written.
fn finish(shown: &mut Vec<String>, row: &'static Row, args: &[u32; 6], value: u32) {
    let known = decode::known(row.name);
    if let Some(whole) = known.and_then(|k| k.whole) {
        *shown = whole(args, Some(value));
        return;
    }
    let mut words = Vec::new();
    let written = each(row, args, |arg, i| {
        words.push(i);
        if let Some(text) = known.and_then(|k| explain(k, args, i, Some(value))) {
            return text;
        }
        let known_word = known.is_some_and(|k| k.at(i).is_some());
        match arg {
            Arg::OutBuf(_) if !known_word => show(arg, i, args, Some(value)),
            _ => String::new(),
        }
    });
    for ((slot, text), word) in shown.iter_mut().zip(written).zip(words) {
        if text.is_empty() || text == *slot {
            continue;
        }
        *slot = match known.and_then(|k| k.at(word)) {
            Some(When::Moved) => format!("{slot} => {text}"),
            Some(When::Both) => format!(
                "{} => {}",
                slot.trim_end_matches(']'),
                text.trim_start_matches('[')
            ),
            _ => text,
        };
    }
}

/// A signal that is about to be acted on.
pub fn signal(info: &GuestSigInfo) {
    if log::enabled(Items::STRACE) {
        let name = flags::signal_name(info.signo() as u32);
        log::line(format_args!(
            "{} --- {name} {} ---",
            Who::now(),
            signals::siginfo(info)
        ));
    }
}

/// This thread is over.
pub fn exited(status: i32) {
    if log::enabled(Items::STRACE) {
        log::line(format_args!("{} +++ exited with {status} +++", Who::now()));
    }
}

/// This process is about to be ended by `signo`.
pub fn killed(signo: i32) {
    if log::enabled(Items::STRACE) {
        log::line(format_args!(
            "{} +++ killed by {} +++",
            Who::now(),
            flags::signal_name(signo as u32)
        ));
    }
}

/// The program has been started: by execve, as far as it can tell.
pub fn started(process: &Process) {
    if !log::enabled(Items::STRACE) {
        return;
    }
    let image = &process.image;
    let path = if image.filename.is_empty() {
        &image.exe
    } else {
        &image.filename
    };
    let mut arguments: Vec<_> = image.argv.iter().take(32).map(|a| quoted(a)).collect();
    if image.argv.len() > 32 {
        arguments.push("...".into());
    }
    let variables = process::variables(image.env_start, image.envp.len());
    let call = format!(
        "{} execve({}, [{}], {variables})",
        Who::now(),
        quoted(path),
        arguments.join(", ")
    );
    log::line(format_args!("{call:<COLUMN$} = 0"));
}

/// A call that the guest's own seccomp did not let through.
pub fn refused(nr: u32, args: &[u32; 6], end: SyscallResult) {
    if !log::enabled(Items::STRACE) {
        return;
    }
    let row = super::table::lookup_arm(nr);
    let call = match row {
        Some(row) => format!("{} {}({})", Who::now(), row.name, arguments(row, args).join(", ")),
        None => format!(
            "{} syscall_{nr:#x}({:#x}, {:#x}, {:#x})",
            Who::now(),
            args[0],
            args[1],
            args[2]
        ),
    };
    let result = match (end, row) {
        (SyscallResult::Return(value), Some(row)) => show_result(row, args, value),
        (SyscallResult::Return(value), None) => value.to_string(),
        _ => "?".into(),
    };
    log::line(format_args!("{call:<COLUMN$} = {result} (seccomp)"));
}

/// A row without handler: a line for `-d unimp` (`--strace` writes its own).
pub fn unimplemented(row: &Row, args: &[u32; 6]) {
    crate::log_line!(
        Items::UNIMP,
        "{} unimplemented system call {}({:#x}, {:#x}, {:#x}, {:#x}): ENOSYS",
        Who::now(),
        row.name,
        args[0],
        args[1],
        args[2],
        args[3]
    );
}

/// A number without row.
pub fn unknown(nr: u32, args: &[u32; 6]) {
    crate::log_line!(
        Items::UNIMP | Items::STRACE,
        "{} syscall_{nr:#x}({:#x}, {:#x}, {:#x}, {:#x}) = -1 ENOSYS (Function not implemented)",
        Who::now(),
        args[0],
        args[1],
        args[2],
        args[3]
    );
}

fn tid() -> i32 {
    // SAFETY: gettid has no preconditions.
    unsafe { libc::gettid() }
}

fn each<T>(row: &Row, args: &[u32; 6], mut f: impl FnMut(Arg, usize) -> T) -> Vec<T> {
    let mut word = 0;
    let mut out = Vec::new();
    for &arg in row.args {
        if !matches!(arg, Arg::Pad) && word < args.len() {
            out.push(f(arg, word));
        }
        word += arg.words();
    }
    out
}

fn show(arg: Arg, i: usize, args: &[u32; 6], returned: Option<u32>) -> String {
    let v = args[i];
    match arg {
        Arg::Int | Arg::Fd => (v as i32).to_string(),
        Arg::DirFd if v as i32 == libc::AT_FDCWD => "AT_FDCWD".into(),
        Arg::DirFd => (v as i32).to_string(),
        Arg::Uint | Arg::Len => v.to_string(),
        Arg::Hex if v == 0 => "0".into(),
        Arg::Hex => format!("{v:#x}"),
        Arg::Mode => memory::octal(v),
        Arg::Sig => flags::signal_name(v),
        Arg::Flags(names) => memory::flags(names, v),
        Arg::Off64 => (super::call::join(v, args.get(i + 1).copied().unwrap_or(0)) as i64).to_string(),
        Arg::Path | Arg::LinkPath | Arg::PathAt(_) | Arg::Str => memory::string(v),
        Arg::Name | Arg::LinkName | Arg::NameAt(_) => memory::string(v),
        Arg::Buf(len) => memory::bytes(v, args[len]),
        Arg::OutBuf(len) => match returned {
            Some(n) => memory::bytes(v, n.min(args[len])),
            None => pointer(v),
        },
        Arg::Ptr | Arg::In(_) | Arg::Out(_) | Arg::Array(..) => pointer(v),
        Arg::Pad => String::new(),
    }
}

/// The kernel's own reason for an interrupted call, which strace shows in place of EINTR: whether and how it would be
/// restarted (signal(7), "Interruption of system calls and library functions by signal handlers").
fn interrupted(row: &Row, args: &[u32; 6]) -> i32 {
    match row.name {
        "nanosleep" | "poll" => ERESTART_RESTARTBLOCK,
        "clock_nanosleep" | "clock_nanosleep_time64" if args[1] & 1 == 0 => ERESTART_RESTARTBLOCK,
        "futex" | "futex_time64" if args[3] != 0 => ERESTART_RESTARTBLOCK,
        "pause"
        | "sigsuspend"
        | "rt_sigsuspend"
        | "_newselect"
        | "pselect6"
        | "pselect6_time64"
        | "ppoll"
        | "ppoll_time64"
        | "msgsnd"
        | "msgrcv"
        | "clock_nanosleep"
        | "clock_nanosleep_time64" => ERESTARTNOHAND,
        "epoll_wait"
        | "epoll_pwait"
        | "epoll_pwait2"
        | "rt_sigtimedwait"
        | "rt_sigtimedwait_time64"
        | "semop"
        | "semtimedop"
        | "semtimedop_time64"
        | "io_getevents"
        | "io_pgetevents"
        | "io_pgetevents_time64"
        | "close" => libc::EINTR,
        _ => ERESTARTSYS,
    }
}

fn error(value: i32) -> String {
    let errno = Errno(-value);
    match errno.name() {
        Some(name) if errno.0 >= ERESTARTSYS => format!("? {name} ({})", errno.text()),
        Some(name) => format!("-1 {name} ({})", errno.text()),
        None => format!("-1 (errno {})", errno.0),
    }
}

fn show_result(row: &Row, args: &[u32; 6], value: i32) -> String {
    if value == -libc::EINTR {
        return error(-interrupted(row, args));
    }
    if (-4095..0).contains(&value) {
        return error(value);
    }
    let answer = decode::known(row.name).and_then(|k| k.answer?(args, value as u32));
    answer.unwrap_or_else(|| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linux::table;

    #[test]
    fn results() {
        let row = table::lookup_name("openat").expect("a row");
        let args = [0; 6];
        assert_eq!(
            show_result(row, &args, -2),
            "-1 ENOENT (No such file or directory)"
        );
        assert_eq!(show_result(row, &args, 3), "3");
        let row = table::lookup_name("mmap2").expect("a row");
        assert_eq!(show_result(row, &args, -0x1000_0000), "0xf0000000");
        let row = table::lookup_name("pause").expect("a row");
        let shown = show_result(row, &args, -libc::EINTR);
        assert_eq!(shown, "? ERESTARTNOHAND (To be restarted if no handler)");
    }
}
