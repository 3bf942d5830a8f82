//! Control flow for generated sequences: forward branches, loops, IT blocks, calls and returns, changes of state, table
//! branches, code that changes itself, exclusives.

use super::encode::{Branch, halfwords};
use super::exclude;
use super::generate::{Generator, Plan, instructions};
use super::rows::{Role, any};
use super::sequence::{Fix, Item, Sequence};
use super::values::{one_in, pick};
use emu::cpu::model::Features;
use emu::isa::generate::Rng;
use emu::isa::insn::Decoded;

/// A sequence being built; fixes name labels until it is finished.
pub struct Builder<'a> {
    generator: &'a Generator<'a>,
    thumb: bool,
    items: Vec<Item>,
    /// Item that each label stands before.
    labels: Vec<u16>,
    /// Subroutines to be added: label, state.
    pending: Vec<(u16, bool)>,
    /// Literals to be added: label, contents.
    literals: Vec<(u16, Literal)>,
    /// Halfwords so far, and those that the end will take.
    size: usize,
    /// Without it, constructs in T32 state have 16-bit instructions, BL and BLX only.
    thumb2: bool,
    /// Register for addresses of labels, and the loop counter; without Thumb-2 ones that 16 bits can name, which
    /// `Plan` keeps free.
    temp: u8,
    counter: u8,
}

enum Literal {
    Word(u32),
    /// Address of a label.
    Pointer(u16),
}

const NEW: u16 = u16::MAX;
/// Halfwords that a sequence may have before its end is added.
const ROOM: usize = 84;

