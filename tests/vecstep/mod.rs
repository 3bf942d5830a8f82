//! Runs short stubs of A32 instructions on vector registers in qemu-arm, by the guest `vecstep` in `fixtures/softfp`.

use super::qemu_guest::{read_guest, run_guest};
use std::io::Read;
use std::ops::Range;

/// Four instruction words.
pub type Stub = [u32; 4];

/// What fills a stub: MOV r0, r0.
pub const NOP: u32 = 0xe1a0_0000;

/// Registers before a stub; `stub` says which one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct In {
    pub stub: u32,
    pub fpscr: u32,
    pub r2: u32,
    /// q0 to q3.
    pub q: [u128; 4],
}

/// Registers after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Out {
    pub fpscr: u32,
    pub r2: u32,
    /// q0 and q1.
    pub q: [u128; 2],
}

/// What qemu-arm -cpu max makes of `records`. Panics, saying why, where it can't run.
pub fn qemu(stubs: &[Stub], records: &[In]) -> Vec<Out> {
    let mut input = Vec::with_capacity(4 + 16 * stubs.len() + 80 * records.len());
    input.extend((stubs.len() as u32).to_le_bytes());
    input.extend(stubs.iter().flatten().flat_map(|word| word.to_le_bytes()));
    for r in records {
        input.extend([r.stub, r.fpscr, r.r2, 0].into_iter().flat_map(u32::to_le_bytes));
        input.extend(r.q.into_iter().flat_map(u128::to_le_bytes));
    }
    let output = run_guest("vecstep", input, 48 * records.len());
    output.chunks_exact(48).map(parse).collect()
}

fn parse(bytes: &[u8]) -> Out {
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
    let quad = |at: usize| u128::from_le_bytes(bytes[at..at + 16].try_into().expect("sixteen bytes"));
    Out {
        fpscr: word(0),
        r2: word(4),
        q: [quad(16), quad(32)],
    }
}

/// Vectors of eight 16-bit lanes that hold all values.
pub const VECTORS: usize = 0x1_0000 / 8;

/// For every A of `range` what qemu-arm -cpu max makes of `stub` with A in all 16-bit lanes of q1 and every value in turn
/// in those of q2: [`VECTORS`] times q0 (16 bytes), and then as many lowest bytes of FPSCR.
pub fn qemu_pairs(stub: Stub, fpscr: u32, range: Range<u32>, mut row: impl FnMut(u32, &[u8], &[u8])) {
    let words = [&[u32::MAX], &stub[..], &[fpscr, range.start, range.len() as u32]].concat();
    let input = words.into_iter().flat_map(u32::to_le_bytes).collect();
    read_guest("vecstep", input, |from| {
        let mut bytes = vec![0; 17 * VECTORS];
        for a in range {
            from.read_exact(&mut bytes).expect("the guest's output");
            let (q0, flags) = bytes.split_at(16 * VECTORS);
            row(a, q0, flags);
        }
    });
}
