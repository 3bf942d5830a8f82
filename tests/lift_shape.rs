//! How blocks are formed: what stays inside, how they end, what is a call or a return, which flags are live.

use emu::cpu::location::Location;
use emu::cpu::model::{Features, Model};
use emu::cpu::state::{CpuState, NO_EXCLUSIVE};
use emu::ir::interp::{self, Exit, MemFault, Memory};
use emu::ir::ops::{Block, Flags, Inst, Op, Trap};
use emu::ir::verify;
use emu::lift::{self, Context, Decodings, Fetch, intrinsic};

const BASE: u32 = 0x8000;

/// Halfwords from [`BASE`] on; nothing else is mapped.
struct Code(Vec<u16>);

impl Fetch for Code {
    fn fetch16(&self, pc: u32) -> Option<u16> {
        self.0.get(pc.checked_sub(BASE)? as usize / 2).copied()
    }
}

fn a32(words: &[u32]) -> Code {
    Code(words.iter().flat_map(|&w| [w as u16, (w >> 16) as u16]).collect())
}

fn context() -> Context {
    let model = Model::all().iter().find(|m| m.name == "max");
    Context::new(model.expect("the model"))
}

/// An older architecture: the default model's context with other features.
fn with(features: Features) -> Context {
    Context {
        features,
        ..context()
    }
}

fn block(code: &Code, thumb: bool, ctx: &Context) -> Block {
    let block = lift::translate_block(Location::new(BASE, thumb), code, ctx);
    if let Err(error) = verify::verify(&block) {
        panic!("{error}: {:#?}", block.insts);
    }
    block
}

fn lift_a32(words: &[u32]) -> Block {
    block(&a32(words), false, &context())
}

fn lift_t32(halfwords: &[u16]) -> Block {
    block(&Code(halfwords.to_vec()), true, &context())
}

fn count(block: &Block, op: Op) -> usize {
    block.insts.iter().filter(|i| i.op == op).count()
}

fn last(block: &Block) -> Inst {
    *block.insts.last().expect("a terminator")
}

#[test]
fn equal_conditions_are_one_run() {
    // cmp r0, #0; addeq r0, r0, #1; addeq r1, r1, #1; moveq r2, #3; addne r3, r3, #1; bx lr
    let b = lift_a32(&[
        0xe350_0000,
        0x0280_0001,
        0x0281_1001,
        0x03a0_2003,
        0x1283_3001,
        0xe12f_ff1e,
    ]);
    assert_eq!(count(&b, Op::SkipUnless), 2);
    assert_eq!(count(&b, Op::Select), 0);
    assert_eq!(b.guest_insns, 6);
}

#[test]
fn a_flag_setting_instruction_ends_a_run() {
    // addseq r0, r0, #1; addeq r1, r1, #1; bx lr
    let b = lift_a32(&[0x0290_0001, 0x0281_1001, 0xe12f_ff1e]);
    assert_eq!(count(&b, Op::SkipUnless), 2);
}

#[test]
fn a_lone_predicated_move_is_a_choice() {
    // movne r0, #1; moveq r0, r1; mvnlt r2, #0; movwge r3, #7; bx lr
    let b = lift_a32(&[0x13a0_0001, 0x01a0_0001, 0xb3e0_2000, 0xa300_3007, 0xe12f_ff1e]);
    assert_eq!(count(&b, Op::Select), 4);
    assert_eq!(count(&b, Op::SkipUnless), 0);
    // it ne; movne r0, #1; bx lr
    let b = lift_t32(&[0xbf18, 0x2001, 0x4770]);
    assert_eq!(count(&b, Op::Select), 1);
}

#[test]
fn blocks_go_on_through_direct_branches() {
    // beq +16; b 1f; (skipped) udf; 1: bl to the next instruction; bx lr
    let b = lift_a32(&[0x0a00_0002, 0xea00_0000, 0xe7f0_00f0, 0xebff_ffff, 0xe12f_ff1e]);
    assert_eq!(count(&b, Op::ExitIf), 1);
    // lr holds the address of `bx lr` itself: no call is to return there.
    assert_eq!(last(&b).op, Op::Return);
    assert_eq!((b.start, b.end), (BASE, BASE + 20));
}

#[test]
fn a_loop_is_not_unrolled() {
    // mov r0, #0; 1: add r0, r0, #1; b 1b
    let b = lift_a32(&[0xe3a0_0000, 0xe280_0001, 0xeaff_fffd]);
    assert_eq!((last(&b).op, last(&b).imm), (Op::Jump, BASE + 4));
    assert_eq!(b.guest_insns, 3);
}

