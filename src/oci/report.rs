//! Telling what went wrong: a line on standard error, and one in the file that engines read.

use crate::{Global, LogFormat};
use std::error::Error;
use std::fs::OpenOptions;
use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

/// A line on standard error; where nobody can be told, the status remains.
pub fn line(text: &str) {
    let _ = writeln!(std::io::stderr(), "emu-oci: {text}");
}

/// An error that ends this run: on standard error and in `--log`.
pub fn error(global: &Global, text: &str) {
    line(text);
    let Some(path) = &global.log else { return };
    let message = serde_json::Value::from(text);
    let time = timestamp(
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |d| d.as_secs()),
    );
    let entry = match global.log_format {
        LogFormat::Json => format!("{{\"level\":\"error\",\"msg\":{message},\"time\":\"{time}\"}}\n"),
        LogFormat::Text => format!("time=\"{time}\" level=error msg={message}\n"),
    };
    let opened = OpenOptions::new().create(true).append(true).open(path);
    if let Err(error) = opened.and_then(|mut file| file.write_all(entry.as_bytes())) {
        line(&format!("--log {}: {error}", path.display()));
    }
}

/// An error with its causes, in one line. Causes that a text already ends with are not said twice.
pub fn chain(error: impl Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text.replace('\n', " ")
}

/// A defect of the library below must not look like one: a line, and the end of this process alone.
pub fn one_line_panics() {
    std::panic::set_hook(Box::new(|info| {
        let text = info.to_string().replace('\n', " ");
        line(&format!("internal error: {text}"));
        // SAFETY: ends this process; what the panicking code holds is not touched any more.
        unsafe { libc::_exit(1) }
    }));
}

/// RFC 3339, from seconds since 1970.
pub fn timestamp(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Days from 1 March of year 0: the leap day is then a year's last.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against date(1).
    #[test]
    fn dates() {
        assert_eq!(timestamp(0), "1970-01-01T00:00:00Z");
        assert_eq!(timestamp(951_827_696), "2000-02-29T12:34:56Z");
        assert_eq!(timestamp(1_798_761_599), "2026-12-31T23:59:59Z");
    }
}
