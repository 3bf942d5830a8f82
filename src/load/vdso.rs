//! The guest's vDSO, and what the translator does at its entry points.
//!
//! `vdso.so` is built by `tools/build-vdso` from `fixtures/vdso/vdso.S`. A translator that meets one of
//! the [`FUNCTIONS`] calls the host's clock; one that doesn't runs the bytes there: the system call.

use crate::mem::Prot;

/// The vDSO's bytes: one page when mapped.
pub static IMAGE: &[u8] = include_bytes!("vdso.so");

/// A function of the vDSO. Arguments and results are the guest's: r0 and r1 in, r0 out (0 or a negative errno).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Function {
    pub name: &'static str,
    /// Offset of its A32 code from the start of the vDSO.
    pub offset: u32,
    /// The ARM EABI's number of the system call that it stands for.
    pub number: u32,
}

const fn function(name: &'static str, offset: u32, number: u32) -> Function {
    Function { name, offset, number }
}

#[rustfmt::skip]
pub const FUNCTIONS: [Function; 4] = [
    function("__vdso_clock_gettime",   0x380, 263),
    function("__vdso_gettimeofday",    0x3a0,  78),
    function("__vdso_clock_getres",    0x3c0, 264),
    function("__vdso_clock_gettime64", 0x3e0, 403),
];

/// The pages' permissions.
pub(super) const PROT: Prot = Prot::READ.union(Prot::EXEC);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::{FloatAbi, plan};

    #[test]
    fn image_is_one_loadable_page() {
        let plan = plan(IMAGE).expect("a loadable file");
        assert!(plan.position_independent && plan.interpreter.is_none());
        assert_eq!((plan.low, plan.high), (0, 0x1000));
        assert_eq!(plan.segments.len(), 1);
        assert_eq!((plan.segments[0].offset, plan.segments[0].prot), (0, PROT));
        assert_ne!(plan.float_abi, FloatAbi::Hard);
    }

    #[test]
    fn symbols_versions_and_table_agree() {
        let elf = goblin::elf::Elf::parse(IMAGE).expect("an ELF file");
        assert_eq!(elf.soname, Some("linux-vdso.so.1"));
        for function in FUNCTIONS {
            let name = function.name;
            let sym = elf
                .dynsyms
                .iter()
                .find(|s| elf.dynstrtab.get_at(s.st_name) == Some(name));
            let sym = sym.unwrap_or_else(|| panic!("{name} is missing"));
            assert!(sym.is_function());
            assert_eq!(sym.st_value, function.offset.into(), "{name}");
            // mov ip, r7; mov r7, #low byte of the number.
            let at = function.offset as usize;
            assert_eq!(IMAGE[at..at + 4], 0xe1a0_c007u32.to_le_bytes(), "{name}");
            let low = 0xe3a0_7000 | function.number & 0xff;
            assert_eq!(IMAGE[at + 4..at + 8], low.to_le_bytes(), "{name}");
        }
        let defs = elf.verdef.expect("versions");
        let version = |aux: goblin::elf::symver::Verdaux| elf.dynstrtab.get_at(aux.vda_name);
        assert!(
            defs.iter()
                .any(|def| def.iter().filter_map(version).any(|name| name == "LINUX_2.6"))
        );
    }
}
