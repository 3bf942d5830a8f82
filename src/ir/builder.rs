//! Appends operations to a block, keeping the current value of each guest register so that it is read once.

use super::ops::{Block, Flags, Inst, Op, Sys, Trap, Value, effect};
use super::vector::{Shape, VecOp};
use crate::cpu::cond::Cond;

/// Builds one [`Block`]. Method names are the operations'.
pub struct Builder {
    block: Block,
    regs: [Value; 15],
    s: [Value; 32],
    d: [Value; 32],
    /// D registers as vectors.
    vd: [Value; 32],
    /// Q registers.
    vq: [Value; 16],
    /// D registers that this block has written since the last join, by number.
    written: u32,
    /// Condition of the open run, AL outside one.
    run: Cond,
}

/// "Not known" for each register.
const UNKNOWN_S: [Value; 32] = [Value::NONE; 32];
const UNKNOWN_Q: [Value; 16] = [Value::NONE; 16];

impl Default for Builder {
    fn default() -> Self {
        Self::new()
    }
}

impl Builder {
    pub fn new() -> Builder {
        Builder::reusing(Vec::with_capacity(128))
    }

    /// A builder whose block takes over the memory of `insts`.
    pub fn reusing(mut insts: Vec<Inst>) -> Builder {
        insts.clear();
        Builder {
            block: Block {
                insts,
                first_flags: u32::MAX,
                ..Block::default()
            },
            regs: [Value::NONE; 15],
            s: UNKNOWN_S,
            d: UNKNOWN_S,
            vd: UNKNOWN_S,
            vq: UNKNOWN_Q,
            written: 0,
            run: Cond::Al,
        }
    }

    /// The finished block.
    pub fn finish(self) -> Block {
        self.block
    }

    pub fn block(&self) -> &Block {
        &self.block
    }

    pub fn block_mut(&mut self) -> &mut Block {
        &mut self.block
    }

    /// Appends `inst`; the value it defines.
    #[inline]
    pub fn push(&mut self, mut inst: Inst) -> Value {
        if inst.op.effects() & effect::FAULT != 0 {
            inst.cond = self.run;
        }
        let at = self.block.insts.len() as u32;
        if !inst.flags.is_empty() {
            self.block.first_flags = self.block.first_flags.min(at);
        }
        self.block.insts.push(inst);
        Value(at)
    }

    /// Whether the last instruction is a terminator.
    pub fn terminated(&self) -> bool {
        self.block
            .insts
            .last()
            .is_some_and(|i| i.op.effects() & super::ops::effect::TERMINATOR != 0)
    }

    /// Forgets what is known of the context (at a join).
    fn forget(&mut self) {
        self.regs = [Value::NONE; 15];
        self.s = UNKNOWN_S;
        self.d = UNKNOWN_S;
        self.vd = UNKNOWN_S;
        self.vq = UNKNOWN_Q;
        self.written = 0;
    }

    /// Forgets every view of D register `i`, which has been written.
    fn overwrite_d(&mut self, i: u8) {
        let n = usize::from(i);
        if let Some(halves) = self.s.get_mut(2 * n..2 * n + 2) {
            halves.fill(Value::NONE);
        }
        self.d[n] = Value::NONE;
        self.vd[n] = Value::NONE;
        self.vq[n / 2] = Value::NONE;
        self.written |= 1 << i;
    }

    pub fn insn_start(&mut self, pc: u32, thumb: bool, it: u8) {
        self.block.guest_insns += 1;
        self.push(Inst {
            imm: pc,
            aux: u8::from(thumb),
            imm2: u32::from(it),
            cond: self.run,
            ..Inst::new(Op::InsnStart)
        });
    }

    /// Opens a run that is executed only if `cond` holds; close it with [`Builder::label`].
    pub fn skip_unless(&mut self, cond: Cond) -> u32 {
        self.run = cond;
        let label = self.block.labels;
        self.block.labels += 1;
        self.push(Inst {
            cond,
            imm: label,
            ..Inst::new(Op::SkipUnless)
        });
        label
    }

    pub fn label(&mut self, label: u32) {
        self.run = Cond::Al;
        self.push(Inst {
            imm: label,
            ..Inst::new(Op::Label)
        });
        self.forget();
    }

    /// Guest register 0-14.
    pub fn get_reg(&mut self, r: u8) -> Value {
        let r = usize::from(r);
        if self.regs[r].is_none() {
            self.regs[r] = self.push(Inst {
                imm: r as u32,
                ..Inst::new(Op::GetReg)
            });
        }
        self.regs[r]
    }

