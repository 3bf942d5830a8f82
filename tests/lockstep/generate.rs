//! Random sequences from the decoder's tables, and the states they start from.

use super::compare::any_instructions;
use super::exclude;
use super::flow::Builder;
use super::layout::{ARENA, Batch, EVERYWHERE, Input, MODIFIES, STORES, VFP};
use super::rows::{Group, Memory, Role, RowInfo, Rows, any, decode};
use super::sequence::{Item, Layout, Sequence, slot_place};
use super::values::{self, Bits, Lanes, Pool, one_in, pick};
use emu::cpu::model::Features;
use emu::isa::generate::{Rng, encoding};
use emu::isa::insn::{Decoded, Insn, Reg, Vfp};
use emu::isa::pattern::Field;
use emu::lift::block::ends_block;

/// What a campaign draws from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Isa {
    A32,
    T32,
    Vfp,
    Simd,
    Mix,
}

/// Which rows sequences are made of.
pub struct Pools {
    /// By state: those that the campaign is about, and all others' worth having around them.
    focus: [Vec<u16>; 2],
    around: [Vec<u16>; 2],
    /// Of both, the accesses to memory.
    memory: [Vec<u16>; 2],
}

/// Registers of a sequence and what they are mostly used for.
pub struct Plan {
    pub bases: [u8; 3],
    pub index: [u8; 2],
    pub data: [u8; 5],
    /// Vector registers' four-bit fields.
    pub vector: [u8; 4],
    /// Addresses and their offsets are multiples of this.
    pub align: u32,
    /// Few accesses to memory are to fail: faults take more time than anything else.
    pub calm: bool,
    /// The first base is to point to the read-only page now and then.
    pub read_only: bool,
    /// Registers that instructions now may not name at all, a bit each.
    pub reserved: u16,
    /// The sequence changes its own code, which only the construct for that may do: no register is to point there.
    pub modifies: bool,
}

impl Plan {
    fn new(rng: &mut Rng, isa: Isa, thumb2: bool) -> Plan {
        let mut low = [0u8, 1, 2, 3, 4, 5, 6, 7];
        // The constructs want two of 16-bit instructions' registers where there are no others.
        for i in (1..if thumb2 { 8 } else { 6 }).rev() {
            low.swap(i, rng.below(i as u32 + 1) as usize);
        }
        let high = if one_in(rng, 2) {
            [8, 9, 10, 14]
        } else {
            [10, 8, 9, 14]
        };
        let even = |rng: &mut Rng| 2 * rng.below(8) as u8;
        Plan {
            bases: [low[0], low[1], high[0]],
            index: [low[2], high[1]],
            data: [low[3], low[4], low[5], high[2], high[3]],
            vector: [even(rng), even(rng), even(rng), rng.below(16) as u8],
            align: match isa {
                // Structures' loads and stores state alignments up to 32.
                Isa::Simd | Isa::Mix => pick(rng, &[8, 8, 8, 8, 16, 16, 16, 16, 16, 32, 32, 32, 32, 4, 2, 1]),
                _ => pick(rng, &[8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 4, 2, 1]),
            },
            calm: rng.below(16) != 0,
            read_only: false,
            reserved: 0,
            modifies: false,
        }
    }

    /// A register for a field of `width` bits.
    fn register(&self, rng: &mut Rng, role: Role, width: u32) -> u32 {
        let from: &[u8] = match (role, rng.below(100)) {
            (Role::Base, 0..85) => &self.bases,
            (Role::Base, 85..95) => &[13],
            (Role::Base, _) if self.calm => &self.bases,
            (Role::Index, 0..85) => &self.index,
            (Role::Index, _) if self.calm => &self.index,
            (Role::Data, 0..80) => &self.data,
            (Role::Data, 80..82) => &[15],
            // What is written there makes addresses of later instructions bad ones.
            (Role::Data, 82..97) if self.calm => &self.data,
            (Role::Data, 82..90) => &self.bases,
            (Role::Data, 90..94) => &self.index,
            _ => &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14],
        };
        for _ in 0..8 {
            let n = u32::from(pick(rng, from));
            if n >> width == 0 {
                return n;
            }
        }
        rng.below(1 << width.min(3))
    }
}