#[test]
fn a_block_has_a_length() {
    let b = lift_a32(&[0xe280_0001; 100]);
    assert_eq!(b.guest_insns, 64);
    assert_eq!((last(&b).op, last(&b).imm), (Op::Jump, BASE + 256));
    let single = Context {
        max_insns: 1,
        ..context()
    };
    // One instruction at a time, but an IT block (itte, three instructions) as a whole.
    let code = Code(vec![0xbf16, 0x3001, 0x3001, 0x3001, 0x3001]);
    let b = block(&code, true, &single);
    assert_eq!(b.guest_insns, 4);
    assert_eq!((last(&b).op, last(&b).imm), (Op::Jump, (BASE + 8) | 1));
}

/// Terminators: code, the last operation, its immediate operands.
#[test]
#[rustfmt::skip]
fn terminators() {
    let a32_cases: &[(&[u32], Op, u32, u32)] = &[
        (&[0xe12f_ff1e], Op::Return, 0, 0),                            // bx lr
        (&[0xe1a0_f00e], Op::Return, 0, 0),                            // mov pc, lr
        (&[0xe8bd_8010], Op::Return, 0, 0),                            // pop {r4, pc}
        (&[0xe49d_f004], Op::Return, 0, 0),                            // pop {pc}
        (&[0xe91b_a800], Op::Return, 0, 0),                            // ldmdb fp, {fp, sp, pc}
        (&[0xe12f_ff13], Op::JumpInd, 0, 0),                           // bx r3
        (&[0xe590_f000], Op::JumpInd, 0, 0),                           // ldr pc, [r0]
        (&[0xe08f_f100], Op::JumpInd, 0, 0),                           // add pc, pc, r0, lsl #2
        (&[0xe12f_ff33], Op::CallInd, 0, BASE + 4),                    // blx r3
        (&[0xe1a0_e00f, 0xe12f_ff13], Op::CallInd, 0, BASE + 8),       // mov lr, pc; bx r3
        (&[0xe1a0_e00f, 0xe1a0_f003], Op::CallInd, 0, BASE + 8),       // mov lr, pc; mov pc, r3
        (&[0xe1a0_e00f, 0xe590_f000], Op::CallInd, 0, BASE + 8),       // mov lr, pc; ldr pc, [r0]
        (&[0xeb00_0010], Op::Call, BASE + 0x48, BASE + 4),             // bl
        (&[0xfb00_0010], Op::Call, BASE + 0x4b, BASE + 4),             // blx to T32, H set
        (&[0xef00_0000], Op::Svc, 0, BASE + 4),                        // svc #0
        (&[0x1b00_0010], Op::Call, BASE + 0x48, BASE + 4),             // blne
        (&[0xf57f_f06f], Op::Jump, BASE + 4, 0),                       // isb
        (&[0xeee1_0a10], Op::Jump, BASE + 4, 0),                       // vmsr fpscr, r0
        (&[0xe280_0001], Op::Jump, BASE + 4, 0),                       // runs off what is mapped
    ];
    for &(code, op, imm, imm2) in a32_cases {
        let end = last(&lift_a32(code));
        assert_eq!((end.op, end.imm, end.imm2), (op, imm, imm2), "{code:08x?}");
    }
    let t32_cases: &[(&[u16], Op, u32, u32)] = &[
        (&[0x4770], Op::Return, 0, 0),                                 // bx lr
        (&[0xbd10], Op::Return, 0, 0),                                 // pop {r4, pc}
        (&[0xbc02, 0x4708], Op::Return, 0, 0),                         // pop {r1}; bx r1
        (&[0x4708], Op::JumpInd, 0, 0),                                // bx r1
        (&[0x4778], Op::Jump, BASE + 4, 0),                            // bx pc
        (&[0xf000, 0xf810], Op::Call, BASE + 0x25, BASE + 5),          // bl
        (&[0xf000, 0xe810], Op::Call, BASE + 0x24, BASE + 5),          // blx
        (&[0xdf00], Op::Svc, 0, BASE + 3),                             // svc #0
        (&[0xe7fe], Op::Jump, BASE + 1, 0),                            // b .
    ];
    for &(code, op, imm, imm2) in t32_cases {
        let end = last(&lift_t32(code));
        assert_eq!((end.op, end.imm, end.imm2), (op, imm, imm2), "{code:04x?}");
    }
}

/// Loads of the pc interwork from ARMv5T on, data processing from ARMv7 on: before, bits 1 and 0 are cleared.
#[test]
fn interworking_follows_the_architecture() {
    let masks = |code: &[u32], ctx: &Context| {
        let b = block(&a32(code), false, ctx);
        let target = b.insts[last(&b).a.index()];
        target.op == Op::And
    };
    let (load, add) = (&[0xe590_f000], &[0xe080_f001]);
    let (v4t, v5, v6, max) = (
        with(Features::empty()),
        with(Features::V5T),
        with(Features::V5T | Features::V6),
        context(),
    );
    assert!(masks(load, &v4t) && !masks(load, &v5) && !masks(load, &max));
    assert!(masks(add, &v5) && masks(add, &v6) && !masks(add, &max));
}