    pub fn set_reg(&mut self, r: u8, v: Value) {
        self.push(Inst {
            a: v,
            imm: u32::from(r),
            ..Inst::new(Op::SetReg)
        });
        self.regs[usize::from(r)] = v;
    }

    /// The constant that guest register `r` is known to hold at this point of the block; nothing is known of the pc.
    pub fn known_const(&self, r: u8) -> Option<u32> {
        let v = *self.regs.get(usize::from(r))?;
        if v.is_none() {
            return None;
        }
        let inst = &self.block.insts[v.index()];
        (inst.op == Op::Const).then_some(inst.imm)
    }

    pub fn get_s(&mut self, i: u8) -> Value {
        let n = usize::from(i);
        if self.s[n].is_none() {
            self.s[n] = self.push(Inst {
                imm: u32::from(i),
                ..Inst::new(Op::GetS)
            });
        }
        self.s[n]
    }

    pub fn set_s(&mut self, i: u8, v: Value) {
        self.push(Inst {
            a: v,
            imm: u32::from(i),
            ..Inst::new(Op::SetS)
        });
        let other = self.s[usize::from(i ^ 1)];
        self.overwrite_d(i / 2);
        self.s[usize::from(i)] = v;
        self.s[usize::from(i ^ 1)] = other;
    }

    pub fn get_d(&mut self, i: u8) -> Value {
        let n = usize::from(i);
        if self.d[n].is_none() {
            self.d[n] = self.push(Inst {
                imm: u32::from(i),
                ..Inst::new(Op::GetD)
            });
        }
        self.d[n]
    }

    pub fn set_d(&mut self, i: u8, v: Value) {
        self.push(Inst {
            a: v,
            imm: u32::from(i),
            ..Inst::new(Op::SetD)
        });
        self.overwrite_d(i);
        self.d[usize::from(i)] = v;
    }

    /// D register `i` as a vector, or with `q` D `i` and `i + 1` as one.
    ///
    /// A Q register of which a half was written alone is put together, and a half of one that was written whole is
    /// taken out of it: loading what two stores wrote, or a part of what one did, costs the host more.
    pub fn get_v(&mut self, i: u8, q: bool) -> Value {
        let n = usize::from(i);
        let shape = Shape::new(3, q, true);
        if q {
            if self.vq[n / 2].is_none() {
                self.vq[n / 2] = if self.written >> i & 3 != 0 {
                    let (lo, hi) = (self.get_v(i, false), self.get_v(i + 1, false));
                    self.vec2(VecOp::Concat, shape, 0, lo, hi)
                } else {
                    self.push_get_v(i, shape)
                };
            }
            return self.vq[n / 2];
        }
        if self.vd[n].is_none() {
            let whole = self.vq[n / 2];
            self.vd[n] = match (whole.is_none(), i & 1) {
                (true, _) => self.push_get_v(i, shape),
                (false, 0) => whole,
                (false, _) => self.vec1(VecOp::High, shape, 0, whole),
            };
        }
        self.vd[n]
    }

    /// The whole of the Q register that holds D `i`, where it is at hand and D `i` by itself is not.
    fn known_q(&self, i: u8) -> Option<Value> {
        let (d, q) = (self.vd[usize::from(i)], self.vq[usize::from(i / 2)]);
        (d.is_none() && !q.is_none()).then_some(q)
    }

    /// Whether D `i` is at hand as a vector.
    pub fn knows_v(&self, i: u8) -> bool {
        !self.vd[usize::from(i)].is_none() || !self.vq[usize::from(i / 2)].is_none()
    }

    fn push_get_v(&mut self, i: u8, shape: Shape) -> Value {
        self.push(Inst {
            imm: u32::from(i),
            imm2: u32::from(shape.0),
            ..Inst::new(Op::GetV)
        })
    }

    /// Writes D register `i`, or with `q` D `i` and `i + 1`; `v` a vector.
    pub fn set_v(&mut self, i: u8, q: bool, v: Value) {
        self.push(Inst {
            a: v,
            imm: u32::from(i),
            imm2: u32::from(Shape::new(3, q, true).0),
            ..Inst::new(Op::SetV)
        });
        self.overwrite_d(i);
        if q {
            self.overwrite_d(i + 1);
            self.vq[usize::from(i / 2)] = v;
        } else {
            self.vd[usize::from(i)] = v;
        }
    }

