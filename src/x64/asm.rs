//! A typed layer over the assembler: the operand forms that blocks are made of, in their shortest encodings.
//!
//! `dynasm!` spells an instruction with run-time registers in its longest form (REX, SIB and 32-bit displacement
//! always), so forms whose registers are only known at run time go through [`Asm::op`], which encodes
//! prefix, opcode and ModRM into the same buffer; everything with fixed registers is `dynasm!`. All register
//! operands are 32 bits wide unless a method says 64: a 32-bit destination clears the upper half, which is what
//! keeps every guest value zero-extended (see `regs`).

use super::buffer::Buffer;
use dynasmrt::{DynamicLabel, DynasmApi, DynasmLabelApi, dynasm};

/// A memory operand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mem {
    pub base: Option<u8>,
    /// Register and shift (0-3).
    pub index: Option<(u8, u8)>,
    pub disp: i32,
    /// Address computed modulo 2^32 (the 0x67 prefix).
    pub addr32: bool,
    /// Relative to the gs base.
    pub gs: bool,
}

impl Mem {
    /// `[base + disp]`.
    pub fn at(base: u8, disp: i32) -> Mem {
        Mem {
            base: Some(base),
            index: None,
            disp,
            addr32: false,
            gs: false,
        }
    }

    /// `[rbp + disp]`: in the CPU state.
    pub fn state(disp: i32) -> Mem {
        Mem::at(super::regs::RBP, disp)
    }
}

/// A register or memory operand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rm {
    Reg(u8),
    Mem(Mem),
    /// A 16-byte constant of the block (see [`Asm::constant`]), addressed relative to rip.
    Pool(u16),
}

impl From<Mem> for Rm {
    fn from(m: Mem) -> Rm {
        Rm::Mem(m)
    }
}

/// An instruction's encoding apart from its operands.
#[derive(Clone, Copy)]
pub struct Enc {
    /// Mandatory prefix (0x66, 0xf2, 0xf3) or 0.
    pub prefix: u8,
    /// 0: one-byte opcodes, 1: 0f, 2: 0f 38, 3: 0f 3a.
    pub map: u8,
    pub opcode: u8,
    pub w: bool,
    /// The register operands are bytes: sil and dil need a REX prefix.
    pub byte: bool,
}

impl Enc {
    pub const fn new(opcode: u8) -> Enc {
        Enc {
            prefix: 0,
            map: 0,
            opcode,
            w: false,
            byte: false,
        }
    }
    pub const fn of(opcode: u8) -> Enc {
        Enc {
            prefix: 0,
            map: 1,
            opcode,
            w: false,
            byte: false,
        }
    }
    pub const fn prefix(mut self, p: u8) -> Enc {
        self.prefix = p;
        self
    }
    pub const fn map(mut self, m: u8) -> Enc {
        self.map = m;
        self
    }
    pub const fn w(mut self) -> Enc {
        self.w = true;
        self
    }
    pub const fn byte(mut self) -> Enc {
        self.byte = true;
        self
    }

    /// Prefixes and opcode, with these REX bits besides W; `rex` also if all are clear.
    #[inline(always)]
    fn head(self, bits: u8, rex: bool) -> Bytes {
        let (escape, len) = [(0, 1), (0x0f, 2), (0x380f, 3), (0x3a0f, 3)][usize::from(self.map & 3)];
        let mut head = Bytes {
            bits: u64::from(self.opcode) << (8 * (len - 1)) | escape,
            len,
        };
        let bits = u8::from(self.w) << 3 | bits;
        if bits != 0 || rex {
            head.before(0x40 | bits);
        }
        if self.prefix != 0 {
            head.before(self.prefix);
        }
        head
    }
}

/// Whether the low byte of register `r` is named only with a REX prefix: spl, bpl, sil, dil.
#[inline(always)]
fn is_new_byte(r: u8) -> bool {
    r & 0xfc == 4
}

/// The eight classic operations; the discriminant is the opcode group number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Alu {
    Add = 0,
    Or = 1,
    Adc = 2,
    Sbb = 3,
    And = 4,
    Sub = 5,
    Xor = 6,
    Cmp = 7,
}

/// Shifts and rotates; the discriminant is the opcode extension.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Sh {
    Ror = 1,
    Rcr = 3,
    Shl = 4,
    Shr = 5,
    Sar = 7,
}

/// x86 condition codes, as encoded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Cc {
    O = 0,
    No = 1,
    B = 2,
    Ae = 3,
    E = 4,
    Ne = 5,
    Be = 6,
    A = 7,
    S = 8,
    Ns = 9,
    P = 10,
    Np = 11,
    L = 12,
    Ge = 13,
    Le = 14,
    G = 15,
}

