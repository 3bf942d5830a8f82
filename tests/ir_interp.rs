//! How the interpreter leaves blocks and accesses memory: addresses, exits, faults, the exclusive monitor, ITSTATE,
//! FPSCR. (Its arithmetic is compared with qemu-arm in `ir_qemu.rs` and `softfp_qemu.rs`.)

mod guest_memory;

use emu::cpu::cond::Cond;
use emu::cpu::state::CpuState;
use emu::ir::builder::Builder;
use emu::ir::interp::{Exit, advance_it, read_fpscr, run};
use emu::ir::ops::{Inst, Op, Trap, Value};
use emu::ir::verify::verify;
use guest_memory::Window;

const BASE: u32 = 0x2000;

fn memory() -> Window {
    Window {
        start: BASE,
        bytes: (0x80..0xc0).collect(),
    }
}

/// Runs the guest instruction at 0x8000 that `build` makes, which must end the block.
fn execute(state: &mut CpuState, mem: &mut Window, build: impl FnOnce(&mut Builder)) -> Exit {
    let mut b = Builder::new();
    b.insn_start(0x8000, false, 0);
    build(&mut b);
    if !b.terminated() {
        b.jump(0x8004);
    }
    let block = b.finish();
    assert_eq!(verify(&block), Ok(()));
    run(&block, state, mem)
}

#[test]
fn loads_extend_and_addresses_wrap() {
    let mut state = CpuState::new();
    let mut mem = memory();
    state.r[1] = BASE;
    // Index -1 shifted by 2 is -4 modulo 2^32.
    state.r[2] = u32::MAX;
    execute(&mut state, &mut mem, |b| {
        let (base, index) = (b.get_reg(1), b.get_reg(2));
        let signed = b.load(Op::LoadS8, base, index, 2, 8);
        let half = b.load(Op::LoadS16, base, Value::NONE, 0, 2);
        let byte = b.load(Op::Load8, base, Value::NONE, 0, 1);
        let wide = b.load(Op::Load64, base, Value::NONE, 0, 1);
        b.set_reg(3, signed);
        b.set_reg(4, half);
        b.set_reg(5, byte);
        let high = b.op1(Op::Hi, wide);
        b.set_reg(6, high);
    });
    assert_eq!(state.r[3..7], [0xffff_ff84, 0xffff_8382, 0x81, 0x8887_8685]);
}

#[test]
fn a_fault_leaves_the_instruction_undone() {
    let mut state = CpuState::new();
    let mut mem = memory();
    state.r[1] = BASE + 0x3e;
    state.r[15] = 0x1234;
    let exit = execute(&mut state, &mut mem, |b| {
        let base = b.get_reg(1);
        b.store(Op::Store32, base, Value::NONE, 0, 0, base);
        b.set_reg(1, base);
    });
    let expected = Exit::Fault {
        addr: BASE + 0x40,
        write: true,
        pc: 0x8000,
    };
    assert_eq!((exit, state.r[15]), (expected, 0x8000));
    assert_eq!(mem, memory());
    let unaligned = execute(&mut state, &mut mem, |b| {
        let base = b.get_reg(1);
        b.push(Inst {
            a: base,
            imm: 4,
            imm2: 3,
            ..Inst::new(Op::CheckAlign)
        });
    });
    assert_eq!(
        unaligned,
        Exit::AlignFault {
            addr: BASE + 0x42,
            pc: 0x8000
        }
    );
}

#[test]
fn exits_carry_the_instruction_set() {
    let mut state = CpuState::new();
    let mut mem = memory();
    state.r[3] = 0x9003;
    let exit = execute(&mut state, &mut mem, |b| {
        let target = b.get_reg(3);
        b.call_ind(target, 0x8004);
    });
    assert_eq!(
        exit,
        Exit::CallInd {
            target: 0x9003,
            ret: 0x8004
        }
    );
    assert_eq!((state.r[15], state.thumb), (0x9002, 1));
    let exit = execute(&mut state, &mut mem, |b| b.svc(7, 0x8004));
    assert_eq!(exit, Exit::Svc { imm: 7, next: 0x8004 });
    assert_eq!((state.r[15], state.thumb), (0x8004, 0));
    state.set_nzcv(0x4000_0000);
    let exit = execute(&mut state, &mut mem, |b| {
        b.exit_if(Cond::Ne, 0x1111);
        b.exit_if(Cond::Eq, 0xa000);
    });
    assert_eq!((exit, state.r[15]), (Exit::Jump(0xa000), 0xa000));
    let exit = execute(&mut state, &mut mem, |b| b.trap(Trap::Breakpoint, 3));
    let kind = Trap::Breakpoint;
    assert_eq!(
        exit,
        Exit::Trap {
            kind,
            imm: 3,
            pc: 0x8000
        }
    );
    assert_eq!(state.r[15], 0x8000);
}

