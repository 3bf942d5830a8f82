//! Short constructors for the right-hand sides of table rows: fields in, operands and instructions out.

use super::insn::*;

/// A core register from a field.
pub fn r(n: u32) -> Reg {
    Reg(n as u8)
}

/// `value`'s low `bits` bits, sign-extended.
pub fn sext(value: u32, bits: u32) -> i32 {
    (value << (32 - bits)) as i32 >> (32 - bits)
}

/// A constant operand that leaves the carry alone.
pub fn imm(value: u32) -> Operand {
    Operand::Imm { value, carry: None }
}

/// A32 modified immediate: imm12 (ARMExpandImm_C).
pub fn arm_imm(imm12: u32) -> Operand {
    let rotate = imm12 >> 8 << 1;
    let value = (imm12 & 0xff).rotate_right(rotate);
    Operand::Imm {
        value,
        carry: (rotate != 0).then_some(value >> 31 == 1),
    }
}

/// T32 modified immediate: i:imm3:imm8 (ThumbExpandImm_C). The replicated forms of a zero byte are UNPREDICTABLE
/// and yield zero.
pub fn thumb_imm(imm12: u32) -> Operand {
    let byte = imm12 & 0xff;
    match imm12 >> 8 {
        0 => imm(byte),
        1 => imm(byte * 0x0001_0001),
        2 => imm(byte * 0x0100_0100),
        3 => imm(byte * 0x0101_0101),
        _ => {
            let value = (byte | 0x80).rotate_right(imm12 >> 7);
            Operand::Imm {
                value,
                carry: Some(value >> 31 == 1),
            }
        }
    }
}

/// DecodeImmShift: type and imm5 to a shift and its amount.
pub fn imm_shift(kind: u32, amount: u32) -> (Shift, u8) {
    match (kind, amount) {
        (0, n) => (Shift::Lsl, n as u8),
        (1, 0) => (Shift::Lsr, 32),
        (1, n) => (Shift::Lsr, n as u8),
        (2, 0) => (Shift::Asr, 32),
        (2, n) => (Shift::Asr, n as u8),
        (_, 0) => (Shift::Rrx, 1),
        (_, n) => (Shift::Ror, n as u8),
    }
}

/// A register shifted by a constant.
pub fn shifted(rm: u32, kind: u32, amount: u32) -> Operand {
    match imm_shift(kind, amount) {
        (Shift::Lsl, 0) => Operand::Reg(r(rm)),
        (shift, amount) => Operand::ShiftImm {
            rm: r(rm),
            shift,
            amount,
        },
    }
}

/// A register shifted by a register.
pub fn by_reg(rm: u32, kind: u32, rs: u32) -> Operand {
    let shift = [Shift::Lsl, Shift::Lsr, Shift::Asr, Shift::Ror][(kind & 3) as usize];
    Operand::ShiftReg {
        rm: r(rm),
        shift,
        rs: r(rs),
    }
}

pub fn alu(op: AluOp, s: u32, rd: u32, rn: u32, src: Operand) -> Insn {
    Insn::Alu {
        op,
        s: s != 0,
        rd: r(rd),
        rn: r(rn),
        src,
    }
}

pub fn mov(s: u32, rd: u32, src: Operand) -> Insn {
    Insn::Mov {
        s: s != 0,
        rd: r(rd),
        src,
    }
}

pub fn mvn(s: u32, rd: u32, src: Operand) -> Insn {
    Insn::Mvn {
        s: s != 0,
        rd: r(rd),
        src,
    }
}

pub fn test(op: TestOp, rn: u32, src: Operand) -> Insn {
    Insn::Test { op, rn: r(rn), src }
}

/// `AND, ADD...` with two plain registers and no flags field.
pub fn parallel(kind: ParallelKind, op: ParallelOp, rd: u32, rn: u32, rm: u32) -> Insn {
    Insn::Parallel {
        kind,
        op,
        rd: r(rd),
        rn: r(rn),
        rm: r(rm),
    }
}

/// The SXTB and SXTAB families; `rn` 15 means no accumulator. `rotate` is the two-bit field.
pub fn extend(signed: bool, from: ExtendFrom, rd: u32, rn: u32, rm: u32, rotate: u32) -> Insn {
    let rn = (rn != 15).then_some(r(rn));
    Insn::Extend {
        signed,
        from,
        rd: r(rd),
        rn,
        rm: r(rm),
        rotate: 8 * rotate as u8,
    }
}

