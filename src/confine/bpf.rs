//! Policies as classic BPF programs: the baseline's, made when `emu` is compiled, and the strict one, made at start.
//!
//! For most calls a program reads the architecture and the call's number only, so the kernel (5.11 and later) works out
//! once which numbers are always allowed and does not run it for those.

use super::policy::{
    BASELINE, Denial, I386_SET_ROBUST_LIST, MARKER, MARKER_BEHIND_ERRNO, MARKER_ERRNO, TERMINAL_INPUT,
    X32_BIT,
};
use super::strict::{Check, ExecutableRange};
use seccompiler::sock_filter;

// include/uapi/linux/bpf_common.h, seccomp.h, audit.h.
const LOAD_WORD: u16 = 0x20;
const JUMP_EQ: u16 = 0x15;
const JUMP_GE: u16 = 0x35;
const JUMP_SET: u16 = 0x45;
const JUMP: u16 = 0x05;
const RETURN: u16 = 0x06;
const DATA_NR: u32 = 0;
const DATA_ARCH: u32 = 4;
const DATA_ARGS: u32 = 16;
const AUDIT_ARCH_X86_64: u32 = 0xc000_003e;
const AUDIT_ARCH_I386: u32 = 0x4000_0003;
const RET_KILL_PROCESS: u32 = 0x8000_0000;
const RET_ERRNO: u32 = 0x0005_0000;
const RET_ALLOW: u32 = 0x7fff_0000;

const fn insn(code: u16, jt: usize, jf: usize, k: u32) -> sock_filter {
    assert!(jt < 256 && jf < 256);
    sock_filter {
        code,
        jt: jt as u8,
        jf: jf as u8,
        k,
    }
}

/// Before the rules: architecture, number, x32, marker. After them: one return for each verdict.
const HEAD: usize = 6;
const ALLOW: usize = HEAD + BASELINE.len();
const PERM: usize = ALLOW + 1;
const NOSYS: usize = ALLOW + 2;
const MARKED: usize = ALLOW + 3;
const KILL: usize = ALLOW + 4;
/// ioctl: its request, and the two that are refused.
const IOCTL: usize = ALLOW + 5;
/// Another architecture: i386, its number, the one call.
const OTHER: usize = IOCTL + 5;
const OTHER_ALLOW: usize = OTHER + 3;
const OTHER_KILL: usize = OTHER + 4;
const LENGTH: usize = OTHER + 5;

pub static PROGRAM: [sock_filter; LENGTH] = baseline(MARKER_ERRNO);
/// For a process that has a filter of another's already.
pub static PROGRAM_BEHIND: [sock_filter; LENGTH] = baseline(MARKER_BEHIND_ERRNO);

const fn baseline(marker_errno: i32) -> [sock_filter; LENGTH] {
    const EMPTY: sock_filter = insn(RETURN, 0, 0, RET_KILL_PROCESS);
    let mut p = [EMPTY; LENGTH];
    // A jump's offset counts from the instruction behind it.
    p[0] = insn(LOAD_WORD, 0, 0, DATA_ARCH);
    p[1] = insn(JUMP_EQ, 0, OTHER - 2, AUDIT_ARCH_X86_64);
    p[2] = insn(LOAD_WORD, 0, 0, DATA_NR);
    p[3] = insn(JUMP_GE, KILL - 4, 0, X32_BIT);
    p[4] = insn(JUMP_EQ, MARKED - 5, 0, MARKER as u32);
    p[5] = insn(JUMP_EQ, IOCTL - 6, 0, libc::SYS_ioctl as u32);
    let mut i = 0;
    while i < BASELINE.len() {
        let target = match BASELINE[i].denial {
            Denial::NotPermitted => PERM,
            Denial::NotImplemented => NOSYS,
        };
        p[HEAD + i] = insn(JUMP_EQ, target - (HEAD + i + 1), 0, BASELINE[i].number as u32);
        i += 1;
    }
    p[ALLOW] = insn(RETURN, 0, 0, RET_ALLOW);
    p[PERM] = insn(RETURN, 0, 0, RET_ERRNO | Denial::NotPermitted.errno() as u32);
    p[NOSYS] = insn(RETURN, 0, 0, RET_ERRNO | Denial::NotImplemented.errno() as u32);
    p[MARKED] = insn(RETURN, 0, 0, RET_ERRNO | marker_errno as u32);
    p[IOCTL] = insn(LOAD_WORD, 0, 0, DATA_ARGS + 8);
    p[IOCTL + 1] = insn(JUMP_EQ, 2, 0, TERMINAL_INPUT[0]);
    p[IOCTL + 2] = insn(JUMP_EQ, 1, 0, TERMINAL_INPUT[1]);
    p[IOCTL + 3] = insn(RETURN, 0, 0, RET_ALLOW);
    p[IOCTL + 4] = insn(RETURN, 0, 0, RET_ERRNO | libc::EPERM as u32);
    p[OTHER] = insn(JUMP_EQ, 0, OTHER_KILL - (OTHER + 1), AUDIT_ARCH_I386);
    p[OTHER + 1] = insn(LOAD_WORD, 0, 0, DATA_NR);
    p[OTHER + 2] = insn(JUMP_EQ, 0, OTHER_KILL - (OTHER + 3), I386_SET_ROBUST_LIST);
    p[OTHER_ALLOW] = insn(RETURN, 0, 0, RET_ALLOW);
    p
}

/// What a program says to one call.
#[derive(Clone, Copy, Debug)]
pub enum Verdict {
    Allow,
    Errno(i32),
    If(Check),
}

