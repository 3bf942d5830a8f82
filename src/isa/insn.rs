//! The decoded form of an instruction, shared by A32 and T32.
//!
//! Both decoders yield an [`Insn`]; what differs between the two instruction sets is only the encoding.
//! Branch offsets are relative to the instruction's own address plus 8 (A32) or plus 4 (T32), exactly as the
//! architecture reads the pc, so `target = pc_read + offset`. Names follow the Arm ARM (DDI 0406C / DDI 0487).

use super::simd::Simd;
pub use super::vfp::{Vfp, VfpArith, VfpHalf, VfpSys, VfpUnary};
pub use crate::cpu::cond::Cond;

/// A core register number, 0 to 15.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reg(pub u8);

impl Reg {
    pub const SP: Reg = Reg(13);
    pub const LR: Reg = Reg(14);
    pub const PC: Reg = Reg(15);
}

/// One successfully decoded instruction.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Decoded {
    pub insn: Insn,
    /// A32: the condition field. T32: the condition of `B<c>`, else `Al` (IT is the lifter's business).
    pub cond: Cond,
    /// Bytes: 2 or 4.
    pub size: u8,
    /// Index of the table row that matched (per instruction set), for names, statistics and coverage.
    pub row: u16,
}

/// Why a word is not executed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Undecoded {
    /// The architecture (at the chosen CPU model) calls it UNDEFINED.
    Undefined,
    /// UNPREDICTABLE, and our decision is to treat it as UNDEFINED.
    Unpredictable,
}

pub type DecodeResult = Result<Decoded, Undecoded>;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shift {
    Lsl,
    Lsr,
    Asr,
    Ror,
    Rrx,
}

