//! Programs of random instruction words, known by their number.

use emu::isa::generate::{Rng, encoding};
use emu::isa::{a32, t32};

use super::random::Random;

/// Instructions in a program.
pub const PROGRAM_WORDS: usize = 64;

/// A program, as bytes and the offsets of its instructions.
pub struct Program {
    pub thumb: bool,
    pub bytes: Vec<u8>,
    pub starts: Vec<u32>,
}

/// `svc 0` behind the last instruction.
const A32_END: u32 = 0xef00_0000;
const T32_END: u16 = 0xdf00;

impl Program {
    /// A quarter each: uniform A32 words, A32 words of table rows, uniform T32 halfwords, T32 instructions of rows.
    pub fn new(number: u64) -> Program {
        let mut rng = Rng(Random::new(number).bits());
        let thumb = number / 4 % 2 == 1;
        let from_table = number / 8 % 2 == 1;
        let (mut bytes, mut starts) = (Vec::new(), Vec::new());
        for _ in 0..PROGRAM_WORDS {
            starts.push(bytes.len() as u32);
            if !thumb {
                let word = if from_table {
                    let rows = a32::rows();
                    encoding(&rows[rng.below(rows.len() as u32) as usize], &mut rng)
                } else {
                    rng.next_u32()
                };
                bytes.extend(word.to_le_bytes());
            } else if from_table {
                let rows = t32::rows();
                let row = &rows[rng.below(rows.len() as u32) as usize];
                let word = encoding(row, &mut rng);
                if !row.is_narrow() {
                    bytes.extend(((word >> 16) as u16).to_le_bytes());
                }
                bytes.extend((word as u16).to_le_bytes());
            } else {
                bytes.extend((rng.next_u32() as u16).to_le_bytes());
            }
        }
        if thumb {
            bytes.extend(T32_END.to_le_bytes());
            bytes.extend(T32_END.to_le_bytes());
        } else {
            bytes.extend(A32_END.to_le_bytes());
        }
        Program { thumb, bytes, starts }
    }
}
