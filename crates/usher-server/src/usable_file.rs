//! Whether a file that the server is to write can be written, found out without changing it.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Whether a file can be written, or made if it is not there.
pub(crate) fn usable(path: &Path) -> io::Result<()> {
    match OpenOptions::new().read(true).append(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
        Ok(_) => {}
    }
    usable_folder(path)
}

/// Whether files can be made beside `path`.
pub(crate) fn usable_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let probe = folder.join(format!(".usher-probe-{}", std::process::id()));
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&probe);
    made.and_then(|_| fs::remove_file(&probe))
}