impl Cc {
    pub fn invert(self) -> Cc {
        use Cc::*;
        [No, O, Ae, B, Ne, E, A, Be, Ns, S, Np, P, Ge, L, G, Le][self as usize]
    }
}

/// Up to eight bytes of an instruction.
#[derive(Clone, Copy, Default)]
struct Bytes {
    bits: u64,
    len: u32,
}

impl Bytes {
    #[inline(always)]
    fn push(&mut self, byte: u8) {
        self.bits |= u64::from(byte) << (8 * self.len);
        self.len += 1;
    }

    #[inline(always)]
    fn before(&mut self, byte: u8) {
        self.bits = self.bits << 8 | u64::from(byte);
        self.len += 1;
    }
}

/// The assembly buffer.
pub struct Asm {
    pub ops: Buffer,
    /// Constants that the block addresses, each once.
    pool: Vec<u128>,
    /// Displacement fields that refer to them.
    pool_uses: Vec<PoolUse>,
    /// Bytes that follow the displacement of the instruction being encoded.
    pub(super) tail: u8,
}

/// A displacement field relative to rip.
struct PoolUse {
    /// Offset of the field.
    at: u32,
    constant: u16,
    /// Bytes of the instruction behind the field.
    tail: u8,
}

impl Default for Asm {
    fn default() -> Self {
        Asm::new()
    }
}

impl Asm {
    pub fn new() -> Asm {
        Asm {
            ops: Buffer::default(),
            pool: Vec::new(),
            pool_uses: Vec::new(),
            tail: 0,
        }
    }

    /// `value` as a memory operand: it will lie, 16-byte aligned, behind the block's code.
    pub fn constant(&mut self, value: u128) -> Rm {
        let k = self.pool.iter().position(|c| *c == value).unwrap_or_else(|| {
            self.pool.push(value);
            self.pool.len() - 1
        });
        Rm::Pool(k as u16)
    }

    /// Appends the constants to `bytes`, the whole code of the block, and fills in the displacements that refer to
    /// them: where they begin. The pool is empty afterwards.
    pub fn place_pool(&mut self, bytes: &mut Vec<u8>) -> u32 {
        if self.pool.is_empty() {
            return bytes.len() as u32;
        }
        // What lies between is never executed.
        bytes.resize(bytes.len().next_multiple_of(16), 0xcc);
        let start = bytes.len() as u32;
        for value in self.pool.drain(..) {
            bytes.extend(value.to_le_bytes());
        }
        for u in self.pool_uses.drain(..) {
            let target = start + 16 * u32::from(u.constant);
            let rel = target.wrapping_sub(u.at + 4 + u32::from(u.tail));
            bytes[u.at as usize..u.at as usize + 4].copy_from_slice(&rel.to_le_bytes());
        }
        start
    }

    /// Bytes so far.
    pub fn pos(&self) -> u32 {
        self.ops.offset().0 as u32
    }

    pub fn new_label(&mut self) -> DynamicLabel {
        self.ops.new_dynamic_label()
    }

    pub fn bind(&mut self, l: DynamicLabel) {
        self.ops.dynamic_label(l);
    }

    /// `opcode reg, rm, imm8`.
    pub fn op_i(&mut self, e: Enc, reg: u8, rm: Rm, imm: u8) {
        self.tail = 1;
        self.op(e, reg, rm);
        self.tail = 0;
        self.ops.push(imm);
    }

    /// `opcode reg, vvvv, rm, imm8`, VEX-encoded.
    pub fn vex_i(&mut self, e: Enc, reg: u8, vvvv: u8, rm: Rm, imm: u8) {
        self.tail = 1;
        self.vex(e, reg, vvvv, rm);
        self.tail = 0;
        self.ops.push(imm);
    }