#[test]
fn what_cannot_be_fetched_or_decoded_traps() {
    let trap = |b: &Block| (last(b).op, last(b).aux, last(b).imm);
    let none = lift_a32(&[]);
    assert_eq!(trap(&none), (Op::Trap, Trap::FetchFault as u8, BASE));
    // A T32 instruction whose second half is missing faults there.
    let half = lift_t32(&[0xf000]);
    assert_eq!(trap(&half), (Op::Trap, Trap::FetchFault as u8, BASE + 2));
    assert!(half.end > BASE + 2);
    // udf #0
    let udf = lift_a32(&[0xe7f0_00f0]);
    assert_eq!(trap(&udf), (Op::Trap, Trap::Undefined as u8, 0xe7f0_00f0));
    // The kernel's breakpoints (arch/arm/kernel/ptrace.c), and BKPT.
    for b in [
        lift_a32(&[0xe7f0_01f0]),
        lift_a32(&[0xe120_0070]),
        lift_t32(&[0xde01]),
        lift_t32(&[0xf7f0, 0xa000]),
        lift_t32(&[0xbe00]),
    ] {
        assert_eq!(trap(&b).1, Trap::Breakpoint as u8);
    }
}

#[test]
fn leaving_an_it_block_in_the_middle() {
    // ite eq; svceq #5; movne r0, r1
    let b = lift_t32(&[0xbf0c, 0xdf05, 0x4608]);
    let end = last(&b);
    assert_eq!((end.op, end.aux), (Op::Trap, Trap::Intrinsic as u8));
    assert_eq!(end.imm, intrinsic::IT_SVC | 5);
    // At its end it is an ordinary conditional exit.
    let b = lift_t32(&[0xbf08, 0xdf05]);
    assert_eq!((last(&b).op, count(&b, Op::ExitIf)), (Op::Svc, 1));
}

/// A block may begin inside an IT block, after a signal.
#[test]
fn starting_inside_an_it_block() {
    let at = Location {
        it: 0x14,
        ..Location::new(BASE, true)
    };
    // addne r0, #1 (no flags); adds r0, #1 follows, outside.
    let b = lift::translate_block(at, &Code(vec![0x3001, 0x3001, 0x4770]), &context());
    // ITSTATE 0b0001_0100: two more, the second with the base condition's last bit 0.
    let conds: Vec<_> = b
        .insts
        .iter()
        .filter(|i| i.op == Op::SkipUnless)
        .map(|i| i.cond)
        .collect();
    use emu::cpu::cond::Cond;
    assert_eq!(conds, [Cond::Ne, Cond::Eq]);
}

/// Code and the flags live at its start.
#[test]
#[rustfmt::skip]
fn live_flags() {
    let ctx = context();
    let cases: &[(&[u32], Flags)] = &[
        (&[0xe350_0000], Flags::NONE),                                 // cmp r0, #0
        (&[0xe12f_ff1e], Flags::NZCV),                                 // bx lr
        (&[0xef00_0000], Flags::NZCV),                                 // svc #0
        (&[0x0a00_0000, 0xe350_0000, 0xe350_0000], Flags::Z),          // beq 1f; cmp; 1: cmp
        (&[0x0a00_0000, 0xe350_0000, 0x2a00_0000], Flags::NZCV),       // beq 1f; cmp; 1: bcs unmapped
        (&[0xe0a0_0001, 0xe350_0000], Flags::C),                       // adc r0, r0, r1; cmp
        (&[0xe110_0001, 0xe350_0000], Flags::NONE),                    // tst r0, r1; cmp
        (&[0xe110_0001, 0xe12f_ff1e], Flags(3)),                       // tst r0, r1; bx lr: C and V
        (&[0x0350_0000, 0xe350_0000], Flags::Z),                       // cmpeq; cmp
        (&[0xeb00_0000, 0xe12f_ff1e, 0xe350_0000], Flags::NONE),       // bl 1f; bx lr; 1: cmp
        (&[0xe1a0_0060, 0xe350_0000], Flags::C),                       // rrx r0, r0; cmp
        (&[0xeef1_fa10], Flags::NONE),                                 // vmrs APSR_nzcv, fpscr
    ];
    for &(code, live) in cases {
        let mut decodings = Decodings::default();
        let mut guest = lift::Code {
            fetch: &a32(code),
            ctx: &ctx,
            decodings: &mut decodings,
            seen: None,
        };
        let got = lift::flags_live_at(Location::new(BASE, false), &mut guest, &mut vec![]);
        assert_eq!(got, live, "{code:08x?}");
    }
}

