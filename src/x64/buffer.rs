//! The bytes of the code being assembled, with the assembler crate's labels and relocations.
//!
//! Nearly every instruction of a block is a handful of bytes that are made in one register ([`Buffer::append`] is one
//! store), and a vector that checks and grows at every push would be a large part of translation. So this is the
//! crate's assembler interface over memory that always has room for one more word.

use dynasmrt::components::{LabelRegistry, PatchLoc, RelocRegistry, StaticLabel};
use dynasmrt::x64::X64Relocation;
use dynasmrt::{AssemblyOffset, DynamicLabel, DynasmApi, DynasmError, DynasmLabelApi, LabelKind, TargetKind};

/// Bytes that the memory grows by, and has at first.
const CHUNK: usize = 4096;

pub struct Buffer {
    /// What lies behind `len` is scratch.
    bytes: Vec<u8>,
    len: usize,
    labels: LabelRegistry,
    relocs: RelocRegistry<X64Relocation>,
    /// The first thing that went wrong.
    error: Option<DynasmError>,
}

impl Default for Buffer {
    fn default() -> Self {
        Buffer {
            bytes: vec![0; CHUNK],
            len: 0,
            labels: LabelRegistry::new(),
            relocs: RelocRegistry::new(),
            error: None,
        }
    }
}

impl Buffer {
    /// Appends the lowest `n` bytes of `bits`, at most eight.
    #[inline(always)]
    pub fn append(&mut self, bits: u64, n: usize) {
        debug_assert!(n <= 8);
        if self.bytes.len() - self.len < 8 {
            self.grow();
        }
        self.bytes[self.len..self.len + 8].copy_from_slice(&bits.to_le_bytes());
        self.len += n;
    }

    #[cold]
    fn grow(&mut self) {
        self.bytes.resize(self.bytes.len() + CHUNK, 0);
    }

    pub fn new_dynamic_label(&mut self) -> DynamicLabel {
        self.labels.new_dynamic_label()
    }

    /// Settles all references and moves the code to the end of `out`; bytes and labels are gone then.
    ///
    /// # Errors
    /// A label without a place, or one out of a reference's reach.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), DynasmError> {
        if let Some(e) = self.error.take() {
            return Err(e);
        }
        let code = &mut self.bytes[..self.len];
        for (place, label) in self.relocs.take_statics() {
            let target = self.labels.resolve_static(&label)?;
            place
                .patch(&mut code[place.range(0)], 0, target.0)
                .map_err(|_| DynasmError::ImpossibleRelocation(TargetKind::Local(label.get_name())))?;
        }
        for (place, label) in self.relocs.take_dynamics() {
            let target = self.labels.resolve_dynamic(label)?;
            place
                .patch(&mut code[place.range(0)], 0, target.0)
                .map_err(|_| DynasmError::ImpossibleRelocation(TargetKind::Dynamic(label)))?;
        }
        out.extend_from_slice(code);
        self.len = 0;
        self.labels.clear();
        Ok(())
    }

    /// A reference that ends here.
    fn place(&self, target: isize, field: u8, base: u8, kind: X64Relocation) -> PatchLoc<X64Relocation> {
        PatchLoc::new(self.offset(), target, field, base, kind)
    }
}

impl Extend<u8> for Buffer {
    fn extend<T: IntoIterator<Item = u8>>(&mut self, bytes: T) {
        for byte in bytes {
            self.push(byte);
        }
    }
}

impl<'a> Extend<&'a u8> for Buffer {
    fn extend<T: IntoIterator<Item = &'a u8>>(&mut self, bytes: T) {
        for &byte in bytes {
            self.push(byte);
        }
    }
}

impl DynasmApi for Buffer {
    #[inline]
    fn offset(&self) -> AssemblyOffset {
        AssemblyOffset(self.len)
    }

    #[inline]
    fn push(&mut self, byte: u8) {
        self.append(u64::from(byte), 1);
    }

    #[inline]
    fn push_i16(&mut self, value: i16) {
        self.push_u16(value as u16);
    }

    #[inline]
    fn push_i32(&mut self, value: i32) {
        self.push_u32(value as u32);
    }

    #[inline]
    fn push_i64(&mut self, value: i64) {
        self.push_u64(value as u64);
    }

