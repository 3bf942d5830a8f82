//! The system calls.

use super::Row;

pub static ROWS: &[Row] = &[];
