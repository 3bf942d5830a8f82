//! `emu doctor`: what of `emu` works on this host, and what to do about the rest.

use crate::binfmt;
use crate::confine;
use crate::confine::namespaces::Impossible;
use crate::exec::HostFeatures;
use std::fmt::Write as _;
use std::path::Path;

/// The kernel that `emu` needs.
const KERNEL: (u32, u32) = (6, 1);

/// How a check came out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Outcome {
    Fine,
    /// Something is slower or absent.
    Less,
    /// Programs cannot run.
    Broken,
}

/// One line of the report.
struct Finding {
    outcome: Outcome,
    what: &'static str,
    text: String,
}

fn finding(outcome: Outcome, what: &'static str, text: impl Into<String>) -> Finding {
    Finding {
        outcome,
        what,
        text: text.into(),
    }
}

/// The report, and whether programs can run here.
pub fn report() -> (String, bool) {
    let findings = [
        kernel(&read("/proc/sys/kernel/osrelease")),
        processor(),
        features(),
        low_memory(&read("/proc/sys/vm/mmap_min_addr")),
        address_space(),
        proc(),
        filter(),
        executable_memory(),
        namespaces(),
        registration(),
        libraries(&|name| std::env::var_os(name).is_some()),
    ];
    let mut text = String::new();
    for found in &findings {
        let mark = match found.outcome {
            Outcome::Fine => "ok  ",
            Outcome::Less => "less",
            Outcome::Broken => "NO  ",
        };
        // A String takes everything.
        let _ = writeln!(text, "{mark} {:18} {}", found.what, found.text);
    }
    let runs = findings.iter().all(|f| f.outcome != Outcome::Broken);
    (text, runs)
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path)
        .unwrap_or_default()
        .trim()
        .to_string()
}

fn kernel(release: &str) -> Finding {
    let what = "Linux";
    let mut numbers = release
        .split(|c: char| !c.is_ascii_digit())
        .map_while(|n| n.parse::<u32>().ok());
    let (Some(major), Some(minor)) = (numbers.next(), numbers.next()) else {
        return finding(
            Outcome::Less,
            what,
            "its version cannot be read; 6.1 or later is needed",
        );
    };
    if (major, minor) >= KERNEL {
        finding(Outcome::Fine, what, release)
    } else {
        let text = format!(
            "{release} is older than 6.1: system calls that emu relies on are missing; update the kernel"
        );
        finding(Outcome::Broken, what, text)
    }
}

/// The floor: x86-64-v2.
fn processor() -> Finding {
    let has = [
        ("sse3", std::arch::is_x86_feature_detected!("sse3")),
        ("ssse3", std::arch::is_x86_feature_detected!("ssse3")),
        ("sse4.1", std::arch::is_x86_feature_detected!("sse4.1")),
        ("sse4.2", std::arch::is_x86_feature_detected!("sse4.2")),
        ("popcnt", std::arch::is_x86_feature_detected!("popcnt")),
        ("cmpxchg16b", std::arch::is_x86_feature_detected!("cmpxchg16b")),
    ];
    let missing: Vec<_> = has.iter().filter(|f| !f.1).map(|f| f.0).collect();
    if missing.is_empty() {
        finding(Outcome::Fine, "processor", "x86-64-v2 or later")
    } else {
        let text = format!(
            "lacks {}: emu needs x86-64-v2; use another machine",
            missing.join(", ")
        );
        finding(Outcome::Broken, "processor", text)
    }
}

fn features() -> Finding {
    let host = HostFeatures::detect();
    let (has, lacks): (Vec<&str>, Vec<&str>) = HostFeatures::NAMES.iter().partition(|name| {
        let mut without = host;
        without.disable(name);
        without != host
    });
    let what = "its extensions";
    if lacks.is_empty() {
        finding(Outcome::Fine, what, has.join(", "))
    } else {
        let text = format!(
            "{}; without {} some vector code is slower",
            has.join(", "),
            lacks.join(", ")
        );
        finding(Outcome::Less, what, text)
    }
}

fn low_memory(setting: &str) -> Finding {
    let what = "low memory";
    match setting.parse::<u32>() {
        // Where old tool chains link programs to.
        Ok(lowest) if lowest > 0x8000 => {
            let text = format!(
                "vm.mmap_min_addr is {lowest}: programs linked below it (old ones at 0x8000) run in a window elsewhere, \
                 a little slower; as root: sysctl vm.mmap_min_addr=32768"
            );
            finding(Outcome::Less, what, text)
        }
        Ok(lowest) => finding(
            Outcome::Fine,
            what,
            format!("from {lowest:#x} on (vm.mmap_min_addr)"),
        ),
        Err(_) => finding(Outcome::Less, what, "vm.mmap_min_addr cannot be read"),
    }
}

