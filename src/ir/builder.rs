//! Appends operations to a block, keeping the current value of each guest register so that it is read once.

use super::ops::{Block, Flags, Inst, Op, Sys, Trap, Value};
use crate::cpu::cond::Cond;

/// Builds one [`Block`]. Method names are the operations'.
pub struct Builder {
    block: Block,
    regs: [Value; 15],
    s: [Value; 32],
    d: [Value; 32],
}

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
                ..Block::default()
            },
            regs: [Value::NONE; 15],
            s: [Value::NONE; 32],
            d: [Value::NONE; 32],
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
    pub fn push(&mut self, inst: Inst) -> Value {
        self.block.insts.push(inst);
        Value(self.block.insts.len() as u32 - 1)
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
        self.s = [Value::NONE; 32];
        self.d = [Value::NONE; 32];
    }

    pub fn insn_start(&mut self, pc: u32, thumb: bool, it: u8) {
        self.block.guest_insns += 1;
        self.push(Inst {
            imm: pc,
            aux: u8::from(thumb),
            imm2: u32::from(it),
            ..Inst::new(Op::InsnStart)
        });
    }

    /// Opens a run that is executed only if `cond` holds; close it with [`Builder::label`].
    pub fn skip_unless(&mut self, cond: Cond) -> u32 {
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
        self.s[usize::from(i)] = v;
        self.d[usize::from(i / 2)] = Value::NONE;
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
        self.d[usize::from(i)] = v;
        if i < 16 {
            self.s[usize::from(i) * 2] = Value::NONE;
            self.s[usize::from(i) * 2 + 1] = Value::NONE;
        }
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
