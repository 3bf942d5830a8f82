//! A container's seccomp profile as a filter over ARM call numbers, which `emu` puts before the guest's first instruction.
//!
//! What it means is what libseccomp makes of such a profile on an ARM machine. An engine on an x86-64 host writes the
//! profile for its own machine, though: then a rule holds for ARM's counterpart of the x86-64 call too ([`COUNTERPARTS`]).

use emu::linux::seccomp::{Insn, Program};
use emu::linux::table;
use libcontainer::oci_spec::runtime::{
    Arch, LinuxSeccomp, LinuxSeccompAction as Action, LinuxSeccompArg, LinuxSeccompOperator as Op,
    LinuxSyscall,
};
use std::collections::BTreeMap;

// include/uapi/linux/bpf_common.h, as `struct sock_filter` has them.
const LOAD: u16 = 0x20;
const AND: u16 = 0x54;
const JUMP: u16 = 0x05;
const JUMP_EQ: u16 = 0x15;
const JUMP_GT: u16 = 0x25;
const JUMP_GE: u16 = 0x35;
const RETURN: u16 = 0x06;
// include/uapi/linux/seccomp.h
const RET_KILL_PROCESS: u32 = 0x8000_0000;
const RET_ERRNO: u32 = 0x0005_0000;
/// AUDIT_ARCH_ARM.
const ARCH_ARM: u32 = 0x4000_0028;
/// Where `struct seccomp_data` has number, architecture and the arguments' low halves.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;

/// What one rule asks of a call's arguments, all of it.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Rule {
    verdict: u32,
    tests: Vec<Test>,
}

/// `(argument & mask) code value`, or its opposite.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Test {
    index: u32,
    mask: u32,
    code: u16,
    value: u32,
    wanted: bool,
}

/// An x86-64 call and ARM's with the same meaning under another name; `false` where the arguments are in other places.
#[rustfmt::skip]
const COUNTERPARTS: &[(&str, &str, bool)] = &[
    ("stat",                  "stat64",                       true),
    ("fstat",                 "fstat64",                      true),
    ("lstat",                 "lstat64",                      true),
    ("newfstatat",            "fstatat64",                    true),
    ("statfs",                "statfs64",                     false),
    ("fstatfs",               "fstatfs64",                    false),
    ("lseek",                 "_llseek",                      false),
    ("mmap",                  "mmap2",                        true),
    ("sendfile",              "sendfile64",                   true),
    ("truncate",              "truncate64",                   false),
    ("ftruncate",             "ftruncate64",                  false),
    ("fadvise64",             "arm_fadvise64_64",             false),
    ("sync_file_range",       "arm_sync_file_range",          false),
    ("fcntl",                 "fcntl64",                      true),
    ("getrlimit",             "ugetrlimit",                   true),
    ("select",                "_newselect",                   true),
    ("recvfrom",              "recv",                         true),
    ("sendto",                "send",                         true),
    ("rt_sigaction",          "sigaction",                    true),
    ("rt_sigprocmask",        "sigprocmask",                  true),
    ("rt_sigpending",         "sigpending",                   true),
    ("rt_sigsuspend",         "sigsuspend",                   false),
    ("rt_sigreturn",          "sigreturn",                    true),
    ("chown",                 "chown32",                      true),
    ("fchown",                "fchown32",                     true),
    ("lchown",                "lchown32",                     true),
    ("getuid",                "getuid32",                     true),
    ("geteuid",               "geteuid32",                    true),
    ("getgid",                "getgid32",                     true),
    ("getegid",               "getegid32",                    true),
    ("getgroups",             "getgroups32",                  true),
    ("getresuid",             "getresuid32",                  true),
    ("getresgid",             "getresgid32",                  true),
    ("setuid",                "setuid32",                     true),
    ("setgid",                "setgid32",                     true),
    ("setreuid",              "setreuid32",                   true),
    ("setregid",              "setregid32",                   true),
    ("setresuid",             "setresuid32",                  true),
    ("setresgid",             "setresgid32",                  true),
    ("setfsuid",              "setfsuid32",                   true),
    ("setfsgid",              "setfsgid32",                   true),
    ("setgroups",             "setgroups32",                  true),
    ("clock_gettime",         "clock_gettime64",              true),
    ("clock_settime",         "clock_settime64",              true),
    ("clock_adjtime",         "clock_adjtime64",              true),
    ("clock_getres",          "clock_getres_time64",          true),
    ("clock_nanosleep",       "clock_nanosleep_time64",       true),
    ("timer_gettime",         "timer_gettime64",              true),
    ("timer_settime",         "timer_settime64",              true),
    ("timerfd_gettime",       "timerfd_gettime64",            true),
    ("timerfd_settime",       "timerfd_settime64",            true),
    ("utimensat",             "utimensat_time64",             true),
    ("pselect6",              "pselect6_time64",              true),
    ("ppoll",                 "ppoll_time64",                 true),
    ("io_pgetevents",         "io_pgetevents_time64",         true),
    ("recvmmsg",              "recvmmsg_time64",              true),
    ("mq_timedsend",          "mq_timedsend_time64",          true),
    ("mq_timedreceive",       "mq_timedreceive_time64",       true),
    ("semtimedop",            "semtimedop_time64",            true),
    ("rt_sigtimedwait",       "rt_sigtimedwait_time64",       true),
    ("futex",                 "futex_time64",                 true),
    ("sched_rr_get_interval", "sched_rr_get_interval_time64", true),
];

