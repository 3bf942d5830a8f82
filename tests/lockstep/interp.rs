//! A case in the IR interpreter: decoder, lifter and IR without optimiser, back end and run time.

use super::case::Case;
use super::layout::{
    ARENA, ARENA_SIZE, CHUNK, CONSTANT, CONSTANT_SIZE, Input, LEAVE, MODIFIES, Output, WINDOW, WINDOW_SIZE,
};
use emu::cpu::location::{FpKey, Location};
use emu::cpu::model::Features;
use emu::cpu::state::{CpuState, NO_EXCLUSIVE};
use emu::ir::interp::{self, Exit, MemFault, Memory};
use emu::ir::ops::{Block, Trap};
use emu::ir::verify;
use emu::lift::{self, Context, Fetch, intrinsic};

/// The guest's memory while an input runs: the slot's code and the window.
struct Guest<'a> {
    code: Vec<u8>,
    base: u32,
    /// The code may be written.
    modifies: bool,
    window: Vec<u8>,
    background: &'a [u32],
    constant: &'a [u32],
    /// An access to memory that the guest has besides (see `lockstep.h`), which is not the same everywhere.
    stray: bool,
    /// It wrote there, or went there.
    disturbs: bool,
    /// The code has been written and no cacheflush has followed: what is executed then is not defined.
    unflushed: bool,
}

/// Whether the guest has other memory at `addr`: the arena, shared memory, the program, the vDSO, the kuser page.
fn elsewhere(addr: u32) -> bool {
    (ARENA..ARENA + ARENA_SIZE).contains(&addr)
        || (0x3000_0000..0x3100_2000).contains(&addr)
        || (0x6b3d_4000..0x6b4f_0000).contains(&addr)
        || (0xf7f0_0000..0xf800_0000).contains(&addr)
        || (0xffff_0000..0xffff_1000).contains(&addr)
}

impl Guest<'_> {
    fn bytes(&mut self, addr: u32, len: u32) -> Result<&mut [u8], MemFault> {
        let at = |base: u32, size: usize| {
            let at = addr.wrapping_sub(base) as usize;
            (at < size).then_some(at)
        };
        if let Some(at) = at(self.base, self.code.len()) {
            if at + len as usize > self.code.len() {
                self.stray = true;
                return Err(MemFault { addr });
            }
            return Ok(&mut self.code[at..at + len as usize]);
        }
        if let Some(at) = at(WINDOW, self.window.len()) {
            let end = WINDOW + WINDOW_SIZE;
            return self
                .window
                .get_mut(at..at + len as usize)
                .ok_or(MemFault { addr: end });
        }
        if addr.wrapping_sub(CONSTANT) < CONSTANT_SIZE {
            return Err(MemFault { addr });
        }
        self.stray |= elsewhere(addr) || elsewhere(addr.wrapping_add(len - 1));
        // A piece of it may be there.
        Err(MemFault { addr })
    }

    fn read(&mut self, addr: u32, len: u32) -> Result<u64, MemFault> {
        if let Some(at) = addr.checked_sub(CONSTANT)
            && at <= CONSTANT_SIZE - len
        {
            let byte = |i: u32| u64::from(self.constant[i as usize / 4] >> (8 * (i % 4)) & 0xff);
            return Ok((at..at + len).rev().fold(0, |v, i| v << 8 | byte(i)));
        }
        let bytes = self.bytes(addr, len)?;
        Ok(bytes.iter().rev().fold(0, |v, &b| v << 8 | u64::from(b)))
    }

    fn write(&mut self, addr: u32, len: u32, value: u128) -> Result<(), MemFault> {
        let here = addr.wrapping_sub(self.base) < self.code.len() as u32;
        if here && !self.modifies {
            return Err(MemFault { addr });
        }
        self.disturbs |= elsewhere(addr) && !here;
        self.unflushed |= here;
        self.bytes(addr, len)?
            .copy_from_slice(&value.to_le_bytes()[..len as usize]);
        Ok(())
    }

    /// As the guest program reports it.
    fn written(&self) -> (u32, u32) {
        let (mut dirty, mut hash) = (0, 0u32);
        for (chunk, bytes) in self.window.chunks(CHUNK as usize).enumerate() {
            let words = bytes
                .chunks(4)
                .map(|b| u32::from_le_bytes(b.try_into().expect("four bytes")));
            let before = &self.background[chunk * CHUNK as usize / 4..];
            if words.clone().zip(before).any(|(a, b)| a != *b) {
                dirty |= 1 << chunk;
                hash = words.fold(hash, |h, w| (h ^ w).wrapping_mul(0x0100_0193));
            }
        }
        (dirty, hash)
    }
}

