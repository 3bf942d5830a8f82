//! The verifier refuses each way to break a rule of `ir::ops`, and the printer shows blocks as documented.

use emu::cpu::cond::Cond;
use emu::ir::builder::Builder;
use emu::ir::ops::{Block, Flags, Inst, Op, Trap, Value};
use emu::ir::print::print;
use emu::ir::vector::{Shape, VecOp};
use emu::ir::verify::verify;

/// A block of one guest instruction made by `build`, ending in a jump.
fn block(build: impl FnOnce(&mut Builder)) -> Block {
    let mut b = Builder::new();
    b.insn_start(0x8000, false, 0);
    build(&mut b);
    b.jump(0x8004);
    b.finish()
}

fn refusal(build: impl FnOnce(&mut Builder)) -> String {
    verify(&block(build)).expect_err("a broken rule").to_string()
}

#[test]
fn operands() {
    let add = |a, b, c| Inst {
        a,
        b,
        c,
        ..Inst::new(Op::Add)
    };
    let (none, first) = (Value::NONE, Value(1));
    let with_reg = |inst: Inst| {
        refusal(|b| {
            b.get_reg(0);
            b.push(inst);
        })
    };
    assert_eq!(with_reg(add(first, none, none)), "v2: operand b is missing");
    assert_eq!(
        with_reg(add(first, first, first)),
        "v2: operand c that Add doesn't have"
    );
    assert_eq!(
        with_reg(add(first, Value(2), none)),
        "v2: operand v2 isn't defined yet"
    );
    assert_eq!(
        with_reg(add(first, Value(9), none)),
        "v2: operand v9 isn't defined yet"
    );
    assert_eq!(
        with_reg(add(first, Value(0), none)),
        "v2: operand v0 is None, not I32"
    );
    let wide = refusal(|b| {
        let wide = b.const64(1);
        b.op1(Op::Clz, wide);
    });
    assert_eq!(wide, "v2: operand v1 is I64, not I32");
}

#[test]
fn labels() {
    let over_a_join = refusal(|b| {
        let label = b.skip_unless(Cond::Eq);
        let v = b.iconst(1);
        b.label(label);
        b.set_reg(0, v);
    });
    assert_eq!(over_a_join, "v4: operand v2 is from before a label");
    let no_label = refusal(|b| {
        b.skip_unless(Cond::Eq);
    });
    assert_eq!(no_label, "v1: no label 0 ahead");
    let twice = refusal(|b| {
        let label = b.skip_unless(Cond::Eq);
        b.label(label);
        b.label(label);
    });
    assert_eq!(twice, "v3: label 0 a second time");
    assert_eq!(refusal(|b| b.label(3)), "v1: label 3 of 0");
}

#[test]
fn shape() {
    let mut b = Builder::new();
    b.jump(0);
    assert_eq!(
        verify(&b.finish()).expect_err("no InsnStart").to_string(),
        "v0: before the first InsnStart"
    );
    assert_eq!(refusal(|b| b.jump(0)), "v1: a terminator before the end");
    let mut b = Builder::new();
    b.insn_start(0x8000, true, 0);
    let open = b.finish();
    assert_eq!(
        verify(&open).expect_err("no terminator").what,
        "the block doesn't end in a terminator"
    );
    assert!(verify(&Block::default()).is_err());
}

#[test]
fn fields() {
    let out_of_range = |op, imm, imm2, aux| {
        let message = refusal(|b| {
            let v = b.iconst(0);
            let second = if op == Op::Parallel { v } else { Value::NONE };
            b.push(Inst {
                a: v,
                b: second,
                imm,
                imm2,
                aux,
                ..Inst::new(op)
            });
        });
        assert!(message.contains("is out of range"), "{message}");
    };
    out_of_range(Op::Shl, 0, 0, 0);
    out_of_range(Op::Shl, 32, 0, 0);
    out_of_range(Op::Shr, 33, 0, 0);
    out_of_range(Op::USat, 32, 0, 0);
    out_of_range(Op::SSat16, 33, 0, 0);
    out_of_range(Op::Ubfx, 31, 2, 0);
    out_of_range(Op::Ubfx, 0, 0, 0);
    out_of_range(Op::Parallel, 0, 0, 6);
    out_of_range(Op::Parallel, 0, 0, 48);
    out_of_range(Op::SetReg, 15, 0, 0);
    out_of_range(Op::LoadEx, 8, 0, 0);
    out_of_range(Op::FixedToF32, 17, 16, 0);
    let flags = refusal(|b| {
        let v = b.iconst(0);
        b.op2f(Op::And, v, v, Flags::NZC);
    });
    assert_eq!(flags, "v2: And can't set C");
    let none = refusal(|b| {
        let v = b.iconst(0);
        b.op2f(Op::UDiv, v, v, Flags::Z);
    });
    assert_eq!(none, "v2: UDiv can't set Z");
}

