//! What is not compared, and why: the one list of exclusions, with reasons and sources.

use super::compare::Listing;
use super::layout::{EVERYWHERE, MODIFIES, Output, STORES};
use emu::cpu::model::Features;
use emu::isa::insn::{Address, Hint, Index, Insn, MemSize, Offset, Reg, Vfp, VfpHalf, VfpSys};
use emu::isa::simd::{Simd, Structures};
use emu::lift::block::ends_block;

/// Whether the generator leaves `insn` (of encoding `word`) out. `names_pc` says that one of its core register fields
/// is 15.
pub fn leave_out(insn: &Insn, word: u32, thumb: bool, names_pc: bool) -> bool {
    // Divergence D3: qemu-arm goes on in big-endian mode, here SETEND and MSR of CPSR.E have no such effect.
    let sets_e = match thumb {
        false => word >> 17 & 1 == 1,
        true => word >> 9 & 1 == 1,
    };
    match insn {
        Insn::Setend { .. } => true,
        // Semihosting calls of QEMU.
        Insn::Hlt { imm } => *imm == if thumb { 0x3c } else { 0xf000 },
        Insn::Bkpt { imm: 0xab } => true,
        Insn::Msr { .. } | Insn::PrivilegedNop => sets_e || unpredictable(insn, names_pc),
        // qemu-arm 7.2 ends the process (EXCP_HLT is no signal in user mode).
        Insn::Hint(Hint::Wfi | Hint::Wfe) => true,
        // System calls are for constructs that know what they ask for.
        Insn::Svc { .. } => true,
        // Thumb code is no A32 code: BX PC at the right place is a construct's business.
        Insn::Bx { rm: Reg::PC } | Insn::BlxReg { rm: Reg::PC } => true,
        insn => unpredictable(insn, names_pc),
    }
}

/// UNPREDICTABLE (Arm ARM F5 and A32/T32 "Architectural constraints on UNPREDICTABLE behaviors"): divergence D1.
fn unpredictable(insn: &Insn, names_pc: bool) -> bool {
    let pc = |r: &Reg| *r == Reg::PC;
    // An offset register that is loaded, or is the base, or is the pc; write-back to pc or to what is transferred.
    let odd = |addr: &Address, t: &[Reg]| {
        let writeback = addr.index != Index::Offset;
        let offset = match addr.offset {
            Offset::Imm(_) => false,
            Offset::Reg { rm, .. } => {
                pc(&rm) || pc(&addr.base) || writeback && (t.contains(&rm) || rm == addr.base)
            }
        };
        offset || writeback && (pc(&addr.base) || t.contains(&addr.base))
    };
    match insn {
        Insn::Alu { rd, .. } | Insn::Mov { rd, .. } | Insn::Mvn { rd, .. } | Insn::Adr { rd, .. } => pc(rd),
        Insn::Test { .. } => false,
        Insn::Load {
            size,
            rt,
            addr,
            unpriv,
            ..
        } => odd(addr, &[*rt]) || pc(rt) && (*size != MemSize::Word || *unpriv),
        Insn::Store { rt, addr, .. } => odd(addr, &[*rt]) || pc(&addr.base) || pc(rt),
        Insn::LoadDual { rt, rt2, addr } => {
            let m = match addr.offset {
                Offset::Reg { rm, .. } => rm == *rt || rm == *rt2,
                Offset::Imm(_) => false,
            };
            odd(addr, &[*rt, *rt2]) || m || pc(rt) || pc(rt2)
        }
        Insn::StoreDual { rt, rt2, addr } => odd(addr, &[*rt, *rt2]) || pc(&addr.base) || pc(rt) || pc(rt2),
        Insn::LoadMultiple {
            rn, regs, writeback, ..
        } => pc(rn) || *writeback && regs >> rn.0 & 1 == 1,
        Insn::StoreMultiple {
            rn, regs, writeback, ..
        } => regs >> 15 != 0 || pc(rn) || *writeback && regs >> rn.0 & 1 == 1,
        Insn::TableBranch { .. } => true,
        Insn::Vfp(
            Vfp::Mrs {
                reg: VfpSys::Fpscr, ..
            }
            | Vfp::Load { .. },
        ) => false,
        _ => names_pc,
    }
}

/// Whether `insn` does not stand in an IT block: BKPT and HLT are UNPREDICTABLE there. Of the coprocessor accesses, QEMU
/// 7.2 calls a function to check those of the performance monitors (CRn 9), stores ITSTATE for it, and never clears that
/// (target/arm/translate.c, do_coproc_insn: gen_set_condexec before gen_helper_access_check_cp_reg): what is executed next
/// is taken to be in the IT block. `it eq; mrceq p15, 0, r1, c9, c14, 0; b 1f; 1: adds r2, #1` sets no flags there.
pub fn never_in_it(insn: &Insn) -> bool {
    matches!(
        insn,
        Insn::Bkpt { .. } | Insn::Hlt { .. } | Insn::Coproc { crn: 9, .. }
    )
}