/// Sixteen words at 0x1000.
struct Words([u32; 16]);

impl Words {
    fn at(&mut self, addr: u32) -> Result<&mut u32, MemFault> {
        let i = addr.wrapping_sub(0x1000) as usize / 4;
        self.0.get_mut(i).ok_or(MemFault { addr })
    }
}

impl Memory for Words {
    fn read8(&mut self, addr: u32) -> Result<u8, MemFault> {
        Err(MemFault { addr })
    }
    fn read16(&mut self, addr: u32) -> Result<u16, MemFault> {
        Err(MemFault { addr })
    }
    fn read32(&mut self, addr: u32) -> Result<u32, MemFault> {
        self.at(addr).copied()
    }
    fn read64(&mut self, addr: u32) -> Result<u64, MemFault> {
        Ok(u64::from(self.read32(addr)?) | u64::from(self.read32(addr + 4)?) << 32)
    }
    fn write8(&mut self, addr: u32, _: u8) -> Result<(), MemFault> {
        Err(MemFault { addr })
    }
    fn write16(&mut self, addr: u32, _: u16) -> Result<(), MemFault> {
        Err(MemFault { addr })
    }
    fn write32(&mut self, addr: u32, value: u32) -> Result<(), MemFault> {
        *self.at(addr)? = value;
        Ok(())
    }
    fn write64(&mut self, addr: u32, value: u64) -> Result<(), MemFault> {
        self.write32(addr, value as u32)?;
        self.write32(addr + 4, (value >> 32) as u32)
    }
    fn write128(&mut self, addr: u32, value: u128) -> Result<(), MemFault> {
        self.at(addr.wrapping_add(12))?;
        self.write64(addr, value as u64)?;
        self.write64(addr + 8, (value >> 64) as u64)
    }
    fn compare_exchange(&mut self, addr: u32, bytes: u32, expected: u64, new: u64) -> Result<bool, MemFault> {
        let wide = bytes == 8;
        let found = if wide {
            self.read64(addr)?
        } else {
            self.read32(addr)?.into()
        };
        if found != expected {
            return Ok(false);
        }
        if wide {
            self.write64(addr, new)?;
        } else {
            self.write32(addr, new as u32)?;
        }
        Ok(true)
    }
    fn fence(&mut self) {}
}

/// Calls the kuser helper at `entry` with r0-r2; r0 and C after it.
fn call_helper(entry: u32, r: [u32; 3], mem: &mut Words) -> (u32, bool) {
    let mut state = CpuState::new();
    state.r[..3].copy_from_slice(&r);
    state.r[14] = 0x4000;
    state.tpidruro = 0x7654_3210;
    state.ex_addr = NO_EXCLUSIVE;
    let mut pc = entry;
    for _ in 0..4 {
        let block = lift::translate_block(Location::new(pc, false), &a32(&[]), &context());
        verify::verify(&block).expect("a good block");
        match interp::run(&block, &mut state, mem) {
            Exit::Return(to) => {
                assert_eq!(to, 0x4000);
                return (state.r[0], state.c != 0);
            }
            Exit::Jump(to) => pc = to,
            other => panic!("{other:?}"),
        }
    }
    panic!("the helper doesn't return");
}

/// Documentation/arm/kernel_user_helpers: 0 and C set if the exchange was made, else not 0 and C clear.
#[test]
fn kuser_helpers() {
    let mut mem = Words([0; 16]);
    assert_eq!(call_helper(0xffff_0fe0, [0; 3], &mut mem).0, 0x7654_3210);
    call_helper(0xffff_0fa0, [0; 3], &mut mem);

    mem.0[0] = 5;
    assert_eq!(call_helper(0xffff_0fc0, [5, 9, 0x1000], &mut mem), (0, true));
    assert_eq!(mem.0[0], 9);
    let (r0, c) = call_helper(0xffff_0fc0, [5, 11, 0x1000], &mut mem);
    assert!(r0 != 0 && !c && mem.0[0] == 9);

    mem.0 = [0; 16];
    mem.0[2..8].copy_from_slice(&[1, 2, 3, 4, 1, 2]);
    let helper = 0xffff_0f60;
    assert_eq!(call_helper(helper, [0x1008, 0x1010, 0x1018], &mut mem), (0, true));
    assert_eq!(mem.0[6..8], [3, 4]);
    let (r0, c) = call_helper(helper, [0x1008, 0x1010, 0x1018], &mut mem);
    assert!(r0 != 0 && !c);
}
