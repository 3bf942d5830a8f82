//! Operand values: mostly those at which something happens.

use super::layout::{CONSTANT, CONSTANT_SIZE, WINDOW, WINDOW_SIZE};
use emu::isa::generate::Rng;

#[rustfmt::skip]
const WORDS: [u32; 24] = [
    0, 1, 2, 3, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x1_0000,
    0x7fff_ffff, 0x8000_0000, 0x8000_0001, 0xffff_ffff, 0xffff_fffe, 0xffff_ff80, 0xffff_8000,
    0x8000_8000, 0x7fff_8000, 0x0080_0080, 0x5555_5555, 0xaaaa_aaaa,
];

/// Both signs of each are made.
#[rustfmt::skip]
const HALVES: [u16; 14] = [
    0, 1, 0x0200, 0x03ff, 0x0400, 0x0401, 0x3800, 0x3bff, 0x3c00, 0x7bff, 0x7c00, 0x7c01, 0x7e00, 0x7f55,
];

#[rustfmt::skip]
const SINGLES: [u32; 26] = [
    0, 1, 3, 0x0040_0000, 0x007f_ffff, 0x0080_0000, 0x0080_0001, 0x00ff_ffff, 0x3300_0000, 0x3f00_0000, 0x3f7f_ffff,
    0x3f80_0000, 0x3f80_0001, 0x3fc0_0000, 0x4049_0fdb, 0x4b80_0000, 0x4eff_ffff, 0x4f00_0000, 0x4f7f_ffff, 0x5f80_0000,
    0x7f7f_ffff, 0x7f80_0000, 0x7f80_0001, 0x7fbf_ffff, 0x7fc0_0000, 0x7fe1_2345,
];

#[rustfmt::skip]
const DOUBLES: [u64; 26] = [
    0, 1, 0x0008_0000_0000_0000, 0x000f_ffff_ffff_ffff, 0x0010_0000_0000_0000, 0x0010_0000_0000_0001,
    0x001f_ffff_ffff_ffff, 0x3690_0000_0000_0000, 0x380f_ffff_ffff_ffff, 0x3810_0000_0000_0000, 0x3ca0_0000_0000_0000,
    0x3fe0_0000_0000_0000, 0x3fef_ffff_ffff_ffff, 0x3ff0_0000_0000_0000, 0x3ff0_0000_0000_0001, 0x3ff8_0000_1000_0000,
    0x4009_21fb_5444_2d18, 0x41df_ffff_ffc0_0000, 0x41e0_0000_0000_0000, 0x41ef_ffff_fff0_0000, 0x47ef_ffff_f000_0000,
    0x7fef_ffff_ffff_ffff, 0x7ff0_0000_0000_0000, 0x7ff0_0000_0000_0001, 0x7ff8_0000_0000_0000, 0x7ffc_1234_5678_9abc,
];

pub fn pick<T: Copy>(rng: &mut Rng, from: &[T]) -> T {
    from[rng.below(from.len() as u32) as usize]
}

/// One chance in `n`.
pub fn one_in(rng: &mut Rng, n: u32) -> bool {
    rng.below(n) == 0
}

/// An operand of integer arithmetic.
pub fn word(rng: &mut Rng) -> u32 {
    match rng.below(8) {
        0..3 => pick(rng, &WORDS),
        3 => rng.below(40),
        4 => 1 << rng.below(32),
        5 => (1u32 << rng.below(32)).wrapping_sub(1),
        _ => rng.next_u32(),
    }
}

fn half(rng: &mut Rng) -> u16 {
    match rng.below(4) {
        0..3 => pick(rng, &HALVES) | (rng.below(2) as u16) << 15,
        _ => rng.next_u32() as u16,
    }
}

/// Single precision.
pub fn single(rng: &mut Rng) -> u32 {
    match rng.below(8) {
        0..4 => pick(rng, &SINGLES) | rng.below(2) << 31,
        // Small integers and their quarters, near which sums and products are exact or just not.
        4 => ((rng.below(64) as i32 - 32) as f32 / 4.0).to_bits(),
        // Exponents near one another, where cancellation lives.
        5 => 0x3f00_0000 ^ (rng.next_u32() & 0x80ff_ffff),
        6 => rng.below(256) << 23 | rng.below(2) << 31 | 1 << rng.below(23),
        _ => rng.next_u32(),
    }
}

fn double(rng: &mut Rng) -> u64 {
    let sign = u64::from(rng.below(2)) << 63;
    match rng.below(8) {
        0..4 => pick(rng, &DOUBLES) | sign,
        4 => ((rng.below(64) as i32 - 32) as f64 / 4.0).to_bits(),
        5 => 0x3fe0_0000_0000_0000 ^ (rng.next_u64() & 0x801f_ffff_ffff_ffff),
        6 => u64::from(rng.below(2048)) << 52 | sign | 1 << rng.below(52),
        _ => rng.next_u64(),
    }
}

/// What a D register's contents are meant to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lanes {
    Half,
    Single,
    Double,
    Integer,
    /// Any of these.
    Any,
}

impl Lanes {
    /// What the registers of a sequence hold, by how often.
    pub const WEIGHED: [Lanes; 6] = [
        Lanes::Any,
        Lanes::Any,
        Lanes::Single,
        Lanes::Double,
        Lanes::Integer,
        Lanes::Half,
    ];
}

/// Whether `v` is a NaN, or two singles of which one is.
fn nan(v: u64) -> bool {
    let single = |s: u32| s & 0x7fff_ffff > 0x7f80_0000;
    v & !(1 << 63) > 0x7ff0_0000_0000_0000 || single(v as u32) || single((v >> 32) as u32)
}

/// Random bits, a few at a time.
pub struct Bits<'a> {
    pub rng: &'a mut Rng,
    held: u64,
    left: u32,
}

