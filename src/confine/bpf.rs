//! The baseline policy as a classic BPF program, made when `emu` is compiled.
//!
//! The program reads the architecture and the call's number only, so the kernel (5.11 and later) works out once
//! which numbers are always allowed and does not run it for those.

use super::policy::{
    BASELINE, Denial, I386_SET_ROBUST_LIST, MARKER, MARKER_BEHIND_ERRNO, MARKER_ERRNO, X32_BIT,
};
use seccompiler::sock_filter;

// include/uapi/linux/bpf_common.h, seccomp.h, audit.h.
const LOAD_WORD: u16 = 0x20;
const JUMP_EQ: u16 = 0x15;
const JUMP_GE: u16 = 0x35;
const RETURN: u16 = 0x06;
const DATA_NR: u32 = 0;
const DATA_ARCH: u32 = 4;
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
const HEAD: usize = 5;
const ALLOW: usize = HEAD + BASELINE.len();
const PERM: usize = ALLOW + 1;
const NOSYS: usize = ALLOW + 2;
const MARKED: usize = ALLOW + 3;
const KILL: usize = ALLOW + 4;
/// Another architecture: i386, its number, the one call.
const OTHER: usize = ALLOW + 5;
const OTHER_ALLOW: usize = OTHER + 3;
const OTHER_KILL: usize = OTHER + 4;
const LENGTH: usize = OTHER + 5;

pub static PROGRAM: [sock_filter; LENGTH] = build(MARKER_ERRNO);
/// For a process that has a filter of another's already.
pub static PROGRAM_BEHIND: [sock_filter; LENGTH] = build(MARKER_BEHIND_ERRNO);

const fn build(marker_errno: i32) -> [sock_filter; LENGTH] {
    const EMPTY: sock_filter = insn(RETURN, 0, 0, RET_KILL_PROCESS);
    let mut p = [EMPTY; LENGTH];
    // A jump's offset counts from the instruction behind it.
    p[0] = insn(LOAD_WORD, 0, 0, DATA_ARCH);
    p[1] = insn(JUMP_EQ, 0, OTHER - 2, AUDIT_ARCH_X86_64);
    p[2] = insn(LOAD_WORD, 0, 0, DATA_NR);
    p[3] = insn(JUMP_GE, KILL - 4, 0, X32_BIT);
    p[4] = insn(JUMP_EQ, MARKED - 5, 0, MARKER as u32);
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
    p[OTHER] = insn(JUMP_EQ, 0, OTHER_KILL - (OTHER + 1), AUDIT_ARCH_I386);
    p[OTHER + 1] = insn(LOAD_WORD, 0, 0, DATA_NR);
    p[OTHER + 2] = insn(JUMP_EQ, 0, OTHER_KILL - (OTHER + 3), I386_SET_ROBUST_LIST);
    p[OTHER_ALLOW] = insn(RETURN, 0, 0, RET_ALLOW);
    p
}
