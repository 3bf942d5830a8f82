//! A guest thread: run, fault, recover, deliver.

pub mod machine;
