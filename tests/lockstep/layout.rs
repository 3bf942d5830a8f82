//! The memory that the lockstep guests share with the host: `fixtures/src/lockstep.h` in Rust.

/// Code in the guest: read and execute only, the second half of what a batch has excepted; mapped anew now and then.
pub const ARENA: u32 = 0x1340_0000;
pub const ARENA_SIZE: u32 = 4 << 20;
/// Data in the guest; the pages before and behind are not mapped.
pub const WINDOW: u32 = 0x2800_0000;
pub const WINDOW_SIZE: u32 = 8192;
/// The start of background 0 once more, read only, nothing around it.
pub const CONSTANT: u32 = 0x2800_4000;
pub const CONSTANT_SIZE: u32 = 4096;
/// What is compared and restored of the window at a time.
pub const CHUNK: u32 = 256;
/// The chunks that most stores go to, a bit each.
pub const MIDDLE: u32 = (1 << 18) - (1 << 14);
/// Where sequences end.
pub const LEAVE: u32 = 0x6b3d_5100;

/// Batches on the way.
pub const RING: usize = 4;
/// Most sequences of a batch.
pub const SLOTS: usize = 64;
/// Most inputs of a batch, all its sequences' together.
pub const CASES: usize = 1024;
/// Words of a sequence, the way out included.
pub const CODE_WORDS: usize = 64;
pub const BACKGROUNDS: usize = 8;
/// Bytes of a batch's code. It takes twice that of the arena: what changes itself is in the second half.
pub const BATCH_CODE: u32 = (SLOTS * CODE_WORDS * 4) as u32;

/// [`Slot::flags`]: load, and report, the D registers; report FPSCR.
pub const VFP: u32 = 1;
/// Look for writes to the middle of the window after each input, to all of it after the last. (Without this, to all of it
/// after every eighth sequence.)
pub const STORES: u32 = 2;
/// Copy the whole window out after the (only) input.
pub const DETAIL: u32 = 4;
/// Look for writes to the whole window after each input.
pub const EVERYWHERE: u32 = 16;
/// Its code is [`BATCH_CODE`] bytes further on, where it can be written.
pub const MODIFIES: u32 = 8;

/// The state that a sequence starts from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct Input {
    /// r15: where to start, T bit in bit 0.
    pub r: [u32; 16],
    /// NZCVQ and GE take effect.
    pub cpsr: u32,
    pub fpscr: u32,
    pub pad: [u32; 2],
    pub d: [u64; 32],
}

/// The state after it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct Output {
    /// r15: at the signal, else 0.
    pub r: [u32; 16],
    pub cpsr: u32,
    pub fpscr: u32,
    /// 0 if the sequence got to its end.
    pub signal: u32,
    pub code: u32,
    pub address: u32,
    /// A bit for each chunk of the window that was written.
    pub dirty: u32,
    /// Of those chunks' contents.
    pub hash: u32,
    pub pad: u32,
    pub d: [u64; 32],
}

/// A sequence.
#[repr(C)]
pub struct Slot {
    pub inputs: u32,
    pub flags: u32,
    /// Of the batch's inputs; the others follow.
    pub first: u32,
    pub pad: u32,
}

#[repr(C)]
pub struct Batch {
    pub slots: u32,
    pub background: u32,
    /// A bit for each guest that is to execute it.
    pub guests: u32,
    /// Where in the arena the code goes; 0: to its start, and the arena is mapped anew.
    pub at: u32,
    /// A slot has [`MODIFIES`].
    pub modifies: u32,
    pub pad: [u32; 11],
    pub slot: [Slot; SLOTS],
    pub code: [[u32; CODE_WORDS]; SLOTS],
    pub input: [Input; CASES],
}

impl Batch {
    /// Where the inputs and outcomes of sequence `slot` are.
    pub fn cases(&self, slot: usize) -> std::ops::Range<usize> {
        let slot = &self.slot[slot];
        slot.first as usize..(slot.first + slot.inputs) as usize
    }
}

/// Written by the host.
#[repr(C)]
pub struct InputMemory {
    pub produced: u32,
    pub stop: u32,
    /// 1: D16-D31 exist; 2: CLREX and TPIDRURW do.
    pub wide: u32,
    pub pad: [u32; 1021],
    pub background: [[u32; WINDOW_SIZE as usize / 4]; BACKGROUNDS],
    pub batch: [Batch; RING],
}

/// Written by a guest.
#[repr(C)]
pub struct OutputMemory {
    /// Read only there.
    pub consumed: u32,
    pub pad: [u32; 1023],
    /// Slot << 16 | input on its way.
    pub at: u32,
    pub pad2: [u32; 1023],
    pub window: [u32; WINDOW_SIZE as usize / 4],
    /// By the batch's inputs.
    pub batch: [[Output; CASES]; RING],
}

const _: () = {
    assert!(size_of::<Input>() == 336 && size_of::<Output>() == 352);
    assert!(size_of::<Batch>() == 64 + SLOTS * (16 + 256) + CASES * 336);
};
