//! The differential machine of `tools/lockstep`: random sequences, run by one guest program under several emulators.

pub mod campaign;
pub mod case;
pub mod compare;
pub mod coverage;
pub mod desk;
pub mod encode;
pub mod exclude;
pub mod executors;
pub mod flow;
pub mod generate;
pub mod interp;
pub mod layout;
pub mod process;
pub mod report;
pub mod results;
pub mod rows;
pub mod sequence;
pub mod shrink;
pub mod values;