    fn vec(&mut self, op: VecOp, shape: Shape, imm: u32, args: [Value; 3]) -> Value {
        let [a, b, c] = args;
        self.push(Inst {
            a,
            b,
            c,
            aux: op as u8,
            imm,
            imm2: u32::from(shape.0),
            ..Inst::new(op.class())
        })
    }

    /// A vector operation of one operand.
    pub fn vec1(&mut self, op: VecOp, shape: Shape, imm: u32, a: Value) -> Value {
        self.vec(op, shape, imm, [a, Value::NONE, Value::NONE])
    }

    /// A vector operation of two operands.
    pub fn vec2(&mut self, op: VecOp, shape: Shape, imm: u32, a: Value, b: Value) -> Value {
        self.vec(op, shape, imm, [a, b, Value::NONE])
    }

    /// A vector operation of three operands.
    pub fn vec3(&mut self, op: VecOp, shape: Shape, imm: u32, a: Value, b: Value, c: Value) -> Value {
        self.vec(op, shape, imm, [a, b, c])
    }

    /// The vector with `bits` in both halves.
    pub fn vconst(&mut self, bits: u64) -> Value {
        self.push(Inst {
            imm: bits as u32,
            imm2: (bits >> 32) as u32,
            ..Inst::new(Op::VConst)
        })
    }

    /// The low esize bits of `a` in every lane.
    pub fn vdup(&mut self, shape: Shape, a: Value) -> Value {
        self.push(Inst {
            a,
            imm2: u32::from(shape.0),
            ..Inst::new(Op::VDup)
        })
    }

    /// Lane `lane` of `a`, extended as the shape says.
    pub fn vextract(&mut self, shape: Shape, a: Value, lane: u8) -> Value {
        self.push(Inst {
            a,
            imm: u32::from(lane),
            imm2: u32::from(shape.0),
            ..Inst::new(Op::VExtract)
        })
    }

    /// `a` with lane `lane` replaced by the low bits of `v`.
    pub fn vinsert(&mut self, shape: Shape, a: Value, lane: u8, v: Value) -> Value {
        self.push(Inst {
            a,
            b: v,
            imm: u32::from(lane),
            imm2: u32::from(shape.0),
            ..Inst::new(Op::VInsert)
        })
    }

    /// 8 or (`q`) 16 bytes at `base + disp`.
    pub fn load_v(&mut self, q: bool, base: Value, disp: u32) -> Value {
        self.push(Inst {
            a: base,
            imm: disp,
            imm2: u32::from(Shape::new(3, q, true).0),
            ..Inst::new(Op::LoadV)
        })
    }

    /// The element of `shape` at `base + disp` in every lane.
    pub fn load_dup(&mut self, shape: Shape, base: Value, disp: u32) -> Value {
        self.push(Inst {
            a: base,
            imm: disp,
            imm2: u32::from(shape.0),
            ..Inst::new(Op::LoadDup)
        })
    }

    /// `v` with lane `lane` replaced by the element at `base + disp`.
    pub fn load_lane(&mut self, shape: Shape, base: Value, disp: u32, v: Value, lane: u8) -> Value {
        self.push(Inst {
            a: base,
            c: v,
            imm: disp,
            imm2: u32::from(shape.0) | u32::from(lane) << 8,
            ..Inst::new(Op::LoadLane)
        })
    }

    /// Lane `lane` of `v` to `base + disp`.
    pub fn store_lane(&mut self, shape: Shape, base: Value, disp: u32, v: Value, lane: u8) {
        self.push(Inst {
            a: base,
            c: v,
            imm: disp,
            imm2: u32::from(shape.0) | u32::from(lane) << 8,
            ..Inst::new(Op::StoreLane)
        });
    }

    /// Lane `lane` of D `i` as a lane of the Q register that holds it, where that is at hand, else of D `i` alone: the
    /// value, the lane's number in it, and whether it is the Q register.
    pub fn lane(&mut self, i: u8, lane: u8, log2_bytes: u8) -> (Value, u8, bool) {
        match self.known_q(i) {
            Some(whole) => (whole, lane + (i & 1) * (8 >> log2_bytes), true),
            None => (self.get_v(i, false), lane, false),
        }
    }

    pub fn store_v(&mut self, q: bool, base: Value, disp: u32, v: Value) {
        self.push(Inst {
            a: base,
            c: v,
            imm: disp,
            imm2: u32::from(Shape::new(3, q, true).0),
            ..Inst::new(Op::StoreV)
        });
    }

