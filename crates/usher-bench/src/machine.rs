//! What was measured on: never whose machine it is, or where on it.

use std::fs;

use serde::{Deserialize, Serialize};

/// A machine, as far as it matters to figures.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) memory_gib: u64,
    pub(crate) kernel: String,
}

impl Machine {
    /// This one.
    pub(crate) fn this() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let memory_kib = value(&read("/proc/meminfo"), "MemTotal").and_then(|text| {
            let kib = text.strip_suffix("kB").unwrap_or(&text).trim().parse::<u64>();
            kib.ok()
        });
        Self {
            processor: value(&read("/proc/cpuinfo"), "model name").unwrap_or_else(|| "unknown".to_owned()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_gib: memory_kib.unwrap_or(0).div_ceil(1 << 20),
            kernel: version_of(&read("/proc/sys/kernel/osrelease")),
        }
    }
}

/// The numbers alone: what distributors and machines' owners add to them names builds and places.
fn version_of(release: &str) -> String {
    release.trim().split('-').next().unwrap_or_default().to_owned()
}

fn value(text: &str, name: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim().to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_is_its_version_and_no_place() {
        assert_eq!(version_of("6.18.44-fc-v657\n"), "6.18.44");
        assert_eq!(value("model name\t: Some CPU\n", "model name").as_deref(), Some("Some CPU"));
        assert!(Machine::this().cores >= 1);
    }
}
