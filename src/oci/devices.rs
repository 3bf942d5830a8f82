//! Which devices a container may open, under control groups of version 2: there the kernel asks a BPF program, and
//! libcontainer makes none without a C library. Version 1 has the devices controller, which libcontainer sets.

use libcgroups::common::{CgroupSetup, get_cgroup_setup};
use libcontainer::oci_spec::runtime::{LinuxDeviceCgroup, LinuxDeviceType};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};

// include/uapi/linux/bpf.h
const BPF_PROG_LOAD: i32 = 5;
const BPF_PROG_ATTACH: i32 = 8;
const BPF_PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const BPF_CGROUP_DEVICE: u32 = 6;
const BPF_F_ALLOW_MULTI: u32 = 2;
const BLOCK: i32 = 1;
const CHARACTER: i32 = 2;
const MKNOD: i32 = 1;
const READ: i32 = 2;
const WRITE: i32 = 4;

// Opcodes; the registers hold what struct bpf_cgroup_dev_ctx says.
const LOAD: u8 = 0x61;
const MOVE: u8 = 0xbc;
const AND: u8 = 0x54;
const SHIFT_RIGHT: u8 = 0x74;
const SET: u8 = 0xb4;
const JUMP_UNLESS_EQUAL: u8 = 0x55;
const JUMP_IF_EQUAL: u8 = 0x15;
const JUMP_IF_ANY: u8 = 0x45;
const EXIT: u8 = 0x95;
const RESULT: u8 = 0;
const CONTEXT: u8 = 1;
const KIND: u8 = 2;
const ACCESS: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;
const SCRATCH: u8 = 6;

/// What every container may use: to make nodes, and null, zero, full, random, urandom, tty, console, ptmx, terminals.
#[rustfmt::skip]
const USUAL: [Rule; 11] = [
    Rule { allow: true, kind: Some(CHARACTER), major: None,      minor: None,    access: MKNOD },
    Rule { allow: true, kind: Some(BLOCK),     major: None,      minor: None,    access: MKNOD },
    Rule { allow: true, kind: Some(CHARACTER), major: Some(1),   minor: Some(3), access: MKNOD | READ | WRITE },
    Rule { allow: true, kind: Some(CHARACTER), major: Some(1),   minor: Some(5), access: MKNOD | READ | WRITE },
    Rule { allow: true, kind: Some(CHARACTER), major: Some(1),   minor: Some(7), access: MKNOD | READ | WRITE },
    Rule { allow: true, kind: Some(CHARACTER), major: Some(1),   minor: Some(8), access: MKNOD | READ | WRITE },
    Rule { allow: true, kind: Some(CHARACTER), major: Some(1),   minor: Some(9), access: MKNOD | READ | WRITE },
    Rule { allow: true, kind: Some(CHARACTER), major: Some(5),   minor: Some(0), access: MKNOD | READ | WRITE },
    Rule { allow: true, kind: Some(CHARACTER), major: Some(5),   minor: Some(1), access: MKNOD | READ | WRITE },
    Rule { allow: true, kind: Some(CHARACTER), major: Some(5),   minor: Some(2), access: MKNOD | READ | WRITE },
    Rule { allow: true, kind: Some(CHARACTER), major: Some(136), minor: None,    access: MKNOD | READ | WRITE },
];

/// A rule; `None` is any.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Rule {
    allow: bool,
    kind: Option<i32>,
    major: Option<i32>,
    minor: Option<i32>,
    access: i32,
}

#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Insn {
    code: u8,
    registers: u8,
    offset: i16,
    value: i32,
}

/// Puts the rules of `linux.resources.devices` before the container of process `pid`, where they are BPF's to enforce.
///
/// # Errors
/// One line; then nothing holds, and the container must not start.
pub fn restrict(pid: i32, rules: &[LinuxDeviceCgroup]) -> Result<(), String> {
    if !matches!(get_cgroup_setup(), Ok(CgroupSetup::Unified)) {
        return Ok(());
    }
    let place = |error: io::Error| format!("linux.resources.devices: {error}");
    let group = group_of(pid).map_err(place)?;
    match attach(&group, &program(rules)) {
        // Without privileges on the host there are none that a node could give.
        Err(error) if error.raw_os_error() == Some(libc::EPERM) && in_user_namespace() => Ok(()),
        result => result.map_err(place),
    }
}

