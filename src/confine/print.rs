//! `--print-policy`: the effective policy as text, rule by rule.

use super::bpf::Verdict;
use super::limits::{Limits, show_size};
use super::policy::{BASELINE, Denial};
use super::profile::{Mount, Net, Policy};
use super::strict::{self, CONDITIONAL, Check};
use std::fmt::Write;

/// The baseline filter and what goes with it.
pub fn baseline(new_privileges: bool) -> String {
    let mut out = String::from("profile: baseline\n");
    let _ = writeln!(
        out,
        "privileges: {}",
        if new_privileges {
            "set-id programs get theirs"
        } else {
            "none are gained by execve (no_new_privs)"
        }
    );
    out.push_str("files, network, users: the caller's\n");
    filter(&mut out);
    out
}

fn filter(out: &mut String) {
    out.push_str("filter: every call but\n");
    for rule in &BASELINE {
        let errno = match rule.denial {
            Denial::NotPermitted => "EPERM",
            Denial::NotImplemented => "ENOSYS",
        };
        let _ = writeln!(out, "  {:22} {errno:7} {}", rule.name, rule.reason);
    }
    out.push_str("  ioctl TIOCSTI, TIOCLINUX EPERM types for the caller's terminal\n");
    out.push_str("  calls of the i386 and x32 ABIs end the process\n");
}

/// A strict policy. `calls` are the host's calls that the translator issues, with names.
pub fn strict(policy: &Policy, limits: &Limits, calls: &[(&str, libc::c_long)], program: &str) -> String {
    let mut out = String::from("profile: strict\n");
    if let Some(name) = &policy.name {
        let _ = writeln!(out, "name: {name}");
    }
    let net = match policy.net {
        Net::None => "none (a loopback of its own)",
        Net::Host => "the caller's",
    };
    let kinds = match policy.net {
        Net::None => "user, mount, pid, ipc, uts, cgroup, net",
        Net::Host => "user, mount, pid, ipc, uts, cgroup",
    };
    let _ = writeln!(out, "namespaces: {kinds}\nnetwork: {net}");
    let id = |set: Option<u32>| set.map_or("the caller's".into(), |id| id.to_string());
    let _ = writeln!(out, "ids: uid {}, gid {}", id(policy.uid), id(policy.gid));
    let kept: Vec<_> = policy
        .cap_add
        .iter()
        .map(|&c| super::CAPABILITIES[usize::from(c)])
        .collect();
    let kept = match kept.is_empty() {
        true => "none".into(),
        false => kept.join(", "),
    };
    let _ = writeln!(
        out,
        "capabilities: {kept}\nprivileges: none are gained by execve (no_new_privs)"
    );
    let root = policy
        .root
        .as_ref()
        .map_or("empty, in memory".into(), |dir| dir.display().to_string());
    let _ = writeln!(out, "root: {root}\nmounts:");
    for mount in policy.all_mounts() {
        let to = mount.target().display();
        let _ = match &mount {
            Mount::Bind(from, _) => writeln!(out, "  {to}: {}, writable", from.display()),
            Mount::RoBind(from, _) => writeln!(out, "  {to}: {}, read-only", from.display()),
            Mount::Overlay(from, _) => writeln!(out, "  {to}: {}, changes in memory", from.display()),
            Mount::Tmpfs(_) => writeln!(out, "  {to}: memory"),
            Mount::Dev(_) => writeln!(out, "  {to}: null zero full random urandom tty ptmx pts shm"),
            Mount::Proc(_) => writeln!(out, "  {to}: the guest's processes"),
        };
    }
    out.push_str("limits:\n");
    if !policy.rlimit.iter().any(|l| l.name == "core") {
        out.push_str("  core: no core files\n");
    }
    for line in &limits.described {
        let _ = writeln!(out, "  {line}");
    }
    for limit in &policy.rlimit {
        let show = |value: u64| match value {
            u64::MAX => "unlimited".into(),
            value => show_size(value),
        };
        let _ = writeln!(
            out,
            "  {}: {} to {}",
            limit.name,
            show(limit.soft),
            show(limit.hard)
        );
    }
    if let Some(seconds) = policy.timeout {
        let _ = writeln!(out, "  timeout: {seconds} s");
    }
    let descriptors = match policy.preserve_fds {
        0 => "the standard ones".into(),
        n => format!("the standard ones, 3 to {}", n + 2),
    };
    let _ = writeln!(out, "descriptors: {descriptors}");
    let native = match policy.allow_native {
        true => "x86-64 programs run",
        false => "ARM programs and scripts of theirs only",
    };
    let _ = writeln!(out, "programs: {native}\nprogram: {program}");
    out.push_str(
        "Landlock, where the kernel has it: files below the root, signals and abstract sockets within\n",
    );
    if policy.allow_native {
        filter(&mut out);
        return out;
    }
    rows(&mut out, calls, &policy.cap_add);
    out
}

fn rows(out: &mut String, calls: &[(&str, libc::c_long)], cap_add: &[u8]) {
    let numbers: Vec<_> = calls.iter().map(|c| c.1).collect();
    out.push_str("filter: every call ENOSYS but\n");
    let name = |number: u32| {
        calls
            .iter()
            .find(|c| c.1 == libc::c_long::from(number))
            .map_or("?", |c| c.0)
    };
    let mut allowed = Vec::new();
    for (number, verdict) in strict::verdicts(&numbers, cap_add) {
        let _ = match verdict {
            Verdict::Allow => {
                allowed.push(name(number));
                Ok(())
            }
            Verdict::Errno(errno) => {
                let text = if errno == libc::EPERM { "EPERM" } else { "ENOSYS" };
                let option = strict::option_of(number.into());
                writeln!(out, "  {:22} {text:7} allowed by: {option}", name(number))
            }
            Verdict::If(check) => {
                let row = CONDITIONAL.iter().find(|c| c.number == i64::from(number));
                let reason = row.map_or("", |r| r.reason);
                writeln!(out, "  {:22} {} ({reason})", name(number), describe(check))
            }
        };
    }
    out.push_str("  allowed:");
    let mut column = 10;
    for name in allowed {
        if column + name.len() > 118 {
            out.push_str("\n          ");
            column = 10;
        }
        let _ = write!(out, " {name}");
        column += name.len() + 1;
    }
    out.push_str("\n  calls of the i386 and x32 ABIs end the process\n");
}

fn describe(check: Check) -> String {
    match check {
        Check::ArenaOnly => "PROT_EXEC in the translator's arena only, never with PROT_WRITE".into(),
        Check::NoBits { arg, mask, .. } => format!("argument {arg} without the bits {mask:#x}"),
        Check::NotOneOf { arg, values, .. } => format!("argument {arg} none of {values:x?}"),
        Check::NotBoth { pair: [a, b], .. } => {
            format!("not argument {} {} with argument {} {}", a.0, a.1, b.0, b.1)
        }
        Check::Families(list) => format!("argument 0 one of {list:?}"),
    }
}
