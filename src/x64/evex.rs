//! EVEX encodings (AVX-512), which dynasmrt does not know, into the same buffer as everything else.
//!
//! Intel SDM volume 2, section 2.7. GFNI, VAES and VPCLMULQDQ on 128 and 256 bits have VEX forms too ([`Asm::vex`],
//! [`Asm::vex256`]).

use super::asm::{Asm, Enc, Rm};
use dynasmrt::DynasmApi;

/// Opcode maps of AVX512-FP16, besides those of [`Enc::map`].
pub const MAP5: u8 = 5;
pub const MAP6: u8 = 6;

/// What an EVEX prefix says besides opcode and operands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Evex {
    /// Vector length: 0, 1, 2 for 128, 256, 512 bits.
    pub len: u8,
    /// Opmask register k1-k7; 0 for none.
    pub mask: u8,
    /// Masked-off elements become zero instead of keeping their values.
    pub zeroing: bool,
    /// A memory operand is one element for all lanes. (With a register operand this bit means suppressed exceptions
    /// or a rounding mode, in `len`; always with all 512 bits, or a scalar.)
    pub broadcast: bool,
    /// log2 of the memory operand's size in bytes, by which 8-bit displacements are scaled.
    pub scale: u8,
}

impl Evex {
    /// 128 bits, no mask.
    pub const X: Evex = Evex {
        len: 0,
        mask: 0,
        zeroing: false,
        broadcast: false,
        scale: 4,
    };
    /// 256 bits, no mask.
    pub const Y: Evex = Evex {
        len: 1,
        scale: 5,
        ..Evex::X
    };
    /// 512 bits, no mask.
    pub const Z: Evex = Evex {
        len: 2,
        scale: 6,
        ..Evex::X
    };

    /// A scalar of 2^`scale` bytes.
    pub const fn scalar(scale: u8) -> Evex {
        Evex { scale, ..Evex::X }
    }

    /// With elements where opmask `k` is clear unchanged.
    pub const fn mask(self, k: u8) -> Evex {
        Evex { mask: k, ..self }
    }

    /// With elements where opmask `k` is clear zero.
    pub const fn zero(self, k: u8) -> Evex {
        Evex {
            mask: k,
            zeroing: true,
            ..self
        }
    }

    /// With one element of 2^`scale` bytes in memory for all lanes.
    pub const fn broadcast(self, scale: u8) -> Evex {
        Evex {
            broadcast: true,
            scale,
            ..self
        }
    }

    /// With exceptions suppressed (register operands of scalar instructions only).
    pub const fn sae(self) -> Evex {
        Evex {
            broadcast: true,
            ..self
        }
    }
}

impl Asm {
    /// `opcode reg, vvvv, rm, imm8` with an EVEX prefix.
    pub fn evex_i(&mut self, e: Enc, x: Evex, reg: u8, vvvv: u8, rm: Rm, imm: u8) {
        self.tail = 1;
        self.evex(e, x, reg, vvvv, rm);
        self.tail = 0;
        self.ops.push(imm);
    }

    /// `opcode reg, vvvv, rm` with an EVEX prefix; registers 0-31. An instruction with two operands has `vvvv` 0; an
    /// opmask as `reg` is 0-7.
    pub fn evex(&mut self, e: Enc, x: Evex, reg: u8, vvvv: u8, rm: Rm) {
        let (rex_b, rex_x) = match rm {
            Rm::Reg(r) => (r >> 3 & 1, r >> 4),
            Rm::Mem(m) => (m.base.map_or(0, |b| b >> 3), m.index.map_or(0, |(i, _)| i >> 3)),
            Rm::Pool(_) => (0, 0),
        };
        self.segment(rm);
        let pp = match e.prefix {
            0x66 => 1,
            0xf3 => 2,
            0xf2 => 3,
            _ => 0,
        };
        let inverted = |bit: u8, to: u32| (bit & 1 ^ 1) << to;
        self.ops.extend(&[
            0x62,
            inverted(reg >> 3, 7) | inverted(rex_x, 6) | inverted(rex_b, 5) | inverted(reg >> 4, 4) | e.map,
            u8::from(e.w) << 7 | (!vvvv & 15) << 3 | 4 | pp,
            u8::from(x.zeroing) << 7
                | x.len << 5
                | u8::from(x.broadcast) << 4
                | inverted(vvvv >> 4, 3)
                | x.mask,
            e.opcode,
        ]);
        self.modrm_scaled(reg & 7, rm, x.scale);
    }
}