/// The directory of a process's group, from `0::/PATH`.
fn group_of(pid: i32) -> io::Result<PathBuf> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/cgroup"))?;
    let path = text.lines().find_map(|line| line.strip_prefix("0::/"));
    path.map(|path| Path::new("/sys/fs/cgroup").join(path))
        .ok_or_else(|| io::Error::other("no control group"))
}

/// Whether this process's root is not the host's: the initial namespace maps all users.
fn in_user_namespace() -> bool {
    // SAFETY: no preconditions.
    let unprivileged = unsafe { libc::geteuid() } != 0;
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    unprivileged || map.split_whitespace().collect::<Vec<_>>() != ["0", "0", "4294967295"]
}

/// Default denial, then the usual devices, then the container's rules: the last that matches decides.
fn program(rules: &[LinuxDeviceCgroup]) -> Vec<Insn> {
    let mut code = vec![
        insn(LOAD, KIND, CONTEXT, 0, 0),
        insn(MOVE, ACCESS, KIND, 0, 0),
        insn(AND, KIND, 0, 0, 0xffff),
        insn(SHIFT_RIGHT, ACCESS, 0, 0, 16),
        insn(LOAD, MAJOR, CONTEXT, 4, 0),
        insn(LOAD, MINOR, CONTEXT, 8, 0),
    ];
    // runc's order: what engines deny for all comes first in their list, the usual devices next.
    let own: Vec<Rule> = rules.iter().map(Rule::from_spec).collect();
    let blanket = own.iter().take_while(|r| !r.allow && r.kind.is_none()).count();
    let ordered = own[..blanket].iter().chain(&USUAL).chain(&own[blanket..]);
    for rule in ordered.rev() {
        rule.emit(&mut code);
    }
    code.push(insn(SET, RESULT, 0, 0, 0));
    code.push(insn(EXIT, 0, 0, 0, 0));
    code
}

impl Rule {
    fn from_spec(rule: &LinuxDeviceCgroup) -> Rule {
        let access = rule.access().as_deref().unwrap_or("rwm");
        let bit = |c: char, bit: i32| if access.contains(c) { bit } else { 0 };
        let number = |n: Option<i64>| n.and_then(|n| i32::try_from(n).ok()).filter(|&n| n >= 0);
        Rule {
            allow: rule.allow(),
            kind: match rule.typ() {
                Some(LinuxDeviceType::B) => Some(BLOCK),
                Some(LinuxDeviceType::C | LinuxDeviceType::U) => Some(CHARACTER),
                _ => None,
            },
            major: number(rule.major()),
            minor: number(rule.minor()),
            access: bit('r', READ) | bit('w', WRITE) | bit('m', MKNOD),
        }
    }

    fn emit(&self, code: &mut Vec<Insn>) {
        let start = code.len();
        for (register, wanted) in [(KIND, self.kind), (MAJOR, self.major), (MINOR, self.minor)] {
            if let Some(value) = wanted {
                code.push(insn(JUMP_UNLESS_EQUAL, register, 0, 0, value));
            }
        }
        let all = MKNOD | READ | WRITE;
        if self.access != all {
            // A permission is for all that is asked, a denial for any part of it.
            let (mask, code_of) = match self.allow {
                true => (all & !self.access, JUMP_IF_ANY),
                false => (self.access, JUMP_IF_EQUAL),
            };
            code.push(insn(MOVE, SCRATCH, ACCESS, 0, 0));
            code.push(insn(AND, SCRATCH, 0, 0, mask));
            code.push(insn(code_of, SCRATCH, 0, 0, if self.allow { all } else { 0 }));
        }
        code.push(insn(SET, RESULT, 0, 0, i32::from(self.allow)));
        code.push(insn(EXIT, 0, 0, 0, 0));
        let end = code.len();
        for (at, insn) in code.iter_mut().enumerate().skip(start) {
            if matches!(insn.code, JUMP_UNLESS_EQUAL | JUMP_IF_EQUAL | JUMP_IF_ANY) {
                insn.offset = (end - at - 1) as i16;
            }
        }
    }
}

