//! Reciprocal and reciprocal square root estimates (Arm ARM DDI 0487, RecipEstimate, RecipSqrtEstimate).

/// RecipEstimate: `a` from 256 to 511 stands for a / 512; the result, from 256 to 511, is 512 / (a / 512) / 2^... in
/// units of 1/256, rounded to the middle of the interval.
fn recip_estimate(a: u32) -> u32 {
    // The middle of [a, a + 1) as a number of 10 bits.
    let a = a * 2 + 1;
    ((1 << 19) / a).div_ceil(2)
}

/// RecipSqrtEstimate: `a` from 128 to 511 (a / 512); the result is from 256 to 511 in units of 1/256.
fn rsqrt_estimate(a: u32) -> u32 {
    let a = if a < 256 { a * 2 + 1 } else { (a & !1) * 2 + 2 };
    let mut b = 512;
    while a * (b + 1) * (b + 1) < 1 << 28 {
        b += 1;
    }
    b.div_ceil(2)
}

/// UnsignedRecipEstimate (VRECPE.U32): operand and result are 0.32 fixed point, the result from 1 to 2.
pub fn unsigned_recip_estimate(operand: u32) -> u32 {
    if operand >> 31 == 0 {
        u32::MAX
    } else {
        recip_estimate(operand >> 23) << 23
    }
}

/// UnsignedRSqrtEstimate (VRSQRTE.U32).
pub fn unsigned_rsqrt_estimate(operand: u32) -> u32 {
    if operand >> 30 == 0 {
        u32::MAX
    } else {
        rsqrt_estimate(operand >> 23) << 23
    }
}
