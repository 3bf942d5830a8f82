//! Runs single A32 instructions in qemu-arm, by the guest in `fixtures/softfp`.

use super::qemu_guest::run_guest;

/// Registers before an instruction; `stub` says which one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct In {
    pub stub: u32,
    pub cpsr: u32,
    pub fpscr: u32,
    pub r: [u32; 3],
    pub d: [u64; 3],
}

/// Registers after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Out {
    pub cpsr: u32,
    pub fpscr: u32,
    pub r: [u32; 2],
    pub d0: u64,
}

/// What qemu-arm makes of `records`; `code[record.stub]` is the instruction. Panics, saying why, where it can't run.
pub fn qemu(code: &[u32], records: &[In]) -> Vec<Out> {
    let mut input = Vec::with_capacity(4 + 4 * code.len() + 48 * records.len());
    input.extend((code.len() as u32).to_le_bytes());
    input.extend(code.iter().flat_map(|word| word.to_le_bytes()));
    for r in records {
        let words = [r.stub, r.cpsr, r.fpscr].into_iter().chain(r.r);
        input.extend(words.flat_map(u32::to_le_bytes));
        input.extend(r.d.into_iter().flat_map(u64::to_le_bytes));
    }
    let output = run_guest("onestep", input, 24 * records.len());
    output.chunks_exact(24).map(parse).collect()
}

fn parse(bytes: &[u8]) -> Out {
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
    Out {
        cpsr: word(0),
        fpscr: word(4),
        r: [word(8), word(12)],
        d0: u64::from(word(16)) | u64::from(word(20)) << 32,
    }
}
