//! The integer functions of the Arm ARM that operations are made of: conditions, sums with flags, shifts,
//! saturation, CRC.

use crate::cpu::cond::Cond;

/// Whether `cond` holds for NZCV in bits 31 to 28.
pub fn holds(cond: Cond, nzcv: u32) -> bool {
    let [n, z, c, v] = [31, 30, 29, 28].map(|bit| nzcv >> bit & 1 != 0);
    match cond {
        Cond::Eq => z,
        Cond::Ne => !z,
        Cond::Cs => c,
        Cond::Cc => !c,
        Cond::Mi => n,
        Cond::Pl => !n,
        Cond::Vs => v,
        Cond::Vc => !v,
        Cond::Hi => c && !z,
        Cond::Ls => !c || z,
        Cond::Ge => n == v,
        Cond::Lt => n != v,
        Cond::Gt => !z && n == v,
        Cond::Le => z || n != v,
        Cond::Al => true,
    }
}

/// ITSTATE after the instruction that executes under `it` (ITAdvance).
pub fn advance_it(it: u8) -> u8 {
    if it & 7 == 0 {
        0
    } else {
        it & 0xe0 | it << 1 & 0x1f
    }
}

/// N and Z of a result, in bits 31 and 30.
pub fn nz(result: u32) -> u32 {
    result & 0x8000_0000 | u32::from(result == 0) << 30
}

/// Sum, carry out and signed overflow.
pub fn add_with_carry(a: u32, b: u32, carry: bool) -> (u32, bool, bool) {
    let unsigned = u64::from(a) + u64::from(b) + u64::from(carry);
    let signed = i64::from(a as i32) + i64::from(b as i32) + i64::from(carry);
    let sum = unsigned as u32;
    (sum, unsigned >> 32 != 0, i64::from(sum as i32) != signed)
}

/// LSL_C, amount at least 1: result and carry out.
pub fn lsl(a: u32, amount: u32) -> (u32, bool) {
    match amount {
        0..=32 => {
            let wide = u64::from(a) << amount;
            (wide as u32, wide >> 32 & 1 != 0)
        }
        _ => (0, false),
    }
}

/// LSR_C, amount at least 1.
pub fn lsr(a: u32, amount: u32) -> (u32, bool) {
    match amount {
        0..=32 => {
            let wide = u64::from(a) << 32 >> amount;
            ((wide >> 32) as u32, wide >> 31 & 1 != 0)
        }
        _ => (0, false),
    }
}

/// ASR_C, amount at least 1.
pub fn asr(a: u32, amount: u32) -> (u32, bool) {
    let wide = (u64::from(a) << 32) as i64 >> amount.min(32);
    ((wide >> 32) as u32, wide >> 31 & 1 != 0)
}

/// ROR_C, amount at least 1.
pub fn ror(a: u32, amount: u32) -> (u32, bool) {
    let result = a.rotate_right(amount & 31);
    (result, result >> 31 != 0)
}

/// `width` ones (1 to 32).
pub(super) fn ones(width: u32) -> u32 {
    u32::MAX >> (32 - width.clamp(1, 32))
}

/// SignedSatQ to `bits` (1 to 32).
pub(super) fn saturate(value: i64, bits: u32) -> (u32, bool) {
    let max = (1i64 << (bits.clamp(1, 32) - 1)) - 1;
    let result = value.clamp(-max - 1, max);
    (result as u32, result != value)
}

/// UnsignedSatQ to `bits` (0 to 31).
pub(super) fn saturate_unsigned(value: i64, bits: u32) -> (u32, bool) {
    let result = value.clamp(0, (1i64 << bits.min(31)) - 1);
    (result as u32, result != value)
}

/// Both signed halfwords through `f`.
pub(super) fn each_half(a: u32, f: impl Fn(i64) -> (u32, bool)) -> (u32, bool) {
    let (low, low_saturated) = f((a as i16).into());
    let (high, high_saturated) = f(((a >> 16) as i16).into());
    (low & 0xffff | high << 16, low_saturated || high_saturated)
}

/// The CRC32 instructions: reflected polynomials, no inversion.
pub(super) fn crc32(acc: u32, data: u32, bytes: u32, castagnoli: bool) -> u32 {
    let polynomial = if castagnoli { 0x82f6_3b78 } else { 0xedb8_8320 };
    let bits = bytes.clamp(1, 4) * 8;
    (0..bits).fold(acc ^ data & ones(bits), |crc, _| {
        crc >> 1 ^ if crc & 1 != 0 { polynomial } else { 0 }
    })
}