#[test]
fn itstate_advances_past_the_instruction() {
    // ITTE EQ: 0000 0110; after one instruction 0000 1100, after two 0001 1000, after three none. (Arm ARM, ITAdvance.)
    assert_eq!([0x06, 0x0c, 0x18, 0].map(advance_it), [0x0c, 0x18, 0, 0]);
    let mut b = Builder::new();
    b.insn_start(0x8002, true, 0x06);
    b.svc(0, 0x8005);
    let mut state = CpuState::new();
    run(&b.finish(), &mut state, &mut memory());
    assert_eq!((state.r[15], state.thumb, state.it), (0x8004, 1, 0x0c));
}

#[test]
fn exclusive_stores_need_the_monitor_and_the_value() {
    let mut state = CpuState::new();
    let mut mem = memory();
    state.r[1] = BASE + 8;
    let load = |b: &mut Builder| {
        let base = b.get_reg(1);
        let v = b.op1i(Op::LoadEx, base, 4);
        b.set_reg(0, v);
    };
    let store = |b: &mut Builder| {
        let (base, value) = (b.get_reg(1), b.get_reg(2));
        let failed = b.push(Inst {
            a: base,
            b: value,
            imm: 4,
            ..Inst::new(Op::StoreEx)
        });
        b.set_reg(3, failed);
    };
    state.r[2] = 0x1122_3344;
    execute(&mut state, &mut mem, store);
    assert_eq!((state.r[3], mem.bytes[8]), (1, 0x88));
    execute(&mut state, &mut mem, load);
    execute(&mut state, &mut mem, store);
    assert_eq!(state.r[0], 0x8b8a_8988);
    assert_eq!((state.r[3], mem.bytes[8]), (0, 0x44));
    // The first store closed the monitor; another address is not the monitor's; CLREX closes it.
    execute(&mut state, &mut mem, store);
    assert_eq!(state.r[3], 1);
    execute(&mut state, &mut mem, load);
    state.r[1] += 4;
    execute(&mut state, &mut mem, store);
    assert_eq!(state.r[3], 1);
    execute(&mut state, &mut mem, load);
    execute(&mut state, &mut mem, |b| {
        b.push(Inst::new(Op::Clrex));
    });
    execute(&mut state, &mut mem, store);
    assert_eq!(state.r[3], 1);
    // Memory that changed in between.
    execute(&mut state, &mut mem, load);
    mem.bytes[12] ^= 1;
    execute(&mut state, &mut mem, store);
    assert_eq!(state.r[3], 1);
}

#[test]
fn swap_exchanges() {
    let mut state = CpuState::new();
    let mut mem = memory();
    state.r[1] = BASE + 1;
    state.r[2] = 0xaabb_ccdd;
    execute(&mut state, &mut mem, |b| {
        let (base, value) = (b.get_reg(1), b.get_reg(2));
        let old = b.push(Inst {
            a: base,
            b: value,
            imm: 1,
            ..Inst::new(Op::Swap)
        });
        b.set_reg(2, old);
    });
    assert_eq!((state.r[2], &mem.bytes[..3]), (0x81, &[0x80, 0xdd, 0x82][..]));
}

#[test]
fn fpscr_is_the_sum_of_its_parts() {
    let mut state = CpuState::new();
    let mut mem = memory();
    state.r[1] = 0xffff_ffff;
    execute(&mut state, &mut mem, |b| {
        let v = b.get_reg(1);
        b.push(Inst {
            a: v,
            ..Inst::new(Op::SetFpscr)
        });
    });
    // The trap enables and the reserved bits read as zero.
    assert_eq!(read_fpscr(&state), 0xffff_009f);
    // Rounding towards zero is 3 for both; x86's bits are 14 and 13.
    assert_eq!(state.mxcsr & 0x6000, 0x6000);
    state.fpscr = 0;
    state.mxcsr |= 0x3f;
    // IE, ZE, OE, UE, PE are IOC, DZC, OFC, UFC, IXC; DE is nothing.
    assert_eq!(read_fpscr(&state) & 0x0fff_ffff, 0x1f);
    state.r[1] = 0x0040_0000;
    execute(&mut state, &mut mem, |b| {
        let v = b.get_reg(1);
        b.push(Inst {
            a: v,
            ..Inst::new(Op::SetFpscr)
        });
    });
    // Towards plus infinity is 1 on ARM and 2 on x86, and the sticky bits are gone.
    assert_eq!((read_fpscr(&state), state.mxcsr & 0x603f), (0x0040_0000, 0x4000));
    // QC is the sum of its two places; a write leaves it in one.
    state.qc = [0, 1 << 40];
    assert_eq!(read_fpscr(&state), 0x0840_0000);
    state.r[1] = 0;
    state.fpscr_writable = 0xf7f7_009f;
    execute(&mut state, &mut mem, |b| {
        let v = b.get_reg(1);
        b.push(Inst {
            a: v,
            ..Inst::new(Op::SetFpscr)
        });
    });
    assert_eq!((read_fpscr(&state), state.qc), (0, [0, 0]));
    state.r[1] = 0xffff_ffff;
    execute(&mut state, &mut mem, |b| {
        let v = b.get_reg(1);
        b.push(Inst {
            a: v,
            ..Inst::new(Op::SetFpscr)
        });
    });
    assert_eq!(read_fpscr(&state), 0xf7f7_009f, "a model without Advanced SIMD");
}