impl<'a> Builder<'a> {
    pub fn new(generator: &'a Generator<'a>, thumb: bool) -> Builder<'a> {
        let thumb2 = generator.thumb2();
        let (temp, counter) = if thumb2 { (11, 12) } else { (7, 6) };
        Builder {
            thumb2,
            temp,
            counter,
            generator,
            thumb,
            items: Vec::new(),
            labels: Vec::new(),
            pending: Vec::new(),
            literals: Vec::new(),
            size: 0,
        }
    }

    fn label(&mut self) -> u16 {
        self.labels.push(NEW);
        self.labels.len() as u16 - 1
    }

    /// The label stands before what is pushed next.
    fn place(&mut self, label: u16) {
        self.labels[label as usize] = self.items.len() as u16;
    }

    fn push(&mut self, item: Item) {
        self.size += item.code.len();
        self.items.push(item);
    }

    /// An instruction by its A32 and T32 encodings.
    fn fixed(&mut self, a32: u32, t32: u32) {
        let item = match (self.thumb, t32 >> 16) {
            (false, _) => Item::a32(a32),
            (true, 0) => Item::t32(vec![t32 as u16]),
            (true, high) => Item::t32(vec![high as u16, t32 as u16]),
        };
        self.push(item);
    }

    fn to(&mut self, fix: Fix, halves: usize, label: u16) {
        let item = if self.thumb {
            Item::t32(vec![0; halves])
        } else {
            Item::a32(0)
        };
        self.push(item.fixed(fix, label));
    }

    fn branch(&mut self, branch: Branch, label: u16) {
        self.to(Fix::Branch(branch), halfwords(branch, self.thumb), label);
    }

    /// A branch of a width that is there.
    fn jump(&mut self, rng: &mut Rng, cond: u8, label: u16) {
        let wide = one_in(rng, 2) && self.thumb2;
        self.branch(Branch::B { cond, wide }, label);
    }

    /// `register` = address of the label, T bit included.
    fn address(&mut self, register: u8, label: u16) {
        if self.thumb && !self.thumb2 {
            return self.load_pointer(register, label);
        }
        self.to(Fix::Address { rd: register }, 2, label);
        self.to(Fix::State { rd: register }, 2, label);
    }

    fn one(&mut self, rng: &mut Rng, plan: &Plan) {
        let (item, _) = self.generator.any_item(rng, plan, self.thumb, false);
        self.push(item);
    }

    /// An IT block.
    fn it_block(&mut self, rng: &mut Rng, plan: &Plan) {
        let (mask, cond) = (1 + rng.below(15) as u16, rng.below(14) as u16);
        let mut code = vec![0xbf00 | cond << 4 | mask];
        let mut left = 4 - mask.trailing_zeros() as usize;
        while left > 0 {
            let (item, _) = self.generator.any_item(rng, plan, true, true);
            let rows = self.generator.rows;
            let decoded = instructions(&item, &item.code, rows);
            let precedes = |d: &Decoded| exclude::may_precede_in_it(&d.insn, rows.features);
            let never = |d: &Decoded| exclude::never_in_it(&d.insn);
            if decoded.len() > left || decoded.iter().any(|(_, d)| never(d) || left > 1 && !precedes(d)) {
                continue;
            }
            // Of two that belong together, both are executed or neither is: then or else is a bit each of the mask.
            let place = 4 - mask.trailing_zeros() as usize - left;
            let polarity = |i: usize| if i == 0 { cond & 1 } else { mask >> (4 - i) & 1 };
            if (1..decoded.len()).any(|i| polarity(place + i) != polarity(place)) {
                continue;
            }
            left -= decoded.len();
            code.extend(item.code);
        }
        self.push(Item::t32(code));
    }

    /// `count` instructions, one after the other.
    pub fn run(&mut self, rng: &mut Rng, plan: &Plan, count: u32) {
        for _ in 0..count {
            if self.size >= ROOM {
                break;
            }
            if self.thumb && self.thumb2 && one_in(rng, 8) {
                self.it_block(rng, plan);
            } else {
                self.one(rng, plan);
            }
        }
    }

    fn short_run(&mut self, rng: &mut Rng, plan: &Plan) {
        let count = 1 + rng.below(4).min(rng.below(4));
        self.run(rng, plan, count);
    }

    /// One to five sections, each with a construct.
    pub fn sections(&mut self, rng: &mut Rng, plan: &mut Plan) {
        // Jumps to an address that is left there would go round in circles.
        plan.reserved |= 1 << self.temp;
        // QEMU translates the whole page again when code in it changes: a few of these take as long as all else.
        plan.modifies = one_in(rng, 60);
        if plan.modifies {
            self.self_modifying(rng, plan);
        }
        let most = if one_in(rng, 8) { 5 } else { 2 };
        for _ in 0..1 + rng.below(most) {
            if self.size >= ROOM - 20 {
                break;
            }
            match rng.below(12) {
                0 | 1 => self.forward(rng, plan),
                2 | 3 => self.counted(rng, plan),
                4 | 5 => {
                    plan.reserved |= 1 << 14;
                    self.call(rng, plan);
                }
                6 => self.indirect(rng, plan),
                7 => self.change_state(rng, plan),
                8 => self.table(rng, plan),
                9 => self.exclusive(rng, plan),
                10 if plan.modifies => self.self_modifying(rng, plan),
                _ => self.short_run(rng, plan),
            }
        }
    }

    /// A branch over a few instructions.
    fn forward(&mut self, rng: &mut Rng, plan: &Plan) {
        let label = self.label();
        let kind = rng.below(4);
        if one_in(rng, 2) {
            self.one(rng, plan);
        }
        match kind {
            0 if self.thumb && self.thumb2 => {
                let nonzero = one_in(rng, 2);
                let rn = pick(rng, &plan.data) & 7;
                self.branch(Branch::Cbz { nonzero, rn }, label);
            }
            1 => self.jump(rng, 14, label),
            _ => {
                let cond = rng.below(14) as u8;
                self.jump(rng, cond, label);
            }
        }
        self.short_run(rng, plan);
        self.place(label);
        self.one(rng, plan);
    }

    /// A loop of a few rounds.
    fn counted(&mut self, rng: &mut Rng, plan: &mut Plan) {
        let (start, rounds) = (self.label(), if one_in(rng, 8) { 7 } else { 2 + rng.below(2) });
        self.count(rounds);
        self.place(start);
        plan.reserved |= 1 << self.counter;
        self.short_run(rng, plan);
        if one_in(rng, 3) {
            self.forward(rng, plan);
        }
        plan.reserved &= !(1 << self.counter);
        self.round(rng, start);
    }

    /// The counter's first value.
    fn count(&mut self, rounds: u32) {
        let counter = u32::from(self.counter);
        let t32 = match self.thumb2 {
            true => 0xf04f_0000 | counter << 8,
            false => 0x2000 | counter << 8,
        };
        self.fixed(0xe3a0_0000 | counter << 12 | rounds, t32 | rounds);
    }

    /// The end of a loop: counts down and goes to `start`.
    fn round(&mut self, rng: &mut Rng, start: u16) {
        let counter = u32::from(self.counter);
        let t32 = match self.thumb2 {
            true => 0xf1b0_0001 | counter << 16 | counter << 8,
            false => 0x3801 | counter << 8,
        };
        self.fixed(0xe250_0001 | counter << 16 | counter << 12, t32);
        self.jump(rng, 1, start);
    }

    /// A call of a subroutine that is added at the end.
    fn call(&mut self, rng: &mut Rng, plan: &Plan) {
        let label = self.label();
        let other = one_in(rng, 3);
        self.pending.push((label, self.thumb ^ other));
        match (rng.below(3), other) {
            (0, _) => {
                let temp = self.temp;
                self.address(temp, label);
                self.fixed(0xe12f_ff30 | u32::from(temp), 0x4780 | u32::from(temp) << 3);
            }
            (_, true) => self.branch(Branch::Blx, label),
            (_, false) => {
                let cond = if self.thumb || one_in(rng, 2) {
                    14
                } else {
                    rng.below(14) as u8
                };
                self.branch(Branch::Bl { cond }, label);
            }
        }
        self.one(rng, plan);
    }

    /// A jump forwards by register, literal or stack.
    fn indirect(&mut self, rng: &mut Rng, plan: &Plan) {
        let label = self.label();
        let temp = self.temp;
        match rng.below(4) {
            0 => {
                self.address(temp, label);
                // MOV pc, temp: no change of state.
                self.fixed(0xe1a0_f000 | u32::from(temp), 0x4687 | u32::from(temp) << 3);
            }
            1 if !self.thumb || self.thumb2 => self.load_pointer(15, label),
            2 => {
                self.load_pointer(temp, label);
                // PUSH {temp}; POP {pc}.
                let t32 = if self.thumb2 {
                    0xf84d_bd04
                } else {
                    0xb400 | 1 << temp
                };
                self.fixed(0xe52d_0004 | u32::from(temp) << 12, t32);
                self.fixed(0xe49d_f004, 0xbd00);
            }
            _ => {
                self.address(temp, label);
                self.branch_exchange(temp);
            }
        }
        self.short_run(rng, plan);
        self.place(label);
        self.one(rng, plan);
    }

    /// BX `register`.
    fn branch_exchange(&mut self, register: u8) {
        let register = u32::from(register);
        self.fixed(0xe12f_ff10 | register, 0x4700 | register << 3);
    }

    /// `register` = the word at a literal that points to the label.
    fn load_pointer(&mut self, register: u8, label: u16) {
        let literal = self.label();
        self.literals.push((literal, Literal::Pointer(label)));
        let halves = if self.thumb2 { 2 } else { 1 };
        self.to(Fix::Literal { rt: register }, halves, literal);
    }

    /// On in the other instruction set.
    fn change_state(&mut self, rng: &mut Rng, plan: &Plan) {
        let label = self.label();
        let temp = self.temp;
        match rng.below(3) {
            0 if !self.thumb || self.thumb2 => self.load_pointer(15, label),
            1 => {
                self.load_pointer(temp, label);
                self.branch_exchange(temp);
            }
            _ => {
                self.address(temp, label);
                self.branch_exchange(temp);
            }
        }
        self.thumb = !self.thumb;
        self.place(label);
        let mut item = self.generator.any_item(rng, plan, self.thumb, false).0;
        item.unreachable_before = true;
        self.push(item);
        self.short_run(rng, plan);
    }

    /// TBB or TBH, with its table behind it.
    fn table(&mut self, rng: &mut Rng, plan: &Plan) {
        if !self.thumb || !self.thumb2 {
            return self.forward(rng, plan);
        }
        let half = one_in(rng, 2);
        let entries = if half { 2 } else { 4 };
        // AND r11, rN, #1 or #3.
        let n = u32::from(pick(rng, &plan.data));
        self.fixed(0, 0xf000_0b00 | n << 16 | (entries - 1));
        self.fixed(0, if half { 0xe8df_f01b } else { 0xe8df_f00b });
        let table = self.items.len() as u16;
        let labels = [self.label(), self.label()];
        for label in labels {
            let mut item = Item::t32(vec![0]).fixed(Fix::TableEntry { half, table }, label);
            item.data = true;
            item.pinned = true;
            self.push(item);
        }
        for label in labels {
            self.place(label);
            self.short_run(rng, plan);
        }
        self.one(rng, plan);
    }

    /// A load exclusive, perhaps something else, and a store exclusive of the same size.
    fn exclusive(&mut self, rng: &mut Rng, plan: &mut Plan) {
        // There, the load exclusive succeeds and the store exclusive faults.
        plan.read_only |= one_in(rng, 4);
        let rows = self.generator.rows;
        let suffix = pick(rng, &["", "b", "h", "d"]);
        let names = [
            [format!("ldrex{suffix}"), format!("ldaex{suffix}")],
            [format!("strex{suffix}"), format!("stlex{suffix}")],
        ];
        let base = u32::from(plan.bases[0]);
        for (step, names) in names.iter().enumerate() {
            let found: Vec<u16> = (0..rows.all.len() as u16)
                .filter(|&i| {
                    let info = &rows.all[i as usize];
                    info.thumb == self.thumb && names.iter().any(|n| n == info.row.name)
                })
                .collect();
            if found.is_empty() {
                return self.one(rng, plan);
            }
            if step == 1 && one_in(rng, 2) {
                self.one(rng, plan);
            }
            let info = any(rng, rows, &found);
            for _ in 0..8 {
                let Some((mut item, _)) = self.generator.item_of(info, rng, plan, false) else {
                    continue;
                };
                let mut word = match self.thumb {
                    false => u32::from(item.code[0]) | u32::from(item.code[1]) << 16,
                    true => u32::from(item.code[0]) << 16 | u32::from(item.code[1]),
                };
                // The base is in the same place in all of them; LDREX and STREX of T32 have an offset.
                if info
                    .core
                    .iter()
                    .any(|(field, role)| *role == Role::Base && field.get(word) != base)
                {
                    for (field, role) in &info.core {
                        if *role == Role::Base {
                            word = field.set(word, base);
                        }
                    }
                }
                for field in &info.immediate {
                    word = field.set(word, 0);
                }
                let again = super::rows::decode(word, self.thumb, false, false, rows.features);
                if !again.is_ok_and(|d| d.row == info.index) {
                    continue;
                }
                item = Item::of(self.thumb, false, word);
                self.push(item);
                break;
            }
        }
    }

    /// A loop that replaces an instruction of its own by another one, flushes, and executes it.
    fn self_modifying(&mut self, rng: &mut Rng, plan: &mut Plan) {
        let (start, place) = (self.label(), self.label());
        // One instruction of 16 bits where there are no others.
        let halves = if self.thumb && !self.thumb2 { 1 } else { 2 };
        let plain = |builder: &Self, rng: &mut Rng, plan: &Plan| loop {
            let (item, index) = builder.generator.any_item(rng, plan, builder.thumb, false);
            let info = &builder.generator.rows.all[index as usize];
            if item.code.len() == halves && !info.accesses() && !info.row.name.starts_with('b') {
                break item;
            }
        };
        plan.reserved |= 1 << self.counter;
        let (old, new) = (plain(self, rng, plan), plain(self, rng, plan));
        plan.reserved &= !(1 << self.counter);
        let literal = self.label();
        let word = new
            .code
            .iter()
            .rev()
            .fold(0, |word, half| word << 16 | u32::from(*half));
        self.literals.push((literal, Literal::Word(word)));
        self.count(2);
        self.place(start);
        self.place(place);
        self.push(old);
        let narrow = halves == 1;
        self.to(Fix::Literal { rt: 1 }, halves, literal);
        if narrow {
            // SUBS r0, #1: without the T bit.
            self.load_pointer(0, place);
            self.fixed(0, 0x3801);
        } else {
            self.to(Fix::Address { rd: 0 }, 2, place);
        }
        // STR r1, [r0]; ADD r1, r0, #4; MOV r2, #0; MOV r7, #2; ORR r7, r7, #0xf0000; SVC 0 (cacheflush); MOV r1, #7, lest
        // the address be used; CLREX, which the kernel does on its way out of every call (restore_user_regs in
        // arch/arm/kernel/entry-header.S), as emu does, but not qemu-arm.
        let mut flush = if narrow {
            // STRH; MOVS r7, #15; LSLS r7, r7, #16; ADDS r7, #2.
            Item::t32(vec![
                0x8001, 0x1d01, 0x2200, 0x270f, 0x043f, 0x3702, 0xdf00, 0x2107,
            ])
        } else if self.thumb {
            Item::t32(vec![
                0x6001, 0x1d01, 0x2200, 0x2702, 0xf447, 0x2770, 0xdf00, 0x2107,
            ])
        } else {
            let words = [
                0xe580_1000u32,
                0xe280_1004,
                0xe3a0_2000,
                0xe3a0_7002,
                0xe387_780f,
                0xef00_0000,
                0xe3a0_1007,
            ];
            let mut item = Item::a32(0);
            item.code = words
                .iter()
                .flat_map(|w| [*w as u16, (*w >> 16) as u16])
                .collect();
            item
        };
        if self.generator.rows.features.contains(Features::V6K) && !narrow {
            let clrex: [u16; 2] = if self.thumb {
                [0xf3bf, 0x8f2f]
            } else {
                [0xf01f, 0xf57f]
            };
            flush.code.extend(clrex);
        }
        self.push(flush);
        self.round(rng, start);
    }

    /// Subroutines and literals, and the way out.
    pub fn finish(mut self, rng: &mut Rng, plan: &mut Plan) -> Sequence {
        self.push(Item::exit(self.thumb, self.thumb2));
        plan.reserved |= 1 << 14;
        for (label, thumb) in std::mem::take(&mut self.pending) {
            self.thumb = thumb;
            self.place(label);
            let (mut item, _) = self.generator.any_item(rng, plan, thumb, false);
            item.unreachable_before = true;
            // PUSH {lr}; ...; POP {pc}.
            let stacked = one_in(rng, 4);
            if stacked {
                self.fixed(0xe52d_e004, 0xb500);
            }
            self.push(item);
            match (stacked, one_in(rng, 2)) {
                (true, _) => self.fixed(0xe49d_f004, 0xbd00),
                // LDM sp!, MOV pc, lr and BX lr: of these MOV changes the state in A32 of ARMv7 only.
                (false, true) if !thumb && self.generator.rows.features.contains(Features::V7) => {
                    self.fixed(0xe1a0_f00e, 0)
                }
                _ => self.fixed(0xe12f_ff1e, 0x4770),
            }
        }
        plan.reserved = 0;
        for (label, literal) in std::mem::take(&mut self.literals) {
            self.place(label);
            self.push(match literal {
                Literal::Word(word) => Item::data(word),
                Literal::Pointer(to) => Item::data(0).fixed(Fix::Pointer, to),
            });
        }
        let mut items = self.items;
        for item in &mut items {
            if let Some((_, target)) = &mut item.fix {
                *target = self.labels[*target as usize];
            }
        }
        Sequence { items }
    }
}
