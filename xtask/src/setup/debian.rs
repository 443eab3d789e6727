//! Installs Debian packages by name, where that is allowed: as root, or through a sudo that asks nothing.

use std::process::Command;

use super::programs::on_path;
use crate::step::{Failure, run_quietly, succeeds};

/// The right to use apt-get.
pub(super) struct Installer {
    through_sudo: bool,
}

impl Installer {
    /// `None` where there is no apt-get, or no right to use it.
    pub(super) fn find() -> Option<Self> {
        on_path("apt-get")?;
        if is_root() {
            return Some(Self { through_sudo: false });
        }
        succeeds(Command::new("sudo").args(["--non-interactive", "true"])).then_some(Self { through_sudo: true })
    }

    /// Installs them without their recommendations. Says nothing unless it fails twice: a mirror may be in the middle of its
    /// update, and a second `update` then helps.
    pub(super) fn install(&self, packages: &[&str]) -> Result<(), Failure> {
        self.try_to_install(packages).or_else(|_| self.try_to_install(packages))
    }

    fn try_to_install(&self, packages: &[&str]) -> Result<(), Failure> {
        run_quietly(self.apt_get().args(["--quiet", "update"]))?;
        run_quietly(self.apt_get().args(["--quiet", "--yes", "--no-install-recommends", "install"]).args(packages))?;
        Ok(())
    }

    fn apt_get(&self) -> Command {
        let mut command = Command::new(if self.through_sudo { "sudo" } else { "env" });
        if self.through_sudo {
            command.args(["--non-interactive", "env"]);
        }
        // Another apt-get may be at work; it is waited for, in seconds.
        command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "--option", "DPkg::Lock::Timeout=300"]);
        command
    }
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}
