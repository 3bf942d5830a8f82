//! The guest CPU: its architectural state in memory, and the models that `--cpu` names.

pub mod cond;
pub mod location;
pub mod model;
pub mod state;