/// BFI, BFC (`rn` 15); `msb` below `lsb` is UNPREDICTABLE and treated as UNDEFINED.
pub fn bfi(rd: u32, rn: u32, lsb: u32, msb: u32) -> Result<Insn, Undecoded> {
    if msb < lsb {
        return Err(Undecoded::Unpredictable);
    }
    let (lsb, width) = (lsb as u8, (msb - lsb + 1) as u8);
    Ok(match rn {
        15 => Insn::Bfc {
            rd: r(rd),
            lsb,
            width,
        },
        _ => Insn::Bfi {
            rd: r(rd),
            rn: r(rn),
            lsb,
            width,
        },
    })
}

/// SBFX, UBFX; a field that leaves the word is UNPREDICTABLE and treated as UNDEFINED.
pub fn bfx(signed: bool, rd: u32, rn: u32, lsb: u32, width_minus_1: u32) -> Result<Insn, Undecoded> {
    if lsb + width_minus_1 > 31 {
        return Err(Undecoded::Unpredictable);
    }
    let (lsb, width) = (lsb as u8, width_minus_1 as u8 + 1);
    Ok(Insn::Bfx {
        signed,
        rd: r(rd),
        rn: r(rn),
        lsb,
        width,
    })
}

/// A constant offset, subtracted when `add` is 0.
pub fn imm_offset(add: u32, value: u32) -> Offset {
    Offset::Imm(if add != 0 { value as i32 } else { -(value as i32) })
}

/// A register offset, shifted by a constant.
pub fn reg_offset(add: u32, rm: u32, kind: u32, amount: u32) -> Offset {
    let (shift, amount) = imm_shift(kind, amount);
    Offset::Reg {
        rm: r(rm),
        shift,
        amount,
        add: add != 0,
    }
}

/// `[base, offset]`.
pub fn at(base: u32, offset: Offset) -> Address {
    Address {
        base: r(base),
        offset,
        index: Index::Offset,
    }
}

/// An address with the P and W bits of the encoding.
pub fn indexed(base: u32, offset: Offset, p: u32, w: u32) -> Address {
    let index = match (p, w) {
        (0, _) => Index::Post,
        (_, 0) => Index::Offset,
        _ => Index::Pre,
    };
    Address {
        base: r(base),
        offset,
        index,
    }
}

/// `[base], offset`.
pub fn post(base: u32, offset: Offset) -> Address {
    indexed(base, offset, 0, 0)
}

/// A zero-extending load.
pub fn load(size: MemSize, rt: u32, addr: Address) -> Insn {
    Insn::Load {
        size,
        signed: false,
        rt: r(rt),
        addr,
        unpriv: false,
    }
}

/// A sign-extending load.
pub fn load_signed(size: MemSize, rt: u32, addr: Address) -> Insn {
    Insn::Load {
        size,
        signed: true,
        rt: r(rt),
        addr,
        unpriv: false,
    }
}

pub fn store(size: MemSize, rt: u32, addr: Address) -> Insn {
    Insn::Store {
        size,
        rt: r(rt),
        addr,
        unpriv: false,
    }
}

/// The LDRT family.
pub fn load_t(size: MemSize, signed: bool, rt: u32, addr: Address) -> Insn {
    Insn::Load {
        size,
        signed,
        rt: r(rt),
        addr,
        unpriv: true,
    }
}

/// The STRT family.
pub fn store_t(size: MemSize, rt: u32, addr: Address) -> Insn {
    Insn::Store {
        size,
        rt: r(rt),
        addr,
        unpriv: true,
    }
}

pub fn load_dual(rt: u32, rt2: u32, addr: Address) -> Insn {
    Insn::LoadDual {
        rt: r(rt),
        rt2: r(rt2),
        addr,
    }
}

pub fn store_dual(rt: u32, rt2: u32, addr: Address) -> Insn {
    Insn::StoreDual {
        rt: r(rt),
        rt2: r(rt2),
        addr,
    }
}