impl Memory for Guest<'_> {
    fn read8(&mut self, addr: u32) -> Result<u8, MemFault> {
        Ok(self.read(addr, 1)? as u8)
    }
    fn read16(&mut self, addr: u32) -> Result<u16, MemFault> {
        Ok(self.read(addr, 2)? as u16)
    }
    fn read32(&mut self, addr: u32) -> Result<u32, MemFault> {
        Ok(self.read(addr, 4)? as u32)
    }
    fn read64(&mut self, addr: u32) -> Result<u64, MemFault> {
        self.read(addr, 8)
    }
    fn write8(&mut self, addr: u32, value: u8) -> Result<(), MemFault> {
        self.write(addr, 1, value.into())
    }
    fn write16(&mut self, addr: u32, value: u16) -> Result<(), MemFault> {
        self.write(addr, 2, value.into())
    }
    fn write32(&mut self, addr: u32, value: u32) -> Result<(), MemFault> {
        self.write(addr, 4, value.into())
    }
    fn write64(&mut self, addr: u32, value: u64) -> Result<(), MemFault> {
        self.write(addr, 8, value.into())
    }
    fn write128(&mut self, addr: u32, value: u128) -> Result<(), MemFault> {
        self.write(addr, 16, value)
    }
    fn compare_exchange(&mut self, addr: u32, bytes: u32, expected: u64, new: u64) -> Result<bool, MemFault> {
        let same = self.read(addr, bytes)? == expected;
        if same {
            self.write(addr, bytes, new.into())?;
        }
        Ok(same)
    }
    fn fence(&mut self) {}
}

/// The code alone, for the lifter.
struct Code<'a>(&'a [u8], u32);

impl Fetch for Code<'_> {
    fn fetch16(&self, pc: u32) -> Option<u16> {
        let at = pc.wrapping_sub(self.1) as usize;
        let bytes = self.0.get(at..at + 2)?;
        Some(u16::from_le_bytes([bytes[0], bytes[1]]))
    }
}

/// What the interpreter makes of an input.
pub struct Interpreted {
    pub output: Output,
    /// It met memory that is not the same everywhere, or a system call, or left code unflushed: nothing to compare.
    pub stray: bool,
    /// It wrote to such memory or went there: others may see that.
    pub disturbs: bool,
    /// The blocks on the way.
    pub blocks: Vec<(Location, Block)>,
}

/// Runs the inputs of `case` one after the other (code that one changes stays changed).
///
/// # Errors
/// A block that breaks a rule of the IR.
pub fn run(ctx: &Context, case: &Case, backgrounds: &[Vec<u32>]) -> Result<Vec<Interpreted>, String> {
    let background = &backgrounds[case.background][..];
    let mut code: Vec<u8> = case.code.iter().flat_map(|w| w.to_le_bytes()).collect();
    let mut found = Vec::new();
    for input in &case.inputs {
        let mut guest = Guest {
            code,
            base: case.address(),
            modifies: case.flags & MODIFIES != 0,
            window: background.iter().flat_map(|w| w.to_le_bytes()).collect(),
            background,
            constant: &backgrounds[0],
            stray: false,
            disturbs: false,
            unflushed: false,
        };
        let one = run_one(ctx, input, &mut guest)?;
        code = guest.code;
        found.push(one);
    }
    Ok(found)
}

