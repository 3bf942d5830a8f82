//! What ARM instructions are: tables, decoders and the decoded form. Knows neither the host nor the IR.

pub mod insn;