/// Makes the filter.
///
/// # Errors
/// One line: what the profile asks for that cannot be enforced, or that means nothing.
pub fn compile(profile: &LinuxSeccomp) -> Result<Program, String> {
    let architectures = profile.architectures().as_deref().unwrap_or_default();
    let for_arm = architectures.contains(&Arch::ScmpArchArm);
    let for_host = architectures.is_empty()
        || [Arch::ScmpArchNative, Arch::ScmpArchX86_64]
            .iter()
            .any(|arch| architectures.contains(arch));
    if !for_arm && !for_host {
        return Err("none of the architectures is SCMP_ARCH_ARM or the host's".into());
    }
    if profile.listener_path().is_some() {
        return Err("listenerPath: decisions by another process are not supported".into());
    }
    let default = verdict(profile.default_action(), profile.default_errno_ret())?;
    let mut named: BTreeMap<u32, Vec<Rule>> = BTreeMap::new();
    let syscalls = profile.syscalls().as_deref().unwrap_or_default();
    for syscall in syscalls {
        let rules = rules_of(syscall).map_err(|error| format!("{}: {error}", syscall.names().join(", ")))?;
        for number in syscall.names().iter().filter_map(|name| number(name)) {
            named.entry(number).or_default().extend(rules.iter().cloned());
        }
    }
    if !for_arm {
        add_counterparts(&mut named, syscalls, default)?;
        add_private_calls(&mut named);
    }
    let mut code = vec![
        insn(LOAD, ARCHITECTURE),
        jump(JUMP_EQ, ARCH_ARM, 1, 0),
        insn(RETURN, RET_KILL_PROCESS),
        insn(LOAD, NUMBER),
    ];
    tree(&mut code, &ranges(named, default));
    Program::new(code).ok_or_else(|| "too many rules for one filter".into())
}

/// The ARM call of this name, if ARM has it: names of other machines' calls are in every profile.
fn number(name: &str) -> Option<u32> {
    let name = match name {
        "sync_file_range2" => "arm_sync_file_range",
        name => name,
    };
    table::lookup_name(name)
        .map(|row| row.arm)
        .filter(|&n| n != table::NO)
}

fn verdict(action: Action, errno: Option<u32>) -> Result<u32, String> {
    match (action, errno) {
        (Action::ScmpActNotify, _) => {
            Err("SCMP_ACT_NOTIFY: decisions by another process are not supported".into())
        }
        (Action::ScmpActErrno | Action::ScmpActTrace, Some(errno)) if errno > 0xffff => {
            Err(format!("errnoRet {errno}: more than 65535"))
        }
        (Action::ScmpActErrno | Action::ScmpActTrace, _) | (_, None) => Ok(action.as_u32(errno)),
        (action, Some(_)) => Err(format!("errnoRet means nothing to {action}")),
    }
}

