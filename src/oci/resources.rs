//! `update`: a running container's limits.

use crate::Global;
use crate::commands::read_json;
use crate::report::chain;
use crate::state::{cgroups, load};
use clap::Args;
use libcgroups::common::{CgroupManager, ControllerOpt};
use libcontainer::container::ContainerStatus;
use libcontainer::oci_spec::runtime::{LinuxBlockIo, LinuxCpu, LinuxMemory, LinuxPids, LinuxResources};
use std::io::Read;
use std::path::PathBuf;

/// The limits to change.
#[derive(Args, Debug)]
pub struct Limits {
    /// Read limits from FILE, - for standard input; other options are then without effect
    #[arg(short, long, value_name = "FILE")]
    resources: Option<PathBuf>,
    #[arg(long, value_name = "N")]
    blkio_weight: Option<u16>,
    /// In microseconds
    #[arg(long, value_name = "N")]
    cpu_period: Option<u64>,
    /// In microseconds of each period
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    cpu_quota: Option<i64>,
    #[arg(long, value_name = "N")]
    cpu_share: Option<u64>,
    #[arg(long, value_name = "N")]
    cpu_rt_period: Option<u64>,
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    cpu_rt_runtime: Option<i64>,
    #[arg(long, value_name = "LIST")]
    cpuset_cpus: Option<String>,
    #[arg(long, value_name = "LIST")]
    cpuset_mems: Option<String>,
    /// In bytes, -1 for none
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    memory: Option<i64>,
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    memory_reservation: Option<i64>,
    /// Memory and swap together
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    memory_swap: Option<i64>,
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pids_limit: Option<i64>,
}

impl Limits {
    fn resources(&self) -> Result<LinuxResources, String> {
        match &self.resources {
            Some(path) if path.as_os_str() == "-" => {
                let mut text = Vec::new();
                let read = std::io::stdin().read_to_end(&mut text);
                read.map_err(|error| format!("standard input: {error}"))?;
                return serde_json::from_slice(&text).map_err(|error| format!("standard input: {error}"));
            }
            Some(path) => return read_json(path),
            None => {}
        }
        let mut out = LinuxResources::default();
        out.set_devices(None);
        if let Some(weight) = self.blkio_weight {
            let mut block = LinuxBlockIo::default();
            block.set_weight(Some(weight));
            out.set_block_io(Some(block));
        }
        let mut cpu = LinuxCpu::default();
        cpu.set_period(self.cpu_period)
            .set_quota(self.cpu_quota)
            .set_shares(self.cpu_share)
            .set_realtime_period(self.cpu_rt_period)
            .set_realtime_runtime(self.cpu_rt_runtime)
            .set_cpus(self.cpuset_cpus.clone())
            .set_mems(self.cpuset_mems.clone());
        if cpu != LinuxCpu::default() {
            out.set_cpu(Some(cpu));
        }
        let mut memory = LinuxMemory::default();
        memory
            .set_limit(self.memory)
            .set_reservation(self.memory_reservation)
            .set_swap(self.memory_swap);
        if memory != LinuxMemory::default() {
            out.set_memory(Some(memory));
        }
        if let Some(limit) = self.pids_limit {
            let mut pids = LinuxPids::default();
            pids.set_limit(limit);
            out.set_pids(Some(pids));
        }
        Ok(out)
    }
}

/// `update`.
pub fn update(global: &Global, id: &str, options: &Limits) -> Result<i32, String> {
    let container = load(global, id)?;
    if container.status() == ContainerStatus::Stopped {
        return Err("container not running".into());
    }
    let resources = options.resources()?;
    let wanted = ControllerOpt {
        resources: &resources,
        disable_oom_killer: false,
        oom_score_adj: None,
        freezer_state: None,
    };
    cgroups(&container)?.apply(&wanted).map_err(chain)?;
    Ok(0)
}
