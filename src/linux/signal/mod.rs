//! Guest signals: dispositions, masks, frames, delivery.

pub mod action;
pub mod altstack;
pub mod calls;
pub mod deliver;
pub mod frame;
pub mod host;
pub mod inherit;
pub mod queue;
pub mod set;
pub mod siginfo;
