//! Short instruction sequences on given registers and memory, run in qemu-arm (by the guest in `fixtures/lift`) and by
//! lifting them and interpreting the IR.

use emu::cpu::location::{FpKey, Location};
use emu::cpu::state::{CpuState, NO_EXCLUSIVE};
use emu::ir::interp::{self, Exit, MemFault, Memory};
use emu::ir::ops::Trap;
use emu::ir::verify;
use emu::lift::{self, Context, Fetch, intrinsic};
use std::io::{Read, Write};
use std::process::{Command, Stdio};

/// Where the guest puts the sequences, 64 bytes each, and how many it takes at a time.
pub const CODE: u32 = 0x1000_0000;
pub const BATCH: usize = 512;
/// The page of data; the given words are in its middle.
pub const DATA: u32 = 0x2800_0000;
pub const WINDOW: u32 = DATA + 0x800;

/// A sequence and the state it starts from.
#[derive(Clone, Copy, Debug)]
pub struct In {
    pub thumb: bool,
    /// D0-D15 only.
    pub d16: bool,
    pub cpsr: u32,
    pub fpscr: u32,
    pub r: [u32; 15],
    /// All of it is run: pad with NOP.
    pub code: [u32; 8],
    pub d: [u64; 32],
    pub data: [u32; 64],
}

/// The state after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Out {
    /// The address that a refused access or fetch was to; only from the lifter's side.
    pub fault: Option<u32>,
    /// 0, or the signal that ended the sequence.
    pub signal: u32,
    pub cpsr: u32,
    pub fpscr: u32,
    /// At the signal, else 0.
    pub pc: u32,
    pub r: [u32; 15],
    pub d: [u64; 32],
    pub data: [u32; 64],
}

const IN: usize = 616;
const OUT: usize = 592;

/// What qemu-arm makes of `records`. Panics, saying why, where it can't run.
pub fn qemu(cpu: &str, records: &[In]) -> Vec<Out> {
    run_guest(Command::new("qemu-arm").args(["-cpu", cpu]), records)
}

/// What the emulator makes of them: the translator, its faults and its signal frames.
pub fn translated(cpu: &str, options: &[&str], records: &[In]) -> Vec<Out> {
    run_guest(
        Command::new(env!("CARGO_BIN_EXE_emu"))
            .args(["--cpu", cpu])
            .args(options),
        records,
    )
}

/// Runs the guest on `records`.
fn run_guest(command: &mut Command, records: &[In]) -> Vec<Out> {
    let guest = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/lift/sequence");
    let mut child = command
        .arg(guest)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| {
            panic!("{command:?} (qemu-arm: package qemu-user, see tools/install-deps) doesn't start: {e}")
        });
    let mut to_guest = child.stdin.take().expect("a pipe");
    let mut from_guest = child.stdout.take().expect("a pipe");
    let mut input = Vec::with_capacity(IN * records.len());
    for r in records {
        let mode = u32::from(r.thumb) | u32::from(r.d16) << 1;
        let words = [mode, r.cpsr, r.fpscr].into_iter().chain(r.r).chain(r.code);
        input.extend(words.flat_map(u32::to_le_bytes));
        input.extend(r.d.into_iter().flat_map(u64::to_le_bytes));
        input.extend(r.data.into_iter().flat_map(u32::to_le_bytes));
    }
    let mut output = Vec::with_capacity(OUT * records.len());
    std::thread::scope(|scope| {
        scope.spawn(move || {
            // The reader notices if the guest ended early.
            let _ = to_guest.write_all(&input);
        });
        from_guest.read_to_end(&mut output).expect("the guest's output");
    });
    let status = child.wait().expect("the guest's status");
    assert!(status.success(), "{command:?}: the guest ended with {status}");
    assert_eq!(output.len(), OUT * records.len(), "one result for each record");
    output.chunks_exact(OUT).map(parse).collect()
}

fn parse(bytes: &[u8]) -> Out {
    let word = |i: usize| u32::from_le_bytes(bytes[4 * i..4 * i + 4].try_into().expect("four bytes"));
    let double = |i: usize| u64::from(word(20 + 2 * i)) | u64::from(word(21 + 2 * i)) << 32;
    Out {
        fault: None,
        signal: word(0),
        cpsr: word(1),
        fpscr: word(2),
        pc: word(3),
        r: std::array::from_fn(|i| word(4 + i)),
        d: std::array::from_fn(double),
        data: std::array::from_fn(|i| word(84 + i)),
    }
}

/// The guest's way out.
const LEAVE: u32 = CODE + 64 * BATCH as u32 + 64;

/// [`Out::fault`] of a sequence that makes a system call, which only the guest can: an address in the kuser page.
const SYSTEM_CALL: u32 = 0xffff_0000;

/// The guest's memory while one record runs.
struct Guest {
    code: Vec<u8>,
    data: Vec<u8>,
}

impl Guest {
    fn bytes(&mut self, addr: u32, len: u32) -> Result<&mut [u8], MemFault> {
        let within = |base: u32, bytes: &[u8]| {
            let at = addr.wrapping_sub(base) as usize;
            (at < bytes.len()).then_some(at)
        };
        let (region, base, at) = if let Some(at) = within(CODE, &self.code) {
            (&mut self.code, CODE, at)
        } else if let Some(at) = within(DATA, &self.data) {
            (&mut self.data, DATA, at)
        } else {
            return Err(MemFault { addr });
        };
        let end = base + region.len() as u32;
        region
            .get_mut(at..at + len as usize)
            .ok_or(MemFault { addr: end })
    }

