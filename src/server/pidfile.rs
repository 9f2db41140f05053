//! `<prefix>/pids/nginx.pid`: written once every listener is bound, gone when the gateway is.

use std::io;
use std::path::{Path, PathBuf};

use super::process::{self, Pid};

/// The pid file of a running gateway; dropping it removes the file if it still is this process's.
#[derive(Debug)]
pub struct PidFile {
    path: PathBuf,
    pid: Pid,
}

// === impl PidFile ===

impl PidFile {
    /// Writes this process's pid to `path`, whole or not at all.
    ///
    /// # Errors
    /// The system's, when the file or its folder can't be written.
    pub fn write(path: &Path) -> io::Result<Self> {
        let pid = process::own_pid();
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        // A reader must never see the file without its content.
        let draft = path.with_extension(format!("pid.{pid}"));
        std::fs::write(&draft, format!("{pid}\n"))?;
        std::fs::rename(&draft, path)?;
        Ok(Self {
            path: path.to_owned(),
            pid,
        })
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if read(&self.path) == Some(self.pid) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// The pid in the file at `path`, if there is one.
pub fn read(path: &Path) -> Option<Pid> {
    std::fs::read_to_string(path)
        .ok()?
        .trim()
        .parse()
        .ok()
        .filter(|pid| *pid > 0)
}

/// The pid of the gateway whose file is at `path`, if that process lives.
///
/// A file with the asking process's own pid is left over from an earlier life: in a container, pids come back.
pub fn running(path: &Path) -> Option<Pid> {
    read(path).filter(|pid| *pid != process::own_pid() && process::is_alive(*pid))
}

/// Removes the file of a gateway that no longer lives. Gives whether there was one.
///
/// # Errors
/// The system's, when the file can't be removed.
pub fn remove_stale(path: &Path) -> io::Result<bool> {
    if !path.exists() || running(path).is_some() {
        return Ok(false);
    }
    std::fs::remove_file(path).map(|()| true)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        std::env::temp_dir()
            .join(format!("moongate-pid-{}-{name}", std::process::id()))
            .join("pids/nginx.pid")
    }

    fn clear(path: &Path) {
        std::fs::remove_dir_all(path.parent().unwrap().parent().unwrap()).unwrap();
    }

    #[test]
    fn a13_pid_file_lives_as_long_as_its_owner() {
        let path = scratch("owner");
        let file = PidFile::write(&path).unwrap();
        assert_eq!(read(&path), Some(process::own_pid()));
        assert_eq!(running(&path), None, "one's own pid is no other gateway");
        drop(file);
        assert!(!path.exists());
        clear(&path);
    }

    #[test]
    fn a13_pid_file_of_another_is_left_alone() {
        let path = scratch("other");
        let file = PidFile::write(&path).unwrap();
        std::fs::write(&path, "1\n").unwrap();
        drop(file);
        assert_eq!(read(&path), Some(1));
        assert_eq!(running(&path), Some(1));
        assert!(!remove_stale(&path).unwrap());
        clear(&path);
    }

    #[test]
    fn a13_stale_pid_file_is_removed() {
        let path = scratch("stale");
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let gone = child.id();
        child.wait().unwrap();
        for content in [format!("{gone}\n"), "nonsense".to_owned(), "-1".to_owned()] {
            std::fs::write(&path, content).unwrap();
            assert_eq!(running(&path), None);
            assert!(remove_stale(&path).unwrap());
            assert!(!path.exists());
        }
        assert!(!remove_stale(&path).unwrap());
        clear(&path);
    }
}
