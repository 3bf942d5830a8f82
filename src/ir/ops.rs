//! The operation table and the block form.
//!
//! A [`Block`] is a straight list of [`Inst`]s; the value an instruction defines is named by its index
//! ([`Value`]). Control only moves forward: [`Op::SkipUnless`] jumps to a later [`Op::Label`], exits leave the
//! block, the last instruction is a terminator. Guest registers and flags are context, read and written by
//! operations in program order; at every [`Op::InsnStart`] all context holds exactly the architectural state
//! before that guest instruction, which is what makes faults precise.
//!
//! Rules (the verifier checks them):
//! - operands are defined earlier, and not across a `Label` (values don't survive a join: read the context again);
//! - within one guest instruction every operation that may fault comes before the first context write that the
//!   fault must not show (loads into several registers are the architecture's own exception);
//! - an operation that sets one of N and Z sets both (the optimiser may drop one that is dead);
//! - exactly one terminator, last.

use crate::cpu::cond::Cond;
use std::fmt;

/// The value defined by the instruction at this index of the block.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Value(pub u32);

impl Value {
    /// "No operand".
    pub const NONE: Value = Value(u32::MAX);

    pub fn is_none(self) -> bool {
        self == Value::NONE
    }

    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_none() {
            write!(f, "-")
        } else {
            write!(f, "v{}", self.0)
        }
    }
}

/// Result types.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Type {
    None,
    I32,
    I64,
    F32,
    F64,
    /// 128 bits of lanes (see [`super::vector`]).
    Vec,
}

/// A set of condition flags.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags(pub u8);

impl Flags {
    pub const NONE: Flags = Flags(0);
    pub const N: Flags = Flags(8);
    pub const Z: Flags = Flags(4);
    pub const C: Flags = Flags(2);
    pub const V: Flags = Flags(1);
    pub const NZ: Flags = Flags(12);
    pub const NZC: Flags = Flags(14);
    pub const NZCV: Flags = Flags(15);

    pub fn contains(self, o: Flags) -> bool {
        self.0 & o.0 == o.0
    }
    pub fn intersects(self, o: Flags) -> bool {
        self.0 & o.0 != 0
    }
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The flags that `cond` reads.
    pub fn read_by(cond: Cond) -> Flags {
        use Cond::*;
        match cond {
            Eq | Ne => Flags::Z,
            Cs | Cc => Flags::C,
            Mi | Pl => Flags::N,
            Vs | Vc => Flags::V,
            Hi | Ls => Flags(6),
            Ge | Lt => Flags(9),
            Gt | Le => Flags(13),
            Al => Flags::NONE,
        }
    }
}

impl std::ops::BitOr for Flags {
    type Output = Flags;
    fn bitor(self, o: Flags) -> Flags {
        Flags(self.0 | o.0)
    }
}

impl std::ops::Sub for Flags {
    type Output = Flags;
    fn sub(self, o: Flags) -> Flags {
        Flags(self.0 & !o.0)
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (bit, name) in [(8, 'N'), (4, 'Z'), (2, 'C'), (1, 'V')] {
            if self.0 & bit != 0 {
                write!(f, "{name}")?;
            }
        }
        Ok(())
    }
}

/// What an operation does besides yielding its value (bit set).
pub mod effect {
    /// Reads guest memory.
    pub const READ: u16 = 1;
    /// Writes guest memory.
    pub const WRITE: u16 = 2;
    /// May raise a synchronous memory or alignment fault.
    pub const FAULT: u16 = 4;
    /// May raise a floating-point trap (Invalid), settled by the trap handler.
    pub const FP_TRAP: u16 = 8;
    /// Writes guest registers or other context besides flags.
    pub const CONTEXT: u16 = 16;
    /// Control flow.
    pub const CONTROL: u16 = 32;
    /// Leaves the block for good.
    pub const TERMINATOR: u16 = 64;
    /// Reads guest registers or other context besides flags.
    pub const READS_CONTEXT: u16 = 128;
    /// May set the flags in `Inst::flags` (the others never have a flag set).
    pub const FLAGS: u16 = 256;
    /// Reads the carry flag.
    pub const READS_C: u16 = 512;
    /// Reads the flags of the condition in `Inst::cond`.
    pub const READS_COND: u16 = 1024;
    /// Reads all of NZCV.
    pub const READS_NZCV: u16 = 2048;
}

