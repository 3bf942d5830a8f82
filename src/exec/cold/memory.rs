//! Loads and stores. An access that fails leaves the instruction to translated code, which fails as it should.

use super::step::{Flow, Stepper};
use crate::cpu::model::Features;
use crate::cpu::state::NO_EXCLUSIVE;
use crate::isa::insn::{Address, Index, MemSize, Multi, Offset, Reg, Vfp};
use crate::mem::{self, GuestAddr};

/// A word of guest memory.
fn word(at: u32) -> Option<u32> {
    mem::space().read(GuestAddr(at)).ok()
}

/// Where an access goes, and what the base register becomes.
struct Place {
    at: u32,
    new_base: Option<u32>,
}

impl Stepper<'_> {
    fn place(&self, addr: &Address) -> Option<Place> {
        let base = match addr.base {
            Reg::PC => self.pc_read() & !3,
            rn => self.reg(rn),
        };
        let with_offset = match addr.offset {
            Offset::Imm(n) => base.wrapping_add_signed(n),
            Offset::Reg {
                rm,
                shift,
                amount,
                add,
            } => {
                let m = self.shift(self.reg(rm), shift, amount.into());
                if add {
                    base.wrapping_add(m)
                } else {
                    base.wrapping_sub(m)
                }
            }
        };
        let (at, new_base) = match addr.index {
            Index::Offset => (with_offset, None),
            Index::Pre => (with_offset, Some(with_offset)),
            Index::Post => (base, Some(with_offset)),
        };
        let valid = new_base.is_none() || addr.base != Reg::PC;
        valid.then_some(Place { at, new_base })
    }

    fn write_back(&mut self, addr: &Address, place: &Place) -> Option<()> {
        match place.new_base {
            Some(base) => self.set(addr.base, base),
            None => Some(()),
        }
    }

    /// LoadWritePC.
    fn load_write_pc(&self, value: u32) -> Flow {
        if self.features.contains(Features::V5T) {
            Flow::Branch(value)
        } else {
            self.branch_write_pc(value)
        }
    }

    pub fn load(&mut self, size: MemSize, signed: bool, rt: Reg, addr: &Address) -> Option<Flow> {
        let place = self.place(addr)?;
        let at = GuestAddr(place.at);
        let space = mem::space();
        let value = match (size, signed) {
            (MemSize::Byte, false) => u32::from(space.read::<u8>(at).ok()?),
            (MemSize::Byte, true) => space.read::<i8>(at).ok()? as u32,
            (MemSize::Half, false) => u32::from(space.read::<u16>(at).ok()?),
            (MemSize::Half, true) => space.read::<i16>(at).ok()? as u32,
            (MemSize::Word | MemSize::Double, _) => word(place.at)?,
        };
        self.write_back(addr, &place)?;
        if rt == Reg::PC {
            return Some(self.load_write_pc(value));
        }
        self.set(rt, value)?;
        Some(Flow::Next)
    }

    pub fn store(&mut self, size: MemSize, rt: Reg, addr: &Address) -> Option<Flow> {
        let place = self.place(addr)?;
        let at = GuestAddr(place.at);
        let value = self.reg(rt);
        let space = mem::space();
        match size {
            MemSize::Byte => space.write(at, &(value as u8)),
            MemSize::Half => space.write(at, &(value as u16)),
            MemSize::Word | MemSize::Double => space.write(at, &value),
        }
        .ok()?;
        self.write_back(addr, &place)?;
        Some(Flow::Next)
    }

    pub fn load_dual(&mut self, rt: Reg, rt2: Reg, addr: &Address) -> Option<Flow> {
        if rt == Reg::PC || rt2 == Reg::PC {
            return None;
        }
        let place = self.place(addr)?;
        let value: u64 = mem::space().read(GuestAddr(place.at)).ok()?;
        self.write_back(addr, &place)?;
        self.set(rt, value as u32)?;
        self.set(rt2, (value >> 32) as u32)?;
        Some(Flow::Next)
    }

    pub fn store_dual(&mut self, rt: Reg, rt2: Reg, addr: &Address) -> Option<Flow> {
        let place = self.place(addr)?;
        let value = u64::from(self.reg(rt2)) << 32 | u64::from(self.reg(rt));
        mem::space().write(GuestAddr(place.at), &value).ok()?;
        self.write_back(addr, &place)?;
        Some(Flow::Next)
    }

    /// The lowest address of a multiple transfer, and what writeback makes of the base.
    fn multiple_span(&self, rn: Reg, regs: u16, mode: Multi) -> (u32, u32) {
        let (base, bytes) = (self.reg(rn), 4 * regs.count_ones());
        match mode {
            Multi::Ia => (base, base.wrapping_add(bytes)),
            Multi::Ib => (base.wrapping_add(4), base.wrapping_add(bytes)),
            Multi::Da => (base.wrapping_sub(bytes).wrapping_add(4), base.wrapping_sub(bytes)),
            Multi::Db => (base.wrapping_sub(bytes), base.wrapping_sub(bytes)),
        }
    }

    pub fn load_multiple(&mut self, rn: Reg, regs: u16, mode: Multi, writeback: bool) -> Option<Flow> {
        if rn == Reg::PC {
            return None;
        }
        let (mut at, new_base) = self.multiple_span(rn, regs, mode);
        let mut loaded = self.state.r;
        if writeback {
            loaded[usize::from(rn.0 & 15)] = new_base;
        }
        for r in (0..16).filter(|r| regs >> r & 1 == 1) {
            loaded[r] = word(at)?;
            at = at.wrapping_add(4);
        }
        self.state.r[..15].copy_from_slice(&loaded[..15]);
        Some(match regs >> 15 {
            1 => self.load_write_pc(loaded[15]),
            _ => Flow::Next,
        })
    }

    pub fn store_multiple(&mut self, rn: Reg, regs: u16, mode: Multi, writeback: bool) -> Option<Flow> {
        if rn == Reg::PC {
            return None;
        }
        let (mut at, new_base) = self.multiple_span(rn, regs, mode);
        for r in (0..16).filter(|r| regs >> r & 1 == 1) {
            mem::space().write(GuestAddr(at), &self.reg(Reg(r))).ok()?;
            at = at.wrapping_add(4);
        }
        if writeback {
            self.set(rn, new_base)?;
        }
        Some(Flow::Next)
    }

    /// Aligned words only, which are what locks consist of.
    fn exclusive_place(&self, size: MemSize, rn: Reg, imm: u16) -> Option<u32> {
        let at = self.reg(rn).wrapping_add(imm.into());
        (size == MemSize::Word && at % 4 == 0).then_some(at)
    }

    pub fn load_exclusive(&mut self, size: MemSize, rt: Reg, rn: Reg, imm: u16) -> Option<Flow> {
        let at = self.exclusive_place(size, rn, imm)?;
        let value = word(at)?;
        self.set(rt, value)?;
        self.state.ex_addr = at.into();
        self.state.ex_val = value.into();
        Some(Flow::Next)
    }

    pub fn store_exclusive(&mut self, size: MemSize, rd: Reg, rt: Reg, rn: Reg, imm: u16) -> Option<Flow> {
        let at = self.exclusive_place(size, rn, imm)?;
        if rd == Reg::PC {
            return None;
        }
        let (expected, new) = (self.state.ex_val as u32, self.reg(rt));
        let stored = self.state.ex_addr == u64::from(at)
            && mem::space().cmpxchg_u32(GuestAddr(at), expected, new).ok()? == expected;
        self.state.ex_addr = NO_EXCLUSIVE;
        self.set(rd, u32::from(!stored))?;
        Some(Flow::Next)
    }

    /// TBB and TBH.
    pub fn table_branch(&self, half: bool, rn: Reg, rm: Reg) -> Option<Flow> {
        let (base, index) = (self.reg(rn), self.reg(rm));
        let space = mem::space();
        let entry = match half {
            true => u32::from(space.read::<u16>(GuestAddr(base.wrapping_add(index << 1))).ok()?),
            false => u32::from(space.read::<u8>(GuestAddr(base.wrapping_add(index))).ok()?),
        };
        Some(Flow::Branch((self.pc_read() | 1).wrapping_add(entry << 1)))
    }

    /// Loads and stores of floating-point registers; what is computed with them is left to translated code.
    pub fn transfer_fp(&mut self, vfp: &Vfp) -> Option<Flow> {
        let (load, double, d, count, rn, at, new_base) = match *vfp {
            Vfp::Load {
                double,
                d,
                rn,
                offset,
            } => (true, double, d, 1, rn, offset, None),
            Vfp::Store {
                double,
                d,
                rn,
                offset,
            } => (false, double, d, 1, rn, offset, None),
            Vfp::LoadMultiple {
                double,
                d,
                count,
                words,
                rn,
                decrement,
                writeback,
            }
            | Vfp::StoreMultiple {
                double,
                d,
                count,
                words,
                rn,
                decrement,
                writeback,
            } => {
                let load = matches!(vfp, Vfp::LoadMultiple { .. });
                let span = 4 * i32::from(words);
                let by = if decrement { -span } else { span };
                let at = if decrement { -span } else { 0 };
                (load, double, d, count, rn, at, writeback.then_some(by))
            }
            _ => return None,
        };
        let base = match rn {
            Reg::PC => self.pc_read() & !3,
            rn => self.reg(rn),
        };
        if new_base.is_some() && rn == Reg::PC {
            return None;
        }
        let mut at = base.wrapping_add_signed(at);
        for r in (0..count).map(|i| usize::from((d + i) & 31)) {
            match (load, double) {
                (true, true) => self.state.d[r] = mem::space().read(GuestAddr(at)).ok()?,
                (true, false) => self.state.set_s(r, word(at)?),
                (false, true) => mem::space().write(GuestAddr(at), &self.state.d[r]).ok()?,
                (false, false) => mem::space().write(GuestAddr(at), &self.state.s(r)).ok()?,
            }
            at = at.wrapping_add(if double { 8 } else { 4 });
        }
        if let Some(by) = new_base {
            self.set(rn, base.wrapping_add_signed(by))?;
        }
        Some(Flow::Next)
    }
}
