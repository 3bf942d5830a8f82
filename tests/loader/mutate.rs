//! Mutations of ELF files: reproducible from a seed, aimed at the headers.

use super::elf::{Elf, R, W, X};
use super::random::Random;

/// A word that is likely to hurt: at an edge, small, or any.
fn word(random: &mut Random) -> u32 {
    const EDGES: [u32; 16] = [
        0,
        1,
        2,
        0xfff,
        0x1000,
        0x1001,
        0x1_0000,
        0x7fff_ffff,
        0x8000_0000,
        0xbfff_f000,
        0xfffe_f000,
        0xffff_0000,
        0xffff_f000,
        0xffff_fffe,
        0xffff_ffff,
        0xf7ff_0000,
    ];
    match random.below(4) {
        0 | 1 => EDGES[random.below(16) as usize],
        2 => random.below(0x4000) as u32,
        _ => random.next() as u32,
    }
}

/// Programs of every shape to start from.
pub fn seeds() -> Vec<Vec<u8>> {
    let exec = Elf::new(2, 0x10054, 0x3000)
        .load(R | X, 0, 0x10000, 0x1800, 0x1800)
        .load(R | W, 0x1800, 0x12800, 0x700, 0x2100)
        .stack(R | W);
    let odd = Elf::new(2, 0x20001, 0x3000)
        .load(R | X, 0x123, 0x20000, 0x1234, 0x1234)
        .load(R | W, 0x1357, 0x21234, 0x100, 0x3333)
        .load(R | W, 0, 0x24567, 0, 0x10000);
    let pie = Elf::new(3, 0x400, 0x2000)
        .load(R | X, 0, 0, 0x1000, 0x1000)
        .load(R | W, 0xf00, 0x1f00, 0x1000, 0x1800)
        .interp(b"/lib/ld-linux-armhf.so.3")
        .stack(R | W | X);
    let static_pie =
        Elf::new(3, 0x400, 0x1000)
            .load(R | X, 0, 0, 0xc00, 0xc00)
            .load(R | W, 0xc00, 0x8c00, 0x400, 0x400);
    [exec, odd, pie, static_pie].iter().map(Elf::bytes).collect()
}

/// A mutated copy of one of `seeds`.
pub fn mutant(seeds: &[Vec<u8>], seed: u64) -> Vec<u8> {
    let mut random = Random(seed);
    let mut file = seeds[random.below(seeds.len() as u64) as usize].clone();
    let headers = 52 + 32 * usize::from(u16::from_le_bytes([file[44], file[45]]));
    for _ in 0..1 + random.below(6) {
        let place = random.below(10);
        let at = match place {
            // A word of the header or of a program header.
            0..=5 => 16 + 4 * random.below((headers as u64 - 16) / 4) as usize,
            6 => random.below(headers as u64) as usize,
            _ => random.below(file.len() as u64) as usize,
        };
        if at + 4 > file.len() {
            continue;
        }
        match random.below(5) {
            0 => file[at] = random.next() as u8,
            1 => file[at] ^= 1 << random.below(8),
            2 => {
                let old = u32::from_le_bytes([file[at], file[at + 1], file[at + 2], file[at + 3]]);
                let new = old.wrapping_add(word(&mut random));
                file[at..at + 4].copy_from_slice(&new.to_le_bytes());
            }
            _ => {
                file[at..at + 4].copy_from_slice(&word(&mut random).to_le_bytes());
            }
        }
    }
    match random.below(12) {
        0 => file.truncate(random.below(file.len() as u64 + 1) as usize),
        1 => file.truncate(random.below(200) as usize),
        _ => {}
    }
    // The interesting code lies behind these checks: mostly put the fields right again.
    if random.below(8) != 0 {
        for (at, byte) in [0x7f, b'E', b'L', b'F', 1, 1, 1].into_iter().enumerate() {
            if let Some(old) = file.get_mut(at) {
                *old = byte;
            }
        }
        if file.len() >= 52 {
            file[18..20].copy_from_slice(&40u16.to_le_bytes());
            file[39] = 5;
            file[42..44].copy_from_slice(&32u16.to_le_bytes());
        }
    }
    file
}
