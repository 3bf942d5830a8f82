//! VFP short vectors (ARMv5 and ARMv6): which registers an operation works on when FPSCR.LEN is not zero.
//!
//! DDI 0406C, Appendix K ("VFP Vector Operation Support"): registers form banks, of eight for single and four for
//! double precision. A destination in the first bank (D16-D19 count with D0-D3) makes the operation scalar; else it
//! is repeated LEN + 1 times, each register advancing by the stride and wrapping inside its bank, except that a
//! second operand in a first bank stays as it is for every element.

use crate::cpu::location::FpKey;

/// Repetition of one data-processing instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Shape {
    length: u8,
    stride: u8,
    /// Registers in a bank.
    bank: u8,
    /// The second operand is scalar.
    scalar_m: bool,
}

impl Shape {
    pub fn of(fp: FpKey, double: bool, d: u8, m: u8) -> Shape {
        let bank = if double { 4 } else { 8 };
        let first_bank = |r: u8| {
            if double { r & 12 == 0 } else { r & 24 == 0 }
        };
        if fp == FpKey::SCALAR || first_bank(d) {
            return Shape {
                length: 1,
                stride: 1,
                bank,
                scalar_m: true,
            };
        }
        Shape {
            length: fp.length(),
            stride: fp.stride(),
            bank,
            scalar_m: first_bank(m),
        }
    }

    /// The registers of each element, from those of the first.
    pub fn three(self, d: u8, n: u8, m: u8) -> impl Iterator<Item = (u8, u8, u8)> {
        let advance = move |r: u8, i: u8| r & !(self.bank - 1) | (r + i * self.stride) & (self.bank - 1);
        (0..self.length).map(move |i| {
            let m = if self.scalar_m { m } else { advance(m, i) };
            (advance(d, i), advance(n, i), m)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn regs(key: u8, double: bool, d: u8, n: u8, m: u8) -> Vec<(u8, u8, u8)> {
        Shape::of(FpKey(key), double, d, m).three(d, n, m).collect()
    }

    /// LEN 4, STRIDE 1: s8-s11 = s16-s19 op s24-s27.
    #[test]
    fn vector_by_vector() {
        assert_eq!(
            regs(3, false, 8, 16, 24),
            [(8, 16, 24), (9, 17, 25), (10, 18, 26), (11, 19, 27)]
        );
    }

    /// A first-bank second operand is the same for every element.
    #[test]
    fn vector_by_scalar() {
        assert_eq!(regs(1, false, 8, 16, 3), [(8, 16, 3), (9, 17, 3)]);
        assert_eq!(regs(1, true, 4, 8, 16), [(4, 8, 16), (5, 9, 16)]);
    }

    /// A first-bank destination makes the operation scalar whatever the operands.
    #[test]
    fn scalar_destination() {
        assert_eq!(regs(7, false, 0, 16, 24), [(0, 16, 24)]);
        assert_eq!(regs(3, true, 16, 4, 8), [(16, 4, 8)]);
    }

    /// Registers wrap inside their bank; STRIDE 0b11 advances by two.
    #[test]
    fn wraps_in_the_bank() {
        assert_eq!(
            regs(0x0a, false, 14, 20, 31),
            [(14, 20, 31), (8, 22, 25), (10, 16, 27)]
        );
        assert_eq!(regs(1, true, 7, 11, 15), [(7, 11, 15), (4, 8, 12)]);
    }
}
