//! AES, SHA-1 and SHA-256 on the host's instructions, which cut the algorithms in other places than ARM's do.
//!
//! - AESE is AESENCLAST with the key first and a round key of zeros; with the AESMC that follows it, AESENC. Likewise
//!   AESD, AESIMC, AESDEC.
//! - SHA1RNDS4 wants its words in the other order and adds the round's constant, which ARM code has added before: it
//!   is taken off again.
//! - SHA256RNDS2 has the state in other registers (ABEF and CDGH) and makes two rounds. SHA256H and SHA256H2 are halves
//!   of one result, so the second finds it computed by the first.

use super::super::asm::{Enc, Rm};
use super::super::emit::{Emitter, NOWHERE};
use super::host::*;
use crate::ir::ops::{Inst, Op, Value};
use crate::ir::vector::VecOp;

const AESENC: Enc = op38(0xdc);
const AESENCLAST: Enc = op38(0xdd);
const AESDEC: Enc = op38(0xde);
const AESDECLAST: Enc = op38(0xdf);
const AESIMC: Enc = op38(0xdb);
const SHUFPS: Enc = Enc::of(0xc6);
const PALIGNR: Enc = op3a(0x0f);
const PSLLDQ: Enc = op66(0x73);
const SHA1RNDS4: Enc = Enc::of(0xcc).map(3);
const SHA256RNDS2: Enc = Enc::of(0xcb).map(2);
const SHA256MSG1: Enc = Enc::of(0xcc).map(2);
const SHA256MSG2: Enc = Enc::of(0xcd).map(2);

/// PSHUFD: lanes in reverse order.
const REVERSED: u8 = 0x1b;
/// SHUFPS: the second and first lane of each operand; the fourth and third.
const LOW_REVERSED: u8 = 0x11;
const HIGH_REVERSED: u8 = 0xbb;