    fn read(&mut self, addr: u32, len: u32) -> Result<u64, MemFault> {
        let bytes = self.bytes(addr, len)?;
        Ok(bytes.iter().rev().fold(0, |v, &b| v << 8 | u64::from(b)))
    }

    fn write(&mut self, addr: u32, len: u32, value: u64) -> Result<(), MemFault> {
        self.bytes(addr, len)?
            .copy_from_slice(&value.to_le_bytes()[..len as usize]);
        Ok(())
    }
}

impl Memory for Guest {
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
        self.write(addr, 8, value)
    }
    fn write128(&mut self, addr: u32, value: u128) -> Result<(), MemFault> {
        self.bytes(addr, 16)?.copy_from_slice(&value.to_le_bytes());
        Ok(())
    }
    fn compare_exchange(&mut self, addr: u32, bytes: u32, expected: u64, new: u64) -> Result<bool, MemFault> {
        let same = self.read(addr, bytes)? == expected;
        if same {
            self.write(addr, bytes, new)?;
        }
        Ok(same)
    }
    fn fence(&mut self) {}
}

/// The code alone, for the lifter.
struct Code<'a>(&'a [u8]);

impl Fetch for Code<'_> {
    fn fetch16(&self, pc: u32) -> Option<u16> {
        let at = pc.wrapping_sub(CODE) as usize;
        let bytes = self.0.get(at..at + 2)?;
        Some(u16::from_le_bytes([bytes[0], bytes[1]]))
    }
}

/// The guest's code area for up to [`BATCH`] records.
fn code_of(batch: &[In]) -> Vec<u8> {
    let mut code = Vec::with_capacity(64 * BATCH);
    for r in batch {
        let out = if r.thumb { 0xf000_f8df } else { 0xe51f_f004u32 };
        let words = r.code.into_iter().chain([out, LEAVE]).chain([0; 6]);
        code.extend(words.flat_map(u32::to_le_bytes));
    }
    code.resize(64 * BATCH, 0);
    code
}

/// What lifting and interpreting makes of `records`. Panics where a block breaks a rule of the IR.
pub fn lifted(ctx: &Context, records: &[In]) -> Vec<Out> {
    let mut outs = Vec::with_capacity(records.len());
    for batch in records.chunks(BATCH) {
        // What a sequence stores to the code stays there, as in the guest.
        let mut code = code_of(batch);
        for (i, r) in batch.iter().enumerate() {
            let mut data = vec![0; 4096];
            for (bytes, word) in data[0x800..].chunks_exact_mut(4).zip(r.data) {
                bytes.copy_from_slice(&word.to_le_bytes());
            }
            let mut guest = Guest { code, data };
            outs.push(run(ctx, r, CODE + 64 * i as u32, &mut guest));
            code = guest.code;
        }
    }
    outs
}

fn run(ctx: &Context, r: &In, entry: u32, guest: &mut Guest) -> Out {
    let mut state = CpuState::new();
    state.r[..15].copy_from_slice(&r.r);
    state.d = r.d;
    state.set_cpsr(r.cpsr & 0xf80f_0000);
    state.thumb = u8::from(r.thumb);
    state.ex_addr = NO_EXCLUSIVE;
    state.fpscr_writable = ctx.model.fpscr_writable();
    interp::write_fpscr(&mut state, r.fpscr);
    let mut loc = Location::new(entry, r.thumb);
    let (mut signal, mut fault) = (0, None);
    for _ in 0..400 {
        loc.fp = FpKey::from_fpscr(state.fpscr, ctx.features);
        let block = lift::translate_block(loc, &Code(&guest.code), ctx);
        if let Err(error) = verify::verify(&block) {
            panic!("{error} in the block of {r:x?}:\n{:#?}", block.insts);
        }
        let next = match interp::run(&block, &mut state, guest) {
            Exit::Jump(to)
            | Exit::Call { target: to, .. }
            | Exit::CallInd { target: to, .. }
            | Exit::Return(to)
            | Exit::JumpInd(to) => to,
            // A stray one, in the middle of another sequence.
            Exit::Svc { .. } => {
                fault = Some(SYSTEM_CALL);
                break;
            }
            Exit::Fault { addr, .. } => {
                fault = Some(addr);
                signal = 11;
                break;
            }
            Exit::AlignFault { .. } => {
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
                    fault = Some(imm);
                    signal = 11;
                    break;
                }
                Trap::Intrinsic => {
                    match intrinsic::step(&mut state, imm) {
                        intrinsic::Step::Done => {}
                        intrinsic::Step::Svc(_) => {
                            fault = Some(SYSTEM_CALL);
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
    Out {
        fault,
        signal,
        cpsr: state.cpsr(),
        fpscr: interp::read_fpscr(&state),
        pc: if signal == 0 { 0 } else { state.r[15] },
        r: std::array::from_fn(|i| state.r[i]),
        d: state.d,
        data: std::array::from_fn(|i| {
            let at = 0x800 + 4 * i;
            u32::from_le_bytes(guest.data[at..at + 4].try_into().expect("four bytes"))
        }),
    }
}
