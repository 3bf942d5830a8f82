//! Struct layouts and constants of the guest's 32-bit ARM EABI, each declared once, beside conversions to the host's.
//!
//! Sizes and offsets are asserted against what `arm-linux-gnueabihf-gcc` prints for the kernel's uapi headers.

pub mod fs;
pub mod ipc;
pub mod net;
pub mod open;
pub mod sys;
pub mod time;

/// Asserts a struct's size and the offsets of fields at compile time.
macro_rules! layout {
    ($t:ty, $size:literal $(, $field:ident @ $offset:literal)* $(,)?) => {
        const _: () = {
            assert!(std::mem::size_of::<$t>() == $size);
            $(assert!(std::mem::offset_of!($t, $field) == $offset);)*
        };
    };
}
pub(crate) use layout;
