//! Single and dual loads and stores, and what an unaligned address means.
//!
//! Alignment, chosen per access (the guest sees what a program sees on ARM Linux):
//! - LDR, STR, LDRH, LDRSH, STRH: any alignment, as ARMv6 and later do with SCTLR.U. For ARMv4 and ARMv5 models the
//!   choice is the same (QEMU's too, and the kernel's with `/proc/cpu/alignment` 2); real cores of that age rotate the
//!   word when nothing fixes it up, and programs that rely on the rotation are not served.
//! - LDRD, STRD, LDM, STM: any alignment: the architecture faults below word alignment, and the kernel's fixup
//!   (arch/arm/mm/alignment.c) then makes it work. Doubleword accesses are one 64-bit host access, so they are
//!   single-copy atomic when aligned, as the Large Physical Address Extension promises.
//! - VLDR, VSTR, VLDM, VSTM: any alignment; the kernel does not fix these up (SIGBUS there below word alignment).
//! - exclusives, SWP, load-acquire and store-release: SIGBUS unless naturally aligned.

use super::{Flow, Lifter};
use crate::ir::ops::{Flags, Op, Value};
use crate::isa::insn::{Address, Index, MemSize, Offset, Reg, Shift};

/// Where an access goes, in the form the memory operations take.
pub(crate) struct Place {
    pub base: Value,
    pub index: Value,
    pub shift: u8,
    pub disp: i32,
    writeback: Writeback,
}

/// The value that goes to the base register after the access.
enum Writeback {
    None,
    /// The base plus this.
    Add(i32),
    /// The address of the access.
    Value(Value),
    /// The base plus or minus a register offset.
    Register(Offset),
}

impl Lifter<'_> {
    /// base ± the register offset, as one value.
    fn offset_address(&mut self, base: Value, offset: Offset) -> Value {
        match offset {
            Offset::Imm(n) => self.add_const(base, n as u32),
            Offset::Reg {
                rm,
                shift,
                amount,
                add,
            } => {
                let m = self.reg(rm);
                let m = if shift == Shift::Lsl && amount == 0 {
                    m
                } else {
                    self.shift_imm(m, shift, amount, Flags::NONE)
                };
                self.b.op2(if add { Op::Add } else { Op::Sub }, base, m)
            }
        }
    }

    pub fn place(&mut self, addr: &Address) -> Place {
        let plain = |base, disp, writeback| Place {
            base,
            index: Value::NONE,
            shift: 0,
            disp,
            writeback,
        };
        if addr.base == Reg::PC {
            let pc = self.pc_aligned();
            if let Offset::Imm(n) = addr.offset {
                let base = self.b.iconst(pc.wrapping_add_signed(n));
                return plain(base, 0, Writeback::None);
            }
        }
        let base = if addr.base == Reg::PC {
            let pc = self.pc_aligned();
            self.b.iconst(pc)
        } else {
            self.b.get_reg(addr.base.0)
        };
        match (addr.offset, addr.index) {
            (Offset::Imm(n), Index::Offset) => plain(base, n, Writeback::None),
            (Offset::Imm(n), Index::Pre) => plain(base, n, Writeback::Add(n)),
            (Offset::Imm(n), Index::Post) => plain(base, 0, Writeback::Add(n)),
            (
                Offset::Reg {
                    rm,
                    shift: Shift::Lsl,
                    amount: amount @ 0..=3,
                    add: true,
                },
                Index::Offset,
            ) => Place {
                base,
                index: self.reg(rm),
                shift: amount,
                disp: 0,
                writeback: Writeback::None,
            },
            (offset, Index::Offset) => {
                let at = self.offset_address(base, offset);
                plain(at, 0, Writeback::None)
            }
            (offset, Index::Pre) => {
                let at = self.offset_address(base, offset);
                plain(at, 0, Writeback::Value(at))
            }
            (offset, Index::Post) => plain(base, 0, Writeback::Register(offset)),
        }
    }

    /// Writes the base register back, after the access.
    fn write_back(&mut self, rn: Reg, place: &Place) {
        let v = match place.writeback {
            Writeback::None => return,
            Writeback::Add(n) => self.add_const(place.base, n as u32),
            Writeback::Value(v) => v,
            Writeback::Register(offset) => self.offset_address(place.base, offset),
        };
        self.set(rn, v);
    }

    fn load_at(&mut self, op: Op, p: &Place) -> Value {
        self.b.load(op, p.base, p.index, p.shift, p.disp)
    }

    fn store_at(&mut self, op: Op, p: &Place, v: Value) {
        self.b.store(op, p.base, p.index, p.shift, p.disp, v);
    }

    pub fn load(&mut self, size: MemSize, signed: bool, rt: Reg, addr: &Address) -> Flow {
        let op = match (size, signed) {
            (MemSize::Byte, false) => Op::Load8,
            (MemSize::Byte, true) => Op::LoadS8,
            (MemSize::Half, false) => Op::Load16,
            (MemSize::Half, true) => Op::LoadS16,
            (MemSize::Word | MemSize::Double, _) => Op::Load32,
        };
        let place = self.place(addr);
        let v = self.load_at(op, &place);
        self.write_back(addr.base, &place);
        if rt == Reg::PC {
            let pops = addr.base == Reg::SP && addr.index == Index::Post && addr.offset == Offset::Imm(4);
            return self.load_write_pc(v, pops);
        }
        self.set(rt, v);
        Flow::Next
    }

    pub fn store(&mut self, size: MemSize, rt: Reg, addr: &Address) -> Flow {
        let op = match size {
            MemSize::Byte => Op::Store8,
            MemSize::Half => Op::Store16,
            MemSize::Word | MemSize::Double => Op::Store32,
        };
        let place = self.place(addr);
        let v = self.reg(rt);
        self.store_at(op, &place, v);
        self.write_back(addr.base, &place);
        Flow::Next
    }

    pub fn load_dual(&mut self, rt: Reg, rt2: Reg, addr: &Address) -> Flow {
        let place = self.place(addr);
        let v = self.load_at(Op::Load64, &place);
        self.write_back(addr.base, &place);
        let lo = self.b.op1(Op::Lo, v);
        let hi = self.b.op1(Op::Hi, v);
        self.set(rt, lo);
        self.set(rt2, hi);
        Flow::Next
    }

    pub fn store_dual(&mut self, rt: Reg, rt2: Reg, addr: &Address) -> Flow {
        let place = self.place(addr);
        let lo = self.reg(rt);
        let hi = self.reg(rt2);
        let v = self.b.op2(Op::Concat, lo, hi);
        self.store_at(Op::Store64, &place, v);
        self.write_back(addr.base, &place);
        Flow::Next
    }
}