    /// Any instruction of the form `opcode reg, rm`. If immediate bytes are to follow, `rm` must not be of the pool
    /// (use [`Asm::op_i`]).
    pub fn op(&mut self, e: Enc, reg: u8, rm: Rm) {
        // The first two are what most operands are; the last would do for them, too.
        match rm {
            Rm::Reg(r) => {
                let head = e.head(
                    reg >> 3 << 2 | r >> 3,
                    e.byte && (is_new_byte(r) || is_new_byte(reg)),
                );
                let modrm = 0xc0 | (reg & 7) << 3 | r & 7;
                self.put(head.bits | u64::from(modrm) << (8 * head.len), head.len + 1);
            }
            Rm::Mem(Mem {
                base: Some(base),
                index: None,
                disp,
                addr32: false,
                gs: false,
            }) if base & 7 != 4 => {
                let head = e.head(reg >> 3 << 2 | base >> 3, e.byte && is_new_byte(reg));
                let modrm = u64::from((reg & 7) << 3 | base & 7);
                if i8::try_from(disp).is_ok() {
                    // A displacement of 0 takes no byte, but with rbp and r13.
                    let bare = disp == 0 && base & 7 != 5;
                    let tail = modrm | u64::from(!bare) << 6 | u64::from(disp as u8) << 8;
                    let len = head.len + 1 + u32::from(!bare);
                    self.put(head.bits | tail << (8 * head.len), len);
                } else {
                    self.put(head.bits | (modrm | 0x80) << (8 * head.len), head.len + 1);
                    self.put(u64::from(disp as u32), 4);
                }
            }
            _ => self.op_anywhere(e, reg, rm),
        }
    }

    /// [`Asm::op`] with any operand.
    fn op_anywhere(&mut self, e: Enc, reg: u8, rm: Rm) {
        let (rex_b, rex_x, byte_register) = match rm {
            Rm::Reg(r) => (r >> 3, 0, r),
            Rm::Mem(m) => {
                self.segment(rm);
                let index = m.index.map_or(0, |(i, _)| i >> 3);
                (m.base.map_or(0, |b| b >> 3), index, 0)
            }
            Rm::Pool(_) => (0, 0, 0),
        };
        let new_byte = e.byte && (is_new_byte(byte_register) || is_new_byte(reg));
        let head = e.head(reg >> 3 << 2 | rex_x << 1 | rex_b, new_byte);
        self.modrm(head, reg & 7, rm, 0);
    }

    /// The VEX-encoded three-operand form `opcode reg, vvvv, rm` on 128 bits or a scalar.
    pub fn vex(&mut self, e: Enc, reg: u8, vvvv: u8, rm: Rm) {
        self.vex_l(e, false, reg, vvvv, rm);
    }

    /// The same on 256 bits.
    pub fn vex256(&mut self, e: Enc, reg: u8, vvvv: u8, rm: Rm) {
        self.vex_l(e, true, reg, vvvv, rm);
    }