fn address_space() -> Finding {
    let mut limit = libc::rlimit {
        rlim_cur: libc::RLIM_INFINITY,
        rlim_max: libc::RLIM_INFINITY,
    };
    // SAFETY: `limit` is a valid destination; a failure leaves "no limit".
    unsafe { libc::getrlimit(libc::RLIMIT_AS, &mut limit) };
    let what = "address space";
    if limit.rlim_cur >= 16 << 30 {
        finding(Outcome::Fine, what, "the guest's 4 GiB can be reserved")
    } else {
        let text = format!(
            "limited to {} MiB: nothing is reserved, and large guests may not fit; ulimit -v unlimited",
            limit.rlim_cur >> 20
        );
        finding(Outcome::Less, what, text)
    }
}

fn proc() -> Finding {
    if Path::new("/proc/self/exe").exists() {
        finding(Outcome::Fine, "/proc", "mounted")
    } else {
        let text = "not mounted: ARM programs can execute others only where emu is registered; mount -t proc proc /proc";
        finding(Outcome::Less, "/proc", text)
    }
}

fn filter() -> Finding {
    const SECCOMP_GET_ACTION_AVAIL: u64 = 2;
    let errno_action: u32 = libc::SECCOMP_RET_ERRNO;
    // SAFETY: reads the word that the pointer leads to.
    let available = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            SECCOMP_GET_ACTION_AVAIL,
            0,
            &raw const errno_action,
        )
    } == 0;
    if available {
        finding(Outcome::Fine, "confinement", "system call filters (seccomp)")
    } else {
        let text =
            "no system call filters in this kernel, or someone's filter forbids them: only --unconfined runs";
        finding(Outcome::Broken, "confinement", text)
    }
}

fn namespaces() -> Finding {
    let what = "namespaces";
    match confine::namespaces::possible() {
        Ok(()) => finding(Outcome::Fine, what, "--root and --confine run without privileges"),
        Err(Impossible::Proc(error)) => {
            let text = format!(
                "no /proc in them ({error}): no --root and --confine; this container shows only a part of its host's, which one \
                 with more rights does not (podman: --security-opt unmask=ALL)"
            );
            finding(Outcome::Less, what, text)
        }
        Err(Impossible::Namespaces(error)) => {
            let text = format!(
                "none for this user ({error}): no --root and --confine; sysctl user.max_user_namespaces, \
                 kernel.apparmor_restrict_unprivileged_userns, or the container's own rules"
            );
            finding(Outcome::Less, what, text)
        }
    }
}

fn executable_memory() -> Finding {
    const PR_GET_MDWE: i32 = 66;
    // SAFETY: takes integers only.
    let known = unsafe { libc::prctl(PR_GET_MDWE, 0u64, 0u64, 0u64, 0u64) } >= 0;
    let what = "executable memory";
    if known {
        finding(
            Outcome::Fine,
            what,
            "none can be added later (PR_SET_MDWE; Linux 6.6 and later)",
        )
    } else {
        finding(
            Outcome::Less,
            what,
            "the kernel cannot refuse to add some (PR_SET_MDWE, Linux 6.6)",
        )
    }
}

fn registration() -> Finding {
    let what = "binfmt_misc";
    match binfmt::registered() {
        Some((name, interpreter, flags)) => {
            let text = format!("{name}: ARM programs start {interpreter} (flags {flags})");
            finding(Outcome::Fine, what, text)
        }
        None => {
            let text = "nothing runs ARM programs by itself; as root: emu binfmt install (emu PROGRAM works without)";
            finding(Outcome::Less, what, text)
        }
    }
}

fn libraries(set: &dyn Fn(&str) -> bool) -> Finding {
    let what = "ARM libraries";
    if set("EMU_LD_PREFIX") || set("QEMU_LD_PREFIX") {
        return finding(
            Outcome::Fine,
            what,
            "looked up below EMU_LD_PREFIX or QEMU_LD_PREFIX",
        );
    }
    let known = ["/usr/arm-linux-gnueabihf", "/usr/arm-linux-gnueabi"];
    let there: Vec<_> = known.into_iter().filter(|dir| Path::new(dir).is_dir()).collect();
    if Path::new("/lib/ld-linux-armhf.so.3").exists() || Path::new("/lib/ld-linux.so.3").exists() {
        finding(Outcome::Fine, what, "installed in this system")
    } else if there.is_empty() {
        let text = "none found: dynamically linked programs need the root of an ARM system (-L DIR)";
        finding(Outcome::Less, what, text)
    } else {
        finding(Outcome::Fine, what, format!("-L {}", there.join(" or -L ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels() {
        for (release, outcome) in [
            ("6.1.0-13-amd64", Outcome::Fine),
            ("6.18.44", Outcome::Fine),
            ("10.0", Outcome::Fine),
            ("6.0.19", Outcome::Broken),
            ("5.15.0-91-generic", Outcome::Broken),
            ("", Outcome::Less),
        ] {
            assert_eq!(kernel(release).outcome, outcome, "{release}");
        }
    }

    #[test]
    fn lowest_addresses() {
        assert_eq!(low_memory("65536").outcome, Outcome::Less);
        assert_eq!(low_memory("32768").outcome, Outcome::Fine);
        assert_eq!(low_memory("").outcome, Outcome::Less);
    }

    #[test]
    fn this_host_can_run_programs() {
        let (text, runs) = report();
        assert!(runs, "{text}");
        assert_eq!(text.lines().count(), 11);
    }
}
