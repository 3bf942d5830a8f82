//! IR to IR: what is not needed goes.
//!
//! The fast tier has one pass over every block, backward: flags that nobody reads are not set, values that nobody uses
//! are not computed, registers are not written for nobody to see ([`overwritten`]), and what is left is noted for the
//! back end ([`Liveness`]). Two more run where that pass has seen something for them: [`hoist`], arithmetic between a
//! carry and its reader moves before the carry, and [`fences`], barriers that order nothing go. Constants are folded where
//! the builder made them; the rest is the emitter's choice of instructions.

mod dead;
mod fences;
mod hoist;
mod overwritten;

pub use dead::Outside;

use crate::ir::liveness::Liveness;
use crate::ir::ops::Block;

/// Removes dead flags, dead operations and needless barriers from `block`, and fills `liveness` with what the back end
/// is to know of the operations that are left.
pub fn run(block: &mut Block, outside: &mut Outside<'_>, liveness: &mut Liveness) {
    let found = dead::run::<true>(block, outside, liveness);
    if found.between_flags {
        hoist::run(block);
        // Operations have other places now.
        dead::run::<true>(block, outside, liveness);
    }
    if found.fence {
        fences::run(block);
    }
}

/// Fills `liveness` for a block that is to be compiled as it is.
pub fn analyse(block: &Block, outside: &mut Outside<'_>, liveness: &mut Liveness) {
    dead::run::<false>(&mut block.clone(), outside, liveness);
}