macro_rules! ops {
    ($( $(#[$doc:meta])* $name:ident $ty:ident $args:literal $effects:expr; )*) => {
        /// Operations. Operands are `a`, `b`, `c` of [`Inst`]; `imm` and `aux` are said with each.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        #[repr(u8)]
        pub enum Op { $( $(#[$doc])* $name, )* }

        impl Op {
            /// Every operation, in table order.
            pub const ALL: &'static [Op] = &[ $( Op::$name, )* ];

            pub fn name(self) -> &'static str {
                match self { $( Op::$name => stringify!($name), )* }
            }

            /// Type of the value defined.
            #[inline]
            pub fn result(self) -> Type {
                static TABLE: [Type; Op::ALL.len()] = [ $( Type::$ty, )* ];
                TABLE[self as usize]
            }

            /// Operand kinds, one letter each for a, b, c: `i` I32, `l` I64, `s` F32, `d` F64, `v` Vec,
            /// `?` optional I32, `w` optional Vec.
            pub fn args(self) -> &'static str {
                match self { $( Op::$name => $args, )* }
            }

            /// Bits of [`effect`].
            #[inline]
            pub fn effects(self) -> u16 {
                use effect::*;
                const NONE: u16 = 0;
                static TABLE: [u16; Op::ALL.len()] = [ $( NONE | $effects, )* ];
                TABLE[self as usize]
            }
        }
    };
}

ops! {
    // --- structure ---
    /// Nothing (what dead operations become).
    Nop None "" NONE;
    /// Start of the guest instruction at address `imm`; `aux` bit 0 is the T bit, `imm2` ITSTATE before it, `cond` that of
    /// the run that [`Op::SkipUnless`] guards and that goes on here: who comes in here tests it again. `aux` bit 1 (set by
    /// the optimiser): not all registers hold what they should here, so this is no place to stop.
    InsnStart None "" NONE;
    /// Jump to label `imm` unless `cond` holds.
    SkipUnless None "" CONTROL | READS_COND;
    /// Join point `imm`.
    Label None "" CONTROL;

    // --- context ---
    /// Guest register `imm` (0-14).
    GetReg I32 "" READS_CONTEXT;
    /// Guest register `imm` = a.
    SetReg None "i" CONTEXT;
    /// S register `imm`.
    GetS F32 "" READS_CONTEXT;
    SetS None "s" CONTEXT;
    /// D register `imm`.
    GetD F64 "" READS_CONTEXT;
    SetD None "d" CONTEXT;
    /// NZCV in bits 31-28.
    GetNzcv I32 "" READS_NZCV;
    /// NZCV (those in `flags`) = bits 31-28 of a.
    SetNzcv None "i" FLAGS;
    /// C = bit 0 of a (when C is in `flags`).
    SetC None "i" FLAGS;
    /// N, Z (those in `flags`) from the value a.
    TestNz None "i" FLAGS;
    /// N, Z (those in `flags`) from the 64-bit value a.
    TestNz64 None "l" FLAGS;
    /// 1 if `cond` holds, else 0.
    SetCond I32 "" READS_COND;
    /// Q as 0 or 1.
    GetQ I32 "" READS_CONTEXT;
    /// Q = bit 0 of a.
    SetQ None "i" CONTEXT;
    /// GE as a byte mask (see `CpuState::ge`).
    GetGe I32 "" READS_CONTEXT;
    SetGe None "i" CONTEXT;
    /// State word: `imm` is a [`Sys`].
    GetSys I32 "" READS_CONTEXT;
    SetSys None "i" CONTEXT;

    // --- constants ---
    /// `imm`.
    Const I32 "" NONE;
    /// `imm` | `imm2` << 32.
    Const64 I64 "" NONE;

    // --- integer arithmetic; `flags` says which flags are set ---
    Add I32 "ii" FLAGS;
    Sub I32 "ii" FLAGS;
    /// a + b + C.
    Adc I32 "ii" FLAGS | READS_C;
    /// a - b - !C.
    Sbc I32 "ii" FLAGS | READS_C;
    And I32 "ii" FLAGS;
    Or I32 "ii" FLAGS;
    Xor I32 "ii" FLAGS;
    /// a & !b.
    AndNot I32 "ii" FLAGS;
    /// a | !b.
    OrNot I32 "ii" FLAGS;
    /// !a.
    Not I32 "i" FLAGS;
    /// a << imm, imm 1-31; C = last bit out.
    Shl I32 "i" FLAGS;
    /// Logical right, imm 1-32; C = last bit out.
    Shr I32 "i" FLAGS;
    /// Arithmetic right, imm 1-32; C = last bit out.
    Sar I32 "i" FLAGS;
    /// Rotate right, imm 1-31; C = bit 31 of the result.
    Ror I32 "i" FLAGS;
    /// C:a rotated right by one; C = bit 0 of a.
    Rrx I32 "i" FLAGS | READS_C;
    /// a << (b & 255) with ARM's rules for 32 and above; C unchanged when the amount is 0.
    ShlReg I32 "ii" FLAGS;
    ShrReg I32 "ii" FLAGS;
    SarReg I32 "ii" FLAGS;
    RorReg I32 "ii" FLAGS;
    Mul I32 "ii" FLAGS;
    /// Unsigned quotient, 0 for division by zero.
    UDiv I32 "ii" NONE;
    /// Signed quotient, 0 for division by zero, MIN for MIN / -1.
    SDiv I32 "ii" NONE;
    Clz I32 "i" NONE;
    Rbit I32 "i" NONE;
    /// Byte reverse.
    Rev I32 "i" NONE;
    /// Byte reverse in each halfword.
    Rev16 I32 "i" NONE;
    /// Sign-extend from 8 bits.
    Sext8 I32 "i" NONE;
    Sext16 I32 "i" NONE;
    Zext8 I32 "i" NONE;
    Zext16 I32 "i" NONE;
    /// Unsigned bit field: lsb = imm & 31, width = imm2 (1-32).
    Ubfx I32 "i" NONE;
    Sbfx I32 "i" NONE;
    /// a with its field (lsb = imm, width = imm2) replaced by the low bits of b.
    Bfi I32 "ii" NONE;
    /// `cond` ? a : b.
    Select I32 "ii" READS_COND;
    /// Bitwise choice: (a & c) | (b & !c).
    BitSelect I32 "iii" NONE;
    /// CRC-32 step: a the accumulator, b the data; `imm` bytes (1, 2, 4); `aux` 1 for the Castagnoli polynomial.
    Crc32 I32 "ii" NONE;

    // --- 64-bit ---
    /// Zero-extended product.
    UMul64 I64 "ii" NONE;
    SMul64 I64 "ii" NONE;
    Add64 I64 "ll" NONE;
    Sub64 I64 "ll" NONE;
    /// a | b << 32.
    Concat I64 "ii" NONE;
    Lo I32 "l" NONE;
    Hi I32 "l" NONE;
    /// Sign-extension.
    Sext64 I64 "i" NONE;
    /// Arithmetic right shift by imm.
    Sar64 I64 "l" NONE;

    // --- saturation and v6 SIMD ---
    /// Saturating signed add; Q set when it saturates.
    QAdd I32 "ii" CONTEXT;
    QSub I32 "ii" CONTEXT;
    /// Plain sum; Q set on signed overflow.
    AddSetQ I32 "ii" CONTEXT;
    /// Low word; Q set when a doesn't fit in 32 signed bits.
    NarrowSetQ I32 "l" CONTEXT;
    /// Signed saturation to imm bits (1-32), Q set when it saturates.
    SSat I32 "i" CONTEXT;
    /// Saturation of the signed a to imm unsigned bits (0-31), Q set when it saturates.
    USat I32 "i" CONTEXT;
    /// Both signed halfwords to imm bits, signed.
    SSat16 I32 "i" CONTEXT;
    USat16 I32 "i" CONTEXT;
    /// Parallel addition or subtraction: `aux` is ParallelKind * 8 + ParallelOp; sets GE for the S and U kinds.
    Parallel I32 "ii" CONTEXT;
    /// Sum of absolute differences of the four bytes, plus c.
    Usada8 I32 "iii" NONE;

    // --- memory: address = a + (b << `aux`>>4) + imm, modulo 2^32; b optional ---
    /// `aux` & 15 is unused by the fixed-size forms.
    Load8 I32 "i?" READ | FAULT;
    LoadS8 I32 "i?" READ | FAULT;
    Load16 I32 "i?" READ | FAULT;
    LoadS16 I32 "i?" READ | FAULT;
    Load32 I32 "i?" READ | FAULT;
    Load64 I64 "i?" READ | FAULT;
    /// Stores c.
    Store8 None "i?i" WRITE | FAULT;
    Store16 None "i?i" WRITE | FAULT;
    Store32 None "i?i" WRITE | FAULT;
    Store64 None "i?l" WRITE | FAULT;
    /// F32 and F64 forms.
    LoadF32 F32 "i?" READ | FAULT;
    LoadF64 F64 "i?" READ | FAULT;
    StoreF32 None "i?s" WRITE | FAULT;
    StoreF64 None "i?d" WRITE | FAULT;
    /// Alignment fault (SIGBUS, BUS_ADRALN) unless (a + imm) & imm2 == 0.
    CheckAlign None "i" FAULT;
    /// Exclusive load of imm bytes (1, 2, 4, 8) at a; opens the monitor. The 8-byte form yields an I64 through LoadEx64.
    LoadEx I32 "i" READ | FAULT | CONTEXT;
    LoadEx64 I64 "i" READ | FAULT | CONTEXT;
    /// Exclusive store of imm bytes of b at a: 0 if stored, 1 if not. Closes the monitor.
    StoreEx I32 "ii" WRITE | FAULT | CONTEXT | READS_CONTEXT;
    StoreEx64 I32 "il" WRITE | FAULT | CONTEXT | READS_CONTEXT;
    Clrex None "" CONTEXT;
    /// Atomic exchange of imm bytes (1, 4): the old value.
    Swap I32 "ii" READ | WRITE | FAULT;
    /// Full barrier.
    Fence None "" READ | WRITE;
    /// Store-release of imm bytes (1, 2, 4) of b at a, sequentially consistent with acquire loads.
    StoreRel None "ii" WRITE | FAULT;

    // --- floating point (FPSCR's modes apply) ---
    FAdd32 F32 "ss" FP_TRAP;
    FSub32 F32 "ss" FP_TRAP;
    FMul32 F32 "ss" FP_TRAP;
    FDiv32 F32 "ss" FP_TRAP;
    FSqrt32 F32 "s" FP_TRAP;
    /// Fused a + b * c.
    FMa32 F32 "sss" FP_TRAP;
    FNeg32 F32 "s" NONE;
    FAbs32 F32 "s" NONE;
    FAdd64 F64 "dd" FP_TRAP;
    FSub64 F64 "dd" FP_TRAP;
    FMul64 F64 "dd" FP_TRAP;
    FDiv64 F64 "dd" FP_TRAP;
    FSqrt64 F64 "d" FP_TRAP;
    FMa64 F64 "ddd" FP_TRAP;
    FNeg64 F64 "d" NONE;
    FAbs64 F64 "d" NONE;
    /// Comparison into FPSCR's flags; `aux` 1 raises Invalid for quiet NaNs as well (VCMPE).
    FCmp32 None "ss" FP_TRAP | CONTEXT;
    FCmp64 None "dd" FP_TRAP | CONTEXT;
    F32ToF64 F64 "s" FP_TRAP;
    F64ToF32 F32 "d" FP_TRAP;
    /// To a 32-bit integer, saturating: `aux` bit 0 signed, bit 1 round towards zero (else FPSCR's mode).
    F32ToInt I32 "s" FP_TRAP;
    F64ToInt I32 "d" FP_TRAP;
    /// From a 32-bit integer: `aux` bit 0 signed.
    IntToF32 F32 "i" FP_TRAP;
    IntToF64 F64 "i" FP_TRAP;
    /// To fixed point: `imm` fraction bits, `imm2` size 16 or 32, `aux` bit 0 signed; rounds towards zero; the
    /// result is extended to 32 bits according to its signedness.
    F32ToFixed I32 "s" FP_TRAP;
    F64ToFixed I32 "d" FP_TRAP;
    /// From fixed point (a's low `imm2` bits), round to nearest.
    FixedToF32 F32 "i" FP_TRAP;
    FixedToF64 F64 "i" FP_TRAP;
    /// Half precision in the low 16 bits (FPSCR.AHP decides the format).
    HalfToF32 F32 "i" FP_TRAP;
    F32ToHalf I32 "s" FP_TRAP;
    /// Bit casts.
    BitsToF32 F32 "i" NONE;
    F32ToBits I32 "s" NONE;
    BitsToF64 F64 "l" NONE;
    F64ToBits I64 "d" NONE;
    /// NZCV = FPSCR's N, Z, C, V (those in `flags`).
    FlagsFromFp None "" FLAGS | READS_CONTEXT;
    /// FPSCR whole, cumulative bits of the hardware included.
    GetFpscr I32 "" READS_CONTEXT;
    /// FPSCR = a. Ends the block when the mode may change: follow it with `Jump`.
    SetFpscr None "i" CONTEXT;

    /// Number forms: the other operand of a quiet NaN, else minimum or maximum (ARMv8).
    FMinNm32 F32 "ss" FP_TRAP;
    FMaxNm32 F32 "ss" FP_TRAP;
    FMinNm64 F64 "dd" FP_TRAP;
    FMaxNm64 F64 "dd" FP_TRAP;
    /// To integral in floating-point format; `aux` bits 2-0 a [`super::vector::RoundTo`], bit 3: raise Inexact.
    FRint32 F32 "s" FP_TRAP;
    FRint64 F64 "d" FP_TRAP;
    /// To a 32-bit integer, saturating; `aux` bits 2-0 a [`super::vector::RoundTo`], bit 3: signed.
    F32Round I32 "s" FP_TRAP;
    F64Round I32 "d" FP_TRAP;
    HalfToF64 F64 "i" FP_TRAP;
    F64ToHalf I32 "d" FP_TRAP;
    /// Half-precision arithmetic: `aux` is a [`super::vector::HalfOp`], which says what `imm` is. Values are in the
    /// low 16 bits (integers: in 32), the result zero-extended; FPSCR's modes apply, FZ16 instead of FZ.
    Half I32 "i??" FP_TRAP;
    /// Comparison of half-precision values into FPSCR's flags; `aux` 1 raises Invalid for quiet NaNs as well.
    HalfCmp None "ii" FP_TRAP | CONTEXT;
    /// VJCVT: to a 32-bit integer modulo 2^32, towards zero; FPSCR's Z says whether it was exact, N, C, V are 0.
    F64ToJs I32 "d" FP_TRAP | CONTEXT;
    /// bfloat16 in the low 16 bits (FPSCR's rounding and modes apply).
    F32ToBf16 I32 "s" FP_TRAP;
    /// `cond` ? a : b.
    SelectF32 F32 "ss" READS_COND;
    SelectF64 F64 "dd" READS_COND;

    // --- Advanced SIMD; a vector is 128 bits, shapes are in `imm2` (see [`super::vector`]) ---
    /// D register `imm` (shape D: upper half unspecified) or D `imm` and `imm`+1 as one (shape Q, `imm` even).
    GetV Vec "" READS_CONTEXT;
    SetV None "v" CONTEXT;
    /// 8 (shape D) or 16 (shape Q) bytes at the address; no alignment is asked for.
    LoadV Vec "i?" READ | FAULT;
    StoreV None "i?v" WRITE | FAULT;
    /// The element of esize 8, 16, 32 at the address in every lane.
    LoadDup Vec "i?" READ | FAULT;
    /// c with a lane (`imm2` bits 15-8) replaced by the element at the address; always 128 bits.
    LoadLane Vec "i?v" READ | FAULT;
    /// A lane (`imm2` bits 15-8) of c to the address.
    StoreLane None "i?v" WRITE | FAULT;
    /// `imm` | `imm2` << 32, twice.
    VConst Vec "" NONE;
    /// a's low lane in every lane.
    VDup Vec "i" NONE;
    /// Lane `imm` of a (esize 8, 16, 32), zero-extended (unsigned shape) or sign-extended.
    VExtract I32 "v" NONE;
    /// a with lane `imm` (esize 8, 16, 32) replaced by the low bits of b; always 128 bits.
    VInsert Vec "vi" NONE;
    /// Half `imm` (0, 1) of a.
    VToI64 I64 "v" NONE;
    /// a in the low half, zero above.
    VFromI64 Vec "l" NONE;
    /// A [`super::vector::VecOp`] in `aux`.
    Vec Vec "vww" NONE;
    /// The same, setting QC where a lane saturates.
    VecSat Vec "vww" CONTEXT;
    /// The same, floating point with the standard FPSCR value.
    VecFp Vec "vww" FP_TRAP;

    // --- run time ---
    /// Clock function of the vDSO, on the operands of the system call number `imm` of the same meaning (ARM EABI
    /// numbers) and with its result: 0 or a negative errno. May write guest memory; a bad pointer is -EFAULT.
    ClockCall I32 "ii" READ | WRITE | CONTEXT;

    // --- exits inside the block: leave when the condition holds, else go on ---
    /// To guest address `imm` (bit 0: T).
    ExitIf None "" CONTROL | READS_COND;
    /// If a is zero.
    ExitIfZero None "i" CONTROL;
    ExitIfNonZero None "i" CONTROL;

    // --- terminators; guest addresses carry the T bit in bit 0 ---
    /// To `imm`.
    Jump None "" CONTROL | TERMINATOR;
    /// Direct call to `imm` whose return address is `imm2` (already in lr).
    Call None "" CONTROL | TERMINATOR;
    /// Call to a; return address `imm2`.
    CallInd None "i" CONTROL | TERMINATOR;
    /// Return to a: pairs with a call.
    Return None "i" CONTROL | TERMINATOR;
    /// Any other computed jump.
    JumpInd None "i" CONTROL | TERMINATOR;
    /// System call `imm`; continues at `imm2` with ITSTATE `aux`.
    Svc None "" CONTROL | TERMINATOR;
    /// Leave translated code: `aux` is a [`Trap`], `imm` its argument, the pc is that of the instruction.
    Trap None "" CONTROL | TERMINATOR;
}

/// Reasons of [`Op::Trap`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Trap {
    /// SIGILL, ILL_ILLOPC: undefined or unimplemented.
    Undefined = 0,
    /// BKPT: SIGTRAP.
    Breakpoint = 1,
    /// The instruction could not be fetched: SIGSEGV at address `imm`.
    FetchFault = 2,
    /// A kuser helper or vDSO entry that the run time handles; `imm` says which.
    Intrinsic = 3,
    /// WFE/WFI/YIELD-like hint at which the run loop may yield the processor; continues after it.
    Yield = 4,
}

/// State words of [`Op::GetSys`] / [`Op::SetSys`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Sys {
    Tpidruro = 0,
    Tpidrurw = 1,
}

/// One operation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Inst {
    pub op: Op,
    pub aux: u8,
    /// Flags set (ops with effect FLAGS).
    pub flags: Flags,
    /// Condition (ops with effect READS_COND); of operations that may fault and of `InsnStart` the one that guards them.
    pub cond: Cond,
    pub a: Value,
    pub b: Value,
    pub c: Value,
    pub imm: u32,
    pub imm2: u32,
}

