//! Command lines of the plainest kind, without clap: it takes a tenth of a millisecond and more, and each program that a
//! guest executes is started by one.

use super::confine::Inherited;
use super::{Config, two_descriptors};
use std::ffi::OsString;
use std::path::PathBuf;

/// The options that a guest's execve and most people use, then the program and its arguments. `None` is anything else,
/// mistakes too: that is clap's to read.
pub(super) fn read(args: &[OsString]) -> Option<Config> {
    let mut config = Config {
        cpu: "max".to_string(),
        aslr: true,
        confined: true,
        sharing: true,
        ..Config::default()
    };
    let mut words = args.iter().skip(1);
    // The value of an option, which is not to look like one.
    let plain = |word: Option<&OsString>| -> Option<String> {
        let text = word?.to_str()?;
        (!text.is_empty() && !text.starts_with('-')).then(|| text.to_string())
    };
    let program = loop {
        let word = words.next()?;
        if !word.as_encoded_bytes().starts_with(b"-") {
            break word;
        }
        match word.to_str()? {
            "--" => break words.next()?,
            "-L" => config.sysroot = Some(PathBuf::from(plain(words.next())?)),
            "-0" => config.argv0 = Some(words.next().filter(|w| *w != "--")?.clone()),
            "--cpu" => config.cpu = plain(words.next())?,
            "--strace" => config.strace = true,
            "--strace-times" => (config.strace, config.strace_times) = (true, true),
            "--stats" => config.stats = true,
            "--no-aslr" => config.aslr = false,
            "--strict-fp" => config.strict_fp = true,
            "--based" => config.based = true,
            "--unconfined" => config.confined = false,
            "--allow-setuid" => config.allow_setuid = true,
            "--no-share" => config.sharing = false,
            "--reexec" => config.reexec = Some(plain(words.next())?.parse().ok()?),
            "--reexec-limits" => {
                let list = plain(words.next())?;
                config.limits = list.split(',').map(|n| n.parse().ok()).collect::<Option<_>>()?;
            }
            "--reexec-personality" => config.personality = Some(plain(words.next())?.parse().ok()?),
            "--reexec-strict" => config.strict = Some(Inherited::parse(&plain(words.next())?).ok()?),
            "--reexec-log" => config.log_fd = Some(plain(words.next())?.parse().ok()?),
            "--reexec-family" => config.family = Some(two_descriptors(&plain(words.next())?).ok()?),
            _ => return None,
        }
    };
    let handed_over = config.family.is_some()
        || config.personality.is_some()
        || config.strict.is_some()
        || config.log_fd.is_some()
        || !config.limits.is_empty();
    if program.is_empty() || config.reexec.is_none() && handed_over {
        return None;
    }
    config.program = program.clone();
    config.args = words.cloned().collect();
    Some(config)
}