#[test]
fn faults_come_before_writes() {
    // STR with the base written back too early.
    let early = refusal(|b| {
        let base = b.get_reg(1);
        let four = b.iconst(4);
        let sum = b.op2(Op::Add, base, four);
        b.set_reg(1, sum);
        b.store(Op::Store32, base, Value::NONE, 0, 0, four);
    });
    assert_eq!(early, "v5: may fault after the context write v4");
    let flags = refusal(|b| {
        let v = b.get_reg(1);
        b.op2f(Op::Sub, v, v, Flags::NZCV);
        b.load(Op::Load32, v, Value::NONE, 0, 0);
    });
    assert_eq!(flags, "v3: may fault after the context write v2");
    // LDM r1, {r1, r2} that overwrites the base before the second load.
    let base_lost = refusal(|b| {
        let base = b.get_reg(1);
        let first = b.load(Op::Load32, base, Value::NONE, 0, 0);
        b.set_reg(1, first);
        b.load(Op::Load32, base, Value::NONE, 0, 4);
    });
    assert_eq!(base_lost, "v4: loads after overwriting its base r1");
}

#[test]
fn multiple_loads_may_write_registers_between() {
    let ldm = block(|b| {
        let base = b.get_reg(1);
        for r in 2..5u8 {
            let v = b.load(Op::Load32, base, Value::NONE, 0, i32::from(r) * 4 - 8);
            b.set_reg(r, v);
        }
        let v = b.load(Op::LoadF64, base, Value::NONE, 0, 12);
        b.set_d(3, v);
        let last = b.load(Op::Load32, base, Value::NONE, 0, 20);
        b.set_reg(1, last);
    });
    assert_eq!(verify(&ldm), Ok(()));
}

#[test]
fn text() {
    let mut b = Builder::new();
    b.insn_start(0x8000, true, 0x08);
    let label = b.skip_unless(Cond::Ne);
    let base = b.get_reg(1);
    let index = b.get_reg(2);
    let v = b.load(Op::Load8, base, index, 2, -4);
    b.set_reg(0, v);
    b.label(label);
    b.insn_start(0x8002, true, 0);
    let x = b.get_reg(0);
    let five = b.iconst(5);
    b.op2f(Op::Sub, x, five, Flags::NZCV);
    let d = b.get_d(7);
    let root = b.op1(Op::FSqrt64, d);
    b.set_d(7, root);
    b.exit_if(Cond::Hi, 0x9001);
    b.trap(Trap::Undefined, 0);
    let block = b.finish();
    assert_eq!(verify(&block), Ok(()));
    let expected = "\
0x00008000 T32 it=0x08
    SkipUnless.Ne L0
    v2 = GetReg r1
    v3 = GetReg r2
    v4 = Load8 [v2 + v3 << 2 - 0x4]
    SetReg r0, v4
L0:
0x00008002 T32
    v8 = GetReg r0
    v9 = Const 0x5
    v10 = Sub.NZCV v8, v9
    v11 = GetD d7
    v12 = FSqrt64 v11
    SetD d7, v12
    ExitIf.Hi 0x9001
    Trap Undefined, 0x0
";
    assert_eq!(print(&block), expected);
}

