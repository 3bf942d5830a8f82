//! /proc/cpuinfo as an ARM kernel writes it for the model (arch/arm/kernel/setup.c c_show).

use std::fmt::Write;

use crate::cpu::model::Model;

/// The file's text: one paragraph for each processor online.
pub fn cpuinfo(model: &Model) -> String {
    // SAFETY: sysconf has no preconditions.
    let count = unsafe { libc::sysconf(libc::_SC_NPROCESSORS_ONLN) }.max(1);
    text(model, count as usize)
}

fn text(model: &Model, count: usize) -> String {
    let midr = model.midr;
    let mut out = String::new();
    for i in 0..count {
        let _ = write!(
            out,
            "processor\t: {i}\nmodel name\t: {}\nBogoMIPS\t: 100.00\nFeatures\t: ",
            model.model_name
        );
        for name in model.feature_names() {
            let _ = write!(out, "{name} ");
        }
        let _ = write!(
            out,
            "\nCPU implementer\t: {:#04x}\nCPU architecture: {}\nCPU variant\t: {:#x}\nCPU part\t: {:#05x}\nCPU revision\t: {}\n\n",
            midr >> 24,
            model.cpu_architecture,
            midr >> 20 & 15,
            midr >> 4 & 0xfff,
            midr & 15
        );
    }
    out.push_str("Hardware\t: Generic DT based system\nRevision\t: 0000\nSerial\t\t: 0000000000000000\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::model::Features;

    /// A Cortex-A7's paragraph (Raspberry Pi 2), clock and board apart.
    #[test]
    fn cortex_a7() {
        let model = Model {
            name: "test",
            features: Features::empty(),
            machine: "armv7l",
            platform: "v7l",
            hwcap: 0x3f_b0d6,
            hwcap2: 0,
            midr: 0x410f_c075,
            cpu_architecture: "7",
            model_name: "ARMv7 Processor rev 5 (v7l)",
            fpsid: 0,
            mvfr0: 0,
            mvfr1: 0,
        };
        assert_eq!(
            text(&model, 1),
            "processor\t: 0\nmodel name\t: ARMv7 Processor rev 5 (v7l)\nBogoMIPS\t: 100.00\n\
             Features\t: half thumb fastmult vfp edsp neon vfpv3 tls vfpv4 idiva idivt vfpd32 lpae evtstrm \n\
             CPU implementer\t: 0x41\nCPU architecture: 7\nCPU variant\t: 0x0\nCPU part\t: 0xc07\nCPU revision\t: 5\n\n\
             Hardware\t: Generic DT based system\nRevision\t: 0000\nSerial\t\t: 0000000000000000\n"
        );
    }
}
