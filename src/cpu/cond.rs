//! Condition codes.

/// A condition code; the discriminant is the encoding. `Al` also stands for the unconditional space.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
pub enum Cond {
    Eq,
    Ne,
    Cs,
    Cc,
    Mi,
    Pl,
    Vs,
    Vc,
    Hi,
    Ls,
    Ge,
    Lt,
    Gt,
    Le,
    Al,
}

impl Cond {
    /// The condition with encoding `bits` (0 to 14; 15 reads as `Al`).
    pub fn from_bits(bits: u32) -> Cond {
        use Cond::*;
        [Eq, Ne, Cs, Cc, Mi, Pl, Vs, Vc, Hi, Ls, Ge, Lt, Gt, Le, Al, Al][(bits & 15) as usize]
    }

    /// The opposite condition. `Al` has none and returns itself.
    pub fn invert(self) -> Cond {
        if self == Cond::Al {
            Cond::Al
        } else {
            Cond::from_bits(self as u32 ^ 1)
        }
    }
}
