//! What the interpreter needs of guest memory.

/// An access that the guest's address space refuses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MemFault {
    /// The first guest address that could not be accessed.
    pub addr: u32,
}

/// Guest memory as one thread sees it. Any alignment is allowed; values are little-endian.
pub trait Memory {
    fn read8(&mut self, addr: u32) -> Result<u8, MemFault>;
    fn read16(&mut self, addr: u32) -> Result<u16, MemFault>;
    fn read32(&mut self, addr: u32) -> Result<u32, MemFault>;
    fn read64(&mut self, addr: u32) -> Result<u64, MemFault>;
    /// The 16 bytes at `addr`.
    fn read128(&mut self, addr: u32) -> Result<u128, MemFault> {
        let low = self.read64(addr)?;
        let high = self.read64(addr.wrapping_add(8))?;
        Ok(u128::from(low) | u128::from(high) << 64)
    }
    fn write8(&mut self, addr: u32, value: u8) -> Result<(), MemFault>;
    fn write16(&mut self, addr: u32, value: u16) -> Result<(), MemFault>;
    fn write32(&mut self, addr: u32, value: u32) -> Result<(), MemFault>;
    fn write64(&mut self, addr: u32, value: u64) -> Result<(), MemFault>;
    /// 16 bytes at `addr`; a refused access must change none of them.
    fn write128(&mut self, addr: u32, value: u128) -> Result<(), MemFault>;
    /// Atomically replaces `bytes` (1, 2, 4 or 8) bytes at `addr` by `new` if they are `expected`; whether it did.
    fn compare_exchange(&mut self, addr: u32, bytes: u32, expected: u64, new: u64) -> Result<bool, MemFault>;
    /// A full barrier between this thread's accesses and other threads'.
    fn fence(&mut self);
}

/// An address space with nothing in it.
pub(super) struct NoMemory;

impl Memory for NoMemory {
    fn read8(&mut self, addr: u32) -> Result<u8, MemFault> {
        Err(MemFault { addr })
    }
    fn read16(&mut self, addr: u32) -> Result<u16, MemFault> {
        Err(MemFault { addr })
    }
    fn read32(&mut self, addr: u32) -> Result<u32, MemFault> {
        Err(MemFault { addr })
    }
    fn read64(&mut self, addr: u32) -> Result<u64, MemFault> {
        Err(MemFault { addr })
    }
    fn write8(&mut self, addr: u32, _: u8) -> Result<(), MemFault> {
        Err(MemFault { addr })
    }
    fn write16(&mut self, addr: u32, _: u16) -> Result<(), MemFault> {
        Err(MemFault { addr })
    }
    fn write32(&mut self, addr: u32, _: u32) -> Result<(), MemFault> {
        Err(MemFault { addr })
    }
    fn write64(&mut self, addr: u32, _: u64) -> Result<(), MemFault> {
        Err(MemFault { addr })
    }
    fn write128(&mut self, addr: u32, _: u128) -> Result<(), MemFault> {
        Err(MemFault { addr })
    }
    fn compare_exchange(&mut self, addr: u32, _: u32, _: u64, _: u64) -> Result<bool, MemFault> {
        Err(MemFault { addr })
    }
    fn fence(&mut self) {}
}
