//! The alternate signal stack: sigaltstack's rules.

/// No alternate stack.
pub const SS_DISABLE: u32 = 2;
