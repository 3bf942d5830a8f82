//! Guest signals: dispositions, masks, frames, delivery.

pub mod altstack;
pub mod calls;
pub mod queue;
pub mod set;
