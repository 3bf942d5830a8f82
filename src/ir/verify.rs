//! Checks that a block keeps the rules of `ops.rs`; run on every block in debug builds and by the tests.

use super::ops::{Block, Flags, Inst, Op, Sys, Trap, Type, Value, effect};
use super::vector::{HalfOp, RoundTo, Shape, VecOp};
use std::fmt;

/// A broken rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Error {
    /// Index of the instruction.
    pub at: usize,
    pub what: String,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}: {}", self.at, self.what)
    }
}

impl std::error::Error for Error {}

/// The first broken rule of `block`.
pub fn verify(block: &Block) -> Result<(), Error> {
    let mut checker = Checker {
        block,
        since_label: 0,
        defined: vec![false; block.labels as usize],
        guest: None,
    };
    for (at, inst) in block.insts.iter().enumerate() {
        checker.check(at, inst).map_err(|what| Error { at, what })?;
    }
    let last = block.insts.len().saturating_sub(1);
    match block.insts.last() {
        Some(inst) if inst.op.effects() & effect::TERMINATOR != 0 => Ok(()),
        _ => Err(Error {
            at: last,
            what: "the block doesn't end in a terminator".into(),
        }),
    }
}

struct Checker<'a> {
    block: &'a Block,
    /// Values from here on have survived no join.
    since_label: usize,
    /// Labels met.
    defined: Vec<bool>,
    /// The current guest instruction, from the first `InsnStart` on.
    guest: Option<Guest>,
}

/// What the current guest instruction has written so far.
#[derive(Default)]
struct Guest {
    /// Where it starts.
    start: usize,
    /// The last context write that a later fault would show, if any.
    committed: Option<usize>,
    /// Guest registers written with loaded values: a fault in the same multiple load may show these.
    loaded: u16,
}

impl Checker<'_> {
    fn check(&mut self, at: usize, inst: &Inst) -> Result<(), String> {
        let effects = inst.op.effects();
        if effects & effect::TERMINATOR != 0 && at + 1 != self.block.insts.len() {
            return Err("a terminator before the end".into());
        }
        self.operands(at, inst)?;
        fields(inst)?;
        match inst.op {
            Op::InsnStart => {
                self.guest = Some(Guest {
                    start: at,
                    ..Guest::default()
                });
            }
            _ if self.guest.is_none() => return Err("before the first InsnStart".into()),
            Op::SkipUnless => self.skip(at, inst)?,
            Op::Label => {
                let label = inst.imm as usize;
                match self.defined.get_mut(label) {
                    None => return Err(format!("label {label} of {}", self.block.labels)),
                    Some(true) => return Err(format!("label {label} a second time")),
                    Some(defined) => *defined = true,
                }
                self.since_label = at + 1;
            }
            _ => {}
        }
        self.precise(at, inst)
    }

    fn operands(&self, at: usize, inst: &Inst) -> Result<(), String> {
        let mut kinds = inst.op.args().bytes();
        for (name, value) in ["a", "b", "c"].into_iter().zip(inst.operands()) {
            let wanted = match kinds.next() {
                None if value.is_none() => continue,
                None => return Err(format!("operand {name} that {} doesn't have", inst.op.name())),
                Some(b'?' | b'w') if value.is_none() => continue,
                Some(b'?' | b'i') => Type::I32,
                Some(b'l') => Type::I64,
                Some(b's') => Type::F32,
                Some(b'v' | b'w') => Type::Vec,
                Some(_) => Type::F64,
            };
            if value.is_none() {
                return Err(format!("operand {name} is missing"));
            }
            if value.index() >= at {
                return Err(format!("operand {value:?} isn't defined yet"));
            }
            if value.index() < self.since_label {
                return Err(format!("operand {value:?} is from before a label"));
            }
            let found = self.block.insts[value.index()].op.result();
            if found != wanted {
                return Err(format!("operand {value:?} is {found:?}, not {wanted:?}"));
            }
        }
        Ok(())
    }

    /// The label of a skip lies ahead.
    fn skip(&self, at: usize, inst: &Inst) -> Result<(), String> {
        let ahead = &self.block.insts[at..];
        if ahead.iter().any(|i| i.op == Op::Label && i.imm == inst.imm) {
            Ok(())
        } else {
            Err(format!("no label {} ahead", inst.imm))
        }
    }

    /// Faults come before the context writes that they must not show.
    fn precise(&mut self, at: usize, inst: &Inst) -> Result<(), String> {
        let insts = &self.block.insts;
        let Some(guest) = &mut self.guest else {
            return Ok(());
        };
        let effects = inst.op.effects();
        if effects & effect::FAULT != 0 {
            if let Some(write) = guest.committed {
                return Err(format!("may fault after the context write v{write}"));
            }
            if guest.loaded != 0 && effects & effect::READ == 0 {
                return Err("may fault after a loaded register was written".into());
            }
            let base = insts.get(inst.a.index());
            if let Some(base) = base.filter(|i| i.op == Op::GetReg)
                && guest.loaded >> (base.imm & 15) & 1 != 0
            {
                return Err(format!("loads after overwriting its base r{}", base.imm));
            }
            return Ok(());
        }
        let writes = effects & effect::CONTEXT != 0 || !inst.flags.is_empty();
        if !writes {
            return Ok(());
        }
        // Structure loads take a few permutations.
        let loaded = from_load(insts, inst.a, guest.start, 4);
        match inst.op {
            Op::SetReg if loaded => guest.loaded |= 1 << (inst.imm & 15),
            // The floating-point registers of a multiple load; bit 15 stands for them.
            Op::SetS | Op::SetD | Op::SetV if loaded => guest.loaded |= 1 << 15,
            _ => guest.committed = Some(at),
        }
        Ok(())
    }
}

