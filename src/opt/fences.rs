//! Barriers that order nothing go.
//!
//! The host keeps every order of guest accesses but one: a store may be seen later than a load that follows it (x86's
//! total store order). So a barrier is needed only where a store lies between it and the last operation that is a
//! barrier itself. Exclusive stores are, failed ones as well, and so are exchanges and store-releases, which become
//! locked instructions. Compilers surround each exclusive pair with DMBs, of which the second is never needed.

use crate::ir::ops::{Block, Inst, Op, effect};

pub fn run(block: &mut Block) {
    // Whether no store can be waiting, here and where control joins each label.
    let mut drained = false;
    let mut at_label = vec![true; block.labels as usize];
    for inst in &mut block.insts {
        match inst.op {
            Op::Fence if drained => *inst = Inst::new(Op::Nop),
            Op::Fence | Op::StoreEx | Op::StoreEx64 | Op::Swap | Op::StoreRel => drained = true,
            Op::SkipUnless => at_label[inst.imm as usize] &= drained,
            Op::Label => drained &= at_label[inst.imm as usize],
            op if op.effects() & effect::WRITE != 0 => drained = false,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::builder::Builder;
    use crate::ir::ops::Value;

    /// How many fences are left of those in the block that `make` builds.
    fn left(make: impl FnOnce(&mut Builder, Value)) -> usize {
        let mut b = Builder::new();
        b.insn_start(0x8000, false, 0);
        let at = b.get_reg(0);
        make(&mut b, at);
        b.jump(0x8004);
        let mut block = b.finish();
        run(&mut block);
        block.insts.iter().filter(|i| i.op == Op::Fence).count()
    }

    fn fence(b: &mut Builder) {
        b.push(Inst::new(Op::Fence));
    }

    fn store(b: &mut Builder, op: Op, at: Value) {
        let (b_, c) = if op == Op::Store32 {
            (Value::NONE, at)
        } else {
            (at, Value::NONE)
        };
        b.push(Inst {
            a: at,
            b: b_,
            c,
            imm: if op == Op::Store32 { 0 } else { 4 },
            ..Inst::new(op)
        });
    }

    #[test]
    fn only_a_store_makes_a_barrier_necessary() {
        // The first may follow a store of another block.
        assert_eq!(left(|b, _| (0..3).for_each(|_| fence(b))), 1);
        let exclusive = |b: &mut Builder, at| {
            fence(b);
            b.op1i(Op::LoadEx, at, 4);
            store(b, Op::StoreEx, at);
            fence(b);
        };
        assert_eq!(left(exclusive), 1);
        let plain = |b: &mut Builder, at| {
            fence(b);
            store(b, Op::Store32, at);
            fence(b);
        };
        assert_eq!(left(plain), 2);
    }

    #[test]
    fn a_store_on_one_way_counts_at_the_join() {
        let skipped = |b: &mut Builder, at| {
            fence(b);
            let label = b.skip_unless(crate::cpu::cond::Cond::Eq);
            store(b, Op::Store32, at);
            b.label(label);
            fence(b);
        };
        assert_eq!(left(skipped), 2);
        let predicated_exclusive = |b: &mut Builder, at| {
            store(b, Op::Store32, at);
            let label = b.skip_unless(crate::cpu::cond::Cond::Eq);
            store(b, Op::StoreEx, at);
            b.label(label);
            fence(b);
        };
        assert_eq!(left(predicated_exclusive), 1);
    }
}