/// The flexible second operand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operand {
    /// A constant; `carry` is the shifter carry-out where the encoding defines one (rotated immediates).
    Imm {
        value: u32,
        carry: Option<bool>,
    },
    Reg(Reg),
    /// Constant shift: LSL 1-31, LSR/ASR 1-32, ROR 1-31, RRX (amount 1). LSL #0 is `Reg`.
    ShiftImm {
        rm: Reg,
        shift: Shift,
        amount: u8,
    },
    /// Shift by the bottom byte of `rs`.
    ShiftReg {
        rm: Reg,
        shift: Shift,
        rs: Reg,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AluOp {
    And,
    Eor,
    Sub,
    Rsb,
    Add,
    Adc,
    Sbc,
    Rsc,
    Orr,
    Bic,
    Orn,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TestOp {
    Tst,
    Teq,
    Cmp,
    Cmn,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum QAddOp {
    Qadd,
    Qsub,
    Qdadd,
    Qdsub,
}

/// Prefix of the parallel (v6 SIMD) additions and subtractions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum ParallelKind {
    /// S: signed, sets GE.
    Signed,
    /// Q: signed saturating.
    SignedSat,
    /// SH: signed halving.
    SignedHalving,
    /// U: unsigned, sets GE.
    Unsigned,
    /// UQ: unsigned saturating.
    UnsignedSat,
    /// UH: unsigned halving.
    UnsignedHalving,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum ParallelOp {
    Add16,
    Asx,
    Sax,
    Sub16,
    Add8,
    Sub8,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExtendFrom {
    Byte,
    Half,
    /// Two bytes to two halfwords (SXTB16 and its kin).
    Byte16,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RevOp {
    Rev,
    Rev16,
    Revsh,
    Rbit,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MemSize {
    Byte,
    Half,
    Word,
    Double,
}

/// Offset of a single-register or dual access.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Offset {
    Imm(i32),
    /// `add == false` subtracts. `shift`/`amount` as in [`Operand::ShiftImm`]; LSL 0 means no shift.
    Reg {
        rm: Reg,
        shift: Shift,
        amount: u8,
        add: bool,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Index {
    Offset,
    Pre,
    Post,
}

/// An address; a pc base reads as Align(pc, 4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Address {
    pub base: Reg,
    pub offset: Offset,
    pub index: Index,
}

/// Direction of a multiple transfer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Multi {
    Ia,
    Ib,
    Da,
    Db,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hint {
    Nop,
    Yield,
    Wfe,
    Wfi,
    Sev,
    Sevl,
    Dbg,
    Csdb,
    Esb,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Barrier {
    Dmb,
    Dsb,
    Isb,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Insn {
    // Data processing.
    Alu {
        op: AluOp,
        s: bool,
        rd: Reg,
        rn: Reg,
        src: Operand,
    },
    Mov {
        s: bool,
        rd: Reg,
        src: Operand,
    },
    Mvn {
        s: bool,
        rd: Reg,
        src: Operand,
    },
    Test {
        op: TestOp,
        rn: Reg,
        src: Operand,
    },
    MovW {
        rd: Reg,
        imm: u16,
    },
    MovT {
        rd: Reg,
        imm: u16,
    },
    /// `rd = Align(pc, 4) + offset`.
    Adr {
        rd: Reg,
        offset: i32,
    },

    // Multiplication and division. `n_high`/`m_high` choose the top halfword.
    Mul {
        s: bool,
        rd: Reg,
        rn: Reg,
        rm: Reg,
    },
    Mla {
        s: bool,
        rd: Reg,
        rn: Reg,
        rm: Reg,
        ra: Reg,
    },
    Mls {
        rd: Reg,
        rn: Reg,
        rm: Reg,
        ra: Reg,
    },
    MulLong {
        signed: bool,
        accumulate: bool,
        s: bool,
        rdlo: Reg,
        rdhi: Reg,
        rn: Reg,
        rm: Reg,
    },
    Umaal {
        rdlo: Reg,
        rdhi: Reg,
        rn: Reg,
        rm: Reg,
    },
    SmulXY {
        rd: Reg,
        rn: Reg,
        rm: Reg,
        n_high: bool,
        m_high: bool,
    },
    SmlaXY {
        rd: Reg,
        rn: Reg,
        rm: Reg,
        ra: Reg,
        n_high: bool,
        m_high: bool,
    },
    SmulWY {
        rd: Reg,
        rn: Reg,
        rm: Reg,
        m_high: bool,
    },
    SmlaWY {
        rd: Reg,
        rn: Reg,
        rm: Reg,
        ra: Reg,
        m_high: bool,
    },
    SmlalXY {
        rdlo: Reg,
        rdhi: Reg,
        rn: Reg,
        rm: Reg,
        n_high: bool,
        m_high: bool,
    },
    /// SMUAD / SMUSD (`sub`), X form (`swap`).
    Smuad {
        sub: bool,
        swap: bool,
        rd: Reg,
        rn: Reg,
        rm: Reg,
    },
    /// SMLAD / SMLSD.
    Smlad {
        sub: bool,
        swap: bool,
        rd: Reg,
        rn: Reg,
        rm: Reg,
        ra: Reg,
    },
    /// SMLALD / SMLSLD.
    Smlald {
        sub: bool,
        swap: bool,
        rdlo: Reg,
        rdhi: Reg,
        rn: Reg,
        rm: Reg,
    },
    Smmul {
        round: bool,
        rd: Reg,
        rn: Reg,
        rm: Reg,
    },
    /// SMMLA / SMMLS (`sub`).
    Smmla {
        sub: bool,
        round: bool,
        rd: Reg,
        rn: Reg,
        rm: Reg,
        ra: Reg,
    },
    Div {
        signed: bool,
        rd: Reg,
        rn: Reg,
        rm: Reg,
    },
    Usad8 {
        rd: Reg,
        rn: Reg,
        rm: Reg,
    },
    Usada8 {
        rd: Reg,
        rn: Reg,
        rm: Reg,
        ra: Reg,
    },

    // Saturation, packing, bit fields.
    QAdd {
        op: QAddOp,
        rd: Reg,
        rm: Reg,
        rn: Reg,
    },
    /// SSAT (`bits` 1-32) / USAT (`bits` 0-31) of the shifted `src`.
    Sat {
        signed: bool,
        rd: Reg,
        bits: u8,
        src: Operand,
    },
    Sat16 {
        signed: bool,
        rd: Reg,
        bits: u8,
        rn: Reg,
    },
    Parallel {
        kind: ParallelKind,
        op: ParallelOp,
        rd: Reg,
        rn: Reg,
        rm: Reg,
    },
    Sel {
        rd: Reg,
        rn: Reg,
        rm: Reg,
    },
    /// `rn` is the accumulator of the SXTAB family; `rotate` is 0, 8, 16 or 24.
    Extend {
        signed: bool,
        from: ExtendFrom,
        rd: Reg,
        rn: Option<Reg>,
        rm: Reg,
        rotate: u8,
    },
    /// PKHBT, or PKHTB when `tb`; `src` is the shifted `rm`.
    Pkh {
        tb: bool,
        rd: Reg,
        rn: Reg,
        src: Operand,
    },
    Rev {
        op: RevOp,
        rd: Reg,
        rm: Reg,
    },
    Clz {
        rd: Reg,
        rm: Reg,
    },
    Bfc {
        rd: Reg,
        lsb: u8,
        width: u8,
    },
    Bfi {
        rd: Reg,
        rn: Reg,
        lsb: u8,
        width: u8,
    },
    Bfx {
        signed: bool,
        rd: Reg,
        rn: Reg,
        lsb: u8,
        width: u8,
    },
    Crc32 {
        castagnoli: bool,
        size: MemSize,
        rd: Reg,
        rn: Reg,
        rm: Reg,
    },

    // Memory. `unpriv` (LDRT and kin) behaves as the plain access in user mode.
    Load {
        size: MemSize,
        signed: bool,
        rt: Reg,
        addr: Address,
        unpriv: bool,
    },
    Store {
        size: MemSize,
        rt: Reg,
        addr: Address,
        unpriv: bool,
    },
    LoadDual {
        rt: Reg,
        rt2: Reg,
        addr: Address,
    },
    StoreDual {
        rt: Reg,
        rt2: Reg,
        addr: Address,
    },
    LoadMultiple {
        rn: Reg,
        regs: u16,
        mode: Multi,
        writeback: bool,
    },
    StoreMultiple {
        rn: Reg,
        regs: u16,
        mode: Multi,
        writeback: bool,
    },
    /// LDREX* and LDAEX*. `rt2` is used by the doubleword form; `imm` is in bytes.
    LoadExclusive {
        size: MemSize,
        acquire: bool,
        rt: Reg,
        rt2: Reg,
        rn: Reg,
        imm: u16,
    },
    StoreExclusive {
        size: MemSize,
        release: bool,
        rd: Reg,
        rt: Reg,
        rt2: Reg,
        rn: Reg,
        imm: u16,
    },
    /// LDA, LDAB, LDAH.
    LoadAcquire {
        size: MemSize,
        rt: Reg,
        rn: Reg,
    },
    /// STL, STLB, STLH.
    StoreRelease {
        size: MemSize,
        rt: Reg,
        rn: Reg,
    },
    Clrex,
    Swp {
        byte: bool,
        rt: Reg,
        rt2: Reg,
        rn: Reg,
    },
    /// PLD, PLDW, PLI: no architectural effect.
    Preload,

    // Control flow.
    B {
        offset: i32,
    },
    /// BL, or BLX (immediate) when `exchange`: then the base is Align(pc, 4).
    Bl {
        offset: i32,
        exchange: bool,
    },
    Bx {
        rm: Reg,
    },
    /// BXJ; without Jazelle it is BX.
    Bxj {
        rm: Reg,
    },
    BlxReg {
        rm: Reg,
    },
    Cbz {
        nonzero: bool,
        rn: Reg,
        offset: i32,
    },
    /// TBB, TBH (`half`).
    TableBranch {
        half: bool,
        rn: Reg,
        rm: Reg,
    },
    /// `mask` is the four-bit field as encoded (never 0).
    It {
        cond: Cond,
        mask: u8,
    },

    // System.
    Svc {
        imm: u32,
    },
    Bkpt {
        imm: u16,
    },
    Hlt {
        imm: u16,
    },
    Udf {
        imm: u32,
    },
    Hint(Hint),
    Barrier(Barrier),
    /// MRS rd, APSR/CPSR. MRS of SPSR is decoded as unpredictable.
    Mrs {
        rd: Reg,
    },
    /// MSR APSR: `nzcvq` and `g` say which fields of the mask have effect in user mode.
    Msr {
        nzcvq: bool,
        g: bool,
        src: Operand,
    },
    Setend {
        big: bool,
    },
    /// CPS, and MSR of privileged fields only: no effect in user mode.
    PrivilegedNop,
    /// MRC/MCR p15 (and p14): `load` moves to the core register.
    Coproc {
        load: bool,
        cp: u8,
        opc1: u8,
        crn: u8,
        crm: u8,
        opc2: u8,
        rt: Reg,
    },

    Vfp(Vfp),
    Simd(Simd),
}