/// An operation on copies of one vector.
fn vec_inst(v: Value, op: VecOp, shape: Shape, imm: u32) -> Inst {
    let operand = |i| if i < op.args() { v } else { Value::NONE };
    Inst {
        aux: op as u8,
        a: v,
        b: operand(1),
        c: operand(2),
        imm,
        imm2: u32::from(shape.0),
        ..Inst::new(op.class())
    }
}

#[test]
fn vector_fields() {
    let refused = |op: VecOp, shape: Shape, imm: u32| {
        let message = refusal(|b| {
            let v = b.get_v(0, true);
            b.push(vec_inst(v, op, shape, imm));
        });
        assert!(message.contains("is out of range"), "{message}");
    };
    let (d, q) = (
        |size| Shape::new(size, false, false),
        |size| Shape::new(size, true, false),
    );
    refused(VecOp::Mul, d(3), 0);
    refused(VecOp::Shl, q(1), 16);
    refused(VecOp::Shr, q(1), 0);
    refused(VecOp::AesE, d(0), 0);
    refused(VecOp::Table, d(0), 12);
    refused(VecOp::Ext, d(0), 8);
    refused(VecOp::FAdd, q(3), 0);
    refused(VecOp::FToInt, q(2), 5);
    let class = refusal(|b| {
        let v = b.get_v(0, true);
        b.push(Inst {
            op: Op::Vec,
            ..vec_inst(v, VecOp::QAdd, q(2), 0)
        });
    });
    assert!(class.contains("is out of range"), "{class}");
    let odd = refusal(|b| {
        b.push(Inst {
            imm: 1,
            imm2: u32::from(q(3).0),
            ..Inst::new(Op::GetV)
        });
    });
    assert!(odd.contains("is out of range"), "{odd}");
    let double = refusal(|b| {
        let v = b.get_v(0, true);
        b.push(Inst {
            a: v,
            imm2: u32::from(q(3).0),
            ..Inst::new(Op::VExtract)
        });
    });
    assert!(double.contains("is out of range"), "{double}");
}

/// Like VLD2: what was put together from loads may be written between further loads; what was computed from a
/// register may not.
#[test]
fn structures_of_loads_may_be_written_between() {
    let shape = Shape::new(0, false, false);
    let vld = |combined_with_register: bool| {
        verify(&block(|b| {
            let base = b.get_reg(1);
            let first = b.load_v(false, base, 0);
            let second = if combined_with_register {
                b.get_v(9, false)
            } else {
                first
            };
            let even = b.vec2(VecOp::UzpEven, shape, 0, second, second);
            b.set_v(0, false, even);
            let third = b.load_v(false, base, 8);
            b.set_v(1, false, third);
        }))
    };
    assert_eq!(vld(false), Ok(()));
    let message = vld(true).expect_err("a register was written first").to_string();
    assert!(message.contains("may fault after the context write"), "{message}");
}

#[test]
fn vector_text() {
    let mut b = Builder::new();
    b.insn_start(0x8000, false, 0);
    let base = b.get_reg(1);
    let loaded = b.load_v(true, base, 0x10);
    let q = b.get_v(4, true);
    let sum = b.push(Inst {
        b: q,
        ..vec_inst(loaded, VecOp::QAdd, Shape::new(1, true, true), 0)
    });
    let narrow = b.push(vec_inst(sum, VecOp::NarrowShr, Shape::new(0, false, false), 3));
    b.set_v(7, false, narrow);
    let lane = b.push(Inst {
        a: sum,
        imm: 5,
        imm2: u32::from(Shape::new(1, true, true).0),
        ..Inst::new(Op::VExtract)
    });
    b.set_reg(2, lane);
    b.jump(0x8004);
    let block = b.finish();
    assert_eq!(verify(&block), Ok(()));
    let expected = "\
0x00008000 A32
    v1 = GetReg r1
    v2 = LoadV.128 [v1 + 0x10]
    v3 = GetV q2
    v4 = VecSat.QAdd.8xu16 v2, v3
    v5 = Vec.NarrowShr.8x8 v4, #3
    SetV d7, v5
    v7 = VExtract.8xu16 v4[5]
    SetReg r2, v7
    Jump 0x8004
";
    assert_eq!(print(&block), expected);
}