/// A sequence, and what is known of it before it runs.
pub struct Generated {
    pub sequence: Sequence,
    pub flags: u32,
    /// Every instruction, and data that may become one.
    pub insns: Vec<Insn>,
    /// Instructions that are certain to be reached if none before faults: offset, index in `Rows::all`, condition.
    pub certain: Vec<(u16, u16, u8)>,
}

pub struct Generator<'a> {
    pub rows: &'a Rows,
    pub isa: Isa,
    pools: Pools,
    pool: Pool,
}

impl<'a> Generator<'a> {
    /// The values that inputs are drawn from depend on `seed`.
    pub fn new(rows: &'a Rows, isa: Isa, seed: u64) -> Generator<'a> {
        let mut pools = Pools {
            focus: [Vec::new(), Vec::new()],
            around: [Vec::new(), Vec::new()],
            memory: [Vec::new(), Vec::new()],
        };
        for (place, info) in rows.all.iter().enumerate() {
            let (place, state) = (place as u16, usize::from(info.thumb));
            if info.branch || !Self::makes_any(info, rows) {
                continue;
            }
            let wanted = match isa {
                Isa::A32 => info.group == Group::Core && !info.thumb,
                Isa::T32 => info.group == Group::Core && info.thumb,
                Isa::Vfp => info.group == Group::Vfp,
                Isa::Simd => info.group == Group::Simd,
                Isa::Mix => true,
            };
            if wanted {
                pools.focus[state].push(place);
            }
            if wanted || info.group == Group::Core {
                pools.around[state].push(place);
                if info.accesses() {
                    pools.memory[state].push(place);
                }
            }
        }
        Generator {
            rows,
            isa,
            pools,
            pool: Pool::new(seed),
        }
    }

    /// Whether the exclusions leave anything of the row.
    fn makes_any(info: &RowInfo, rows: &Rows) -> bool {
        let mut rng = Rng(7);
        let plan = Plan::new(&mut rng, Isa::Mix, true);
        (0..20).any(|_| instruction(info, rows, &plan, &mut rng, false).is_some())
    }

    /// Rows that the campaign is to exercise: indices in `Rows::all`.
    pub fn focus(&self) -> impl Iterator<Item = u16> {
        self.pools.focus.iter().flatten().copied()
    }

    /// Whether the processor has 32-bit T32 instructions.
    pub fn thumb2(&self) -> bool {
        self.rows.features.contains(Features::V6T2)
    }

    /// The state a sequence starts in.
    pub fn state(&self, rng: &mut Rng) -> bool {
        match self.isa {
            Isa::A32 => false,
            Isa::T32 => true,
            _ => one_in(rng, 2),
        }
    }

    /// One instruction, mostly of the focus.
    pub fn any_item(&self, rng: &mut Rng, plan: &Plan, thumb: bool, in_it: bool) -> (Item, u16) {
        loop {
            let state = usize::from(thumb);
            let pool = match rng.below(10) {
                0..6 if !self.pools.focus[state].is_empty() => &self.pools.focus[state],
                6..8 => &self.pools.memory[state],
                _ => &self.pools.around[state],
            };
            let info = any(rng, self.rows, pool);
            // Most lead to a fault, or do nothing else.
            if info.row.name.starts_with('b') && info.core.len() == 1 && plan.calm && !one_in(rng, 4)
                || info.always_faults && !one_in(rng, 5)
            {
                continue;
            }
            if let Some((mut item, place)) = self.item_of(info, rng, plan, in_it)
                && (in_it || self.jumps_elsewhere(&mut item))
            {
                return (item, place);
            }
        }
    }

    /// An instruction of row `info`, with its index in `Rows::all`.
    pub fn item_of(&self, info: &RowInfo, rng: &mut Rng, plan: &Plan, in_it: bool) -> Option<(Item, u16)> {
        let word = instruction(info, self.rows, plan, rng, in_it)?;
        let place = self.rows.place(info.thumb, info.index)?;
        let mut item = Item::of(info.thumb, info.row.is_narrow(), word);
        if self.rows.features.contains(Features::SHORT_VECTORS)
            && let Ok(decoded) = decode(word, info.thumb, false, in_it, self.rows.features)
            && let Insn::Vfp(Vfp::Msr { rt, .. }) = decoded.insn
        {
            item.code = without_vectors(rt, word, info.thumb)?;
        }
        Some((item, place))
    }

    /// Puts BIC `rm`, `rm`, #0x80000000 before a jump to `rm`: one to the last 64 KiB ends qemu-arm (linux-user/arm's
    /// cpu_loop.c, do_kernel_trap), and results of arithmetic are often there. Whether there is an instruction for that.
    fn jumps_elsewhere(&self, item: &mut Item) -> bool {
        let decoded = instructions(item, &item.code, self.rows);
        let Some((
            _,
            Decoded {
                insn: Insn::Bx { rm } | Insn::Bxj { rm } | Insn::BlxReg { rm },
                cond,
                ..
            },
        )) = decoded.first()
        else {
            return true;
        };
        let n = u16::from(rm.0);
        if n == 13 || n == 15 {
            return true;
        }
        let bic = match (item.thumb, self.thumb2()) {
            (true, true) => [0xf020 | n, 0x4000 | n << 8],
            // LSLS rm, rm, #1; LSRS rm, rm, #1.
            (true, false) if n < 8 => [0x0040 | n << 3 | n, 0x0840 | n << 3 | n],
            (true, false) => return false,
            (false, _) => [0x0102 | n << 12, (*cond as u16) << 12 | 0x03c0 | n],
        };
        item.code.splice(0..0, bic);
        true
    }

    /// One instruction of a random row of the focus, or `None` where the row is hard to please.
    fn single(&self, rng: &mut Rng, plan: &Plan) -> Option<Sequence> {
        let mut thumb = self.state(rng);
        if self.pools.focus[usize::from(thumb)].is_empty() {
            thumb = !thumb;
        }
        let info = any(rng, self.rows, &self.pools.focus[usize::from(thumb)]);
        if info.always_faults && !one_in(rng, 3) {
            return None;
        }
        let (item, _) = self.item_of(info, rng, plan, false)?;
        Some(Sequence {
            items: vec![item, Item::exit(thumb, self.thumb2())],
        })
    }

    /// A sequence whose code will be slot `index` of a batch whose code is at `at`, laid out, and where that is.
    fn sequence(&self, rng: &mut Rng, at: u32, index: usize) -> (Sequence, Plan, Layout, u32) {
        loop {
            let mut plan = Plan::new(rng, self.isa, self.thumb2());
            // Short ones are most: translation takes the time, and it is neighbours that get along badly.
            let sequence = match rng.below(20) {
                0..9 => self.single(rng, &plan),
                9..17 => {
                    let mut builder = Builder::new(self, self.state(rng));
                    let count = match rng.below(32) {
                        0 => 2 + rng.below(39),
                        1..8 => 2 + rng.below(9),
                        _ => 2 + rng.below(3),
                    };
                    builder.run(rng, &plan, count);
                    Some(builder.finish(rng, &mut plan))
                }
                _ => {
                    let mut builder = Builder::new(self, self.state(rng));
                    builder.sections(rng, &mut plan);
                    Some(builder.finish(rng, &mut plan))
                }
            };
            let flags = if plan.modifies { MODIFIES } else { 0 };
            let base = ARENA + slot_place(at, index, flags);
            if let Some(sequence) = sequence
                && let Some(layout) = sequence.lay_out(base)
            {
                return (sequence, plan, layout, base);
            }
        }
    }

    /// Fills in slot `index` of a batch whose code is at `at`: code, flags, and the inputs that the slot is to have.
    pub fn fill(&self, rng: &mut Rng, batch: &mut Batch, at: u32, index: usize) -> Generated {
        let (sequence, plan, layout, base) = self.sequence(rng, at, index);
        let (mut certain, mut sure, mut accesses) = (Vec::new(), true, false);
        // What replaces an instruction is data as yet, and may be any.
        let mut flags = if plan.modifies { MODIFIES | VFP | STORES } else { 0 };
        let (mut insns, mut leaves) = (Vec::new(), false);
        for (item, at) in sequence.items.iter().zip(&layout.at) {
            if item.data {
                let word = layout.code[usize::from(*at) / 4];
                insns.extend(any_instructions(&[word], self.rows.features));
                continue;
            }
            for (offset, decoded) in instructions(item, &layout.halfwords(*at, item.code.len()), self.rows) {
                insns.push(decoded.insn);
                let Some(place) = self.rows.place(item.thumb, decoded.row) else {
                    continue;
                };
                let info = &self.rows.all[place as usize];
                if info.group != Group::Core {
                    flags |= VFP;
                }
                if info.memory == Memory::Store {
                    flags |= STORES;
                }
                accesses |= info.accesses();
                leaves |= !item.pinned && ends_block(&decoded.insn, self.rows.features);
                if sure {
                    certain.push((at + offset, place, decoded.cond as u8));
                }
                // The branch itself is reached; what follows may not be, or not once only.
                sure &= !info.branch && !may_leave(&decoded.insn);
            }
        }
        if one_in(rng, 16) {
            flags |= VFP | STORES;
        }
        // Faults leave it open what was written where (see `exclude::leaves_more`).
        if flags & STORES != 0 && (!plan.calm || plan.align < 8) {
            flags |= EVERYWHERE;
        }
        batch.slot[index].flags = flags;
        batch.code[index] = layout.code;
        let entry = base | u32::from(sequence.thumb());
        let vectors = match self.rows.features.contains(Features::SHORT_VECTORS) && one_in(rng, 6) {
            true => short_vectors(rng, &insns),
            false => 0,
        };
        let cases = batch.cases(index);
        let inputs = &mut batch.input[cases];
        self.inputs(rng, &plan, flags, accesses, entry, inputs);
        if vectors != 0 {
            inputs.iter_mut().for_each(|input| input.fpscr |= vectors);
        }
        if leaves {
            // A jump to the last 64 KiB aborts qemu-arm.
            let registers = inputs
                .iter_mut()
                .flat_map(|input| input.r[..15].iter_mut().enumerate());
            let registers =
                registers.filter(|(n, r)| **r >> 16 == 0xffff && !plan.index.contains(&(*n as u8)));
            registers.for_each(|(_, r)| *r &= 0x7fff_ffff);
        }
        Generated {
            sequence,
            flags,
            insns,
            certain,
        }
    }

    /// Random states.
    fn inputs(
        &self,
        rng: &mut Rng,
        plan: &Plan,
        flags: u32,
        accesses: bool,
        entry: u32,
        inputs: &mut [Input],
    ) {
        // Modes change now and then, not with every input: a translation is made for each.
        let mode = |rng: &mut Rng| if one_in(rng, 2) { 0 } else { rng.below(32) << 22 };
        let first = mode(rng);
        let modes = [first, if one_in(rng, 4) { mode(rng) } else { first }];
        let lanes = pick(rng, &Lanes::WEIGHED);
        // NaNs, and what becomes one, are traps on the host: not in every sequence.
        let vectors = self.pool.vectors(lanes, !one_in(rng, 3));
        let addresses = self.pool.addresses(plan.calm);
        let align = !(plan.align - 1);
        let mut in_use = 0u32;
        for n in plan.vector {
            in_use |= 3 << (2 * n) | 1 << n | 1 << (n + 16);
        }
        let mut bits = Bits::new(rng);
        let mut d = [0; 32];
        if flags & VFP != 0 {
            d = std::array::from_fn(|_| bits.pick(vectors));
        }
        let half = inputs.len().div_ceil(2);
        for (i, input) in inputs.iter_mut().enumerate() {
            for r in &mut input.r[..15] {
                *r = bits.pick(&self.pool.words);
            }
            if accesses {
                for &base in &plan.bases {
                    input.r[base as usize] = match bits.take(4) {
                        0 if !plan.calm => values::bad_address(bits.rng),
                        _ => bits.pick(addresses) & align,
                    };
                }
                if plan.read_only && i % 4 == 0 {
                    input.r[plan.bases[0] as usize] = values::read_only(bits.rng, plan.align);
                }
                for &index in &plan.index {
                    input.r[index as usize] = match bits.take(3) {
                        0..5 => bits.take(5) * plan.align.min(8),
                        7 if !plan.calm => bits.pick(&self.pool.words),
                        _ => (bits.take(5) * plan.align.min(8)).wrapping_neg(),
                    };
                }
            }
            input.r[13] = match bits.take(4) {
                0 if !plan.calm => values::bad_address(bits.rng) & !3,
                _ => bits.pick(addresses) & if plan.align >= 8 { !7 } else { !3 },
            };
            input.r[15] = entry;
            input.cpsr = bits.take(32) & 0xf80f_0000;
            input.fpscr = 0;
            input.pad = [0; 2];
            if flags & VFP == 0 {
                continue;
            }
            input.fpscr = modes[i / half];
            if bits.take(3) == 0 {
                // Flags, cumulative ones included.
                input.fpscr |= bits.take(32) & 0xf000_009f;
            }
            // The registers in use change, others less often.
            let mut change = in_use | bits.take(32) & bits.take(32) & bits.take(32);
            while change != 0 {
                d[change.trailing_zeros() as usize] = bits.pick(vectors);
                change &= change - 1;
            }
            input.d = d;
        }
    }
}

/// A LEN and STRIDE for FPSCR with which all of `insns` can be compared; 0 if there is none. Vectors that overlap without
/// being the same, and those that take a register twice, are UNPREDICTABLE (Arm ARM DDI 0406C, Appendix K). QEMU 7.2
/// advances the destination of operations with one operand where it means the source, and takes STRIDE 0b11 for four
/// registers in single precision, where it is two (target/arm/translate-vfp.c, do_vfp_2op_sp and do_vfp_3op_sp).
fn short_vectors(rng: &mut Rng, insns: &[Insn]) -> u32 {
    let (mut singles, mut doubles) = (false, false);
    for insn in insns {
        let Insn::Vfp(insn) = insn else { continue };
        let (double, d, n, m) = match *insn {
            Vfp::Arith { double, d, n, m, .. } | Vfp::MinMaxNm { double, d, n, m, .. } => (double, d, n, m),
            // As if the source were of the destination's bank.
            Vfp::Unary { double, d, .. } | Vfp::MovImm { double, d, .. } => (double, d, d ^ 1, d),
            _ => continue,
        };
        let bank = |r: u8| r >> if double { 2 } else { 3 };
        // D16 to D19 are scalars, too.
        if bank(d) == 0 || double && bank(d) == 4 {
            continue;
        }
        if [n, m].iter().any(|&r| r != d && bank(r) == bank(d)) {
            return 0;
        }
        singles |= !double;
        doubles |= double;
    }
    match (singles, doubles) {
        (false, false) => 0,
        (false, true) if one_in(rng, 2) => 3 << 20 | 1 << 16,
        (_, true) => (1 + rng.below(3)) << 16,
        (true, false) => (1 + rng.below(7)) << 16,
    }
}

/// VMSR FPSCR behind BIC `rt`, `rt`, #0x370000: without LEN and STRIDE. Most of their values are UNPREDICTABLE with most
/// operands; `tests/lift_flow.rs` has the others.
fn without_vectors(rt: Reg, vmsr: u32, thumb: bool) -> Option<Vec<u16>> {
    let n = u32::from(rt.0);
    if n >= 13 {
        return None;
    }
    let halves = |word: u32| [word as u16, (word >> 16) as u16];
    let bic = 0x03c0_0837 | vmsr & 0xf000_0000 | n << 16 | n << 12;
    Some(match thumb {
        false => [halves(bic), halves(vmsr)].concat(),
        true => vec![
            0xf420 | n as u16,
            0x105c | (n as u16) << 8,
            (vmsr >> 16) as u16,
            vmsr as u16,
        ],
    })
}

/// Whether `insn` may write the pc.
fn may_leave(insn: &Insn) -> bool {
    matches!(
        insn,
        Insn::Bx { .. } | Insn::Bxj { .. } | Insn::BlxReg { .. } | Insn::TableBranch { .. } | Insn::It { .. }
    )
}

/// The instructions of an item whose code is `code` now, each with its offset in it.
pub fn instructions(item: &Item, code: &[u16], rows: &Rows) -> Vec<(u16, Decoded)> {
    let mut found = Vec::new();
    let (mut at, mut in_it) = (0, 0);
    while at < code.len() {
        let first = u32::from(code[at]);
        let second = u32::from(code.get(at + 1).copied().unwrap_or(0));
        let wide = !item.thumb || emu::isa::t32::is_wide(first as u16, rows.features);
        let word = match (item.thumb, wide) {
            (false, _) => first | second << 16,
            (true, true) => first << 16 | second,
            (true, false) => first,
        };
        if let Ok(decoded) = decode(word, item.thumb, !wide, in_it > 0, rows.features) {
            in_it = match decoded.insn {
                Insn::It { mask, .. } => 4 - mask.trailing_zeros(),
                _ => u32::saturating_sub(in_it, 1),
            };
            found.push((2 * at as u16, decoded));
        }
        at += if wide { 2 } else { 1 };
        // What is left of the way out is its address.
        if item.pinned {
            break;
        }
    }
    found
}

/// A value for a field that is no register.
fn immediate(rng: &mut Rng, width: u32, align: u32) -> Option<u32> {
    let ones = if width == 32 { u32::MAX } else { (1 << width) - 1 };
    match rng.below(10) {
        // As the random encoding has it.
        0..4 => None,
        4..6 => Some(rng.below(4)),
        6 => Some(ones),
        7 => Some(1 << rng.below(width)),
        _ => Some(rng.next_u32() & ones & !(align - 1)),
    }
}

/// An encoding of `info`'s row that is to be compared, if one is found soon.
pub fn instruction(info: &RowInfo, rows: &Rows, plan: &Plan, rng: &mut Rng, in_it: bool) -> Option<u32> {
    for _ in 0..12 {
        let mut word = encoding(info.row, rng);
        if info.row.conditional && rng.below(4) != 0 {
            word = word & 0x0fff_ffff | 0xe000_0000;
        }
        let align = if info.accesses() { plan.align } else { 1 };
        for field in &info.immediate {
            let mut value = immediate(rng, field.width(), align).unwrap_or(field.get(word));
            if info.accesses() && plan.calm {
                // Some are multiplied by four.
                let most = match field.width() {
                    9.. => 0xff,
                    // An offset register's shift.
                    5 if info.core.iter().any(|(_, role)| *role == Role::Index) && !one_in(rng, 16) => 3,
                    _ => 0x3f,
                };
                value &= most & !(align - 1);
            }
            word = field.set(word, value);
        }
        let mut names_pc = false;
        for (field, role) in &info.core {
            let n = plan.register(rng, *role, field.width());
            names_pc |= n == 15;
            word = field.set(word, n);
        }
        for field in &info.vector {
            if rng.below(8) != 0 {
                word = field.set(word, u32::from(pick(rng, &plan.vector)));
            }
        }
        for field in &info.vector_bits {
            word = field.set(word, u32::from(one_in(rng, 4)));
        }
        if let Some(field) = info.list {
            let mut list = rng.next_u32() & rng.next_u32();
            if !one_in(rng, 8) {
                list &= 0x7fff;
            }
            if plan.calm && !one_in(rng, 8) && info.memory == Memory::Load {
                // Later addresses come from these.
                let bases = plan.bases.iter().chain(&plan.index);
                list &= !bases.fold(0, |set, r| set | 1 << r);
            }
            word = field.set(word, list & !u32::from(plan.reserved));
        }
        let Ok(decoded) = decode(word, info.thumb, info.row.is_narrow(), in_it, rows.features) else {
            continue;
        };
        if decoded.row != info.index || exclude::leave_out(&decoded.insn, word, info.thumb, names_pc) {
            continue;
        }
        if plan.modifies && (names_pc || info.row.name == "adr") {
            continue;
        }
        if plan.reserved != 0 {
            // Where fields do not tell all, registers that may be named count, too.
            let named = |n: u32| match info.implicit {
                false => 1u32 << n,
                true => 1 << n | 2 << n | 0x100 << n,
            };
            let any = |(field, _): &(_, _)| named(Field::get(*field, word)) & u32::from(plan.reserved) != 0;
            if info.core.iter().any(any) {
                continue;
            }
        }
        return Some(word);
    }
    None
}