/// Several, where an argument is tested more than once: then one of the tests must hold, as runc has it.
fn rules_of(syscall: &LinuxSyscall) -> Result<Vec<Rule>, String> {
    let verdict = verdict(syscall.action(), syscall.errno_ret())?;
    let args = syscall.args().as_deref().unwrap_or_default();
    if let Some(arg) = args.iter().find(|arg| arg.index() > 5) {
        return Err(format!("argument {}: a call has six, from 0", arg.index()));
    }
    let repeated = (0..6).any(|index| args.iter().filter(|a| a.index() == index).count() > 1);
    let groups: Vec<&[LinuxSeccompArg]> = match repeated {
        true => args.chunks(1).collect(),
        false => vec![args],
    };
    let rule = |group: &&[LinuxSeccompArg]| {
        Some(Rule {
            verdict,
            tests: tests(group)?,
        })
    };
    Ok(groups.iter().filter_map(rule).collect())
}

/// `None` if they can never hold. Arguments are 64 bits wide in a profile and 32 on ARM, the rest being zero.
fn tests(args: &[LinuxSeccompArg]) -> Option<Vec<Test>> {
    const TOP: u64 = u32::MAX as u64;
    let mut out = Vec::new();
    for arg in args {
        let (value, two) = (arg.value(), arg.value_two().unwrap_or(0));
        let (code, value, wanted, mask) = match arg.op() {
            Op::ScmpCmpEq if value > TOP => return None,
            Op::ScmpCmpEq => (JUMP_EQ, value, true, u32::MAX),
            Op::ScmpCmpNe if value > TOP => continue,
            Op::ScmpCmpNe => (JUMP_EQ, value, false, u32::MAX),
            Op::ScmpCmpLt if value > TOP => continue,
            Op::ScmpCmpLt => (JUMP_GE, value, false, u32::MAX),
            Op::ScmpCmpLe if value >= TOP => continue,
            Op::ScmpCmpLe => (JUMP_GT, value, false, u32::MAX),
            Op::ScmpCmpGe if value > TOP => return None,
            Op::ScmpCmpGe => (JUMP_GE, value, true, u32::MAX),
            Op::ScmpCmpGt if value >= TOP => return None,
            Op::ScmpCmpGt => (JUMP_GT, value, true, u32::MAX),
            Op::ScmpCmpMaskedEq if two > TOP => return None,
            Op::ScmpCmpMaskedEq => (JUMP_EQ, two, true, value as u32),
        };
        out.push(Test {
            index: arg.index() as u32,
            mask,
            code,
            value: value as u32,
            wanted,
        });
    }
    Some(out)
}

/// Rules for x86-64 calls hold for ARM's counterparts that the profile does not name itself.
fn add_counterparts(
    named: &mut BTreeMap<u32, Vec<Rule>>,
    syscalls: &[LinuxSyscall],
    default: u32,
) -> Result<(), String> {
    for (host, arm, same_places) in COUNTERPARTS {
        let by_itself = |syscall: &LinuxSyscall| syscall.names().iter().any(|name| name == arm);
        let (Some(number), false) = (number(arm), syscalls.iter().any(by_itself)) else {
            continue;
        };
        let of_host = syscalls
            .iter()
            .filter(|s| s.names().iter().any(|name| name == host));
        for mut rule in of_host
            .map(rules_of)
            .collect::<Result<Vec<_>, _>>()?
            .into_iter()
            .flatten()
        {
            if !same_places && !rule.tests.is_empty() {
                // What cannot be tested is denied.
                if rank(rule.verdict) >= rank(default) {
                    continue;
                }
                rule.tests.clear();
            }
            named.entry(number).or_default().push(rule);
        }
    }
    Ok(())
}