fn insn(code: u8, to: u8, from: u8, offset: i16, value: i32) -> Insn {
    Insn {
        code,
        registers: to | from << 4,
        offset,
        value,
    }
}

fn attach(group: &Path, program: &[Insn]) -> io::Result<()> {
    /// The fields that BPF_PROG_LOAD wants, of `union bpf_attr`; the kernel takes the others for zero.
    #[repr(C)]
    struct Load {
        prog_type: u32,
        insn_cnt: u32,
        insns: u64,
        license: u64,
    }
    #[repr(C)]
    struct Attach {
        target_fd: u32,
        attach_bpf_fd: u32,
        attach_type: u32,
        attach_flags: u32,
    }
    let group = File::open(group)?;
    let load = Load {
        prog_type: BPF_PROG_TYPE_CGROUP_DEVICE,
        insn_cnt: program.len() as u32,
        insns: program.as_ptr() as u64,
        license: c"Apache-2.0".as_ptr() as u64,
    };
    // SAFETY: the structure has the size that is given; instructions and licence live through the call.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, BPF_PROG_LOAD, &raw const load, size_of::<Load>()) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a new descriptor that nothing else knows.
    let loaded = unsafe { OwnedFd::from_raw_fd(fd as i32) };
    let attach = Attach {
        target_fd: group.as_raw_fd() as u32,
        attach_bpf_fd: loaded.as_raw_fd() as u32,
        attach_type: BPF_CGROUP_DEVICE,
        attach_flags: BPF_F_ALLOW_MULTI,
    };
    // SAFETY: as above; the group keeps the program when both descriptors are closed.
    match unsafe {
        libc::syscall(
            libc::SYS_bpf,
            BPF_PROG_ATTACH,
            &raw const attach,
            size_of::<Attach>(),
        )
    } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn rules(json: serde_json::Value) -> Vec<LinuxDeviceCgroup> {
        serde_json::from_value(json).expect("rules")
    }

    /// In a group of its own below the first mount of version 2, if that can be had: the kernel's own judgement.
    #[test]
    fn the_kernel_enforces_the_program() {
        let mounts = std::fs::read_to_string("/proc/self/mounts").expect("mounts");
        let mount = mounts
            .lines()
            .find(|line| line.split(' ').nth(2) == Some("cgroup2"));
        let Some(top) = mount.and_then(|line| line.split(' ').nth(1)) else {
            println!("left out: no control groups of version 2");
            return;
        };
        let group = Path::new(top).join(format!("emu-oci-devices-{}", std::process::id()));
        if let Err(error) = std::fs::create_dir(&group) {
            println!("left out: {}: {error}", group.display());
            return;
        }
        let code = program(&rules(serde_json::json!([
            { "allow": false, "access": "rwm" },
            { "allow": false, "type": "c", "major": 1, "minor": 7, "access": "rwm" },
            { "allow": false, "type": "c", "major": 1, "minor": 5, "access": "w" },
        ])));
        let attached = attach(&group, &code);
        let tries = ["</dev/zero", "</dev/full", ">/dev/zero", "</dev/urandom"];
        let tries = tries.map(|what| format!("(true {what}) 2>/dev/null && echo yes || echo no"));
        let script = format!(
            "echo $$ >{}/cgroup.procs && {{ {}; }}",
            group.display(),
            tries.join("; ")
        );
        let output = Command::new("sh").args(["-c", &script]).output();
        let said = output.map(|o| String::from_utf8_lossy(&o.stdout).replace('\n', " "));
        std::fs::remove_dir(&group).expect("the group is empty");
        match attached {
            Err(error)
                if matches!(
                    error.raw_os_error(),
                    Some(libc::EPERM | libc::ENOSYS | libc::EINVAL)
                ) =>
            {
                println!("left out: bpf: {error}");
            }
            Err(error) => panic!("{error}"),
            // Denied by the second rule, and by the third when written.
            Ok(()) => assert_eq!(said.expect("sh"), "yes no no yes "),
        }
    }
}