impl Emitter<'_> {
    /// Operations of this file; false if it is none, or the host has no instruction for it.
    pub(super) fn vec_crypto(&mut self, inst: &Inst, op: VecOp) -> bool {
        let (aes, sha) = (self.opts.host.aes, self.opts.host.sha);
        match op {
            VecOp::AesE if aes => self.aes_round(inst, VecOp::AesMc, AESENC, AESENCLAST),
            VecOp::AesD if aes => self.aes_round(inst, VecOp::AesImc, AESDEC, AESDECLAST),
            VecOp::AesMc | VecOp::AesImc if self.mixed(inst.a) => self.move_value(inst.a),
            VecOp::AesMc if aes => {
                // A last decryption round and an encryption round: what they do besides cancels out.
                let a = self.xmm(inst.a);
                let zero = self.zero();
                let t = self.temp();
                self.v2(AESDECLAST, t, a, Rm::Reg(zero));
                self.last2(AESENC, t, Rm::Reg(zero));
            }
            VecOp::AesImc if aes => {
                let a = self.xmm(inst.a);
                self.last1(AESIMC, Rm::Reg(a));
            }
            VecOp::Sha1C if sha => self.sha1_rounds(inst, 0, 0x5a82_7999),
            VecOp::Sha1P if sha => self.sha1_rounds(inst, 1, 0x6ed9_eba1),
            VecOp::Sha1M if sha => self.sha1_rounds(inst, 2, 0x8f1b_bcdc),
            VecOp::Sha1H => {
                let a = self.xmm(inst.a);
                let lane = self.asm.constant(0xffff_ffff);
                let t = self.t2(PAND, a, lane);
                let high = self.t_shift(Shift::Left, 2, t, 30);
                self.vshift(Shift::Logical, 2, t, t, 2);
                self.last2(POR, t, Rm::Reg(high));
            }
            VecOp::Sha1Su0 => {
                let (a, b) = (self.xmm(inst.a), self.xmm(inst.b));
                let t = self.temp();
                self.v2_i(PALIGNR, t, b, Rm::Reg(a), 8);
                self.v2(PXOR, t, t, Rm::Reg(a));
                let c = self.xrm(inst.c);
                self.last2(PXOR, t, c);
            }
            VecOp::Sha1Su1 => self.sha1_schedule(inst),
            VecOp::Sha256H if sha => self.sha256_rounds(inst, false),
            VecOp::Sha256H2 if sha => self.sha256_rounds(inst, true),
            VecOp::Sha256Su0 if sha => {
                let (a, b) = self.pair(inst.a, inst.b);
                let t = self.temp();
                self.xmov(t, a);
                self.asm.op(SHA256MSG1, t, Rm::Reg(b));
                self.result(t);
            }
            VecOp::Sha256Su1 if sha => {
                let (a, b, c) = (self.xmm(inst.a), self.xmm(inst.b), self.xmm(inst.c));
                let t = self.temp();
                self.v2_i(PALIGNR, t, c, Rm::Reg(b), 4);
                self.v2(padd(2), t, t, Rm::Reg(a));
                self.asm.op(SHA256MSG2, t, Rm::Reg(c));
                self.result(t);
            }
            _ => return false,
        }
        true
    }

    /// The only instruction that reads the value of the instruction at `at`, if it has `op`.
    fn only_reader(&self, at: usize, op: VecOp) -> bool {
        let last = self.fates[at].last_use as usize;
        let reads = |i: &Inst| i.operands().contains(&Value(at as u32));
        self.block
            .insts
            .get(last)
            .is_some_and(|i| i.op == Op::Vec && i.aux == op as u8 && reads(i))
            && !self.block.insts[at + 1..last].iter().any(reads)
    }

    /// Whether `v` is an AES round that has the mixing of columns in it, which comes under the name of its only reader.
    fn mixed(&self, v: Value) -> bool {
        let made = &self.block.insts[v.index()];
        let mix = match VecOp::from_aux(made.aux) {
            _ if made.op != Op::Vec || !self.opts.host.aes => return false,
            Some(VecOp::AesE) => VecOp::AesMc,
            Some(VecOp::AesD) => VecOp::AesImc,
            _ => return false,
        };
        self.only_reader(v.index(), mix)
    }

    /// The current operation's value is what `v`, which dies here, holds.
    fn move_value(&mut self, v: Value) {
        let x = self.xmm(v);
        let dst = self.def_xmm_over(v);
        self.xmov(dst, x);
    }

    /// AESE or AESD, with the columns mixed if that is all that happens to the result.
    fn aes_round(&mut self, inst: &Inst, mix: VecOp, full: Enc, last: Enc) {
        let (a, b) = self.pair(inst.a, inst.b);
        let t = self.t2(PXOR, a, Rm::Reg(b));
        let zero = self.zero();
        let e = if self.only_reader(self.at, mix) {
            full
        } else {
            last
        };
        self.last2(e, t, Rm::Reg(zero));
    }

    /// Four rounds with the function and constant of number `f`.
    fn sha1_rounds(&mut self, inst: &Inst, f: u8, constant: u32) {
        let (a, b, c) = (self.xmm(inst.a), self.xmm(inst.b), self.xmm(inst.c));
        let w = self.t2_k(psub(2), c, splat(2, constant.into()));
        self.asm.op_i(PSHUFD, w, Rm::Reg(w), REVERSED);
        // E is added to the first word, in the uppermost lane here.
        let e = self.temp();
        self.shift_up(e, b, 12);
        self.v2(padd(2), w, w, Rm::Reg(e));
        let t = self.t1_i(PSHUFD, Rm::Reg(a), REVERSED);
        self.asm.op_i(SHA1RNDS4, t, Rm::Reg(w), f);
        self.last1_i(PSHUFD, Rm::Reg(t), REVERSED);
    }

    /// `dst` = `src` shifted left by bytes.
    fn shift_up(&mut self, dst: u8, src: u8, bytes: u8) {
        if self.opts.host.avx {
            self.asm.vex_i(PSLLDQ, 7, dst, Rm::Reg(src), bytes);
        } else {
            self.xmov(dst, src);
            self.asm.op_i(PSLLDQ, 7, Rm::Reg(dst), bytes);
        }
    }

    /// SHA1SU1: each word of a ^ (b moved down by one) rotated left by one; the last word takes in the first as well.
    fn sha1_schedule(&mut self, inst: &Inst) {
        let (a, b) = self.pair(inst.a, inst.b);
        let zero = self.zero();
        let t = self.temp();
        self.v2_i(PALIGNR, t, zero, Rm::Reg(b), 4);
        self.v2(PXOR, t, t, Rm::Reg(a));
        self.rotate_by_one(t, zero);
        let first = self.temp();
        self.shift_up(first, t, 12);
        self.rotate_by_one(first, zero);
        self.last2(PXOR, t, Rm::Reg(first));
    }

    /// Words of `x` rotated left by one, by way of `t`.
    fn rotate_by_one(&mut self, x: u8, t: u8) {
        self.vshift(Shift::Logical, 2, t, x, 31);
        self.v2(padd(2), x, x, Rm::Reg(x));
        self.v2(POR, x, x, Rm::Reg(t));
    }

    /// Four rounds: SHA256H's result, or with `second` SHA256H2's. SHA256H leaves what the SHA256H2 on the same
    /// operands will yield in that value's register, where it stays as long as nothing needs the register.
    fn sha256_rounds(&mut self, inst: &Inst, second: bool) {
        if second && self.in_xmm(Value(self.at as u32)) {
            return;
        }
        let (abcd, efgh) = if second {
            (inst.b, inst.a)
        } else {
            (inst.a, inst.b)
        };
        let (mut low, mut high, mut w) = (self.xmm(abcd), self.xmm(efgh), self.xmm(inst.c));
        // The words are in XMM0, which is not to be the one that its value moves to.
        self.xlocked |= 1;
        if self.xmm_holds[0].is_none() {
            self.evict_xmm(0);
        } else {
            let v = self.xmm_holds[0];
            let moved = self.alloc_xmm();
            self.asm.op(MOVAPS, moved, Rm::Reg(0));
            self.xmm_holds[0] = Value::NONE;
            self.occupy_xmm(moved, v);
            for x in [&mut low, &mut high, &mut w] {
                if *x == 0 {
                    *x = moved;
                }
            }
        }
        let (abef, cdgh) = (self.temp(), self.temp());
        self.v2_i(SHUFPS, abef, high, Rm::Reg(low), LOW_REVERSED);
        self.v2_i(SHUFPS, cdgh, high, Rm::Reg(low), HIGH_REVERSED);
        self.xmov(0, w);
        self.asm.op(SHA256RNDS2, cdgh, Rm::Reg(abef));
        self.asm.op_i(PSHUFD, 0, Rm::Reg(w), 0x0e);
        self.asm.op(SHA256RNDS2, abef, Rm::Reg(cdgh));
        self.free(0);
        // Now what was CDGH is ABEF two rounds ago, which is CDGH.
        if second {
            return self.last2_i(SHUFPS, abef, Rm::Reg(cdgh), LOW_REVERSED);
        }
        let other = self.twin(inst);
        self.last2_i(SHUFPS, abef, Rm::Reg(cdgh), HIGH_REVERSED);
        if let Some(v) = other {
            self.v2_i(SHUFPS, abef, abef, Rm::Reg(cdgh), LOW_REVERSED);
            self.occupy_xmm(abef, v);
        }
    }

    /// The SHA256H2 on the operands of this SHA256H.
    fn twin(&self, inst: &Inst) -> Option<Value> {
        let rest = self.block.insts.iter().enumerate().skip(self.at + 1).take(16);
        let found = |i: &Inst| {
            i.op == Op::Vec && i.aux == VecOp::Sha256H2 as u8 && (i.a, i.b, i.c) == (inst.b, inst.a, inst.c)
        };
        let (at, _) = rest.into_iter().find(|(_, i)| found(i))?;
        (self.xmm_hint[at] == NOWHERE).then_some(Value(at as u32))
    }
}
