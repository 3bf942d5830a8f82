//! The helpers of the kuser page, as IR: blocks that start at a helper's entry get its meaning directly.
//!
//! Source: Documentation/arm/kernel_user_helpers. All are entered in A32 state and return to lr; r3, ip and the
//! flags are theirs to clobber.

use crate::ir::builder::Builder;
use crate::ir::ops::{Block, Flags, Inst, Op, Sys, Value};

const CMPXCHG64: u32 = 0xffff_0f60;
const MEMORY_BARRIER: u32 = 0xffff_0fa0;
const CMPXCHG: u32 = 0xffff_0fc0;
const GET_TLS: u32 = 0xffff_0fe0;
/// Where the compare-and-exchange helpers go when the value was another; inside CMPXCHG's slot, not an entry.
const FAILED: u32 = 0xffff_0fd0;

/// Whether [`super::translate_block`] gives the code at `pc` (A32 state) the meaning of a kuser helper.
pub fn is_entry(pc: u32) -> bool {
    matches!(pc, CMPXCHG64 | MEMORY_BARRIER | CMPXCHG | GET_TLS | FAILED)
}

/// The block of the helper at `pc`, if there is one.
pub(crate) fn translate(pc: u32) -> Option<Block> {
    if !is_entry(pc) {
        return None;
    }
    let mut b = Builder::new();
    b.insn_start(pc, false, 0);
    match pc {
        CMPXCHG64 => cmpxchg64(&mut b),
        MEMORY_BARRIER => {
            b.push(Inst::new(Op::Fence));
        }
        CMPXCHG => cmpxchg(&mut b),
        FAILED => failed(&mut b),
        _ => {
            let tls = b.get_sys(Sys::Tpidruro);
            b.set_reg(0, tls);
        }
    }
    let lr = b.get_reg(14);
    b.ret(lr);
    let block = b.block_mut();
    block.start = pc;
    block.end = pc.saturating_add(4);
    Some(b.finish())
}

/// r0 = 0 - `status` with the flags of that subtraction: C is set exactly if `status` is 0, which means success.
fn result(b: &mut Builder, status: Value) {
    let zero = b.iconst(0);
    let v = b.op2f(Op::Sub, zero, status, Flags::NZCV);
    b.set_reg(0, v);
}

/// If the word at r2 is r0, it becomes r1: r0 = 0 and C set; else r0 is not 0 and C clear.
///
/// A store that fails because another thread changed the word meanwhile is a failure too, and a true one. No flag and
/// no register changes before the store, which may fault: so failure leaves for [`FAILED`].
fn cmpxchg(b: &mut Builder) {
    let at = b.get_reg(2);
    b.check_align(at, 3);
    let found = b.op1i(Op::LoadEx, at, 4);
    let expected = b.get_reg(0);
    let difference = b.op2(Op::Sub, found, expected);
    b.exit_if_nonzero(difference, FAILED);
    let new = b.get_reg(1);
    let status = b.push(Inst {
        a: at,
        b: new,
        imm: 4,
        ..Inst::new(Op::StoreEx)
    });
    result(b, status);
}

/// As [`cmpxchg`] on the doubleword at r2, with the old and new values at the addresses r0 and r1.
fn cmpxchg64(b: &mut Builder) {
    let at = b.get_reg(2);
    b.check_align(at, 7);
    let expected_at = b.get_reg(0);
    let new_at = b.get_reg(1);
    let expected = b.load(Op::Load64, expected_at, Value::NONE, 0, 0);
    let new = b.load(Op::Load64, new_at, Value::NONE, 0, 0);
    let found = b.op1i(Op::LoadEx64, at, 8);
    let (el, eh) = (b.op1(Op::Lo, expected), b.op1(Op::Hi, expected));
    let (fl, fh) = (b.op1(Op::Lo, found), b.op1(Op::Hi, found));
    let lo = b.op2(Op::Xor, el, fl);
    let hi = b.op2(Op::Xor, eh, fh);
    let difference = b.op2(Op::Or, lo, hi);
    b.exit_if_nonzero(difference, FAILED);
    let status = b.push(Inst {
        a: at,
        b: new,
        imm: 8,
        ..Inst::new(Op::StoreEx64)
    });
    result(b, status);
}

fn failed(b: &mut Builder) {
    let one = b.iconst(1);
    result(b, one);
}