    pub fn iconst(&mut self, value: u32) -> Value {
        self.push(Inst {
            imm: value,
            ..Inst::new(Op::Const)
        })
    }

    pub fn const64(&mut self, value: u64) -> Value {
        self.push(Inst {
            imm: value as u32,
            imm2: (value >> 32) as u32,
            ..Inst::new(Op::Const64)
        })
    }

    /// Any one-, two- or three-operand operation without immediates.
    pub fn op1(&mut self, op: Op, a: Value) -> Value {
        self.push(Inst { a, ..Inst::new(op) })
    }

    pub fn op2(&mut self, op: Op, a: Value, b: Value) -> Value {
        self.push(Inst {
            a,
            b,
            ..Inst::new(op)
        })
    }

    pub fn op3(&mut self, op: Op, a: Value, b: Value, c: Value) -> Value {
        self.push(Inst {
            a,
            b,
            c,
            ..Inst::new(op)
        })
    }

    /// One operand and an immediate.
    pub fn op1i(&mut self, op: Op, a: Value, imm: u32) -> Value {
        self.push(Inst {
            a,
            imm,
            ..Inst::new(op)
        })
    }

    /// As [`Builder::op2`], setting `flags`.
    pub fn op2f(&mut self, op: Op, a: Value, b: Value, flags: Flags) -> Value {
        self.push(Inst {
            a,
            b,
            flags,
            ..Inst::new(op)
        })
    }

    /// As [`Builder::op1i`], setting `flags`.
    pub fn op1if(&mut self, op: Op, a: Value, imm: u32, flags: Flags) -> Value {
        self.push(Inst {
            a,
            imm,
            flags,
            ..Inst::new(op)
        })
    }

    pub fn select(&mut self, cond: Cond, a: Value, b: Value) -> Value {
        self.push(Inst {
            a,
            b,
            cond,
            ..Inst::new(Op::Select)
        })
    }

    /// Load with address `base + (index << shift) + disp`.
    pub fn load(&mut self, op: Op, base: Value, index: Value, shift: u8, disp: i32) -> Value {
        self.push(Inst {
            a: base,
            b: index,
            aux: shift << 4,
            imm: disp as u32,
            ..Inst::new(op)
        })
    }

    pub fn store(&mut self, op: Op, base: Value, index: Value, shift: u8, disp: i32, value: Value) {
        self.push(Inst {
            a: base,
            b: index,
            c: value,
            aux: shift << 4,
            imm: disp as u32,
            ..Inst::new(op)
        });
    }

    pub fn get_sys(&mut self, sys: Sys) -> Value {
        self.push(Inst {
            imm: sys as u32,
            ..Inst::new(Op::GetSys)
        })
    }

    pub fn set_sys(&mut self, sys: Sys, v: Value) {
        self.push(Inst {
            a: v,
            imm: sys as u32,
            ..Inst::new(Op::SetSys)
        });
    }

    pub fn exit_if(&mut self, cond: Cond, target: u32) {
        self.push(Inst {
            cond,
            imm: target,
            ..Inst::new(Op::ExitIf)
        });
    }

    pub fn jump(&mut self, target: u32) {
        self.push(Inst {
            imm: target,
            ..Inst::new(Op::Jump)
        });
    }

    pub fn exit_if_zero(&mut self, v: Value, target: u32) {
        self.push(Inst {
            a: v,
            imm: target,
            ..Inst::new(Op::ExitIfZero)
        });
    }

    pub fn exit_if_nonzero(&mut self, v: Value, target: u32) {
        self.push(Inst {
            a: v,
            imm: target,
            ..Inst::new(Op::ExitIfNonZero)
        });
    }

    /// Return to `target`; see [`Op::Return`].
    pub fn ret(&mut self, target: Value) {
        self.op1(Op::Return, target);
    }

    pub fn jump_ind(&mut self, target: Value) {
        self.op1(Op::JumpInd, target);
    }

    /// SIGBUS unless `a & mask` is 0.
    pub fn check_align(&mut self, a: Value, mask: u32) {
        self.push(Inst {
            a,
            imm2: mask,
            ..Inst::new(Op::CheckAlign)
        });
    }

    /// One operand and a bit field `lsb`, `width` (Ubfx, Sbfx).
    pub fn field(&mut self, op: Op, a: Value, lsb: u32, width: u32) -> Value {
        self.push(Inst {
            a,
            imm: lsb,
            imm2: width,
            ..Inst::new(op)
        })
    }