impl Bits<'_> {
    pub fn new(rng: &mut Rng) -> Bits<'_> {
        Bits {
            rng,
            held: 0,
            left: 0,
        }
    }

    /// `n` of them, at most 32.
    pub fn take(&mut self, n: u32) -> u32 {
        if self.left < n {
            self.held = self.rng.next_u64();
            self.left = 64;
        }
        let bits = self.held & ((1 << n) - 1);
        self.held >>= n;
        self.left -= n;
        bits as u32
    }

    /// One of `from`, whose length is a power of two.
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.take(from.len().trailing_zeros()) as usize]
    }
}

/// Values drawn beforehand: inputs are made of these, as a campaign needs some hundred for each sequence.
pub struct Pool {
    pub words: Vec<u32>,
    /// By `calm`.
    addresses: [Vec<u32>; 2],
    /// By lanes, without NaNs and with.
    vectors: Vec<[Vec<u64>; 2]>,
}

impl Pool {
    pub fn new(seed: u64) -> Pool {
        let rng = &mut Rng(seed ^ 0x706f_6f6c);
        let every = [
            Lanes::Half,
            Lanes::Single,
            Lanes::Double,
            Lanes::Integer,
            Lanes::Any,
        ];
        let vectors = every.map(|lanes| {
            let any: Vec<u64> = (0..8192).map(|_| vector(rng, lanes)).collect();
            let numbers = std::iter::repeat_with(|| vector(rng, lanes)).filter(|v| !nan(*v));
            [numbers.take(8192).collect(), any]
        });
        Pool {
            words: (0..4096).map(|_| word(rng)).collect(),
            addresses: [false, true].map(|calm| (0..2048).map(|_| address(rng, calm)).collect()),
            vectors: vectors.into(),
        }
    }

    /// Contents of D registers; `numbers`: without NaNs in single and double precision.
    pub fn vectors(&self, lanes: Lanes, numbers: bool) -> &[u64] {
        &self.vectors[lanes as usize][usize::from(!numbers)]
    }

    /// See [`address`].
    pub fn addresses(&self, calm: bool) -> &[u32] {
        &self.addresses[usize::from(calm)]
    }
}

pub fn vector(rng: &mut Rng, lanes: Lanes) -> u64 {
    let lanes = match lanes {
        Lanes::Any => pick(
            rng,
            &[
                Lanes::Half,
                Lanes::Single,
                Lanes::Single,
                Lanes::Double,
                Lanes::Double,
                Lanes::Integer,
            ],
        ),
        lanes => lanes,
    };
    match lanes {
        Lanes::Half => (0..4).fold(0, |v, _| v << 16 | u64::from(half(rng))),
        Lanes::Single => u64::from(single(rng)) | u64::from(single(rng)) << 32,
        Lanes::Double => double(rng),
        Lanes::Integer | Lanes::Any => match rng.below(4) {
            0 => rng.next_u64(),
            // Bytes at the edges of their range.
            1 => (0..8).fold(0, |v, _| {
                v << 8 | u64::from(pick(rng, &[0u8, 1, 0x7f, 0x80, 0x81, 0xff, 0x40, 0xc0]))
            }),
            2 => (0..4).fold(0, |v, _| {
                v << 16
                    | u64::from(pick(
                        rng,
                        &[0u16, 1, 0x7fff, 0x8000, 0x8001, 0xffff, 0x00ff, 0x4000],
                    ))
            }),
            _ => u64::from(word(rng)) | u64::from(word(rng)) << 32,
        },
    }
}

/// An address in the window: near its middle if `calm`, else anywhere, also near its ends, or in the read-only page.
pub fn address(rng: &mut Rng, calm: bool) -> u32 {
    WINDOW
        + match rng.below(16) {
            0..4 => 4096 - 32 + rng.below(64),
            4 if !calm => rng.below(40),
            5 if !calm => WINDOW_SIZE - rng.below(40),
            6 if !calm => WINDOW_SIZE + rng.below(24),
            7 if !calm => CONSTANT - WINDOW + rng.below(CONSTANT_SIZE),
            _ if calm => 4096 - 256 + rng.below(512),
            _ => 512 + rng.below(WINDOW_SIZE - 1024),
        }
}

/// An address in the read-only page, a multiple of `align`.
pub fn read_only(rng: &mut Rng, align: u32) -> u32 {
    CONSTANT + rng.below(CONSTANT_SIZE / align) * align
}

/// What a register that is an address may hold where that is not to work out.
pub fn bad_address(rng: &mut Rng) -> u32 {
    match rng.below(4) {
        0 => rng.below(0x1000),
        1 => WINDOW - 1 - rng.below(64),
        2 => 0x5000_0000 | rng.below(0x1000),
        // Offsets may lead around the end of the address space.
        _ => 0xffff_f000 | rng.below(0x1000),
    }
}

/// Contents of the window.
pub fn background(rng: &mut Rng, words: &mut [u32]) {
    for pair in words.chunks_exact_mut(2) {
        let value = match rng.below(4) {
            0 => {
                let value = word(rng);
                // The corpus wants these to stay as they are.
                let offset = match rng.below(16) {
                    0..4 => 4096 - 32 + rng.below(64),
                    _ => 4096 - 512 + rng.below(1024),
                };
                u64::from(value) | u64::from((WINDOW + offset) & !3) << 32
            }
            1 => vector(rng, Lanes::Integer),
            _ => vector(rng, Lanes::Any),
        };
        // Words may be jumped to, and jumps to the last 64 KiB end qemu-arm.
        let word = |w: u32| if w >> 16 == 0xffff { w ^ 0x8000_0000 } else { w };
        pair[0] = word(value as u32);
        pair[1] = word((value >> 32) as u32);
    }
}