/// LDREX and LDAEX. UNPREDICTABLE uses of pc, and a doubleword into one register, are treated as UNDEFINED.
pub fn load_ex(
    size: MemSize,
    acquire: bool,
    rt: u32,
    rt2: u32,
    rn: u32,
    imm: u32,
) -> Result<Insn, Undecoded> {
    let double = size == MemSize::Double;
    if rn == 15 || rt == 15 || double && (rt2 == 15 || rt == rt2) {
        return Err(Undecoded::Unpredictable);
    }
    Ok(Insn::LoadExclusive {
        size,
        acquire,
        rt: r(rt),
        rt2: r(rt2),
        rn: r(rn),
        imm: imm as u16,
    })
}

/// STREX and STLEX. UNPREDICTABLE uses of pc, and a status register that is also another operand, are treated as
/// UNDEFINED.
pub fn store_ex(
    size: MemSize,
    release: bool,
    rd: u32,
    (rt, rt2): (u32, u32),
    rn: u32,
    imm: u32,
) -> Result<Insn, Undecoded> {
    let double = size == MemSize::Double;
    if rd == 15 || rn == 15 || rt == 15 || rd == rn || rd == rt || double && (rt2 == 15 || rd == rt2) {
        return Err(Undecoded::Unpredictable);
    }
    Ok(Insn::StoreExclusive {
        size,
        release,
        rd: r(rd),
        rt: r(rt),
        rt2: r(rt2),
        rn: r(rn),
        imm: imm as u16,
    })
}

/// A32 LDM. A base that is written back and in the list is UNPREDICTABLE from ARMv7 on, and UNDEFINED there; before,
/// the loaded value stands.
pub fn arm_ldm(
    mode: Multi,
    w: u32,
    rn: u32,
    regs: u32,
    cx: super::pattern::Context,
) -> Result<Insn, Undecoded> {
    if w == 1 && regs >> rn & 1 == 1 && cx.features.contains(crate::cpu::model::Features::V7) {
        return Err(Undecoded::Unpredictable);
    }
    multiple(true, mode, w, rn, regs, 1)
}

/// LDM, STM. `min` is the fewest registers that the encoding allows; fewer, or a pc base, is UNPREDICTABLE and
/// treated as UNDEFINED.
pub fn multiple(load: bool, mode: Multi, w: u32, rn: u32, regs: u32, min: u32) -> Result<Insn, Undecoded> {
    if rn == 15 || regs.count_ones() < min {
        return Err(Undecoded::Unpredictable);
    }
    let (rn, regs, writeback) = (r(rn), regs as u16, w != 0);
    Ok(match load {
        true => Insn::LoadMultiple {
            rn,
            regs,
            mode,
            writeback,
        },
        false => Insn::StoreMultiple {
            rn,
            regs,
            mode,
            writeback,
        },
    })
}

/// MSR to APSR from the four mask bits (f s x c). In User mode only f (NZCVQ) and s (GE, from ARMv6) have effect.
pub fn msr(mask: u32, src: Operand, cx: super::pattern::Context) -> Insn {
    let nzcvq = mask & 8 != 0;
    let g = mask & 4 != 0 && cx.features.contains(crate::cpu::model::Features::V6);
    if nzcvq || g {
        Insn::Msr { nzcvq, g, src }
    } else {
        Insn::PrivilegedNop
    }
}

/// The hint space: everything unallocated is a NOP.
pub fn hint(number: u32) -> Insn {
    Insn::Hint(match number {
        1 => Hint::Yield,
        2 => Hint::Wfe,
        3 => Hint::Wfi,
        4 => Hint::Sev,
        5 => Hint::Sevl,
        16 => Hint::Esb,
        20 => Hint::Csdb,
        240..=255 => Hint::Dbg,
        _ => Hint::Nop,
    })
}

/// MRC, MCR p15, 0, rt, crn, crm, opc2.
pub fn cp15(load: bool, rt: u32, crn: u8, crm: u8, opc2: u8) -> Insn {
    Insn::Coproc {
        load,
        cp: 15,
        opc1: 0,
        crn,
        crm,
        opc2,
        rt: r(rt),
    }
}

pub fn smmla(sub: bool, round: u32, rd: u32, rn: u32, rm: u32, ra: u32) -> Insn {
    Insn::Smmla {
        sub,
        round: round != 0,
        rd: r(rd),
        rn: r(rn),
        rm: r(rm),
        ra: r(ra),
    }
}

pub fn smmul(round: u32, rd: u32, rn: u32, rm: u32) -> Insn {
    Insn::Smmul {
        round: round != 0,
        rd: r(rd),
        rn: r(rn),
        rm: r(rm),
    }
}