impl Inst {
    pub fn new(op: Op) -> Inst {
        Inst {
            op,
            aux: 0,
            flags: Flags::NONE,
            cond: Cond::Al,
            a: Value::NONE,
            b: Value::NONE,
            c: Value::NONE,
            imm: 0,
            imm2: 0,
        }
    }

    /// Flags that the operation reads; with `precise`, one that may fault reads them all (a fault shows them).
    pub fn flags_read(&self, precise: bool) -> Flags {
        let e = self.op.effects();
        let mut f = Flags::NONE;
        if e & effect::READS_C != 0 {
            f = f | Flags::C;
        }
        // After a fault the instruction is executed again, from its condition on.
        if e & (effect::READS_COND | effect::FAULT) != 0 {
            f = f | Flags::read_by(self.cond);
        }
        // A shift by register with amount 0 leaves C as it was.
        if matches!(self.op, Op::ShlReg | Op::ShrReg | Op::SarReg | Op::RorReg)
            && self.flags.intersects(Flags::C)
        {
            f = f | Flags::C;
        }
        if e & effect::READS_NZCV != 0 || precise && e & effect::FAULT != 0 {
            f = Flags::NZCV;
        }
        f
    }

    pub fn operands(&self) -> [Value; 3] {
        [self.a, self.b, self.c]
    }
}

impl fmt::Debug for Inst {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.op.name())?;
        if !self.flags.is_empty() {
            write!(f, ".{:?}", self.flags)?;
        }
        if self.op.effects() & effect::READS_COND != 0 {
            write!(f, " {:?}", self.cond)?;
        }
        for v in self.operands() {
            if !v.is_none() {
                write!(f, " {v:?}")?;
            }
        }
        write!(f, " #{:#x}", self.imm)?;
        if self.imm2 != 0 {
            write!(f, ",{:#x}", self.imm2)?;
        }
        if self.aux != 0 {
            write!(f, " aux={}", self.aux)?;
        }
        Ok(())
    }
}

/// A translation unit.
#[derive(Clone, Debug, Default)]
pub struct Block {
    pub insts: Vec<Inst>,
    /// Labels used (they are numbered from 0).
    pub labels: u32,
    /// Guest instructions in it.
    pub guest_insns: u32,
    /// Advanced SIMD instructions among them, for statistics.
    pub simd_insns: u32,
    /// No operation before this index sets condition flags.
    pub first_flags: u32,
    /// Guest address ranges read by decoding: `[start, end)`.
    pub start: u32,
    pub end: u32,
}
