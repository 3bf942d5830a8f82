//! The code that every process's arena starts with: entry, exits, the miss of the jump table.

use super::asm::{Asm, Enc, Mem};
use super::regs::{self, PINNED, RAX, RCX, RDX, disp};
use crate::cpu::state::{CpuState, STATE_BIAS};
use dynasmrt::{DynasmApi, DynasmLabelApi, dynasm};
use std::mem::offset_of;

const EXIT_KIND: i32 = disp(offset_of!(CpuState, exit_kind));
const EXIT_ARG: i32 = disp(offset_of!(CpuState, exit_arg));
const EXIT_ADDR: i32 = disp(offset_of!(CpuState, exit_addr));
const JIT_SP: i32 = disp(offset_of!(CpuState, jit_sp));
const HOST_SP: i32 = disp(offset_of!(CpuState, host_sp));
const MXCSR: i32 = disp(offset_of!(CpuState, mxcsr));
const HOST_MXCSR: i32 = disp(offset_of!(CpuState, host_mxcsr));
const PENDING: i32 = disp(offset_of!(CpuState, pending));
const HELPERS: i32 = disp(offset_of!(CpuState, helpers));
const CALL_ARGS: i32 = disp(offset_of!(CpuState, call_args));

/// Why translated code came back (`CpuState::exit_kind`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum ExitKind {
    /// `pending` was set at entry: nothing ran.
    Pending = 0,
    /// A direct exit that is not linked: `exit_arg` is its identifier.
    Link = 1,
    /// An indirect branch whose target has no table entry: `exit_arg` is the guest address with the T bit.
    Lookup = 2,
    /// SVC: `exit_arg` is the immediate, r15 the next instruction's address.
    Svc = 3,
    /// `exit_arg` is an `ir::ops::Trap`, `exit_addr` its argument; r15 is the instruction's address.
    Trap = 4,
    /// FPSCR was written: r15 is set, the FP mode must be looked at.
    Fpscr = 5,
    /// A signal handler wrote the whole guest state and sent the thread here.
    Captured = 6,
    /// Alignment fault at `exit_addr`; r15 is the instruction's address.
    Align = 7,
    /// A system call has been made on the way (`Helper::Svc`); r15 is behind the SVC.
    Served = 8,
    /// A system call has been left undone on the way, for a signal; r15 is behind the SVC.
    Undone = 9,
}

/// Indices in `CpuState::helpers`: stubs that blocks jump to, and functions that they call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(usize)]
pub enum Helper {
    /// eax: exit identifier.
    ExitLink = 0,
    /// ecx: guest address.
    ExitLookup = 1,
    /// Called, not jumped to: eax is the SVC immediate. Asks [`Helper::Direct`] to make the call, and returns if it has; else
    /// leaves with the exit kind that it answers.
    Svc = 2,
    /// eax: trap kind; edx: argument.
    ExitTrap = 3,
    ExitFpscr = 4,
    /// eax: address.
    ExitAlign = 5,
    /// Called, not jumped to: calls the Rust function whose helper index is in eax with the state and `call_args`;
    /// the result is in rax. Pinned registers are stored before and loaded after.
    CallRust = 6,
    /// The same, and all XMM registers and rcx, rdx survive.
    CallRustSaving = 7,
    /// Rust functions from here on: `extern "sysv64" fn(&mut CpuState, u64, u64, u64, u64) -> u64`.
    /// (op | aux << 8, imm | imm2 << 32) are packed in the first argument by [`pack_op`].
    FpOp = 8,
    GetFpscr = 9,
    SetFpscr = 10,
    /// Integer operations too rare for inline code, arguments as `FpOp`.
    IntOp = 11,
    /// `Op::ClockCall`, arguments as `FpOp`.
    ClockCall = 12,
    /// `Op::Vec`, `Op::VecSat` or `Op::VecFp`, packed as for `FpOp`; operands and result are in `vec_args`.
    VecOp = 13,
    /// No function: the table `softfp::ESTIMATES`.
    Estimates = 14,
    /// `extern "sysv64" fn(&mut CpuState, imm: u32) -> u32`: 0 if the system call has been made and translated code goes
    /// on, else an [`ExitKind`]. Null: every call leaves.
    Direct = 15,
}

/// Displacement from the state pointer of entry `h` of the helper table.
pub const fn helper_disp(h: Helper) -> i32 {
    regs::disp(offset_of!(CpuState, helpers) + 8 * h as usize)
}

/// Offsets of the stubs from the start of the arena.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stubs {
    /// `extern "sysv64" fn(state: *mut CpuState, code: *const u8)`: enters translated code at `code`; returns when it exits.
    pub enter: u32,
    /// Part of `enter` after the check of `pending` up to the jump: a signal handler that finds the pc in
    /// `[enter_window.0, enter_window.1)` moves it to `enter_pending`.
    pub enter_window: (u32, u32),
    pub enter_pending: u32,
    /// Where a handler sends a thread after it has written the guest state (pinned registers included) itself:
    /// restores the host's registers from `host_sp` and returns from `enter` with kind `Captured`.
    pub captured: u32,
    /// The stubs by [`Helper`] index (0-7).
    pub jumps: [u32; 8],
}

