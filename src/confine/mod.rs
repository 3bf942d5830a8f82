//! Confinement of the process that runs a guest: policy is data, applied before the guest's first instruction.
