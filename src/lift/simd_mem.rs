//! Advanced SIMD: loads and stores of elements and structures.
//!
//! What is loaded goes to registers only when all of it has arrived, so a fault leaves every register as it was; a store
//! may have written a part. Elements need no alignment; where the instruction states one, the address is checked first
//! (an alignment fault, which the kernel does not fix up: SIGBUS).

use super::Lifter;
use super::simd::bits;
use crate::ir::ops::{Op, Value};
use crate::ir::vector::{Shape, VecOp};
use crate::isa::simd::{Lane, PostIndex, SimdAddress, Structures};

impl Lifter<'_> {
    /// The base register's value, after the check of its alignment.
    fn simd_base(&mut self, addr: &SimdAddress) -> Value {
        let base = self.reg(addr.rn);
        if addr.align > 1 {
            self.b.check_align(base, u32::from(addr.align) - 1);
        }
        base
    }

    fn simd_post(&mut self, addr: &SimdAddress, base: Value) {
        let v = match addr.post {
            PostIndex::None => return,
            PostIndex::By(n) => self.add_const(base, n.into()),
            PostIndex::Reg(rm) => {
                let rm = self.reg(rm);
                self.b.op2(Op::Add, base, rm)
            }
        };
        self.set(addr.rn, v);
    }

    /// VLD1 to VLD4 (multiple structures).
    pub(super) fn load_structures(&mut self, s: &Structures) {
        let base = self.simd_base(&s.addr);
        match s.elements {
            1 => self.load_registers(base, s.d, s.groups),
            2 => self.load_pairs(base, s),
            3 => {
                let low = self.b.load_v(true, base, 0);
                let high = self.b.load_v(false, base, 16);
                let shape = Shape::new(s.size, false, false);
                let lanes = [0, 1, 2].map(|k| self.b.vec2(VecOp::Deinterleave3, shape, k, low, high));
                for (e, v) in (0..).zip(lanes) {
                    self.b.set_v(s.d + e * s.inc, false, v);
                }
            }
            _ => {
                let shape = Shape::new(s.size, true, false);
                let parts = [0, 16].map(|disp| {
                    let v = self.b.load_v(true, base, disp);
                    self.unzip(shape, 4, v)
                });
                // Four lots of 32 bits, one for each element, in either half of the structures.
                let words = Shape::new(2, true, false);
                let low = self.b.vec2(VecOp::ZipLo, words, 0, parts[0], parts[1]);
                let high = self.b.vec2(VecOp::ZipHi, words, 0, parts[0], parts[1]);
                self.set_halves(s.d, s.d + s.inc, low);
                self.set_halves(s.d + 2 * s.inc, s.d + 3 * s.inc, high);
            }
        }
        self.simd_post(&s.addr, base);
    }

    /// `count` D registers from `first` on, which lie in memory as they are.
    fn load_registers(&mut self, base: Value, first: u8, count: u8) {
        let mut loaded = Vec::with_capacity(4);
        let mut r = first;
        while r < first + count {
            let q = r & 1 == 0 && r + 1 < first + count;
            loaded.push((r, q, self.b.load_v(q, base, 8 * u32::from(r - first))));
            r += if q { 2 } else { 1 };
        }
        for (r, q, v) in loaded {
            self.b.set_v(r, q, v);
        }
    }

    /// VLD2: two structures' worth of D registers, or four.
    fn load_pairs(&mut self, base: Value, s: &Structures) {
        let shape = Shape::new(s.size, true, false);
        let first = self.b.load_v(true, base, 0);
        if s.groups == 1 {
            let v = self.unzip(shape, 2, first);
            self.set_halves(s.d, s.d + s.inc, v);
            return;
        }
        let second = self.b.load_v(true, base, 16);
        let (a, b) = (self.unzip(shape, 2, first), self.unzip(shape, 2, second));
        let doubles = Shape::new(3, true, false);
        let even = self.b.vec2(VecOp::ZipLo, doubles, 0, a, b);
        let odd = self.b.vec2(VecOp::ZipHi, doubles, 0, a, b);
        self.set_halves(s.d, s.d + 1, even);
        self.set_halves(s.d + s.inc, s.d + s.inc + 1, odd);
    }

    /// The lanes of `v` as structures of `elements`: all first elements, then all second, and so on.
    fn unzip(&mut self, shape: Shape, elements: u32, v: Value) -> Value {
        if shape.lanes() == elements {
            v
        } else {
            self.b.vec1(VecOp::Unzip, shape, elements, v)
        }
    }

    /// The halves of `v` to two D registers.
    fn set_halves(&mut self, low: u8, high: u8, v: Value) {
        if low & 1 == 0 && high == low + 1 {
            self.b.set_v(low, true, v);
            return;
        }
        let upper = self.b.vec1(VecOp::High, bits(true), 0, v);
        self.b.set_v(low, false, v);
        self.b.set_v(high, false, upper);
    }

    /// VST1 to VST4 (multiple structures).
    pub(super) fn store_structures(&mut self, s: &Structures) {
        let base = self.simd_base(&s.addr);
        let shape = Shape::new(s.size, true, false);
        match s.elements {
            1 => self.store_registers(base, s.d, s.groups),
            2 if s.groups == 1 => {
                let (a, b) = (self.b.get_v(s.d, false), self.b.get_v(s.d + s.inc, false));
                let v = self.b.vec2(VecOp::ZipLo, shape, 0, a, b);
                self.b.store_v(true, base, 0, v);
            }
            2 => {
                let (a, b) = (self.two_registers(s.d), self.two_registers(s.d + s.inc));
                for (op, disp) in [(VecOp::ZipLo, 0), (VecOp::ZipHi, 16)] {
                    let v = self.b.vec2(op, shape, 0, a, b);
                    self.b.store_v(true, base, disp, v);
                }
            }
            3 => {
                let [a, b, c] = [0, 1, 2].map(|e| self.b.get_v(s.d + e * s.inc, false));
                let v = self.b.vec3(VecOp::Interleave3, shape, 0, a, b, c);
                self.b.store_v(true, base, 0, v);
                let v = self
                    .b
                    .vec3(VecOp::Interleave3, Shape::new(s.size, false, false), 1, a, b, c);
                self.b.store_v(false, base, 16, v);
            }
            _ => {
                let [a, b, c, d] = [0, 1, 2, 3].map(|e| self.b.get_v(s.d + e * s.inc, false));
                let even = self.b.vec2(VecOp::ZipLo, shape, 0, a, c);
                let odd = self.b.vec2(VecOp::ZipLo, shape, 0, b, d);
                for (op, disp) in [(VecOp::ZipLo, 0), (VecOp::ZipHi, 16)] {
                    let v = self.b.vec2(op, shape, 0, even, odd);
                    self.b.store_v(true, base, disp, v);
                }
            }
        }
        self.simd_post(&s.addr, base);
    }

    fn store_registers(&mut self, base: Value, first: u8, count: u8) {
        let mut r = first;
        while r < first + count {
            let q = r & 1 == 0 && r + 1 < first + count;
            let v = self.b.get_v(r, q);
            self.b.store_v(q, base, 8 * u32::from(r - first), v);
            r += if q { 2 } else { 1 };
        }
    }

    /// D`d` and the next one as one value.
    fn two_registers(&mut self, d: u8) -> Value {
        if d & 1 == 0 {
            return self.b.get_v(d, true);
        }
        let (low, high) = (self.b.get_v(d, false), self.b.get_v(d + 1, false));
        self.b.vec2(VecOp::Concat, bits(true), 0, low, high)
    }

    /// VLD1 to VLD4 (single structure to one lane).
    pub(super) fn load_lane(&mut self, l: &Lane) {
        let base = self.simd_base(&l.addr);
        let registers = (0..l.elements).map(|e| l.d + e * l.inc);
        // Elements that are in one Q register go to it in the same way.
        let halves = |d: u8| registers.clone().any(|other| other == d ^ 1);
        // Values to come, by their first D register.
        let mut loaded: Vec<(u8, bool, Value)> = Vec::with_capacity(4);
        for (e, d) in (0u32..).zip(registers.clone()) {
            let (old, lane, q) = if halves(d) {
                (self.b.get_v(d, false), l.index, false)
            } else {
                self.b.lane(d, l.index, l.size)
            };
            let first = if q { d & !1 } else { d };
            let shape = Shape::new(l.size, q, true);
            let v = self.b.load_lane(shape, base, e << l.size, old, lane);
            loaded.push((first, q, v));
        }
        for (d, q, v) in loaded {
            self.b.set_v(d, q, v);
        }
        self.simd_post(&l.addr, base);
    }

    /// VST1 to VST4 (single structure from one lane).
    pub(super) fn store_lane(&mut self, l: &Lane) {
        let base = self.simd_base(&l.addr);
        for e in 0..l.elements {
            let (v, lane, q) = self.b.lane(l.d + e * l.inc, l.index, l.size);
            let shape = Shape::new(l.size, q, true);
            self.b.store_lane(shape, base, u32::from(e) << l.size, v, lane);
        }
        self.simd_post(&l.addr, base);
    }

    /// VLD1 to VLD4 (single structure to all lanes).
    pub(super) fn load_all_lanes(
        &mut self,
        elements: u8,
        regs: u8,
        inc: u8,
        size: u8,
        d: u8,
        addr: &SimdAddress,
    ) {
        let base = self.simd_base(addr);
        let both = regs == 2;
        let mut loaded = [Value::NONE; 4];
        for (e, v) in (0..elements).zip(&mut loaded) {
            *v = self
                .b
                .load_dup(Shape::new(size, both, true), base, u32::from(e) << size);
        }
        for (e, v) in (0..elements).zip(loaded) {
            let d = d + e * inc;
            if both && d & 1 == 0 {
                self.b.set_v(d, true, v);
            } else {
                self.b.set_v(d, false, v);
                if both {
                    self.b.set_v(d + 1, false, v);
                }
            }
        }
        self.simd_post(addr, base);
    }
}