/// Whether `value` has been loaded since `start`, or is taken apart, put together, moved or cast from what was.
fn from_load(insts: &[Inst], value: Value, start: usize, steps: u32) -> bool {
    let Some(inst) = insts.get(value.index()).filter(|_| value.index() >= start) else {
        return false;
    };
    if inst.op.effects() & effect::READ != 0 {
        return true;
    }
    let passes_on = matches!(
        inst.op,
        Op::Lo | Op::Hi | Op::Concat | Op::BitsToF32 | Op::BitsToF64
    ) || matches!(
        inst.op,
        Op::VDup | Op::VInsert | Op::VExtract | Op::VToI64 | Op::VFromI64 | Op::Vec
    );
    passes_on
        && steps > 0
        && inst
            .operands()
            .into_iter()
            .any(|v| from_load(insts, v, start, steps - 1))
}

/// Immediates, `aux` and flags are in their ranges.
fn fields(inst: &Inst) -> Result<(), String> {
    let allowed = settable(inst.op);
    if !(inst.flags - allowed).is_empty() {
        return Err(format!("{} can't set {:?}", inst.op.name(), inst.flags - allowed));
    }
    let (imm, imm2) = (inst.imm, inst.imm2);
    let shape = (imm2 < 16).then_some(Shape(imm2 as u8));
    let ok = match inst.op {
        Op::InsnStart => inst.aux <= 3 && imm2 <= 0xff && imm & 1 == 0,
        Op::GetReg | Op::SetReg => imm < 15,
        Op::GetS | Op::SetS | Op::GetD | Op::SetD => imm < 32,
        Op::GetSys | Op::SetSys => imm <= Sys::Tpidrurw as u32,
        Op::Shl | Op::Ror => (1..32).contains(&imm),
        Op::Shr | Op::Sar | Op::SSat => (1..=32).contains(&imm),
        Op::USat => imm < 32,
        Op::SSat16 => (1..=32).contains(&imm),
        Op::USat16 => imm < 32,
        Op::Sar64 => imm < 64,
        Op::Ubfx | Op::Sbfx | Op::Bfi => imm < 32 && (1..=32).contains(&imm2) && imm + imm2 <= 32,
        Op::Crc32 | Op::StoreRel | Op::LoadEx | Op::StoreEx => matches!(imm, 1 | 2 | 4),
        Op::LoadEx64 | Op::StoreEx64 => imm == 8,
        Op::Swap => matches!(imm, 1 | 4),
        Op::Parallel => inst.aux >> 3 < 6 && inst.aux & 7 < 6,
        Op::CheckAlign => matches!(imm2, 1 | 3 | 7 | 15 | 31),
        Op::F32ToFixed | Op::F64ToFixed | Op::FixedToF32 | Op::FixedToF64 => {
            matches!(imm2, 16 | 32) && imm <= imm2 && inst.aux < 2
        }
        Op::F32ToInt | Op::F64ToInt => inst.aux < 4,
        Op::IntToF32 | Op::IntToF64 | Op::FCmp32 | Op::FCmp64 => inst.aux < 2,
        Op::Trap => inst.aux <= Trap::Yield as u8,
        Op::Vec | Op::VecSat | Op::VecFp => VecOp::from_aux(inst.aux).is_some_and(|v| {
            v.class() == inst.op
                && inst.operands().iter().filter(|o| !o.is_none()).count() == v.args()
                && shape.is_some_and(|s| v.is_valid(s, imm))
        }),
        Op::Half => HalfOp::from_aux(inst.aux)
            .is_some_and(|h| inst.operands().iter().filter(|o| !o.is_none()).count() == h.args()),
        Op::HalfCmp => inst.aux < 2,
        Op::GetV | Op::SetV => shape.is_some_and(|s| imm < 32 && (!s.is_q() || imm & 1 == 0)),
        Op::LoadV | Op::StoreV => shape.is_some(),
        Op::VDup | Op::LoadDup => shape.is_some_and(|s| s.esize() <= 32),
        Op::LoadLane | Op::StoreLane => {
            let (lane, shape) = (imm2 >> 8, Shape(imm2 as u8));
            imm2 & 0xff < 16 && shape.esize() <= 32 && lane < 128 / shape.esize()
        }
        Op::VExtract | Op::VInsert => shape.is_some_and(|s| s.esize() <= 32 && imm < 128 / s.esize()),
        Op::VToI64 => imm < 2,
        Op::FRint32 | Op::FRint64 | Op::F32Round | Op::F64Round => inst.aux & 7 <= RoundTo::Fpscr as u8,
        _ => true,
    };
    if ok {
        Ok(())
    } else {
        Err(format!("a field of {inst:?} is out of range"))
    }
}

/// The flags that an operation can set.
pub fn settable(op: Op) -> Flags {
    match op {
        Op::Add | Op::Sub | Op::Adc | Op::Sbc | Op::SetNzcv | Op::FlagsFromFp => Flags::NZCV,
        Op::Shl | Op::Shr | Op::Sar | Op::Ror | Op::Rrx => Flags::NZC,
        Op::ShlReg | Op::ShrReg | Op::SarReg | Op::RorReg => Flags::NZC,
        Op::SetC => Flags::C,
        _ if op.effects() & effect::FLAGS != 0 => Flags::NZ,
        _ => Flags::NONE,
    }
}