    /// `a` with the field at `lsb` replaced by the low `width` bits of `b`.
    pub fn bfi(&mut self, a: Value, b: Value, lsb: u32, width: u32) -> Value {
        self.push(Inst {
            a,
            b,
            imm: lsb,
            imm2: width,
            ..Inst::new(Op::Bfi)
        })
    }

    pub fn call(&mut self, target: u32, ret: u32) {
        self.push(Inst {
            imm: target,
            imm2: ret,
            ..Inst::new(Op::Call)
        });
    }

    pub fn call_ind(&mut self, target: Value, ret: u32) {
        self.push(Inst {
            a: target,
            imm2: ret,
            ..Inst::new(Op::CallInd)
        });
    }

    pub fn svc(&mut self, imm: u32, next: u32) {
        self.push(Inst {
            imm,
            imm2: next,
            ..Inst::new(Op::Svc)
        });
    }

    pub fn trap(&mut self, trap: Trap, imm: u32) {
        self.push(Inst {
            aux: trap as u8,
            imm,
            ..Inst::new(Op::Trap)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::verify;

    /// The operations that `make` appends to a block, InsnStart and the terminator apart, checked by the verifier.
    fn ops(make: impl FnOnce(&mut Builder)) -> Vec<Inst> {
        let mut b = Builder::new();
        b.insn_start(0x8000, false, 0);
        make(&mut b);
        b.jump(0x8004);
        let block = b.finish();
        verify::verify(&block).expect("a block by the rules");
        block.insts[1..block.insts.len() - 1].to_vec()
    }

    fn names(insts: &[Inst]) -> Vec<String> {
        let name = |i: &Inst| match i.op {
            Op::Vec => format!("{:?}", VecOp::from_aux(i.aux).expect("an operation")),
            Op::GetV | Op::SetV if Shape(i.imm2 as u8).is_q() => format!("{:?} q{}", i.op, i.imm / 2),
            Op::GetV | Op::SetV | Op::GetD | Op::SetD => format!("{:?} d{}", i.op, i.imm),
            op => format!("{op:?}"),
        };
        insts.iter().map(name).collect()
    }

    #[test]
    fn a_vector_register_is_read_once() {
        let insts = ops(|b| {
            let q = b.get_v(6, true);
            assert_eq!(b.get_v(6, true), q);
            // Its low half is the value itself, as far as anybody may look.
            assert_eq!(b.get_v(6, false), q);
            let high = b.get_v(7, false);
            assert_ne!(high, q);
            assert_eq!(b.get_v(7, false), high);
        });
        assert_eq!(names(&insts), ["GetV q3", "High"]);
    }

    #[test]
    fn a_register_of_two_written_halves_is_put_together() {
        let insts = ops(|b| {
            let v = b.vconst(5);
            b.set_v(4, false, v);
            let q = b.get_v(4, true);
            b.set_v(8, true, q);
            assert_eq!(b.get_v(8, true), q);
        });
        assert_eq!(
            names(&insts),
            ["VConst", "SetV d4", "GetV d5", "Concat", "SetV q4"]
        );
    }

    #[test]
    fn writing_an_alias_forgets_the_others() {
        let insts = ops(|b| {
            let q = b.get_v(2, true);
            let d = b.get_d(2);
            let s = b.get_s(5);
            b.set_v(2, false, q);
            assert_ne!(b.get_d(2), d);
            assert_ne!(b.get_s(5), s);
            assert_ne!(b.get_v(2, true), q);
            let whole = b.get_v(2, true);
            b.set_s(7, s);
            assert_ne!(b.get_v(2, true), whole);
            // The untouched half is still known.
            assert_eq!(b.get_v(2, false), q);
        });
        assert_eq!(
            names(&insts),
            [
                "GetV q1", "GetD d2", "GetS", "SetV d2", "GetD d2", "GetS", "GetV d3", "Concat", "SetS",
                "GetV d3", "Concat"
            ]
        );
    }

    #[test]
    fn a_join_forgets_vectors() {
        let insts = ops(|b| {
            let v = b.get_v(0, true);
            let label = b.skip_unless(Cond::Eq);
            b.set_v(0, true, v);
            b.label(label);
            assert_ne!(b.get_v(0, true), v);
        });
        assert_eq!(insts.iter().filter(|i| i.op == Op::GetV).count(), 2);
    }
}
