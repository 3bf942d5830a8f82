//! Capstone's view of an instruction: valid or not, its length and its base mnemonic.

use capstone::arch::BuildsCapstone;
use capstone::arch::BuildsCapstoneExtraMode;
use capstone::arch::arm::{ArchExtraMode, ArchMode};
use capstone::{Capstone, InsnId};

pub struct Disassembler {
    a32: Capstone,
    t32: Capstone,
}

/// An instruction that capstone decodes.
pub struct Seen {
    /// Base mnemonic: no condition, S or width.
    pub name: String,
    /// The whole: mnemonic with all of these, and operands.
    pub text: String,
}

impl Disassembler {
    pub fn new() -> Disassembler {
        let open = |mode| {
            Capstone::new()
                .arm()
                .mode(mode)
                .extra_mode([ArchExtraMode::V8].into_iter())
                .build()
                .expect("capstone has ARM")
        };
        Disassembler {
            a32: open(ArchMode::Arm),
            t32: open(ArchMode::Thumb),
        }
    }

    /// An A32 word, or `None` when capstone calls it invalid.
    pub fn a32(&self, word: u32) -> Option<Seen> {
        seen(&self.a32, &word.to_le_bytes(), 4)
    }

    /// The same for a 16-bit T32 instruction.
    pub fn narrow(&self, word: u32) -> Option<Seen> {
        seen(&self.t32, &(word as u16).to_le_bytes(), 2)
    }

    /// The same for a 32-bit T32 instruction, `hw1 << 16 | hw2`.
    pub fn wide(&self, word: u32) -> Option<Seen> {
        seen(&self.t32, &word.rotate_right(16).to_le_bytes(), 4)
    }
}

fn seen(cs: &Capstone, bytes: &[u8], size: usize) -> Option<Seen> {
    let found = cs.disasm_count(bytes, 0x1000, 1).ok()?;
    let insn = found.first()?;
    if insn.bytes().len() != size {
        return None;
    }
    let InsnId(id) = insn.id();
    Some(Seen {
        name: cs.insn_name(InsnId(id))?,
        text: format!("{} {}", insn.mnemonic()?, insn.op_str().unwrap_or("")),
    })
}