/// Emits the stubs: the bytes that the arena starts with. Offset 0 is the lookup exit, so that an empty entry of the
/// jump table leads there.
pub fn emit() -> (Vec<u8>, Stubs) {
    let mut a = Asm::new();
    let mut s = Stubs::default();
    let leave = a.new_label();

    // Lookup, at offset 0: ecx is the guest address.
    s.jumps[Helper::ExitLookup as usize] = a.pos();
    exit(&mut a, leave, ExitKind::Lookup, |a| {
        a.store(Mem::state(EXIT_ARG), RCX)
    });
    for (h, kind) in [
        (Helper::ExitLink, ExitKind::Link),
        (Helper::ExitFpscr, ExitKind::Fpscr),
    ] {
        s.jumps[h as usize] = a.pos();
        exit(&mut a, leave, kind, |a| a.store(Mem::state(EXIT_ARG), RAX));
    }
    s.jumps[Helper::ExitTrap as usize] = a.pos();
    exit(&mut a, leave, ExitKind::Trap, |a| {
        a.store(Mem::state(EXIT_ARG), RAX);
        a.op(Enc::new(0x89).w(), RDX, Mem::state(EXIT_ADDR).into());
    });
    s.jumps[Helper::ExitAlign as usize] = a.pos();
    exit(&mut a, leave, ExitKind::Align, |a| {
        a.op(Enc::new(0x89).w(), RAX, Mem::state(EXIT_ADDR).into());
    });

    // The common way out: pinned registers to the state, then the host's own back.
    a.bind(leave);
    for (r, host) in PINNED.iter().enumerate() {
        if let Some(h) = host {
            a.store(Mem::state(regs::reg_disp(r as u8)), *h);
        }
    }
    dynasm!(a.ops; .arch x64
        ; mov QWORD [rbp + JIT_SP], rsp
        ; stmxcsr [rbp + MXCSR]
    );
    let restore = a.new_label();
    a.bind(restore);
    dynasm!(a.ops; .arch x64
        ; mov rsp, QWORD [rbp + HOST_SP]
        ; pop r15
        ; pop r14
        ; pop r13
        ; pop r12
        ; pop rbx
        ; pop rbp
        ; ret
    );

    // A handler has stored everything: only the host's registers are to be restored.
    s.captured = a.pos();
    a.store_imm(Mem::state(EXIT_KIND), ExitKind::Captured as u32);
    a.jmp(restore);

    // enter(rdi = state, rsi = code). MXCSR stays as the guest has it while the run loop runs, which computes nothing in
    // floating point: two LDMXCSR an entry would cost more than the rest of it.
    a.align_to(16);
    s.enter = a.pos();
    let out = a.new_label();
    dynasm!(a.ops; .arch x64
        ; push rbp
        ; push rbx
        ; push r12
        ; push r13
        ; push r14
        ; push r15
        ; lea rbp, [rdi + STATE_BIAS as i32]
        ; mov QWORD [rbp + HOST_SP], rsp
        ; stmxcsr [rbp + HOST_MXCSR]
        ; cmp DWORD [rbp + PENDING], 0
    );
    // The branch belongs to the window: it goes by what the comparison saw.
    s.enter_window.0 = a.pos();
    dynasm!(a.ops; .arch x64
        ; jne =>out
        ; mov eax, [rbp + HOST_MXCSR]
        ; cmp eax, [rbp + MXCSR]
        ; je >same
        ; ldmxcsr [rbp + MXCSR]
        ; same:
        ; mov rsp, QWORD [rbp + JIT_SP]
        ; mov rax, rsi
    );
    for (r, host) in PINNED.iter().enumerate() {
        if let Some(h) = host {
            a.mov_rm(*h, Mem::state(regs::reg_disp(r as u8)).into());
        }
    }
    dynasm!(a.ops; .arch x64; jmp rax);
    s.enter_window.1 = a.pos();
    a.bind(out);
    s.enter_pending = a.pos();
    a.store_imm(Mem::state(EXIT_KIND), ExitKind::Pending as u32);
    a.jmp(restore);

    a.align_to(16);
    s.jumps[Helper::CallRust as usize] = a.pos();
    call_rust(&mut a, false);
    a.align_to(16);
    s.jumps[Helper::CallRustSaving as usize] = a.pos();
    call_rust(&mut a, true);
    a.align_to(16);
    s.jumps[Helper::Svc as usize] = a.pos();
    svc(&mut a, restore);

    let mut bytes = Vec::new();
    match a.ops.finish(&mut bytes) {
        Ok(()) => (bytes, s),
        Err(e) => unreachable!("assembling the stubs: {e}"),
    }
}