fn run_one(ctx: &Context, input: &Input, guest: &mut Guest<'_>) -> Result<Interpreted, String> {
    let mut state = CpuState::new();
    state.r[..15].copy_from_slice(&input.r[..15]);
    state.d = input.d;
    state.set_cpsr(input.cpsr & 0xf80f_0000);
    state.thumb = (input.r[15] & 1) as u8;
    state.ex_addr = NO_EXCLUSIVE;
    state.fpscr_writable = ctx.model.fpscr_writable();
    interp::write_fpscr(&mut state, input.fpscr);
    let mut loc = Location::new(input.r[15] & !1, input.r[15] & 1 == 1);
    let (mut signal, mut blocks) = (0, Vec::new());
    for step in 0.. {
        if step == 2000 {
            guest.stray = true;
            break;
        }
        loc.fp = FpKey::from_fpscr(state.fpscr, ctx.features);
        let block = lift::translate_block(loc, &Code(&guest.code, guest.base), ctx);
        if let Err(error) = verify::verify(&block) {
            return Err(format!(
                "{error} in block {:08x}:\n{}",
                loc.pc,
                emu::ir::print::print(&block)
            ));
        }
        let exit = interp::run(&block, &mut state, guest);
        if blocks.len() < 32 {
            blocks.push((loc, block));
        }
        let next = match exit {
            Exit::Jump(to)
            | Exit::Call { target: to, .. }
            | Exit::CallInd { target: to, .. }
            | Exit::Return(to)
            | Exit::JumpInd(to) => to,
            Exit::Svc { .. } => {
                // cacheflush, which the generator asks for, is no concern here.
                if state.r[7] == 0xf_0002 {
                    guest.unflushed = false;
                    state.r[0] = 0;
                    loc = Location {
                        pc: state.r[15],
                        it: state.it,
                        ..loc
                    };
                    continue;
                }
                guest.stray = true;
                break;
            }
            Exit::Fault { addr, .. } => {
                guest.stray |= elsewhere(addr);
                signal = 11;
                break;
            }
            Exit::AlignFault { addr, .. } => {
                guest.stray |= elsewhere(addr);
                signal = 7;
                break;
            }
            Exit::Trap { kind, imm, .. } => match kind {
                Trap::Yield => imm,
                Trap::Undefined => {
                    signal = 4;
                    break;
                }
                Trap::Breakpoint => {
                    signal = 5;
                    break;
                }
                Trap::FetchFault if state.thumb == 0 && state.r[15] & 3 != 0 => {
                    signal = 7;
                    break;
                }
                Trap::FetchFault => {
                    // Executed on processors without XN, by all but QEMU (see `exclude`).
                    let data =
                        imm.wrapping_sub(WINDOW) < WINDOW_SIZE || imm.wrapping_sub(CONSTANT) < CONSTANT_SIZE;
                    // QEMU ends where it is to execute something in the last 64 KiB that is no helper of the kernel's.
                    guest.disturbs |= elsewhere(imm)
                        || imm >> 16 == 0xffff
                        || imm.wrapping_sub(guest.base) < 256
                        || data && !ctx.features.contains(Features::V6);
                    guest.stray |= guest.disturbs;
                    signal = 11;
                    break;
                }
                Trap::Intrinsic => {
                    match intrinsic::step(&mut state, imm) {
                        intrinsic::Step::Done => {}
                        intrinsic::Step::Svc(_) => {
                            guest.stray = true;
                            break;
                        }
                        intrinsic::Step::Undefined => {
                            signal = 4;
                            break;
                        }
                    }
                    loc = Location {
                        pc: state.r[15],
                        it: state.it,
                        ..loc
                    };
                    continue;
                }
            },
        };
        if next & !1 == LEAVE {
            break;
        }
        loc = Location::new(next & !1, next & 1 == 1);
    }
    let (dirty, hash) = guest.written();
    let mut r = state.r;
    let mut cpsr = state.cpsr();
    if signal == 0 {
        r[15] = 0;
        // The way out is A32 code.
        cpsr &= !0x20;
    }
    Ok(Interpreted {
        output: Output {
            r,
            cpsr,
            fpscr: interp::read_fpscr(&state),
            signal,
            code: 0,
            address: 0,
            dirty,
            hash,
            pad: 0,
            d: state.d,
        },
        stray: guest.stray || guest.unflushed,
        disturbs: guest.disturbs,
        blocks,
    })
}
