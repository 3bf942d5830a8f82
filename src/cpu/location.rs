//! What a translation is keyed by: guest address plus the processor state that changes what the code there means.

use super::model::Features;

/// FPSCR's LEN and STRIDE as far as they change the meaning of VFP instructions (short vectors).
///
/// 0 when instructions are scalar; else LEN (1 to 7) in bits 2-0 and whether STRIDE is 0b11 in bit 3. With LEN 0, bit 3 says
/// that vector forms would be asked for where there are none. Bits 7-4 are for what else the run time keys translations by
/// (see `exec::FpMode`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct FpKey(pub u8);

impl FpKey {
    pub const SCALAR: FpKey = FpKey(0);
    /// The bits that say what instructions mean.
    pub const SHORT_VECTORS: u8 = 0x0f;

    /// Instructions without a vector form (VFMA and its kin, arithmetic in half precision) are UNDEFINED, and on models
    /// without short vectors all that have one elsewhere: LEN or STRIDE is not 0 (Arm ARM DDI 0487 F6.1, VADD and VFMA).
    pub const NO_VECTORS: FpKey = FpKey(8);

    /// The key for an FPSCR value.
    pub fn from_fpscr(fpscr: u32, features: Features) -> FpKey {
        if fpscr & 0x0037_0000 == 0 {
            return FpKey::SCALAR;
        }
        if !features.contains(Features::SHORT_VECTORS) || fpscr & 0x0007_0000 == 0 {
            return FpKey::NO_VECTORS;
        }
        let stride = fpscr & 0x0030_0000 == 0x0030_0000;
        FpKey((fpscr >> 16 & 7) as u8 | if stride { 8 } else { 0 })
    }

    /// Number of elements a vector operation works on, 1 to 8.
    pub fn length(self) -> u8 {
        (self.0 & 7) + 1
    }

    /// Distance of consecutive elements in registers of the operation's width: 1, or 2 for STRIDE 0b11.
    pub fn stride(self) -> u8 {
        if self.0 & 8 != 0 { 2 } else { 1 }
    }
}

/// Key of a translation.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Location {
    /// Guest address of the first instruction, without the T bit.
    pub pc: u32,
    /// T32 rather than A32.
    pub thumb: bool,
    /// ITSTATE before the first instruction; 0 except after a fault or signal inside an IT block.
    pub it: u8,
    pub fp: FpKey,
}

impl Location {
    /// An A32 or T32 location outside IT blocks with scalar floating point.
    pub fn new(pc: u32, thumb: bool) -> Location {
        Location {
            pc,
            thumb,
            it: 0,
            fp: FpKey::SCALAR,
        }
    }

    /// pc in bits 31-0, T in bit 32, ITSTATE in bits 47-40, the FP key in bits 55-48.
    pub fn pack(self) -> u64 {
        u64::from(self.pc)
            | u64::from(self.thumb) << 32
            | u64::from(self.it) << 40
            | u64::from(self.fp.0) << 48
    }

    /// The inverse of [`Location::pack`].
    pub fn unpack(bits: u64) -> Location {
        Location {
            pc: bits as u32,
            thumb: bits >> 32 & 1 == 1,
            it: (bits >> 40) as u8,
            fp: FpKey((bits >> 48) as u8),
        }
    }

    /// The form that the exits of a block carry: the address with T in bit 0.
    pub fn target(self) -> u32 {
        self.pc | u32::from(self.thumb)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packs_and_unpacks() {
        let loc = Location {
            pc: 0xffff_fffe,
            thumb: true,
            it: 0xfc,
            fp: FpKey(0xff),
        };
        assert_eq!(Location::unpack(loc.pack()), loc);
    }

    #[test]
    fn short_vector_key() {
        let sv = Features::SHORT_VECTORS;
        assert_eq!(FpKey::from_fpscr(0x0037_0000, sv), FpKey(0x0f));
        assert_eq!(FpKey::from_fpscr(0x07c0_009f, sv), FpKey::SCALAR);
        assert_eq!(
            FpKey::from_fpscr(0x0007_0000, Features::empty()),
            FpKey::NO_VECTORS
        );
        assert_eq!(FpKey::from_fpscr(0x0030_0000, sv), FpKey::NO_VECTORS);
        assert_eq!(FpKey::NO_VECTORS.length(), 1);
        assert_eq!(FpKey::from_fpscr(0x0013_0000, sv), FpKey(3));
        assert_eq!(FpKey(0x0b).length(), 4);
        assert_eq!(FpKey(0x0b).stride(), 2);
    }
}
