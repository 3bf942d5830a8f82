//! Where things go: the layout of a 32-bit task of a 64-bit ARM kernel, randomised as there, or fixed.

use crate::mem::{PAGE_SIZE, STACK_TOP, TASK_SIZE};

/// Where position-independent programs with an interpreter go (ELF_ET_DYN_BASE: two thirds of the task size).
const DYN_BASE: u32 = (2 * (TASK_SIZE as u64 / 3)) as u32 / PAGE_SIZE * PAGE_SIZE;
/// The kernel keeps at least this for the stack and what is above it.
const GAP_MIN: u64 = 128 << 20;
/// And at most this.
const GAP_MAX: u64 = STACK_TOP as u64 / 6 * 5;
/// STACK_RND_MASK of 32-bit tasks, in pages.
const STACK_RANDOM: u32 = 0x7ff;
/// mmap_rnd_compat_bits of an ARM64 kernel.
const MMAP_BITS: u32 = 11;
/// Range of the heap's random offset, in pages: 32 MiB.
const BRK_RANDOM: u32 = 0x1fff;
/// Gap that the kernel keeps below the stack, in bytes.
const STACK_GUARD: u64 = 256 * PAGE_SIZE as u64;

/// How addresses are chosen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Aslr {
    /// The same in every run.
    Off,
    Random,
    /// Libraries and a position-independent program where another program's are, so that their translations fit; stack
    /// and heap at random.
    As(Bases),
}

/// Where mappings and position-independent programs begin, in pages from where they are without randomisation.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Bases {
    mmap: u16,
    program: u16,
}

impl Bases {
    /// As a number, never 0.
    pub fn pack(self) -> u64 {
        1 << 32 | u64::from(self.mmap) << 16 | u64::from(self.program)
    }

    /// The inverse of [`Bases::pack`]; `None` for what it does not give.
    pub fn unpack(bits: u64) -> Option<Bases> {
        let bases = Bases {
            mmap: (bits >> 16) as u16,
            program: bits as u16,
        };
        let in_range = |n: u16| u32::from(n) < 1 << MMAP_BITS;
        (in_range(bases.mmap) && in_range(bases.program) && bases.pack() == bits).then_some(bases)
    }
}

/// The choices for one program.
pub(super) struct Layout {
    /// End of the stack.
    pub stack_top: u32,
    /// Mappings are placed below, downwards.
    pub mmap_base: u32,
    /// Address for a position-independent program.
    pub program: u32,
    /// What the last two were made from.
    pub bases: Bases,
    /// Where the heap of a program goes that is its own loader.
    pub static_pie_brk: u32,
    /// Added to the end of the program for the start of the heap.
    pub brk_offset: u32,
    /// Bytes to leave on the stack above the auxiliary vector.
    pub stack_skew: u32,
    /// AT_RANDOM.
    pub random: [u8; 16],
}

impl Layout {
    /// Draws a layout; `stack_limit` is RLIMIT_STACK in bytes. AT_RANDOM is random in any case.
    pub fn new(aslr: Aslr, stack_limit: u64) -> Layout {
        let mut draw = Random::new();
        let mut pages = |mask: u32| if aslr == Aslr::Off { 0 } else { draw.next() & mask };
        let pad = (u64::from(STACK_RANDOM) + 1) * u64::from(PAGE_SIZE) + STACK_GUARD;
        let gap = stack_limit.saturating_add(pad).clamp(GAP_MIN, GAP_MAX) as u32;
        let mmap_random = (1 << MMAP_BITS) - 1;
        let bases = match aslr {
            Aslr::As(bases) => bases,
            Aslr::Off | Aslr::Random => Bases {
                mmap: pages(mmap_random) as u16,
                program: pages(mmap_random) as u16,
            },
        };
        let layout = Layout {
            stack_top: STACK_TOP - pages(STACK_RANDOM) * PAGE_SIZE,
            mmap_base: (STACK_TOP - gap).next_multiple_of(PAGE_SIZE) - u32::from(bases.mmap) * PAGE_SIZE,
            program: DYN_BASE + u32::from(bases.program) * PAGE_SIZE,
            bases,
            static_pie_brk: DYN_BASE,
            brk_offset: pages(BRK_RANDOM) * PAGE_SIZE,
            stack_skew: pages(PAGE_SIZE - 1),
            random: [0; 16],
        };
        Layout {
            random: draw.bytes(),
            ..layout
        }
    }
}

impl Layout {
    /// Bytes from the gap above the mappings to the top: the stack of a program without a limit gets them all, since
    /// C libraries take everything up to the next mapping for it.
    pub fn stack_room(&self) -> u32 {
        self.stack_top - self.mmap_base - STACK_GUARD as u32
    }
}

/// Random words from the kernel.
struct Random {
    words: [u32; 12],
    used: usize,
}

impl Random {
    fn new() -> Random {
        let mut words = [0u32; 12];
        // SAFETY: a destination of the given size. The kernel fills requests of up to 256 bytes whole; should it
        // refuse altogether, the layout is merely predictable.
        unsafe { libc::getrandom(words.as_mut_ptr().cast(), size_of_val(&words), 0) };
        Random { words, used: 0 }
    }

    fn next(&mut self) -> u32 {
        self.used += 1;
        self.words[(self.used - 1) % self.words.len()]
    }

    fn bytes(&mut self) -> [u8; 16] {
        let mut bytes = [0; 16];
        for chunk in bytes.chunks_exact_mut(4) {
            chunk.copy_from_slice(&self.next().to_le_bytes());
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixed_layout_is_the_kernels() {
        let layout = Layout::new(Aslr::Off, 8 << 20);
        assert_eq!(layout.stack_top, 0xffff_0000);
        assert_eq!(layout.mmap_base, 0xf7ff_0000);
        assert_eq!(layout.program, 0xaaaa_a000);
        assert_eq!((layout.brk_offset, layout.stack_skew), (0, 0));
        // An unlimited stack gets five sixths.
        assert_eq!(Layout::new(Aslr::Off, u64::MAX).mmap_base, 0x2aaa_8000);
    }

    #[test]
    fn random_layouts_differ_within_bounds() {
        let mut tops = std::collections::HashSet::new();
        for _ in 0..64 {
            let layout = Layout::new(Aslr::Random, 8 << 20);
            assert!((0xff7f_1000..=0xffff_0000).contains(&layout.stack_top));
            assert!((0xf77f_1000..=0xf7ff_0000).contains(&layout.mmap_base));
            assert!((0xaaaa_a000..0xab2a_a000).contains(&layout.program));
            assert!(layout.brk_offset < 32 << 20);
            assert_ne!(layout.random, [0; 16]);
            tops.insert(layout.stack_top);
        }
        assert!(tops.len() > 32);
    }

    #[test]
    fn bases_of_another_program() {
        let first = Layout::new(Aslr::Random, 8 << 20);
        let bases = Bases::unpack(first.bases.pack()).unwrap();
        let others: Vec<Layout> = (0..8).map(|_| Layout::new(Aslr::As(bases), 8 << 20)).collect();
        for other in &others {
            assert_eq!((other.mmap_base, other.program), (first.mmap_base, first.program));
        }
        assert!(others.iter().any(|other| other.stack_top != first.stack_top));
        for bits in [0, 1, 1 << 32 | 1 << 11, 1 << 33, 1 << 32 | 0x0800 << 16] {
            assert_eq!(Bases::unpack(bits), None);
        }
    }
}
