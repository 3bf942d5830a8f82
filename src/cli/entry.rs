//! How this process was entered: by a command line, or by the kernel for a program of another machine (binfmt_misc).

use std::ffi::{OsStr, OsString};
use std::path::Path;

/// What the kernel says about the start of this process in the auxiliary vector.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Entry {
    /// AT_EXECFD: the program, opened by the kernel (flag O of the registration).
    pub program: Option<i32>,
    /// Bit 0 of AT_FLAGS: the argument behind the program's path is its argv[0] (flag P).
    pub preserves_argv0: bool,
    /// AT_SECURE: the program brought privileges with it (flag C); the environment is not to be trusted.
    pub secure: bool,
}

impl Entry {
    /// That of this process.
    pub fn of_this_process() -> Entry {
        /// AT_FLAGS_PRESERVE_ARGV0 (include/uapi/linux/binfmts.h).
        const PRESERVE_ARGV0: u64 = 1;
        const AT_FLAGS: u64 = 8;
        // SAFETY: getauxval looks values up; those that are absent are 0 with ENOENT.
        let value = |kind: u64| unsafe { libc::getauxval(kind) };
        Entry {
            // Standard input cannot be meant: the kernel takes the lowest free number, and says 0 for "none".
            program: i32::try_from(value(libc::AT_EXECFD)).ok().filter(|&fd| fd > 0),
            preserves_argv0: value(AT_FLAGS) & PRESERVE_ARGV0 != 0,
            secure: value(libc::AT_SECURE) != 0,
        }
    }

    /// Whether the kernel started `emu` for a program: then the command line holds no options.
    pub fn is_registered(self) -> bool {
        self.program.is_some() || self.preserves_argv0
    }

    /// The command line of ours that does what the kernel's `args` ask for: `emu PATH [ARGV0] ARGS...`, behind `options`.
    pub fn command_line(self, args: Vec<OsString>, options: Vec<OsString>) -> Vec<OsString> {
        let mut args = args.into_iter();
        let mut out: Vec<OsString> = vec![args.next().unwrap_or_else(|| "emu".into())];
        out.extend(options);
        let program = args.next();
        if self.preserves_argv0
            && let Some(argv0) = args.next()
        {
            out.extend(["-0".into(), argv0]);
        }
        out.push("--".into());
        out.extend(program);
        out.extend(args);
        out
    }
}

/// Whether `argv0` is a name under which tools expect qemu-user for 32-bit ARM: its options are then meant.
pub fn is_qemu_name(argv0: &OsStr) -> bool {
    let name = Path::new(argv0).file_name().and_then(OsStr::to_str);
    matches!(
        name,
        Some("qemu-arm" | "qemu-arm-static" | "buildkit-qemu-arm" | ".buildkit_qemu_emulator")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<OsString> {
        text.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn the_kernels_arguments() {
        let plain = Entry {
            program: Some(3),
            ..Entry::default()
        };
        assert!(plain.is_registered() && !Entry::default().is_registered());
        assert_eq!(
            plain.command_line(words("/usr/bin/emu /bin/ls -l --stats"), Vec::new()),
            words("/usr/bin/emu -- /bin/ls -l --stats")
        );
        let kept = Entry {
            preserves_argv0: true,
            ..plain
        };
        assert_eq!(
            kept.command_line(words("/usr/bin/emu /bin/busybox -sh -c x"), words("-L /r")),
            words("/usr/bin/emu -L /r -0 -sh -- /bin/busybox -c x")
        );
    }

    #[test]
    fn names_that_mean_qemu() {
        for name in [
            "/usr/bin/qemu-arm-static",
            "qemu-arm",
            "/dev/.buildkit_qemu_emulator",
        ] {
            assert!(is_qemu_name(OsStr::new(name)), "{name}");
        }
        for name in ["emu", "/opt/qemu-arm/emu", "qemu-armeb", ""] {
            assert!(!is_qemu_name(OsStr::new(name)), "{name}");
        }
    }
}
