//! A small guest memory for the interpreter: one window of bytes, everything else refused.

use emu::ir::interp::{MemFault, Memory};

/// `bytes` is mapped at `start`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Window {
    pub start: u32,
    pub bytes: Vec<u8>,
}

impl Window {
    fn slice(&mut self, addr: u32, len: usize) -> Result<&mut [u8], MemFault> {
        let offset = addr.wrapping_sub(self.start) as usize;
        let size = self.bytes.len();
        self.bytes.get_mut(offset..offset + len).ok_or(MemFault {
            // The first byte outside.
            addr: if offset < size {
                self.start.wrapping_add(size as u32)
            } else {
                addr
            },
        })
    }

    fn read<const N: usize>(&mut self, addr: u32) -> Result<[u8; N], MemFault> {
        let bytes = self.slice(addr, N)?;
        Ok(std::array::from_fn(|i| bytes[i]))
    }

    fn write(&mut self, addr: u32, bytes: &[u8]) -> Result<(), MemFault> {
        self.slice(addr, bytes.len())?.copy_from_slice(bytes);
        Ok(())
    }
}

impl Memory for Window {
    fn read8(&mut self, addr: u32) -> Result<u8, MemFault> {
        self.read(addr).map(u8::from_le_bytes)
    }
    fn read16(&mut self, addr: u32) -> Result<u16, MemFault> {
        self.read(addr).map(u16::from_le_bytes)
    }
    fn read32(&mut self, addr: u32) -> Result<u32, MemFault> {
        self.read(addr).map(u32::from_le_bytes)
    }
    fn read64(&mut self, addr: u32) -> Result<u64, MemFault> {
        self.read(addr).map(u64::from_le_bytes)
    }
    fn read128(&mut self, addr: u32) -> Result<u128, MemFault> {
        self.read(addr).map(u128::from_le_bytes)
    }
    fn write8(&mut self, addr: u32, value: u8) -> Result<(), MemFault> {
        self.write(addr, &value.to_le_bytes())
    }
    fn write16(&mut self, addr: u32, value: u16) -> Result<(), MemFault> {
        self.write(addr, &value.to_le_bytes())
    }
    fn write32(&mut self, addr: u32, value: u32) -> Result<(), MemFault> {
        self.write(addr, &value.to_le_bytes())
    }
    fn write64(&mut self, addr: u32, value: u64) -> Result<(), MemFault> {
        self.write(addr, &value.to_le_bytes())
    }
    fn write128(&mut self, addr: u32, value: u128) -> Result<(), MemFault> {
        self.write(addr, &value.to_le_bytes())
    }
    fn compare_exchange(&mut self, addr: u32, bytes: u32, expected: u64, new: u64) -> Result<bool, MemFault> {
        let len = bytes as usize;
        let found = self.slice(addr, len)?;
        let equal = *found == expected.to_le_bytes()[..len];
        if equal {
            found.copy_from_slice(&new.to_le_bytes()[..len]);
        }
        Ok(equal)
    }
    fn fence(&mut self) {}
}
