//! Why a set-up failed: libcontainer tells its causes to a log and hands on the outermost alone, across processes. Here
//! they are kept in a memory file that these processes share.

use std::fs::File;
use std::io::Write;
use std::os::fd::FromRawFd;
use std::os::unix::fs::FileExt;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// Lines that libcontainer's processes have written.
pub struct Causes(Option<File>);

struct Collector(File);

/// Begins to collect; once, before libcontainer is called.
pub fn collect() -> Causes {
    // SAFETY: a NUL-terminated name; the result is a new descriptor or an error.
    let fd = unsafe { libc::memfd_create(c"causes".as_ptr(), libc::MFD_CLOEXEC) };
    if fd < 0 {
        return Causes(None);
    }
    // SAFETY: nothing else knows it.
    let file = unsafe { File::from_raw_fd(fd) };
    let ours = file.try_clone().ok();
    let set = tracing::subscriber::set_global_default(Collector(file));
    Causes(ours.filter(|_| set.is_ok()))
}

impl Causes {
    /// `error` with the innermost cause, where it does not say that itself, and without what libcontainer puts before.
    pub fn explain(&self, error: String) -> String {
        const BEFORE: &str = "error in executing process : ";
        let error = error.split_once(BEFORE).map_or(error.as_str(), |(_, rest)| rest);
        let mut text = vec![0; 4096];
        let len = self
            .0
            .as_ref()
            .and_then(|file| file.read_at(&mut text, 0).ok())
            .unwrap_or(0);
        let text = String::from_utf8_lossy(&text[..len]);
        let cause = text.lines().next().unwrap_or_default();
        let cause = cause.trim_start_matches("failed to initialize container process: ");
        match error.contains(cause) {
            true => error.to_string(),
            false => format!("{error} ({cause})"),
        }
    }
}

impl Subscriber for Collector {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::ERROR
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        let text = format!("{}{}", line.message, line.fields).replace('\n', " ");
        // Where it cannot be written the outer error has to do.
        let _ = writeln!(&self.0, "{text}");
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            name => self.fields.push_str(&format!("; {name}: {value:?}")),
        }
    }
}