    fn vex_l(&mut self, e: Enc, wide: bool, reg: u8, vvvv: u8, rm: Rm) {
        let (rex_b, rex_x) = match rm {
            Rm::Reg(r) => (r >> 3, 0),
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
        let (r, x, b) = (reg >> 3 ^ 1, rex_x ^ 1, rex_b ^ 1);
        let tail = (vvvv ^ 15) << 3 | u8::from(wide) << 2 | pp;
        let mut head = Bytes::default();
        if x == 1 && b == 1 && e.map == 1 && !e.w {
            head.push(0xc5);
            head.push(r << 7 | tail);
        } else {
            head.push(0xc4);
            head.push(r << 7 | x << 6 | b << 5 | e.map);
            head.push(u8::from(e.w) << 7 | tail);
        }
        head.push(e.opcode);
        self.modrm(head, reg & 7, rm, 0);
    }

    /// The legacy prefixes that a memory operand needs.
    pub(super) fn segment(&mut self, rm: Rm) {
        if let Rm::Mem(m) = rm {
            if m.gs {
                self.ops.push(0x65);
            }
            if m.addr32 {
                self.ops.push(0x67);
            }
        }
    }

    /// Appends the lowest `len` bytes of `bits`, at most eight.
    #[inline(always)]
    fn put(&mut self, bits: u64, len: u32) {
        self.ops.append(bits, len as usize);
    }

    /// ModRM, SIB and displacement of an instruction whose other bytes are out already; an 8-bit displacement counts
    /// units of 2^`scale` bytes (EVEX).
    pub(super) fn modrm_scaled(&mut self, reg: u8, rm: Rm, scale: u8) {
        self.modrm(Bytes::default(), reg, rm, scale);
    }

    /// `head` (six bytes at most), then ModRM, SIB and displacement.
    #[inline]
    fn modrm(&mut self, mut head: Bytes, reg: u8, rm: Rm, scale: u8) {
        let reg = reg << 3;
        let m = match rm {
            Rm::Reg(r) => {
                head.push(0xc0 | reg | r & 7);
                return self.put(head.bits, head.len);
            }
            Rm::Mem(m) => m,
            Rm::Pool(constant) => {
                head.push(reg | 5);
                self.put(head.bits, head.len);
                let at = self.pos();
                self.pool_uses.push(PoolUse {
                    at,
                    constant,
                    tail: self.tail,
                });
                return self.ops.push_i32(0);
            }
        };
        let scaled = m.disp >> scale;
        let short = scaled << scale == m.disp && i8::try_from(scaled).is_ok();
        let (mode, disp, disp_len) = match m.base {
            // No base: SIB with a 32-bit displacement (the form without SIB is relative to rip).
            None => (0, m.disp, 4),
            Some(base) if m.disp == 0 && base & 7 != 5 => (0, 0, 0),
            Some(_) if short => (0x40, scaled, 1),
            Some(_) => (0x80, m.disp, 4),
        };
        let base = m.base.unwrap_or(5) & 7;
        match m.index {
            None if m.base.is_some() && base != 4 => head.push(mode | reg | base),
            index => {
                let index = index.map_or(4 << 3, |(i, s)| s << 6 | (i & 7) << 3);
                head.push(mode | reg | 4);
                head.push(index | base);
            }
        }
        let disp = u64::from(disp as u32);
        if disp_len == 1 && head.len < 8 {
            head.push(disp as u8);
            return self.put(head.bits, head.len);
        }
        self.put(head.bits, head.len);
        if disp_len != 0 {
            self.put(disp, disp_len);
        }
    }

    /// `mov dst, src`; nothing if they are the same register.
    pub fn mov_rr(&mut self, dst: u8, src: u8) {
        if dst != src {
            self.op(Enc::new(0x8b), dst, Rm::Reg(src));
        }
    }

    /// 64-bit `mov dst, src`.
    pub fn mov_rr64(&mut self, dst: u8, src: u8) {
        if dst != src {
            self.op(Enc::new(0x8b).w(), dst, Rm::Reg(src));
        }
    }

    /// 32-bit load or register move.
    pub fn mov_rm(&mut self, dst: u8, rm: Rm) {
        match rm {
            Rm::Reg(r) => self.mov_rr(dst, r),
            _ => self.op(Enc::new(0x8b), dst, rm),
        }
    }

    /// 32-bit store.
    pub fn store(&mut self, m: Mem, src: u8) {
        self.op(Enc::new(0x89), src, m.into());
    }

    /// `mov dst, imm32` without touching the flags.
    pub fn mov_ri(&mut self, dst: u8, imm: u32) {
        if dst >= 8 {
            self.ops.push(0x41);
        }
        self.ops.push(0xb8 | dst & 7);
        self.ops.push_u32(imm);
    }

    /// `mov dst64, imm64`.
    pub fn mov_ri64(&mut self, dst: u8, imm: u64) {
        if imm >> 32 == 0 {
            return self.mov_ri(dst, imm as u32);
        }
        self.ops.push(0x48 | dst >> 3);
        self.ops.push(0xb8 | dst & 7);
        self.ops.push_u64(imm);
    }

    /// `mov dword [m], imm32`.
    pub fn store_imm(&mut self, m: Mem, imm: u32) {
        self.op(Enc::new(0xc7), 0, m.into());
        self.ops.push_u32(imm);
    }

    /// `op dst, rm`.
    pub fn alu(&mut self, op: Alu, dst: u8, rm: Rm) {
        self.op(Enc::new((op as u8) << 3 | 3), dst, rm);
    }

    /// 64-bit `op dst, rm`.
    pub fn alu64(&mut self, op: Alu, dst: u8, rm: Rm) {
        self.op(Enc::new((op as u8) << 3 | 3).w(), dst, rm);
    }

    /// `op rm, imm`.
    pub fn alu_i(&mut self, op: Alu, rm: Rm, imm: u32) {
        if let Ok(b) = i8::try_from(imm as i32) {
            self.op(Enc::new(0x83), op as u8, rm);
            self.ops.push_i8(b);
        } else if rm == Rm::Reg(0) {
            self.ops.push((op as u8) << 3 | 5);
            self.ops.push_u32(imm);
        } else {
            self.op(Enc::new(0x81), op as u8, rm);
            self.ops.push_u32(imm);
        }
    }

    /// `test a, b`.
    pub fn test_rr(&mut self, a: u8, b: u8) {
        self.op(Enc::new(0x85), b, Rm::Reg(a));
    }

    /// `test rm, imm32`.
    pub fn test_ri(&mut self, rm: Rm, imm: u32) {
        self.op(Enc::new(0xf7), 0, rm);
        self.ops.push_u32(imm);
    }

    /// Shift by a constant, 1 to 31.
    pub fn shift_i(&mut self, op: Sh, dst: u8, count: u8) {
        if count == 1 {
            self.op(Enc::new(0xd1), op as u8, Rm::Reg(dst));
        } else {
            self.op(Enc::new(0xc1), op as u8, Rm::Reg(dst));
            self.ops.push(count);
        }
    }

    /// 64-bit shift by a constant.
    pub fn shift_i64(&mut self, op: Sh, dst: u8, count: u8) {
        self.op(Enc::new(0xc1).w(), op as u8, Rm::Reg(dst));
        self.ops.push(count);
    }

    /// Shift by cl.
    pub fn shift_cl(&mut self, op: Sh, dst: u8) {
        self.op(Enc::new(0xd3), op as u8, Rm::Reg(dst));
    }

    /// 64-bit shift by cl.
    pub fn shift_cl64(&mut self, op: Sh, dst: u8) {
        self.op(Enc::new(0xd3).w(), op as u8, Rm::Reg(dst));
    }

    /// `lea dst, [m]`, 32-bit result.
    pub fn lea(&mut self, dst: u8, m: Mem) {
        self.op(Enc::new(0x8d), dst, m.into());
    }

    /// `not dst`.
    pub fn not(&mut self, dst: u8) {
        self.op(Enc::new(0xf7), 2, Rm::Reg(dst));
    }

    /// `neg dst`.
    pub fn neg(&mut self, dst: u8) {
        self.op(Enc::new(0xf7), 3, Rm::Reg(dst));
    }

    /// `imul dst, rm`.
    pub fn imul(&mut self, dst: u8, rm: Rm) {
        self.op(Enc::of(0xaf), dst, rm);
    }

    /// `cmovcc dst, rm`.
    pub fn cmov(&mut self, cc: Cc, dst: u8, rm: Rm) {
        self.op(Enc::of(0x40 | cc as u8), dst, rm);
    }

    /// `setcc` to a byte register or byte in memory.
    pub fn setcc(&mut self, cc: Cc, rm: Rm) {
        self.op(Enc::of(0x90 | cc as u8).byte(), 0, rm);
    }

    /// Forward or backward jump to a label of this block.
    pub fn jcc(&mut self, cc: Cc, l: DynamicLabel) {
        match cc {
            Cc::O => dynasm!(self.ops; .arch x64; jo =>l),
            Cc::No => dynasm!(self.ops; .arch x64; jno =>l),
            Cc::B => dynasm!(self.ops; .arch x64; jb =>l),
            Cc::Ae => dynasm!(self.ops; .arch x64; jae =>l),
            Cc::E => dynasm!(self.ops; .arch x64; je =>l),
            Cc::Ne => dynasm!(self.ops; .arch x64; jne =>l),
            Cc::Be => dynasm!(self.ops; .arch x64; jbe =>l),
            Cc::A => dynasm!(self.ops; .arch x64; ja =>l),
            Cc::S => dynasm!(self.ops; .arch x64; js =>l),
            Cc::Ns => dynasm!(self.ops; .arch x64; jns =>l),
            Cc::P => dynasm!(self.ops; .arch x64; jp =>l),
            Cc::Np => dynasm!(self.ops; .arch x64; jnp =>l),
            Cc::L => dynasm!(self.ops; .arch x64; jl =>l),
            Cc::Ge => dynasm!(self.ops; .arch x64; jge =>l),
            Cc::Le => dynasm!(self.ops; .arch x64; jle =>l),
            Cc::G => dynasm!(self.ops; .arch x64; jg =>l),
        }
    }

    pub fn jmp(&mut self, l: DynamicLabel) {
        dynasm!(self.ops; .arch x64; jmp =>l);
    }

    /// Pads with no-operations so that a 32-bit field `lead` bytes from here lies within one aligned 8-byte word.
    pub fn align_patch(&mut self, lead: u32) {
        let at = (self.pos() + lead) % 8;
        if at > 4 {
            self.nop(8 - at);
        }
    }

    /// Pads to a multiple of `n`.
    pub fn align_to(&mut self, n: u32) {
        while !self.pos().is_multiple_of(n) {
            self.nop((n - self.pos() % n).min(8));
        }
    }

    /// `n` (1-8) bytes of no-operation, one instruction.
    pub fn nop(&mut self, n: u32) {
        const NOPS: [&[u8]; 9] = [
            &[],
            &[0x90],
            &[0x66, 0x90],
            &[0x0f, 0x1f, 0x00],
            &[0x0f, 0x1f, 0x40, 0x00],
            &[0x0f, 0x1f, 0x44, 0x00, 0x00],
            &[0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00],
            &[0x0f, 0x1f, 0x80, 0, 0, 0, 0],
            &[0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0],
        ];
        self.ops.extend(NOPS[n as usize]);
    }
}