/// Whether `insn` may stand in an IT block before its last place. Branches may not, nor BKPT and HLT at all (UNPREDICTABLE).
pub fn may_precede_in_it(insn: &Insn, features: Features) -> bool {
    match insn {
        Insn::Bkpt { .. } | Insn::Hlt { .. } | Insn::B { .. } | Insn::Cbz { .. } | Insn::It { .. } => false,
        Insn::Barrier(_) | Insn::Hint(_) | Insn::Coproc { .. } | Insn::Vfp(_) | Insn::Svc { .. } => true,
        insn => !ends_block(insn, features),
    }
}

/// Divergence D11: unaligned LDRD, STRD, LDM, STM and VFP accesses succeed here; QEMU raises SIGBUS.
pub fn fixes_alignment(insn: &Insn) -> bool {
    matches!(
        insn,
        Insn::LoadDual { .. }
            | Insn::StoreDual { .. }
            | Insn::LoadMultiple { .. }
            | Insn::StoreMultiple { .. }
            | Insn::Vfp(
                Vfp::Half(VfpHalf::Load { .. } | VfpHalf::Store { .. })
                    | Vfp::Load { .. }
                    | Vfp::Store { .. }
                    | Vfp::LoadMultiple { .. }
                    | Vfp::StoreMultiple { .. }
            )
    )
}

/// Whether si_code of `signal` is compared.
pub fn compares_code(signal: u32) -> bool {
    // Undefined instructions: ILL_ILLOPC (arch/arm/kernel/traps.c, do_undefinstr); QEMU 7.2 says ILL_ILLOPN.
    signal != 4
}

/// VLDn and VSTn with `:256`.
fn states_32_bytes(insn: &Insn) -> bool {
    matches!(
        insn,
        Insn::Simd(Simd::Load(Structures { addr, .. }) | Simd::Store(Structures { addr, .. })) if addr.align == 32
    )
}

/// Registers that `insn` loads from memory with several accesses, a bit each, and whether it is such an access at all.
/// Where one of several is refused, what the others did is UNKNOWN (Arm ARM DDI 0487 G1.16.5, "Effects of data-aborted
/// instructions"): QEMU does them one after the other.
pub fn several(insn: &Insn) -> Option<u16> {
    let bits = |registers: &[Reg]| registers.iter().fold(0, |set, r| set | 1u16 << r.0);
    match insn {
        Insn::LoadDual { rt, rt2, .. } => Some(bits(&[*rt, *rt2])),
        Insn::LoadExclusive {
            size: MemSize::Double,
            rt,
            rt2,
            ..
        } => Some(bits(&[*rt, *rt2])),
        Insn::LoadMultiple { regs, .. } => Some(*regs),
        Insn::StoreDual { .. } | Insn::StoreMultiple { .. } | Insn::Swp { .. } => Some(0),
        Insn::Vfp(
            Vfp::Load { .. } | Vfp::Store { .. } | Vfp::LoadMultiple { .. } | Vfp::StoreMultiple { .. },
        )
        | Insn::Simd(
            Simd::Load(_)
            | Simd::Store(_)
            | Simd::LoadLane(_)
            | Simd::StoreLane(_)
            | Simd::LoadAllLanes { .. },
        ) => Some(0),
        _ => None,
    }
}

/// `several` of the instruction at which a refused access ended a sequence.
pub fn several_at(theirs: &Output, listing: &Listing<'_>) -> Option<u16> {
    if theirs.signal != 11 {
        return None;
    }
    listing.at(theirs).and_then(|insn| several(&insn))
}

/// FPSCR.UFC and IXC.
const UNDERFLOW: u32 = 1 << 3;
const INEXACT: u32 = 1 << 4;

/// The cumulative bits that divergences D10 and D16 let differ so: UFC that is missing here, IXC that is here besides UFC.
pub fn inexact_flags(ours: u32, theirs: u32, listing: &Listing<'_>) -> u32 {
    let (more, less) = (ours & !theirs, theirs & !ours);
    let vector = || listing.insns.iter().any(|insn| matches!(insn, Insn::Simd(_)));
    let d16 = more & INEXACT != 0 && theirs & UNDERFLOW != 0 && vector();
    less & UNDERFLOW | if d16 { INEXACT } else { 0 }
}

/// Whether an input that is not compared, or not wholly, may decide what the next ones of its sequence meet: in code that
/// changes itself, or in what is not looked at, and put back, after each input.
pub fn leaves_more(theirs: &Output, excused: bool, flags: u32, listing: &Listing<'_>) -> bool {
    let stores = flags & STORES != 0 && flags & EVERYWHERE == 0;
    let strayed = theirs.signal == 11 && theirs.r[15] == theirs.address;
    excused && (strayed || flags & MODIFIES != 0)
        || stores && (excused || several_at(theirs, listing).is_some())
}

