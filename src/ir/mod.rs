//! The intermediate representation: a linear SSA block with ARM meaning, between the front ends and the back end.

pub mod builder;
pub mod forms;
pub mod interp;
pub mod liveness;
pub mod ops;
pub mod print;
pub mod vector;
pub mod verify;
