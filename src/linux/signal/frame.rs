//! ARM's signal frames as bytes (arch/arm/include/uapi/asm/sigcontext.h, asm/ucontext.h, kernel/signal.c).
//!
//! ```text
//! sigframe:    ucontext (744 bytes), retcode[4]
//! rt_sigframe: siginfo (128 bytes), sigframe
//! ```
//! The VFP block in uc_regspace is there on every model with VFP; a zero word ends the list of blocks.

use super::altstack::MINSIGSTKSZ;
use super::set::SigSet;
use super::siginfo::GuestSigInfo;
use crate::cpu::state::CpuState;
use crate::linux::task::{AltStack, FaultRecord};
use zerocopy::{FromBytes, IntoBytes};

pub const UCONTEXT_SIZE: usize = 744;
pub const SIGFRAME_SIZE: usize = UCONTEXT_SIZE + 16;
pub const SIGINFO_SIZE: usize = 128;
pub const RT_SIGFRAME_SIZE: usize = SIGINFO_SIZE + SIGFRAME_SIZE;

/// Offsets in `struct ucontext`.
pub const UC_STACK: usize = 8;
const UC_MCONTEXT: usize = 20;
const UC_SIGMASK: usize = 104;
const UC_REGSPACE: usize = 232;
/// uc_flags of a non-rt frame.
const SIGFRAME_MAGIC: u32 = 0x5ac3_c35a;
/// `struct vfp_sigframe`: magic, size, D0-D31, FPSCR, then FPEXC, FPINST, FPINST2 at 272; padded to 8.
const VFP_MAGIC: u32 = 0x5646_5001;
const VFP_SIZE: u32 = 288;
const VFP_FPSCR: usize = 264;
const VFP_FPEXC: usize = 272;
/// FPEXC.EN.
const FPEXC_EN: u32 = 1 << 30;

/// CPSR bits of the sigcontext that a return accepts or refuses.
const PSR_MODE: u32 = 0x1f;
const PSR_USER: u32 = 0x10;
const PSR_I: u32 = 0x80;
const PSR_E: u32 = 0x200;
/// What a handler starts without: NZCVQ, IT, E; T is the handler's.
const PSR_CLEARED: u32 = 0xff00_0000 | 0x0600_fc00 | PSR_E;
pub const PSR_T: u32 = 0x20;

const _: () = assert!(RT_SIGFRAME_SIZE < MINSIGSTKSZ as usize);

/// The registers of a context.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Registers {
    pub r: [u32; 16],
    pub cpsr: u32,
}

/// The VFP registers of a context.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Vfp {
    pub d: [u64; 32],
    pub fpscr: u32,
}

/// All that a ucontext holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Context {
    pub regs: Registers,
    pub vfp: Option<Vfp>,
    /// The mask to go back to.
    pub mask: SigSet,
    pub fault: FaultRecord,
    pub altstack: AltStack,
}

/// A frame that no kernel has made: SIGSEGV.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BadFrame;

impl Registers {
    pub fn of(cpu: &CpuState) -> Registers {
        Registers {
            r: cpu.r,
            cpsr: cpu.cpsr(),
        }
    }
}

fn put(bytes: &mut [u8], at: usize, word: u32) {
    bytes[at..at + 4].copy_from_slice(&word.to_le_bytes());
}