fn exit(a: &mut Asm, leave: dynasmrt::DynamicLabel, kind: ExitKind, args: impl FnOnce(&mut Asm)) {
    args(a);
    a.store_imm(Mem::state(EXIT_KIND), kind as u32);
    a.jmp(leave);
}

/// Calls the Rust function whose index in the helper table is in eax, on the host stack. A signal that arrived
/// meanwhile only left its mark in `pending`; setting the trap flag on the way back makes the handler look again at
/// each instruction from here until it finds a boundary.
fn call_rust(a: &mut Asm, saving: bool) {
    for (r, host) in PINNED.iter().enumerate() {
        if let Some(h) = host {
            a.store(Mem::state(regs::reg_disp(r as u8)), *h);
        }
    }
    dynasm!(a.ops; .arch x64
        ; mov rax, QWORD [rbp + rax * 8 + HELPERS]
        ; mov QWORD [rbp + JIT_SP], rsp
        ; mov rsp, QWORD [rbp + HOST_SP]
    );
    if saving {
        dynasm!(a.ops; .arch x64; push rcx; push rdx; sub rsp, 256);
        for x in 0..16u8 {
            a.op(Enc::of(0x11), x, Mem::at(regs::RSP, 16 * i32::from(x)).into());
        }
    }
    // `host_sp` is 8 modulo 16 (a return address and six registers were pushed).
    dynasm!(a.ops; .arch x64
        ; sub rsp, 8
        ; lea rdi, [rbp - STATE_BIAS as i32]
        ; mov rsi, QWORD [rbp + CALL_ARGS]
        ; mov rdx, QWORD [rbp + CALL_ARGS + 8]
        ; mov rcx, QWORD [rbp + CALL_ARGS + 16]
        ; mov r8, QWORD [rbp + CALL_ARGS + 24]
        ; call rax
        ; add rsp, 8
    );
    if saving {
        for x in 0..16u8 {
            a.op(Enc::of(0x10), x, Mem::at(regs::RSP, 16 * i32::from(x)).into());
        }
        dynasm!(a.ops; .arch x64; add rsp, 256; pop rdx; pop rcx);
    }
    dynasm!(a.ops; .arch x64; mov rsp, QWORD [rbp + JIT_SP]);
    for (r, host) in PINNED.iter().enumerate() {
        if let Some(h) = host {
            a.mov_rm(*h, Mem::state(regs::reg_disp(r as u8)).into());
        }
    }
    return_unless_pending(a);
}

/// The end of a stub that has called Rust.
fn return_unless_pending(a: &mut Asm) {
    let quiet = a.new_label();
    dynasm!(a.ops; .arch x64
        ; cmp DWORD [rbp + PENDING], 0
        ; je =>quiet
        ; pushfq
        ; or DWORD [rsp], 0x100
        ; popfq
    );
    a.bind(quiet);
    dynasm!(a.ops; .arch x64; ret);
}

/// [`Helper::Svc`]. What the C ABI preserves needs no loading: a call made on the way changes r0 only.
fn svc(a: &mut Asm, restore: dynasmrt::DynamicLabel) {
    const PRESERVED: [u8; 5] = [regs::RBX, 12, 13, 14, 15];
    for (r, host) in PINNED.iter().enumerate() {
        if let Some(h) = host {
            a.store(Mem::state(regs::reg_disp(r as u8)), *h);
        }
    }
    a.store(Mem::state(EXIT_ARG), RAX);
    let direct = helper_disp(Helper::Direct);
    let leave = a.new_label();
    dynasm!(a.ops; .arch x64
        ; mov esi, eax
        ; mov rcx, QWORD [rbp + direct]
        ; mov QWORD [rbp + JIT_SP], rsp
        ; mov eax, ExitKind::Svc as i32
        ; test rcx, rcx
        ; jz =>leave
        ; mov rsp, QWORD [rbp + HOST_SP]
        ; sub rsp, 8
        ; lea rdi, [rbp - STATE_BIAS as i32]
        ; call rcx
        ; test eax, eax
        ; jnz =>leave
        ; mov rsp, QWORD [rbp + JIT_SP]
    );
    for (r, host) in PINNED.iter().enumerate() {
        if let Some(h) = host.filter(|h| !PRESERVED.contains(h)) {
            a.mov_rm(h, Mem::state(regs::reg_disp(r as u8)).into());
        }
    }
    return_unless_pending(a);
    a.bind(leave);
    dynasm!(a.ops; .arch x64
        ; mov [rbp + EXIT_KIND], eax
        // The return address is not the guest's.
        ; add QWORD [rbp + JIT_SP], 8
        ; stmxcsr [rbp + MXCSR]
    );
    a.jmp(restore);
}