/// Whether the A32 word is for coprocessor 1 or 2.
fn accelerated(word: u32) -> bool {
    word >> 28 != 15 && matches!(word >> 24 & 15, 0xc..=0xe) && matches!(word >> 8 & 15, 1 | 2)
}

/// The reason not to compare two outcomes, if there is one.
pub fn excused(ours: &Output, theirs: &Output, listing: &Listing<'_>) -> Option<&'static str> {
    let insns = listing.insns;
    if theirs.signal == 7 && listing.at(theirs).is_some_and(|i| fixes_alignment(&i)) {
        return Some("D11: unaligned multiple access");
    }
    // A store exclusive that is misaligned and would fail anyway: which comes first is IMPLEMENTATION DEFINED.
    if ours.signal == 7
        && listing
            .at(ours)
            .is_some_and(|i| matches!(i, Insn::StoreExclusive { .. }))
    {
        return Some("D13: misaligned store exclusive that fails");
    }
    // A misaligned A32 address: the alignment fault comes first here, the missing page there.
    if ours.signal == 7 && theirs.signal == 11 && theirs.r[15] & 3 == 2 && theirs.cpsr & 0x20 == 0 {
        return Some("D12: branch to a misaligned A32 address");
    }
    // Instructions of the FPA (coprocessors 1 and 2) are emulated by qemu-arm in A32 code (linux-user/arm/cpu_loop.c,
    // emulate_arm_fpa11); kernels for EABI programs don't have that (arch/arm/Kconfig, FPE_NWFPE). No row has them: only
    // sequences that stray into their T32 code in A32 state get there.
    if ours.signal == 4 && ours.cpsr & 0x20 == 0 && listing.word_at(ours).is_some_and(accelerated) {
        return Some("FPA instruction that QEMU emulates");
    }
    // The generator makes nothing UNPREDICTABLE (see `leave_out`); code that is executed in the state that it is not meant
    // for may be.
    if ours.signal == 4 && listing.unpredictable_at(ours) {
        return Some("D1: UNPREDICTABLE instruction in code strayed to");
    }
    // Only page tables of ARMv6 and later can forbid execution alone (XN; Arm ARM DDI 0100I B4.7), so what can be read can
    // be executed on processors before; qemu-arm asks for PROT_EXEC.
    let refused = theirs.signal == 11 && theirs.code == 2 && theirs.address == theirs.r[15];
    if refused && !listing.features.contains(Features::V6) {
        return Some("execution of data on ARMv5");
    }
    if ours.signal == 27 || theirs.signal == 27 {
        return Some("does not end");
    }
    // Divergences D10 and D16, read by VMRS and gone on with.
    let reads_fpscr = |insn: &Insn| matches!(insn, Insn::Vfp(Vfp::Mrs { .. }));
    let read = || {
        // An operation behind VMRS may have set the bit in both.
        let registers = ours.r.iter().zip(&theirs.r).map(|(a, b)| (a, b, a ^ b));
        let mut differ = registers.filter(|(_, _, bits)| *bits != 0).peekable();
        differ.peek().is_some()
            && differ.all(|(a, b, bits)| {
                bits & !(UNDERFLOW | INEXACT) == 0 && inexact_flags(*a, *b, listing) == bits
            })
    };
    if insns.iter().any(reads_fpscr) && (inexact_flags(ours.fpscr, theirs.fpscr, listing) != 0 || read()) {
        return Some("D10, D16: read by VMRS");
    }
    if ours.signal == 7 && listing.at(ours).is_some_and(|i| states_32_bytes(&i)) {
        return Some("QEMU checks 16 bytes where 32 are stated");
    }
    // A denormal operand that is flushed is not exact (Arm ARM, FPToFixedJS: Z is 0 where the value is zero and the
    // operand's fraction is not); for QEMU 7.2 it is.
    let javascript = |insn: &Insn| matches!(insn, Insn::Vfp(Vfp::CvtJs { .. }));
    // A sequence may set or clear FPSCR.FZ on its way.
    let writes_fpscr = |insn: &Insn| matches!(insn, Insn::Vfp(Vfp::Msr { .. }));
    let may_flush = theirs.fpscr & 0x0100_0000 != 0 || insns.iter().any(writes_fpscr);
    if may_flush && insns.iter().any(javascript) {
        return Some("VJCVT of a flushed operand");
    }
    // UNPREDICTABLE (Arm ARM B2.9.5, "Load-Exclusive and Store-Exclusive instruction usage restrictions").
    let size = |load: bool| {
        insns.iter().filter_map(move |insn| match insn {
            Insn::LoadExclusive { size, .. } if load => Some(*size),
            Insn::StoreExclusive { size, .. } if !load => Some(*size),
            _ => None,
        })
    };
    if size(false).any(|s| size(true).any(|l| l != s)) {
        return Some("exclusives of two sizes");
    }
    None
}