fn get(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

impl Context {
    /// `struct ucontext`, into zeros; `rt` frames carry the alternate stack, others a magic number.
    fn encode(&self, rt: bool, uc: &mut [u8]) {
        if rt {
            uc[UC_STACK..UC_STACK + 12].copy_from_slice(&self.altstack.to_bytes());
        } else {
            put(uc, 0, SIGFRAME_MAGIC);
        }
        let sc = &mut uc[UC_MCONTEXT..UC_SIGMASK];
        put(sc, 0, self.fault.trap_no);
        put(sc, 4, self.fault.error_code);
        put(sc, 8, self.mask.0 as u32);
        for (i, &r) in self.regs.r.iter().enumerate() {
            put(sc, 12 + 4 * i, r);
        }
        put(sc, 76, self.regs.cpsr);
        put(sc, 80, self.fault.address);
        uc[UC_SIGMASK..UC_SIGMASK + 8].copy_from_slice(&self.mask.0.to_le_bytes());
        if let Some(vfp) = &self.vfp {
            let block = &mut uc[UC_REGSPACE..];
            put(block, 0, VFP_MAGIC);
            put(block, 4, VFP_SIZE);
            // Of a little-endian machine, as the host is.
            block[8..VFP_FPSCR].copy_from_slice(vfp.d.as_bytes());
            put(block, VFP_FPSCR, vfp.fpscr);
            put(block, VFP_FPEXC, FPEXC_EN);
        }
    }

    /// Reads back what a handler may have changed. `vfp`: whether this machine's frames have the VFP block.
    pub fn decode(uc: &[u8; UCONTEXT_SIZE], vfp: bool) -> Result<Context, BadFrame> {
        let sc = &uc[UC_MCONTEXT..UC_SIGMASK];
        let mut r = [0; 16];
        for (i, r) in r.iter_mut().enumerate() {
            *r = get(sc, 12 + 4 * i);
        }
        let cpsr = get(sc, 76);
        // valid_user_regs: user mode with interrupts on, or nothing.
        if cpsr & PSR_MODE != PSR_USER || cpsr & PSR_I != 0 {
            return Err(BadFrame);
        }
        let align = if cpsr & PSR_T != 0 { 1 } else { 3 };
        r[15] &= !align;
        let mut mask = [0; 8];
        mask.copy_from_slice(&uc[UC_SIGMASK..UC_SIGMASK + 8]);
        let block = &uc[UC_REGSPACE..];
        let vfp = if vfp {
            if get(block, 0) != VFP_MAGIC || get(block, 4) != VFP_SIZE {
                return Err(BadFrame);
            }
            Some(Vfp {
                d: <[u64; 32]>::read_from_bytes(&block[8..VFP_FPSCR]).map_err(|_| BadFrame)?,
                fpscr: get(block, VFP_FPSCR),
            })
        } else {
            None
        };
        let mut stack = [0; 12];
        stack.copy_from_slice(&uc[UC_STACK..UC_STACK + 12]);
        Ok(Context {
            regs: Registers { r, cpsr },
            vfp,
            mask: SigSet(u64::from_le_bytes(mask)).without(SigSet::UNBLOCKABLE),
            fault: FaultRecord::default(),
            altstack: AltStack::from_bytes(&stack),
        })
    }
}

/// A whole frame as it lies on the guest's stack.
pub struct Frame {
    bytes: [u8; RT_SIGFRAME_SIZE],
    start: usize,
}

impl Frame {
    /// Siginfo first if `info`, and the return code words at the end.
    pub fn new(context: &Context, info: Option<&GuestSigInfo>, retcode: [u32; 2]) -> Frame {
        let mut bytes = [0; RT_SIGFRAME_SIZE];
        let start = if let Some(info) = info {
            bytes[..SIGINFO_SIZE].copy_from_slice(&info.0);
            0
        } else {
            SIGINFO_SIZE
        };
        let (uc, end) = bytes[SIGINFO_SIZE..].split_at_mut(UCONTEXT_SIZE);
        context.encode(info.is_some(), uc);
        put(end, 0, retcode[0]);
        put(end, 4, retcode[1]);
        Frame { bytes, start }
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes[self.start..]
    }
}

/// CPSR with which a handler at `handler` starts.
pub fn handler_cpsr(cpsr: u32, handler: u32) -> u32 {
    let cpsr = cpsr & !(PSR_CLEARED | PSR_T);
    if handler & 1 == 1 { cpsr | PSR_T } else { cpsr }
}

/// The return trampolines in the order of the kernel's sigpage: sigreturn and rt_sigreturn, each for ARM (two
/// words) and Thumb (one). `__NR_sigreturn` is 119, `__NR_rt_sigreturn` 173.
#[rustfmt::skip]
pub const SIGRETURN_CODES: [u32; 7] = [
    0xe3a0_7077, // mov r7, #119
    0xef00_0000, // svc 0
    0xdf00_2777, // movs r7, #119; svc 0
    0xe3a0_70ad, // mov r7, #173
    0xef00_0000, // svc 0
    0xdf00_27ad, // movs r7, #173; svc 0
    0,
];

/// Index of the first word in [`SIGRETURN_CODES`].
pub fn sigreturn_index(thumb: bool, rt: bool) -> usize {
    usize::from(thumb) * 2 + usize::from(rt) * 3
}

#[cfg(test)]
#[path = "frame_tests.rs"]
mod tests;