/// ARM's own calls, which a profile for another machine does not name and without which no program runs: they concern the
/// thread's registers and its memory alone.
fn add_private_calls(named: &mut BTreeMap<u32, Vec<Rule>>) {
    for row in table::rows::ROWS {
        if row.arm >= table::ARM_PRIVATE && row.arm != table::NO {
            named.entry(row.arm).or_insert_with(|| {
                vec![Rule {
                    verdict: Action::ScmpActAllow.as_u32(None),
                    tests: Vec::new(),
                }]
            });
        }
    }
}

/// Verdicts in the kernel's order: the lower as a signed number the more restrictive.
fn rank(verdict: u32) -> i32 {
    (verdict & 0xffff_0000) as i32
}

/// What happens from a number on.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Outcome {
    Always(u32),
    /// The first whose tests hold, else the value.
    ByArguments(Vec<Rule>, u32),
}

/// The number line, cut where the outcome changes. Sorted, from 0.
fn ranges(named: BTreeMap<u32, Vec<Rule>>, default: u32) -> Vec<(u32, Outcome)> {
    let newest = named.keys().copied().filter(|&n| n < table::ARM_PRIVATE).max();
    let mut out = vec![(0, Outcome::Always(default))];
    let mut push = |from: u32, outcome: Outcome| {
        out.retain(|(start, _)| *start < from);
        if out.last().is_none_or(|(_, last)| *last != outcome) {
            out.push((from, outcome));
        }
    };
    for (number, mut rules) in named {
        // As libseccomp: a rule without tests overrides those with some.
        let outcome = match rules.iter().find(|rule| rule.tests.is_empty()) {
            Some(rule) => Outcome::Always(rule.verdict),
            None => {
                rules.sort_by_key(|rule| rank(rule.verdict));
                Outcome::ByArguments(rules, default)
            }
        };
        push(number, outcome);
        let rest = match newest {
            // As runc: a call that is newer than the profile does not exist, so that programs fall back to others.
            Some(newest)
                if number >= newest && number < table::ARM_PRIVATE && rank(default) == RET_ERRNO as i32 =>
            {
                RET_ERRNO | libc::ENOSYS as u32
            }
            _ => default,
        };
        push(number + 1, Outcome::Always(rest));
    }
    out
}

/// A binary search for the number that is in the accumulator.
fn tree(code: &mut Vec<Insn>, ranges: &[(u32, Outcome)]) {
    let [(_, only)] = ranges else {
        let (left, right) = ranges.split_at(ranges.len() / 2);
        code.push(jump(JUMP_GE, right[0].0, 0, 1));
        let far = code.len();
        code.push(insn(JUMP, 0));
        tree(code, left);
        code[far].k = (code.len() - far - 1) as u32;
        tree(code, right);
        return;
    };
    let default = match only {
        Outcome::Always(verdict) => *verdict,
        Outcome::ByArguments(rules, default) => {
            rules.iter().for_each(|rule| emit(code, rule));
            *default
        }
    };
    code.push(insn(RETURN, default));
}

/// Returns the rule's verdict if its tests hold, and goes on behind it if not.
fn emit(code: &mut Vec<Insn>, rule: &Rule) {
    let mut failures = Vec::new();
    for test in &rule.tests {
        code.push(insn(LOAD, ARGUMENTS + 8 * test.index));
        if test.mask != u32::MAX {
            code.push(insn(AND, test.mask));
        }
        failures.push(code.len());
        code.push(jump(test.code, test.value, 0, 0));
    }
    code.push(insn(RETURN, rule.verdict));
    for (at, test) in failures.into_iter().zip(&rule.tests) {
        // At most six tests of three instructions lie between.
        let over = (code.len() - at - 1) as u8;
        match test.wanted {
            true => code[at].jf = over,
            false => code[at].jt = over,
        }
    }
}

fn insn(code: u16, k: u32) -> Insn {
    jump(code, k, 0, 0)
}

fn jump(code: u16, k: u32, jt: u8, jf: u8) -> Insn {
    Insn { code, jt, jf, k }
}

#[cfg(test)]
mod tests;