    #[inline]
    fn push_u16(&mut self, value: u16) {
        self.append(u64::from(value), 2);
    }

    #[inline]
    fn push_u32(&mut self, value: u32) {
        self.append(u64::from(value), 4);
    }

    #[inline]
    fn push_u64(&mut self, value: u64) {
        self.append(value, 8);
    }

    fn align(&mut self, alignment: usize, with: u8) {
        while !self.len.is_multiple_of(alignment) {
            self.push(with);
        }
    }
}

impl DynasmLabelApi for Buffer {
    type Relocation = X64Relocation;

    fn local_label(&mut self, name: &'static str) {
        let here = self.offset();
        self.labels.define_local(name, here);
    }

    fn global_label(&mut self, name: &'static str) {
        let here = self.offset();
        let defined = self.labels.define_global(name, here);
        self.error = self.error.take().or(defined.err());
    }

    fn dynamic_label(&mut self, label: DynamicLabel) {
        let here = self.offset();
        let defined = self.labels.define_dynamic(label, here);
        self.error = self.error.take().or(defined.err());
    }

    fn global_relocation(
        &mut self,
        name: &'static str,
        target: isize,
        field: u8,
        base: u8,
        kind: X64Relocation,
    ) {
        let place = self.place(target, field, base, kind);
        self.relocs.add_static(StaticLabel::global(name), place);
    }

    fn dynamic_relocation(
        &mut self,
        label: DynamicLabel,
        target: isize,
        field: u8,
        base: u8,
        kind: X64Relocation,
    ) {
        let place = self.place(target, field, base, kind);
        self.relocs.add_dynamic(label, place);
    }

    fn forward_relocation(
        &mut self,
        name: &'static str,
        target: isize,
        field: u8,
        base: u8,
        kind: X64Relocation,
    ) {
        let place = self.place(target, field, base, kind);
        let last = self.labels.place_local_reference(name);
        let label = last.map_or_else(|| StaticLabel::first(name), StaticLabel::next);
        self.relocs.add_static(label, place);
    }

    fn backward_relocation(
        &mut self,
        name: &'static str,
        target: isize,
        field: u8,
        base: u8,
        kind: X64Relocation,
    ) {
        let place = self.place(target, field, base, kind);
        match self.labels.place_local_reference(name) {
            Some(label) => self.relocs.add_static(label, place),
            None => {
                let unknown = DynasmError::UnknownLabel(LabelKind::Local(name));
                self.error.get_or_insert(unknown);
            }
        }
    }

    fn value_relocation(&mut self, value: usize, field: u8, base: u8, kind: X64Relocation) {
        let place = self.place(0, field, base, kind);
        if place.patch(&mut self.bytes[place.range(0)], 0, value).is_err() {
            let impossible = DynasmError::ImpossibleRelocation(TargetKind::Value(value));
            self.error.get_or_insert(impossible);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dynasmrt::{VecAssembler, dynasm};

    /// The same instructions and labels of each kind, in either assembler.
    macro_rules! sample {
        ($ops:expr) => {{
            let far = $ops.new_dynamic_label();
            for k in 0..2000 {
                dynasm!($ops; .arch x64; again:; mov eax, k; jz >over; jmp <again; over:; jne =>far; mov rcx, QWORD 0x123456789abcdef);
            }
            dynasm!($ops; .arch x64; .align 16; =>far; ret);
        }};
    }

    #[test]
    fn assembles_what_the_crate_does() {
        let mut own = Buffer::default();
        let mut theirs = VecAssembler::<X64Relocation>::new(0);
        let mut code = vec![0xcc];
        for _ in 0..2 {
            sample!(own);
            own.finish(&mut code).expect("all labels are placed");
        }
        sample!(theirs);
        let expected = theirs.finalize().expect("all labels are placed");
        assert_eq!(code[0], 0xcc);
        assert!(code[1..] == [&expected[..], &expected[..]].concat());
    }

    #[test]
    fn a_label_without_a_place_is_an_error() {
        let mut ops = Buffer::default();
        let label = ops.new_dynamic_label();
        dynasm!(ops; .arch x64; jmp =>label);
        assert!(ops.finish(&mut Vec::new()).is_err());
        dynasm!(ops; .arch x64; jmp <nowhere);
        assert!(ops.finish(&mut Vec::new()).is_err());
    }
}
