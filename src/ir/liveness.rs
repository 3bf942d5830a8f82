//! What the operations of a block leave for those after them: who still uses a value, which flags are still read.

use super::ops::Flags;

/// No guest register, in [`Fate::bound_for`].
pub const NO_REGISTER: u8 = 0xff;

/// What lies ahead of one operation and the value that it defines.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fate {
    /// Index of the last operation that uses the value; 0 if none does.
    pub last_use: u32,
    /// Index of the `SetReg` that `bound_for` is about.
    pub bound_at: u32,
    /// Guest register that the value soon goes to, itself or what is computed from it, without anything in between that
    /// reads or writes that register, may fault, joins or leaves: the value may as well be computed there.
    pub bound_for: u8,
    /// Flags that are read after the operation before they are written.
    pub live_after: Flags,
    /// Exits, direct jumps and calls: flags live at the target.
    pub live_there: Flags,
}

impl Fate {
    /// Of an operation that nothing after it has to do with.
    pub const NONE: Fate = Fate {
        last_use: 0,
        bound_at: 0,
        bound_for: NO_REGISTER,
        live_after: Flags::NONE,
        live_there: Flags::NONE,
    };
}

/// What `opt` learns of a block on its way through it, for the back end. Kept from block to block for its memory's sake.
#[derive(Default, Debug)]
pub struct Liveness {
    /// One for each operation.
    pub fates: Vec<Fate>,
    /// Whether an exit leads back to where the block starts.
    pub loops: bool,
    /// Flags live at each label.
    pub at_label: Vec<Flags>,
}