/// A program for a sorted list of numbers; a number that is not in it is ENOSYS. The numbers are found by halving, so that
/// neither a call nor the kernel's look at every number takes long.
pub fn build(rows: &[(u32, Verdict)], arena: ExecutableRange, marker_errno: i32) -> Vec<sock_filter> {
    let mut out = vec![
        insn(LOAD_WORD, 0, 0, DATA_ARCH),
        insn(JUMP_EQ, 5, 0, AUDIT_ARCH_X86_64),
        insn(JUMP_EQ, 0, 3, AUDIT_ARCH_I386),
        insn(LOAD_WORD, 0, 0, DATA_NR),
        insn(JUMP_EQ, 0, 1, I386_SET_ROBUST_LIST),
        insn(RETURN, 0, 0, RET_ALLOW),
        insn(RETURN, 0, 0, RET_KILL_PROCESS),
        insn(LOAD_WORD, 0, 0, DATA_NR),
        insn(JUMP_GE, 0, 1, X32_BIT),
        insn(RETURN, 0, 0, RET_KILL_PROCESS),
        insn(JUMP_EQ, 0, 1, MARKER as u32),
        insn(RETURN, 0, 0, RET_ERRNO | marker_errno as u32),
    ];
    // From each number on, up to the next.
    let mut pieces: Vec<(u32, Verdict)> = Vec::new();
    let mut next = 0;
    for &(number, verdict) in rows {
        if number > next {
            pieces.push((next, Verdict::Errno(libc::ENOSYS)));
        }
        match (pieces.last(), verdict) {
            (Some((_, Verdict::Allow)), Verdict::Allow) if number == next => {}
            _ => pieces.push((number, verdict)),
        }
        next = number + 1;
    }
    pieces.push((next, Verdict::Errno(libc::ENOSYS)));
    out.extend(choose(&pieces, arena));
    out
}

/// Code that finds the piece the number in the accumulator is in.
fn choose(pieces: &[(u32, Verdict)], arena: ExecutableRange) -> Vec<sock_filter> {
    if let [(_, verdict)] = pieces {
        return match verdict {
            Verdict::Allow => vec![insn(RETURN, 0, 0, RET_ALLOW)],
            Verdict::Errno(errno) => vec![insn(RETURN, 0, 0, RET_ERRNO | *errno as u32)],
            Verdict::If(check) => condition(*check, arena),
        };
    }
    let (left, right) = pieces.split_at(pieces.len() / 2);
    let low = choose(left, arena);
    // The jump over the lower half may be longer than a conditional one can be.
    let mut out = vec![
        insn(JUMP_GE, 0, 1, right[0].0),
        insn(JUMP, 0, 0, low.len() as u32),
    ];
    out.extend(low);
    out.extend(choose(right, arena));
    out
}

fn argument(index: u8) -> u32 {
    DATA_ARGS + 8 * u32::from(index)
}

fn condition(check: Check, arena: ExecutableRange) -> Vec<sock_filter> {
    let refuse = |errno: i32| insn(RETURN, 0, 0, RET_ERRNO | errno as u32);
    let allow = insn(RETURN, 0, 0, RET_ALLOW);
    match check {
        Check::ArenaOnly => {
            let words = [
                (argument(0), arena.start as u32),
                (argument(0) + 4, (arena.start >> 32) as u32),
                (argument(1), arena.len as u32),
                (argument(1) + 4, (arena.len >> 32) as u32),
            ];
            let mut out = vec![
                insn(LOAD_WORD, 0, 0, argument(2)),
                insn(JUMP_SET, 1, 0, libc::PROT_EXEC as u32),
                allow.clone(),
                insn(JUMP_SET, 2 * words.len() + 1, 0, libc::PROT_WRITE as u32),
            ];
            for (i, (offset, value)) in words.into_iter().enumerate() {
                out.push(insn(LOAD_WORD, 0, 0, offset));
                // Over the pairs left and the permission, to the refusal.
                out.push(insn(JUMP_EQ, 0, 2 * (words.len() - 1 - i) + 1, value));
            }
            out.extend([allow, refuse(libc::EACCES)]);
            out
        }
        Check::NoBits { arg, mask, errno } => vec![
            insn(LOAD_WORD, 0, 0, argument(arg)),
            insn(JUMP_SET, 1, 0, mask),
            allow,
            refuse(errno),
        ],
        Check::NotOneOf { arg, values, errno } => {
            let mut out = vec![insn(LOAD_WORD, 0, 0, argument(arg))];
            for (i, value) in values.iter().enumerate() {
                out.push(insn(JUMP_EQ, values.len() - i, 0, *value));
            }
            out.extend([allow, refuse(errno)]);
            out
        }
        Check::NotBoth { pair, errno } => vec![
            insn(LOAD_WORD, 0, 0, argument(pair[0].0)),
            insn(JUMP_EQ, 0, 2, pair[0].1),
            insn(LOAD_WORD, 0, 0, argument(pair[1].0)),
            insn(JUMP_EQ, 1, 0, pair[1].1),
            allow,
            refuse(errno),
        ],
        Check::Families(families) => {
            let mut out = vec![insn(LOAD_WORD, 0, 0, argument(0))];
            for family in families {
                if *family == libc::AF_NETLINK as u32 {
                    out.extend([
                        insn(JUMP_EQ, 0, 4, *family),
                        insn(LOAD_WORD, 0, 0, argument(2)),
                        insn(JUMP_EQ, 0, 1, libc::NETLINK_ROUTE as u32),
                        allow.clone(),
                        refuse(libc::EPROTONOSUPPORT),
                    ]);
                } else {
                    out.extend([insn(JUMP_EQ, 0, 1, *family), allow.clone()]);
                }
            }
            out.push(refuse(libc::EAFNOSUPPORT));
            out
        }
    }
}
