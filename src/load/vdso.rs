//! The guest's vDSO, and what the translator does at its entry points.
//!
//! `vdso.so` is built by `tools/build-vdso` from `fixtures/vdso/vdso.S`. A translator that meets one of the
//! addresses of [`INTRINSICS`] calls the host's clock; one that doesn't runs the bytes there: the system call.

use crate::mem::Prot;

/// The vDSO's bytes: one page when mapped.
pub static IMAGE: &[u8] = include_bytes!("vdso.so");

/// What a vDSO function does. Arguments and results are the guest's: r0 and r1 in, r0 out (0 or a negative errno).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Intrinsic {
    /// r0 clock id, r1 pointer to struct timespec of two 32-bit words.
    ClockGettime,
    /// r0 clock id, r1 pointer to struct __kernel_timespec of two 64-bit words.
    ClockGettime64,
    /// r0 pointer to struct timeval of two 32-bit words, or 0; r1 pointer to struct timezone, or 0.
    Gettimeofday,
    /// r0 clock id, r1 pointer to struct timespec of two 32-bit words, or 0.
    ClockGetres,
}

/// Offsets of the entry points (A32) from the start of the vDSO.
#[rustfmt::skip]
pub const INTRINSICS: [(u32, Intrinsic); 4] = [
    (0x380, Intrinsic::ClockGettime),
    (0x3a0, Intrinsic::Gettimeofday),
    (0x3c0, Intrinsic::ClockGetres),
    (0x3e0, Intrinsic::ClockGettime64),
];

/// The entry points as [`INTRINSICS`] has them.
pub fn intrinsics() -> &'static [(u32, Intrinsic)] {
    &INTRINSICS
}

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
        let names = [
            ("__vdso_clock_gettime", Intrinsic::ClockGettime),
            ("__vdso_gettimeofday", Intrinsic::Gettimeofday),
            ("__vdso_clock_getres", Intrinsic::ClockGetres),
            ("__vdso_clock_gettime64", Intrinsic::ClockGettime64),
        ];
        for (name, intrinsic) in names {
            let sym = elf
                .dynsyms
                .iter()
                .find(|s| elf.dynstrtab.get_at(s.st_name) == Some(name));
            let sym = sym.unwrap_or_else(|| panic!("{name} is missing"));
            assert!(sym.is_function());
            assert!(INTRINSICS.contains(&(sym.st_value as u32, intrinsic)), "{name}");
        }
        let defs = elf.verdef.expect("versions");
        let version = |aux: goblin::elf::symver::Verdaux| elf.dynstrtab.get_at(aux.vda_name);
        assert!(
            defs.iter()
                .any(|def| def.iter().filter_map(version).any(|name| name == "LINUX_2.6"))
        );
    }
}
